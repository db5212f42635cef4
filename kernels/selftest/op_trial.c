#include "kernels/selftest/op_trial.h"

#include "common/clock.h"
#include "common/draw.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of one row: long enough for the clock, short enough for a minute in all. */
static const int64_t TIMED_NS = 20 * 1000 * 1000;
enum { MOST_CALLS = 2000 };

size_t op_pick(const struct op_trial *t, size_t shorter, size_t small, size_t medium, size_t large)
{
    const size_t by_size[OP_SIZE_N] = {shorter, small, medium, large};
    return by_size[t->size];
}

uint32_t op_below(struct op_trial *t, uint32_t n)
{
    struct draw draw = {t->random};
    const uint32_t value = draw_below(&draw, n);
    t->random = draw.state;
    return value;
}

float *op_host_floats(struct op_trial *t, size_t n, float middle, float spread)
{
    struct draw draw = {t->random};
    float *out = t->status == ST_OK ? malloc((n ? n : 1) * sizeof *out) : NULL;
    if (!out && t->status == ST_OK) t->status = error_set(t->err, ST_NO_MEMORY, "%zu floats", n);
    for (size_t i = 0; out && i < n; i++) {
        const float unit = (float)(draw_next(&draw) >> 40) * 0x1p-24f; /* in [0, 1) */
        out[i] = middle + spread * (2 * unit - 1);
    }
    t->random = draw.state;
    return out;
}

struct op_array op_floats(struct op_trial *t, size_t n, float middle, float spread)
{
    struct op_array array = {.n = n};
    float *host = op_host_floats(t, n, middle, spread);
    if (host && t->n_arrays == OP_MAX_ARRAYS)
        t->status = error_set(t->err, ST_INTERNAL, "case %s has too many arrays", op_name(t->op));
    for (size_t i = 0; i < OP_SIDES && t->status == ST_OK; i++) {
        struct backend *backend = t->sides[i].backend;
        void *memory = NULL;
        t->status = backend->ops->alloc(backend, n * sizeof *host, &memory, t->err);
        array.on[i] = memory;
        if (t->status == ST_OK)
            t->status =
                backend->ops->upload(t->sides[i].exec, memory, host, n * sizeof *host, t->err);
    }
    free(host);
    if (t->n_arrays < OP_MAX_ARRAYS) t->arrays[t->n_arrays++] = array;
    return array;
}

/* Largest |a - b| and largest |b|; a difference that is no number is infinite. */
struct difference {
    double most, largest;
};

static void compare(struct difference *d, double tested, double oracle)
{
    const double apart = fabs(tested - oracle);
    d->most = apart <= d->most ? d->most : isnan(apart) ? INFINITY : apart;
    d->largest = fmax(d->largest, fabs(oracle));
}

static void compare_arrays(struct difference *d, const struct op_call *call, const void *tested,
                           const void *oracle, size_t n)
{
    for (size_t i = 0; tested && oracle && i < (call->is_double ? n / 2 : n); i++) {
        if (call->is_double)
            compare(d, ((const double *)tested)[i], ((const double *)oracle)[i]);
        else
            compare(d, (double)((const float *)tested)[i], (double)((const float *)oracle)[i]);
    }
}

/* Values may be equal where bits are not: zeros have a sign. */
static bool are_bits_other(const struct op_call *call, void *host[OP_SIDES][OP_MAX_OUT])
{
    for (size_t i = 0; i < OP_MAX_OUT && call->out[i].n; i++) {
        const void *tested = host[OP_TESTED][i], *oracle = host[OP_ORACLE][i];
        if (!tested || !oracle || memcmp(tested, oracle, call->out[i].n * sizeof(float)) != 0)
            return true;
    }
    return false;
}

/* host[side] = what out[] holds there. */
static status_t fetch(const struct op_side *side, const struct op_array *array, size_t index,
                      void **host, struct error *err)
{
    *host = malloc(array->n * sizeof(float));
    if (!*host) return error_set(err, ST_NO_MEMORY, "%zu floats", array->n);
    return side->backend->ops->download(side->exec, *host, array->on[index],
                                        array->n * sizeof(float), err);
}

/* Run on one side and fetch what came of it into host [OP_MAX_OUT]. */
static status_t run_side(const struct op_trial *t, const struct op_call *call, size_t index,
                         void **host, struct error *err)
{
    const struct op_side *side = &t->sides[index];
    status_t status = call->run(side, call->params[index], err);
    for (size_t i = 0; i < OP_MAX_OUT && call->out[i].n && status == ST_OK; i++)
        status = fetch(side, &call->out[i], index, &host[i], err);
    return status;
}

