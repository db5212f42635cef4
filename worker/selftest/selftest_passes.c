#include "worker/selftest/selftest_passes.h"

#include "common/file.h"
#include "worker/known/known_model.h"
#include "worker/selftest/selftest_pass.h"
#include "worker/temporary_directory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* One row per part of a pass. */
enum part { PART_STREAM, PART_LOGITS, PART_TOP_TOKENS, PART_ABLATION, N_PARTS };
static const char *const PART_NAMES[N_PARTS] = {"pass to a hook", "logits", "encode and top 5",
                                                "ablation of heads"};

/* Both sides of one model in one number type. */
struct comparison {
    const char *kind;
    enum compute compute;
    struct selftest_pass tested, oracle;
    char why[OP_WHY_SIZE]; /* what the tested backend failed with, or "" */
};

/* Largest difference of rows that are no padding, as a share of the largest value. */
static double pass_error(const float *tested, const float *oracle, size_t width)
{
    double most = 0, largest = 1e-30;
    for (size_t t = 0; t < PASS_TOKENS; t++) {
        if (t % PASS_CTX >= selftest_pass_length(t / PASS_CTX)) continue;
        for (size_t i = t * width; i < (t + 1) * width; i++) {
            const double apart = fabs((double)tested[i] - (double)oracle[i]);
            most = apart <= most ? most : isnan(apart) ? INFINITY : apart;
            largest = fmax(largest, fabs((double)oracle[i]));
        }
    }
    return most / largest;
}

/* What the ablations change in the last tokens' logits, as a share of the largest logit. */
static double ablation_error(const struct selftest_pass *tested, const struct selftest_pass *oracle)
{
    double most = 0, largest = 1e-30;
    for (size_t i = 0; i < PASS_HEADS * PASS_ROWS * oracle->n_vocab; i++) {
        const double apart = fabs((double)tested->effects[i] - (double)oracle->effects[i]);
        most = apart <= most ? most : isnan(apart) ? INFINITY : apart;
    }
    for (size_t i = 0; i < PASS_TOKENS * oracle->n_vocab; i++)
        largest = fmax(largest, fabs((double)oracle->logits[i]));
    return most / largest;
}

/* Top values by rank; `row` says where another token stands at a rank that no tie explains. */
static void compare_tops(const struct comparison *c, struct op_row *row)
{
    double most = 0, largest = 1e-30;
    for (size_t f = 0; f < PASS_FEATURES; f++)
        largest = fmax(largest, (double)c->oracle.top_values[f][0]);
    for (size_t f = 0; f < PASS_FEATURES; f++) {
        const float *values = c->oracle.top_values[f];
        for (size_t i = 0; i < PASS_TOP; i++) {
            const double apart = fabs((double)c->tested.top_values[f][i] - (double)values[i]);
            most = apart <= most ? most : isnan(apart) ? INFINITY : apart;
            const double room = 2 * op_tolerance_of_pass(c->compute) * largest;
            const bool is_apart = i + 1 < PASS_TOP && (double)(values[i] - values[i + 1]) > room &&
                                  (!i || (double)(values[i - 1] - values[i]) > room);
            if (!is_apart || c->tested.top_tokens[f][i] == c->oracle.top_tokens[f][i]) continue;
            (void)snprintf(row->why, sizeof row->why, "feature %zu: token %u at rank %zu, not %u",
                           f, (unsigned)c->tested.top_tokens[f][i], i + 1,
                           (unsigned)c->oracle.top_tokens[f][i]);
        }
    }
    row->error = most / largest;
}

static void fill_part(const struct comparison *c, enum part part, struct op_row *row)
{
    const struct selftest_pass *tested = &c->tested, *oracle = &c->oracle;
    switch (part) {
    case PART_STREAM:
        row->error = pass_error(tested->stream, oracle->stream, oracle->d_model);
        row->seconds = tested->seconds;
        break;
    case PART_LOGITS:
        row->error = pass_error(tested->logits, oracle->logits, oracle->n_vocab);
        break;
    case PART_TOP_TOKENS: compare_tops(c, row); break;
    case PART_ABLATION:
        row->error = ablation_error(tested, oracle);
        row->seconds = tested->ablated_seconds;
        break;
    case N_PARTS: break;
    }
}

static status_t report_part(const struct comparison *c, enum part part, bool can_encode,
                            struct op_report *report, struct error *err)
{
    struct op_row row = {
        .op = OP_N, .compute = c->compute, .tolerance = op_tolerance_of_pass(c->compute)};
    (void)snprintf(row.name, sizeof row.name, "%s", PART_NAMES[part]);
    (void)snprintf(row.variant, sizeof row.variant, "%s", c->kind);
    (void)snprintf(row.shape, sizeof row.shape, "%dx%d tokens", PASS_ROWS, PASS_CTX);
    if (part == PART_TOP_TOKENS && !can_encode)
        row.verdict = OP_ABSENT;
    else if (c->why[0])
        (void)snprintf(row.why, sizeof row.why, "%s", c->why);
    else
        fill_part(c, part, &row);
    if (row.verdict != OP_ABSENT && (row.why[0] || !(row.error <= row.tolerance)))
        row.verdict = OP_FAILED;
    return op_report_append(report, &row, err);
}

static status_t run_comparison(const char *directory, struct comparison *c, struct backend *backend,
                               struct backend *oracle, struct op_report *report, struct error *err)
{
    struct error tested = {0};
    const bool can_encode = backend_supports(backend, BACKEND_SPARSE_ENCODE);
    status_t status = selftest_pass_run(&c->oracle, directory, oracle, c->compute, err);
    if (status == ST_OK &&
        selftest_pass_run(&c->tested, directory, backend, c->compute, &tested) != ST_OK)
        (void)snprintf(c->why, sizeof c->why, "%.*s", OP_WHY_SIZE - 1, tested.text);
    for (unsigned part = 0; part < N_PARTS && status == ST_OK; part++)
        status = report_part(c, (enum part)part, can_encode, report, err);
    selftest_pass_fini(&c->tested);
    selftest_pass_fini(&c->oracle);
    return status;
}

/* The kind's smallest model, written into `home`, in every number type. */
static status_t run_model(const char *kind, const char *home, struct backend *backend,
                          struct backend *oracle, struct op_report *report, struct error *err)
{
    const struct known_params params = {.kind = kind, .seed = 1, .size = KNOWN_MIN_SIZE};
    char *directory = file_join(home, kind);
    status_t status = directory ? known_model_write(&params, 1, directory, err)
                                : error_set(err, ST_NO_MEMORY, "%s", kind);
    for (unsigned compute = 0; compute < COMPUTE_N && status == ST_OK; compute++) {
        struct comparison c = {.kind = kind, .compute = (enum compute)compute};
        status = run_comparison(directory, &c, backend, oracle, report, err);
    }
    free(directory);
    return status;
}

status_t selftest_passes(struct backend *backend, struct backend *oracle, struct op_report *report,
                         struct error *err)
{
    static const char *const KINDS[] = {"induction", "llama-induction"}; /* one of each family */
    struct temporary_directory home = {""};
    if (!backend_supports(backend, BACKEND_FORWARD)) {
        const struct op_row row = {.op = OP_N, .name = "pass to a hook", .verdict = OP_ABSENT};
        return op_report_append(report, &row, err);
    }
    status_t status = temporary_directory_make(&home, err);
    for (size_t i = 0; i < sizeof KINDS / sizeof KINDS[0] && status == ST_OK; i++)
        status = run_model(KINDS[i], home.path, backend, oracle, report, err);
    temporary_directory_remove(&home);
    return status;
}
