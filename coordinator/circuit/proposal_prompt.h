/* What an agent is shown before a search: the task, some of its search prompts, the candidates, and
 * what is known of them (scores of heads, labels of features). Never a prompt of the verdict, never
 * an effect.
 *
 * Texts of prompts and labels are data and stay on their lines (prompt_data.h). Pure; any
 * thread. */
#ifndef COORDINATOR_CIRCUIT_PROPOSAL_PROMPT_H
#define COORDINATOR_CIRCUIT_PROPOSAL_PROMPT_H

#include "common/head_scores.h"
#include "coordinator/circuit/component.h"
#include "coordinator/session/prompt_messages.h"
#include "coordinator/session/prompt_template.h"

enum {
    PROPOSAL_EXAMPLES = 4,    /* prompts shown, at most */
    PROPOSAL_MAX_RUNS = 1000, /* lines of candidates: "L0H0 to L0H11" */
    PROPOSAL_MAX_EVIDENCE =
        400,                  /* lines of scores and labels: then the strongest, and it is said */
    PROPOSAL_TEXT_BYTES = 600 /* of a text that is shown */
};

extern const char *const PROPOSAL_PROMPT_FIELDS[];
enum { PROPOSAL_N_PROMPT_FIELDS = 5 };

struct proposal_example {
    const char *clean, *corrupted; /* texts, borrowed */
};

/* What a label sweep says of one candidate. */
struct proposal_label {
    struct component component;
    const char *text;  /* borrowed */
    bool is_supported; /* the label sweep's verdict */
    double score;      /* of the label on held-out text; 0: none */
};

struct proposal_view {
    const char *task;   /* name of a generator, or of the sweep */
    const char *metric; /* name */
    uint32_t n_layers;
    const struct component *candidates; /* [n_candidates], ascending */
    size_t n_candidates;
    const struct proposal_example *examples; /* [n_examples] */
    size_t n_examples;
    const struct head_scores *scores;    /* NULL: none */
    const struct proposal_label *labels; /* [n_labels] */
    size_t n_labels;
};

/* What there was to show, and how much of it fitted. A head at several positions is one. */
struct proposal_shown {
    size_t n_candidates, n_candidates_shown;
    size_t n_heads, n_heads_shown; /* with scores */
    size_t n_labels, n_labels_shown;
};

/* The prompt says what it leaves out, and *shown says it to the caller. Errors: those of
 * prompt_template_fill() and of the buffers. */
MUST_CHECK status_t proposal_prompt_fill(const struct prompt_template *template_,
                                         const struct proposal_view *view,
                                         struct prompt_messages *out, struct proposal_shown *shown,
                                         struct error *err);

#endif
