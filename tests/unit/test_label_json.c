#include "coordinator/session/label_json.h"
#include "tests/support/session_golden.h"
#include "tests/support/session_windows.h"

#include <jansson.h>

static const char *const WORDS[] = {" cat", " caf", "\xC3", "\xA9", "\n"};
static const uint32_t TOKENS[] = {0, 1, 2, 3, 4};
static const float VALUES[] = {2.0f / 3.0f, 0.0f, 0.0f, 123456.789f, 1e-7f};
static const struct window FIRING = {TOKENS, 5, VALUES, 0xabcdef, 3, 64, WINDOW_FIRING};
static const struct window SILENT = {TOKENS, 2, NULL, 0x1, 4, 0, WINDOW_SILENT_HARD};

static const struct score_summary SUMMARY = {.counts = {17, 3, 18, 2, 1, 0},
                                             .neighbours = {9, 1},
                                             .balanced_accuracy = {true, 0.875},
                                             .interval = {true, 0.75, 1.0 / 3.0 + 0.6, 0},
                                             .f1 = {true, 34.0 / 39.0},
                                             .precision = {true, 17.0 / 19.0},
                                             .recall = {true, 0.85},
                                             .n_documents = 38};
static const struct score_summary UNDEFINED = {.counts = {17, 3, 0, 0, 1, 0}, .n_documents = 20};

static const uint64_t NEIGHBOURS[] = {70000, 3};

struct scene {
    struct token_texts texts;
    struct null_model null;
    struct support support;
    struct score_comparison versus;
    struct triage_input counts;
    struct lexical_label lexical;
    struct label_score scores[2], lexical_scores[1];
    struct label_prompt prompts[2];
    struct feature_typing typing;
    struct label_meaning meanings[2];
    struct label_evidence evidence[2];
    struct label_record record;
};

static void make_scores(struct scene *s)
{
    static double null_scores[] = {0.5, 0.4, 0.55};
    cr_assert_eq(null_model_init(&s->null, null_scores, 3, NULL), ST_OK);
    s->support = (struct support){SUPPORT_Z, {true, 2.75}, {true, 0.25}};
    s->versus = (struct score_comparison){{true, -0.125}, {true, -0.25, 0.0, 0}, false};
    s->scores[0] = (struct label_score){"detection", NEGATIVES_RANDOM, &SUMMARY,
                                        &s->null,    &s->support,      &s->versus};
    s->scores[1] = (struct label_score){"detection", NEGATIVES_HARD, &UNDEFINED, NULL, NULL, NULL};
    s->lexical_scores[0] =
        (struct label_score){"fuzzing", NEGATIVES_RANDOM, &SUMMARY, NULL, NULL, NULL};
}

/* Two meanings: one that was judged, and one that has no label. */
static void make_meanings(struct scene *s)
{
    s->typing = (struct feature_typing){
        FEATURE_TYPE_POLYSEMANTIC,
        FEATURE_TYPE_CONCRETE,
        {2, true, {true, 0.75}, {true, 2.0 / 3.0}, {true, 1.0}, {false, 0.0}, 7}};
    s->meanings[0] = (struct label_meaning){.label = "cats",
                                            .n_windows = 9,
                                            .lexical = "the token \" cat\"",
                                            .scores = s->lexical_scores,
                                            .n_scores = 1,
                                            .lexical_scores = s->lexical_scores,
                                            .n_lexical_scores = 1};
    s->meanings[1] = (struct label_meaning){.no_label = "no reply", .n_windows = 4};
}

static struct label_record make_record(const struct scene *s)
{
    return (struct label_record){.feature = 12345,
                                 .model = "demo",
                                 .hook_point = "blocks.2.hook_resid_pre",
                                 .dictionary = "demo-sae",
                                 .status = FEATURE_OPEN,
                                 .fire_threshold = 0.0f,
                                 .max_value = 123456.789f,
                                 .counts = &s->counts,
                                 .label = "caf\xC3\xA9s \"and\" cats",
                                 .type = FEATURE_TYPE_CONCRETE,
                                 .explainer = "big-model",
                                 .judge = "other-model",
                                 .is_supported = false,
                                 .prompts = s->prompts,
                                 .n_prompts = 2,
                                 .scores = s->scores,
                                 .n_scores = 2,
                                 .lexical = &s->lexical,
                                 .lexical_scores = s->lexical_scores,
                                 .n_lexical_scores = 1,
                                 .typing = &s->typing,
                                 .meanings = s->meanings,
                                 .n_meanings = 2,
                                 .n_test_firing = 60,
                                 .n_test_grouped = 48,
                                 .n_near_duplicates = 2,
                                 .n_shared_documents = 1,
                                 .evidence = s->evidence,
                                 .n_evidence = 2,
                                 .neighbours = NEIGHBOURS,
                                 .n_neighbours = 2,
                                 .texts = &s->texts};
}