struct timed_call {
    const struct op_side *side;
    const struct op_call *call;
};

static status_t run_again(void *context, struct error *err)
{
    const struct timed_call *timed = context;
    return timed->call->run(timed->side, timed->call->params[OP_TESTED], err);
}

static bool run_for(const struct op_side *side, op_timed_fn *call, void *context, size_t n,
                    int64_t *ns)
{
    const int64_t begin = clock_monotonic_ns(clock_system());
    status_t status = ST_OK;
    for (size_t i = 0; i < n && status == ST_OK; i++) status = call(context, NULL);
    if (status == ST_OK) status = side->backend->ops->synchronize(side->exec, NULL);
    *ns = clock_monotonic_ns(clock_system()) - begin;
    return status == ST_OK;
}

double op_time(struct op_trial *t, op_timed_fn *call, void *context)
{
    const struct op_side *side = &t->sides[OP_TESTED];
    int64_t ns = 0;
    if (t->size == OP_SHORT || t->status != ST_OK) return 0;
    if (!run_for(side, call, context, 1, &ns)) return 0;
    int64_t n = ns > 0 ? TIMED_NS / ns : MOST_CALLS;
    n = n < 1 ? 1 : n > MOST_CALLS ? MOST_CALLS : n;
    return run_for(side, call, context, (size_t)n, &ns) ? (double)ns * 1e-9 / (double)n : 0;
}

void op_note(struct op_trial *t, struct op_row *row)
{
    row->op = t->op;
    (void)snprintf(row->name, sizeof row->name, "%s", op_name(t->op));
    row->tolerance = op_tolerance(t->op, row->compute);
    if (row->verdict != OP_ABSENT)
        row->verdict = row->why[0] || !(row->error <= row->tolerance) ? OP_FAILED : OP_PASSED;
    row->peak_flops = t->report->flops_per_s[row->compute];
    if (t->status == ST_OK) t->status = op_report_append(t->report, row, t->err);
}

bool op_is_there(struct op_trial *t, bool has_slot)
{
    struct op_row row = {.verdict = OP_ABSENT};
    if (!has_slot) op_note(t, &row);
    return has_slot;
}

static void free_host(void *host[OP_SIDES][OP_MAX_OUT])
{
    for (size_t i = 0; i < OP_SIDES; i++) {
        for (size_t j = 0; j < OP_MAX_OUT; j++) free(host[i][j]);
    }
}

void op_set_cost(struct op_call *call, const struct launch_costs *costs)
{
    for (unsigned kind = 0; kind < LAUNCH_N; kind++) {
        if (launch_info_of((enum launch_kind)kind)->is_link) continue;
        call->n_bytes += costs->of[kind].n_bytes;
        call->flops += costs->of[kind].flops;
    }
}

void op_check(struct op_trial *t, const struct op_call *call)
{
    struct op_row row = {.compute = call->compute, .n_bytes = call->n_bytes, .flops = call->flops};
    void *host[OP_SIDES][OP_MAX_OUT] = {{NULL}};
    struct error err = {0};
    struct difference difference = {0};
    if (t->status != ST_OK) return;
    (void)snprintf(row.variant, sizeof row.variant, "%s", call->variant);
    (void)snprintf(row.shape, sizeof row.shape, "%s", call->shape);
    t->status = run_side(t, call, OP_ORACLE, host[OP_ORACLE], t->err);
    if (t->status == ST_OK && run_side(t, call, OP_TESTED, host[OP_TESTED], &err) != ST_OK)
        (void)snprintf(row.why, sizeof row.why, "%.*s", OP_WHY_SIZE - 1, err.text);
    for (size_t i = 0; i < OP_MAX_OUT && t->status == ST_OK && !row.why[0] && call->out[i].n; i++)
        compare_arrays(&difference, call, host[OP_TESTED][i], host[OP_ORACLE][i], call->out[i].n);
    const bool is_exact = op_tolerance(t->op, row.compute) <= 0;
    if (t->status == ST_OK && !row.why[0] && is_exact && difference.most <= 0 &&
        are_bits_other(call, host))
        (void)snprintf(row.why, sizeof row.why, "other bits");
    free_host(host);
    row.error = difference.most > 0 ? difference.most / fmax(difference.largest, 1e-30) : 0;
    struct timed_call timed = {&t->sides[OP_TESTED], call};
    if (!row.why[0]) row.seconds = op_time(t, run_again, &timed);
    op_note(t, &row);
}
