/* providers.yaml: which LLM endpoints there are, what they allow, what they cost.
 *
 * Read by gateways (to send), and by the coordinator and interpctl (model names, families,
 * prices for estimates). It names where an API key is, never the key. Constant once loaded. */
#ifndef COORDINATOR_GATEWAY_PROVIDER_CONFIG_H
#define COORDINATOR_GATEWAY_PROVIDER_CONFIG_H

#include "common/config.h"
#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PROVIDERS_MAX = 64, PROVIDER_KEY_MAX = 4096 };

enum structured_output {
    STRUCTURED_NONE,        /* ask for JSON in the prompt alone */
    STRUCTURED_JSON_OBJECT, /* response_format {"type": "json_object"} */
    STRUCTURED_JSON_SCHEMA  /* response_format {"type": "json_schema", ...}, strict */
};

/* How much output a send reserves of the token limits (of money always the worst case). */
enum reserve_output {
    RESERVE_MAX_TOKENS, /* never over the limit */
    RESERVE_P90         /* what nine of ten replies stayed below: for endpoints that count output as
                           it is written, where max_tokens would leave most of the limit unused */
};

struct provider {
    char *name;
    char *base_url; /* up to and without "/chat/completions" */
    char *model;
    char *family;                  /* who trained it: explainer and judge should differ */
    char *api_key_env;             /* NULL if none */
    char *api_key_file;            /* NULL if none */
    char *ca_file;                 /* certificates to trust, PEM; NULL: the system's */
    uint64_t rpm, itpm, otpm, tpm; /* per minute; 0: no such limit */
    uint32_t max_in_flight;
    double burst_seconds;
    bool refund_unused;
    bool count_failures;
    double dollars_per_million_input, dollars_per_million_output;
    enum reserve_output reserve_output;
    enum structured_output structured_output;
    bool logprobs;
    uint32_t timeout_seconds, connect_timeout_seconds;
    char *fallback; /* NULL if none */

    bool batch; /* calls are collected and go through /files and /batches, at a lower price */
    double batch_price_share;
    uint32_t batch_max_calls; /* of one batch */
    uint64_t batch_max_bytes; /* of its file */
    double batch_wait_seconds, batch_poll_seconds;
    uint32_t batch_timeout_seconds;
    uint64_t batch_enqueued_tokens; /* input tokens in all batches at once; 0: no such limit */
};

struct provider_config {
    double dollars_per_day; /* of all sweeps together; 0: no limit */
    struct provider *providers;
    size_t n_providers;
};

extern const struct config_schema provider_config_schema;

/* Read and check a file: names unique, URLs http or https, fallbacks exist, a key never travels
 * in the clear to another machine. On ST_OK the caller owns *out. Errors name file, line, key. */
MUST_CHECK status_t provider_config_load(struct provider_config **out, const char *path,
                                         struct error *err);
void provider_config_destroy(struct provider_config **config); /* NULL-safe */

/* The provider called `name`, or NULL. */
const struct provider *provider_find(const struct provider_config *config, const char *name);

/* Nothing is published about this endpoint's rate: concurrency is adapted instead. */
bool provider_is_adaptive(const struct provider *provider);

/* Most seconds between the grant of a call and word of it: the lease of its reservation. */
uint64_t provider_lease_seconds(const struct provider *provider);

/* Microdollars for a million input and output tokens, as whole numbers (batch_price_share is in
 * them). */
int64_t provider_price_in(const struct provider *provider);
int64_t provider_price_out(const struct provider *provider);

/* Price of so many tokens, rounded up to whole microdollars. */
int64_t provider_microdollars(const struct provider *provider, uint64_t tokens_in,
                              uint64_t tokens_out);

/* The API key from environment or file into key[PROVIDER_KEY_MAX], "" if none is configured.
 * Errors: ST_NOT_FOUND (variable or file), ST_BAD_INPUT (empty, control bytes, too long); the
 * text never holds the key. */
MUST_CHECK status_t provider_read_key(const struct provider *provider, char key[PROVIDER_KEY_MAX],
                                      struct error *err);

#endif
