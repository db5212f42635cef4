/* What crosses the bus where features of dictionaries are changed on a device of its own memory
 * (the host emulator): lists and numbers, and no rows of activations, also where each token has a
 * norm of its own to be undone. */
#include "tests/unit/emulated.h"
#include "tests/unit/task_world.h"
#include "worker/tasks/steering.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>

enum { WIDTH = 32, N_CTX = 9, N_PROMPTS = 2, N_ROWS = N_PROMPTS * N_CTX };

static const char *const NAMES[] = {"standard", "standard-constant-norm", "topk-layer-norm",
                                    "jumprelu-constant-norm"};
enum { N_NAMES = sizeof NAMES / sizeof NAMES[0] };

static struct task_world world;

static void set_up(void)
{
    emulated_set_mode(&EMULATED_MODES[0]);
    task_world_open(&world, "emu");
}

static void tear_down(void)
{
    task_world_close(&world);
}

TestSuite(dictionary_bus, .init = set_up, .fini = tear_down, .timeout = 120);

static json_t *dictionary_spec(const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof path, "tests/golden/dictionaries/%s", name);
    return json_pack("{s:s s:s s:s}", "hook", "blocks.1.hook_resid_pre", "units", "dictionary",
                     "dictionary", path);
}

static struct emulated_work since(struct emulated_work before)
{
    const struct emulated_work now = emulated_work();
    return (struct emulated_work){.n_bytes_up = now.n_bytes_up - before.n_bytes_up,
                                  .n_bytes_down = now.n_bytes_down - before.n_bytes_down};
}

/* --- ablations ----------------------------------------------------------------------------- */

static json_t *ablate_spec(const char *name)
{
    json_t *prompts = json_array();
    for (int p = 0; p < N_PROMPTS; p++) {
        json_t *tokens = json_array();
        for (int t = 0; t < N_CTX; t++)
            (void)json_array_append_new(tokens, json_integer((t * 37 + p * 11 + 5) % 97));
        (void)json_array_append_new(prompts, json_pack("{s:O s:o s:i s:[i] s:[i]}", "clean", tokens,
                                                       "corrupted", tokens, "answer_at", N_CTX - 1,
                                                       "answers", 3, "distractors", 4));
    }
    return json_pack("{s:s s:s s:s s:s s:i s:s s:b s:b s:o s:[] s:[] s:[o]}", "kind", "ablate",
                     "model", "tests/golden/models/gpt2-bare-names", "fingerprint", "", "compute",
                     "f32", "n_ctx", N_CTX, "mean", "position", "naive", 0, "vocabulary", 0,
                     "prompts", prompts, "reference", "positions", "dictionaries",
                     dictionary_spec(name));
}

/* A task of n variants: the stream changed at the start, and a feature everywhere. */
static struct emulated_work ablate(const char *name, uint32_t n)
{
    enum { MOST = 8 };
    uint32_t ends[MOST];
    struct ablate_change changes[2 * MOST];
    struct ablate_result result;
    cr_assert_leq(n, MOST);
    for (uint32_t i = 0; i < n; i++) {
        changes[2 * i] = (struct ablate_change){.at = {ABLATE_RESID_PRE, 0, 0, 4}};
        changes[2 * i + 1] = (struct ablate_change){.at = {ABLATE_FEATURE, 0, 17, 1}};
        ends[i] = 2 * i + 2;
    }
    const struct ablate_unit unit = {n, ends, changes};
    const struct emulated_work before = emulated_work();
    cr_assert_eq(task_world_ablate(&world, ablate_spec(name), &unit, &result), ST_OK, "%s",
                 world.err.text);
    ablate_result_fini(&result);
    return since(before);
}

