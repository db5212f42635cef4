/* The operation `probe` as a client sees it, on a real Redis, dispatcher and registry; the worker
 * speaks the wire and keeps what it was told. */
#include "coordinator/api/api.h"
#include "coordinator/report/results_file.h"
#include "coordinator/sweep/probe_desk.h"
#include "tests/unit/dispatcher_world.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct dispatcher_world world;
static struct registry *registry;
static struct probe_desk *desk;
static struct sweep_cache cache;
static struct history history;
static struct api api;
static struct error err;
static struct fake_worker worker;

static void set_up(void)
{
    dispatcher_world_start(&world);
    registry = dispatcher_world_registry(&world, &cache, &history);
    cr_assert_eq(probe_desk_create(&desk, world.dispatcher, world.store, &world.clock, &err),
                 ST_OK);
    api = (struct api){.registry = registry,
                       .dispatcher = world.dispatcher,
                       .probes = desk,
                       .store = world.store,
                       .history = &history,
                       .clock = &world.clock};
}

static void tear_down(void)
{
    probe_desk_destroy(&desk);
    results_file_close(&cache.results);
    registry_destroy(&registry);
    fake_worker_stop(&worker);
    dispatcher_world_stop(&world);
}

TestSuite(api_probe, .init = set_up, .fini = tear_down, .timeout = 60);

/* The answer, or NULL with `err`. */
static json_t *ask(const char *operation, const char *args)
{
    struct buffer out;
    json_t *answer = NULL;
    buffer_init(&out, 1 << 20);
    error_clear(&err);
    if (api_answer(&api, operation, wire_text_of(args), &out, &err) == ST_OK)
        answer = json_loadb((const char *)out.bytes, out.n_bytes, 0, NULL);
    buffer_fini(&out);
    return answer;
}

static json_t *must_ask(const char *args)
{
    json_t *answer = ask("probe", args);
    cr_assert_not_null(answer, "%s: %s", args, err.text);
    return answer;
}

static bool is_state(const json_t *answer, const char *want)
{
    const char *state = json_string_value(json_object_get(answer, "state"));
    return state && strcmp(state, want) == 0;
}

/* f-1: a dictionary and neurons. */
static void submit_sweep(void)
{
    json_t *answer = ask(
        "submit", "{\"yaml\":\"kind: label\\nname: f\\nmodel: /m\\ncompute: bf16x3\\n"
                  "rows_per_unit: 8\\ncorpus: {path: /c.jsonl, bos: true, context_tokens: 64}\\n"
                  "targets:\\n- {hook: blocks.2.hook_resid_pre, dictionary: /sae}\\n"
                  "- {hook: blocks.1.mlp.hook_post, units: neurons}\\n\","
                  "\"directory\":\"/\",\"file\":\"f\",\"client_key\":\"k\"}");
    cr_assert_not_null(answer, "%s", err.text);
    json_decref(answer);
}

static void go_on(void)
{
    for (int i = 0; i < 4; i++) {
        world.now_ms += 50;
        cr_assert_eq(probe_desk_step(desk, &err), ST_OK, "%s", err.text);
        dispatcher_world_settle(&world);
    }
}

/* What the worker is told of the next task. */
static json_t *next_spec(void)
{
    if (!worker.socket) fake_worker_start(&world, &worker, "w");
    cr_assert(fake_worker_await(&world, &worker, WIRE_SPEC));
    json_t *spec =
        json_loadb(zmq_msg_data(&worker.in.bulk), zmq_msg_size(&worker.in.bulk), 0, NULL);
    cr_assert_not_null(spec);
    return spec;
}

