#include "worker/inspect_command.h"

#include "worker/arguments.h"
#include "worker/model/dictionary.h"
#include "worker/model/hook_point.h"
#include "worker/model/model.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct inspection {
    const char *directory, *dictionary_directory, *format, *compute_text;
    double norm_scaling_factor;
    bool is_json;
    struct backend *backend;
    struct model *model;
    struct dictionary *dictionary; /* NULL unless asked for */
};

static const char SUMMARY[] = "Show what a model (and a dictionary) is, without running it.";

static status_t read_options(struct inspection *in, int argc, char **argv, bool *is_help,
                             struct error *err)
{
    const struct argument table[] = {
        {.value = "MODEL", .help = "HF directory", .text = &in->directory, .is_required = true},
        {.name = "--dictionary",
         .value = "DIR",
         .help = "SAELens directory",
         .text = &in->dictionary_directory},
        {.name = "--norm-scaling-factor",
         .value = "X",
         .help = "for expected_average_only_in without a folded factor",
         .number = &in->norm_scaling_factor},
        {.name = "--compute",
         .value = "NAME",
         .help = "f32 (default), bf16x3 or bf16",
         .text = &in->compute_text},
        {.name = "-o", .value = "FORMAT", .help = "table (default) or json", .text = &in->format},
    };
    const size_t n = sizeof table / sizeof table[0];
    const status_t status = arguments_parse(table, n, argc, argv, is_help, err);
    if (*is_help) arguments_print_help("inspect MODEL", SUMMARY, table, n);
    if (status != ST_OK || *is_help) return status;
    in->is_json = in->format && strcmp(in->format, "json") == 0;
    if (in->format && !in->is_json && strcmp(in->format, "table") != 0)
        return error_set(err, ST_BAD_INPUT, "-o '%s' is not table or json", in->format);
    return ST_OK;
}

static status_t open_all(struct inspection *in, struct error *err)
{
    enum compute compute = COMPUTE_F32;
    status_t status = ST_OK;
    if (in->compute_text) status = compute_parse(in->compute_text, &compute, err);
    if (status == ST_OK) status = backend_open_cpu(&in->backend, err);
    const struct model_params model = {
        .directory = in->directory, .backend = in->backend, .compute = compute};
    if (status == ST_OK) status = model_open(&in->model, &model, err);
    if (status != ST_OK || !in->dictionary_directory) return status;
    const struct dictionary_params params = {.directory = in->dictionary_directory,
                                             .backend = in->backend,
                                             .norm_scaling_factor = in->norm_scaling_factor};
    return dictionary_open(&in->dictionary, &params, err);
}

static json_t *describe_shape(const struct model_config *c)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "n_layers",
                     (json_int_t)c->n_layers, "d_model", (json_int_t)c->d_model, "n_heads",
                     (json_int_t)c->n_heads, "n_kv_heads", (json_int_t)c->n_kv_heads, "d_head",
                     (json_int_t)c->d_head, "d_mlp", (json_int_t)c->d_mlp, "n_vocab",
                     (json_int_t)c->n_vocab, "n_positions", (json_int_t)c->n_positions);
}

static json_t *describe_hooks(const struct model_config *c)
{
    json_t *hooks = json_array();
    for (unsigned kind = 0; kind < HOOK_N_KINDS; kind++) {
        const bool has_layer = hook_kind_has_layer((enum hook_kind)kind);
        for (size_t layer = 0; layer < (has_layer ? c->n_layers : 1); layer++) {
            const struct hook_point hook = {.kind = (enum hook_kind)kind, .layer = layer};
            char name[HOOK_NAME_SIZE];
            if (!hook_kind_exists(hook.kind, c)) continue;
            (void)json_array_append_new(hooks,
                                        json_pack("{s:s, s:I}", "name", hook_point_name(hook, name),
                                                  "width", (json_int_t)hook_point_width(hook, c)));
        }
    }
    return hooks;
}

static json_t *describe_dictionary(const struct dictionary *d)
{
    const struct dictionary_config *c = dictionary_config(d);
    static const char *const NORMS[] = {"none", "expected_average_only_in", "constant_norm_rescale",
                                        "layer_norm"};
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:s, s:b, s:b, s:b, s:I, s:I}", "architecture",
                     dictionary_architecture_name(c->architecture), "hook_name", c->hook_name,
                     "model_name", c->model_name, "d_in", (json_int_t)c->d_in, "n_features",
                     (json_int_t)c->n_features, "k", (json_int_t)c->k, "normalize_activations",
                     NORMS[c->norm], "apply_b_dec_to_input", c->has_b_dec_in_input, "is_centred",
                     c->is_centred, "prepend_bos", c->prepend_bos, "context_size",
                     (json_int_t)c->context_size, "device_bytes",
                     (json_int_t)dictionary_device_bytes(d));
}

