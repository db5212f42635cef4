#include "common/config.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum colour { COLOUR_RED, COLOUR_GREEN };

struct wheel {
    char *maker;
    uint32_t n_spokes;
};

struct engine {
    double power_kw;
    bool is_loud;
};

struct vehicle {
    char *name;
    int16_t floor;
    uint64_t seed;
    enum colour colour;
    unsigned lights;
    struct engine engine;
    struct wheel *wheels;
    size_t n_wheels;
    char **drivers;
    size_t n_drivers;
};

static const struct config_choice colours[] = {{"red", COLOUR_RED, false},
                                               {"green", COLOUR_GREEN, false},
                                               {"blue", -1, true},
                                               {NULL, 0, false}};
static const struct config_choice lights[] = {
    {"front", 1, false}, {"rear", 2, false}, {"fog", 4, false}, {NULL, 0, false}};
static const struct config_key wheel_keys[] = {
    CONFIG_REQUIRED_TEXT(struct wheel, maker, "who made it"),
    CONFIG_COUNT(struct wheel, n_spokes, 3, 64, "36", "spokes", "how many"), CONFIG_END};
static const struct config_key engine_keys[] = {
    CONFIG_NUMBER(struct engine, power_kw, 0.0, 1000.0, "75.5", "kW", "nominal"),
    CONFIG_BOOL(struct engine, is_loud, "false", "above 80 dB"), CONFIG_END};
static const struct config_key vehicle_keys[] = {
    CONFIG_REQUIRED_TEXT(struct vehicle, name, "what it is called"),
    CONFIG_INT(struct vehicle, floor, -5, 5, "-1", NULL, "where it is parked"),
    CONFIG_COUNT(struct vehicle, seed, 0, 9e18, NULL, NULL, "of the dice"),
    CONFIG_CHOICE(struct vehicle, colour, colours, "green", "of the paint"),
    CONFIG_FLAGS(struct vehicle, lights, lights, "front,rear", "that work"),
    CONFIG_SECTION(struct vehicle, engine, engine_keys, "what drives it"),
    CONFIG_LIST(struct vehicle, wheels, wheel_keys, 0, 4, "what it stands on"),
    CONFIG_TEXTS(struct vehicle, drivers, 0, 2, "who may drive"),
    CONFIG_END};
static const struct config_schema schema = {"vehicle", vehicle_keys, sizeof(struct vehicle)};

static status_t load(const char *yaml, struct vehicle **out, struct error *err)
{
    void *data = NULL;
    const status_t status = config_load_text(&data, &schema, yaml, strlen(yaml), "v.yaml", err);
    *out = data;
    return status;
}

static void release(struct vehicle *vehicle)
{
    void *data = vehicle;
    config_destroy(&data, &schema);
}

Test(config, fills_what_is_given)
{
    struct error err = {.status = ST_OK};
    struct vehicle *v;
    const char *yaml = "name: \"a: b \\\" é\"\nfloor: 5\nseed: 9000000000000000000\ncolour: red\n"
                       "lights: [fog]\nengine:\n  power_kw: 1e2\n  is_loud: true\n"
                       "wheels:\n- maker: x\n- {maker: y, n_spokes: 3}\ndrivers: [ann, bo]\n";
    cr_assert_eq(load(yaml, &v, &err), ST_OK, "%s", err.text);
    cr_expect_str_eq(v->name, "a: b \" é");
    cr_expect_eq(v->floor, 5);
    cr_expect_eq(v->seed, UINT64_C(9000000000000000000));
    cr_expect_eq(v->colour, COLOUR_RED);
    cr_expect_eq(v->lights, 4);
    cr_expect_eq(v->engine.power_kw, 100.0);
    cr_expect(v->engine.is_loud);
    cr_assert_eq(v->n_wheels, 2);
    cr_expect_str_eq(v->wheels[0].maker, "x");
    cr_expect_eq(v->wheels[0].n_spokes, 36, "default inside a list");
    cr_expect_eq(v->wheels[1].n_spokes, 3);
    cr_assert_eq(v->n_drivers, 2);
    cr_expect_str_eq(v->drivers[1], "bo");
    release(v);
}

Test(config, absent_keys_get_their_defaults)
{
    struct error err = {.status = ST_OK};
    struct vehicle *v;
    cr_assert_eq(load("name: x", &v, &err), ST_OK, "%s", err.text);
    cr_expect_eq(v->floor, -1);
    cr_expect_eq(v->seed, 0);
    cr_expect_eq(v->colour, COLOUR_GREEN);
    cr_expect_eq(v->lights, 3);
    cr_expect_eq(v->engine.power_kw, 75.5);
    cr_expect_not(v->engine.is_loud);
    cr_expect_eq(v->n_wheels + v->n_drivers, 0);
    release(v);
}

