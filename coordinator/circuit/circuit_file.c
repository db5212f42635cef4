#include "coordinator/circuit/circuit_file.h"

#include <jansson.h>
#include <string.h>

enum { SHAPE_MAX = 1 << 24 };

/* --- one node or edge, in any of the forms ------------------------------------------------ */

/* Of an integer from 0 below 2^24. */
static bool read_count(const json_t *json, uint32_t *out)
{
    const json_int_t value = json_integer_value(json);
    if (!json_is_integer(json) || value < 0 || value >= SHAPE_MAX) return false;
    *out = (uint32_t)value;
    return true;
}

static status_t parse_pair(const json_t *pair, struct component *out, struct error *err)
{
    *out = (struct component){.type = COMPONENT_HEAD};
    if (json_array_size(pair) == 2 && read_count(json_array_get(pair, 0), &out->layer) &&
        read_count(json_array_get(pair, 1), &out->index))
        return ST_OK;
    return error_set(err, ST_BAD_INPUT, "a pair [layer, head] is wanted");
}

static const json_t *either(const json_t *object, const char *key, const char *other)
{
    const json_t *value = json_object_get(object, key);
    return value ? value : json_object_get(object, other);
}

/* {"hook": NAME, "index" or "head": N} */
static status_t parse_hook(const json_t *object, struct component *out, struct error *err)
{
    const json_t *index = either(object, "index", "head"), *hook = json_object_get(object, "hook");
    struct buffer name;
    uint32_t number;
    if (!index) return component_parse(json_string_value(hook), json_string_length(hook), out, err);
    if (!read_count(index, &number))
        return error_set(err, ST_BAD_INPUT, "index is no count below %d", SHAPE_MAX);
    buffer_init(&name, COMPONENT_NAME_SIZE);
    status_t status = buffer_printf(&name, err, "%.60s[%u]", json_string_value(hook), number);
    if (status == ST_OK) status = component_parse((const char *)name.bytes, name.n_bytes, out, err);
    buffer_fini(&name);
    return status;
}

static status_t parse_component(const json_t *json, struct component *out, struct error *err)
{
    if (json_is_string(json))
        return component_parse(json_string_value(json), json_string_length(json), out, err);
    if (json_is_array(json)) return parse_pair(json, out, err);
    if (json_is_string(json_object_get(json, "hook"))) return parse_hook(json, out, err);
    const json_t *name = json_object_get(json, "name");
    if (!json_is_string(name))
        return error_set(err, ST_BAD_INPUT, "a name, a [layer, head] pair, or an object with name");
    return component_parse(json_string_value(name), json_string_length(name), out, err);
}

static bool is_left_out(const json_t *json)
{
    return json_is_false(json_object_get(json, "in_circuit")) ||
           json_is_false(json_object_get(json, "in_graph"));
}

static status_t add_edge_text(struct circuit *circuit, const json_t *text, struct error *err)
{
    struct circuit_edge edge;
    const status_t status =
        circuit_edge_parse(json_string_value(text), json_string_length(text), &edge, err);
    return status == ST_OK ? circuit_add_edge(circuit, &edge, err) : status;
}

/* ["SENDER", "RECEIVER.k"]: joined, so that it is read as any other edge. */
static status_t add_edge_pair(struct circuit *circuit, const json_t *pair, struct error *err)
{
    const char *from = json_string_value(json_array_get(pair, 0));
    const char *to = json_string_value(json_array_get(pair, 1));
    if (!from || !to || json_array_size(pair) != 2)
        return error_set(err, ST_BAD_INPUT, "[sender, receiver] is wanted");
    json_t *text = json_sprintf("%s->%s", from, to);
    if (!text) return error_set(err, ST_NO_MEMORY, "an edge");
    const status_t status = add_edge_text(circuit, text, err);
    json_decref(text);
    return status;
}

