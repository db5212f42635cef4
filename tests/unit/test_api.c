/* The coordinator's operations as a client sees them: JSON in, JSON or one line of error out, on a
 * real Redis, dispatcher and registry. Nothing steps the registry, so sweeps stay where an
 * operation puts them. */
#include "coordinator/api/api.h"

#include "coordinator/report/results_file.h"
#include "tests/unit/dispatcher_world.h"

#include "common/file.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct dispatcher_world world;
static struct registry *registry;
static struct history history;
static struct sweep_cache cache;
static struct api api;
static struct error err;

static void set_up(void)
{
    dispatcher_world_start(&world);
    registry = dispatcher_world_registry(&world, &cache, &history);
    api = (struct api){.registry = registry,
                       .dispatcher = world.dispatcher,
                       .store = world.store,
                       .history = &history,
                       .clock = &world.clock,
                       .epoch = 7,
                       .store_label = "here",
                       .is_store_up = true};
}

static void tear_down(void)
{
    results_file_close(&cache.results);
    registry_destroy(&registry);
    dispatcher_world_stop(&world);
}

TestSuite(api, .init = set_up, .fini = tear_down, .timeout = 60);

/* The answer, or NULL with `err`. */
static json_t *ask(const char *operation, const char *args)
{
    struct buffer out;
    json_t *answer = NULL;
    buffer_init(&out, 1 << 20);
    error_clear(&err);
    const status_t status = api_answer(&api, operation, wire_text_of(args), &out, &err);
    if (status == ST_OK) {
        answer = json_loadb((const char *)out.bytes, out.n_bytes, 0, NULL);
        cr_assert(json_is_object(answer), "%s: %s", operation, buffer_text(&out));
    }
    buffer_fini(&out);
    return answer;
}

static json_t *must_ask(const char *operation, const char *args)
{
    json_t *answer = ask(operation, args);
    cr_assert_not_null(answer, "%s %s: %s", operation, args, err.text);
    return answer;
}

static void expect_refused(const char *operation, const char *args, status_t status,
                           const char *text)
{
    json_t *answer = ask(operation, args);
    cr_expect_null(answer, "%s %s was answered", operation, args);
    cr_expect_eq(err.status, status, "%s %s: %d", operation, args, (int)err.status);
    cr_expect_str_eq(err.text, text, "%s %s: %s", operation, args, err.text);
    json_decref(answer);
}

static void expect_text(const json_t *object, const char *key, const char *want)
{
    const char *got = json_string_value(json_object_get(object, key));
    cr_expect(got && strcmp(got, want) == 0, "%s: %s, not %s", key, got ? got : "(no text)", want);
}

static json_int_t number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) ? json_integer_value(value) : -1;
}

#define NOOP "kind: noop\\nname: n\\n"
#define PAID                                                                                       \
    "kind: label\\nname: p\\nmodel: /m\\ncorpus: {path: /c.jsonl}\\nexplainer: a\\njudge: b\\n"    \
    "targets:\\n- {hook: blocks.2.hook_resid_pre, dictionary: /sae}\\nbudget_dollars: 2.5\\n"
#define FREE                                                                                       \
    "kind: label\\nname: f\\nmodel: /m\\ncorpus: {path: /c.jsonl}\\n"                              \
    "targets:\\n- {hook: blocks.2.hook_resid_pre, dictionary: /sae}\\n"

/* Submit; `want_id` is what the new sweep must be called. */
static void submit(const char *yaml, const char *key, const char *want_id)
{
    char args[1024];
    (void)snprintf(
        args, sizeof args,
        "{\"yaml\":\"%s\",\"directory\":\"/\",\"file\":\"s.yaml\",\"client_key\":\"%s\"}", yaml,
        key);
    json_t *answer = must_ask("submit", args);
    expect_text(answer, "sweep", want_id);
    cr_expect(json_is_true(json_object_get(answer, "is_new")));
    json_decref(answer);
}

static void expect_state(const char *operation, const char *args, const char *want)
{
    json_t *answer = must_ask(operation, args);
    expect_text(answer, "state", want);
    json_decref(answer);
}

/* --- arguments ----------------------------------------------------------------------------- */