static struct scene *make_scene(void)
{
    struct scene *s = keep_alloc(1, sizeof *s);
    s->texts = texts_of(WORDS, 5);
    s->counts = (struct triage_input){100000, 250, 31, 0.1, 1.0 / 3.0};
    s->lexical = (struct lexical_label){.family = FAMILY_TOKEN, .held_out = {true, 0.9}};
    (void)snprintf(s->lexical.text, sizeof s->lexical.text, "the token \" cat\"");
    s->prompts[0] = (struct label_prompt){"explainer", "aa11"};
    s->prompts[1] = (struct label_prompt){"detection", "bb22"};
    s->evidence[0] = (struct label_evidence){&FIRING, "doc-1"};
    s->evidence[1] = (struct label_evidence){&SILENT, NULL};
    make_scores(s);
    make_meanings(s);
    s->record = make_record(s);
    return s;
}

static status_t write_record(const struct label_record *record, struct buffer *out)
{
    buffer_init(out, 1 << 20);
    return label_json_write(record, out, NULL);
}

Test(label_json, record_is_the_golden_one)
{
    struct scene *scene = make_scene();
    struct buffer out;
    cr_assert_eq(write_record(&scene->record, &out), ST_OK);
    expect_golden("tests/golden/results/label_record.json", buffer_text(&out));
    buffer_fini(&out);
    null_model_fini(&scene->null);
}

Test(label_json, bare_record_has_every_key)
{
    struct scene *scene = make_scene();
    static const struct triage_input none = {0};
    const struct label_record bare = {.feature = 1, .counts = &none, .texts = &scene->texts};
    struct buffer full_text, bare_text;
    scene->record.n_neighbours = 0; /* a key that only some records have */
    cr_assert_eq(write_record(&scene->record, &full_text), ST_OK);
    cr_assert_eq(write_record(&bare, &bare_text), ST_OK);
    json_t *full = json_loadb((const char *)full_text.bytes, full_text.n_bytes, 0, NULL);
    json_t *got = json_loadb((const char *)bare_text.bytes, bare_text.n_bytes, 0, NULL);
    const char *key;
    json_t *value;
    cr_assert(full && got);
    json_object_foreach(full, key, value) cr_expect(json_object_get(got, key), "%s", key);
    cr_expect_eq(json_object_size(full), json_object_size(got));
    cr_expect(json_is_null(json_object_get(got, "label")));
    cr_expect(json_is_null(json_object_get(got, "no_label")));
    json_decref(full);
    json_decref(got);
    buffer_fini(&full_text);
    buffer_fini(&bare_text);
    null_model_fini(&scene->null);
}

Test(label_json, a_record_without_a_label_says_why)
{
    struct scene *scene = make_scene();
    struct buffer out;
    scene->record.label = NULL;
    scene->record.no_label = "the explainer gave no label: no reply";
    cr_assert_eq(write_record(&scene->record, &out), ST_OK);
    json_t *got = json_loadb((const char *)out.bytes, out.n_bytes, 0, NULL);
    cr_expect(json_is_null(json_object_get(got, "label")));
    cr_expect_str_eq(json_string_value(json_object_get(got, "no_label")), scene->record.no_label);
    json_decref(got);
    buffer_fini(&out);
    null_model_fini(&scene->null);
}

Test(label_json, tokens_join_to_the_text_and_values_have_five_digits)
{
    struct scene *scene = make_scene();
    struct buffer out;
    cr_assert_eq(write_record(&scene->record, &out), ST_OK);
    const char *text = buffer_text(&out);
    cr_expect(strstr(text, "\"tokens\":[\" cat\",\" caf\",\"\xC3\xA9\",\"\",\"\\n\"]"), "%s", text);
    cr_expect(strstr(text, "\"activations\":[0.66667,0.0,0.0,123460.0,1e-7]") ||
                  strstr(text, "\"activations\":[0.66667,0.0,0.0,123460.0,1e-07]"),
              "%s", text);
    buffer_fini(&out);
    null_model_fini(&scene->null);
}

Test(label_json, what_has_no_json_form_is_refused_and_nothing_is_written)
{
    struct scene *scene = make_scene();
    struct buffer out;
    scene->record.label = "\xFF";
    cr_expect_eq(write_record(&scene->record, &out), ST_BAD_INPUT);
    cr_expect_eq(out.n_bytes, 0);
    buffer_fini(&out);
    scene->record.label = NULL;
    scene->record.max_value = 1.0f / 0.0f;
    cr_expect_eq(write_record(&scene->record, &out), ST_BAD_INPUT);
    buffer_fini(&out);
    scene->record.max_value = 1.0f;
    scene->scores[1].negatives = NEGATIVES_RANDOM;
    cr_expect_eq(write_record(&scene->record, &out), ST_BAD_INPUT, "one score twice");
    buffer_fini(&out);
    null_model_fini(&scene->null);
}

Test(label_json, every_family_has_a_name_of_its_own)
{
    for (int a = 0; a <= FAMILY_MIXED; a++)
        for (int b = 0; b < a; b++)
            cr_expect_str_neq(lexical_family_name((enum lexical_family)a),
                              lexical_family_name((enum lexical_family)b));
}
