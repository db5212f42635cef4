#define _XOPEN_SOURCE 700 /* mkdtemp */
/* The probe handler against what capture computes for the same tokens: the same forward pass in
 * the capture's own batch shape, the same reader over all slots, compared bit for bit. */
#include "tests/unit/task_world.h"

#include "common/file.h"
#include "common/probe.h"
#include "worker/model/forward.h"
#include "worker/model/safetensors_writer.h"
#include "worker/model/tokenizer.h"
#include "worker/tasks/capture_target.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_ROWS = 16, N_CTX = 128, N_TEXTS = 6, ASKED = 8 };

static const char *const texts[N_TEXTS] = {
    "Once upon a time there was a little girl who lived in a house by the sea.",
    "int main(void) { return 0; }",
    "The cat",
    "x",
    "He said that he would not come, and she asked him why. \"Because,\" he said, \"it rains.\" "
    "Then they went home together, and the dog ran after them through the wet grass. There was "
    "a light in the window of the old house, and somebody had made a fire. They sat down.",
    "1, 2, 3, 4, 5, 6, 7",
};

static struct task_world world;

static void set_up(void)
{
    task_world_open(&world, "cpu");
}

static void tear_down(void)
{
    task_world_close(&world);
}

TestSuite(probe_task, .init = set_up, .fini = tear_down, .timeout = 60);

/* --- the handler --------------------------------------------------------------------------- */

static json_t *make_target(const char *hook, const char *units)
{
    json_t *target = json_pack("{s:s s:s s:i}", "hook", hook, "units", units, "n_slots", 0);
    if (strcmp(units, "dictionary") == 0)
        (void)json_object_set_new(target, "dictionary", json_string("config/demo/sae"));
    return target;
}

static status_t open_task(json_t *target, uint32_t n_slots, const char *bos)
{
    (void)json_object_set_new(target, "n_slots", json_integer(n_slots));
    json_t *spec =
        json_pack("{s:s s:s s:s s:s s:i s:i s:s s:b s:[O]}", "kind", "probe", "model",
                  "config/demo/model", "fingerprint", "", "compute", "f32", "n_rows", N_ROWS,
                  "n_ctx", N_CTX, "bos", bos, "with_pieces", 1, "targets", target);
    return task_world_open_task(&world, &probe_task_handler, spec);
}

static status_t run(const struct probe_unit *unit, struct probe_answer *answers)
{
    struct buffer payload, out;
    buffer_init(&payload, PROBE_MAX_UNIT_BYTES);
    buffer_init(&out, PROBE_MAX_RESULT_BYTES);
    error_clear(&world.err);
    cr_assert_eq(probe_unit_encode(unit, &payload, &world.err), ST_OK, "%s", world.err.text);
    const struct wire_text bytes = {(const char *)payload.bytes, payload.n_bytes};
    status_t status = task_world_run_unit(&world, bytes, &out);
    if (status == ST_OK)
        status = probe_result_decode(out.bytes, out.n_bytes, answers, unit->n_probes, &world.err);
    buffer_fini(&payload);
    buffer_fini(&out);
    return status;
}

static struct probe probe_of(const char *text, uint32_t slot)
{
    return (struct probe){0, slot, wire_text_of(text)};
}

/* --- what capture computes ----------------------------------------------------------------- */

struct reference {
    struct model *model;
    struct capture_target *target;
    uint32_t tokens[N_ROWS * N_CTX], lengths[N_ROWS];
    float *values; /* [N_TEXTS, N_CTX, n_slots] */
    uint32_t n_slots;
};

