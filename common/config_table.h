/* Inside common/config: the steps between a checked tree and a filled struct. Nobody else
 * includes this. */
#ifndef COMMON_CONFIG_TABLE_H
#define COMMON_CONFIG_TABLE_H

#include "common/config.h"

#include <cyaml/cyaml.h>

enum { CONFIG_PATH_SIZE = 256, CONFIG_ALLOWED_SIZE = 256 };

/* What `key` allows, for errors and help: "whole number of ms, 10 to 60000". Returns out. */
char *config_describe(const struct config_key *key, char out[CONFIG_ALLOWED_SIZE]);

/* Is every key known, present where required, once, and its value allowed? */
MUST_CHECK status_t config_check(const struct config_schema *schema, const struct yaml_tree *tree,
                                 struct error *err);

/* The choice called `name`, or NULL. */
const struct config_choice *config_choice_find(const struct config_choice *choices,
                                               const char *name);

/* A libcyaml schema built out of a table; freed as a whole. */
struct config_cyaml {
    cyaml_schema_value_t top;
    struct config_cyaml_block *blocks; /* everything `top` points at */
};
MUST_CHECK status_t config_cyaml_init(struct config_cyaml *schema,
                                      const struct config_schema *table, struct error *err);
void config_cyaml_fini(struct config_cyaml *schema);

#endif
