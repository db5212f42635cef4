/* Does a tree fit a table? The place where user errors of configuration files are worded. */
#include "common/config_table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_KEYS = 128 }; /* of one table */

struct check {
    const struct config_schema *schema;
    const struct yaml_tree *tree;
    struct error *err;
};

static status_t check_table(const struct check *check, const struct config_key *keys,
                            const struct yaml_node *mapping, unsigned line, const char *path);

static status_t fail(const struct check *check, status_t status, unsigned line, const char *path,
                     const char *what, const char *allowed)
{
    return error_set(check->err, status, "%s:%u: %s: %s%s%s", yaml_tree_name(check->tree), line,
                     path, what, allowed ? "; allowed: " : "", allowed ? allowed : "");
}

const struct config_choice *config_choice_find(const struct config_choice *choices,
                                               const char *name)
{
    for (; choices->name; choices++)
        if (strcmp(choices->name, name) == 0) return choices;
    return NULL;
}

/* Digits only (one sign for signed), no leading zero: the spelling that every reader agrees on. */
static bool is_whole_number(const char *text, bool is_signed)
{
    if (is_signed && *text == '-') text++;
    if (*text == '0') return text[1] == '\0';
    return *text && strspn(text, "0123456789") == strlen(text);
}

static bool is_decimal(const char *text)
{
    const char *digits = "0123456789";
    size_t n_int, n_fraction = 0;
    if (*text == '-') text++;
    n_int = strspn(text, digits);
    text += n_int;
    if (*text == '.') {
        n_fraction = strspn(text + 1, digits);
        text += 1 + n_fraction;
    }
    if (n_int + n_fraction == 0) return false;
    if (*text == 'e' || *text == 'E') {
        text++;
        if (*text == '+' || *text == '-') text++;
        if (strspn(text, digits) == 0) return false;
        text += strspn(text, digits);
    }
    return *text == '\0';
}

/* Does the number fit [min, max] and the member's width? */
static bool is_in_range(const struct config_key *key, const char *text)
{
    const unsigned n_bits = (unsigned)key->size * 8;
    double value;
    errno = 0;
    if (key->type == CONFIG_TYPE_COUNT) {
        const unsigned long long number = strtoull(text, NULL, 10);
        if (errno || (n_bits < 64 && number >> n_bits)) return false;
        value = (double)number;
    } else if (key->type == CONFIG_TYPE_INT) {
        const long long number = strtoll(text, NULL, 10);
        const long long top = n_bits < 64 ? 1LL << (n_bits - 1) : 0;
        if (errno || (n_bits < 64 && (number >= top || number < -top))) return false;
        value = (double)number;
    } else {
        value = strtod(text, NULL);
        if (errno == ERANGE && value != 0.0) return false;
    }
    return value >= key->min && value <= key->max;
}

static const char *number_problem(const struct config_key *key, const char *text)
{
    const bool is_spelled = key->type == CONFIG_TYPE_NUMBER
                                ? is_decimal(text)
                                : is_whole_number(text, key->type == CONFIG_TYPE_INT);
    if (!is_spelled) return key->type == CONFIG_TYPE_NUMBER ? "not a number" : "not a whole number";
    return is_in_range(key, text) ? NULL : "out of range";
}

static status_t fail_value(const struct check *check, const struct config_key *key,
                           const struct yaml_node *node, const char *path, const char *what)
{
    char allowed[CONFIG_ALLOWED_SIZE], text[96];
    (void)snprintf(text, sizeof text, "'%.40s' is %s", node->text, what);
    return fail(check, ST_BAD_INPUT, node->line, path, text, config_describe(key, allowed));
}

static status_t check_choice(const struct check *check, const struct config_key *key,
                             const struct yaml_node *node, const char *path)
{
    const struct config_choice *choice = config_choice_find(key->choices, node->text);
    char allowed[CONFIG_ALLOWED_SIZE], text[96];
    if (!choice) return fail_value(check, key, node, path, "unknown");
    if (!choice->is_reserved) return ST_OK;
    (void)snprintf(text, sizeof text, "'%s' is not built yet", choice->name);
    return fail(check, ST_UNSUPPORTED, node->line, path, text, config_describe(key, allowed));
}