static void tokenize(struct reference *self)
{
    struct tokenizer *tokenizer;
    uint32_t bos;
    cr_assert_eq(tokenizer_open(&tokenizer, "config/demo/model", &world.err), ST_OK, "%s",
                 world.err.text);
    cr_assert(tokenizer_bos(tokenizer, &bos));
    for (size_t i = 0; i < N_TEXTS; i++) {
        struct token_list ids = {0};
        cr_assert_eq(token_list_append(&ids, &bos, 1, &world.err), ST_OK);
        cr_assert_eq(
            tokenizer_encode(tokenizer, texts[i], strlen(texts[i]), false, &ids, &world.err),
            ST_OK);
        cr_assert_leq(ids.n_ids, N_CTX);
        self->lengths[i] = (uint32_t)ids.n_ids;
        memcpy(self->tokens + i * N_CTX, ids.ids, ids.n_ids * sizeof *ids.ids);
        token_list_fini(&ids);
    }
    tokenizer_close(&tokenizer);
}

static void reference_open(struct reference *self, const json_t *target)
{
    const float *acts;
    struct forward *forward;
    struct sparse_rows rows;
    *self = (struct reference){0};
    tokenize(self);
    const struct model_wanted wanted = {.directory = "config/demo/model"};
    cr_assert_eq(model_cache_model(world.models, &wanted, &self->model, &world.err), ST_OK);
    cr_assert_eq(capture_target_open(&self->target, world.models, self->model, target, &world.err),
                 ST_OK, "%s", world.err.text);
    self->n_slots = capture_target_n_slots(self->target);
    const struct forward_params params = {
        .model = self->model, .n_rows = N_ROWS, .n_ctx = N_CTX, .progress = &world.ticks};
    const struct forward_input input = {.tokens = self->tokens, .row_lengths = self->lengths};
    const struct hook_point hook = capture_target_hook(self->target);
    cr_assert_eq(forward_create(&forward, &params, &world.err), ST_OK, "%s", world.err.text);
    cr_assert_eq(forward_run(forward, &input, &hook, 1, &acts, &world.err), ST_OK, "%s",
                 world.err.text);
    cr_assert_eq(
        capture_target_read(self->target, forward, acts, (size_t)N_ROWS * N_CTX, &rows, &world.err),
        ST_OK, "%s", world.err.text);
    self->values = calloc((size_t)N_TEXTS * N_CTX * self->n_slots, sizeof *self->values);
    cr_assert(self->values);
    for (size_t t = 0; t < (size_t)N_TEXTS * N_CTX; t++)
        for (size_t i = rows.row_start[t]; i < rows.row_start[t + 1]; i++)
            self->values[t * self->n_slots + rows.feature[i]] = rows.value[i];
    forward_destroy(&forward);
}

static void reference_close(struct reference *self)
{
    free(self->values);
    capture_target_close(&self->target);
    model_cache_release_model(world.models, self->model);
}

static float value_of(const struct reference *self, size_t text, size_t token, uint32_t slot)
{
    return self->values[(text * N_CTX + token) * self->n_slots + slot];
}

/* Slots that fire somewhere on the text, from the highest on; at most ASKED. */
static size_t firing_slots(const struct reference *self, size_t text, uint32_t *out)
{
    size_t n = 0;
    for (uint32_t slot = self->n_slots; slot-- > 0 && n < ASKED;)
        for (size_t t = 1; t < self->lengths[text]; t++)
            if (value_of(self, text, t, slot) > 0) {
                out[n++] = slot;
                break;
            }
    return n;
}

static size_t expect_same(const struct reference *self, size_t text, uint32_t slot,
                          const struct probe_answer *answer)
{
    size_t n_firing = 0;
    cr_assert_str_eq(answer->error, "");
    cr_expect_not(answer->is_cut);
    cr_assert_eq(answer->n_tokens, self->lengths[text] - 1, "all but BOS");
    for (size_t t = 0; t < answer->n_tokens; t++) {
        const float want = value_of(self, text, t + 1, slot);
        cr_expect_eq(answer->tokens[t], self->tokens[text * N_CTX + t + 1]);
        cr_expect_arr_eq(&answer->activations[t], &want, sizeof want,
                         "text %zu slot %u token %zu: %.9g, capture %.9g", text, slot, t,
                         (double)answer->activations[t], (double)want);
        n_firing += want > 0;
    }
    return n_firing;
}

