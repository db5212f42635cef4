/* What a self-test found, row by row, and what it may find at most. */
#ifndef KERNELS_SELFTEST_OP_REPORT_H
#define KERNELS_SELFTEST_OP_REPORT_H

#include "kernels/selftest/op_slots.h"

enum { OP_TEXT_SIZE = 48, OP_WHY_SIZE = 160 };

enum op_verdict { OP_PASSED, OP_FAILED, OP_ABSENT /* the backend lacks the slot and says so */ };

struct op_row {
    enum op op;                 /* OP_N: more than one, see `name` */
    char name[OP_TEXT_SIZE];    /* "norm" */
    char variant[OP_TEXT_SIZE]; /* "layer", or "" */
    char shape[OP_TEXT_SIZE];   /* "256x768" */
    enum compute compute;
    enum op_verdict verdict;
    char why[OP_WHY_SIZE]; /* of a failure that is no difference; else "" */
    double error;          /* largest difference, as a share of the largest value */
    double tolerance;      /* what it may be; 0: the same bits */
    double seconds;        /* of one call; 0: not timed */
    double n_bytes, flops; /* of one call, 0: unknown */
    double peak_flops;     /* of the unit that computes it, 0: unknown */
};

struct op_report {
    struct op_row *rows; /* [n_rows], the report's own */
    size_t n_rows, room;
    double bytes_per_s;            /* of the device's memory, 0: unknown */
    double flops_per_s[COMPUTE_N]; /* of a product in that type, 0: unknown */
    const char *peaks_source;      /* where those figures are from, or why there are none */
};

/* One number for an operation and a number type: how far it may lie from the oracle, as a share of
 * the largest value. 0: the same bits. */
double op_tolerance(enum op op, enum compute compute);
/* The same for a whole pass of a model, its hook values and logits. */
double op_tolerance_of_pass(enum compute compute);

const char *op_name(enum op op);                      /* "norm"; never NULL */
const char *op_verdict_name(enum op_verdict verdict); /* "pass", "FAIL", "absent" */

/* Errors: ST_NO_MEMORY. */
MUST_CHECK status_t op_report_append(struct op_report *report, const struct op_row *row,
                                     struct error *err);
void op_report_fini(struct op_report *report); /* safe on zeroed */

/* The first row that failed, or NULL. */
const struct op_row *op_report_failure(const struct op_report *report);

#endif
