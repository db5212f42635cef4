#include "coordinator/gateway/provider_config.h"

#include "common/file.h"
#include "coordinator/gateway/call.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct config_choice structured_choices[] = {
    {"none", STRUCTURED_NONE, false},
    {"json_object", STRUCTURED_JSON_OBJECT, false},
    {"json_schema", STRUCTURED_JSON_SCHEMA, false},
    {NULL, 0, false},
};

static const struct config_choice reserve_choices[] = {
    {"max_tokens", RESERVE_MAX_TOKENS, false},
    {"p90", RESERVE_P90, false},
    {NULL, 0, false},
};

static const struct config_key provider_keys[] = {
    CONFIG_REQUIRED_TEXT(struct provider, name, "how sweeps call it; letters, digits, . _ -"),
    CONFIG_REQUIRED_TEXT(struct provider, base_url,
                         "OpenAI-compatible address, without /chat/completions"),
    CONFIG_REQUIRED_TEXT(struct provider, model, "model name that is sent in every request"),
    CONFIG_REQUIRED_TEXT(struct provider, family,
                         "model family; explainer and judge should be of different ones"),
    CONFIG_TEXT(struct provider, api_key_env, NULL, "environment variable that holds the key"),
    CONFIG_TEXT(struct provider, api_key_file, NULL, "file that holds the key"),
    CONFIG_TEXT(struct provider, ca_file, NULL,
                "certificates to trust for this endpoint, PEM; default: the system's"),
    CONFIG_COUNT(struct provider, rpm, 0, 1e9, "0", "requests per minute", "0: no such limit"),
    CONFIG_COUNT(struct provider, itpm, 0, 1e12, "0", "input tokens per minute",
                 "0: no such limit"),
    CONFIG_COUNT(struct provider, otpm, 0, 1e12, "0", "output tokens per minute",
                 "0: no such limit"),
    CONFIG_COUNT(struct provider, tpm, 0, 1e12, "0", "tokens per minute",
                 "input and output together; 0: no such limit"),
    CONFIG_COUNT(struct provider, max_in_flight, 1, 4096, "64", "calls",
                 "most at once, over all gateways"),
    CONFIG_NUMBER(struct provider, burst_seconds, 1, 600, "10", "s",
                  "depth of the provider's own bucket, in seconds of its rate"),
    CONFIG_BOOL(struct provider, refund_unused, "true",
                "tokens of max_tokens that were not used do not count against the limits"),
    CONFIG_CHOICE(struct provider, reserve_output, reserve_choices, "max_tokens",
                  "output that a call reserves of the limits; p90: what 9 of 10 replies need"),
    CONFIG_BOOL(struct provider, count_failures, "true",
                "refused and failed requests count against the limits"),
    CONFIG_NUMBER(struct provider, dollars_per_million_input, 0, 1e6, "0", "USD",
                  "price of 1,000,000 input tokens"),
    CONFIG_NUMBER(struct provider, dollars_per_million_output, 0, 1e6, "0", "USD",
                  "price of 1,000,000 output tokens"),
    CONFIG_CHOICE(struct provider, structured_output, structured_choices, "none",
                  "what response_format the endpoint takes"),
    CONFIG_BOOL(struct provider, logprobs, "false", "the endpoint returns log probabilities"),
    CONFIG_COUNT(struct provider, timeout_seconds, 1, 3600, "120", "s", "of a whole request"),
    CONFIG_COUNT(struct provider, connect_timeout_seconds, 1, 300, "10", "s", "of connecting"),
    CONFIG_TEXT(struct provider, fallback, NULL,
                "provider that answers while this one's breaker is open"),
    CONFIG_BOOL(struct provider, batch, "false",
                "collect calls and send them through /files and /batches"),
    CONFIG_NUMBER(struct provider, batch_price_share, 0, 1, "0.5", "share",
                  "batch: of the prices above that a call in a batch costs"),
    CONFIG_COUNT(struct provider, batch_max_calls, 1, 50000, "5000", "calls", "batch: most in one"),
    CONFIG_COUNT(struct provider, batch_max_bytes, 1 << 20, 128 << 20, "67108864", "bytes",
                 "batch: most in one file"),
    CONFIG_NUMBER(struct provider, batch_wait_seconds, 0, 86400, "60", "s",
                  "batch: the first call of one waits at most so long for others"),
    CONFIG_NUMBER(struct provider, batch_poll_seconds, 0.1, 3600, "30", "s",
                  "batch: how often its state is asked"),
    CONFIG_COUNT(struct provider, batch_timeout_seconds, 1, 864000, "90000", "s",
                 "batch: it is cancelled after this, what is not done is sent again"),
    CONFIG_COUNT(struct provider, batch_enqueued_tokens, 0, 1e12, "0", "tokens",
                 "batch: input tokens in all unfinished ones together; 0: no such limit"),
    CONFIG_END};