/* Every text with slots that fire on it, one unit; returns how many values were > 0. */
static size_t compare_all(const struct reference *self)
{
    struct probe_unit unit = {0};
    size_t of_text[PROBE_MAX_PER_UNIT], n_firing = 0;
    struct probe_answer answers[PROBE_MAX_PER_UNIT];
    for (size_t i = 0; i < N_TEXTS; i++) {
        uint32_t slots[ASKED];
        const size_t n = firing_slots(self, i, slots);
        for (size_t k = 0; k < n; k++) {
            of_text[unit.n_probes] = i;
            unit.probes[unit.n_probes++] = probe_of(texts[i], slots[k]);
        }
    }
    cr_assert_eq(run(&unit, answers), ST_OK, "%s", world.err.text);
    for (size_t i = 0; i < unit.n_probes; i++) {
        n_firing += expect_same(self, of_text[i], unit.probes[i].slot, &answers[i]);
        probe_answer_fini(&answers[i]);
    }
    return n_firing;
}

static void check_kind(const char *hook, const char *units)
{
    struct reference reference;
    json_t *target = make_target(hook, units);
    reference_open(&reference, target);
    cr_assert_eq(open_task(target, reference.n_slots, "true"), ST_OK, "%s", world.err.text);
    cr_expect_geq(compare_all(&reference), 20, "something fired");
    reference_close(&reference);
    json_decref(target);
}

Test(probe_task, a_dictionary_gives_the_bits_of_capture)
{
    check_kind("blocks.2.hook_resid_pre", "dictionary");
}

Test(probe_task, neurons_give_the_bits_of_capture)
{
    check_kind("blocks.1.mlp.hook_post", "neurons");
}

Test(probe_task, residual_dimensions_give_the_bits_of_capture)
{
    check_kind("blocks.2.hook_resid_pre", "residual");
}

Test(probe_task, heads_give_the_bits_of_capture)
{
    check_kind("blocks.1.attn.hook_z", "heads");
}

Test(probe_task, a_list_of_features_has_the_slots_of_its_places)
{
    struct reference reference;
    uint32_t slots[ASKED];
    char list[64];
    json_t *target = make_target("blocks.2.hook_resid_pre", "dictionary");
    reference_open(&reference, target);
    cr_assert_geq(firing_slots(&reference, 0, slots), 2);
    (void)snprintf(list, sizeof list, "%u,%u", slots[1], slots[0]);
    (void)json_object_set_new(target, "features", json_string(list));
    cr_assert_eq(open_task(target, 2, "true"), ST_OK, "%s", world.err.text);
    const struct probe_unit unit = {1, {probe_of(texts[0], 1)}}; /* ascending: slots[0] is second */
    struct probe_answer answer;
    cr_assert_eq(run(&unit, &answer), ST_OK, "%s", world.err.text);
    cr_expect_gt(expect_same(&reference, 0, slots[0], &answer), 0);
    probe_answer_fini(&answer);
    reference_close(&reference);
    json_decref(target);
}

/* --- texts --------------------------------------------------------------------------------- */

static uint32_t open_demo(const char *bos)
{
    json_t *target = make_target("blocks.2.hook_resid_pre", "dictionary");
    cr_assert_eq(open_task(target, 16384, bos), ST_OK, "%s", world.err.text);
    json_decref(target);
    return 16384;
}