Test(api, arguments_are_one_json_object)
{
    expect_refused("dance", "{}", ST_UNSUPPORTED, "unknown operation \"dance\"");
    expect_refused("list", "[]", ST_BAD_INPUT, "arguments are not a JSON object");
    static const char *const broken[] = {"{", "{}{}", "nonsense", "{\"a\":1,\"a\":2}", "\xFF"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        cr_expect_null(ask("list", broken[i]), "%s", broken[i]);
        cr_expect_eq(err.status, ST_BAD_INPUT, "%s", broken[i]);
        cr_expect(strncmp(err.text, "arguments: ", 11) == 0, "%s", err.text);
    }
    json_t *answer = must_ask("list", ""); /* none is an empty object */
    cr_expect_eq(json_array_size(json_object_get(answer, "sweeps")), 0);
    json_decref(answer);
}

Test(api, an_unknown_argument_is_refused_by_every_operation)
{
    static const char *const operations[] = {
        "ping",  "submit", "list",    "status", "results", "feature", "cancel",   "pause",
        "retry", "resume", "workers", "drain",  "dead",    "cost",    "overview", "metrics"};
    submit(NOOP, "key", "n-1");
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++)
        expect_refused(operations[i], "{\"bogus\":1}", ST_BAD_INPUT, "unknown argument \"bogus\"");
    expect_state("status", "{\"sweep\":\"n-1\"}", "running");
}

Test(api, a_missing_or_wrong_argument_is_named)
{
    static const struct {
        const char *operation, *args, *want;
    } cases[] = {
        {"status", "{}", "argument \"sweep\" is missing"},
        {"cancel", "{\"sweep\":null}", "argument \"sweep\" is not a text"},
        {"pause", "{\"sweep\":7}", "argument \"sweep\" is not a text"},
        {"results", "{\"sweep\":\"n-1\",\"limit\":0}", "limit: 1 to 1000"},
        {"results", "{\"sweep\":\"n-1\",\"limit\":1001}", "limit: 1 to 1000"},
        {"results", "{\"sweep\":\"n-1\",\"limit\":\"5\"}",
         "argument \"limit\" is not a whole number >= 0"},
        {"results", "{\"sweep\":\"n-1\",\"limit\":1.5}",
         "argument \"limit\" is not a whole number >= 0"},
        {"results", "{\"sweep\":\"n-1\",\"fields\":\"label\"}",
         "argument \"fields\" is not a list of 1 to 64 texts"},
        {"results", "{\"sweep\":\"n-1\",\"fields\":[]}",
         "argument \"fields\" is not a list of 1 to 64 texts"},
        {"results", "{\"sweep\":\"n-1\",\"fields\":[\"label\",7]}",
         "argument \"fields\": number 1 is not a text"},
        {"results", "{\"sweep\":\"n-1\",\"cursor\":-1}",
         "argument \"cursor\" is not a whole number >= 0"},
        {"feature", "{\"sweep\":\"n-1\"}", "argument \"feature\" is missing"},
        {"feature", "{\"sweep\":\"n-1\",\"feature\":-3}",
         "argument \"feature\" is not a whole number >= 0"},
        {"resume", "{\"sweep\":\"n-1\",\"budget_dollars\":\"5\"}",
         "argument \"budget_dollars\" is not a number"},
        {"drain", "{}", "argument \"worker\" is missing"},
    };
    submit(NOOP, "key", "n-1");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_refused(cases[i].operation, cases[i].args, ST_BAD_INPUT, cases[i].want);
}

Test(api, an_unknown_sweep_is_not_found_by_every_operation)
{
    static const char *const operations[] = {"status", "results", "cancel", "pause",
                                             "retry",  "resume",  "dead",   "cost"};
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++)
        expect_refused(operations[i], "{\"sweep\":\"gone-1\"}", ST_NOT_FOUND,
                       "no sweep \"gone-1\" (interpctl list shows them)");
    expect_refused("feature", "{\"sweep\":\"gone-1\",\"feature\":0}", ST_NOT_FOUND,
                   "no sweep \"gone-1\" (interpctl list shows them)");
}

/* --- submit and the states ----------------------------------------------------------------- */

