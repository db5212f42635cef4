/* providers.yaml: every mistake is one line that names file, line and key. */
#include "coordinator/gateway/provider_config.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAMED "providers:\n  - name: a\n"
#define GOOD NAMED "    base_url: https://x.example/v1\n    model: m\n    family: f\n"

static status_t load(const char *text, struct provider_config **out, struct error *err)
{
    char path[] = "/tmp/providers-XXXXXX";
    const int fd = mkstemp(path);
    cr_assert(fd >= 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
    error_clear(err);
    const status_t status = provider_config_load(out, path, err);
    (void)unlink(path);
    return status;
}

Test(provider_config, fills_defaults)
{
    struct error err;
    struct provider_config *config = NULL;
    cr_assert_eq(load(GOOD "    dollars_per_million_output: 0.6\n", &config, &err), ST_OK, "%s",
                 err.text);
    const struct provider *a = provider_find(config, "a");
    cr_assert_not_null(a);
    cr_expect_eq(a->max_in_flight, 64);
    cr_expect(provider_is_adaptive(a) && a->refund_unused && a->count_failures);
    cr_expect_eq(provider_microdollars(a, 1000, 1), 1, "0.6 microdollars, rounded up");
    cr_expect_eq(provider_microdollars(a, 0, 10), 6);
    cr_expect(provider_microdollars(a, UINT64_MAX, UINT64_MAX) > 0, "no overflow");
    cr_expect_null(provider_find(config, "b"));
    provider_config_destroy(&config);
}

Test(provider_config, a_call_in_a_batch_costs_its_share)
{
    struct error err;
    struct provider_config *config = NULL;
    cr_assert_eq(load(GOOD "    dollars_per_million_input: 3\n    dollars_per_million_output: 15\n"
                           "    batch: true\n    batch_price_share: 0.25\n",
                      &config, &err),
                 ST_OK, "%s", err.text);
    const struct provider *a = provider_find(config, "a");
    cr_assert_not_null(a);
    cr_expect_eq(provider_microdollars(a, 1000000, 0), 750000);
    cr_expect_eq(provider_microdollars(a, 0, 1000000), 3750000);
    cr_expect_eq(provider_microdollars(a, 1, 0), 1, "rounded up once");
    cr_expect_not(provider_is_adaptive(a), "its limit is not how many are asked at once");
    cr_expect_eq(provider_lease_seconds(a), 90000 + 60 + 3600, "until a batch has surely ended");
    provider_config_destroy(&config);
}

Test(provider_config, names_what_is_wrong)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {GOOD "    rmp: 5\n", ":6: providers[0].rmp: unknown key; did you mean 'rpm'?"},
        {GOOD "    rpm: fast\n", ":6: providers[0].rpm"},
        {GOOD "    rpm: -1\n", ":6: providers[0].rpm"},
        {GOOD "    timeout_seconds: 0\n", ":6: providers[0].timeout_seconds"},
        {GOOD "    structured_output: xml\n", ":6: providers[0].structured_output"},
        {GOOD "    fallback: nobody\n", ":6: providers[0].fallback"},
        {GOOD "    fallback: a\n", ":6: providers[0].fallback"},
        {GOOD "    batch: true\n    rpm: 5\n", "providers[0].batch: batches have their own limit"},
        {GOOD "    batch_price_share: 2\n", ":6: providers[0].batch_price_share"},
        {GOOD "    fallback: b\n  - name: b\n    base_url: https://x.example/v1\n    model: m\n"
              "    family: f\n    batch: true\n",
         "providers[0].fallback: a fallback answers at once"},
        {GOOD "    api_key_env: A\n    api_key_file: b\n", "not both"},
        {GOOD "  - name: a\n    base_url: https://y.example\n    model: m\n    family: f\n",
         ":6: providers[1].name: another provider has this name"},
        {"providers:\n  - name: 'a b'\n    base_url: https://x/v1\n    model: m\n    family: f\n",
         ":2: providers[0].name"},
        {NAMED "    base_url: ftp://x/v1\n    model: m\n    family: f\n",
         ":3: providers[0].base_url"},
        {NAMED "    base_url: http://x.example/v1\n    model: m\n    family: f\n"
               "    api_key_env: KEY\n",
         "in the clear"},
        {NAMED "    base_url: https://user:pw@x/v1\n    model: m\n    family: f\n", "'@'"},
        {"providers:\n  - name: a\n", "base_url"},
        {"providers: []\n", "providers"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err;
        struct provider_config *config = NULL;
        cr_expect_neq(load(cases[i].text, &config, &err), ST_OK, "%s", cases[i].text);
        cr_expect_not_null(strstr(err.text, cases[i].want), "want '%s', got '%s'", cases[i].want,
                           err.text);
        cr_expect_null(config);
    }
}

Test(provider_config, reads_keys_and_never_prints_them)
{
    char env[] = "TEST_PROVIDER_KEY", path[] = "/tmp/provider-key-XXXXXX", name[] = "a";
    char key[PROVIDER_KEY_MAX];
    struct error err;
    struct provider provider = {.name = name, .api_key_env = env};
    static const struct {
        const char *value;
        status_t want;
    } cases[] = {{"  sk-secret-1\n", ST_OK},
                 {"sk secret", ST_BAD_INPUT},
                 {"", ST_BAD_INPUT},
                 {"sk-secret\x01", ST_BAD_INPUT}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_assert_eq(setenv(env, cases[i].value, 1), 0);
        error_clear(&err);
        cr_expect_eq(provider_read_key(&provider, key, &err), cases[i].want, "case %zu", i);
        if (cases[i].want == ST_OK) cr_expect_str_eq(key, "sk-secret-1");
        cr_expect_null(strstr(err.text, "secret"), "%s", err.text);
    }
    cr_assert_eq(unsetenv(env), 0);
    error_clear(&err);
    cr_expect_eq(provider_read_key(&provider, key, &err), ST_NOT_FOUND);
    cr_expect_not_null(strstr(err.text, env));
    const int fd = mkstemp(path);
    cr_assert(fd >= 0 && write(fd, "sk-file\n", 8) == 8);
    (void)close(fd);
    provider = (struct provider){.name = name, .api_key_file = path};
    cr_expect_eq(provider_read_key(&provider, key, &err), ST_OK);
    cr_expect_str_eq(key, "sk-file");
    (void)unlink(path);
    error_clear(&err);
    cr_expect_eq(provider_read_key(&provider, key, &err), ST_NOT_FOUND);
}
