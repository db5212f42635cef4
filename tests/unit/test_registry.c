/* Sweeps that are submitted, again, and loaded: what a repeat needs, what labels are asked for, and
 * which files of users go. On a real Redis; nothing steps the registry, so nothing runs. */
#include "coordinator/sweep/registry.h"

#include "common/file.h"
#include "coordinator/sweep/labels_kept.h"
#include "tests/unit/dispatcher_world.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct dispatcher_world world;
static struct sweep_cache cache;
static struct registry *registry;
static struct error err;
static char circuit[128], prompts[128]; /* files of the user's */

static struct registry *make_registry(void)
{
    error_clear(&err);
    return dispatcher_world_registry(&world, &cache, NULL);
}

static void write_file(const char *path, const char *text)
{
    cr_assert_eq(file_write_atomic(path, text, strlen(text), NULL), ST_OK);
}

static void set_up(void)
{
    dispatcher_world_start(&world);
    registry = make_registry();
    (void)snprintf(circuit, sizeof circuit, "%s/mine.json", world.redis.directory);
    (void)snprintf(prompts, sizeof prompts, "%s/mine.jsonl", world.redis.directory);
    write_file(circuit, "[\"L0H1\"]");
    write_file(prompts, "{\"clean\": \"a\", \"corrupted\": \"b\"}\n");
}

static void tear_down(void)
{
    registry_destroy(&registry);
    dispatcher_world_stop(&world);
}

TestSuite(registry, .init = set_up, .fini = tear_down, .timeout = 60);

static status_t submit(const char *yaml, const char *key, struct sweep **out, bool *is_new)
{
    struct sweep_spec *spec;
    const struct sweep_text text = {yaml, strlen(yaml), "s.yaml", world.redis.directory};
    error_clear(&err);
    cr_assert_eq(sweep_spec_parse(&spec, &text, &err), ST_OK, "%s", err.text);
    const status_t status = registry_submit(registry, spec, key, out, is_new, &err);
    if (status != ST_OK) sweep_spec_free(&spec);
    return status;
}

static struct sweep *must_submit(const char *yaml, const char *key)
{
    struct sweep *sweep;
    bool is_new;
    cr_assert_eq(submit(yaml, key, &sweep, &is_new), ST_OK, "%s", err.text);
    cr_assert(is_new);
    return sweep;
}

static char *kept(const char *folder, const char *hash)
{
    static char path[256];
    (void)snprintf(path, sizeof path, "%s/%s/%s", world.redis.directory, folder, hash);
    return path;
}

static const char BRINGS[] =
    "kind: circuit\nname: c\nmodel: /m\ncircuit: mine.json\ntask: {prompts: mine.jsonl}\n";

Test(registry, a_repeated_submission_needs_no_file_again)
{
    struct sweep *again;
    bool is_new = true;
    struct sweep *first = must_submit(BRINGS, "key");
    cr_assert_eq(unlink(kept("circuits", first->spec->circuit_sha256)), 0);
    cr_assert_eq(unlink(kept("prompts", first->spec->task.prompts_sha256)), 0);
    cr_assert_eq(unlink(circuit), 0);
    cr_assert_eq(unlink(prompts), 0);
    cr_assert_eq(submit(BRINGS, "key", &again, &is_new), ST_OK, "%s", err.text);
    cr_expect_not(is_new);
    cr_expect_eq(again, first);
    cr_expect_eq(submit(BRINGS, "another-key", &again, &is_new), ST_NOT_FOUND);
    cr_expect(strstr(err.text, "mine.json"), "%s", err.text);
    cr_expect_eq(registry_count(registry), 1);
}

Test(registry, a_repeat_finds_what_an_earlier_leader_accepted)
{
    struct sweep *again;
    bool is_new = true;
    char id[SWEEP_ID_SIZE];
    (void)snprintf(id, sizeof id, "%s", must_submit(BRINGS, "key")->id);
    registry_destroy(&registry);
    registry = make_registry(); /* that has loaded nothing */
    cr_assert_eq(submit(BRINGS, "key", &again, &is_new), ST_OK, "%s", err.text);
    cr_expect_not(is_new);
    cr_expect_str_eq(again->id, id);
}