static const struct config_key file_keys[] = {
    CONFIG_NUMBER(struct provider_config, dollars_per_day, 0, 1e9, "0", "USD",
                  "most that all sweeps together may spend in a day (UTC); 0: no limit"),
    CONFIG_LIST(struct provider_config, providers, provider_keys, 1, PROVIDERS_MAX,
                "the endpoints"),
    CONFIG_END};

const struct config_schema provider_config_schema = {"providers", file_keys,
                                                     sizeof(struct provider_config)};

static status_t complain(const struct yaml_tree *tree, size_t i, const char *key, struct error *err,
                         const char *what)
{
    char path[64];
    (void)snprintf(path, sizeof path, "providers[%zu].%s", i, key);
    return config_error(tree, path, err, ST_BAD_INPUT, "%s", what);
}

static bool is_loopback(const char *host)
{
    static const char *const names[] = {"127.", "localhost", "[::1]"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strncmp(host, names[i], strlen(names[i])) == 0) return true;
    return false;
}

static status_t check_url(const struct yaml_tree *tree, size_t i, const struct provider *provider,
                          struct error *err)
{
    const bool is_plain = strncmp(provider->base_url, "http://", 7) == 0;
    if (!is_plain && strncmp(provider->base_url, "https://", 8) != 0)
        return complain(tree, i, "base_url", err, "must begin with https:// or http://");
    if (strpbrk(provider->base_url, " \t\r\n@?#"))
        return complain(tree, i, "base_url", err, "must hold no blank, '@', '?' or '#'");
    if (is_plain && (provider->api_key_env || provider->api_key_file) &&
        !is_loopback(provider->base_url + 7))
        return complain(tree, i, "base_url", err, "a key would travel in the clear: use https://");
    return ST_OK;
}

static status_t check_batch(const struct yaml_tree *tree, const struct provider_config *config,
                            size_t i, struct error *err)
{
    const struct provider *provider = &config->providers[i];
    const struct provider *fallback =
        provider->fallback ? provider_find(config, provider->fallback) : NULL;
    if (fallback && fallback->batch)
        return complain(tree, i, "fallback", err, "a fallback answers at once: no batch provider");
    if (provider->batch && (provider->rpm || provider->itpm || provider->otpm || provider->tpm))
        return complain(tree, i, "batch", err,
                        "batches have their own limit, batch_enqueued_tokens: drop rpm, itpm, "
                        "otpm and tpm");
    return ST_OK;
}

static status_t check_provider(const struct yaml_tree *tree, const struct provider_config *config,
                               size_t i, struct error *err)
{
    const struct provider *provider = &config->providers[i];
    if (!call_name_is_valid(provider->name))
        return complain(tree, i, "name", err, "1 to 64 letters, digits, '.', '_' or '-'");
    for (size_t j = 0; j < i; j++)
        if (strcmp(provider->name, config->providers[j].name) == 0)
            return complain(tree, i, "name", err, "another provider has this name");
    if (provider->api_key_env && provider->api_key_file)
        return complain(tree, i, "api_key_file", err, "give api_key_env or api_key_file, not both");
    if (provider->fallback && (strcmp(provider->fallback, provider->name) == 0 ||
                               !provider_find(config, provider->fallback)))
        return complain(tree, i, "fallback", err, "must name another provider of this file");
    const status_t status = check_batch(tree, config, i, err);
    return status == ST_OK ? check_url(tree, i, provider, err) : status;
}

status_t provider_config_load(struct provider_config **out, const char *path, struct error *err)
{
    char *text = NULL;
    size_t n_bytes = 0;
    struct yaml_tree *tree = NULL;
    void *config = NULL;
    status_t status = file_read(path, YAML_MAX_BYTES, &text, &n_bytes, err);
    if (status == ST_OK) status = yaml_tree_parse(&tree, text, n_bytes, path, err);
    if (status == ST_OK) status = config_load(&config, &provider_config_schema, tree, err);
    if (status == ST_OK) {
        const struct provider_config *loaded = config;
        for (size_t i = 0; status == ST_OK && i < loaded->n_providers; i++)
            status = check_provider(tree, loaded, i, err);
    }
    if (status == ST_OK)
        *out = config;
    else
        config_destroy(&config, &provider_config_schema);
    yaml_tree_destroy(&tree);
    free(text);
    return status;
}

