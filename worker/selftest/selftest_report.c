#include "worker/selftest/selftest_report.h"

#include "worker/report_text.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_SIZE = 32, NAME_COLUMNS = 35, WHY_INDENT = 7 };

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
        (void)snprintf(out, TEXT_SIZE, share < 0.9995 ? "%.1f %%" : "%.0f %%", 100 * share);
    else
        (void)snprintf(out, TEXT_SIZE, "%s", work > 0 ? "?" : "-");
    return out;
}

static const char *rate_text(double work, double seconds, char out[TEXT_SIZE])
{
    const double rate = seconds > 0 ? work / seconds * 1e-9 : 0;
    if (work > 0 && seconds > 0)
        (void)snprintf(out, TEXT_SIZE, "%.*f", rate < 10 ? 2 : rate < 100 ? 1 : 0, rate);
    else
        (void)snprintf(out, TEXT_SIZE, "-");
    return out;
}

static const char *time_text(double seconds, char out[TEXT_SIZE])
{
    if (seconds > 0)
        (void)snprintf(out, TEXT_SIZE, "%.*f", seconds < 0.1 ? 1 : 0, seconds * 1e6);
    else
        (void)snprintf(out, TEXT_SIZE, "-");
    return out;
}

/* A name that is wider than its column has a line of its own. */
static void print_name(const struct op_row *row)
{
    char name[2 * OP_TEXT_SIZE + 2];
    (void)snprintf(name, sizeof name, "%s%s%s", row->name, row->variant[0] ? ": " : "",
                   row->variant);
    (void)printf("%-6s %-*s", op_verdict_name(row->verdict), NAME_COLUMNS, name);
    if (strlen(name) > NAME_COLUMNS) (void)printf("\n%*s", 7 + NAME_COLUMNS, "");
}

static void print_row(const struct op_report *report, const struct op_row *row)
{
    char time[TEXT_SIZE], bytes[TEXT_SIZE], flops[TEXT_SIZE], text[2][TEXT_SIZE];
    print_name(row);
    if (row->verdict == OP_ABSENT) {
        (void)puts(" the backend has no such operation");
        return;
    }
    (void)printf(" %-6s %7.1e %5.0e %7s %6s %6s %7s %6s\n", compute_name(row->compute), row->error,
                 row->tolerance, time_text(row->seconds, time),
                 rate_text(row->n_bytes, row->seconds, bytes),
                 share_text(byte_share(report, row), row->n_bytes, text[0]),
                 rate_text(row->flops, row->seconds, flops),
                 share_text(flop_share(row), row->flops, text[1]));
    if (!row->why[0]) return;
    (void)printf("%*s", WHY_INDENT, "");
    report_text_wrap(stdout, row->why, WHY_INDENT, WHY_INDENT);
}

/* Rows of one shape stand under it. */
static void print_rows(const struct op_report *report)
{
    const char *shape = "";
    for (size_t i = 0; i < report->n_rows; i++) {
        const struct op_row *row = &report->rows[i];
        if (row->shape[0] && strcmp(row->shape, shape) != 0)
            (void)printf("shape  %s\n", row->shape);
        shape = row->shape[0] ? row->shape : shape;
        print_row(report, row);
    }
}

static size_t count(const struct op_report *report, enum op_verdict verdict)
{
    size_t n = 0;
    for (size_t i = 0; i < report->n_rows; i++) n += report->rows[i].verdict == verdict;
    return n;
}

/* Lines under one another, behind the names of the head. */
static void print_fact(const char *name, const char *fact)
{
    const int column = printf("%s ", name);
    report_text_wrap(stdout, fact, column > 0 ? (size_t)column : 0, 9);
}

void selftest_print_table(const struct op_report *report, const struct selftest_summary *summary)
{
    (void)printf("tested   %s\n", summary->backend);
    if (summary->why_cpu) print_fact("because  no device:", summary->why_cpu);
    (void)printf("against  %s\n", summary->oracle);
    print_fact("peaks   ", report->peaks_source);
    (void)printf("\n%-6s %-*s %-6s %7s %5s %7s %6s %6s %7s %6s\n", "", NAME_COLUMNS, "operation",
                 "type", "error", "limit", "us", "GB/s", "peak", "GFLOP/s", "peak");
    print_rows(report);
    (void)printf("\n%zu passed, %zu failed, %zu absent, %.1f s\n"
                 "error  largest difference, as a share of the largest value; 0: the same bits\n"
                 "us     of a call; GB/s and GFLOP/s as kernels/cuda/accounting.h counts CUDA's\n"
                 "       kernels; peak: the share of the device's that is, ?: its is unknown\n",
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
