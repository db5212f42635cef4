/* What goes to and comes from a batch API (OpenAI's /files and /batches): the form that uploads a
 * file of requests, the request that makes a batch of it, and the answers.
 *
 *   a line of the file    {"custom_id", "method", "url", "body"}
 *   a line of the result  {"custom_id", "response": {"status_code", "body"} | null,
 *                          "error": {"code", "message"} | null}
 *
 * custom_id is "<call id>-<attempt>". A batch carries our tag in its metadata, so that one whose
 * creation was not acknowledged is found again in the list of batches. Bytes from outside: sizes,
 * names and numbers are checked, and ids that go into URLs hold letters, digits, '_', '-' and '.'.
 * Pure functions. */
#ifndef COORDINATOR_GATEWAY_BATCH_FILE_H
#define COORDINATOR_GATEWAY_BATCH_FILE_H

#include "common/buffer.h"
#include "common/error.h"
#include "common/hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    BATCH_NAME_SIZE = 128, /* of ids that a provider gives, with NUL */
    BATCH_TAG_SIZE = 64,   /* of ours, with NUL */
    BATCH_PROBLEM_SIZE = 200,
    BATCH_RESULT_MAX = 256 << 20, /* bytes of a result file */
    BATCH_LINE_OVERHEAD = 256     /* bytes that a request's line has beside its body, at most */
};

/* ---- asking ------------------------------------------------------------------------------ */

/* The Content-Type of the form below. */
extern const char batch_form_type[];

/* A form with "purpose: batch" and the file, begun, filled by a line for each call, ended.
 * `body` is compact JSON. Errors: ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t batch_form_begin(struct buffer *form, struct error *err);
MUST_CHECK status_t batch_form_add(struct buffer *form, const char *id, uint64_t attempt,
                                   const char *body, size_t n_body_bytes, struct error *err);
MUST_CHECK status_t batch_form_end(struct buffer *form, struct error *err);

/* The body of POST /batches; the caller frees it. NULL without memory. */
char *batch_create_body(const char *file_id, const char *tag);

/* ---- answers ----------------------------------------------------------------------------- */

/* The id in the answer to an upload. Errors: ST_CORRUPT. */
MUST_CHECK status_t batch_file_id_parse(const char *bytes, size_t n_bytes,
                                        char out[BATCH_NAME_SIZE], struct error *err);

enum batch_state {
    BATCH_PENDING, /* validating, in_progress, finalizing, cancelling */
    BATCH_COMPLETED,
    BATCH_REFUSED, /* failed: nothing of it ran */
    BATCH_EXPIRED, /* its time was over: what was done is in the result files */
    BATCH_CANCELLED
};

struct batch_report {
    char id[BATCH_NAME_SIZE];
    char tag[BATCH_TAG_SIZE]; /* "" if it has none */
    enum batch_state state;
    char output_file[BATCH_NAME_SIZE]; /* "" if there is none */
    char error_file[BATCH_NAME_SIZE];
    uint64_t n_completed, n_failed;
    char problem[BATCH_PROBLEM_SIZE]; /* why it was refused, printable ASCII */
    char problem_code[64];
};

/* A batch object. Errors: ST_CORRUPT. */
MUST_CHECK status_t batch_report_parse(const char *bytes, size_t n_bytes, struct batch_report *out,
                                       struct error *err);

/* Look for our tag in one page of the list of batches. If it is not there, `next` is the id to go
 * on behind, "" at the end. Errors: ST_CORRUPT. */
MUST_CHECK status_t batch_list_find(const char *bytes, size_t n_bytes, const char *tag,
                                    struct batch_report *out, bool *is_found,
                                    char next[BATCH_NAME_SIZE], struct error *err);

/* One line of a result file. */
struct batch_line {
    char id[HASH_HEX_SIZE];
    uint64_t attempt;
    int http_status;  /* 0: it was not run, see error_code */
    const char *body; /* [n_body_bytes] of the answer, with a NUL behind; borrowed for the call */
    size_t n_body_bytes;
    char error_code[64];
    char error_message[BATCH_PROBLEM_SIZE];
};
typedef void batch_visit_fn(void *context, const struct batch_line *line);

/* Visit every line that can be read; returns how many could not. */
size_t batch_lines_read(const char *bytes, size_t n_bytes, batch_visit_fn *visit, void *context);

#endif
