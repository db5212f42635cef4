#include "kernels/selftest/op_report.h"

#include <stdlib.h>

/* Why these numbers (as shares of the largest value of the result):
 *   0      only moved, or summed and rounded in an order that backend.h fixes
 *   1e-6   a few roundings of f32 (2^-24 each), and another library's exp or erf
 *   3e-6   sums of hundreds of terms in another order
 *   1e-5   the same behind a cancellation (adjoints), or thousands of terms
 *   3e-5   products of bf16 parts: tensor cores keep about 22 bits of a partial sum and cut the
 *          rest off; the operands are rounded alike on both sides
 *   2e-3   products of operands with 10 bits of mantissa, beside f32
 * Columns: f32, bf16x3, bf16, tf32. Operations without a product have the first alone. */
_Static_assert(COMPUTE_N == 4, "a number type more needs a column here and in PASS");
static const double TOLERANCE[OP_N][COMPUTE_N] = {
    [OP_copy] = {0},
    [OP_matmul] = {1e-5, 3e-5, 3e-5, 2e-3},
    [OP_embed] = {1e-7},
    [OP_norm] = {3e-6},
    [OP_add] = {2e-7},
    [OP_activate] = {1e-6},
    [OP_rotate] = {2e-7},
    [OP_attend] = {3e-6},
    [OP_head_norms] = {3e-6},
    [OP_edit] = {0},
    [OP_diverge] = {1e-5, 3e-5, 3e-5, 2e-3},
    [OP_norm_backward] = {1e-5},
    [OP_activate_backward] = {3e-6},
    [OP_attend_backward] = {1e-5},
    [OP_blend] = {2e-7},
    [OP_group_dots] = {3e-6},
    [OP_contract] = {3e-6},
    [OP_prepare] = {0},
    [OP_sparse_encode] = {0},
    [OP_sparse_tally] = {0},
    [OP_sparse_digest] = {0},
};

/* A pass of a few layers may lose ten times what a product may (parity with HF is asked to 1e-4);
 * with bf16 a last bit may round the next product's operand the other way, by 2^-8. Beside f32 the
 * emulator's tf32 comes to 0.98e-2, and to 0.7 to 0.97e-2 with operands cut off or other sums. */
static const double PASS[COMPUTE_N] = {1e-4, 3e-4, 3e-2, 2e-2};

double op_tolerance(enum op op, enum compute compute)
{
    return TOLERANCE[op][compute];
}

double op_tolerance_of_pass(enum compute compute)
{
    return PASS[compute];
}

const char *op_name(enum op op)
{
#define OP_SLOT_NAME(name) [OP_##name] = #name,
    static const char *const NAMES[OP_N] = {OP_SLOTS(OP_SLOT_NAME)};
    return (unsigned)op < OP_N ? NAMES[op] : "?";
}

const char *op_verdict_name(enum op_verdict verdict)
{
    switch (verdict) {
    case OP_PASSED: return "pass";
    case OP_FAILED: return "FAIL";
    case OP_ABSENT: return "absent";
    }
    return "?";
}

status_t op_report_append(struct op_report *report, const struct op_row *row, struct error *err)
{
    if (report->n_rows == report->room) {
        const size_t room = report->room ? 2 * report->room : 64;
        struct op_row *grown = realloc(report->rows, room * sizeof *grown);
        if (!grown) return error_set(err, ST_NO_MEMORY, "self-test of %zu rows", room);
        report->rows = grown;
        report->room = room;
    }
    report->rows[report->n_rows++] = *row;
    return ST_OK;
}

void op_report_fini(struct op_report *report)
{
    free(report->rows);
    report->rows = NULL;
    report->n_rows = report->room = 0;
}

const struct op_row *op_report_failure(const struct op_report *report)
{
    for (size_t i = 0; i < report->n_rows; i++)
        if (report->rows[i].verdict == OP_FAILED) return &report->rows[i];
    return NULL;
}