static status_t print_json(const struct inspection *in, struct error *err)
{
    const struct model_config *c = model_config(in->model);
    json_t *root = json_pack("{s:s, s:s, s:s, s:s, s:I, s:o, s:o}", "family", c->family->name,
                             "dtype", c->dtype, "backend", in->backend->ops->describe(in->backend),
                             "compute", compute_name(model_compute(in->model)), "device_bytes",
                             (json_int_t)model_device_bytes(in->model), "shape", describe_shape(c),
                             "hook_points", describe_hooks(c));
    if (root && in->dictionary)
        (void)json_object_set_new(root, "dictionary", describe_dictionary(in->dictionary));
    const int failed = !root || json_dumpf(root, stdout, JSON_INDENT(2) | JSON_SORT_KEYS) != 0;
    json_decref(root);
    (void)putchar('\n');
    return failed ? error_set(err, ST_IO, "writing JSON") : ST_OK;
}

static void print_dictionary(const struct dictionary *d)
{
    const struct dictionary_config *c = dictionary_config(d);
    (void)printf("\ndictionary   %s\n", dictionary_directory(d));
    (void)printf("  %-12s %s, %zu features, d_in %zu", "kind",
                 dictionary_architecture_name(c->architecture), c->n_features, c->d_in);
    if (c->k) (void)printf(", k %zu", c->k);
    (void)printf("\n  %-12s %s\n", "hook point", c->hook_name[0] ? c->hook_name : "(not said)");
    (void)printf("  %-12s %.1f MB\n", "memory", (double)dictionary_device_bytes(d) / 1e6);
}

static void print_table(const struct inspection *in)
{
    const struct model_config *c = model_config(in->model);
    (void)printf("model        %s\n", in->directory);
    (void)printf("  %-12s %s, %s activations of the MLP, %s\n", "family", c->family->name,
                 c->family->tensors.mlp_gate ? "gated" : "plain",
                 c->is_tied ? "tied head" : "head of its own");
    (void)printf("  %-12s %zu layers, d_model %zu, %zu heads (%zu key/value) x %zu, d_mlp %zu\n",
                 "shape", c->n_layers, c->d_model, c->n_heads, c->n_kv_heads, c->d_head, c->d_mlp);
    (void)printf("  %-12s %zu tokens, context %zu\n", "vocabulary", c->n_vocab, c->n_positions);
    (void)printf("  %-12s %s, compute %s, %.1f MB\n", "memory",
                 in->backend->ops->describe(in->backend), compute_name(model_compute(in->model)),
                 (double)model_device_bytes(in->model) / 1e6);
    (void)printf("  hook points  (L = 0..%zu)\n", c->n_layers - 1);
    for (unsigned kind = 0; kind < HOOK_N_KINDS; kind++) {
        const struct hook_point hook = {.kind = (enum hook_kind)kind, .layer = 0};
        char name[HOOK_NAME_SIZE];
        if (!hook_kind_exists(hook.kind, c)) continue;
        (void)hook_point_name(hook, name);
        if (hook_kind_has_layer(hook.kind)) name[strlen("blocks.")] = 'L';
        (void)printf("    %-34s %zu\n", name, hook_point_width(hook, c));
    }
    if (in->dictionary) print_dictionary(in->dictionary);
}

int inspect_command(int argc, char **argv)
{
    struct inspection in = {.directory = NULL};
    struct error err = {0};
    bool is_help;
    status_t status = read_options(&in, argc, argv, &is_help, &err);
    if (status == ST_OK && !is_help) status = open_all(&in, &err);
    if (status == ST_OK && !is_help) {
        if (in.is_json)
            status = print_json(&in, &err);
        else
            print_table(&in);
    }
    dictionary_close(&in.dictionary);
    model_close(&in.model);
    backend_close(&in.backend);
    if (status != ST_OK) (void)fprintf(stderr, "interp-worker inspect: %s\n", err.text);
    return status_exit_code(status);
}