static status_t add_edge(struct circuit *circuit, const json_t *json, struct error *err)
{
    struct component sender, receiver;
    struct circuit_edge edge;
    const json_t *input = json_object_get(json, "input");
    if (json_is_string(json)) return add_edge_text(circuit, json, err);
    if (json_is_array(json)) return add_edge_pair(circuit, json, err);
    if (!json_is_object(json)) return error_set(err, ST_BAD_INPUT, "an edge is wanted");
    if (input && !json_is_string(input)) return error_set(err, ST_BAD_INPUT, "input is no text");
    if (is_left_out(json)) return ST_OK;
    status_t status = parse_component(either(json, "sender", "from"), &sender, err);
    if (status != ST_OK) return error_wrap(err, "sender");
    status = parse_component(either(json, "receiver", "to"), &receiver, err);
    if (status != ST_OK) return error_wrap(err, "receiver");
    status = circuit_edge_make(&sender, &receiver, json_string_value(input), &edge, err);
    return status == ST_OK ? circuit_add_edge(circuit, &edge, err) : status;
}

static status_t add_node(struct circuit *circuit, const json_t *json, const char *role,
                         struct error *err)
{
    struct component component;
    const json_t *own_role = json_object_get(json, "role");
    if (is_left_out(json)) return ST_OK;
    const status_t status = parse_component(json, &component, err);
    if (status != ST_OK) return status;
    if (own_role && !json_is_string(own_role) && !json_is_null(own_role))
        return error_set(err, ST_BAD_INPUT, "role is no text");
    return circuit_add_node(circuit, &component, own_role ? json_string_value(own_role) : role,
                            err);
}

/* In a list without keys an edge is a name with an arrow. */
static status_t add_item(struct circuit *circuit, const json_t *json, const char *role,
                         struct error *err)
{
    const char *text = json_string_value(json);
    return text && strstr(text, "->") ? add_edge(circuit, json, err)
                                      : add_node(circuit, json, role, err);
}

/* --- lists and maps ----------------------------------------------------------------------- */

typedef status_t add_function(struct circuit *circuit, const json_t *json, const char *role,
                              struct error *err);

static status_t add_edge_item(struct circuit *circuit, const json_t *json, const char *role,
                              struct error *err)
{
    (void)role;
    return add_edge(circuit, json, err);
}

static status_t add_list(struct circuit *circuit, const json_t *list, const char *key,
                         const char *role, add_function *add, struct error *err)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (add(circuit, json_array_get(list, i), role, err) != ST_OK)
            return error_wrap(err, "%.60s[%zu]", key, i);
    return ST_OK;
}

/* {"NAME": true | false | {"in_graph": BOOL}} */
static status_t add_map(struct circuit *circuit, const json_t *map, const char *key,
                        add_function *add, struct error *err)
{
    const char *name;
    json_t *value;
    /* jansson's iterators take a map that is not const; nothing is changed */
    json_object_foreach((json_t *)(uintptr_t)map, name, value)
    {
        const json_t *is_in = json_is_object(value) ? json_object_get(value, "in_graph") : value;
        if (!json_is_boolean(is_in))
            return error_set(err, ST_BAD_INPUT, "%s.%.60s: true, false or in_graph is wanted", key,
                             name);
        if (!json_is_true(is_in)) continue;
        json_t *text = json_string(name);
        const status_t status =
            text ? add(circuit, text, NULL, err) : error_set(err, ST_NO_MEMORY, "a name");
        json_decref(text);
        if (status != ST_OK) return error_wrap(err, "%s", key);
    }
    return ST_OK;
}

static status_t add_all(struct circuit *circuit, const json_t *root, const char *key,
                        add_function *add, struct error *err)
{
    const json_t *value = json_object_get(root, key);
    if (!value) return ST_OK;
    if (json_is_array(value)) return add_list(circuit, value, key, NULL, add, err);
    if (json_is_object(value)) return add_map(circuit, value, key, add, err);
    return error_set(err, ST_BAD_INPUT, "%s is no list", key);
}

static status_t add_roles(struct circuit *circuit, const json_t *root, struct error *err)
{
    const char *role;
    json_t *list;
    json_object_foreach(json_object_get(root, "roles"), role, list)
    {
        if (!json_is_array(list))
            return error_set(err, ST_BAD_INPUT, "roles.%.60s is no list", role);
        const status_t status = add_list(circuit, list, role, role, add_node, err);
        if (status != ST_OK) return error_wrap(err, "roles");
    }
    return ST_OK;
}

/* --- our own keys ------------------------------------------------------------------------- */

