/* How a self-test is shown: a table for people, one JSON object for programs. */
#ifndef WORKER_SELFTEST_SELFTEST_REPORT_H
#define WORKER_SELFTEST_SELFTEST_REPORT_H

#include "kernels/selftest/op_report.h"

struct selftest_summary {
    const char *backend, *oracle; /* what describe() says of them */
    const char *why_cpu;          /* "auto" took the CPU, because; NULL: it did not */
    double seconds;               /* of the whole test */
};

/* To stdout. */
void selftest_print_table(const struct op_report *report, const struct selftest_summary *summary);
/* Errors: ST_NO_MEMORY. */
MUST_CHECK status_t selftest_print_json(const struct op_report *report,
                                        const struct selftest_summary *summary, struct error *err);

#endif
