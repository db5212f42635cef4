/* The intervention score from windows to a share: prompts, the blinded choice, the session. */
#include "coordinator/session/intervention.h"

#include "coordinator/session/label_session.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { N_WINDOWS = 6, N_TOKENS = 5 };

static struct error err;
static struct prompt_template *template_;
static struct session_rules rules;
static struct intervention_params params;
static struct window windows[N_WINDOWS];
static uint32_t tokens[N_TOKENS] = {0, 1, 2, 3, 4};
static float peaks[N_WINDOWS][N_TOKENS];
static const struct token_text texts[N_TOKENS] = {
    {"The", 3}, {" cat", 4}, {" sat", 4}, {" down", 5}, {".", 1}};
static struct prompt_label labels[INTERVENTION_N_LABELS];
static const struct prompt_label *dealt[INTERVENTION_N_LABELS];
static const struct token_texts all_texts = {texts, N_TOKENS};

/* Window i is of document i / 2 and is strongest at token i % 5; the last one is silent. */
static void set_up(void)
{
    static const char *const words[] = {"own", "second", "third", "fourth", "fifth"};
    error_clear(&err);
    cr_assert_eq(prompt_template_load(&template_, "config/prompts/intervention.txt", &err), ST_OK,
                 "%s", err.text);
    rules = (struct session_rules){
        .judge = {.name = "j", .model = "judge-1", .format = PROMPT_FORMAT_JSON_SCHEMA},
        .intervention = {template_, 4, 8, 0.5, 0}};
    for (size_t i = 0; i < INTERVENTION_N_LABELS; i++) {
        (void)snprintf(labels[i].text, sizeof labels[i].text, "%s label", words[i]);
        dealt[i] = &labels[i];
    }
    for (size_t i = 0; i < N_WINDOWS; i++) {
        peaks[i][i % N_TOKENS] = i + 1 < N_WINDOWS ? 2 : 0;
        windows[i] = (struct window){.tokens = tokens,
                                     .n_tokens = N_TOKENS,
                                     .activations = peaks[i],
                                     .document_key = 100 - i / 2};
    }
    params = (struct intervention_params){.rule = &rules.intervention,
                                          .texts = &all_texts,
                                          .seed = 5,
                                          .subject = 77,
                                          .windows = windows,
                                          .n_windows = N_WINDOWS,
                                          .labels = dealt,
                                          .n_labels = INTERVENTION_N_LABELS};
}

static void tear_down(void)
{
    prompt_template_destroy(&template_);
}

TestSuite(intervention, .init = set_up, .fini = tear_down);

/* What workers say of these prompts: "clean i" and "steered i". */
static struct {
    char words[8][16];
    struct generate_sample samples[4];
    struct generate_prompt prompts[4];
    struct generate_answer answer;
} made;

static const struct generate_answer *make_answer(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const int n_clean = snprintf(made.words[2 * i], sizeof made.words[0], " clean %zu", i);
        const int n_steered =
            snprintf(made.words[2 * i + 1], sizeof made.words[0], " steered %zu", i);
        made.samples[i].clean =
            (struct continuation){.text = made.words[2 * i], .n_text = (size_t)n_clean};
        made.samples[i].steered =
            (struct continuation){.text = made.words[2 * i + 1], .n_text = (size_t)n_steered};
        made.prompts[i] = (struct generate_prompt){.n_samples = 1, .samples = &made.samples[i]};
    }
    made.answer = (struct generate_answer){
        .strength = 3, .kl = 0.48, .n_prompts = n, .prompts = made.prompts};
    return &made.answer;
}

Test(intervention, prompts_end_with_the_strongest_token_one_a_document)
{
    struct intervention_trial trial;
    struct generate_job job;
    cr_assert_eq(intervention_init(&trial, &params, &err), ST_OK, "%s", err.text);
    cr_assert_eq(trial.n_pairs, 3, "three documents fire");
    cr_expect_str_eq(trial.pairs[0].prompt, "The");
    cr_expect_str_eq(trial.pairs[1].prompt, "The cat sat");
    cr_expect_str_eq(trial.pairs[2].prompt, "The cat sat down.");
    intervention_job(&trial, 2, 9, &job);
    cr_expect_eq(generate_job_check(&job, &err), ST_OK, "%s", err.text);
    cr_expect_eq(job.where, GENERATE_NEW);
    cr_expect_eq(job.target_kl, 0.5);
    cr_expect_eq(job.n_prompts, 3);
    cr_expect_eq(job.interventions[0].target, 2);
    cr_expect_eq(job.interventions[0].slot, 9);
    cr_expect_eq(job.interventions[0].kind, INTERVENTION_ADD);
    intervention_fini(&trial);
}

/* Over many features the own label stands everywhere equally often, and so does the steered
 * text. */