static status_t read_text(const json_t *root, const char *key, size_t size, char *out,
                          struct error *err)
{
    const json_t *value = json_object_get(root, key);
    if (!value || json_is_null(value)) return ST_OK;
    if (!json_is_string(value)) return error_set(err, ST_BAD_INPUT, "%s is no text", key);
    if (json_string_length(value) >= size)
        return error_set(err, ST_TOO_LARGE, "%s is longer than %zu bytes", key, size - 1);
    memcpy(out, json_string_value(value), json_string_length(value) + 1);
    return ST_OK;
}

static status_t check_keys(const json_t *object, const char *const *known, struct error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        size_t i = 0;
        while (known[i] && strcmp(known[i], key) != 0) i++;
        if (!known[i]) return error_set(err, ST_BAD_INPUT, "unknown key \"%.60s\"", key);
    }
    return ST_OK;
}

static status_t read_model(struct circuit *circuit, const json_t *model, bool is_ours,
                           struct error *err)
{
    static const char *const known[] = {"fingerprint", "n_layers", "n_heads", "n_kv_heads",
                                        "d_mlp",       "d_model",  NULL};
    struct model_shape *shape = &circuit->shape;
    const struct {
        const char *key;
        uint32_t *out;
    } counts[] = {{"n_layers", &shape->n_layers},
                  {"n_heads", &shape->n_heads},
                  {"n_kv_heads", &shape->n_kv_heads},
                  {"d_mlp", &shape->d_mlp},
                  {"d_model", &shape->d_model}};
    if (!json_is_object(model)) return ST_OK;
    status_t status = is_ours ? check_keys(model, known, err) : ST_OK;
    if (status == ST_OK)
        status = read_text(model, "fingerprint", HASH_HEX_SIZE, circuit->fingerprint, err);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0] && status == ST_OK; i++) {
        const json_t *count = json_object_get(model, counts[i].key);
        if (count && !read_count(count, counts[i].out))
            status =
                error_set(err, ST_BAD_INPUT, "%s is no count below %d", counts[i].key, SHAPE_MAX);
    }
    return status == ST_OK ? ST_OK : error_wrap(err, "model");
}

/* A list of objects of these keys alone. */
static status_t check_items(const json_t *root, const char *list_key, const char *const *known,
                            struct error *err)
{
    const json_t *list = json_object_get(root, list_key);
    if (list && !json_is_array(list))
        return error_set(err, ST_BAD_INPUT, "%s is no list", list_key);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        if (!json_is_object(item))
            return error_set(err, ST_BAD_INPUT, "%s[%zu] is no object", list_key, i);
        if (check_keys(item, known, err) != ST_OK) return error_wrap(err, "%s[%zu]", list_key, i);
    }
    return ST_OK;
}

static status_t check_own(const json_t *root, struct error *err)
{
    static const char *const known[] = {"format", "version", "name",  "task",
                                        "model",  "nodes",   "edges", NULL};
    static const char *const of_node[] = {"name", "role", NULL};
    static const char *const of_edge[] = {"sender", "receiver", "input", NULL};
    const json_t *version = json_object_get(root, "version");
    const char *format = json_string_value(json_object_get(root, "format"));
    if (!format || strcmp(format, "interp-circuit") != 0)
        return error_set(err, ST_BAD_INPUT, "format is not \"interp-circuit\"");
    if (!json_is_integer(version)) return error_set(err, ST_BAD_INPUT, "version is missing");
    if (json_integer_value(version) != CIRCUIT_VERSION)
        return error_set(err, ST_UNSUPPORTED, "version %lld; this program reads %d",
                         (long long)json_integer_value(version), CIRCUIT_VERSION);
    status_t status = check_keys(root, known, err);
    if (status == ST_OK) status = check_items(root, "nodes", of_node, err);
    return status == ST_OK ? check_items(root, "edges", of_edge, err) : status;
}

static status_t read_object(struct circuit *circuit, const json_t *root, struct error *err)
{
    const bool is_ours = json_is_string(json_object_get(root, "format"));
    status_t status = is_ours ? check_own(root, err) : ST_OK;
    if (status == ST_OK) status = read_text(root, "name", CIRCUIT_TEXT_SIZE, circuit->name, err);
    if (status == ST_OK) status = read_text(root, "task", CIRCUIT_TEXT_SIZE, circuit->task, err);
    if (status == ST_OK) status = read_model(circuit, json_object_get(root, "model"), is_ours, err);
    if (status == ST_OK) status = add_all(circuit, root, "nodes", add_node, err);
    if (status == ST_OK) status = add_all(circuit, root, "heads", add_node, err);
    if (status == ST_OK) status = add_roles(circuit, root, err);
    if (status == ST_OK) status = add_all(circuit, root, "edges", add_edge_item, err);
    return status;
}

