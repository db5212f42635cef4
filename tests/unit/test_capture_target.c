/* From activations to slots: which features a target chooses, what it refuses, and the values that
 * come out, against the encoder and the forward pass themselves. */
#include "worker/tasks/capture_target.h"

#include "common/number_ranges.h"
#include "worker/model/encoder.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { D_MODEL = 128, D_MLP = 512, N_HEADS = 4, N_FEATURES = 16384, N_TOKENS = 7 };

static struct backend *backend;
static struct model_cache *models;
static struct model *model;
static struct capture_target *target;
static struct error err;

static void set_up(void)
{
    cr_assert_eq(backend_open_cpu(&backend, &err), ST_OK, "%s", err.text);
    cr_assert_eq(model_cache_create(&models, backend, &err), ST_OK);
    const struct model_wanted wanted = {.directory = "config/demo/model"};
    cr_assert_eq(model_cache_model(models, &wanted, &model, &err), ST_OK, "%s", err.text);
}

static void tear_down(void)
{
    capture_target_close(&target);
    model_cache_release_model(models, model);
    model_cache_destroy(&models);
    backend_close(&backend);
}

TestSuite(capture_target, .init = set_up, .fini = tear_down, .timeout = 60);

/* A capture's spec of one target; a NULL is left out, and without features it is a describe's. */
struct asked {
    const char *hook, *units, *dictionary, *features, *fingerprint;
};

static status_t open_target(const struct asked *asked)
{
    json_t *spec = json_pack("{s:s? s:s? s:s? s:s? s:s?}", "hook", asked->hook, "units",
                             asked->units, "dictionary", asked->dictionary, "features",
                             asked->features, "fingerprint", asked->fingerprint);
    if (asked->features) (void)json_object_set_new(spec, "n_slots", json_integer(1));
    error_clear(&err);
    const status_t status = capture_target_open(&target, models, model, spec, &err);
    json_decref(spec);
    return status;
}

static void must_open(const struct asked *asked)
{
    cr_assert_eq(open_target(asked), ST_OK, "%s", err.text);
}

/* The same numbers for every test, about as large as the residual stream's. */
static float *make_acts(size_t width)
{
    uint32_t state = 1;
    float *acts = malloc(N_TOKENS * width * sizeof *acts);
    cr_assert_not_null(acts);
    for (size_t i = 0; i < N_TOKENS * width; i++) {
        state = state * 1664525u + 1013904223u;
        acts[i] = (float)((double)state / 4294967296.0 - 0.5) * 4.0f;
    }
    return acts;
}

/* Read the target and spread it out: [N_TOKENS, n_slots], 0 where a slot has no entry. Slots must
 * exist, ascend within a token, and have positive values. */
static float *read_dense(struct forward *forward, const float *acts)
{
    const uint32_t n_slots = capture_target_n_slots(target);
    float *dense = calloc((size_t)N_TOKENS * n_slots, sizeof *dense);
    struct sparse_rows rows;
    cr_assert_not_null(dense);
    error_clear(&err);
    cr_assert_eq(capture_target_read(target, forward, acts, N_TOKENS, &rows, &err), ST_OK, "%s",
                 err.text);
    cr_assert_eq(rows.n_rows, N_TOKENS);
    for (size_t t = 0; t < N_TOKENS; t++)
        for (size_t i = rows.row_start[t]; i < rows.row_start[t + 1]; i++) {
            cr_assert_lt(rows.feature[i], n_slots);
            cr_assert(i == rows.row_start[t] || rows.feature[i] > rows.feature[i - 1]);
            cr_assert_gt(rows.value[i], 0.0f);
            dense[t * n_slots + rows.feature[i]] = rows.value[i];
        }
    return dense;
}

static bool equal_bits(float left, float right)
{
    return memcmp(&left, &right, sizeof left) == 0;
}

/* --- dictionaries -------------------------------------------------------------------------- */

static const struct asked whole_dictionary = {"blocks.2.hook_resid_pre", "dictionary",
                                              "config/demo/sae", NULL, NULL};