static status_t check_scalar(const struct check *check, const struct config_key *key,
                             const struct yaml_node *node, const char *path)
{
    const char *problem = NULL;
    char allowed[CONFIG_ALLOWED_SIZE];
    if (node->kind != YAML_SCALAR)
        return fail(check, ST_BAD_INPUT, node->line, path, "one value is wanted here",
                    config_describe(key, allowed));
    if (!*node->text ||
        (!node->is_quoted && (strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0)))
        return fail(check, ST_BAD_INPUT, node->line, path, "has no value",
                    config_describe(key, allowed));
    switch (key->type) {
    case CONFIG_TYPE_BOOL:
        if (strcmp(node->text, "true") != 0 && strcmp(node->text, "false") != 0)
            problem = "no boolean";
        break;
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_COUNT:
    case CONFIG_TYPE_NUMBER: problem = number_problem(key, node->text); break;
    case CONFIG_TYPE_CHOICE:
    case CONFIG_TYPE_FLAGS: return check_choice(check, key, node, path);
    case CONFIG_TYPE_TEXT:
    case CONFIG_TYPE_TEXTS:
    case CONFIG_TYPE_SECTION:
    case CONFIG_TYPE_LIST: break;
    }
    return problem ? fail_value(check, key, node, path, problem) : ST_OK;
}

static status_t check_item(const struct check *check, const struct config_key *key,
                           const struct yaml_node *item, const char *path)
{
    if (key->type == CONFIG_TYPE_LIST) {
        if (item->kind != YAML_MAPPING)
            return fail(check, ST_BAD_INPUT, item->line, path, "must be a mapping of keys", NULL);
        return check_table(check, key->keys, item, item->line, path);
    }
    return check_scalar(check, key, item, path);
}

static status_t check_list(const struct check *check, const struct config_key *key,
                           const struct yaml_node *node, const char *path)
{
    const bool is_counted = key->type != CONFIG_TYPE_FLAGS;
    char allowed[CONFIG_ALLOWED_SIZE], item_path[CONFIG_PATH_SIZE];
    size_t index = 0;
    if (node->kind != YAML_SEQUENCE)
        return fail(check, ST_BAD_INPUT, node->line, path, "a list is wanted here",
                    config_describe(key, allowed));
    if (is_counted && ((double)node->n_children < key->min || (double)node->n_children > key->max))
        return fail(check, ST_BAD_INPUT, node->line, path, "wrong number of items",
                    config_describe(key, allowed));
    for (const struct yaml_node *item = node->first; item; item = item->next) {
        (void)snprintf(item_path, sizeof item_path, "%.230s[%zu]", path, index++);
        const status_t status = check_item(check, key, item, item_path);
        if (status != ST_OK) return status;
    }
    return ST_OK;
}

static status_t check_value(const struct check *check, const struct config_key *key,
                            const struct yaml_node *node, unsigned line, const char *path)
{
    switch (key->type) {
    case CONFIG_TYPE_SECTION:
        if (node && node->kind != YAML_MAPPING)
            return fail(check, ST_BAD_INPUT, node->line, path, "must be a mapping of keys", NULL);
        return check_table(check, key->keys, node, line, path);
    case CONFIG_TYPE_LIST:
    case CONFIG_TYPE_TEXTS:
    case CONFIG_TYPE_FLAGS: return check_list(check, key, node, path);
    case CONFIG_TYPE_BOOL:
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_COUNT:
    case CONFIG_TYPE_NUMBER:
    case CONFIG_TYPE_TEXT:
    case CONFIG_TYPE_CHOICE: break;
    }
    return check_scalar(check, key, node, path);
}

static void join_path(char out[CONFIG_PATH_SIZE], const char *path, const char *name)
{
    (void)snprintf(out, CONFIG_PATH_SIZE, "%.150s%s%.100s", path, *path ? "." : "", name);
}

