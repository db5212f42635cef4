/* The self-test of backends: passes on what is right, names what is wrong, for every operation. */
#include "kernels/plugin.h"
#include "kernels/selftest/op_selftest.h"
#include "kernels/selftest/reference.h"
#include "tests/support/planted_backend.h"

#include <criterion/criterion.h>
#include <string.h>

static struct op_report run(struct backend *backend, struct backend *oracle, enum op_size size)
{
    struct op_report report = {.rows = NULL};
    struct error err = {0};
    cr_assert_eq(op_selftest_run(backend, oracle, size, &report, &err), ST_OK, "%s", err.text);
    return report;
}

static size_t count(const struct op_report *report, enum op op, enum op_verdict verdict)
{
    size_t n = 0;
    for (size_t i = 0; i < report->n_rows; i++)
        n += report->rows[i].op == op && report->rows[i].verdict == verdict;
    return n;
}

Test(selftest, cpu_agrees_with_plain_loops_in_every_operation)
{
    struct backend *cpu, *reference;
    cr_assert_eq(backend_open_cpu(&cpu, NULL), ST_OK);
    cr_assert_eq(reference_open(&reference, NULL), ST_OK);
    struct op_report report = run(cpu, reference, OP_SMALL);
    const struct op_row *bad = op_report_failure(&report);
    cr_expect_null(bad, "%s, %s: %g, %s", bad->name, bad->variant, bad->error, bad->why);
    for (unsigned op = 0; op < OP_N; op++) /* the CPU's evidence is the host's */
        cr_expect_gt(count(&report, (enum op)op, op == OP_sparse_digest ? OP_ABSENT : OP_PASSED), 0,
                     "%s", op_name((enum op)op));
    op_report_fini(&report);
    backend_close(&cpu);
    backend_close(&reference);
}

Test(selftest, short_form_sees_every_operation_that_is_off_by_a_thousandth)
{
    for (unsigned op = 0; op < OP_N; op++) {
        struct backend *planted, *cpu;
        cr_assert_eq(planted_backend_open(&planted, (enum op)op, 1e-3f, NULL), ST_OK);
        cr_assert_eq(backend_open_cpu(&cpu, NULL), ST_OK);
        struct op_report report = run(planted, cpu, OP_SHORT);
        cr_expect_gt(count(&report, (enum op)op, OP_FAILED), 0, "%s", op_name((enum op)op));
        for (unsigned other = 0; other < OP_N; other++)
            if (other != op)
                cr_expect_eq(count(&report, (enum op)other, OP_FAILED), 0, "%s fails with %s",
                             op_name((enum op)other), op_name((enum op)op));
        op_report_fini(&report);
        backend_close(&planted);
        backend_close(&cpu);
    }
}

/* Its bits are promised (backend.h): the last place of one value is too much. */
Test(selftest, short_form_sees_rows_for_a_dictionary_that_are_off_by_a_last_place)
{
    struct backend *planted, *cpu;
    cr_assert_eq(planted_backend_open(&planted, OP_prepare, 1.2e-7f, NULL), ST_OK);
    cr_assert_eq(backend_open_cpu(&cpu, NULL), ST_OK);
    struct op_report report = run(planted, cpu, OP_SHORT);
    cr_expect_gt(count(&report, OP_prepare, OP_FAILED), 0);
    op_report_fini(&report);
    backend_close(&planted);
    backend_close(&cpu);
}

static status_t negate_zeros(struct exec *exec, const struct prepare_params *p, struct error *err)
{
    (void)exec;
    (void)err;
    for (size_t i = 0; i < p->n_rows * p->d; i++) p->out[i] = -0.0f;
    return ST_OK;
}

static status_t make_zeros(struct exec *exec, const struct prepare_params *p, struct error *err)
{
    (void)exec;
    (void)err;
    memset(p->out, 0, p->n_rows * p->d * sizeof *p->out);
    return ST_OK;
}

