#include "worker/activations_command.h"

#include "common/size.h"
#include "worker/arguments.h"
#include "worker/device.h"
#include "worker/model/encoder.h"
#include "worker/model/forward.h"
#include "worker/model/safetensors_writer.h"
#include "worker/model/tokenizer.h"
#include "worker/token_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH_TOKENS = 2048, MAX_OUTPUTS = ARGUMENTS_MAX_LIST + 3 };

struct options {
    const char *directory, *dictionary, *text, *tokens, *out, *compute;
    struct device_options device;
    struct argument_list hooks;
    size_t max_ctx;
    double norm_scaling_factor;
};

struct run {
    struct options options;
    struct backend *backend;
    struct model *model;
    struct dictionary *dictionary;
    struct token_rows rows;
    struct forward *forward;
    struct encoder *encoder;
    struct safetensors_writer *writer;
    struct hook_point hooks[ARGUMENTS_MAX_LIST + 1]; /* asked for, then the dictionary's own */
    size_t n_outputs, n_hooks; /* n_outputs: hooks written; n_hooks: hooks run */
    size_t dictionary_hook;    /* its place in `hooks` */
    size_t batch_rows;
    float *dense; /* [n_ctx, n_features]: one row's activations on their way out */
};

static const char SUMMARY[] = "Write activations of a text or of token ids to a safetensors file.";

static status_t read_options(struct options *o, int argc, char **argv, bool *is_help,
                             struct error *err)
{
    const struct argument table[] = {
        {.value = "MODEL", .help = "HF directory", .text = &o->directory, .is_required = true},
        {.name = "--hook",
         .value = "NAME",
         .help = "hook points; logits is one",
         .list = &o->hooks},
        {.name = "--dictionary",
         .value = "DIR",
         .help = "also write its feature_acts",
         .text = &o->dictionary},
        {.name = "--norm-scaling-factor",
         .value = "X",
         .help = "for expected_average_only_in without a folded factor",
         .number = &o->norm_scaling_factor},
        {.name = "--text", .value = "FILE", .help = "one document", .text = &o->text},
        {.name = "--tokens",
         .value = "FILE",
         .help = "one {\"tokens\": [ids]} a line",
         .text = &o->tokens},
        {.name = "--ctx",
         .value = "N",
         .help = "tokens of a row of --text (the model's most)",
         .count = &o->max_ctx},
        {.name = "--compute",
         .value = "NAME",
         .help = "f32 (default), bf16x3, bf16 or tf32",
         .text = &o->compute},
        {.name = "--backend",
         .value = "NAME",
         .help = "cpu (default), cuda, cuda:N, cuda:UUID, auto or emu",
         .text = &o->device.backend},
        {.name = "--device-memory",
         .value = "SIZE",
         .help = "as if the device had no more: bytes, or 6GiB, 512MiB",
         .text = &o->device.memory},
        {.name = "-o",
         .value = "FILE",
         .help = "the safetensors file to write",
         .text = &o->out,
         .is_required = true},
    };
    const size_t n = sizeof table / sizeof table[0];
    const status_t status = arguments_parse(table, n, argc, argv, is_help, err);
    if (*is_help) arguments_print_help("activations MODEL", SUMMARY, table, n);
    if (status != ST_OK || *is_help) return status;
    if (!o->text == !o->tokens)
        return error_set(err, ST_BAD_INPUT, "give either --text or --tokens");
    if (!o->hooks.n_items && !o->dictionary)
        return error_set(err, ST_BAD_INPUT, "give --hook or --dictionary");
    return ST_OK;
}

static status_t open_model(struct run *run, struct error *err)
{
    const struct options *o = &run->options;
    enum compute compute = COMPUTE_F32;
    struct device_notes notes;
    struct memory_needs needs = {.n_ctx = o->max_ctx};
    status_t status = o->compute ? compute_parse(o->compute, &compute, err) : ST_OK;
    if (status == ST_OK) status = device_open(&run->backend, &o->device, &notes, err);
    if (status == ST_OK && o->dictionary)
        status = memory_needs_add(&needs, o->dictionary, o->norm_scaling_factor, err);
    const struct model_params model = {
        .directory = o->directory, .backend = run->backend, .compute = compute, .needs = &needs};
    if (status == ST_OK) status = model_open(&run->model, &model, err);
    if (status != ST_OK || !o->dictionary) return status;
    const struct dictionary_params params = {.directory = o->dictionary,
                                             .backend = run->backend,
                                             .norm_scaling_factor = o->norm_scaling_factor};
    return dictionary_open(&run->dictionary, &params, err);
}

static status_t read_rows(struct run *run, struct error *err)
{
    const struct options *o = &run->options;
    const struct model_config *c = model_config(run->model);
    const size_t max_ctx = o->max_ctx && o->max_ctx < c->n_positions ? o->max_ctx : c->n_positions;
    struct tokenizer *tokenizer = NULL;
    if (o->tokens) return token_rows_read_jsonl(&run->rows, o->tokens, c->n_vocab, max_ctx, err);
    status_t status = tokenizer_open(&tokenizer, o->directory, err);
    if (status == ST_OK)
        status = token_rows_read_text(&run->rows, o->text, tokenizer, c->n_vocab, max_ctx, err);
    tokenizer_close(&tokenizer);
    return status;
}