/* Under a key that made another sweep nothing is made, and nobody is told the other one. */
Test(registry, a_used_key_takes_no_other_sweep)
{
    static const char other[] = "kind: circuit\nname: c\nmodel: /m\ncircuit: mine.json\n"
                                "task: {prompts: mine.jsonl}\nseed: 1\n";
    static const char richer[] = "kind: circuit\nname: c\nmodel: /m\ncircuit: mine.json\n"
                                 "task: {prompts: mine.jsonl}\nbudget_dollars: 20\n";
    struct sweep *again;
    bool is_new = true;
    const struct sweep *first = must_submit(BRINGS, "key");
    cr_expect_eq(submit(other, "key", &again, &is_new), ST_CONFLICT);
    cr_expect_str_eq(err.text, "this client key made c-1 of another sweep file (`seed` differs): a "
                               "new sweep needs a key of its own");
    cr_expect_eq(submit("kind: noop\nname: c\n", "key", &again, &is_new), ST_CONFLICT);
    cr_expect_not(is_new);
    cr_expect_eq(submit(richer, "key", &again, &is_new), ST_OK, "%s", err.text);
    cr_expect(again == first && !is_new, "a budget may be set anew");
    cr_expect_eq(registry_count(registry), 1);
}

/* The path says nothing of what is in a file. */
Test(registry, a_used_key_takes_no_other_file_of_the_same_path)
{
    static const char *const paths[] = {circuit, prompts};
    struct sweep *again;
    bool is_new = true;
    (void)must_submit(BRINGS, "key");
    for (size_t i = 0; i < 2; i++) {
        char *before, want[256];
        size_t n_bytes;
        cr_assert_eq(file_read(paths[i], 4096, &before, &n_bytes, &err), ST_OK);
        write_file(paths[i], "[\"L0H0\"]");
        cr_expect_eq(submit(BRINGS, "key", &again, &is_new), ST_CONFLICT);
        (void)snprintf(want, sizeof want,
                       "%s is not as it was when this client key made c-1: a new sweep needs a key "
                       "of its own",
                       paths[i]);
        cr_expect_str_eq(err.text, want);
        write_file(paths[i], before);
        free(before);
        cr_expect_eq(submit(BRINGS, "key", &again, &is_new), ST_OK, "%s", err.text);
    }
}

static const char SCORES[] =
    "kind: label\nname: s\nmode: score_only\nlabels: labels.jsonl\nmodel: /m\njudge: p\n"
    "corpus: {path: /c.jsonl}\ntargets:\n- {hook: blocks.1.attn.hook_z, units: heads}\n";

/* Labels of the user's, where SCORES has them. */
static char *write_labels(const char *text)
{
    static char path[160];
    (void)snprintf(path, sizeof path, "%s/labels.jsonl", world.redis.directory);
    write_file(path, text);
    return path;
}

Test(registry, labels_are_those_that_were_there_at_submission)
{
    static const char one[] = "{\"feature\": 1, \"label\": \"one\"}\n";
    struct label_import *import = NULL;
    struct prompt_label label;
    struct sweep *again;
    bool is_new = true;
    const char *path = write_labels(one);
    const struct sweep *first = must_submit(SCORES, "key");
    cr_assert_not_null(first->spec->labels_sha256);
    (void)write_labels("{\"feature\": 1, \"label\": \"two\"}\n");
    cr_expect_eq(submit(SCORES, "key", &again, &is_new), ST_CONFLICT);
    cr_expect(strstr(err.text, "labels.jsonl is not as it was when this client key made s-1"), "%s",
              err.text);
    cr_assert_eq(labels_kept_load(&import, first->spec, world.redis.directory, &err), ST_OK, "%s",
                 err.text);
    cr_expect(label_import_find(import, 0, 1, &label) && strcmp(label.text, "one") == 0);
    label_import_destroy(&import);
    (void)write_labels(one);
    cr_expect_eq(submit(SCORES, "key", &again, &is_new), ST_OK, "%s", err.text);
    cr_assert_eq(unlink(path), 0);
    cr_expect_eq(submit(SCORES, "key", &again, &is_new), ST_OK, "%s", err.text);
    cr_expect(again == first && !is_new, "a repeat needs no file");
    cr_expect_eq(submit(SCORES, "another-key", &again, &is_new), ST_NOT_FOUND);
}

Test(registry, labels_that_cannot_be_read_are_refused_at_submission)
{
    struct sweep *sweep;
    bool is_new;
    (void)write_labels("{\"feature\": 1}\n");
    cr_expect_eq(submit(SCORES, "key", &sweep, &is_new), ST_BAD_INPUT);
    cr_expect(strstr(err.text, "labels.jsonl:1: \"label\" must be a text"), "%s", err.text);
    cr_expect_eq(registry_count(registry), 0);
}

