#include "worker/selftest/selftest_report.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>

enum { TEXT_SIZE = 32 };

/* What a row reaches of a limit; 0 if either is unknown. */
static double byte_share(const struct op_report *report, const struct op_row *row)
{
    if (!(row->seconds > 0) || !(report->bytes_per_s > 0)) return 0;
    return row->n_bytes / row->seconds / report->bytes_per_s;
}

static double flop_share(const struct op_row *row)
{
    if (!(row->seconds > 0) || !(row->peak_flops > 0)) return 0;
    return row->flops / row->seconds / row->peak_flops;
}

static const char *share_text(double share, double work, char out[TEXT_SIZE])
{
    if (share > 0)
        (void)snprintf(out, TEXT_SIZE, "%.1f %%", 100 * share);
    else
        (void)snprintf(out, TEXT_SIZE, "%s", work > 0 ? "unknown" : "-");
    return out;
}

static const char *rate_text(double work, double seconds, char out[TEXT_SIZE])
{
    if (work > 0 && seconds > 0)
        (void)snprintf(out, TEXT_SIZE, "%.3g", work / seconds * 1e-9);
    else
        (void)snprintf(out, TEXT_SIZE, "-");
    return out;
}

static void print_row(const struct op_report *report, const struct op_row *row)
{
    char name[2 * OP_TEXT_SIZE + 2], bytes[TEXT_SIZE], flops[TEXT_SIZE], text[4][TEXT_SIZE];
    (void)snprintf(name, sizeof name, "%s%s%s", row->name, row->variant[0] ? ": " : "",
                   row->variant);
    if (row->verdict == OP_ABSENT) {
        (void)printf("%-6s  %-32s the backend has no such operation\n",
                     op_verdict_name(row->verdict), name);
        return;
    }
    (void)snprintf(text[0], TEXT_SIZE, row->seconds > 0 ? "%.1f" : "-", row->seconds * 1e6);
    (void)printf("%-6s  %-32s %-7s %-31s %8.1e %8.0e %10s %9s %8s %9s %8s%s%s\n",
                 op_verdict_name(row->verdict), name, compute_name(row->compute), row->shape,
                 row->error, row->tolerance, text[0], rate_text(row->n_bytes, row->seconds, bytes),
                 share_text(byte_share(report, row), row->n_bytes, text[1]),
                 rate_text(row->flops, row->seconds, flops),
                 share_text(flop_share(row), row->flops, text[2]), row->why[0] ? "  " : "",
                 row->why);
}

static size_t count(const struct op_report *report, enum op_verdict verdict)
{
    size_t n = 0;
    for (size_t i = 0; i < report->n_rows; i++) n += report->rows[i].verdict == verdict;
    return n;
}

void selftest_print_table(const struct op_report *report, const struct selftest_summary *summary)
{
    (void)printf("tested   %s\n", summary->backend);
    if (summary->why_cpu) (void)printf("because  no device: %s\n", summary->why_cpu);
    (void)printf("against  %s\npeaks    %s\n\n", summary->oracle, report->peaks_source);
    (void)printf("%-6s  %-32s %-7s %-31s %8s %8s %10s %9s %8s %9s %8s\n", "", "operation", "type",
                 "shape", "error", "allowed", "us a call", "GB/s", "of peak", "GFLOP/s", "of peak");
    for (size_t i = 0; i < report->n_rows; i++) print_row(report, &report->rows[i]);
    (void)printf("\n%zu passed, %zu failed, %zu absent, %.1f s\n"
                 "error: largest difference, as a share of the largest value; 0: the same bits\n"
                 "GB, GFLOP: as kernels/cuda/accounting.h counts the CUDA kernels\n",
                 count(report, OP_PASSED), count(report, OP_FAILED), count(report, OP_ABSENT),
                 summary->seconds);
}

/* A number, or null where it is not known (0). */
static json_t *known(double value)
{
    return value > 0 ? json_real(value) : json_null();
}

/* JSON has no infinity: a difference that is no number is null. */
static json_t *finite(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *row_json(const struct op_report *report, const struct op_row *row)
{
    const bool is_timed = row->seconds > 0;
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:f, s:o, s:o, s:o, s:o, s:o}", "op", row->name,
        "variant", row->variant, "shape", row->shape, "type", compute_name(row->compute), "verdict",
        row->verdict == OP_FAILED ? "fail" : op_verdict_name(row->verdict), "why", row->why,
        "error", finite(row->error), "tolerance", row->tolerance, "seconds", known(row->seconds),
        "bytes_per_s", known(is_timed ? row->n_bytes / row->seconds : 0), "share_of_bandwidth",
        known(byte_share(report, row)), "flops_per_s",
        known(is_timed ? row->flops / row->seconds : 0), "share_of_flops", known(flop_share(row)));
}

status_t selftest_print_json(const struct op_report *report, const struct selftest_summary *summary,
                             struct error *err)
{
    json_t *rows = json_array();
    for (size_t i = 0; rows && i < report->n_rows; i++)
        (void)json_array_append_new(rows, row_json(report, &report->rows[i]));
    json_t *all = json_pack(
        "{s:s, s:s?, s:s, s:s, s:o, s:b, s:I, s:I, s:I, s:f, s:o}", "backend", summary->backend,
        "why_cpu", summary->why_cpu, "against", summary->oracle, "peaks", report->peaks_source,
        "peak_bytes_per_s", known(report->bytes_per_s), "passed", op_report_failure(report) == NULL,
        "n_passed", (json_int_t)count(report, OP_PASSED), "n_failed",
        (json_int_t)count(report, OP_FAILED), "n_absent", (json_int_t)count(report, OP_ABSENT),
        "seconds", summary->seconds, "rows", rows);
    if (!all || json_dumpf(all, stdout, JSON_INDENT(1)) != 0) {
        json_decref(all);
        return error_set(err, ST_NO_MEMORY, "self-test report");
    }
    (void)putchar('\n');
    json_decref(all);
    return ST_OK;
}