Test(capture_target, all_features_are_what_the_encoder_gives)
{
    struct dictionary *dictionary = NULL;
    struct encoder *encoder = NULL;
    struct sparse_rows rows;
    float *acts = make_acts(D_MODEL);
    must_open(&whole_dictionary);
    cr_assert_eq(capture_target_n_slots(target), N_FEATURES);
    float *got = read_dense(NULL, acts);
    cr_assert_eq(model_cache_dictionary(models, whole_dictionary.dictionary, 0, &dictionary, &err),
                 ST_OK);
    const struct encoder_params params = {.dictionary = dictionary, .screen = SCREEN_NONE};
    cr_assert_eq(encoder_create(&encoder, &params, &err), ST_OK, "%s", err.text);
    cr_assert_eq(encoder_run(encoder, acts, N_TOKENS, &rows, &err), ST_OK);
    cr_assert_gt(rows.row_start[N_TOKENS], 0);
    for (size_t t = 0; t < N_TOKENS; t++)
        for (size_t i = rows.row_start[t]; i < rows.row_start[t + 1]; i++) {
            float *value = &got[t * N_FEATURES + rows.feature[i]];
            cr_expect(equal_bits(*value, rows.value[i]), "token %zu, entry %zu", t, i);
            *value = 0.0f;
        }
    for (size_t i = 0; i < (size_t)N_TOKENS * N_FEATURES; i++)
        cr_assert(equal_bits(got[i], 0.0f), "an entry that the encoder does not have");
    encoder_destroy(&encoder);
    model_cache_release_dictionary(models, dictionary);
    free(got);
    free(acts);
}

/* Features that fire somewhere, ascending, each other one; at most n. */
static size_t pick_firing(const float *dense, uint32_t *out, size_t n)
{
    size_t n_picked = 0, n_seen = 0;
    for (uint32_t f = 0; f < N_FEATURES && n_picked < n; f++) {
        bool fires = false;
        for (size_t t = 0; t < N_TOKENS; t++) fires |= dense[t * N_FEATURES + f] > 0.0f;
        if (fires && n_seen++ % 2 == 0) out[n_picked++] = f;
    }
    return n_picked;
}

Test(capture_target, a_slot_is_the_features_place_in_the_chosen_list)
{
    enum { N = 20 };
    uint32_t chosen[N];
    struct asked some = whole_dictionary;
    float *acts = make_acts(D_MODEL);
    must_open(&whole_dictionary);
    float *all = read_dense(NULL, acts);
    capture_target_close(&target);
    cr_assert_eq(pick_firing(all, chosen, N), N);
    char *list = number_ranges_write(chosen, N);
    some.features = list;
    must_open(&some);
    cr_assert_eq(capture_target_n_slots(target), N);
    float *got = read_dense(NULL, acts);
    for (size_t t = 0; t < N_TOKENS; t++)
        for (size_t slot = 0; slot < N; slot++)
            cr_expect(equal_bits(got[t * N + slot], all[t * N_FEATURES + chosen[slot]]),
                      "token %zu, slot %zu (feature %u)", t, slot, (unsigned)chosen[slot]);
    free(list);
    free(got);
    free(all);
    free(acts);
}

/* --- units without a dictionary ------------------------------------------------------------ */

Test(capture_target, a_neuron_has_a_slot_for_each_sign)
{
    const struct asked neurons = {"blocks.1.mlp.hook_post", "neurons", NULL, NULL, NULL};
    float *acts = make_acts(D_MLP);
    acts[3] = 0.0f;
    acts[4] = -0.0f;
    must_open(&neurons);
    cr_assert_eq(capture_target_n_slots(target), 2 * D_MLP);
    const struct describe_target description = capture_target_describe(target);
    cr_expect(description.n_features == D_MLP && description.is_signed);
    float *got = read_dense(NULL, acts);
    for (size_t i = 0; i < (size_t)N_TOKENS * D_MLP; i++) {
        cr_expect(equal_bits(got[2 * i], acts[i] > 0.0f ? acts[i] : 0.0f), "value %zu", i);
        cr_expect(equal_bits(got[2 * i + 1], acts[i] < 0.0f ? -acts[i] : 0.0f), "value %zu", i);
    }
    free(got);
    free(acts);
}

Test(capture_target, chosen_residual_dimensions_are_read_and_no_others)
{
    static const uint32_t chosen[] = {0, 5, 6, 127};
    const struct asked some = {"blocks.3.hook_resid_post", "residual", NULL, "0,5-6,127", NULL};
    float *acts = make_acts(D_MODEL);
    must_open(&some);
    cr_assert_eq(capture_target_n_slots(target), 8);
    float *got = read_dense(NULL, acts);
    for (size_t t = 0; t < N_TOKENS; t++)
        for (size_t c = 0; c < 4; c++) {
            const float value = acts[t * D_MODEL + chosen[c]];
            cr_expect(equal_bits(got[t * 8 + 2 * c], value > 0.0f ? value : 0.0f));
            cr_expect(equal_bits(got[t * 8 + 2 * c + 1], value < 0.0f ? -value : 0.0f));
        }
    free(got);
    free(acts);
}

