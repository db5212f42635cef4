#include "kernels/selftest/op_selftest.h"

#include "kernels/selftest/reference.h"

#include <string.h>

struct op_entry {
    op_case_fn *run;
    size_t offset; /* of the slot in struct backend_ops */
};
#define OP_SLOT_ENTRY(name) [OP_##name] = {op_case_##name, offsetof(struct backend_ops, name)},
static const struct op_entry CASES[OP_N] = {OP_SLOTS(OP_SLOT_ENTRY)};

static bool has_slot(const struct backend_ops *ops, size_t offset)
{
    void (*slot)(void);
    memcpy(&slot, (const char *)ops + offset, sizeof slot);
    return slot != NULL;
}

status_t op_selftest_oracle(const struct backend *backend, struct backend **out, struct error *err)
{
    if (strcmp(backend->ops->name, "cpu") == 0) return reference_open(out, err);
    return backend_open_cpu(out, err);
}

enum op_size op_selftest_size(const struct backend *backend)
{
    if (strcmp(backend->ops->name, "emu") == 0) return OP_SMALL;
    return backend->ops->memory_is_host ? OP_MEDIUM : OP_LARGE;
}

static void release_arrays(struct op_trial *t)
{
    for (size_t i = 0; i < t->n_arrays; i++) {
        for (size_t j = 0; j < OP_SIDES; j++) {
            struct backend *backend = t->sides[j].backend;
            if (t->arrays[i].on[j]) backend->ops->release(backend, t->arrays[i].on[j]);
        }
    }
    t->n_arrays = 0;
}

static void run_cases(struct op_trial *t)
{
    for (unsigned op = 0; op < OP_N && t->status == ST_OK; op++) {
        t->op = (enum op)op;
        t->random = op; /* a case's numbers depend on no other */
        if (op_is_there(t, has_slot(t->sides[OP_TESTED].backend->ops, CASES[op].offset)))
            CASES[op].run(t);
        release_arrays(t);
    }
}

status_t op_selftest_run(struct backend *backend, struct backend *oracle, enum op_size size,
                         struct op_report *report, struct error *err)
{
    struct op_trial t = {
        .sides = {[OP_TESTED] = {.backend = backend}, [OP_ORACLE] = {.backend = oracle}},
        .size = size,
        .report = report,
        .err = err};
    t.row_block = op_pick(&t, 16, 16, 128, 256);
    const struct exec_params params = {.row_block = t.row_block};
    for (size_t i = 0; i < OP_SIDES && t.status == ST_OK; i++)
        t.status = t.sides[i].backend->ops->exec_create(&t.sides[i].exec, t.sides[i].backend,
                                                        &params, err);
    run_cases(&t);
    for (size_t i = 0; i < OP_SIDES; i++)
        if (t.sides[i].exec) t.sides[i].backend->ops->exec_destroy(t.sides[i].exec);
    return t.status;
}

status_t op_selftest_short(struct backend *backend, struct error *err)
{
    struct op_report report = {.rows = NULL};
    struct backend *oracle = NULL;
    status_t status = op_selftest_oracle(backend, &oracle, err);
    if (status == ST_OK) status = op_selftest_run(backend, oracle, OP_SHORT, &report, err);
    const struct op_row *bad = op_report_failure(&report);
    if (status != ST_OK)
        status = error_wrap(err, "self-test of backend %s", backend->ops->name);
    else if (bad && bad->why[0])
        status = error_set(err, ST_UNSUPPORTED, "backend %s computes wrongly: %s (%s, %s): %s",
                           backend->ops->name, bad->name, bad->variant, compute_name(bad->compute),
                           bad->why);
    else if (bad)
        status = error_set(err, ST_UNSUPPORTED,
                           "backend %s computes wrongly: %s (%s, %s) is off by %.1e, over %.0e",
                           backend->ops->name, bad->name, bad->variant, compute_name(bad->compute),
                           bad->error, bad->tolerance);
    op_report_fini(&report);
    backend_close(&oracle);
    return status;
}
