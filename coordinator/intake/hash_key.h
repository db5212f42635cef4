/* Keys of a sweep file that name the content of a file which the sweep brings: `circuit_sha256` of
 * `circuit`. Pure; any thread. */
#ifndef COORDINATOR_INTAKE_HASH_KEY_H
#define COORDINATOR_INTAKE_HASH_KEY_H

#include "common/config.h"

/* Is `hash` (NULL: not given) spelled as one, and of a file that is named, `path`? ST_BAD_INPUT, by
 * key. */
MUST_CHECK status_t hash_key_check(const struct yaml_tree *tree, const char *key, const char *hash,
                                   const char *path, struct error *err);

#endif
