#include "tests/unit/session_play.h"

enum { N_WORDS = 300, N_TOKENS = 12, CAT = 7, N_EXPLAIN = 20 };

static struct window made_window(struct draw *draw, bool fires, uint32_t document)
{
    struct window window = drawn_window(draw, N_TOKENS, N_WORDS - 10, document);
    uint32_t *tokens = keep_alloc(N_TOKENS, sizeof *tokens);
    float *values = keep_alloc(N_TOKENS, sizeof *values);
    for (size_t i = 0; i < N_TOKENS; i++) tokens[i] = 10 + window.tokens[i];
    if (fires) {
        tokens[3] = CAT;
        values[3] = 1.0f + (float)(document % 7);
        window.activations = values;
        window.kind = WINDOW_FIRING;
    }
    window.tokens = tokens;
    return window;
}

/* N_EACH firing, random and hard windows of one split, with detection items. */
static void make_split(struct case_split *split, struct draw *draw, uint32_t first)
{
    struct window *windows = calloc(3 * N_EACH, sizeof *windows);
    for (uint32_t i = 0; i < 3 * N_EACH; i++) {
        windows[i] = made_window(draw, i < N_EACH, first + i);
        if (i >= 2 * N_EACH) windows[i].kind = WINDOW_SILENT_HARD;
    }
    split->judged.windows = windows;
    split->judged.n_windows = 3 * N_EACH;
    for (unsigned kind = 0; kind < WINDOW_N_KINDS; kind++) split->judged.n_of_kind[kind] = N_EACH;
    cr_assert_eq(prompt_items_detection(windows, 3 * N_EACH, &split->items[CASE_DETECTION], NULL),
                 ST_OK);
    cr_assert_eq(prompt_plan_init(&split->plans[CASE_DETECTION], &split->items[CASE_DETECTION], 10,
                                  draw_stream(first, DRAW_DETECTION, 1), NULL),
                 ST_OK);
}

static struct feature_case make_case(void)
{
    struct draw draw = draw_stream(1, DRAW_SELECT, 1);
    struct feature_case made = {.parts = ~0u,
                                .status = FEATURE_OPEN,
                                .n_explain = N_EXPLAIN,
                                .n_explain_firing = N_EXPLAIN / 2};
    made.explain = calloc(N_EXPLAIN, sizeof *made.explain);
    for (uint32_t i = 0; i < N_EXPLAIN; i++)
        made.explain[i] = made_window(&draw, i < N_EXPLAIN / 2, i);
    for (uint32_t i = 0; i < 5; i++) made.shown[made.n_shown++] = i;
    for (unsigned split = 0; split < EVIDENCE_N_SPLITS; split++)
        make_split(&made.splits[split], &draw, 1000 * (split + 1));
    return made;
}

static void load(struct stage_world *world, size_t index, const char *path,
                 const struct prompt_template **where)
{
    cr_assert_eq(prompt_template_load(&world->templates[index], path, NULL), ST_OK);
    *where = world->templates[index];
}

struct stage_world *make_world(enum session_mode mode)
{
    struct stage_world *world = keep_alloc(1, sizeof *world);
    world->texts = numbered_texts(N_WORDS);
    world->full = make_case();
    world->rules = (struct session_rules){
        .mode = mode,
        .explainer = {.name = "e", .model = "model-e", .format = PROMPT_FORMAT_TEXT},
        .judge = {.name = "j", .model = "model-j", .format = PROMPT_FORMAT_TEXT},
        .texts = &world->texts,
        .scores = 1u << CASE_DETECTION,
        .main_score = CASE_DETECTION,
        .rounds = {3, 5, 0.9, {0.055, EXPERIMENT_LEAST_ADVERSARIAL}, .n_resamples = 200},
        .n_experiments_each = 5,
        .has_ood = true,
    };
    load(world, 0, "config/prompts/explainer.txt", &world->rules.explainer_template);
    load(world, 1, "config/prompts/refine.txt", &world->rules.refine_template);
    load(world, 2, "config/prompts/experiments.txt", &world->rules.design_template);
    load(world, 3, "config/prompts/detection.txt", &world->rules.judge_templates[CASE_DETECTION]);
    return world;
}

void end_world(struct stage_world *world)
{
    for (size_t i = 0; i < 6; i++) prompt_template_destroy(&world->templates[i]);
    feature_case_fini(&world->full);
}

void add_judges(struct stage_world *world, size_t n_simulated, size_t n_more_judges)
{
    static const char *const names[] = {"k", "l", "m", "n"};
    struct session_rules *rules = &world->rules;
    load(world, 5, "config/prompts/simulation.txt", &rules->simulation_template);
    rules->judge.has_logprobs = true; /* though none are given */
    rules->n_simulated = n_simulated;
    rules->n_more_judges = n_more_judges;
    for (size_t i = 0; i < n_more_judges; i++)
        rules->more_judges[i] = (struct session_provider){.name = names[i], .model = "model-k"};
}

