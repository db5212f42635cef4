/* What a model and the task that opens it need on a device, made before any of it is there: is
 * there room for all layers, or for two at a time that are streamed through it (backend.h, "a
 * model larger than the device"), and for how many sequences at once. Nothing here changes a
 * result: a row's values depend on that row alone.
 *
 *   tables (embeddings, norms, biases) + head + layers + those of derivatives + dictionaries
 *     + of each thread: scratch + comparisons + clean pass of its prompts (+ digests)
 *                       + sequences x what a pass needs for one      against what is free
 *
 * Each is measured by a function beside the code that takes it (memory_measure.c asks them).
 * Any thread; no state. */
#ifndef WORKER_MODEL_MEMORY_PLAN_H
#define WORKER_MODEL_MEMORY_PLAN_H

#include "kernels/backend.h"
#include "worker/model/memory_needs.h"
#include "worker/model/model_config.h"

enum { MEMORY_PLAN_TEXT_SIZE = 500 };

struct memory_plan_params {
    const struct model_config *config;
    const struct backend *backend;
    enum compute compute;
    const struct memory_needs *needs; /* borrowed; NULL: the model alone */
    size_t n_own; /* bytes that the model itself has there already, as if they were free */
    struct backend_memory host; /* of which layers that are streamed take; zeros: nobody knows */
};

/* Bytes unless said otherwise. */
struct memory_plan {
    struct backend_memory memory; /* when the plan was made */
    struct backend_memory host;   /* likewise; zeros: nobody knows */
    size_t n_tables, n_head;
    size_t n_layers, n_layer; /* how many, and of one */
    size_t n_adjoint_head;    /* of derivatives: of the head, */
    size_t n_adjoint_layer;   /* of one layer, and */
    size_t n_adjoint;         /* of all that is there at once, as planned */
    size_t n_dictionaries;    /* how many will be loaded, */
    size_t n_dictionary;      /* and the weights of all of them */
    size_t n_ctx;             /* tokens of a sequence */
    size_t n_threads;         /* as chosen, that have each of: */
    size_t n_scratch;         /* products, the dictionaries' encoders and their tallies */
    size_t n_digest;          /* the digests of a capture's units, which it can do without */
    size_t n_compare;         /* distributions compared, with the smallest pass */
    size_t n_clean;           /* the clean pass over an ablation's prompts, */
    size_t n_copies;          /* and a pass over it and one variant, the least there is */
    size_t n_windows;         /* how many, where layers are streamed */
    size_t n_kept;     /* of a whole batch, however few of it are in a pass at once; n_copies */
    size_t n_sequence; /* of a pass, for each sequence; where n_kept is 0 with what is kept */
    size_t n_smallest; /* of the smallest pass: a block of rows, and n_kept */
    size_t n_cache;    /* kept for each prompt of n_ctx tokens by an ablation */
    bool is_streamed;
    bool has_digests;  /* there is room for them beside all of it and a whole batch */
    size_t n_resident; /* all but the sequences of all threads, as planned */
    size_t n_host;     /* pinned memory of the host, when it is streamed */
    size_t n_room;     /* what is left for passes of all threads; SIZE_MAX: nobody knows */
    size_t n_fitting;  /* sequences of a pass of each thread; 0: it does not fit */
};

/* Errors: ST_TOO_LARGE if the backend has no such product, dictionary or comparison, naming it. A
 * model that does not fit is none. */
MUST_CHECK status_t memory_plan_make(struct memory_plan *out,
                                     const struct memory_plan_params *params, struct error *err);

/* What is resident, with the smallest pass on every thread. */
size_t memory_plan_least(const struct memory_plan *plan);

/* ST_NO_MEMORY with the numbers if not even one sequence fits, or if the host has no room for the
 * layers that would be streamed from it: pinned memory is never swapped, and who takes more of it
 * than there is may be killed. */
MUST_CHECK status_t memory_plan_check(const struct memory_plan *plan, const struct backend *backend,
                                      struct error *err);

/* One line for logs. Returns `out`. */
const char *memory_plan_text(const struct memory_plan *plan, char out[MEMORY_PLAN_TEXT_SIZE]);

/* Bytes that a pass's buffers take for one token, and of the part that whole batches keep where
 * there are no targets: the residual stream, a hook point's values, a dictionary's input. */
size_t memory_plan_token_bytes(const struct model_config *config);
size_t memory_plan_kept_bytes(const struct model_config *config);

/* Tokens of n_bytes_each that a pass of one thread may have in its buffers at once, beside n_beside
 * bytes of n_clean and n_copies that it is about to take (planned or not): in half of its share of
 * what the plan left, or of what is free now if that is less, the other half being left to whoever
 * comes (encoders, copies of hook points). 0: as many as one likes. */
size_t memory_plan_tokens(const struct memory_plan *plan, const struct backend *backend,
                          size_t n_bytes_each, size_t n_beside);

#endif
