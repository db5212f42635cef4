/* What is counted, and measured: one kind of work on one model, and in which batches.
 *
 *   capture    a pass to a hook point and the encode there of n_rows x n_ctx tokens
 *   ablate     n_rows prompts: their clean pass, and every head and every MLP set to zero, one a
 *              variant, from the prefix cache in batches; KL and two answers of each
 *   attribute  scores of all nodes of n_rows pairs of prompts by derivatives at the clean run
 *   edges      the same with scores of all edges */
#ifndef WORKER_PAPER_PAPER_PLAN_H
#define WORKER_PAPER_PAPER_PLAN_H

#include "kernels/cuda/accounting.h"
#include "worker/model/hook_point.h"

enum paper_work { WORK_CAPTURE, WORK_ABLATE, WORK_ATTRIBUTE, WORK_EDGES, WORK_N };

/* "capture" | "ablate" | "attribute" | "edges"; "?" outside the enum. */
const char *paper_work_name(enum paper_work work);
/* Errors: ST_BAD_INPUT names the text and the choices. */
MUST_CHECK status_t paper_work_parse(const char *name, enum paper_work *out, struct error *err);

struct paper_plan {
    enum paper_work work;
    const struct model_config *config;
    struct hook_point hook; /* of a capture */
    size_t n_rows, n_ctx;   /* of a batch, no padding */
    enum compute compute;
    /* of a capture alone: */
    size_t n_features, k; /* of the dictionary; n_features 0: no encode; k: topk */
    double candidates_per_token, fired_per_token;
    size_t tally_k;               /* largest values that are kept of each feature */
    double evidence_tokens_per_s; /* of which a thread of the host makes a result */
};

/* Add the encode of a batch's activations. */
void paper_plan_encode(const struct paper_plan *plan, struct launch_costs *to);

#endif