/* --- a scripted outside -------------------------------------------------------------------- */

void plant_meanings(struct stage_world *world)
{
    struct case_groups *groups = &world->full.groups;
    struct draw draw = draw_stream(2, DRAW_SELECT, 1);
    groups->clusters.n_clusters = groups->n_meanings = 2;
    groups->meanings = calloc(2, sizeof *groups->meanings);
    for (uint32_t g = 0; g < 2; g++) {
        for (uint32_t i = 0; i < 5; i++) groups->meanings[g].shown[i] = 5 * g + i;
        groups->meanings[g].n_shown = 5;
        make_split(&groups->meanings[g].test, &draw, 10000 * (g + 1));
    }
}

static void judge_meaning(const struct stage_world *world, const struct session_ask *ask,
                          char *reply, size_t size)
{
    const struct case_split *test = &world->full.groups.meanings[ask->meaning].test;
    size_t n, at = (size_t)snprintf(reply, size, "{\"answers\": [");
    const size_t first = prompt_plan_range(&test->plans[CASE_DETECTION], ask->index, &n);
    for (size_t i = 0; i < n; i++) {
        const uint32_t item = test->plans[CASE_DETECTION].order[first + i];
        const bool fires = test->items[CASE_DETECTION].items[item].truth == WINDOW_FIRING;
        at += (size_t)snprintf(reply + at, size - at, "%s%d", i ? ", " : "", fires);
    }
    (void)snprintf(reply + at, size - at, "]}");
}

static size_t round_of_label(const struct script *script, const char *label)
{
    for (size_t i = 5; i-- > 0;)
        if (script->labels[i] && strcmp(script->labels[i], label) == 0) return i;
    return 0;
}

/* The judge is right about the first share of the items, in both classes alike. */
static void judge(struct stage_world *world, struct label_session *session, size_t ask,
                  const struct script *script, char *reply, size_t size)
{
    const struct session_ask *call = &session->asks[ask];
    const struct case_split *split = &world->full.splits[session_sheet_split(call->sheet)];
    const struct prompt_plan *plan = &split->plans[call->score];
    const bool is_of_round = call->sheet == SHEET_CHECK || call->sheet == SHEET_VALIDATE;
    size_t round = is_of_round ? session->rounds.n - 1 : session->chosen, n;
    if (call->sheet == SHEET_FIRST) round = session_rounds_first(&session->rounds);
    if (call->sheet == SHEET_LAST) round = session_rounds_last(&session->rounds);
    const double share =
        script->right_share[round_of_label(script, session->rounds.list[round].label.text)];
    const size_t first = prompt_plan_range(plan, call->index, &n);
    size_t at = (size_t)snprintf(reply, size, "{\"answers\": [");
    for (size_t i = 0; i < n; i++) {
        const uint32_t item = plan->order[first + i];
        const bool fires = split->items[call->score].items[item].truth == WINDOW_FIRING;
        const bool is_right = (double)(item % N_EACH) < share * N_EACH - 1e-9;
        at += (size_t)snprintf(reply + at, size - at, "%s%d", i ? ", " : "", fires == is_right);
    }
    (void)snprintf(reply + at, size - at, "]}");
}

/* Four words of explain window `index`, in capitals here and there. */
static void copy_example(const struct stage_world *world, size_t index, char *out, size_t size)
{
    const struct window *window = &world->full.explain[index];
    out[0] = '\0';
    for (size_t i = 2; i < 6; i++) {
        const struct token_text *text = &world->texts.texts[window->tokens[i]];
        (void)snprintf(out + strlen(out), size - strlen(out), "%.*s", (int)text->n_bytes,
                       text->bytes);
    }
    out[1] = 'W';
}

static void design(const struct stage_world *world, const struct label_session *session,
                   const struct script *script, char *reply, size_t size)
{
    char text[64];
    static const char *const kinds[] = {"fires", "silent", "hard_fires", "hard_silent"};
    const size_t n_kinds = script->is_confirming ? 2 : 4;
    size_t at = (size_t)snprintf(reply, size, "{");
    for (size_t k = 0; k < n_kinds; k++) {
        at += (size_t)snprintf(reply + at, size - at, "%s\"%s\": [", k ? ", " : "", kinds[k]);
        for (size_t i = 0; i < 5; i++) {
            (void)snprintf(text, sizeof text, "%s text %zu of %zu", kinds[k], i, session->rounds.n);
            if (script->is_copying) copy_example(world, 5 * k + i, text, sizeof text);
            at += (size_t)snprintf(reply + at, size - at, "%s\"%s\"", i ? ", " : "", text);
        }
        at += (size_t)snprintf(reply + at, size - at, "]");
    }
    (void)snprintf(reply + at, size - at, "}");
}