Test(api, submit_refuses_and_stores_nothing)
{
    static const struct {
        const char *args, *want;
    } cases[] = {
        {"{\"directory\":\"/\",\"file\":\"f\",\"client_key\":\"k\"}",
         "argument \"yaml\" is missing"},
        {"{\"yaml\":\"x\",\"file\":\"f\",\"client_key\":\"k\"}",
         "argument \"directory\" is missing"},
        {"{\"yaml\":\"x\",\"directory\":\"/\",\"client_key\":\"k\"}",
         "argument \"file\" is missing"},
        {"{\"yaml\":\"x\",\"directory\":\"/\",\"file\":\"f\"}",
         "argument \"client_key\" is missing"},
        {"{\"yaml\":\"x\",\"directory\":\"/\",\"file\":\"f\",\"client_key\":\"\"}",
         "client_key: 1 to 128 letters, digits, - _ ."},
        {"{\"yaml\":\"x\",\"directory\":\"/\",\"file\":\"f\",\"client_key\":\"a b\"}",
         "client_key: 1 to 128 letters, digits, - _ ."},
        {"{\"yaml\":\"kind: noop\\nname: n\\nn_unit: 3\\n\",\"directory\":\"/\","
         "\"file\":\"f.yaml\",\"client_key\":\"k\"}",
         "f.yaml:3: n_unit: unknown key; did you mean 'n_units'?"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_refused("submit", cases[i].args, ST_BAD_INPUT, cases[i].want);
    cr_expect_eq(gateway_world_number(&world.redis, "EXISTS interp:sweep_serial"), 0);
    cr_expect_eq(registry_count(registry), 0);
}

Test(api, one_key_is_one_sweep_and_lists_are_newest_first)
{
    submit(NOOP, "first", "n-1");
    submit(FREE, "second", "f-2");
    json_t *answer = must_ask("submit", "{\"yaml\":\"" NOOP "\",\"directory\":\"/\","
                                        "\"file\":\"s.yaml\",\"client_key\":\"first\"}");
    expect_text(answer, "sweep", "n-1");
    cr_expect(json_is_false(json_object_get(answer, "is_new")));
    json_decref(answer);
    answer = must_ask("list", "{}");
    const json_t *sweeps = json_object_get(answer, "sweeps");
    cr_assert_eq(json_array_size(sweeps), 2);
    expect_text(json_array_get(sweeps, 0), "id", "f-2");
    expect_text(json_array_get(sweeps, 0), "explainer", "lexical");
    expect_text(json_array_get(sweeps, 1), "id", "n-1");
    expect_text(json_array_get(sweeps, 1), "kind", "noop");
    cr_expect(json_is_null(json_object_get(json_array_get(sweeps, 0), "budget_dollars")));
    json_decref(answer);
}

Test(api, a_sweep_moves_only_as_its_state_allows)
{
    static const char sweep[] = "{\"sweep\":\"n-1\"}";
    submit(NOOP, "key", "n-1");
    expect_refused("resume", sweep, ST_CONFLICT, "sweep n-1 is running");
    expect_state("pause", sweep, "paused");
    json_t *status = must_ask("status", sweep);
    expect_text(status, "reason", sweep_paused_by_user);
    json_decref(status);
    expect_refused("pause", sweep, ST_CONFLICT, "sweep n-1 is paused");
    expect_state("resume", sweep, "running");
    expect_state("retry", sweep, "running");
    expect_state("cancel", sweep, "cancelled");
    expect_state("status", sweep, "cancelled");
    static const char *const late[] = {"cancel", "pause", "resume", "retry"};
    for (size_t i = 0; i < 4; i++)
        expect_refused(late[i], sweep, ST_CONFLICT, "sweep n-1 is cancelled");
    cr_expect_eq(gateway_world_number(&world.redis, "SCARD interp:active"), 0);
}

Test(api, a_new_budget_is_taken_whole_or_not_at_all)
{
    static const struct {
        const char *args, *want;
        status_t status;
    } cases[] = {
        {"{\"sweep\":\"p-1\",\"budget_dollars\":9,\"bogus\":1}", "unknown argument \"bogus\"",
         ST_BAD_INPUT},
        {"{\"sweep\":\"p-1\",\"budget_dollars\":0}", "budget: more than 0, at most 1e6 dollars",
         ST_BAD_INPUT},
        {"{\"sweep\":\"p-1\",\"budget_dollars\":-1}", "budget: more than 0, at most 1e6 dollars",
         ST_BAD_INPUT},
    };
    submit(PAID, "key", "p-1");
    expect_refused("resume", "{\"sweep\":\"p-1\",\"budget_dollars\":9}", ST_CONFLICT,
                   "sweep p-1 is running");
    expect_state("pause", "{\"sweep\":\"p-1\"}", "paused");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        expect_refused("resume", cases[i].args, cases[i].status, cases[i].want);
        cr_expect_eq(registry_at(registry, 0)->spec->budget_dollars, 2.5, "case %zu", i);
        expect_state("status", "{\"sweep\":\"p-1\"}", "paused");
    }
    expect_state("resume", "{\"sweep\":\"p-1\",\"budget_dollars\":9}", "running");
    json_t *status = must_ask("status", "{\"sweep\":\"p-1\"}");
    cr_expect_eq(json_number_value(json_object_get(status, "budget_dollars")), 9.0);
    json_decref(status);
}

/* --- results ------------------------------------------------------------------------------- */

/* A finished sweep f-1 with records of the features 10, 20 ... in the form of the golden one. */
static void finish_with_records(size_t n)
{
    char path[160];
    submit(FREE, "key", "f-1");
    struct sweep *sweep = registry_at(registry, 0);
    cr_assert_eq(registry_apply(registry, sweep, SWEEP_FINISH, NULL, &err), ST_OK, "%s", err.text);
    json_t *record = json_load_file("tests/golden/results/label_record.json", 0, NULL);
    cr_assert_not_null(record);
    (void)json_object_set_new(json_object_get(record, "target"), "dictionary",
                              json_string(sweep->spec->targets[0].dictionary));
    (void)snprintf(path, sizeof path, "%s/sweeps/f-1", world.redis.directory);
    cr_assert_eq(file_make_directories(path, &err), ST_OK, "%s", err.text);
    (void)snprintf(path, sizeof path, "%s/sweeps/f-1/results.jsonl", world.redis.directory);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    for (size_t i = 1; i <= n; i++) {
        (void)json_object_set_new(record, "feature", json_integer((json_int_t)(10 * i)));
        cr_assert_eq(json_dumpf(record, file, JSON_COMPACT | JSON_SORT_KEYS), 0);
        (void)fputc('\n', file);
    }
    cr_assert_eq(fclose(file), 0);
    json_decref(record);
}

Test(api, results_come_in_pages_without_gap_or_repeat)
{
    static const struct {
        const char *args;
        json_int_t first;
        size_t n_rows;
        json_int_t next; /* -1: null */
    } cases[] = {
        {"{\"sweep\":\"f-1\"}", 10, 5, -1},
        {"{\"sweep\":\"f-1\",\"limit\":2}", 10, 2, 2},
        {"{\"sweep\":\"f-1\",\"limit\":2,\"cursor\":2}", 30, 2, 4},
        {"{\"sweep\":\"f-1\",\"limit\":2,\"cursor\":4}", 50, 1, -1},
        {"{\"sweep\":\"f-1\",\"limit\":5}", 10, 5, -1},
        {"{\"sweep\":\"f-1\",\"limit\":1000,\"cursor\":3}", 40, 2, -1},
        {"{\"sweep\":\"f-1\",\"cursor\":5}", 0, 0, -1},
        {"{\"sweep\":\"f-1\",\"cursor\":9223372036854775807}", 0, 0, -1},
    };
    finish_with_records(5);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *answer = must_ask("results", cases[i].args);
        const json_t *rows = json_object_get(answer, "rows");
        cr_assert_eq(json_array_size(rows), cases[i].n_rows, "%s", cases[i].args);
        for (size_t r = 0; r < cases[i].n_rows; r++)
            cr_expect_eq(number(json_array_get(rows, r), "feature"),
                         cases[i].first + 10 * (json_int_t)r, "%s", cases[i].args);
        cr_expect_eq(number(answer, "next_cursor"), cases[i].next, "%s", cases[i].args);
        cr_expect(json_is_null(json_object_get(answer, "next_cursor")) == (cases[i].next < 0));
        cr_expect_eq(number(answer, "total"), 5);
        json_decref(answer);
    }
}