void provider_config_destroy(struct provider_config **config)
{
    void *plain = *config;
    config_destroy(&plain, &provider_config_schema);
    *config = NULL;
}

const struct provider *provider_find(const struct provider_config *config, const char *name)
{
    for (size_t i = 0; i < config->n_providers; i++)
        if (strcmp(config->providers[i].name, name) == 0) return &config->providers[i];
    return NULL;
}

bool provider_is_adaptive(const struct provider *provider)
{
    return !provider->batch && !provider->rpm && !provider->itpm && !provider->otpm &&
           !provider->tpm;
}

uint64_t provider_lease_seconds(const struct provider *provider)
{
    /* a batch is collected, uploaded, run, perhaps cancelled, and fetched */
    if (provider->batch)
        return (uint64_t)provider->batch_timeout_seconds +
               (uint64_t)ceil(provider->batch_wait_seconds) + 3600;
    return (uint64_t)provider->timeout_seconds + 10;
}

static int64_t price(const struct provider *provider, double dollars_per_million)
{
    return llround(dollars_per_million * 1e6 * (provider->batch ? provider->batch_price_share : 1));
}

int64_t provider_price_in(const struct provider *provider)
{
    return price(provider, provider->dollars_per_million_input);
}

int64_t provider_price_out(const struct provider *provider)
{
    return price(provider, provider->dollars_per_million_output);
}

/* Prices as whole microdollars per million tokens keep the sum exact. */
int64_t provider_microdollars(const struct provider *provider, uint64_t tokens_in,
                              uint64_t tokens_out)
{
    int64_t cost_in, cost_out, cost;
    if (tokens_in > INT64_MAX || tokens_out > INT64_MAX ||
        __builtin_mul_overflow((int64_t)tokens_in, provider_price_in(provider), &cost_in) ||
        __builtin_mul_overflow((int64_t)tokens_out, provider_price_out(provider), &cost_out) ||
        __builtin_add_overflow(cost_in, cost_out, &cost) ||
        __builtin_add_overflow(cost, 999999, &cost))
        return INT64_MAX / 1000000;
    return cost / 1000000;
}

static status_t take_key(char key[PROVIDER_KEY_MAX], const char *text, const char *source,
                         struct error *err)
{
    const size_t skipped = strspn(text, " \t\r\n");
    const size_t length = strcspn(text + skipped, " \t\r\n");
    const char *rest = text + skipped + length;
    if (length == 0) return error_set(err, ST_BAD_INPUT, "%s holds no API key", source);
    if (length >= PROVIDER_KEY_MAX || rest[strspn(rest, " \t\r\n")])
        return error_set(err, ST_BAD_INPUT, "%s must hold one API key and nothing else", source);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[skipped + i] < 0x21 || (unsigned char)text[skipped + i] > 0x7e)
            return error_set(err, ST_BAD_INPUT, "%s: the API key holds odd bytes", source);
    memcpy(key, text + skipped, length);
    key[length] = '\0';
    return ST_OK;
}

status_t provider_read_key(const struct provider *provider, char key[PROVIDER_KEY_MAX],
                           struct error *err)
{
    char source[300];
    key[0] = '\0';
    if (provider->api_key_env) {
        const char *value = getenv(provider->api_key_env);
        (void)snprintf(source, sizeof source, "provider %s: environment variable %s",
                       provider->name, provider->api_key_env);
        if (!value) return error_set(err, ST_NOT_FOUND, "%s is not set", source);
        return take_key(key, value, source, err);
    }
    if (provider->api_key_file) {
        char *text = NULL;
        status_t status = file_read(provider->api_key_file, PROVIDER_KEY_MAX, &text, NULL, err);
        if (status != ST_OK) return error_wrap(err, "provider %s: key file", provider->name);
        (void)snprintf(source, sizeof source, "provider %s: key file %s", provider->name,
                       provider->api_key_file);
        status = take_key(key, text, source, err);
        free(text);
        return status;
    }
    return ST_OK;
}
