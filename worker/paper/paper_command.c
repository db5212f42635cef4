#include "worker/paper/paper_command.h"

#include "common/file.h"
#include "kernels/plugin.h"
#include "worker/bench_synthetic.h"
#include "worker/paper/paper_measure.h"
#include "worker/paper/paper_options.h"
#include "worker/paper/paper_report.h"
#include "worker/paper/paper_shape.h"
#include "worker/temporary_directory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LAYERS = 12 };

/* One line or table of the report. */
struct wanted {
    const char *shape, *compute;
    enum paper_work work;
    size_t n_ctx;
};

static status_t make_plan(const struct paper_options *o, const struct wanted *wanted,
                          const struct model_config *config, struct paper_plan *out,
                          struct error *err)
{
    *out = (struct paper_plan){.work = wanted->work,
                               .config = config,
                               .hook = {HOOK_RESID_POST, config->n_layers - 1},
                               .n_rows = o->n_rows,
                               .n_ctx = wanted->n_ctx,
                               .n_features = o->n_features,
                               .k = o->k,
                               .candidates_per_token = o->candidates,
                               .fired_per_token = o->fired,
                               .tally_k = PAPER_TALLY_K,
                               .evidence_tokens_per_s = o->evidence};
    if (o->is_most_ctx && out->n_ctx > config->n_positions) out->n_ctx = config->n_positions;
    if (out->n_ctx > config->n_positions)
        return error_set(err, ST_BAD_INPUT, "--ctx %zu is over the model's %zu positions",
                         out->n_ctx, config->n_positions);
    status_t status = compute_parse(wanted->compute, &out->compute, err);
    if (status == ST_OK && o->hook) status = hook_point_parse(o->hook, config, &out->hook, err);
    return status;
}

/* What is measured: the device, and files for a shape without any. */
struct site {
    struct backend *backend; /* NULL: --dry-run */
    const struct device_peaks *peaks;
    struct temporary_directory made; /* of gpt2, once it is needed */
};

static status_t open_site(struct site *site, const struct paper_options *o, struct error *err)
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

/* What is measured: gpt2 is made up, with a vocabulary of its own. */
static status_t find_files(struct site *site, const char *shape, struct paper_measure *m,
                           char *names[2], struct error *err)
{
    m->model = shape;
    if (strcmp(shape, "gpt2-xl") == 0 || strcmp(shape, "llama-2-70b") == 0)
        return error_set(err, ST_BAD_INPUT,
                         "%s is a shape without weights: give its directory, or --dry-run", shape);
    if (strcmp(shape, "gpt2") != 0) return ST_OK;
    const status_t status = make_files(site, &names[0], &names[1], err);
    m->model = names[0];
    if (!m->dictionary) m->dictionary = names[1];
    return status;
}

static status_t measure(struct site *site, const struct paper_options *o,
                        const struct wanted *wanted, struct model_config *config,
                        struct paper_report *report, struct paper_plan *plan, struct error *err)
{
    char *names[2] = {NULL, NULL};
    struct paper_measure m = {.backend = site->backend,
                              .dictionary = o->dictionary,
                              .seconds = o->seconds,
                              .n_windows = o->n_windows};
    status_t status = find_files(site, wanted->shape, &m, names, err);
    if (status == ST_OK) status = model_config_read(config, m.model, err);
    if (status == ST_OK) status = paper_measure_run(&m, plan, &report->measured_tokens_per_s, err);
    free(names[0]);
    free(names[1]);
    return status;
}

static status_t report_one(struct site *site, const struct paper_options *o,
                           const struct wanted *wanted, struct error *err)
{
    struct model_config config;
    struct paper_plan plan;
    struct paper_counted counted = {.n_tokens = 0};
    struct paper_report report = {
        .model = wanted->shape, .plan = &plan, .counted = &counted, .peaks = site->peaks};
    if (site->backend) {
        report.measured_on = site->backend->ops->describe(site->backend);
        report.is_cpu = strcmp(site->backend->ops->name, "cpu") == 0;
    }
    struct error why = {0};
    status_t status = paper_shape_find(wanted->shape, &config, err);
    if (status == ST_OK) status = make_plan(o, wanted, &config, &plan, err);
    if (status == ST_OK && !o->is_dry)
        status = measure(site, o, wanted, &config, &report, &plan, err);
    if (status != ST_OK) return status;
    status = paper_count(&plan, site->peaks, &counted, &why);
    if (status == ST_NO_MEMORY)
        report.refusal = why.text;
    else if (status != ST_OK)
        return error_set(err, status, "%s", why.text);
    if (o->is_json) return paper_report_print_json(&report, err);
    paper_report_print_table(&report);
    return ST_OK;
}

/* Every number type and context of one model. */
static status_t report_shape(struct site *site, const struct paper_options *o,
                             struct wanted *wanted, struct error *err)
{
    status_t status = ST_OK;
    for (size_t w = 0; w < o->n_works && status == ST_OK; w++) {
        wanted->work = o->works[w];
        const struct paper_contexts contexts = paper_options_contexts(o, wanted->work);
        for (size_t i = 0; i < contexts.n && status == ST_OK; i++) {
            wanted->n_ctx = contexts.n_ctx[i];
            for (size_t c = 0; c < o->computes.n_items && status == ST_OK; c++) {
                wanted->compute = o->computes.items[c];
                status = report_one(site, o, wanted, err);
            }
        }
    }
    return status;
}

static status_t run(const struct paper_options *o, struct error *err)
{
    struct site site;
    status_t status = open_site(&site, o, err);
    for (size_t i = 0; i < o->shapes.n_items && status == ST_OK; i++) {
        struct wanted wanted = {.shape = o->shapes.items[i]};
        status = report_shape(&site, o, &wanted, err);
    }
    temporary_directory_remove(&site.made);
    backend_close(&site.backend);
    return status;
}

int paper_command(int argc, char **argv)
{
    struct paper_options o;
    struct error err = {0};
    bool is_help = false;
    status_t status = paper_options_read(&o, argc, argv, &is_help, &err);
    if (status == ST_OK && !is_help) status = run(&o, &err);
    if (status != ST_OK) (void)fprintf(stderr, "interp-worker --bench: %s\n", err.text);
    return status_exit_code(status);
}
