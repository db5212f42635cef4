#include "worker/inspect_command.h"

#include "kernels/cpu/system_memory.h"
#include "worker/arguments.h"
#include "worker/device.h"
#include "worker/model/dictionary.h"
#include "worker/model/hook_point.h"
#include "worker/model/memory_plan.h"
#include "worker/model/model.h"
#include "worker/report_text.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct inspection {
    const char *directory, *format, *compute_text;
    struct argument_list directories; /* of dictionaries */
    struct device_options device;
    double norm_scaling_factor;
    size_t n_ctx;
    bool is_json;
    struct backend *backend;
    struct memory_needs needs;
    struct memory_plan plan;
    struct model *model;
    struct dictionary *dictionaries[ARGUMENTS_MAX_LIST];
    size_t n_dictionaries;
};

static const char SUMMARY[] = "Show what a model (and a dictionary) is, without running it.";

static status_t read_options(struct inspection *in, int argc, char **argv, bool *is_help,
                             struct error *err)
{
    const struct argument table[] = {
        {.value = "MODEL", .help = "HF directory", .text = &in->directory, .is_required = true},
        {.name = "--dictionary",
         .value = "DIR",
         .help = "SAELens directory; all that one task will read, for the plan",
         .list = &in->directories},
        {.name = "--norm-scaling-factor",
         .value = "X",
         .help = "for expected_average_only_in without a folded factor",
         .number = &in->norm_scaling_factor},
        {.name = "--compute",
         .value = "NAME",
         .help = "f32 (default), bf16x3, bf16 or tf32",
         .text = &in->compute_text},
        {.name = "--backend",
         .value = "NAME",
         .help = "the device it is planned for: cpu (default), cuda, cuda:N, cuda:UUID, auto, emu",
         .text = &in->device.backend},
        {.name = "--device-memory",
         .value = "SIZE",
         .help = "as if the device had no more: bytes, or 6GiB, 512MiB",
         .text = &in->device.memory},
        {.name = "--ctx",
         .value = "N",
         .help = "tokens of a sequence that is planned for (128)",
         .count = &in->n_ctx},
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

/* What a task that reads these dictionaries would have planned. */
static status_t make_plan(struct inspection *in, enum compute compute, struct error *err)
{
    struct model_config config;
    const status_t status = model_config_read(&config, in->directory, err);
    const struct memory_plan_params params = {.config = &config,
                                              .backend = in->backend,
                                              .compute = compute,
                                              .needs = &in->needs,
                                              .host = system_memory("")};
    return status == ST_OK ? memory_plan_make(&in->plan, &params, err) : status;
}

/* The device, and the CPU instead where "auto" allows it and the model does not fit. */
static status_t open_device(struct inspection *in, enum compute compute, struct error *err)
{
    struct device_notes notes;
    struct error too_small = {0};
    status_t status = device_open(&in->backend, &in->device, &notes, err);
    if (status != ST_OK) return status;
    if (notes.why_cpu.status != ST_OK)
        (void)fprintf(stderr, "interp-worker inspect: on the CPU: %s\n", notes.why_cpu.text);
    status = make_plan(in, compute, err);
    if (status != ST_OK || memory_plan_check(&in->plan, in->backend, &too_small) == ST_OK)
        return status;
    (void)error_wrap(&too_small, "model %s", in->directory);
    const bool is_auto = in->device.backend && strcmp(in->device.backend, "auto") == 0;
    if (!is_auto || strcmp(in->backend->ops->name, "cpu") == 0)
        return error_set(err, too_small.status, "%s", too_small.text);
    (void)fprintf(stderr, "interp-worker inspect: on the CPU: %s\n", too_small.text);
    device_close(&in->backend, &notes);
    status = backend_open_cpu(&in->backend, err);
    return status == ST_OK ? make_plan(in, compute, err) : status;
}

static status_t open_all(struct inspection *in, struct error *err)
{
    enum compute compute = COMPUTE_F32;
    status_t status = ST_OK;
    if (in->compute_text) status = compute_parse(in->compute_text, &compute, err);
    in->needs.n_ctx = in->n_ctx;
    for (size_t i = 0; i < in->directories.n_items && status == ST_OK; i++)
        status =
            memory_needs_add(&in->needs, in->directories.items[i], in->norm_scaling_factor, err);
    if (status == ST_OK) status = open_device(in, compute, err);
    const struct model_params model = {.directory = in->directory,
                                       .backend = in->backend,
                                       .compute = compute,
                                       .needs = &in->needs};
    if (status == ST_OK) status = model_open(&in->model, &model, err);
    if (status == ST_OK) in->plan = *model_plan(in->model);
    for (size_t i = 0; i < in->directories.n_items && status == ST_OK; i++) {
        const struct dictionary_params params = {.directory = in->directories.items[i],
                                                 .backend = in->backend,
                                                 .norm_scaling_factor = in->norm_scaling_factor};
        status = dictionary_open(&in->dictionaries[in->n_dictionaries], &params, err);
        in->n_dictionaries += status == ST_OK;
    }
    return status;
}

static json_t *describe_plan(const struct memory_plan *p)
{
    const struct {
        const char *key;
        size_t n;
    } NUMBERS[] = {{"free_bytes", p->memory.n_free},
                   {"total_bytes", p->memory.n_total},
                   {"table_bytes", p->n_tables},
                   {"head_bytes", p->n_head},
                   {"n_layers", p->n_layers},
                   {"layer_bytes", p->n_layer},
                   {"adjoint_bytes", p->n_adjoint},
                   {"n_dictionaries", p->n_dictionaries},
                   {"dictionary_bytes", p->n_dictionary},
                   {"n_threads", p->n_threads},
                   {"scratch_bytes", p->n_scratch},
                   {"comparison_bytes", p->n_compare},
                   {"clean_pass_bytes", p->n_clean},
                   {"resident_bytes", p->n_resident},
                   {"host_bytes", p->n_host},
                   {"sequence_tokens", p->n_ctx},
                   {"sequence_bytes", p->n_sequence},
                   {"smallest_pass_bytes", p->n_smallest},
                   {"prompt_cache_bytes", p->n_cache},
                   {"n_sequences", p->n_fitting}};
    json_t *out = json_pack("{s:b}", "is_streamed", p->is_streamed);
    for (size_t i = 0; out && i < sizeof NUMBERS / sizeof NUMBERS[0]; i++)
        (void)json_object_set_new(out, NUMBERS[i].key, json_integer((json_int_t)NUMBERS[i].n));
    return out;
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
    json_t *root = json_pack("{s:s, s:s, s:s, s:s, s:I, s:o, s:o, s:o}", "family", c->family->name,
                             "dtype", c->dtype, "backend", in->backend->ops->describe(in->backend),
                             "compute", compute_name(model_compute(in->model)), "device_bytes",
                             (json_int_t)model_device_bytes(in->model), "shape", describe_shape(c),
                             "hook_points", describe_hooks(c), "plan", describe_plan(&in->plan));
    json_t *list = json_array();
    for (size_t i = 0; i < in->n_dictionaries; i++)
        (void)json_array_append_new(list, describe_dictionary(in->dictionaries[i]));
    if (root && in->n_dictionaries == 1)
        (void)json_object_set(root, "dictionary", json_array_get(list, 0));
    if (root && in->n_dictionaries > 1) (void)json_object_set(root, "dictionaries", list);
    json_decref(list);
    const int failed = !root || json_dumpf(root, stdout, JSON_INDENT(2) | JSON_SORT_KEYS) != 0;
    json_decref(root);
    (void)putchar('\n');
    return failed ? error_set(err, ST_IO, "writing JSON") : ST_OK;
}

static void print_dictionary(const struct dictionary *d)
{
    char memory[REPORT_NUMBER_SIZE];
    const struct dictionary_config *c = dictionary_config(d);
    (void)printf("\ndictionary   %s\n", dictionary_directory(d));
    (void)printf("  %-12s %s, %zu features, d_in %zu", "kind",
                 dictionary_architecture_name(c->architecture), c->n_features, c->d_in);
    if (c->k) (void)printf(", k %zu", c->k);
    (void)printf("\n  %-12s %s\n", "hook point", c->hook_name[0] ? c->hook_name : "(not said)");
    (void)printf("  %-12s %s\n", "memory",
                 report_text_memory((double)dictionary_device_bytes(d), memory));
}

static void print_plan(const struct memory_plan *p)
{
    char n[2][REPORT_NUMBER_SIZE];
    (void)printf("  %-12s %s of %s free\n", "device",
                 report_text_memory((double)p->memory.n_free, n[0]),
                 report_text_memory((double)p->memory.n_total, n[1]));
    (void)printf("  %-12s %s: tables %s, head %s,\n", "plan",
                 p->is_streamed ? "layers streamed" : "all layers there",
                 report_text_memory((double)p->n_tables, n[0]),
                 report_text_memory((double)p->n_head, n[1]));
    (void)printf("  %-12s %zu layers of %s, derivatives' %s,\n", "", p->n_layers,
                 report_text_memory((double)p->n_layer, n[0]),
                 report_text_memory((double)p->n_adjoint, n[1]));
    (void)printf("  %-12s dictionaries (%zu) %s, %s resident in all\n", "", p->n_dictionaries,
                 report_text_memory((double)p->n_dictionary, n[0]),
                 report_text_memory((double)p->n_resident, n[1]));
    (void)printf("  %-12s run threads: %zu, each: scratch %s,\n", "", p->n_threads,
                 report_text_memory((double)p->n_scratch, n[0]));
    (void)printf("  %-12s comparisons %s, clean pass %s\n", "",
                 report_text_memory((double)p->n_compare, n[0]),
                 report_text_memory((double)p->n_clean, n[1]));
    (void)printf("  %-12s passes: %zu sequences at once, %s for %zu tokens,\n", "", p->n_fitting,
                 report_text_memory((double)p->n_sequence, n[0]), p->n_ctx);
    (void)printf("  %-12s at least %s; an ablation keeps %s of a prompt\n", "",
                 report_text_memory((double)p->n_smallest, n[0]),
                 report_text_memory((double)p->n_cache, n[1]));
    if (p->is_streamed)
        (void)printf("  %-12s %s of weights in the host's pinned memory\n", "",
                     report_text_memory((double)p->n_host, n[0]));
}

static void print_table(const struct inspection *in)
{
    const struct model_config *c = model_config(in->model);
    char memory[REPORT_NUMBER_SIZE];
    (void)printf("model        %s\n", in->directory);
    (void)printf("  %-12s %s, %s activations of the MLP, %s\n", "family", c->family->name,
                 c->family->tensors.mlp_gate ? "gated" : "plain",
                 c->is_tied ? "tied head" : "head of its own");
    (void)printf("  %-12s %zu layers, d_model %zu, %zu heads (%zu key/value) x %zu, d_mlp %zu\n",
                 "shape", c->n_layers, c->d_model, c->n_heads, c->n_kv_heads, c->d_head, c->d_mlp);
    (void)printf("  %-12s %zu tokens, context %zu\n", "vocabulary", c->n_vocab, c->n_positions);
    (void)printf("  %-12s %s, compute %s, %s\n", "memory", in->backend->ops->describe(in->backend),
                 compute_name(model_compute(in->model)),
                 report_text_memory((double)model_device_bytes(in->model), memory));
    print_plan(&in->plan);
    (void)printf("  hook points  (L = 0..%zu)\n", c->n_layers - 1);
    for (unsigned kind = 0; kind < HOOK_N_KINDS; kind++) {
        const struct hook_point hook = {.kind = (enum hook_kind)kind, .layer = 0};
        char name[HOOK_NAME_SIZE];
        if (!hook_kind_exists(hook.kind, c)) continue;
        (void)hook_point_name(hook, name);
        if (hook_kind_has_layer(hook.kind)) name[strlen("blocks.")] = 'L';
        (void)printf("    %-34s %zu\n", name, hook_point_width(hook, c));
    }
    for (size_t i = 0; i < in->n_dictionaries; i++) print_dictionary(in->dictionaries[i]);
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
    for (size_t i = 0; i < in.n_dictionaries; i++) dictionary_close(&in.dictionaries[i]);
    model_close(&in.model);
    backend_close(&in.backend);
    if (status != ST_OK) (void)fprintf(stderr, "interp-worker inspect: %s\n", err.text);
    return status_exit_code(status);
}
