#include "coordinator/intake/hash_key.h"

#include "common/hash.h"

#include <string.h>

status_t hash_key_check(const struct yaml_tree *tree, const char *key, const char *hash,
                        const char *path, struct error *err)
{
    if (!hash) return ST_OK;
    if (!path) return config_error(tree, key, err, ST_BAD_INPUT, "of no file that is named");
    if (strlen(hash) != HASH_HEX_SIZE - 1 || strspn(hash, "0123456789abcdef") != HASH_HEX_SIZE - 1)
        return config_error(tree, key, err, ST_BAD_INPUT,
                            "64 hexadecimal digits in lower case are wanted");
    return ST_OK;
}
