#include "worker/paper/paper_command.h"

#include "common/file.h"
#include "kernels/plugin.h"
#include "worker/arguments.h"
#include "worker/bench_synthetic.h"
#include "worker/paper/paper_measure.h"
#include "worker/paper/paper_report.h"
#include "worker/paper/paper_shape.h"
#include "worker/temporary_directory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char SUMMARY[] =
    "Bytes and operations of every kernel launch of a capture (pass to a hook point, encode), the\n"
    "least time that the device's data sheet allows for them, and tokens a second; without\n"
    "--dry-run also what the device at hand does. MODEL-SHAPE: gpt2, gpt2-xl, llama-2-70b, or an\n"
    "HF directory (with --dry-run its config.json is enough; to measure, gpt2 is made up).";

/* Candidates: performance.md 3b, a dictionary of 16,384 features of which 49 fire on a token. */
enum { ROWS = 8, MOST_CTX = 1024, FEATURES = 16384, LAYERS = 12, TALLY_K = 20 };
static const double CANDIDATES = 58, FIRED = 49;

struct options {
    struct argument_list shapes, computes;
    const char *device, *hook, *backend, *dictionary, *format;
    size_t n_rows, n_ctx, n_features, k, n_windows;
    double candidates, fired, seconds;
    bool is_dry, is_json;
};

static status_t read_options(struct options *o, int argc, char **argv, bool *is_help,
                             struct error *err)
{
    const struct argument table[] = {
        {.value = "MODEL-SHAPE", .help = "all three without one", .list = &o->shapes},
        {.name = "--dry-run", .help = "count only; needs no device", .flag = &o->is_dry},
        {.name = "--device",
         .value = "NAME",
         .help = "h100 (default of --dry-run), h100-pcie, h200, a100, a100-pcie",
         .text = &o->device},
        {.name = "--hook",
         .value = "NAME",
         .help = "hook_resid_pre or _post of a layer (the last layer's end)",
         .text = &o->hook},
        {.name = "--compute",
         .value = "NAME",
         .help = "f32, bf16x3, bf16, tf32",
         .list = &o->computes},
        {.name = "--rows", .value = "N", .help = "rows of a batch (8)", .count = &o->n_rows},
        {.name = "--ctx", .value = "N", .help = "tokens of a row (1024)", .count = &o->n_ctx},
        {.name = "--features",
         .value = "N",
         .help = "of the dictionary (16384)",
         .count = &o->n_features},
        {.name = "--topk", .value = "N", .help = "of a topk dictionary", .count = &o->k},
        {.name = "--candidates",
         .value = "X",
         .help = "a token, that the encode computes exactly (58)",
         .number = &o->candidates},
        {.name = "--fired",
         .value = "X",
         .help = "a token, of the candidates (49, or all if they are fewer)",
         .number = &o->fired},
        {.name = "--backend",
         .value = "NAME",
         .help = "measured: cpu (default), cuda, cuda:N, auto or emu",
         .text = &o->backend},
        {.name = "--dictionary",
         .value = "DIR",
         .help = "measured with an HF directory: SAELens directory",
         .text = &o->dictionary},
        {.name = "--seconds", .value = "S", .help = "of one window (1)", .number = &o->seconds},
        {.name = "--windows",
         .value = "N",
         .help = "of which the best counts (3)",
         .count = &o->n_windows},
        {.name = "-o", .value = "FORMAT", .help = "text (default) or json", .text = &o->format},
    };
    const size_t n = sizeof table / sizeof table[0];
    const status_t status = arguments_parse(table, n, argc, argv, is_help, err);
    if (*is_help) arguments_print_help("--bench", SUMMARY, table, n);
    if (status != ST_OK || *is_help) return status;
    o->is_json = o->format && strcmp(o->format, "json") == 0;
    if (o->format && !o->is_json && strcmp(o->format, "text") != 0)
        return error_set(err, ST_BAD_INPUT, "-o '%s' is not text or json", o->format);
    if (!(o->candidates >= 0))
        return error_set(err, ST_BAD_INPUT, "--candidates %g is below 0", o->candidates);
    if (isnan(o->fired)) o->fired = fmin(FIRED, o->candidates);
    if (!(o->fired >= 0 && o->fired <= o->candidates))
        return error_set(err, ST_BAD_INPUT, "--fired %g is not 0 .. %g, the candidates", o->fired,
                         o->candidates);
    return ST_OK;
}

static void fill_defaults(struct options *o)
{
    static const char *const SHAPES[] = {"gpt2", "gpt2-xl", "llama-2-70b"};
    static const char *const COMPUTES[] = {"f32", "bf16x3", "bf16"};
    for (size_t i = 0; !o->shapes.n_items && i < 3; i++) o->shapes.items[i] = SHAPES[i];
    if (!o->shapes.n_items) o->shapes.n_items = o->is_dry ? 3 : 1;
    for (size_t i = 0; !o->computes.n_items && i < 3; i++) o->computes.items[i] = COMPUTES[i];
    if (!o->computes.n_items) o->computes.n_items = 3;
}

