/* Configuration files: one table per file kind says what each key is, and drives parsing,
 * range checks, help text, JSON and the documents.
 *
 *   YAML text -> yaml_tree (lines) -> checked against the table -> libcyaml fills the struct
 *             -> defaults of absent keys
 *
 * libcyaml does the loading, from a schema built out of the table. It cannot name the nearest
 * valid key, check ranges or apply defaults, so the tree is checked first; every user error is
 * one line "file:line: key: what is wrong, what is allowed". Unknown and repeated keys are
 * errors. Whole numbers are decimal without leading zeros; booleans are true or false.
 *
 * A table is a static array of struct config_key made with the CONFIG_* macros and closed by
 * CONFIG_END; the key's name is the member's name. Pure functions; any thread. Example:
 *
 *   struct settings { char *store_url; uint32_t heartbeat_ms; };
 *   static const struct config_key settings_keys[] = {
 *       CONFIG_TEXT(struct settings, store_url, "unix:/run/redis.sock", "Redis address"),
 *       CONFIG_COUNT(struct settings, heartbeat_ms, 10, 60000, "500", "ms", "how often"),
 *       CONFIG_END};
 *   const struct config_schema settings_schema = {"cluster", settings_keys,
 *                                                 sizeof(struct settings)}; */
#ifndef COMMON_CONFIG_H
#define COMMON_CONFIG_H

#include "common/buffer.h"
#include "common/error.h"
#include "common/yaml_tree.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_type {
    CONFIG_TYPE_BOOL,    /* bool */
    CONFIG_TYPE_INT,     /* signed integer of any width */
    CONFIG_TYPE_COUNT,   /* unsigned integer of any width */
    CONFIG_TYPE_NUMBER,  /* double */
    CONFIG_TYPE_TEXT,    /* char *, owned, never empty; NULL if absent without a default */
    CONFIG_TYPE_CHOICE,  /* an enum */
    CONFIG_TYPE_FLAGS,   /* unsigned: a list of names, or-ed */
    CONFIG_TYPE_TEXTS,   /* char **, owned, and a size_t count */
    CONFIG_TYPE_SECTION, /* an embedded struct with its own keys */
    CONFIG_TYPE_LIST     /* T *, owned, and a size_t count: a list of such structs */
};

struct config_choice {
    const char *name; /* NULL ends an array of choices */
    int value;
    bool is_reserved; /* a known word that this version refuses by name */
};

struct config_key {
    const char *name;
    enum config_type type;
    bool is_required;
    size_t offset;
    size_t size;                         /* of the member; of one item for lists */
    size_t count_offset;                 /* lists: where the size_t count is */
    double min, max;                     /* numbers, and how many items of a list */
    const char *default_text;            /* as written in YAML; NULL: zero, NULL or empty */
    const char *unit;                    /* "ms", "tokens", "USD"; NULL if none */
    const char *help;                    /* one line */
    const struct config_choice *choices; /* choice, flags */
    const struct config_key *keys;       /* section, list */
};

#define CONFIG_KEY_(kind_, struct_, member_, ...)                                                  \
    {                                                                                              \
        .name = #member_, .type = (kind_), .offset = offsetof(struct_, member_),                   \
        .size = sizeof(((struct_ *)0)->member_), __VA_ARGS__                                       \
    }
#define CONFIG_BOOL(struct_, member_, default_, help_)                                             \
    CONFIG_KEY_(CONFIG_TYPE_BOOL, struct_, member_, .default_text = (default_), .help = (help_))
#define CONFIG_INT(struct_, member_, min_, max_, default_, unit_, help_)                           \
    CONFIG_KEY_(CONFIG_TYPE_INT, struct_, member_, .min = (double)(min_), .max = (double)(max_),   \
                .default_text = (default_), .unit = (unit_), .help = (help_))
#define CONFIG_COUNT(struct_, member_, min_, max_, default_, unit_, help_)                         \
    CONFIG_KEY_(CONFIG_TYPE_COUNT, struct_, member_, .min = (double)(min_), .max = (double)(max_), \
                .default_text = (default_), .unit = (unit_), .help = (help_))
#define CONFIG_NUMBER(struct_, member_, min_, max_, default_, unit_, help_)                        \
    CONFIG_KEY_(CONFIG_TYPE_NUMBER, struct_, member_, .min = (min_), .max = (max_),                \
                .default_text = (default_), .unit = (unit_), .help = (help_))