Test(probe_task, what_shares_the_unit_changes_nothing)
{
    struct probe_unit all = {0};
    struct probe_answer together[N_TEXTS], alone;
    (void)open_demo("true");
    for (size_t i = 0; i < N_TEXTS; i++) all.probes[all.n_probes++] = probe_of(texts[i], 100);
    cr_assert_eq(run(&all, together), ST_OK, "%s", world.err.text);
    for (size_t i = 0; i < N_TEXTS; i++) {
        const struct probe_unit one = {1, {all.probes[i]}};
        cr_assert_eq(run(&one, &alone), ST_OK);
        cr_assert_eq(alone.n_tokens, together[i].n_tokens);
        cr_expect_arr_eq(alone.activations, together[i].activations, 4 * alone.n_tokens);
        probe_answer_fini(&alone);
        probe_answer_fini(&together[i]);
    }
}

Test(probe_task, a_long_text_is_cut_at_the_context_and_says_so)
{
    static char text[2000];
    struct probe_answer answers[2];
    (void)open_demo("true");
    for (size_t i = 0; i + 2 < sizeof text; i += 2) memcpy(text + i, "a ", 2);
    const struct probe_unit unit = {2, {probe_of(text, 0), probe_of("a short one", 0)}};
    cr_assert_eq(run(&unit, answers), ST_OK, "%s", world.err.text);
    cr_expect(answers[0].is_cut);
    cr_expect_eq(answers[0].n_tokens, N_CTX - 1, "BOS takes a place");
    cr_expect_not(answers[1].is_cut);
    probe_answer_fini(&answers[0]);
    probe_answer_fini(&answers[1]);
}

Test(probe_task, a_text_without_tokens_is_answered_with_an_error)
{
    struct probe_answer answers[2];
    (void)open_demo("true");
    const struct probe_unit unit = {2, {probe_of("", 0), probe_of("the next one", 0)}};
    cr_assert_eq(run(&unit, answers), ST_OK, "%s", world.err.text);
    cr_expect_str_eq(answers[0].error, "empty after tokenization");
    cr_expect_str_eq(answers[1].error, "");
    cr_expect_gt(answers[1].n_tokens, 1);
    probe_answer_fini(&answers[0]);
    probe_answer_fini(&answers[1]);
}

Test(probe_task, pieces_join_to_the_text)
{
    struct probe_answer answer;
    char joined[256] = "";
    const char *text = "Caf\xc3\xa9 \xf0\x9f\x98\x80, twice";
    (void)open_demo("false");
    const struct probe_unit unit = {1, {probe_of(text, 3)}};
    cr_assert_eq(run(&unit, &answer), ST_OK, "%s", world.err.text);
    size_t n = 0;
    for (size_t i = 0; i < answer.n_tokens; i++) {
        memcpy(joined + n, answer.pieces[i].bytes, answer.pieces[i].n_bytes);
        n += answer.pieces[i].n_bytes;
    }
    cr_assert_eq(n, strlen(text));
    cr_expect_arr_eq(joined, text, n);
    probe_answer_fini(&answer);
}

Test(probe_task, any_bytes_are_a_text)
{
    struct probe_answer answer;
    (void)open_demo("true");
    const struct probe_unit unit = {1, {{0, 0, {"\xff\0\xc3 \x1b[31m", 9}}}};
    cr_assert_eq(run(&unit, &answer), ST_OK, "%s", world.err.text);
    cr_expect_str_eq(answer.error, "");
    cr_expect_gt(answer.n_tokens, 0);
    probe_answer_fini(&answer);
}

/* --- files that change ----------------------------------------------------------------------- */

/* What to do with the numbers of a dictionary's file. */
typedef void change_fn(char *bytes, size_t n_head, size_t n);

static void keep(char *bytes, size_t n_head, size_t n)
{
    (void)bytes;
    (void)n_head;
    (void)n;
}

static void negate(char *bytes, size_t n_head, size_t n)
{
    for (size_t at = n_head; at + 4 <= n; at += 4)
        bytes[at + 3] = (char)((unsigned char)bytes[at + 3] ^ 0x80u);
}

