#include "common/cluster_config.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

Test(cluster_config, the_committed_file_holds_the_defaults)
{
    struct cluster_config *config = NULL;
    struct error err = {.status = ST_OK};
    void *defaults = NULL;
    json_t *want, *got;
    cr_assert_eq(cluster_config_load(&config, "config/cluster.yaml", &err), ST_OK, "%s", err.text);
    cr_assert_eq(config_load_text(&defaults, &cluster_config_schema, "{}", 2, "none", &err), ST_OK);
    want = config_to_json(&cluster_config_schema, defaults);
    got = config_to_json(&cluster_config_schema, config);
    cr_expect(json_equal(want, got));
    cr_expect_str_eq(cluster_durability_name(config->durability), "everysec");
    json_decref(want);
    json_decref(got);
    config_destroy(&defaults, &cluster_config_schema);
    cluster_config_destroy(&config);
    cr_expect_null(config);
}

Test(cluster_config, paths_start_at_the_file)
{
    char path[] = "/tmp/interp-cluster-XXXXXX";
    struct cluster_config *config = NULL;
    struct error err = {.status = ST_OK};
    FILE *file = fdopen(mkstemp(path), "w");
    cr_assert_not_null(file);
    (void)fputs("providers: llm/p.yaml\nstate: /abs\n", file);
    cr_assert_eq(fclose(file), 0);
    cr_assert_eq(cluster_config_load(&config, path, &err), ST_OK, "%s", err.text);
    cr_expect_str_eq(config->providers, "/tmp/llm/p.yaml");
    cr_expect_str_eq(config->state, "/abs");
    cluster_config_destroy(&config);
    (void)unlink(path);
}