/* Its one probe is answered with these tokens. */
static void answer_lease(struct probe_answer *answer, struct probe *asked)
{
    static struct probe_unit unit;
    struct wire_parts parts;
    struct buffer out;
    buffer_init(&out, PROBE_MAX_RESULT_BYTES);
    cr_assert(fake_worker_await(&world, &worker, WIRE_LEASE));
    cr_assert_eq(wire_parts_decode(zmq_msg_data(&worker.in.bulk), zmq_msg_size(&worker.in.bulk),
                                   &parts, &err),
                 ST_OK);
    const struct wire_text part = wire_part(&parts, 1);
    cr_assert_eq(probe_unit_decode(part.bytes, part.n_bytes, &unit, &err), ST_OK);
    *asked = unit.probes[0];
    cr_assert_eq(probe_result_encode(answer, 1, &out, &err), ST_OK);
    cr_assert_eq(fake_worker_store_bytes(&world, &worker, 0, out.bytes, out.n_bytes), ST_OK);
    fake_worker_say_settled(&worker, 0, 1, 0.001);
    buffer_fini(&out);
}

Test(api_probe, refuses_by_name)
{
    static const struct {
        const char *args, *want;
        status_t status;
    } cases[] = {
        {"{}", "argument \"sweep\" is missing", ST_BAD_INPUT},
        {"{\"sweep\":\"nothing\",\"feature\":1,\"texts\":[\"x\"]}",
         "no sweep \"nothing\" (interpctl list shows them)", ST_NOT_FOUND},
        {"{\"sweep\":\"f-1\",\"texts\":[\"x\"]}", "argument \"feature\" is missing or too large",
         ST_BAD_INPUT},
        {"{\"sweep\":\"f-1\",\"feature\":1,\"target\":2,\"texts\":[\"x\"]}",
         "sweep f-1 has 2 targets", ST_NOT_FOUND},
        {"{\"sweep\":\"f-1\",\"feature\":1}", "argument \"texts\" is not a list of 1 to 64 texts",
         ST_BAD_INPUT},
        {"{\"sweep\":\"f-1\",\"feature\":1,\"texts\":[\"x\",7]}",
         "argument \"texts\": number 2 is no text", ST_BAD_INPUT},
        {"{\"sweep\":\"f-1\",\"feature\":1,\"texts\":[\"x\"],\"hook\":\"h\"}",
         "unknown argument \"hook\"", ST_BAD_INPUT},
        {"{\"model\":\"/m\",\"feature\":1,\"texts\":[\"x\"]}", "argument \"hook\" is missing",
         ST_BAD_INPUT},
        {"{\"model\":\"/m\",\"hook\":\"h\",\"feature\":1,\"texts\":[\"x\"]}",
         "argument \"units\" is missing", ST_BAD_INPUT},
    };
    submit_sweep();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *answer = ask("probe", cases[i].args);
        cr_expect_null(answer, "%s", cases[i].args);
        cr_expect_eq(err.status, cases[i].status, "%s", cases[i].args);
        cr_expect_str_eq(err.text, cases[i].want, "%s: %s", cases[i].args, err.text);
        json_decref(answer);
    }
}

Test(api_probe, says_pending_and_how_many_workers_may_answer)
{
    static const char args[] = "{\"sweep\":\"f-1\",\"feature\":1,\"texts\":[\"x\"]}";
    struct sweep *sweep;
    submit_sweep();
    json_t *answer = must_ask(args);
    cr_expect(is_state(answer, "pending"));
    cr_expect_eq(json_integer_value(json_object_get(answer, "n_workers")), 0);
    json_decref(answer);
    fake_worker_start(&world, &worker, "w");
    answer = must_ask(args);
    cr_expect_eq(json_integer_value(json_object_get(answer, "n_workers")), 1);
    json_decref(answer);
    cr_assert_eq(registry_find(registry, "f-1", &sweep, &err), ST_OK);
    sweep->share.pin = (struct worker_pin){"cpu", "another"};
    answer = must_ask(args);
    cr_expect_eq(json_integer_value(json_object_get(answer, "n_workers")), 0,
                 "the sweep was captured on another kind");
    cr_expect_str_eq(json_string_value(json_object_get(json_object_get(answer, "wants"), "isa")),
                     "another");
    json_decref(answer);
}