static void keep_prompt(struct stage_world *world, struct label_session *session, size_t ask,
                        struct script *script)
{
    const struct session_provider *provider;
    json_t *body = NULL;
    cr_assert_eq(label_session_body(session, &world->full, ask, &body, &provider, NULL), ST_OK);
    const json_t *messages = json_object_get(body, "messages");
    const json_t *last = json_array_get(messages, json_array_size(messages) - 1);
    const enum session_ask_kind kind = session->asks[ask].kind;
    const bool is_explainer = kind == ASK_LABEL || kind == ASK_DESIGN || kind == ASK_MEANING_LABEL;
    if (is_explainer)
        (void)strncat(script->prompts, json_string_value(json_object_get(last, "content")),
                      PROMPTS_SIZE - strlen(script->prompts) - 1);
    const char name[] = {is_explainer ? 'e' : (char)('j' + session->asks[ask].judge), '\0'};
    cr_expect_str_eq(provider->name, name);
    json_decref(body);
}

/* The strong token is given its value, every other 0; one token less with is_mumbling. */
static void simulate(const struct label_session *session, size_t ask, const struct script *script,
                     char *reply, size_t size)
{
    const struct simulation_tokens *tokens =
        &session->simulation.texts[session->asks[ask].index].tokens;
    size_t at = 0;
    for (size_t i = script->is_mumbling; i < tokens->n_tokens; i++) {
        size_t n;
        const char *token = simulation_token(tokens, i, &n);
        const bool is_cat = n == 3 && memcmp(token, " w7", 3) == 0;
        at += (size_t)snprintf(reply + at, size - at, "%.*s\t%d\n", (int)n, token, is_cat ? 8 : 0);
    }
}

void answer(struct stage_world *world, struct label_session *session, size_t ask,
            struct script *script)
{
    char reply[8192] = "Well, I would say it is about cats.";
    const enum session_ask_kind kind = session->asks[ask].kind;
    if (kind == ASK_PROBE) {
        const struct experiment *text = label_session_probe(session, ask);
        const bool fires = experiment_kind_predicts_firing(text->kind) && !script->is_model_silent;
        const struct session_probe probe = {.fires = fires, .max_value = fires ? 2.0f : 0.0f};
        label_session_probe_answer(session, ask, &probe);
        return;
    }
    if (!session->asks[ask].is_answered) keep_prompt(world, session, ask, script);
    const char *label = script->labels[session->rounds.n - 1];
    if (kind == ASK_LABEL && label[0])
        (void)snprintf(reply, sizeof reply, "{\"label\": \"%s\"}", label);
    if (kind == ASK_DESIGN) design(world, session, script, reply, sizeof reply);
    if (kind == ASK_SIMULATE) simulate(session, ask, script, reply, sizeof reply);
    if (kind == ASK_MEANING_LABEL)
        (void)snprintf(reply, sizeof reply, "{\"label\": \"meaning %u\"}",
                       (unsigned)session->asks[ask].meaning);
    if (kind == ASK_MEANING_JUDGE && session->asks[ask].meaning == 0)
        judge_meaning(world, &session->asks[ask], reply, sizeof reply);
    if (kind == ASK_JUDGE) judge(world, session, ask, script, reply, sizeof reply);
    const struct session_reply of = {reply, strlen(reply), NULL};
    cr_assert_eq(label_session_answer(session, ask, &of, NULL), ST_OK);
}

void answer_all(struct stage_world *world, struct label_session *session, struct script *script)
{
    uint32_t order[256];
    const size_t n = session->n_asks;
    struct draw draw = {script->order};
    cr_assert(n <= 256);
    for (uint32_t i = 0; i < n; i++) order[i] = i;
    if (script->order) draw_shuffle(&draw, order, n);
    for (size_t i = 0; i < n; i++) {
        cr_assert(label_session_waits(session));
        answer(world, session, order[i], script);
        answer(world, session, order[i], script); /* late once more: ignored */
    }
    cr_expect(!label_session_waits(session));
}

struct label_session play(struct stage_world *world, struct script *script, char *stages)
{
    struct label_session session;
    size_t n = 0;
    cr_assert_eq(label_session_open(&session, &world->rules, &world->full, NULL, NULL), ST_OK);
    while (session.stage != SESSION_DONE) {
        cr_assert_eq(label_session_advance(&session, &world->full, NULL), ST_OK);
        if (!session.is_entered) continue;
        if (stages) stages[n++] = session_stage_name(session.stage)[0];
        answer_all(world, &session, script);
    }
    if (stages) stages[n] = '\0';
    return session;
}

struct script *script_of(struct script what)
{
    struct script *script = keep_alloc(1, sizeof *script);
    *script = what;
    script->prompts = keep_alloc(PROMPTS_SIZE, 1);
    return script;
}
