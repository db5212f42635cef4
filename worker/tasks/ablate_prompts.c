#include "worker/tasks/ablate_prompts.h"

#include "worker/tasks/spec.h"

#include <stdlib.h>

static void rows_fini(struct ablate_rows *rows)
{
    free(rows->tokens);
    free(rows->lengths);
    free(rows->templates);
}

void ablate_prompts_fini(struct ablate_prompts *prompts)
{
    rows_fini(&prompts->clean);
    rows_fini(&prompts->corrupted);
    rows_fini(&prompts->reference);
    for (size_t i = 0; prompts->answers && i < prompts->clean.n; i++) free(prompts->answers[i].ids);
    for (size_t i = 0; i < prompts->n_masks; i++) free(prompts->masks[i]);
    free(prompts->answers);
    free(prompts->answer_at);
    free(prompts->columns);
    *prompts = (struct ablate_prompts){0};
}

static status_t rows_init(struct ablate_rows *rows, size_t n, size_t n_ctx, struct error *err)
{
    *rows = (struct ablate_rows){.n = n,
                                 .tokens = calloc(n * n_ctx + 1, sizeof *rows->tokens),
                                 .lengths = calloc(n + 1, sizeof *rows->lengths),
                                 .templates = calloc(n + 1, sizeof *rows->templates)};
    return rows->tokens && rows->lengths && rows->templates
               ? ST_OK
               : error_set(err, ST_NO_MEMORY, "%zu prompts of %zu tokens", n, n_ctx);
}

static bool take_u32(const json_t *value, uint32_t *out)
{
    const json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < 0 || number > UINT32_MAX) return false;
    *out = (uint32_t)number;
    return true;
}

static status_t read_tokens(const json_t *item, const char *key, struct ablate_rows *rows,
                            size_t index, size_t n_ctx, struct error *err)
{
    const json_t *ids = json_object_get(item, key), *template = json_object_get(item, "template");
    const size_t n = json_array_size(ids);
    if (!n || n > n_ctx)
        return error_set(err, ST_BAD_INPUT, "prompt %zu, %s: 1 to %zu tokens, not %zu", index, key,
                         n_ctx, n);
    for (size_t t = 0; t < n; t++)
        if (!take_u32(json_array_get(ids, t), &rows->tokens[index * n_ctx + t]))
            return error_set(err, ST_BAD_INPUT, "prompt %zu, %s: token %zu is no id", index, key,
                             t);
    rows->lengths[index] = (uint32_t)n;
    if (template && !take_u32(template, &rows->templates[index]))
        return error_set(err, ST_BAD_INPUT, "prompt %zu: template is no number", index);
    return rows->templates[index] < ABLATE_MAX_TEMPLATES
               ? ST_OK
               : error_set(err, ST_BAD_INPUT, "prompt %zu: template %u, at most %d", index,
                           (unsigned)rows->templates[index], ABLATE_MAX_TEMPLATES - 1);
}

/* --- answers ------------------------------------------------------------------------------- */

static status_t read_ids(const json_t *item, const char *key, size_t index, uint32_t *out,
                         struct error *err)
{
    const json_t *ids = json_object_get(item, key);
    for (size_t i = 0; i < json_array_size(ids); i++)
        if (!take_u32(json_array_get(ids, i), &out[i]))
            return error_set(err, ST_BAD_INPUT, "prompt %zu, %s: %zu is no id", index, key, i);
    return ST_OK;
}

static status_t read_answers(const json_t *item, size_t index, struct ablate_answers *out,
                             struct error *err)
{
    const size_t n = json_array_size(json_object_get(item, "answers"));
    const size_t n_distractors = json_array_size(json_object_get(item, "distractors"));
    if (!n || !n_distractors || n > ABLATE_MAX_ANSWERS || n_distractors > ABLATE_MAX_ANSWERS)
        return error_set(err, ST_BAD_INPUT, "prompt %zu: %zu answers and %zu distractors", index, n,
                         n_distractors);
    *out = (struct ablate_answers){calloc(n + n_distractors, sizeof *out->ids), n, n_distractors};
    if (!out->ids) return error_set(err, ST_NO_MEMORY, "answers");
    const status_t status = read_ids(item, "answers", index, out->ids, err);
    return status == ST_OK ? read_ids(item, "distractors", index, out->ids + n, err) : status;
}

