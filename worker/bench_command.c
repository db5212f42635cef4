#include "worker/bench_command.h"

#include "kernels/plugin.h"
#include "worker/bench.h"
#include "worker/bench_clock.h"
#include "worker/bench_peak.h"
#include "worker/bench_synthetic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEFAULT_ROWS = 8,
    DEFAULT_CTX = 128,
    MAKE_LAYERS = 12,
    MAKE_TOKENS = 4096,
    BENCH_MAX_UNITS = 4096
};

static const char SUMMARY[] = "Measure forward pass and encode on this machine; prints JSON lines.";

/* Made of nothing, so it needs no model. */
static bool is_evidence(const struct bench_options *o)
{
    return o->what && strcmp(o->what, "evidence") == 0;
}

static status_t parse(struct bench_options *o, int argc, char **argv, bool *is_help,
                      struct error *err)
{
    const struct argument table[] = {
        {.name = "--make",
         .value = "DIR",
         .help = "write DIR/model and DIR/dictionary (synthetic) and stop",
         .text = &o->make},
        {.name = "--vocab",
         .value = "N",
         .help = "tokens of the model that --make writes (4096)",
         .count = &o->n_vocab},
        {.name = "--model", .value = "DIR", .help = "HF directory", .text = &o->model},
        {.name = "--dictionary",
         .value = "DIR",
         .help = "SAELens directory",
         .text = &o->dictionary},
        {.name = "--activations",
         .value = "FILE",
         .help = "encode its x [tokens, d_in], not the model's",
         .text = &o->activations},
        {.name = "--norm-scaling-factor",
         .value = "X",
         .help = "of the dictionary",
         .number = &o->norm_scaling_factor},
        {.name = "--hook",
         .value = "NAME",
         .help = "where the forward pass stops (the dictionary's hook, or the last layer's end)",
         .text = &o->hook},
        {.name = "--what",
         .value = "WHAT",
         .help = "forward, encode, all (both, the default), ablate, attribute or evidence",
         .text = &o->what},
        {.name = "--compute",
         .value = "NAME",
         .help = "f32, bf16x3, bf16, tf32",
         .list = &o->computes},
        {.name = "--backend",
         .value = "NAME",
         .help = "cpu (default), cuda, cuda:N, auto or emu",
         .text = &o->backend},
        {.name = "--screen",
         .value = "NAME",
         .help = "auto, int8, bf16, f32, none",
         .list = &o->screens},
        {.name = "--threads", .value = "N", .help = "1 and 2 by default", .list = &o->threads},
        {.name = "--rows", .value = "N", .help = "rows of a batch (8)", .count = &o->n_rows},
        {.name = "--ctx", .value = "N", .help = "tokens of a row (128)", .count = &o->n_ctx},
        {.name = "--units",
         .value = "N",
         .help = "units of the sweep that --what evidence plays (100)",
         .count = &o->n_units},
        {.name = "--seconds", .value = "S", .help = "of one window (1)", .number = &o->seconds},
        {.name = "--windows",
         .value = "N",
         .help = "windows of each figure (3)",
         .count = &o->n_windows},
    };
    const size_t n = sizeof table / sizeof table[0];
    const status_t status = arguments_parse(table, n, argc, argv, is_help, err);
    if (*is_help) arguments_print_help("bench", SUMMARY, table, n);
    return status;
}

static status_t check_what(const struct bench_options *o, struct error *err)
{
    static const char *const to_hook[] = {"all", "forward", "encode"};
    static const char *const whole[] = {"ablate", "attribute", "evidence"};
    for (size_t i = 0; i < 3; i++)
        if (!o->what || strcmp(o->what, to_hook[i]) == 0) return ST_OK;
    for (size_t i = 0; i < 3; i++)
        if (strcmp(o->what, whole[i]) == 0)
            return o->hook
                       ? error_set(err, ST_BAD_INPUT,
                                   "--hook is where forward and encode stop: --what %s has none",
                                   o->what)
                       : ST_OK;
    return error_set(err, ST_BAD_INPUT,
                     "--what '%s' is none of forward, encode, all, ablate, attribute and evidence",
                     o->what);
}