/* The demo's dictionary at `directory`, changed. */
static void write_dictionary(const char *directory, change_fn *change)
{
    static const char *const names[] = {"cfg.json", "sae_weights.safetensors"};
    for (size_t i = 0; i < 2; i++) {
        char from[64], to[128], *bytes;
        size_t n;
        (void)snprintf(from, sizeof from, "config/demo/sae/%s", names[i]);
        (void)snprintf(to, sizeof to, "%s/%s", directory, names[i]);
        cr_assert_eq(file_read(from, 1 << 30, &bytes, &n, &world.err), ST_OK, "%s", world.err.text);
        if (i == 1) change(bytes, 8 + (unsigned char)bytes[0] + 256u * (unsigned char)bytes[1], n);
        cr_assert_eq(file_write_atomic(to, bytes, n, &world.err), ST_OK, "%s", world.err.text);
        free(bytes);
    }
}

static void remove_dictionary(const char *directory)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/cfg.json", directory);
    (void)remove(path);
    (void)snprintf(path, sizeof path, "%s/sae_weights.safetensors", directory);
    (void)remove(path);
    (void)remove(directory);
}

/* A task on the changed dictionary, in a new directory. */
static void open_changed(char directory[], change_fn *change)
{
    json_t *target = make_target("blocks.2.hook_resid_pre", "dictionary");
    cr_assert(mkdtemp(directory));
    write_dictionary(directory, change);
    (void)json_object_set_new(target, "dictionary", json_string(directory));
    cr_assert_eq(open_task(target, 16384, "true"), ST_OK, "%s", world.err.text);
    json_decref(target);
}

/* The sum of all activations of many slots on one text. */
static double sum_of_slots(void)
{
    static struct probe_unit unit;
    static struct probe_answer answers[PROBE_MAX_PER_UNIT];
    double sum = 0;
    unit.n_probes = PROBE_MAX_PER_UNIT;
    for (uint32_t i = 0; i < PROBE_MAX_PER_UNIT; i++)
        unit.probes[i] = probe_of(texts[4], 13 + 97 * i);
    cr_assert_eq(run(&unit, answers), ST_OK, "%s", world.err.text);
    for (size_t i = 0; i < PROBE_MAX_PER_UNIT; i++) {
        for (size_t t = 0; t < answers[i].n_tokens; t++) sum += (double)answers[i].activations[t];
        probe_answer_fini(&answers[i]);
    }
    return sum;
}

Test(probe_task, files_that_are_written_again_are_read_again)
{
    char directory[] = "/tmp/probe-XXXXXX";
    open_changed(directory, keep);
    const double before = sum_of_slots();
    cr_expect_gt(before, 0);
    cr_expect_eq(sum_of_slots(), before);
    write_dictionary(directory, negate);
    cr_expect_neq(sum_of_slots(), before);
    remove_dictionary(directory);
}

enum { D_IN = 128, N_FEATURES = 8, HUGE_FEATURE = 7 };