Test(intervention, order_is_blind)
{
    size_t n_at[INTERVENTION_N_LABELS] = {0}, n_first = 0, n = 0;
    for (params.subject = 0; params.subject < 700; params.subject++) {
        struct intervention_trial trial;
        cr_assert_eq(intervention_init(&trial, &params, &err), ST_OK);
        for (size_t i = 0; i < trial.n_pairs; i++, n++) {
            n_first += trial.pairs[i].is_steered_first;
            for (size_t k = 0; k < INTERVENTION_N_LABELS; k++)
                n_at[k] += trial.pairs[i].order[k] == 0;
        }
        intervention_fini(&trial);
    }
    cr_expect_float_eq((double)n_first / (double)n, 0.5, 0.04);
    for (size_t k = 0; k < INTERVENTION_N_LABELS; k++)
        cr_expect_float_eq((double)n_at[k] / (double)n, 0.2, 0.04, "place %zu", k);
}

/* The judge's message has all five labels, both texts, and nothing that says which is which. */
Test(intervention, the_judge_is_not_told)
{
    struct intervention_trial trial;
    cr_assert_eq(intervention_init(&trial, &params, &err), ST_OK);
    cr_assert_eq(intervention_take(&trial, make_answer(3), &err), ST_OK);
    for (size_t i = 0; i < trial.n_pairs; i++) {
        struct prompt_messages messages;
        char first[64];
        prompt_messages_init(&messages);
        cr_assert_eq(intervention_messages(&trial, i, &messages, &err), ST_OK, "%s", err.text);
        const char *text = buffer_text(&messages.user);
        for (size_t k = 0; k < INTERVENTION_N_LABELS; k++)
            cr_expect(strstr(text, labels[k].text), "%s", labels[k].text);
        (void)snprintf(first, sizeof first, "Continuation A:  %s %zu",
                       trial.pairs[i].is_steered_first ? "steered" : "clean", i);
        cr_expect(strstr(text, first), "%s in %s", first, text);
        cr_expect(strstr(text, "{\"answer\": N}"));
        prompt_messages_fini(&messages);
    }
    intervention_fini(&trial);
}

static size_t place_of_own(const struct intervention_pair *pair)
{
    size_t at = 0;
    while (pair->order[at] != 0) at++;
    return at + 1;
}

static void say(struct intervention_trial *trial, size_t index, const char *reply)
{
    (void)intervention_answer(trial, index, reply, reply ? strlen(reply) : 0);
}

Test(intervention, the_share_of_right_choices_is_the_score)
{
    struct intervention_trial trial;
    struct intervention_outcome outcome;
    const struct bootstrap_params bootstrap = {.n_resamples = 500, .confidence = 0.95};
    char reply[32];
    cr_assert_eq(intervention_init(&trial, &params, &err), ST_OK);
    cr_assert_eq(intervention_take(&trial, make_answer(3), &err), ST_OK);
    (void)snprintf(reply, sizeof reply, "{\"answer\": %zu}", place_of_own(&trial.pairs[0]));
    say(&trial, 0, reply);
    (void)snprintf(reply, sizeof reply, "{\"answer\": %zu}", place_of_own(&trial.pairs[1]) % 5 + 1);
    say(&trial, 1, reply);
    say(&trial, 2, "the first one, I would say");
    cr_assert_eq(intervention_measure(&trial, &bootstrap, &outcome, &err), ST_OK, "%s", err.text);
    cr_expect_eq(outcome.n_pairs, 3);
    cr_expect_eq(outcome.n_right, 1);
    cr_expect_eq(outcome.n_failed, 1, "a reply that cannot be read is wrong, and counted");
    cr_expect_float_eq(outcome.share.value, 1.0 / 3, 1e-12);
    cr_expect_float_eq(outcome.p, 1 - 64.0 / 125, 1e-12);
    cr_expect(outcome.interval.is_defined);
    cr_expect_eq(outcome.interval.low, 0);
    cr_expect_eq(outcome.interval.high, 1);
    cr_expect_eq(outcome.strength, 3);
    intervention_fini(&trial);
}

Test(intervention, without_a_score_there_is_a_reason)
{
    struct intervention_trial trial;
    struct intervention_outcome outcome;
    struct generate_answer no_effect = generate_answer_of_error("no effect: the mean KL is 0 nats");
    const struct bootstrap_params bootstrap = {.n_resamples = 100, .confidence = 0.95};
    params.n_labels = 4;
    cr_assert_eq(intervention_init(&trial, &params, &err), ST_OK);
    cr_expect_str_eq(trial.failure, "the sweep has fewer than 5 different labels");
    intervention_fini(&trial);
    params.n_labels = 5;
    params.windows = &windows[N_WINDOWS - 1];
    params.n_windows = 1;
    cr_assert_eq(intervention_init(&trial, &params, &err), ST_OK);
    cr_expect_str_eq(trial.failure, "no test window fires");
    intervention_fini(&trial);
    params.windows = windows;
    params.n_windows = N_WINDOWS;
    cr_assert_eq(intervention_init(&trial, &params, &err), ST_OK);
    cr_assert_eq(intervention_take(&trial, &no_effect, &err), ST_OK);
    cr_assert_eq(intervention_measure(&trial, &bootstrap, &outcome, &err), ST_OK);
    cr_expect(outcome.is_there && !outcome.share.is_defined);
    cr_expect_str_eq(outcome.failure, "no effect: the mean KL is 0 nats");
    intervention_fini(&trial);
}