Test(config, errors_name_line_key_and_what_is_allowed)
{
    static const struct {
        const char *yaml;
        status_t status;
        const char *text;
    } cases[] = {
        {"name: x\nflor: 1\n", ST_BAD_INPUT, "v.yaml:2: flor: unknown key; did you mean 'floor'?"},
        {"name: x\nzzzzzzzz: 1\n", ST_BAD_INPUT,
         "v.yaml:2: zzzzzzzz: unknown key; allowed: name, floor, seed, colour, lights, engine, "
         "wheels, drivers"},
        {"\n\nfloor: 1\n", ST_BAD_INPUT, "v.yaml:3: name: missing and required; allowed: text"},
        {"name: x\nfloor: 5 min\n", ST_BAD_INPUT,
         "v.yaml:2: floor: '5 min' is not a whole number; allowed: whole number, -5 to 5"},
        {"name: x\nfloor: 010\n", ST_BAD_INPUT,
         "v.yaml:2: floor: '010' is not a whole number; allowed: whole number, -5 to 5"},
        {"name: x\nfloor: 6\n", ST_BAD_INPUT,
         "v.yaml:2: floor: '6' is out of range; allowed: whole number, -5 to 5"},
        {"name: x\nseed: -1\n", ST_BAD_INPUT,
         "v.yaml:2: seed: '-1' is not a whole number; allowed: whole number, at least 0"},
        {"name: x\nseed: 99999999999999999999999\n", ST_BAD_INPUT,
         "v.yaml:2: seed: '99999999999999999999999' is out of range; allowed: whole number, at "
         "least 0"},
        {"name: x\nengine:\n  power_kw: nan\n", ST_BAD_INPUT,
         "v.yaml:3: engine.power_kw: 'nan' is not a number; allowed: number of kW, 0 to 1000"},
        {"name: x\nengine:\n  is_loud: yes\n", ST_BAD_INPUT,
         "v.yaml:3: engine.is_loud: 'yes' is no boolean; allowed: true | false"},
        {"name: x\nengine: 3\n", ST_BAD_INPUT, "v.yaml:2: engine: must be a mapping of keys"},
        {"name: x\nwheels:\n- maker: a\n- n_spokes: 4\n", ST_BAD_INPUT,
         "v.yaml:4: wheels[1].maker: missing and required; allowed: text"},
        {"name: x\nwheels: {}\n", ST_BAD_INPUT,
         "v.yaml:2: wheels: a list is wanted here; allowed: a list of 0 to 4 mappings"},
        {"name: x\ndrivers: [a, b, c]\n", ST_BAD_INPUT,
         "v.yaml:2: drivers: wrong number of items; allowed: a list of 0 to 2 texts"},
        {"name: x\ncolour: pink\n", ST_BAD_INPUT,
         "v.yaml:2: colour: 'pink' is unknown; allowed: red | green"},
        {"name: x\ncolour: blue\n", ST_UNSUPPORTED,
         "v.yaml:2: colour: 'blue' is not built yet; allowed: red | green"},
        {"name: x\nlights: [front, rear, x]\n", ST_BAD_INPUT,
         "v.yaml:2: lights[2]: 'x' is unknown; allowed: a list of front | rear | fog"},
        {"name: x\nfloor: 1\nfloor: 1\n", ST_BAD_INPUT,
         "v.yaml:3: floor: given twice, first in line 2"},
        {"name:\nfloor: 1\n", ST_BAD_INPUT, "v.yaml:1: name: has no value; allowed: text"},
        {"name: [a]\n", ST_BAD_INPUT, "v.yaml:1: name: one value is wanted here; allowed: text"},
        {"- a\n", ST_BAD_INPUT, "v.yaml:1: a mapping of keys is wanted (vehicle file)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {.status = ST_OK};
        struct vehicle *v;
        cr_expect_eq(load(cases[i].yaml, &v, &err), cases[i].status, "case %zu", i);
        cr_expect_str_eq(err.text, cases[i].text);
        cr_expect_null(v);
    }
}

Test(config, hostile_yaml_is_refused)
{
    static const struct {
        const char *yaml;
        status_t status;
        const char *text;
    } cases[] = {
        {"", ST_BAD_INPUT, "v.yaml:1: empty"},
        {"name: &a x\n", ST_UNSUPPORTED, "v.yaml:1: anchors (&) and tags (!) are not allowed here"},
        {"name: x\nseed: *a\n", ST_UNSUPPORTED, "v.yaml:2: aliases (*) are not allowed here"},
        {"name: !!str x\n", ST_UNSUPPORTED,
         "v.yaml:1: anchors (&) and tags (!) are not allowed here"},
        {"name: x\n---\nname: y\n", ST_BAD_INPUT,
         "v.yaml:2: a second document starts; one is wanted"},
        {"[a]: b\n", ST_BAD_INPUT, "v.yaml:1: a key must be text, not a list or mapping"},
        {"name: \"a\\0b\"\n", ST_BAD_INPUT, "v.yaml:1: a NUL inside a value"},
        {"name: x\nwheels: [[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]", ST_TOO_LARGE,
         "v.yaml:2: nested more than 16 deep"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {.status = ST_OK};
        struct vehicle *v;
        cr_expect_eq(load(cases[i].yaml, &v, &err), cases[i].status, "case %zu", i);
        cr_expect_str_eq(err.text, cases[i].text);
    }
}

Test(config, size_and_number_of_values_are_bounded)
{
    const size_t n = YAML_MAX_BYTES + 1;
    char *text = malloc(n);
    struct error err = {.status = ST_OK};
    void *data = NULL;
    cr_assert_not_null(text);
    memset(text, ' ', n);
    cr_expect_eq(config_load_text(&data, &schema, text, n, "v.yaml", &err), ST_TOO_LARGE);
    error_clear(&err);
    text[0] = '[';
    for (size_t i = 1; i + 1 < n; i += 2) memcpy(text + i, "a,", 2);
    cr_expect_eq(config_load_text(&data, &schema, text, n - 1, "v.yaml", &err), ST_TOO_LARGE);
    cr_expect_str_eq(err.text, "v.yaml:1: more than 65536 values");
    free(text);
}

Test(config, json_reads_back_to_the_same_config)
{
    struct error err = {.status = ST_OK};
    struct vehicle *v, *again;
    const char *yaml = "name: 'tab\tand \"quote\" \\ é 😀'\nlights: []\nwheels: [{maker: m}]\n"
                       "engine: {power_kw: 0.1}\ndrivers: ['1']\n";
    json_t *json;
    char *text, *text_again;
    cr_assert_eq(load(yaml, &v, &err), ST_OK, "%s", err.text);
    json = config_to_json(&schema, v);
    text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(json);
    cr_assert_eq(load(text, &again, &err), ST_OK, "%s: %s", err.text, text);
    json = config_to_json(&schema, again);
    text_again = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(json);
    cr_expect_str_eq(text, text_again);
    cr_expect_str_eq(again->name, v->name);
    free(text);
    free(text_again);
    release(v);
    release(again);
}

Test(config, error_finds_the_line_of_a_path)
{
    struct error err = {.status = ST_OK};
    struct yaml_tree *tree = NULL;
    const char *yaml = "name: x\nwheels:\n- maker: a\n- maker: b\n  n_spokes: 4\n";
    cr_assert_eq(yaml_tree_parse(&tree, yaml, strlen(yaml), "v.yaml", &err), ST_OK);
    cr_expect_eq(config_error(tree, "wheels[1].n_spokes", &err, ST_CONFLICT, "odd: %d", 4),
                 ST_CONFLICT);
    cr_expect_str_eq(err.text, "v.yaml:5: wheels[1].n_spokes: odd: 4");
    error_clear(&err);
    (void)config_error(tree, "wheels[1].absent", &err, ST_BAD_INPUT, "x");
    cr_expect_str_eq(err.text, "v.yaml:4: wheels[1].absent: x", "nearest present parent");
    yaml_tree_destroy(&tree);
}

Test(config, nearest_is_by_edit_distance_and_may_be_none)
{
    static const char *const names[] = {"window_tokens", "context_tokens", "packing", NULL};
    cr_expect_str_eq(config_nearest("window_token", names), "window_tokens");
    cr_expect_str_eq(config_nearest("contxt_tokens", names), "context_tokens");
    cr_expect_null(config_nearest("colour", names));
    cr_expect_null(config_nearest("", names));
}

Test(config, help_lists_every_key_with_its_default)
{
    struct error err = {.status = ST_OK};
    struct buffer out;
    buffer_init(&out, 1 << 16);
    cr_assert_eq(config_help(&schema, &out, &err), ST_OK);
    const char *text = buffer_text(&out);
    cr_expect_not_null(strstr(text, "engine.power_kw"));
    cr_expect_not_null(strstr(text, "number of kW, 0 to 1000; default 75.5"));
    cr_expect_not_null(strstr(text, "wheels[].maker"));
    cr_expect_not_null(strstr(text, "text; required"));
    cr_expect_not_null(strstr(text, "red | green; default green"));
    buffer_fini(&out);
}

Test(config, a_file_that_is_not_there_is_named)
{
    struct error err = {.status = ST_OK};
    void *data = NULL;
    cr_expect_eq(config_load_file(&data, &schema, "/nonexistent/v.yaml", &err), ST_NOT_FOUND);
    cr_expect_not_null(strstr(err.text, "/nonexistent/v.yaml"));
}