/* What an earlier version accepted has no hash: its file is read, and nothing is compared. */
Test(registry, labels_of_a_sweep_without_a_hash_are_the_files)
{
    struct label_import *import = NULL;
    struct sweep *again;
    bool is_new = true;
    (void)write_labels("{\"feature\": 1, \"label\": \"one\"}\n");
    struct sweep *first = must_submit(SCORES, "key");
    free(first->spec->labels_sha256);
    first->spec->labels_sha256 = NULL;
    (void)write_labels("{\"feature\": 2, \"label\": \"two\"}\n");
    cr_expect_eq(submit(SCORES, "key", &again, &is_new), ST_OK, "%s", err.text);
    cr_assert_eq(labels_kept_load(&import, first->spec, world.redis.directory, &err), ST_OK);
    cr_expect(label_import_find(import, 0, 2, &(struct prompt_label){.type = FEATURE_TYPE_NONE}));
    label_import_destroy(&import);
}

#define LABELS                                                                                     \
    "kind: label\nname: l\nmodel: /m\ncorpus: {path: /c.jsonl}\ntargets:\n"                        \
    "- {hook: blocks.1.attn.hook_z, units: heads}\n"
static const char ASKS[] = "kind: circuit\nname: c\nmodel: /m\ntask: {generator: ioi}\n"
                           "search: {agent: {provider: p, labels: l-1}}\n";

Test(registry, labels_for_an_agent_are_asked_for_at_submission)
{
    struct sweep *sweep;
    bool is_new;
    cr_expect_eq(submit(ASKS, "a", &sweep, &is_new), ST_NOT_FOUND);
    cr_expect_str_eq(err.text, "search.agent.labels: no sweep \"l-1\" (interpctl list shows them)");
    struct sweep *labels = must_submit(LABELS, "l");
    cr_assert_str_eq(labels->id, "l-1");
    cr_expect_eq(submit(ASKS, "a", &sweep, &is_new), ST_CONFLICT);
    cr_expect_str_eq(err.text, "search.agent.labels: l-1 is running, and a finished one is wanted");
    labels->state = SWEEP_FINISHED;
    cr_expect_eq(submit(ASKS, "a", &sweep, &is_new), ST_OK, "%s", err.text);
    labels->state = SWEEP_RUNNING;
    cr_expect_eq(submit(ASKS, "a", &sweep, &is_new), ST_OK, "a repeat: %s", err.text);
    cr_expect_not(is_new);
}

/* A file as a submission leaves it that was refused behind it. */
static void leave_file(const char *folder)
{
    char hash[HASH_HEX_SIZE];
    hash_sha256_hex("nobody's", 8, hash);
    write_file(kept(folder, hash), "nobody's");
}

static bool has_left(const char *folder)
{
    char hash[HASH_HEX_SIZE];
    hash_sha256_hex("nobody's", 8, hash);
    return access(kept(folder, hash), F_OK) == 0;
}

static void load(void)
{
    registry_destroy(&registry);
    registry = make_registry();
    error_clear(&err);
    cr_assert_eq(registry_load(registry, &err), ST_OK, "%s", err.text);
}

Test(registry, files_that_no_sweep_brings_go_when_it_loads)
{
    char hashes[2][HASH_HEX_SIZE];
    struct sweep *sweep = must_submit(BRINGS, "key");
    memcpy(hashes[0], sweep->spec->circuit_sha256, HASH_HEX_SIZE);
    memcpy(hashes[1], sweep->spec->task.prompts_sha256, HASH_HEX_SIZE);
    leave_file("circuits");
    leave_file("prompts");
    load();
    cr_expect_not(has_left("circuits"));
    cr_expect_not(has_left("prompts"));
    cr_expect_eq(access(kept("circuits", hashes[0]), F_OK), 0);
    cr_expect_eq(access(kept("prompts", hashes[1]), F_OK), 0);
}

Test(registry, labels_that_a_sweep_brings_stay_when_it_loads)
{
    char hash[HASH_HEX_SIZE];
    (void)write_labels("{\"feature\": 1, \"label\": \"one\"}\n");
    memcpy(hash, must_submit(SCORES, "key")->spec->labels_sha256, HASH_HEX_SIZE);
    leave_file("labels");
    load();
    cr_expect_not(has_left("labels"));
    cr_expect_eq(access(kept("labels", hash), F_OK), 0);
}

Test(registry, nothing_goes_while_a_sweep_may_name_it_unread)
{
    static const char *const commands[] = {"HSET interp:sweep:c-1 spec nonsense",
                                           "DEL interp:sweep:c-1", "ZREM interp:sweeps c-1"};
    (void)must_submit(BRINGS, "key");
    leave_file("circuits");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        gateway_world_run(&world.redis, commands[i]);
        load();
        cr_expect(has_left("circuits"), "%s", commands[i]);
    }
}
