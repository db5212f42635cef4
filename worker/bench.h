/* What `interp-worker bench` measures and with what, shared by bench_command.c (options, files),
 * bench_forward.c, bench_encode.c, bench_evidence.c, bench_ablate.c and bench_attribute.c. One
 * thread but for the lanes of bench_clock.h. */
#ifndef WORKER_BENCH_H
#define WORKER_BENCH_H

#include "worker/arguments.h"
#include "worker/bench_clock.h"
#include "worker/model/encoder.h"
#include "worker/model/forward.h"

#include <jansson.h>

struct bench_options {
    const char *make, *model, *dictionary, *activations, *hook, *what, *backend;
    struct argument_list computes, screens;
    struct argument_list threads;
    size_t n_rows, n_ctx, n_windows, n_vocab, n_units;
    double seconds, norm_scaling_factor;
};

struct bench {
    struct bench_options options;
    struct backend *backend;
    struct model *model;
    struct dictionary *dictionary;
    struct hook_point hook;
    size_t n_tokens; /* of one batch */
    uint32_t *tokens, *lengths;
    float *acts; /* [n_acts, d_in]: what the encoder is fed */
    size_t n_acts;
    double peak_flops; /* multiply-adds in registers, one core */
};

/* True if --what asks for it. */
bool bench_is_wanted(const struct bench_options *options, const char *what);

/* One JSON line on stdout; takes the reference to `line`. */
void bench_print_line(json_t *line);

/* Errors: ST_BAD_INPUT names the text. */
MUST_CHECK status_t bench_parse_threads(const char *text, size_t *out, struct error *err);

/* For every --threads. Errors: those of bench_parse_threads() and of `report`, which ends it. */
typedef status_t bench_threads_fn(struct bench *b, size_t n_threads, struct error *err);
MUST_CHECK status_t bench_each_threads(struct bench *b, bench_threads_fn *report,
                                       struct error *err);

/* For every --compute: open the model, measure and report the forward pass, and keep the first
 * one's activations for the encode. */
MUST_CHECK status_t bench_forward(struct bench *b, struct error *err);

/* Measure and report a sweep over all nodes of the open model, in batches and naively; only with
 * --what ablate. */
MUST_CHECK status_t bench_ablate(struct bench *b, struct error *err);

/* That sweep's figure in batches: tokens of variants. */
MUST_CHECK status_t bench_measure_ablate(struct bench *b, size_t n_threads, struct bench_rate *rate,
                                         struct error *err);

/* Measure and report attributions of all nodes and of all edges beside that sweep; only with
 * --what attribute. */
MUST_CHECK status_t bench_attribute(struct bench *b, struct error *err);

/* For every --screen: measure and report the encode, alone and with a running top 20. */
MUST_CHECK status_t bench_encode(struct bench *b, struct error *err);

/* Measure and report what a host thread takes to make evidence partials of made-up activations,
 * from the first to the --units-th unit of a sweep; only with --what evidence. */
MUST_CHECK status_t bench_evidence(const struct bench *b, struct error *err);

/* Take `x` of the --activations file as what is encoded. */
MUST_CHECK status_t bench_read_activations(struct bench *b, struct error *err);

#endif