static status_t find_hooks(struct run *run, struct error *err)
{
    const struct options *o = &run->options;
    const struct model_config *c = model_config(run->model);
    status_t status = ST_OK;
    for (size_t i = 0; i < o->hooks.n_items && status == ST_OK; i++) {
        for (size_t j = 0; j < i && status == ST_OK; j++) {
            if (strcmp(o->hooks.items[i], o->hooks.items[j]) == 0)
                status =
                    error_set(err, ST_BAD_INPUT, "--hook %s is given twice", o->hooks.items[i]);
        }
        if (status == ST_OK) status = hook_point_parse(o->hooks.items[i], c, &run->hooks[i], err);
    }
    if (status != ST_OK) return status;
    run->n_outputs = run->n_hooks = o->hooks.n_items;
    if (!run->dictionary) return ST_OK;
    const struct dictionary_config *d = dictionary_config(run->dictionary);
    run->dictionary_hook = run->n_hooks;
    struct hook_point *hook = &run->hooks[run->n_hooks++];
    status = hook_point_parse(d->hook_name, c, hook, err);
    if (status != ST_OK) return error_wrap(err, "dictionary %s", o->dictionary);
    if (hook_point_width(*hook, c) != d->d_in)
        return error_set(err, ST_BAD_INPUT, "dictionary %s: d_in %zu, %s has %zu values",
                         o->dictionary, d->d_in, d->hook_name, hook_point_width(*hook, c));
    return ST_OK;
}

static status_t make_workers(struct run *run, struct error *err)
{
    const size_t n_ctx = run->rows.n_ctx;
    run->batch_rows = BATCH_TOKENS / n_ctx ? BATCH_TOKENS / n_ctx : 1;
    if (run->batch_rows > run->rows.n_rows) run->batch_rows = run->rows.n_rows;
    const struct forward_params forward = {
        .model = run->model, .n_rows = run->batch_rows, .n_ctx = n_ctx};
    status_t status = forward_create(&run->forward, &forward, err);
    if (status != ST_OK || !run->dictionary) return status;
    const struct encoder_params encoder = {.dictionary = run->dictionary};
    size_t n_bytes;
    status = encoder_create(&run->encoder, &encoder, err);
    if (status != ST_OK) return status;
    if (!size_tensor(n_ctx, dictionary_config(run->dictionary)->n_features, sizeof *run->dense,
                     &n_bytes))
        return error_set(err, ST_TOO_LARGE, "activations of %zu tokens", n_ctx);
    run->dense = malloc(n_bytes);
    return run->dense ? ST_OK : error_set(err, ST_NO_MEMORY, "%zu bytes", n_bytes);
}

/* Shape of a hook's tensor: heads have an axis of their own. */
static struct tensor_view hook_view(const struct run *run, size_t index)
{
    const struct model_config *c = model_config(run->model);
    const struct hook_point hook = run->hooks[index];
    const bool has_heads = hook.kind >= HOOK_Q && hook.kind <= HOOK_Z;
    const size_t width = hook_point_width(hook, c);
    struct tensor_view view = {.name = run->options.hooks.items[index],
                               .dtype = TENSOR_F32,
                               .n_dims = has_heads ? 4 : 3,
                               .shape = {run->rows.n_rows, run->rows.n_ctx, width}};
    if (!has_heads) return view;
    view.shape[2] = width / c->d_head;
    view.shape[3] = c->d_head;
    return view;
}

/* Tensors in the order: tokens, row_lengths, hooks, feature_acts. */
static status_t open_writer(struct run *run, struct error *err)
{
    struct tensor_view views[MAX_OUTPUTS] = {
        {.name = "tokens",
         .dtype = TENSOR_I64,
         .n_dims = 2,
         .shape = {run->rows.n_rows, run->rows.n_ctx}},
        {.name = "row_lengths", .dtype = TENSOR_I64, .n_dims = 1, .shape = {run->rows.n_rows}}};
    size_t n = 2;
    for (size_t i = 0; i < run->n_outputs; i++) views[n++] = hook_view(run, i);
    if (run->dictionary)
        views[n++] =
            (struct tensor_view){.name = "feature_acts",
                                 .dtype = TENSOR_F32,
                                 .n_dims = 3,
                                 .shape = {run->rows.n_rows, run->rows.n_ctx,
                                           dictionary_config(run->dictionary)->n_features}};
    return safetensors_writer_open(&run->writer, run->options.out, views, n, err);
}

static status_t write_tokens(struct run *run, struct error *err)
{
    const struct token_rows *rows = &run->rows;
    status_t status = ST_OK;
    for (size_t i = 0; i < rows->n_rows * rows->n_ctx && status == ST_OK; i++) {
        const int64_t token = rows->tokens[i];
        status = safetensors_writer_append(run->writer, 0, &token, sizeof token, err);
    }
    for (size_t i = 0; i < rows->n_rows && status == ST_OK; i++) {
        const int64_t length = rows->lengths[i];
        status = safetensors_writer_append(run->writer, 1, &length, sizeof length, err);
    }
    return status;
}

