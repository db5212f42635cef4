/* One operation on two backends: what the cases (op_dense.c, op_backward.c, op_sparse.c) are
 * written in.
 *
 *   case: arrays with the same numbers on both sides -> parameters for each side -> op_check():
 *         run, fetch, compare, time, one row of the report
 *
 * After an error of memory or of the oracle every call does nothing, so that cases need no checks
 * of their own; the run ends with it. An error of the backend under test is a failed row.
 * One thread. */
#ifndef KERNELS_SELFTEST_OP_TRIAL_H
#define KERNELS_SELFTEST_OP_TRIAL_H

#include "kernels/cuda/accounting.h"
#include "kernels/selftest/op_report.h"

/* How much is computed: before a plugin is used, on the emulator, where the oracle is plain loops,
 * on a device. */
enum op_size { OP_SHORT, OP_SMALL, OP_MEDIUM, OP_LARGE, OP_SIZE_N };

enum op_side_index { OP_TESTED, OP_ORACLE, OP_SIDES };
enum { OP_MAX_ARRAYS = 16, OP_MAX_OUT = 3 };

struct op_side {
    struct backend *backend;
    struct exec *exec;
};

/* The same numbers on both sides. `on` are device pointers, NULL for an array that is not given. */
struct op_array {
    float *on[OP_SIDES];
    size_t n; /* floats */
};

struct op_trial {
    struct op_side sides[OP_SIDES];
    enum op_size size;
    size_t row_block; /* of the execs */
    enum op op;       /* whose case runs */
    struct op_report *report;
    struct op_array arrays[OP_MAX_ARRAYS]; /* of the case, released behind it */
    size_t n_arrays;
    uint64_t random;
    status_t status; /* the first error, and: */
    struct error *err;
};

typedef void op_case_fn(struct op_trial *trial);
#define OP_SLOT_CASE(name) op_case_fn op_case_##name;
OP_SLOTS(OP_SLOT_CASE)

/* Of four numbers the one for the trial's size. */
size_t op_pick(const struct op_trial *trial, size_t shorter, size_t small, size_t medium,
               size_t large);

/* n floats, uniform in middle +- spread. */
struct op_array op_floats(struct op_trial *trial, size_t n, float middle, float spread);
/* The same numbers as host memory on one side; the caller frees it. NULL after an error. */
float *op_host_floats(struct op_trial *trial, size_t n, float middle, float spread);
/* A random number below n. */
uint32_t op_below(struct op_trial *trial, uint32_t n);

/* One slot with its own parameters, e.g. OP_RUN(norm). */
typedef status_t op_run_fn(const struct op_side *side, const void *params, struct error *err);
#define OP_RUN(slot)                                                                               \
    static status_t run_##slot(const struct op_side *side, const void *params, struct error *err)  \
    {                                                                                              \
        return side->backend->ops->slot(side->exec, params, err);                                  \
    }

struct op_call {
    const char *variant; /* "" if the operation has one form */
    char shape[OP_TEXT_SIZE];
    enum compute compute;
    op_run_fn *run;
    const void *params[OP_SIDES];
    struct op_array out[OP_MAX_OUT]; /* what it writes; n = 0 ends them */
    bool is_double;                  /* out[0] holds doubles, two floats each */
    double n_bytes, flops;           /* of one call, 0: unknown */
};

/* Bytes and operations of the call, as kernels/cuda does it: OP_COST(&call, norm, &params). */
void op_set_cost(struct op_call *call, const struct launch_costs *costs);
#define OP_COST(call, slot, params)                                                                \
    do {                                                                                           \
        struct launch_costs costs = {0};                                                           \
        account_##slot(&costs, params);                                                            \
        op_set_cost(call, &costs);                                                                 \
    } while (0)

/* Run on both sides, compare and time: a row. */
void op_check(struct op_trial *trial, const struct op_call *call);

/* A row that the caller filled but for name and verdict, which follow from error and why. */
void op_note(struct op_trial *trial, struct op_row *row);

/* Whether the tested backend has the slot; if not, says so in a row. */
bool op_is_there(struct op_trial *trial, bool has_slot);

/* Seconds of one call on the tested side: 0 where the size is not timed or the call fails. */
typedef status_t op_timed_fn(void *context, struct error *err);
double op_time(struct op_trial *trial, op_timed_fn *call, void *context);

#endif
