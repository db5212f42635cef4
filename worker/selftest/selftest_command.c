#include "worker/selftest/selftest_command.h"

#include "common/clock.h"
#include "kernels/device_peaks.h"
#include "kernels/plugin.h"
#include "kernels/selftest/op_selftest.h"
#include "worker/arguments.h"
#include "worker/bench_peak.h"
#include "worker/selftest/selftest_passes.h"
#include "worker/selftest/selftest_report.h"

#include <stdio.h>
#include <string.h>

static const char SUMMARY[] =
    "Every operation of a backend, passes of two models, an encode and an ablation, against the\n"
    "CPU (the CPU: against plain loops in double), with times and shares of the device's peaks.\n"
    "Exit code 1 if anything is outside its tolerance.";

struct options {
    const char *backend, *format;
    bool is_short, is_json;
};

static status_t read_options(struct options *o, int argc, char **argv, bool *is_help,
                             struct error *err)
{
    const struct argument table[] = {
        {.name = "--backend",
         .value = "NAME",
         .help = "cpu (default), cuda, cuda:N, auto or emu",
         .text = &o->backend},
        {.name = "-o", .value = "FORMAT", .help = "text (default) or json", .text = &o->format},
        {.name = "--short",
         .help = "operations alone, small and untimed: what a worker does as it loads a backend",
         .flag = &o->is_short},
    };
    const size_t n = sizeof table / sizeof table[0];
    const status_t status = arguments_parse(table, n, argc, argv, is_help, err);
    if (*is_help) arguments_print_help("--selftest", SUMMARY, table, n);
    if (status != ST_OK || *is_help) return status;
    o->is_json = o->format && strcmp(o->format, "json") == 0;
    if (o->format && !o->is_json && strcmp(o->format, "text") != 0)
        return error_set(err, ST_BAD_INPUT, "-o '%s' is not text or json", o->format);
    return ST_OK;
}

static status_t show(const struct options *o, const struct op_report *report,
                     const struct selftest_summary *summary, struct error *err)
{
    if (o->is_json) return selftest_print_json(report, summary, err);
    selftest_print_table(report, summary);
    return ST_OK;
}

/* What the rows are shares of. */
static void set_peaks(struct op_report *report, const struct backend *backend)
{
    const struct device_peaks *peaks = device_peaks_match(backend->ops->describe(backend));
    if (strcmp(backend->ops->name, "cpu") == 0) {
        report->flops_per_s[COMPUTE_F32] = bench_peak_flops();
        report->peaks_source = "f32: multiply-adds in registers of one core, measured now; "
                               "memory: unknown";
    }
    if (!peaks) return;
    report->peaks_source = peaks->source;
    report->bytes_per_s = peaks->bytes_per_s;
    for (unsigned compute = 0; compute < COMPUTE_N; compute++)
        report->flops_per_s[compute] = peaks->flops_per_s[math_unit_of((enum compute)compute)];
}

static status_t run(const struct options *o, struct op_report *report, struct error *err)
{
    const int64_t begin = clock_monotonic_ns(clock_system());
    const char *name = o->backend ? o->backend : backend_default_name();
    struct backend *backend = NULL, *oracle = NULL;
    struct error why_cpu = {0};
    status_t status = backend_open_untested(name, &backend, &why_cpu, err);
    if (status == ST_OK) status = op_selftest_oracle(backend, &oracle, err);
    if (status == ST_OK && !o->is_short) set_peaks(report, backend);
    if (status == ST_OK) {
        const enum op_size size = o->is_short ? OP_SHORT : op_selftest_size(backend);
        status = op_selftest_run(backend, oracle, size, report, err);
        if (status == ST_OK && !o->is_short) status = selftest_passes(backend, oracle, report, err);
    }
    if (status == ST_OK) {
        const struct selftest_summary summary = {
            .backend = backend->ops->describe(backend),
            .oracle = oracle->ops->describe(oracle),
            .why_cpu = why_cpu.status != ST_OK ? why_cpu.text : NULL,
            .seconds = (double)(clock_monotonic_ns(clock_system()) - begin) * 1e-9};
        status = show(o, report, &summary, err);
    }
    backend_close(&oracle);
    backend_close(&backend);
    return status;
}

int selftest_command(int argc, char **argv)
{
    struct options o = {.backend = NULL};
    struct op_report report = {.peaks_source = "unknown for this device"};
    struct error err = {0};
    bool is_help = false;
    status_t status = read_options(&o, argc, argv, &is_help, &err);
    if (status == ST_OK && !is_help) status = run(&o, &report, &err);
    const bool has_failed = op_report_failure(&report) != NULL;
    op_report_fini(&report);
    if (status != ST_OK) (void)fprintf(stderr, "interp-worker selftest: %s\n", err.text);
    return status != ST_OK ? status_exit_code(status) : has_failed;
}
