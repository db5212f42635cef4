/* What an agent is shown before a search. */
#include "coordinator/circuit/proposal_prompt.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { N_HEADS = 4 };

static struct component head_at(uint32_t layer, uint32_t index)
{
    return (struct component){.type = COMPONENT_HEAD, .layer = layer, .index = index};
}

/* The prompt that is in the tree, filled; the messages are the caller's. */
static struct proposal_shown fill(const struct proposal_view *view,
                                  struct prompt_messages *messages)
{
    struct proposal_shown shown = {0};
    struct prompt_template *template_ = NULL;
    struct error err = {.status = ST_OK};
    prompt_messages_init(messages);
    cr_assert_eq(prompt_template_load(&template_, "config/prompts/proposer.txt", &err), ST_OK, "%s",
                 err.text);
    cr_assert_eq(prompt_template_check_fields(template_, PROPOSAL_PROMPT_FIELDS,
                                              PROPOSAL_N_PROMPT_FIELDS, &err),
                 ST_OK, "%s", err.text);
    cr_assert_eq(proposal_prompt_fill(template_, view, messages, &shown, &err), ST_OK, "%s",
                 err.text);
    prompt_template_destroy(&template_);
    return shown;
}

Test(proposal_prompt, shows_task_candidates_scores_and_labels)
{
    const struct component candidates[] = {head_at(0, 0),
                                           head_at(0, 1),
                                           head_at(0, 3),
                                           {.type = COMPONENT_MLP, .layer = 0},
                                           head_at(1, 2)};
    const struct proposal_example example = {"A B C A", "D B C A"};
    const struct proposal_label label = {.component = head_at(1, 2),
                                         .text = "names\nof <<cities>>"};
    struct head_scores scores;
    struct prompt_messages messages;
    cr_assert_eq(head_scores_init(&scores, 2, N_HEADS, NULL), ST_OK);
    const struct proposal_view view = {.task = "induction",
                                       .metric = "logit_difference",
                                       .n_layers = 2,
                                       .candidates = candidates,
                                       .n_candidates = 5,
                                       .examples = &example,
                                       .n_examples = 1,
                                       .scores = &scores,
                                       .labels = &label,
                                       .n_labels = 1};
    const struct proposal_shown shown = fill(&view, &messages);
    const char *text = buffer_text(&messages.user);
    static const char *const wanted[] = {"this task: induction; measured is logit_difference.",
                                         "clean: A B C A\ncorrupted: D B C A",
                                         "2 layers",
                                         "\nL0H0 to L0H1\nL0H3\nL0MLP\nL1H2\n",
                                         "L0H0 attends previous_token 0.00",
                                         "L1H2 fires on: names"};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        cr_expect(strstr(text, wanted[i]) != NULL, "\"%s\" is not in\n%s", wanted[i], text);
    cr_expect(!strstr(text, "<<cities") && !strstr(text, "names\nof"), "labels are data: %s", text);
    cr_expect(messages.system.n_bytes > 0);
    cr_expect(!strstr(text, "not shown"), "all of it: %s", text);
    cr_expect(shown.n_candidates == 5 && shown.n_candidates_shown == 5);
    cr_expect(shown.n_heads == 4 && shown.n_heads_shown == 4);
    cr_expect(shown.n_labels == 1 && shown.n_labels_shown == 1);
    prompt_messages_fini(&messages);
    head_scores_fini(&scores);
}

Test(proposal_prompt, of_very_many_candidates_is_bounded)
{
    enum { N = 60000 };
    static struct component candidates[N];
    static char long_text[20000];
    struct prompt_messages messages;
    memset(long_text, 'x', sizeof long_text - 1);
    const struct proposal_example examples[] = {{long_text, long_text}, {long_text, long_text}};
    for (uint32_t i = 0; i < N; i++) candidates[i] = head_at(i / 8, 2 * (i % 8));
    const struct proposal_view view = {.task = "t",
                                       .metric = "kl",
                                       .n_layers = N / 8,
                                       .candidates = candidates,
                                       .n_candidates = N,
                                       .examples = examples,
                                       .n_examples = 2};
    const struct proposal_shown shown = fill(&view, &messages);
    cr_expect(shown.n_candidates == N && shown.n_candidates_shown == 1000);
    cr_expect_lt(messages.user.n_bytes, 40000);
    cr_expect(strstr(buffer_text(&messages.user), "and 59000 more") != NULL);
    cr_expect(strstr(buffer_text(&messages.user), "(nothing)") != NULL);
    prompt_messages_fini(&messages);
}

Test(proposal_prompt, says_what_it_leaves_out)
{
    enum { N = 576 };
    static struct component candidates[N];
    static struct proposal_label labels[N];
    struct head_scores scores;
    struct prompt_messages messages;
    cr_assert_eq(head_scores_init(&scores, N / 12, 12, NULL), ST_OK);
    for (uint32_t i = 0; i < N; i++) {
        candidates[i] = head_at(i / 12, i % 12);
        labels[i] = (struct proposal_label){.component = candidates[i], .text = "words"};
    }
    (void)snprintf(candidates[0].position, sizeof candidates[0].position, "end");
    const struct proposal_view view = {.task = "t",
                                       .metric = "kl",
                                       .n_layers = N / 12,
                                       .candidates = candidates,
                                       .n_candidates = N,
                                       .scores = &scores,
                                       .labels = labels,
                                       .n_labels = N};
    const struct proposal_shown shown = fill(&view, &messages);
    const char *text = buffer_text(&messages.user);
    cr_expect(strstr(text, "the 200 of 576 heads that attend most to one of these; the others are "
                           "not shown"),
              "%s", text);
    cr_expect(strstr(text, "the 200 of 576 labels that hold best on other text"), "%s", text);
    cr_expect(strstr(text, "\nL0H0 attends"), "what is known of a head has no position: %s", text);
    cr_expect(shown.n_heads == N && shown.n_heads_shown == 200);
    cr_expect(shown.n_labels == N && shown.n_labels_shown == 200);
    prompt_messages_fini(&messages);
    head_scores_fini(&scores);
}