Test(selftest, equal_values_of_other_bits_fail_where_bits_are_promised)
{
    struct backend *planted, *cpu;
    cr_assert_eq(planted_backend_open(&planted, OP_N, 0, NULL), ST_OK);
    planted_backend_ops(planted)->prepare = negate_zeros;
    cr_assert_eq(backend_open_cpu(&cpu, NULL), ST_OK);
    struct backend_ops zeros = *cpu->ops;
    struct backend of_zeros = {.ops = &zeros, .device = cpu->device};
    zeros.prepare = make_zeros;
    struct op_report report = run(planted, &of_zeros, OP_SHORT);
    const struct op_row *bad = op_report_failure(&report);
    cr_assert_not_null(bad);
    cr_expect_eq(bad->op, OP_prepare);
    cr_expect_str_eq(bad->why, "other bits");
    op_report_fini(&report);
    backend_close(&planted);
    backend_close(&cpu);
}

Test(selftest, refusal_names_operation_and_error)
{
    struct backend *planted;
    struct error err = {0};
    cr_assert_eq(planted_backend_open(&planted, OP_attend, 0.25f, &err), ST_OK);
    cr_expect_eq(op_selftest_short(planted, &err), ST_UNSUPPORTED);
    cr_expect(strstr(err.text, "backend planted computes wrongly: attend (heads, f32) is off by"),
              "%s", err.text);
    cr_expect(strstr(err.text, "over 3e-06"), "%s", err.text);
    backend_close(&planted);
}

Test(selftest, a_slot_that_is_missing_is_absent_and_no_failure)
{
    struct backend *planted;
    cr_assert_eq(planted_backend_open(&planted, OP_N, 0, NULL), ST_OK);
    planted_backend_ops(planted)->norm_backward = NULL;
    struct backend *cpu;
    cr_assert_eq(backend_open_cpu(&cpu, NULL), ST_OK);
    struct op_report report = run(planted, cpu, OP_SHORT);
    cr_expect_eq(count(&report, OP_norm_backward, OP_ABSENT), 1);
    cr_expect_null(op_report_failure(&report));
    op_report_fini(&report);
    cr_expect_eq(op_selftest_short(planted, NULL), ST_OK);
    backend_close(&planted);
    backend_close(&cpu);
}

static status_t refuse(struct exec *exec, const struct norm_params *p, struct error *err)
{
    (void)exec;
    (void)p;
    return error_set(err, ST_INTERNAL, "the device is gone");
}

Test(selftest, an_operation_that_fails_is_a_failure_with_its_reason)
{
    struct backend *planted;
    struct error err = {0};
    cr_assert_eq(planted_backend_open(&planted, OP_N, 0, NULL), ST_OK);
    planted_backend_ops(planted)->norm = refuse;
    cr_expect_eq(op_selftest_short(planted, &err), ST_UNSUPPORTED);
    cr_expect_str_eq(err.text,
                     "backend planted computes wrongly: norm (layer, f32): the device is gone");
    backend_close(&planted);
}

Test(selftest, emulated_backend_passes_and_says_what_it_lacks)
{
    struct backend *emu, *cpu;
    struct error err = {0};
    cr_assert_eq(backend_open("emu", &emu, &err), ST_OK, "%s", err.text);
    cr_assert_eq(backend_open_cpu(&cpu, NULL), ST_OK);
    struct op_report report = run(emu, cpu, OP_SMALL);
    const struct op_row *bad = op_report_failure(&report);
    cr_expect_null(bad, "%s, %s: %g, %s", bad->name, bad->variant, bad->error, bad->why);
    for (unsigned op = 0; op < OP_N; op++)
        cr_expect_gt(count(&report, (enum op)op, OP_PASSED) +
                         count(&report, (enum op)op, OP_ABSENT),
                     0, "%s", op_name((enum op)op));
    op_report_fini(&report);
    backend_close(&emu);
    backend_close(&cpu);
}