Test(api, results_have_only_the_fields_that_are_asked_for)
{
    const char *const arguments =
        "{\"sweep\":\"f-1\",\"limit\":2,\"cursor\":1,"
        "\"fields\":[\"feature\",\"scores.detection.random.auroc\",\"no.such\"]}";
    finish_with_records(5);
    json_t *whole = must_ask("results", "{\"sweep\":\"f-1\"}"),
           *brief = must_ask("results", arguments);
    const json_t *rows = json_object_get(brief, "rows");
    const json_t *scores =
        json_object_get(json_array_get(json_object_get(whole, "rows"), 0), "scores");
    const json_t *auroc =
        json_object_get(json_object_get(json_object_get(scores, "detection"), "random"), "auroc");
    cr_assert_eq(json_array_size(rows), 2);
    cr_expect_eq(number(brief, "next_cursor"), 3);
    for (size_t i = 0; i < 2; i++) {
        json_t *want = json_pack("{s:I, s:{s:{s:{s:O}}}}", "feature", (json_int_t)(20 + 10 * i),
                                 "scores", "detection", "random", "auroc", auroc);
        cr_expect(json_equal(json_array_get(rows, i), want), "row %zu", i);
        json_decref(want);
    }
    json_decref(whole);
    json_decref(brief);
}