Test(capture_target, a_head_is_the_norm_of_its_output)
{
    static const uint32_t tokens[N_TOKENS] = {0, 17, 300, 4095, 5, 5, 2048};
    static const uint32_t length = N_TOKENS;
    const struct asked some = {"blocks.2.attn.hook_z", "heads", NULL, "1,3", NULL};
    struct forward *forward = NULL;
    const struct forward_params params = {.model = model, .n_rows = 1, .n_ctx = N_TOKENS};
    const struct forward_input input = {.tokens = tokens, .row_lengths = &length};
    const float *acts = NULL;
    float want[N_TOKENS * N_HEADS];
    must_open(&some);
    cr_assert_eq(capture_target_n_slots(target), 2);
    const struct hook_point hook = capture_target_hook(target);
    cr_expect(hook.kind == HOOK_Z && hook.layer == 2);
    cr_assert_eq(forward_create(&forward, &params, &err), ST_OK, "%s", err.text);
    cr_assert_eq(forward_run(forward, &input, &hook, 1, &acts, &err), ST_OK, "%s", err.text);
    cr_assert_eq(forward_head_norms(forward, 2, acts, N_TOKENS, want, &err), ST_OK);
    float *got = read_dense(forward, acts);
    for (size_t t = 0; t < N_TOKENS; t++) {
        cr_expect(equal_bits(got[2 * t], want[t * N_HEADS + 1]), "token %zu", t);
        cr_expect(equal_bits(got[2 * t + 1], want[t * N_HEADS + 3]), "token %zu", t);
    }
    free(got);
    forward_destroy(&forward);
}

/* --- what is refused ----------------------------------------------------------------------- */

Test(capture_target, a_value_that_is_not_finite_is_named_and_the_target_lives_on)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    const struct asked asked[] = {{"blocks.3.hook_resid_post", "residual", NULL, NULL, NULL},
                                  whole_dictionary};
    float *acts = make_acts(D_MODEL);
    for (size_t i = 0; i < 2; i++) {
        must_open(&asked[i]);
        for (size_t b = 0; b < 3; b++) {
            struct sparse_rows rows;
            const float kept = acts[2 * D_MODEL + 7];
            acts[2 * D_MODEL + 7] = bad[b];
            error_clear(&err);
            cr_expect_eq(capture_target_read(target, NULL, acts, N_TOKENS, &rows, &err),
                         ST_BAD_INPUT);
            cr_expect(strstr(err.text, "token 2"), "%s", err.text);
            acts[2 * D_MODEL + 7] = kept;
            free(read_dense(NULL, acts));
        }
        capture_target_close(&target);
    }
    free(acts);
}

Test(capture_target, what_does_not_fit_is_refused_by_name)
{
    static const char resid[] = "blocks.2.hook_resid_pre", demo[] = "config/demo/sae";
    static const char zeros[] = "0000000000000000000000000000000000000000000000000000000000000000";
    static const struct {
        struct asked asked;
        status_t status;
        const char *want;
    } cases[] = {
        {{resid, NULL, demo, "0", ""}, ST_PROTOCOL, "no text \"units\""},
        {{resid, "atoms", demo, "0", ""}, ST_UNSUPPORTED, "unknown units \"atoms\""},
        {{NULL, "dictionary", demo, "0", ""}, ST_PROTOCOL, "no text \"hook\""},
        {{"blocks.9.hook_resid_pre", "residual", NULL, "0", ""},
         ST_NOT_FOUND,
         "'blocks.9.hook_resid_pre': the model has 4 layers"},
        {{resid, "dictionary", NULL, "0", ""}, ST_PROTOCOL, "no text \"dictionary\""},
        {{resid, "dictionary", "/nowhere", "0", ""}, ST_NOT_FOUND, "/nowhere"},
        {{"blocks.1.hook_resid_pre", "dictionary", demo, "0", ""},
         ST_BAD_INPUT,
         "was trained on blocks.2.hook_resid_pre, not on blocks.1.hook_resid_pre"},
        {{"blocks.1.hook_resid_pre", "dictionary", "tests/golden/dictionaries/standard", "0", ""},
         ST_BAD_INPUT,
         "reads 32 values, blocks.1.hook_resid_pre has 128"},
        {{resid, "dictionary", demo, "0", zeros}, ST_BAD_INPUT, demo},
        {{resid, "dictionary", demo, "16384", ""}, ST_BAD_INPUT, "16384"},
        {{resid, "dictionary", demo, "7,3", ""}, ST_BAD_INPUT, "3"},
        {{resid, "residual", NULL, "0-128", ""}, ST_BAD_INPUT, "128"},
        {{resid, "heads", NULL, "0", ""}, ST_BAD_INPUT, "blocks.L.attn.hook_z"},
        {{"blocks.1.attn.hook_z", "heads", NULL, "4", ""}, ST_BAD_INPUT, "4"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_expect_eq(open_target(&cases[i].asked), cases[i].status, "%zu: %d %s", i,
                     (int)err.status, err.text);
        cr_expect(strstr(err.text, cases[i].want), "%zu: %s", i, err.text);
        cr_assert_null(target, "%zu", i);
    }
    must_open(&whole_dictionary); /* after all that, it still works */
}