/* Rows that were fetched would come down once, and go up twice: back, and to be encoded. */
Test(dictionary_bus, ablated_features_move_no_rows)
{
    const uint64_t n_bytes = (uint64_t)N_ROWS * WIDTH * sizeof(float);
    for (size_t i = 0; i < N_NAMES; i++) {
        (void)ablate(NAMES[i], 1); /* model and dictionary are there from now on */
        const struct emulated_work few = ablate(NAMES[i], 2), more = ablate(NAMES[i], 6);
        const uint64_t up = (more.n_bytes_up - few.n_bytes_up) / 4,
                       down = (more.n_bytes_down - few.n_bytes_down) / 4;
        cr_expect_lt(up, n_bytes, "%s: %zu bytes up", NAMES[i], (size_t)up);
        cr_expect_lt(down, n_bytes, "%s: %zu bytes down", NAMES[i], (size_t)down);
    }
}

/* --- steering ------------------------------------------------------------------------------ */

static struct emulated_work steer(struct forward *forward, struct steering *steering,
                                  const struct steering_span *spans)
{
    static const uint32_t lengths[N_PROMPTS] = {N_CTX, N_CTX}, tokens[N_ROWS] = {5, 42, 17};
    static const struct hook_point hook = {.kind = HOOK_LOGITS};
    const float *logits;
    struct forward_input input = {.tokens = tokens, .row_lengths = lengths};
    input.edits = steering_edits(steering, &input.n_edits);
    steering_set_spans(steering, spans);
    const struct emulated_work before = emulated_work();
    cr_assert_eq(forward_run(forward, &input, &hook, 1, &logits, &world.err), ST_OK, "%s",
                 world.err.text);
    return since(before);
}

/* What a feature that is added to some tokens moves more than one that is added to none: where each
 * token has its norm, an edit for each prompt gathers their rows, a number for each of them comes
 * down, and each has an edit of its own; else there is one for the tokens of a prompt. */
static void check_steering(const char *name, struct subject *subject)
{
    enum { N_TOKENS = 7 };
    static const struct steering_span none[N_PROMPTS], some[N_PROMPTS] = {{2, 6}, {1, 4}};
    static const struct intervention add = {.slot = 17, .kind = INTERVENTION_ADD, .value = 1.5};
    const struct forward_params params = {
        .model = subject->model, .n_rows = N_PROMPTS, .n_ctx = N_CTX, .row_block = 32};
    const bool has_scales = name != NAMES[0];
    const size_t n_edits = has_scales ? N_PROMPTS + N_TOKENS : N_PROMPTS;
    struct steering *steering;
    struct forward *forward;
    cr_assert_eq(forward_create(&forward, &params, &world.err), ST_OK, "%s", world.err.text);
    cr_assert_eq(steering_create(&steering, subject, &add, 1, &world.err), ST_OK, "%s",
                 world.err.text);
    (void)steer(forward, steering, some);
    const struct emulated_work clean = steer(forward, steering, none),
                               steered = steer(forward, steering, some);
    cr_expect_eq(steered.n_bytes_up - clean.n_bytes_up, n_edits * sizeof(struct edit),
                 "%s: %zu bytes up", name, (size_t)(steered.n_bytes_up - clean.n_bytes_up));
    cr_expect_eq(steered.n_bytes_down - clean.n_bytes_down,
                 has_scales ? N_TOKENS * sizeof(float) : 0, "%s: %zu bytes down", name,
                 (size_t)(steered.n_bytes_down - clean.n_bytes_down));
    steering_destroy(&steering);
    forward_destroy(&forward);
}

Test(dictionary_bus, steered_features_move_a_number_a_token_at_most)
{
    for (size_t i = 0; i < N_NAMES; i++) {
        const struct model_wanted wanted = {.directory = "tests/golden/models/gpt2-bare-names"};
        struct subject subject = {.n_targets = 1};
        json_t *target = dictionary_spec(NAMES[i]);
        cr_assert_eq(model_cache_model(world.models, &wanted, &subject.model, &world.err), ST_OK,
                     "%s", world.err.text);
        cr_assert_eq(capture_target_open(&subject.targets[0], world.models, subject.model, target,
                                         &world.err),
                     ST_OK, "%s", world.err.text);
        check_steering(NAMES[i], &subject);
        json_decref(target);
        capture_target_close(&subject.targets[0]);
        model_cache_release_model(world.models, subject.model);
    }
}