#define CONFIG_TEXT(struct_, member_, default_, help_)                                             \
    CONFIG_KEY_(CONFIG_TYPE_TEXT, struct_, member_, .default_text = (default_), .help = (help_))
#define CONFIG_REQUIRED_TEXT(struct_, member_, help_)                                              \
    CONFIG_KEY_(CONFIG_TYPE_TEXT, struct_, member_, .is_required = true, .help = (help_))
#define CONFIG_CHOICE(struct_, member_, choices_, default_, help_)                                 \
    CONFIG_KEY_(CONFIG_TYPE_CHOICE, struct_, member_, .choices = (choices_),                       \
                .default_text = (default_), .help = (help_))
/* default_ of flags: names with commas, "detection,fuzzing". */
#define CONFIG_FLAGS(struct_, member_, choices_, default_, help_)                                  \
    CONFIG_KEY_(CONFIG_TYPE_FLAGS, struct_, member_, .choices = (choices_),                        \
                .default_text = (default_), .help = (help_))
/* The count is the member n_<member>, a size_t; min_ > 0 makes the key required. */
#define CONFIG_TEXTS(struct_, member_, min_, max_, help_)                                          \
    {                                                                                              \
        .name = #member_, .type = CONFIG_TYPE_TEXTS, .is_required = (min_) > 0,                    \
        .offset = offsetof(struct_, member_), .size = sizeof(char *),                              \
        .count_offset = offsetof(struct_, n_##member_), .min = (min_), .max = (max_),              \
        .help = (help_)                                                                            \
    }
#define CONFIG_LIST(struct_, member_, keys_, min_, max_, help_)                                    \
    {                                                                                              \
        .name = #member_, .type = CONFIG_TYPE_LIST, .is_required = (min_) > 0,                     \
        .offset = offsetof(struct_, member_), .size = sizeof(*((struct_ *)0)->member_),            \
        .count_offset = offsetof(struct_, n_##member_), .min = (min_), .max = (max_),              \
        .help = (help_), .keys = (keys_)                                                           \
    }
/* An absent section gets the defaults of its keys, unless one of them is required. */
#define CONFIG_SECTION(struct_, member_, keys_, help_)                                             \
    CONFIG_KEY_(CONFIG_TYPE_SECTION, struct_, member_, .help = (help_), .keys = (keys_))
#define CONFIG_END                                                                                 \
    {                                                                                              \
        .name = NULL                                                                               \
    }

struct config_schema {
    const char *kind; /* what the file is called in help: "sweep", "providers" */
    const struct config_key *keys;
    size_t size; /* of the struct that is filled */
};

/* Check `tree` against `schema` and fill a new struct. On ST_OK the caller owns *out and passes
 * it to config_destroy() with the same schema. Errors: ST_BAD_INPUT, ST_UNSUPPORTED (a reserved
 * word), ST_NO_MEMORY; *out untouched. */
MUST_CHECK status_t config_load(void **out, const struct config_schema *schema,
                                const struct yaml_tree *tree, struct error *err);
void config_destroy(void **config, const struct config_schema *schema); /* NULL-safe */

/* yaml_tree_parse + config_load; config_load_file reads at most YAML_MAX_BYTES of `path`. */
MUST_CHECK status_t config_load_text(void **out, const struct config_schema *schema,
                                     const char *text, size_t n_bytes, const char *name,
                                     struct error *err);
MUST_CHECK status_t config_load_file(void **out, const struct config_schema *schema,
                                     const char *path, struct error *err);

/* Record "name:line: path: text" for checks that span keys. The line is that of the key at
 * `path` ("corpus.window_tokens", "targets[1].features"), or of its nearest present parent. */
status_t config_error(const struct yaml_tree *tree, const char *path, struct error *err,
                      status_t status, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* The nearest of the `names` (NULL-terminated) by edit distance, or NULL if none is near
 * (more than a third of the letters differ, at least 2). */
const char *config_nearest(const char *word, const char *const *names);

/* Every key as a JSON object with the values in force, absent texts left out. NULL without
 * memory. The caller owns the reference. Dumped compactly with sorted keys, the text is itself
 * a file that config_load_text() reads back to an equal struct. */
json_t *config_to_json(const struct config_schema *schema, const void *config);

/* One line per key: name, type, allowed values, default, help. */
MUST_CHECK status_t config_help(const struct config_schema *schema, struct buffer *out,
                                struct error *err);

#endif