static status_t make_plan(const struct options *o, const struct model_config *config,
                          const char *compute, struct paper_plan *out, struct error *err)
{
    *out = (struct paper_plan){.config = config,
                               .hook = {HOOK_RESID_POST, config->n_layers - 1},
                               .n_rows = o->n_rows,
                               .n_ctx = o->n_ctx,
                               .n_features = o->n_features,
                               .k = o->k,
                               .candidates_per_token = o->candidates,
                               .fired_per_token = o->fired,
                               .tally_k = TALLY_K};
    if (!out->n_ctx) out->n_ctx = config->n_positions < MOST_CTX ? config->n_positions : MOST_CTX;
    if (out->n_ctx > config->n_positions)
        return error_set(err, ST_BAD_INPUT, "--ctx %zu is over the model's %zu positions",
                         out->n_ctx, config->n_positions);
    status_t status = compute_parse(compute, &out->compute, err);
    if (status == ST_OK && o->hook) status = hook_point_parse(o->hook, config, &out->hook, err);
    return status;
}

/* What is measured: the device, and files for a shape without any. */
struct site {
    struct backend *backend; /* NULL: --dry-run */
    const struct device_peaks *peaks;
    struct temporary_directory made; /* of gpt2, once it is needed */
};

static status_t open_site(struct site *site, const struct options *o, struct error *err)
{
    status_t status = ST_OK;
    *site = (struct site){.backend = NULL};
    if (!o->is_dry)
        status =
            backend_open(o->backend ? o->backend : backend_default_name(), &site->backend, err);
    if (status != ST_OK) return status;
    if (o->device || o->is_dry)
        return device_peaks_find(o->device ? o->device : "h100", &site->peaks, err);
    site->peaks = device_peaks_match(site->backend->ops->describe(site->backend));
    return ST_OK;
}

/* GPT-2 small's layers and a dictionary for it, made up, in a directory that goes again. */
static status_t make_files(struct site *site, char **model, char **dictionary, struct error *err)
{
    const bool is_made = site->made.path[0] != '\0';
    status_t status = is_made ? ST_OK : temporary_directory_make(&site->made, err);
    if (status != ST_OK) return status;
    *model = file_join(site->made.path, "model");
    *dictionary = file_join(site->made.path, "dictionary");
    if (!*model || !*dictionary) return error_set(err, ST_NO_MEMORY, "paths");
    if (is_made) return ST_OK;
    status = bench_write_model(*model, LAYERS, BENCH_VOCAB, err);
    return status == ST_OK ? bench_write_dictionary(*dictionary, 1, err) : status;
}

static status_t measure(struct site *site, const struct options *o, const char *shape,
                        struct paper_plan *plan, double *tokens_per_s, struct error *err)
{
    char *model = NULL, *dictionary = NULL;
    struct paper_measure m = {.backend = site->backend,
                              .model = shape,
                              .dictionary = o->dictionary,
                              .seconds = o->seconds,
                              .n_windows = o->n_windows};
    status_t status = ST_OK;
    if (strcmp(shape, "gpt2") == 0) {
        status = make_files(site, &model, &dictionary, err);
        m.model = model;
        if (!m.dictionary) m.dictionary = dictionary;
    } else if (strcmp(shape, "gpt2-xl") == 0 || strcmp(shape, "llama-2-70b") == 0) {
        status =
            error_set(err, ST_BAD_INPUT,
                      "%s is a shape without weights: give its directory, or --dry-run", shape);
    }
    if (status == ST_OK) status = paper_measure_run(&m, plan, tokens_per_s, err);
    free(model);
    free(dictionary);
    return status;
}

static status_t report_one(struct site *site, const struct options *o, const char *shape,
                           const char *compute, struct error *err)
{
    struct model_config config;
    struct paper_plan plan;
    struct launch_costs costs = {0};
    struct paper_report report = {
        .model = shape, .plan = &plan, .costs = &costs, .peaks = site->peaks};
    status_t status = paper_shape_find(shape, &config, err);
    if (status == ST_OK) status = make_plan(o, &config, compute, &plan, err);
    if (status == ST_OK && !o->is_dry)
        status = measure(site, o, shape, &plan, &report.measured_tokens_per_s, err);
    if (status == ST_OK) status = paper_plan_forward(&plan, &costs, err);
    if (status != ST_OK) return status;
    paper_plan_encode(&plan, &costs);
    if (o->is_json) return paper_report_print_json(&report, err);
    paper_report_print_table(&report);
    return ST_OK;
}

static status_t run(const struct options *o, struct error *err)
{
    struct site site;
    status_t status = open_site(&site, o, err);
    for (size_t i = 0; i < o->shapes.n_items && status == ST_OK; i++) {
        for (size_t c = 0; c < o->computes.n_items && status == ST_OK; c++)
            status = report_one(&site, o, o->shapes.items[i], o->computes.items[c], err);
    }
    temporary_directory_remove(&site.made);
    backend_close(&site.backend);
    return status;
}

int paper_command(int argc, char **argv)
{
    struct options o = {.n_rows = ROWS,
                        .n_features = FEATURES,
                        .candidates = CANDIDATES,
                        .fired = NAN, /* not given */
                        .n_windows = 3,
                        .seconds = 1};
    struct error err = {0};
    bool is_help = false;
    status_t status = read_options(&o, argc, argv, &is_help, &err);
    if (status == ST_OK && !is_help) {
        fill_defaults(&o);
        status = run(&o, &err);
    }
    if (status != ST_OK) (void)fprintf(stderr, "interp-worker --bench: %s\n", err.text);
    return status_exit_code(status);
}