/* Eight features of arbitrary directions; the last one's products overflow on any text. */
static void write_overflowing(const char *directory)
{
    static float encode[D_IN][N_FEATURES], decode[N_FEATURES][D_IN], bias[D_IN];
    static const char cfg[] =
        "{\"architecture\":\"standard\",\"d_in\":128,\"d_sae\":8,\"dtype\":\"float32\","
        "\"apply_b_dec_to_input\":true,\"normalize_activations\":\"none\","
        "\"reshape_activations\":\"none\",\"metadata\":{\"sae_lens_version\":\"6.54.12\","
        "\"hook_name\":\"blocks.2.hook_resid_pre\"}}";
    char path[128];
    for (int i = 0; i < D_IN; i++)
        for (int f = 0; f < N_FEATURES; f++) {
            encode[i][f] = f == HUGE_FEATURE ? 3e38f : (float)((i * 7 + f * 31) % 19 - 9) / 20;
            decode[f][i] = 0.1f;
        }
    const struct tensor_view views[] = {{.name = "W_enc",
                                         .dtype = TENSOR_F32,
                                         .n_dims = 2,
                                         .shape = {D_IN, N_FEATURES},
                                         .data = encode,
                                         .n_bytes = sizeof encode},
                                        {.name = "W_dec",
                                         .dtype = TENSOR_F32,
                                         .n_dims = 2,
                                         .shape = {N_FEATURES, D_IN},
                                         .data = decode,
                                         .n_bytes = sizeof decode},
                                        {.name = "b_enc",
                                         .dtype = TENSOR_F32,
                                         .n_dims = 1,
                                         .shape = {N_FEATURES},
                                         .data = bias,
                                         .n_bytes = N_FEATURES * sizeof *bias},
                                        {.name = "b_dec",
                                         .dtype = TENSOR_F32,
                                         .n_dims = 1,
                                         .shape = {D_IN},
                                         .data = bias,
                                         .n_bytes = sizeof bias}};
    (void)snprintf(path, sizeof path, "%s/sae_weights.safetensors", directory);
    cr_assert_eq(safetensors_write(path, views, 4, &world.err), ST_OK, "%s", world.err.text);
    (void)snprintf(path, sizeof path, "%s/cfg.json", directory);
    cr_assert_eq(file_write_atomic(path, cfg, strlen(cfg), &world.err), ST_OK, "%s",
                 world.err.text);
}

Test(probe_task, a_value_that_overflows_fails_its_own_probe_only)
{
    char directory[] = "/tmp/probe-XXXXXX";
    struct probe_answer alone, together[3];
    const struct probe_unit one = {1, {probe_of(texts[1], 3)}};
    const struct probe_unit unit = {
        3, {probe_of(texts[0], 3), probe_of(texts[0], HUGE_FEATURE), probe_of(texts[1], 3)}};
    json_t *target = make_target("blocks.2.hook_resid_pre", "dictionary");
    cr_assert(mkdtemp(directory));
    write_overflowing(directory);
    (void)json_object_set_new(target, "dictionary", json_string(directory));
    cr_assert_eq(open_task(target, N_FEATURES, "true"), ST_OK, "%s", world.err.text);
    cr_assert_eq(run(&one, &alone), ST_OK, "%s", world.err.text);
    cr_assert_eq(run(&unit, together), ST_OK, "%s", world.err.text);
    cr_expect_str_eq(together[0].error, "");
    cr_expect_gt(probe_answer_max(&together[0]), 0);
    cr_expect(together[1].error[0], "its products are not finite");
    cr_assert_eq(together[2].n_tokens, alone.n_tokens);
    cr_expect_arr_eq(together[2].activations, alone.activations, 4 * alone.n_tokens);
    probe_answer_fini(&alone);
    for (size_t i = 0; i < 3; i++) probe_answer_fini(&together[i]);
    remove_dictionary(directory);
    json_decref(target);
}

/* --- refusals ------------------------------------------------------------------------------ */

Test(probe_task, targets_and_slots_that_do_not_exist_are_refused)
{
    struct probe_answer answer;
    const uint32_t n_slots = open_demo("true");
    struct probe_unit unit = {1, {{1, 0, {"x", 1}}}};
    cr_expect_eq(run(&unit, &answer), ST_PROTOCOL);
    unit.probes[0] = (struct probe){0, n_slots, {"x", 1}};
    cr_expect_eq(run(&unit, &answer), ST_BAD_INPUT);
    cr_expect(strstr(world.err.text, "slot 16384"), "%s", world.err.text);
}

Test(probe_task, another_count_of_slots_is_refused)
{
    json_t *target = make_target("blocks.2.hook_resid_pre", "dictionary");
    cr_expect_eq(open_task(target, 100, "true"), ST_CONFLICT);
    json_decref(target);
}

Test(probe_task, an_unknown_word_for_bos_is_refused)
{
    json_t *target = make_target("blocks.2.hook_resid_pre", "dictionary");
    cr_expect_eq(open_task(target, 16384, "perhaps"), ST_PROTOCOL);
    json_decref(target);
}
