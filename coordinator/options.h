/* The coordinator's command line. */
#ifndef COORDINATOR_OPTIONS_H
#define COORDINATOR_OPTIONS_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>

enum { COORDINATOR_ENDPOINTS_MAX = 8 };

struct coordinator_options {
    const char *store_url;
    const char *endpoints[COORDINATOR_ENDPOINTS_MAX];
    size_t n_endpoints;
    const char *key_file, *allow_directory; /* both or none: CURVE on tcp endpoints */
    bool is_insecure;                       /* other machines may connect without keys */
    const char *data_directory;
    const char *http_listen;       /* NULL: no page */
    const char *prompts_directory; /* NULL: only the lexical explainer */
    const char *providers_file;    /* NULL: none */
    size_t n_background;           /* threads for scoring and planning */
    size_t captures_max_bytes;     /* evidence kept on disk; 0: no limit */
    size_t checkpoint_bytes;       /* captured results between two checkpoints */
    int log_level;
};

/* Errors: ST_BAD_INPUT names the option. */
MUST_CHECK status_t coordinator_options_parse(int argc, char **argv,
                                              struct coordinator_options *out, struct error *err);
const char *coordinator_usage(void);

#endif
