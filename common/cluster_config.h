/* cluster.yaml: what `interpctl up` starts on one machine. The keys are those of its options,
 * which win over the file. Constant once loaded. */
#ifndef COMMON_CLUSTER_CONFIG_H
#define COMMON_CLUSTER_CONFIG_H

#include "common/config.h"
#include "common/error.h"
#include "common/log.h"

#include <stdint.h>

enum cluster_durability { CLUSTER_MEMORY, CLUSTER_EVERYSEC, CLUSTER_FSYNC };

struct cluster_config {
    uint32_t workers;                   /* 0: one per device of `backend`, or per core */
    uint32_t gateways;                  /* 0: one if there are providers */
    uint32_t port;                      /* of the page on 127.0.0.1; 0: one that is free */
    enum cluster_durability durability; /* when Redis' log reaches the disk */
    enum log_level log;
    double captures_max_gib; /* evidence kept on disk; 0: no limit */
    char *backend;           /* what workers compute on; NULL: the CPU */
    char *providers;         /* file, absolute or as the user's directory goes; NULL: none */
    char *state;             /* directory; NULL: the user's own */
    char *listen; /* further endpoint of the coordinator, for other machines; NULL: none */
    char *listen_key, *allow; /* its secret key, the directory of keys that may connect; or NULL */
};

extern const struct config_schema cluster_config_schema;

const char *cluster_durability_name(enum cluster_durability durability);

/* Load `path`; relative paths in it start at its directory. On ST_OK the caller owns *out.
 * Errors name file, line and key. */
MUST_CHECK status_t cluster_config_load(struct cluster_config **out, const char *path,
                                        struct error *err);
void cluster_config_destroy(struct cluster_config **config); /* NULL-safe */

#endif