Test(api_probe, a_features_worker_is_told_what_capture_was)
{
    submit_sweep();
    json_decref(must_ask("{\"sweep\":\"f-1\",\"feature\":5,\"texts\":[\"x\"]}"));
    go_on();
    json_t *spec = next_spec();
    json_t *want = json_pack("{s:s s:s s:s s:s s:i s:i s:s s:b s:[{s:s s:s s:s s:s s:s s:i}]}",
                             "kind", "probe", "model", "/m", "fingerprint", "", "compute", "bf16x3",
                             "n_rows", 8, "n_ctx", 64, "bos", "true", "with_pieces", 1, "targets",
                             "hook", "blocks.2.hook_resid_pre", "units", "dictionary", "dictionary",
                             "/sae", "fingerprint", "", "features", "5", "n_slots", 1);
    cr_expect(json_equal(spec, want));
    json_decref(spec);
    json_decref(want);
}

Test(api_probe, the_negative_side_of_a_unit_is_its_second_slot)
{
    struct probe asked;
    uint32_t token = 1;
    float value = 2;
    struct probe_answer answer = {.n_tokens = 1, .tokens = &token, .activations = &value};
    static const char args[] =
        "{\"sweep\":\"f-1\",\"feature\":15,\"target\":1,\"texts\":[\"minus\"]}";
    submit_sweep();
    json_decref(must_ask(args));
    go_on();
    json_t *spec = next_spec();
    const json_t *target = json_array_get(json_object_get(spec, "targets"), 0);
    cr_expect_str_eq(json_string_value(json_object_get(target, "features")), "7");
    cr_expect_eq(json_integer_value(json_object_get(target, "n_slots")), 2);
    answer_lease(&answer, &asked);
    cr_expect_eq(asked.slot, 1);
    go_on();
    json_t *done = must_ask(args);
    cr_expect(json_is_null(json_object_get(done, "fire_threshold")), "nothing is frozen yet");
    cr_expect(
        json_is_null(json_object_get(json_array_get(json_object_get(done, "probes"), 0), "fires")));
    json_decref(done);
    json_decref(spec);
}

Test(api_probe, tokens_are_text_whatever_their_bytes_are)
{
    struct probe asked;
    uint32_t tokens[] = {1, 2, 3, 4};
    float values[] = {0, 0.5f, 0, 0.25f};
    struct wire_text pieces[] = {{"caf", 3}, {"\xc3", 1}, {"\xa9", 1}, {" \xff", 2}};
    struct probe_answer answer = {
        .n_tokens = 4, .tokens = tokens, .activations = values, .pieces = pieces};
    static const char args[] = "{\"sweep\":\"f-1\",\"feature\":5,\"texts\":[\"caf\\u00e9 ?\"]}";
    submit_sweep();
    json_decref(must_ask(args));
    go_on();
    json_decref(next_spec());
    answer_lease(&answer, &asked);
    go_on();
    json_t *done = must_ask(args);
    cr_assert(is_state(done, "done"));
    const json_t *probe = json_array_get(json_object_get(done, "probes"), 0);
    json_t *want = json_pack("{s:s s:n s:b s:[s,s,s,s] s:[i,i,i,i] s:[f,f,f,f] s:f s:b}", "text",
                             "caf\xc3\xa9 ?", "error", "is_cut", 0, "tokens", "caf", "\xc3\xa9", "",
                             " \xef\xbf\xbd", "token_ids", 1, 2, 3, 4, "activations", 0.0, 0.5, 0.0,
                             0.25, "max", 0.5, "fires", 1);
    char *got = json_dumps(probe, JSON_SORT_KEYS);
    cr_expect(json_equal(probe, want), "%s", got);
    free(got);
    json_decref(want);
    json_decref(done);
}