Test(intervention, the_upper_tail_is_that_of_the_binomial)
{
    static const struct {
        size_t n, n_right;
        double want;
    } cases[] = {{10, 0, 1}, {10, 5, 0.0327934976}, {10, 10, 1.024e-7}, {1, 1, 0.2}};
    for (size_t i = 0; i < 4; i++)
        cr_expect_float_eq(intervention_upper_tail(cases[i].n, cases[i].n_right, 0.2),
                           cases[i].want, 1e-10, "%zu of %zu", cases[i].n_right, cases[i].n);
}

Test(intervention, a_choice_is_one_number_among_the_labels)
{
    static const struct {
        const char *reply;
        size_t want; /* 0: refused */
    } cases[] = {{"{\"answer\": 3}", 3},
                 {"```json\n{\"answer\": 5}\n```", 5},
                 {"<think>1?</think> {\"answer\":2}", 2},
                 {"{\"answer\": 0}", 0},
                 {"{\"answer\": 6}", 0},
                 {"{\"answer\": \"3\"}", 0},
                 {"{\"answer\": 2.5}", 0},
                 {"{\"answers\": [3]}", 0},
                 {"3", 0},
                 {"", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t got = 0;
        const status_t status =
            prompt_reply_choice(cases[i].reply, strlen(cases[i].reply), 5, &got, NULL);
        cr_expect_eq(got, cases[i].want, "%s: %zu", cases[i].reply, got);
        cr_expect_eq(status == ST_OK, cases[i].want > 0, "%s", cases[i].reply);
    }
}

/* --- the session --------------------------------------------------------------------------- */

static void open_session(struct label_session *session)
{
    cr_assert_eq(label_session_open_intervention(session, &rules, &params, &err), ST_OK, "%s",
                 err.text);
}

/* Half steps until it waits or is done. */
static void go_on(struct label_session *session)
{
    while (session->stage != SESSION_DONE && !label_session_waits(session)) {
        cr_assert_eq(label_session_needs(session), 0, "no case");
        cr_assert_eq(label_session_advance(session, NULL, &err), ST_OK, "%s", err.text);
    }
}

Test(intervention, a_session_asks_the_model_and_then_the_judge)
{
    struct label_session session;
    const struct session_provider *provider;
    json_t *body;
    open_session(&session);
    go_on(&session);
    cr_assert_eq(session.n_asks, 1);
    cr_expect_eq(session.asks[0].kind, ASK_GENERATE);
    cr_expect_not(session_ask_is_call(ASK_GENERATE));
    cr_assert_eq(label_session_generation_answer(&session, 0, make_answer(3), &err), ST_OK);
    go_on(&session);
    cr_assert_eq(session.n_asks, 3);
    for (uint32_t i = 0; i < 3; i++) {
        cr_expect_eq(session.asks[i].kind, ASK_CHOICE);
        cr_assert_eq(label_session_body(&session, NULL, i, &body, &provider, &err), ST_OK, "%s",
                     err.text);
        cr_expect_str_eq(provider->name, "j");
        json_decref(body);
        const struct session_reply reply = {.content = "{\"answer\": 1}", .n_bytes = 13};
        cr_assert_eq(label_session_answer(&session, i, &reply, &err), ST_OK);
    }
    go_on(&session);
    cr_expect_eq(session.stage, SESSION_DONE);
    cr_expect_eq(session.n_failed_calls, 0);
    label_session_fini(&session);
}

Test(intervention, a_pair_that_the_model_could_not_continue_is_not_asked_about)
{
    struct label_session session;
    open_session(&session);
    go_on(&session);
    (void)make_answer(3);
    (void)snprintf(made.prompts[1].error, sizeof made.prompts[1].error, "too long");
    cr_assert_eq(label_session_generation_answer(&session, 0, &made.answer, &err), ST_OK);
    go_on(&session);
    cr_assert_eq(session.n_asks, 2);
    cr_expect_eq(session.asks[1].index, 2);
    label_session_fini(&session);
}

Test(intervention, a_session_without_effect_asks_no_judge)
{
    struct label_session session;
    struct generate_answer no_effect = generate_answer_of_error("no effect");
    open_session(&session);
    go_on(&session);
    cr_assert_eq(label_session_generation_answer(&session, 0, &no_effect, &err), ST_OK);
    go_on(&session);
    cr_expect_eq(session.stage, SESSION_DONE);
    label_session_fini(&session);
}

Test(intervention, coins_choose_without_a_call)
{
    struct label_session session;
    rules.has_random_judge = true;
    open_session(&session);
    go_on(&session);
    cr_assert_eq(label_session_generation_answer(&session, 0, make_answer(3), &err), ST_OK);
    go_on(&session);
    cr_expect_eq(session.stage, SESSION_DONE);
    for (size_t i = 0; i < 3; i++) cr_expect(session.intervention->pairs[i].has_choice);
    label_session_fini(&session);
}