/* The path of a key called `name` anywhere below `keys`: right word, wrong place. */
static bool find_elsewhere(const struct config_key *keys, const char *name, const char *path,
                           char out[CONFIG_PATH_SIZE])
{
    for (; keys->name; keys++) {
        char full[CONFIG_PATH_SIZE];
        join_path(full, path, keys->name);
        if (strcmp(keys->name, name) == 0) {
            memcpy(out, full, sizeof full);
            return true;
        }
        if (keys->type == CONFIG_TYPE_LIST)
            (void)strncat(full, "[]", sizeof full - strlen(full) - 1);
        if (keys->keys && find_elsewhere(keys->keys, name, full, out)) return true;
    }
    return false;
}

static status_t fail_unknown(const struct check *check, const struct config_key *keys,
                             const struct yaml_node *node, const char *path)
{
    const char *names[MAX_KEYS + 1];
    char elsewhere[CONFIG_PATH_SIZE];
    const char *nearest;
    size_t n = 0;
    for (; n < MAX_KEYS && keys[n].name; n++) names[n] = keys[n].name;
    names[n] = NULL;
    nearest = find_elsewhere(check->schema->keys, node->key, "", elsewhere)
                  ? elsewhere
                  : config_nearest(node->key, names);
    if (nearest)
        return error_set(check->err, ST_BAD_INPUT, "%s:%u: %s: unknown key; did you mean '%s'?",
                         yaml_tree_name(check->tree), node->line, path, nearest);
    char list[CONFIG_ALLOWED_SIZE] = "";
    for (size_t i = 0; i < n; i++) {
        const size_t used = strlen(list);
        if (used + strlen(names[i]) + 3 >= sizeof list) break;
        (void)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", names[i]);
    }
    return fail(check, ST_BAD_INPUT, node->line, path, "unknown key", list);
}

/* Known keys only, each once. first_line[i] becomes the line of keys[i], 0 if absent. */
static status_t check_names(const struct check *check, const struct config_key *keys,
                            const struct yaml_node *mapping, const char *path)
{
    unsigned first_line[MAX_KEYS] = {0};
    char full[CONFIG_PATH_SIZE], text[64];
    for (const struct yaml_node *child = mapping->first; child; child = child->next) {
        size_t i = 0;
        while (keys[i].name && strcmp(keys[i].name, child->key) != 0) i++;
        join_path(full, path, child->key);
        if (!keys[i].name || i >= MAX_KEYS) return fail_unknown(check, keys, child, full);
        if (first_line[i]) {
            (void)snprintf(text, sizeof text, "given twice, first in line %u", first_line[i]);
            return fail(check, ST_BAD_INPUT, child->line, full, text, NULL);
        }
        first_line[i] = child->line;
    }
    return ST_OK;
}

/* `mapping` is NULL for an absent section; `line` is then that of its parent. */
static status_t check_table(const struct check *check, const struct config_key *keys,
                            const struct yaml_node *mapping, unsigned line, const char *path)
{
    char full[CONFIG_PATH_SIZE], allowed[CONFIG_ALLOWED_SIZE];
    status_t status = mapping ? check_names(check, keys, mapping, path) : ST_OK;
    for (const struct config_key *key = keys; status == ST_OK && key->name; key++) {
        const struct yaml_node *node = mapping ? yaml_node_child(mapping, key->name) : NULL;
        join_path(full, path, key->name);
        if (node || key->type == CONFIG_TYPE_SECTION)
            status = check_value(check, key, node, node ? node->line : line, full);
        else if (key->is_required)
            status = fail(check, ST_BAD_INPUT, line, full, "missing and required",
                          config_describe(key, allowed));
    }
    return status;
}

status_t config_check(const struct config_schema *schema, const struct yaml_tree *tree,
                      struct error *err)
{
    const struct check check = {schema, tree, err};
    const struct yaml_node *root = yaml_tree_root(tree);
    if (root->kind != YAML_MAPPING)
        return error_set(err, ST_BAD_INPUT, "%s:%u: a mapping of keys is wanted (%s file)",
                         yaml_tree_name(tree), root->line, schema->kind);
    return check_table(&check, schema->keys, root, root->line, "");
}
