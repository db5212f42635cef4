/* The accounting of a plan beside a device's peaks, and what was measured. */
#ifndef WORKER_PAPER_PAPER_REPORT_H
#define WORKER_PAPER_PAPER_REPORT_H

#include "worker/paper/paper_count.h"

struct paper_report {
    const char *model; /* as it was asked for */
    const struct paper_plan *plan;
    const struct paper_counted *counted;
    const struct device_peaks *peaks; /* NULL: unknown, then only counts are shown */
    const char *measured_on;          /* what its backend says of itself; NULL: not measured */
    bool is_cpu;                      /* that one: the launches are not its own */
    double measured_tokens_per_s;     /* 0: not measured */
    const char *refusal;              /* why it cannot be done on that device, or NULL */
};

/* Tokens a second that the launches allow one after the other: the sum of their least times, or
 * the weights' way over the link where they are streamed. 0: no peaks. */
double paper_report_limit(const struct paper_report *report);

/* To stdout: a table for people, or one line of JSON. */
void paper_report_print_table(const struct paper_report *report);
MUST_CHECK status_t paper_report_print_json(const struct paper_report *report, struct error *err);

#endif
