/* The prompts handler as a worker runs it: a generator's request and a user's file. */
#include "tests/unit/task_world.h"

#include "common/prompts.h"
#include "coordinator/circuit/prompt_set.h"

#include <criterion/criterion.h>
#include <string.h>

static struct task_world world;

static void set_up(void)
{
    task_world_open(&world, "cpu");
}

static void tear_down(void)
{
    task_world_close(&world);
}

TestSuite(prompts_task, .init = set_up, .fini = tear_down, .timeout = 60);

/* Run a task of that spec once; its status, the result in *out. */
static status_t run(json_t *spec, const char *payload, struct buffer *out)
{
    const struct wire_text text = {payload, strlen(payload)};
    buffer_init(out, PROMPTS_MAX_RESULT_BYTES);
    (void)json_object_set_new(spec, "kind", json_string("prompts"));
    (void)json_object_set_new(spec, "model", json_string("config/demo/model"));
    (void)json_object_set_new(spec, "fingerprint", json_string(""));
    (void)json_object_set_new(spec, "bos", json_string("auto"));
    return task_world_run(&world, &prompts_task_handler, spec, text, out);
}

static void expect_prompts(const struct buffer *out, size_t n_wanted)
{
    struct prompt_set set;
    cr_assert_eq(
        prompt_set_parse(&set, "made", (const char *)out->bytes, out->n_bytes, 4096, &world.err),
        ST_OK, "%s", world.err.text);
    cr_expect_eq(set.n_prompts, n_wanted);
    prompt_set_fini(&set);
}

Test(prompts_task, makes_the_set_of_a_generator)
{
    struct buffer out;
    const uint64_t before = atomic_load(&world.ticks);
    cr_assert_eq(
        run(json_pack("{s:s s:i s:i}", "generator", "ioi", "n_prompts", 64, "seed", 1), "", &out),
        ST_OK, "%s", world.err.text);
    expect_prompts(&out, 64);
    cr_expect_gt(atomic_load(&world.ticks), before + 64);
    buffer_fini(&out);
    cr_assert_eq(run(json_pack("{s:s s:i s:i s:i}", "generator", "induction", "n_prompts", 8,
                               "seed", 1, "n_tokens", 12),
                     "", &out),
                 ST_OK, "%s", world.err.text);
    expect_prompts(&out, 8);
    buffer_fini(&out);
}

Test(prompts_task, tokenizes_a_users_file)
{
    static const char file[] =
        "{\"clean\": \"John met Jane and John\", \"corrupted\": \"Jane met Jane and John\", "
        "\"answer\": \" he\", \"distractor\": \" she\"}\n";
    struct buffer out;
    cr_assert_eq(run(json_pack("{s:s}", "source", "mine.jsonl"), file, &out), ST_OK, "%s",
                 world.err.text);
    expect_prompts(&out, 1);
    buffer_fini(&out);
    cr_expect_eq(run(json_pack("{s:s}", "source", "mine.jsonl"), "\n", &out), ST_BAD_INPUT);
    cr_expect_str_eq(world.err.text, "mine.jsonl: the prompt set is empty");
    buffer_fini(&out);
}

Test(prompts_task, names_what_a_spec_gets_wrong)
{
    struct buffer out;
    cr_expect_eq(
        run(json_pack("{s:s s:i s:i}", "generator", "poetry", "n_prompts", 4, "seed", 1), "", &out),
        ST_BAD_INPUT);
    cr_expect_not_null(strstr(world.err.text, "\"poetry\" is no generator"), "%s", world.err.text);
    cr_expect_eq(run(json_pack("{s:s s:i}", "generator", "ioi", "seed", 1), "", &out), ST_PROTOCOL);
    cr_expect_not_null(strstr(world.err.text, "n_prompts"), "%s", world.err.text);
    cr_expect_eq(
        run(json_pack("{s:s s:i s:i}", "generator", "induction", "n_prompts", 4, "seed", 1), "",
            &out),
        ST_PROTOCOL);
    cr_expect_not_null(strstr(world.err.text, "n_tokens"), "%s", world.err.text);
}