/* Rows of a hook, zeros where they are padding. */
static status_t write_hook(struct run *run, size_t index, const float *acts, size_t first,
                           size_t n_rows, struct error *err)
{
    const size_t width = hook_point_width(run->hooks[index], model_config(run->model));
    const size_t n_ctx = run->rows.n_ctx;
    float *zeros = calloc(width, sizeof *zeros);
    status_t status = zeros ? ST_OK : error_set(err, ST_NO_MEMORY, "%zu floats", width);
    for (size_t r = 0; r < n_rows && status == ST_OK; r++) {
        const size_t length = run->rows.lengths[first + r];
        status = safetensors_writer_append(run->writer, 2 + index, acts + r * n_ctx * width,
                                           length * width * sizeof *acts, err);
        for (size_t t = length; t < n_ctx && status == ST_OK; t++)
            status = safetensors_writer_append(run->writer, 2 + index, zeros, width * sizeof *zeros,
                                               err);
    }
    free(zeros);
    return status;
}

static status_t write_features(struct run *run, const float *acts, size_t first, size_t n_rows,
                               struct error *err)
{
    const struct dictionary_config *d = dictionary_config(run->dictionary);
    const size_t n_ctx = run->rows.n_ctx, n_dense = n_ctx * d->n_features;
    status_t status = ST_OK;
    for (size_t r = 0; r < n_rows && status == ST_OK; r++) {
        struct sparse_rows rows;
        status = encoder_run(run->encoder, acts + r * n_ctx * d->d_in, run->rows.lengths[first + r],
                             &rows, err);
        if (status != ST_OK) return status;
        memset(run->dense, 0, n_dense * sizeof *run->dense);
        for (size_t t = 0; t < rows.n_rows; t++) {
            for (size_t i = rows.row_start[t]; i < rows.row_start[t + 1]; i++)
                run->dense[t * d->n_features + rows.feature[i]] = rows.value[i];
        }
        status = safetensors_writer_append(run->writer, 2 + run->n_outputs, run->dense,
                                           n_dense * sizeof *run->dense, err);
    }
    return status;
}

/* Rows first .. first + n_rows; the batch is filled up with empty rows. */
static status_t run_batch(struct run *run, size_t first, size_t n_rows, struct error *err)
{
    const struct token_rows *rows = &run->rows;
    const float *acts[ARGUMENTS_MAX_LIST + 1];
    uint32_t *tokens = calloc(run->batch_rows * rows->n_ctx, sizeof *tokens);
    uint32_t *lengths = calloc(run->batch_rows, sizeof *lengths);
    status_t status = ST_OK;
    if (!tokens || !lengths) {
        status = error_set(err, ST_NO_MEMORY, "batch of %zu rows", run->batch_rows);
        goto done;
    }
    memcpy(tokens, rows->tokens + first * rows->n_ctx, n_rows * rows->n_ctx * sizeof *tokens);
    memcpy(lengths, rows->lengths + first, n_rows * sizeof *lengths);
    const struct forward_input input = {.tokens = tokens, .row_lengths = lengths};
    status = forward_run(run->forward, &input, run->hooks, run->n_hooks, acts, err);
    for (size_t i = 0; i < run->n_outputs && status == ST_OK; i++)
        status = write_hook(run, i, acts[i], first, n_rows, err);
    if (status == ST_OK && run->dictionary)
        status = write_features(run, acts[run->dictionary_hook], first, n_rows, err);
done:
    free(tokens);
    free(lengths);
    return status;
}

static status_t run_all(struct run *run, struct error *err)
{
    status_t status = open_model(run, err);
    if (status == ST_OK) status = find_hooks(run, err);
    if (status == ST_OK) status = read_rows(run, err);
    if (status == ST_OK) status = make_workers(run, err);
    if (status == ST_OK) status = open_writer(run, err);
    if (status == ST_OK) status = write_tokens(run, err);
    for (size_t first = 0; first < run->rows.n_rows && status == ST_OK; first += run->batch_rows) {
        const size_t left = run->rows.n_rows - first;
        status = run_batch(run, first, left < run->batch_rows ? left : run->batch_rows, err);
    }
    return status == ST_OK ? safetensors_writer_finish(&run->writer, err) : status;
}

static void run_fini(struct run *run)
{
    safetensors_writer_abort(&run->writer);
    encoder_destroy(&run->encoder);
    forward_destroy(&run->forward);
    token_rows_fini(&run->rows);
    dictionary_close(&run->dictionary);
    model_close(&run->model);
    backend_close(&run->backend);
    free(run->dense);
}

int activations_command(int argc, char **argv)
{
    struct run run = {.options = {.directory = NULL}};
    struct error err = {0};
    bool is_help;
    status_t status = read_options(&run.options, argc, argv, &is_help, &err);
    if (status == ST_OK && !is_help) status = run_all(&run, &err);
    run_fini(&run);
    if (status != ST_OK) (void)fprintf(stderr, "interp-worker activations: %s\n", err.text);
    return status_exit_code(status);
}