static status_t read_options(struct bench_options *o, int argc, char **argv, bool *is_help,
                             struct error *err)
{
    *o = (struct bench_options){.n_rows = DEFAULT_ROWS,
                                .n_ctx = DEFAULT_CTX,
                                .n_windows = 3,
                                .n_units = 100,
                                .n_vocab = BENCH_VOCAB,
                                .seconds = 1};
    const status_t status = parse(o, argc, argv, is_help, err);
    if (status != ST_OK || *is_help) return status;
    if (!o->make && !o->model && !o->activations && !is_evidence(o))
        return error_set(err, ST_BAD_INPUT, "give --model or --activations (or --make)");
    const status_t known = check_what(o, err);
    if (known != ST_OK) return known;
    if (o->n_units == 0 || o->n_units > BENCH_MAX_UNITS)
        return error_set(err, ST_BAD_INPUT, "--units %zu is not 1..%d", o->n_units,
                         BENCH_MAX_UNITS);
    if (o->activations && !o->dictionary)
        return error_set(err, ST_BAD_INPUT, "--activations needs --dictionary");
    return ST_OK;
}

static void default_list(struct argument_list *list, const char *first, const char *second,
                         const char *third)
{
    const char *const all[] = {first, second, third};
    for (size_t i = 0; !list->n_items && i < 3 && all[i]; i++) list->items[i] = all[i];
    for (size_t i = 0; !list->n_items && i < 3; i++) {
        if (i == 2 || !all[i + 1]) list->n_items = i + 1;
    }
}

bool bench_is_wanted(const struct bench_options *o, const char *what)
{
    return !o->what || strcmp(o->what, "all") == 0 || strcmp(o->what, what) == 0;
}

void bench_print_line(json_t *line)
{
    (void)json_dumpf(line, stdout, JSON_COMPACT);
    (void)putchar('\n');
    (void)fflush(stdout);
    json_decref(line);
}

status_t bench_parse_threads(const char *text, size_t *out, struct error *err)
{
    char *end;
    const unsigned long n = strtoul(text, &end, 10);
    if (*end || !n || n > BENCH_MAX_THREADS)
        return error_set(err, ST_BAD_INPUT, "--threads '%s' is not 1..%d", text, BENCH_MAX_THREADS);
    *out = n;
    return ST_OK;
}

status_t bench_each_threads(struct bench *b, bench_threads_fn *report, struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < b->options.threads.n_items && status == ST_OK; i++) {
        size_t n_threads = 0;
        status = bench_parse_threads(b->options.threads.items[i], &n_threads, err);
        if (status == ST_OK) status = report(b, n_threads, err);
    }
    return status;
}

static status_t make_files(const char *directory, size_t n_vocab, struct error *err)
{
    char path[4096];
    if (snprintf(path, sizeof path, "%s/model", directory) >= (int)sizeof path)
        return error_set(err, ST_TOO_LARGE, "%s", directory);
    status_t status = bench_write_model(path, MAKE_LAYERS, n_vocab, err);
    if (status != ST_OK) return status;
    (void)snprintf(path, sizeof path, "%s/dictionary", directory);
    return bench_write_dictionary(path, MAKE_TOKENS, err);
}

static status_t run_all(struct bench *b, struct error *err)
{
    struct bench_options *o = &b->options;
    if (is_evidence(o)) return bench_evidence(b, err);
    default_list(&o->computes, "f32", "bf16x3", "bf16");
    default_list(&o->screens, "auto", "none", NULL);
    default_list(&o->threads, "1", "2", NULL);
    status_t status =
        backend_open(o->backend ? o->backend : backend_default_name(), &b->backend, err);
    if (status != ST_OK) return status;
    b->peak_flops = bench_peak_flops();
    bench_print_line(json_pack("{s:s, s:s, s:f}", "what", "machine", "backend",
                               b->backend->ops->describe(b->backend), "fma_peak_gflops",
                               b->peak_flops / 1e9));
    const struct dictionary_params params = {.directory = o->dictionary,
                                             .backend = b->backend,
                                             .norm_scaling_factor = o->norm_scaling_factor};
    if (o->dictionary) status = dictionary_open(&b->dictionary, &params, err);
    if (status == ST_OK && o->activations) status = bench_read_activations(b, err);
    if (status == ST_OK && o->model) status = bench_forward(b, err);
    if (status == ST_OK && b->acts && bench_is_wanted(o, "encode")) status = bench_encode(b, err);
    return status;
}

int bench_command(int argc, char **argv)
{
    struct bench bench = {.backend = NULL};
    struct error err = {0};
    bool is_help;
    status_t status = read_options(&bench.options, argc, argv, &is_help, &err);
    if (status == ST_OK && !is_help)
        status = bench.options.make ? make_files(bench.options.make, bench.options.n_vocab, &err)
                                    : run_all(&bench, &err);
    free(bench.tokens);
    free(bench.lengths);
    free(bench.acts);
    dictionary_close(&bench.dictionary);
    model_close(&bench.model);
    backend_close(&bench.backend);
    if (status != ST_OK) (void)fprintf(stderr, "interp-worker bench: %s\n", err.text);
    return status_exit_code(status);
}
