/* The operation `steer`: what it refuses, and what the workers are told. */
#include "coordinator/api/api.h"
#include "coordinator/report/results_file.h"
#include "coordinator/sweep/probe_desk.h"
#include "tests/unit/dispatcher_world.h"

#include <criterion/criterion.h>
#include <signal.h>
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

TestSuite(api_steer, .init = set_up, .fini = tear_down, .timeout = 60);

static json_t *ask(const char *args)
{
    struct buffer out;
    json_t *answer = NULL;
    buffer_init(&out, 1 << 20);
    error_clear(&err);
    if (api_answer(&api, "steer", wire_text_of(args), &out, &err) == ST_OK)
        answer = json_loadb((const char *)out.bytes, out.n_bytes, 0, NULL);
    buffer_fini(&out);
    return answer;
}

#define MODEL "\"model\":\"/m\",\"hook\":\"h\",\"units\":\"neurons\""
#define ONE "\"interventions\":[{\"feature\":1,\"set\":2}]"

Test(api_steer, refuses_by_name)
{
    static const struct {
        const char *args, *want;
    } cases[] = {
        {"{}", "argument \"sweep\" is missing"},
        {"{" MODEL ",\"prompt\":\"x\"}",
         "argument \"interventions\" is not a list of 1 to 16 features"},
        {"{" MODEL "," ONE "}", "argument \"prompt\" is missing"},
        {"{" MODEL "," ONE ",\"prompt\":\"x\",\"texts\":[]}", "unknown argument \"texts\""},
        {"{" MODEL "," ONE ",\"prompt\":\"x\",\"where\":\"here\"}",
         "argument \"where\" is not all, last or new"},
        {"{" MODEL "," ONE ",\"prompt\":\"x\",\"n_tokens\":300}",
         "continuations of 300 tokens: at most 256"},
        {"{" MODEL "," ONE ",\"prompt\":\"x\",\"n_samples\":2}",
         "greedy continuations of a prompt are all the same"},
        {"{" MODEL "," ONE ",\"prompt\":\"x\",\"temperature\":\"hot\"}",
         "argument \"temperature\" is no number"},
        {"{" MODEL ",\"prompt\":\"x\",\"interventions\":[{\"feature\":1}]}",
         "argument \"interventions\": each is a feature with a number to set or add"},
        {"{" MODEL ",\"prompt\":\"x\",\"interventions\":[{\"set\":1,\"add\":1}]}",
         "argument \"interventions\": each is a feature with a number to set or add"},
        {"{" MODEL ",\"prompt\":\"x\",\"interventions\":[{\"feature\":-1,\"add\":1}]}",
         "argument \"feature\" is not a whole number >= 0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *answer = ask(cases[i].args);
        cr_expect_null(answer, "%s", cases[i].args);
        cr_expect_eq(err.status, ST_BAD_INPUT, "%s", cases[i].args);
        cr_expect_str_eq(err.text, cases[i].want, "%s: %s", cases[i].args, err.text);
        json_decref(answer);
    }
}

static struct generate_job told;

static json_t *next_task(void)
{
    struct wire_parts parts;
    for (int i = 0; i < 4; i++) {
        world.now_ms += 50;
        cr_assert_eq(probe_desk_step(desk, &err), ST_OK, "%s", err.text);
        dispatcher_world_settle(&world);
    }
    fake_worker_start(&world, &worker, "w");
    cr_assert(fake_worker_await(&world, &worker, WIRE_SPEC));
    json_t *spec =
        json_loadb(zmq_msg_data(&worker.in.bulk), zmq_msg_size(&worker.in.bulk), 0, NULL);
    cr_assert(fake_worker_await(&world, &worker, WIRE_LEASE));
    cr_assert_eq(wire_parts_decode(zmq_msg_data(&worker.in.bulk), zmq_msg_size(&worker.in.bulk),
                                   &parts, &err),
                 ST_OK);
    const struct wire_text part = wire_part(&parts, 1);
    cr_assert_eq(generate_job_decode(part.bytes, part.n_bytes, &told, &err), ST_OK, "%s", err.text);
    return spec;
}

/* Units ascend in the spec, whatever the order of features; the second slot of each is its
 * negative side. */
Test(api_steer, features_become_slots_of_their_units)
{
    json_decref(ask("{" MODEL ",\"prompt\":\"x\",\"interventions\":[{\"feature\":15,\"set\":2},"
                    "{\"feature\":4,\"add\":-3.5},{\"feature\":14,\"set\":0}]}"));
    json_t *spec = next_task();
    const json_t *target = json_array_get(json_object_get(spec, "targets"), 0);
    cr_expect_str_eq(json_string_value(json_object_get(target, "features")), "2,7");
    cr_expect_eq(json_integer_value(json_object_get(target, "n_slots")), 4);
    cr_expect_str_eq(json_string_value(json_object_get(spec, "kind")), "generate");
    cr_assert_eq(told.n_interventions, 3);
    static const uint32_t want[] = {3, 0, 2};
    for (size_t i = 0; i < 3; i++) cr_expect_eq(told.interventions[i].slot, want[i], "%zu", i);
    cr_expect_eq(told.interventions[1].kind, INTERVENTION_ADD);
    cr_expect_eq(told.interventions[1].value, -3.5);
    cr_expect_eq(told.where, GENERATE_ALL);
    cr_expect_eq(told.n_tokens, 32);
    json_decref(spec);
}

/* The worker's answer, as a client sees it. */
Test(api_steer, an_answer_is_told_in_words_and_numbers)
{
    static const char args[] = "{" MODEL "," ONE ",\"prompt\":\"x\",\"n_tokens\":2}";
    static uint32_t tokens[] = {5, 6};
    static char text[] = " a\xc3", word[] = "the";
    struct generate_sample sample = {{2, tokens, text, 3}, {0, tokens, text, 0}};
    struct generate_change change = {9, 0.25, 0.5, word, 3};
    struct generate_prompt prompt = {.n_tokens = 1,
                                     .kl = 0.5,
                                     .n_samples = 1,
                                     .n_changes = 1,
                                     .samples = &sample,
                                     .changes = &change};
    const struct generate_answer made = {
        .strength = 2, .kl = 0.5, .n_prompts = 1, .prompts = &prompt};
    struct buffer out;
    buffer_init(&out, GENERATE_MAX_ANSWER_BYTES);
    json_t *answer = ask(args);
    cr_expect_str_eq(json_string_value(json_object_get(answer, "state")), "pending");
    json_decref(answer);
    json_decref(next_task());
    cr_assert_eq(generate_answer_encode(&made, &out, &err), ST_OK);
    cr_assert_eq(fake_worker_store_bytes(&world, &worker, 0, out.bytes, out.n_bytes), ST_OK);
    fake_worker_say_settled(&worker, 0, 1, 0.001);
    dispatcher_world_settle(&world);
    cr_assert_eq(probe_desk_step(desk, &err), ST_OK, "%s", err.text);
    answer = ask(args);
    json_t *want = json_pack(
        "{s:s s:s s:s s:n s:[{s:i s:f}] s:s s:s s:i s:f s:[{s:s s:i s:f s:f}]"
        " s:[{s:{s:s s:[i,i]} s:{s:s s:[]}}]}",
        "state", "done", "model", "/m", "hook_point", "h", "dictionary", "interventions", "feature",
        1, "set", 2.0, "prompt", "x", "where", "all", "n_prompt_tokens", 1, "kl", 0.5, "changes",
        "token", "the", "token_id", 9, "clean", 0.25, "steered", 0.5, "continuations", "clean",
        "text", " a\xef\xbf\xbd", "token_ids", 5, 6, "steered", "text", "", "token_ids");
    cr_expect(json_equal(answer, want), "%s", json_dumps(answer, 0));
    json_decref(answer);
    json_decref(want);
    buffer_fini(&out);
}
