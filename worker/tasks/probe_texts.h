/* The texts of probes as rows of tokens: behind BOS where the corpus is, cut at the context, by
 * the rules of the sweep's tokenize tasks and its plan. Belongs to one run thread. */
#ifndef WORKER_TASKS_PROBE_TEXTS_H
#define WORKER_TASKS_PROBE_TEXTS_H

#include "common/probe.h"
#include "worker/model/token_list.h"
#include "worker/model/tokenizer.h"

struct probe_texts;

struct probe_texts_params {
    const char *directory; /* of the model */
    const char *bos;       /* "auto", "true", "false" */
    size_t n_vocab, n_ctx; /* n_ctx >= 2 */
    bool with_pieces;
};

/* On ST_OK the caller owns *out. Errors: the tokenizer's, ST_BAD_INPUT (bos: true, and there is no
 * BOS token), ST_PROTOCOL (another word), ST_NO_MEMORY. */
MUST_CHECK status_t probe_texts_open(struct probe_texts **out,
                                     const struct probe_texts_params *params, struct error *err);
void probe_texts_close(struct probe_texts **texts); /* NULL-safe */

const struct tokenizer *probe_texts_tokenizer(const struct probe_texts *texts); /* borrowed */

/* tokens.ids[first .. first + n_tokens), the first n_bos of them BOS. */
struct probe_row {
    size_t first, n_tokens, n_bos;
};
struct probe_rows { /* zeroed is empty */
    struct token_list tokens;
    struct probe_row rows[PROBE_MAX_PER_UNIT]; /* by probe */
};
void probe_rows_fini(struct probe_rows *rows);

/* Rows of all texts of `unit`, and answers with tokens (and pieces) but no activations yet; a text
 * that cannot be run has its error instead. The caller frees rows and answers in any case. Errors:
 * ST_NO_MEMORY. */
MUST_CHECK status_t probe_texts_read(const struct probe_texts *texts, const struct probe_unit *unit,
                                     struct probe_rows *rows, struct probe_answer *answers,
                                     struct error *err);

#endif