/* --- texts -------------------------------------------------------------------------------- */

static status_t read_json(struct circuit *circuit, const char *text, size_t n_bytes,
                          struct error *err)
{
    json_error_t where;
    json_t *root = json_loadb(text, n_bytes, JSON_REJECT_DUPLICATES, &where);
    if (!root) return error_set(err, ST_BAD_INPUT, "line %d: %.160s", where.line, where.text);
    const status_t status = json_is_array(root) ? add_list(circuit, root, "", NULL, add_item, err)
                                                : read_object(circuit, root, err);
    json_decref(root);
    return status;
}

/* One line of a plain list, blanks cut off; `role` is that of the nodes below. */
static status_t read_line(struct circuit *circuit, const char *line, size_t n_bytes,
                          char role[CIRCUIT_TEXT_SIZE], struct error *err)
{
    const bool is_role = line[0] == '[' && line[n_bytes - 1] == ']';
    if (is_role && n_bytes - 2 >= CIRCUIT_TEXT_SIZE)
        return error_set(err, ST_TOO_LARGE, "a role of more than %d bytes", CIRCUIT_TEXT_SIZE - 1);
    json_t *item = json_stringn(line, n_bytes);
    if (!item) return error_set(err, ST_BAD_INPUT, "text that is not UTF-8");
    if (is_role) {
        memcpy(role, line + 1, n_bytes - 2);
        role[n_bytes - 2] = '\0';
        json_decref(item);
        return ST_OK;
    }
    const status_t status = add_item(circuit, item, role, err);
    json_decref(item);
    return status;
}

static status_t read_list(struct circuit *circuit, const char *text, size_t n_bytes,
                          struct error *err)
{
    char role[CIRCUIT_TEXT_SIZE] = "";
    const char *end = text + n_bytes;
    size_t n_lines = 0;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *stop = newline ? newline : end;
        const char *next = newline ? newline + 1 : end;
        const char *comment = memchr(text, '#', (size_t)(stop - text));
        if (comment) stop = comment;
        n_lines++;
        while (text < stop && strchr(" \t\r", *text)) text++;
        while (stop > text && strchr(" \t\r", stop[-1])) stop--;
        if (stop > text && read_line(circuit, text, (size_t)(stop - text), role, err) != ST_OK)
            return error_wrap(err, "line %zu", n_lines);
        text = next;
    }
    return ST_OK;
}

/* A list may begin with a [role]: JSON is what begins with '{', or with '[' and an item. */
static bool is_json(const char *text, size_t n_bytes)
{
    size_t i = 0;
    while (i < n_bytes && strchr(" \t\r\n", text[i])) i++;
    if (i == n_bytes || text[i] != '[') return i < n_bytes && text[i] == '{';
    for (i++; i < n_bytes && strchr(" \t\r\n", text[i]);) i++;
    return i < n_bytes && strchr("\"[{", text[i]);
}

status_t circuit_file_parse(struct circuit *out, const char *source, const char *text,
                            size_t n_bytes, struct error *err)
{
    struct circuit made;
    status_t status;
    if (n_bytes > CIRCUIT_MAX_BYTES)
        return error_set(err, ST_TOO_LARGE, "%s: more than %d bytes", source, CIRCUIT_MAX_BYTES);
    if (n_bytes > 0 && memchr(text, '\0', n_bytes))
        return error_set(err, ST_BAD_INPUT, "%s: a NUL byte", source);
    circuit_init(&made);
    status = is_json(text, n_bytes) ? read_json(&made, text, n_bytes, err)
                                    : read_list(&made, text, n_bytes, err);
    if (status == ST_OK) status = circuit_finish(&made, err);
    if (status != ST_OK) {
        circuit_fini(&made);
        return error_wrap(err, "%s", source);
    }
    *out = made;
    return ST_OK;
}