Test(api, a_feature_is_found_by_its_number_and_target)
{
    char args[80];
    finish_with_records(5);
    for (int feature = 10; feature <= 50; feature += 10) {
        (void)snprintf(args, sizeof args, "{\"sweep\":\"f-1\",\"feature\":%d}", feature);
        json_t *record = must_ask("feature", args);
        cr_expect_eq(number(record, "feature"), feature);
        cr_expect(json_object_get(record, "evidence"), "the whole record");
        json_decref(record);
    }
    expect_refused("feature", "{\"sweep\":\"f-1\",\"feature\":15}", ST_NOT_FOUND,
                   "sweep f-1 has no result for feature 15 of target 0");
    expect_refused("feature", "{\"sweep\":\"f-1\",\"feature\":9223372036854775807}", ST_NOT_FOUND,
                   "sweep f-1 has no result for feature 9223372036854775807 of target 0");
    expect_refused("feature", "{\"sweep\":\"f-1\",\"feature\":10,\"target\":1}", ST_NOT_FOUND,
                   "sweep f-1 has 1 targets");
}

Test(api, a_sweep_without_records_has_an_empty_page)
{
    submit(NOOP, "key", "n-1");
    json_t *answer = must_ask("results", "{\"sweep\":\"n-1\"}");
    cr_expect_eq(json_array_size(json_object_get(answer, "rows")), 0);
    cr_expect(json_is_null(json_object_get(answer, "next_cursor")));
    cr_expect_eq(number(answer, "total"), 0);
    json_decref(answer);
}

Test(api, an_answer_that_does_not_fit_is_an_error)
{
    struct buffer out;
    finish_with_records(5);
    buffer_init(&out, 1000);
    error_clear(&err);
    cr_expect_eq(api_answer(&api, "results", wire_text_of("{\"sweep\":\"f-1\"}"), &out, &err),
                 ST_TOO_LARGE);
    cr_expect_str_eq(err.text, "results: the answer does not fit");
    buffer_fini(&out);
}

/* --- the cluster --------------------------------------------------------------------------- */

Test(api, workers_are_listed_and_drained_by_name)
{
    struct fake_worker worker;
    expect_refused("drain", "{\"worker\":\"w1\"}", ST_NOT_FOUND, "no worker \"w1\"");
    fake_worker_start(&world, &worker, "w1");
    for (int is_draining = 0; is_draining < 2; is_draining++) {
        json_t *answer = must_ask("workers", "{}");
        const json_t *list = json_object_get(answer, "workers");
        cr_assert_eq(json_array_size(list), 1);
        expect_text(json_array_get(list, 0), "name", "w1");
        expect_text(json_array_get(list, 0), "isa", "plain");
        expect_text(json_array_get(list, 0), "state", is_draining ? "draining" : "idle");
        json_decref(answer);
        if (!is_draining) json_decref(must_ask("drain", "{\"worker\":\"w1\"}"));
    }
    fake_worker_stop(&worker);
}

Test(api, ping_and_overview_say_who_leads_and_what_is_there)
{
    submit(NOOP, "key", "n-1");
    json_t *answer = must_ask("ping", "{}");
    cr_expect_eq(number(answer, "epoch"), 7);
    cr_expect_eq(number(answer, "protocol"), WIRE_VERSION);
    expect_text(answer, "store", "here");
    cr_expect(json_is_true(json_object_get(answer, "is_store_up")));
    cr_expect(json_is_null(json_object_get(answer, "started_at")), "not known is null");
    json_decref(answer);
    answer = must_ask("overview", "{}");
    cr_expect_eq(json_array_size(json_object_get(answer, "sweeps")), 1);
    cr_expect_eq(number(json_object_get(answer, "calls"), "queued"), 0);
    json_decref(answer);
    answer = must_ask("dead", "{\"sweep\":\"n-1\"}");
    cr_expect_eq(number(answer, "total"), 0);
    json_decref(answer);
    answer = must_ask("cost", "{\"sweep\":\"n-1\"}"); /* it asks no provider */
    cr_expect_eq(json_array_size(json_object_get(answer, "providers")), 0);
    cr_expect_eq(number(json_object_get(answer, "together"), "calls"), 0);
    cr_expect(json_is_null(json_object_get(answer, "budget_dollars")));
    json_decref(answer);
}