static int compare_u32(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static status_t collect_columns(struct ablate_prompts *p, struct error *err)
{
    size_t n = 0, n_unique = 0;
    for (size_t i = 0; i < p->clean.n; i++) n += p->answers[i].n + p->answers[i].n_distractors;
    p->columns = calloc(n, sizeof *p->columns);
    if (!p->columns) return error_set(err, ST_NO_MEMORY, "%zu answers", n);
    n = 0;
    for (size_t i = 0; i < p->clean.n; i++)
        for (size_t k = 0; k < p->answers[i].n + p->answers[i].n_distractors; k++)
            p->columns[n++] = p->answers[i].ids[k];
    qsort(p->columns, n, sizeof *p->columns, compare_u32);
    for (size_t i = 0; i < n; i++)
        if (!n_unique || p->columns[i] != p->columns[n_unique - 1])
            p->columns[n_unique++] = p->columns[i];
    p->n_columns = n_unique;
    return ST_OK;
}

/* --- prompts ------------------------------------------------------------------------------- */

static status_t read_prompt(struct ablate_prompts *p, const json_t *item, size_t index,
                            struct error *err)
{
    status_t status = read_tokens(item, "clean", &p->clean, index, p->n_ctx, err);
    if (status == ST_OK)
        status = read_tokens(item, "corrupted", &p->corrupted, index, p->n_ctx, err);
    if (status != ST_OK) return status;
    const uint32_t length = p->clean.lengths[index];
    if (p->corrupted.lengths[index] != length)
        return error_set(err, ST_BAD_INPUT, "prompt %zu: %u tokens clean, %u corrupted", index,
                         (unsigned)length, (unsigned)p->corrupted.lengths[index]);
    if (!take_u32(json_object_get(item, "answer_at"), &p->answer_at[index]) ||
        p->answer_at[index] >= length)
        return error_set(err, ST_BAD_INPUT, "prompt %zu: answer_at is not below %u", index,
                         (unsigned)length);
    return read_answers(item, index, &p->answers[index], err);
}

static status_t read_prompts(struct ablate_prompts *p, const json_t *list, struct error *err)
{
    const size_t n = json_array_size(list);
    if (!n || n > ABLATE_MAX_PROMPTS)
        return error_set(err, ST_BAD_INPUT, "prompts: 1 to %d, not %zu", ABLATE_MAX_PROMPTS, n);
    status_t status = rows_init(&p->clean, n, p->n_ctx, err);
    if (status == ST_OK) status = rows_init(&p->corrupted, n, p->n_ctx, err);
    if (status != ST_OK) return status;
    p->answer_at = calloc(n, sizeof *p->answer_at);
    p->answers = calloc(n, sizeof *p->answers);
    if (!p->answer_at || !p->answers) return error_set(err, ST_NO_MEMORY, "%zu prompts", n);
    for (size_t i = 0; i < n && status == ST_OK; i++)
        status = read_prompt(p, json_array_get(list, i), i, err);
    return status == ST_OK ? collect_columns(p, err) : status;
}

static status_t read_reference(struct ablate_prompts *p, const json_t *list, struct error *err)
{
    const size_t n = json_array_size(list);
    if (n > ABLATE_MAX_REFERENCE)
        return error_set(err, ST_TOO_LARGE, "reference: %zu prompts, at most %d", n,
                         ABLATE_MAX_REFERENCE);
    status_t status = rows_init(&p->reference, n, p->n_ctx, err);
    for (size_t i = 0; i < n && status == ST_OK; i++)
        status = read_tokens(json_array_get(list, i), "tokens", &p->reference, i, p->n_ctx, err);
    return status == ST_OK ? ST_OK : error_wrap(err, "reference");
}

/* [[t...] of every prompt] -> a mask. */
static status_t read_mask(struct ablate_prompts *p, const json_t *list, struct error *err)
{
    const size_t number = p->n_masks + 1;
    if (json_array_size(list) != p->clean.n)
        return error_set(err, ST_BAD_INPUT, "positions %zu: %zu prompts of %zu", number,
                         json_array_size(list), p->clean.n);
    uint8_t *mask = calloc(p->clean.n, p->n_ctx);
    if (!mask) return error_set(err, ST_NO_MEMORY, "positions");
    p->masks[p->n_masks++] = mask;
    for (size_t i = 0; i < p->clean.n; i++) {
        const json_t *row = json_array_get(list, i);
        for (size_t k = 0; k < json_array_size(row); k++) {
            uint32_t at;
            if (!take_u32(json_array_get(row, k), &at) || at >= p->clean.lengths[i])
                return error_set(err, ST_BAD_INPUT, "positions %zu, prompt %zu: not below %u",
                                 number, i, (unsigned)p->clean.lengths[i]);
            mask[i * p->n_ctx + at] = 1;
        }
    }
    return ST_OK;
}

static status_t read_positions(struct ablate_prompts *p, const json_t *list, struct error *err)
{
    const size_t n = json_array_size(list);
    status_t status = ST_OK;
    if (n > ABLATE_MAX_POSITIONS)
        return error_set(err, ST_TOO_LARGE, "positions: %zu sets, at most %d", n,
                         ABLATE_MAX_POSITIONS);
    for (size_t i = 0; i < n && status == ST_OK; i++)
        status = read_mask(p, json_array_get(list, i), err);
    return status;
}

status_t ablate_prompts_read(struct ablate_prompts *out, const json_t *spec, struct error *err)
{
    uint64_t n_ctx;
    *out = (struct ablate_prompts){0};
    status_t status = spec_count(spec, "n_ctx", 1, ABLATE_MAX_CTX, &n_ctx, err);
    if (status != ST_OK) return status;
    out->n_ctx = (size_t)n_ctx;
    status = read_prompts(out, json_object_get(spec, "prompts"), err);
    if (status == ST_OK) status = read_reference(out, json_object_get(spec, "reference"), err);
    if (status == ST_OK) status = read_positions(out, json_object_get(spec, "positions"), err);
    if (status != ST_OK) ablate_prompts_fini(out);
    return status;
}
