#include "worker/known/known_plan.h"

#include "worker/known/known_draw.h"

#include <string.h>

static void shape_gpt2(struct known_plan *plan)
{
    const size_t n = plan->n_vocab;
    const bool has_done = plan->kind->gate == KNOWN_BACKUP_GATE;
    plan->d_head = has_done ? n + n / 4 : n;
    plan->n_kv_heads = plan->n_heads;
    plan->d_model = plan->n_heads * plan->d_head;
    plan->d_mlp = 4 * plan->d_model;
    plan->blocks = (struct known_blocks){.token = 0,
                                         .output = 0, /* tied */
                                         .position = n,
                                         .previous = 2 * n,
                                         .ballast = 3 * n,
                                         .done = 3 * n + 1,
                                         .scratch = 3 * n + 1 + (has_done ? n : 0)};
    plan->blocks.n_scratch = plan->d_model - 1 - plan->blocks.scratch;
}

/* A head is wide enough for one slow pair a token: see llama_heads.h. */
static void shape_llama(struct known_plan *plan)
{
    const size_t n = plan->n_vocab;
    plan->d_head = 64;
    while (22 * plan->d_head / 64 < n) plan->d_head *= 2;
    plan->n_kv_heads = KNOWN_N_KV_HEADS_LLAMA;
    plan->d_model = 6 * n;
    plan->d_mlp = 8 * n;
    plan->blocks = (struct known_blocks){.token = 0,
                                         .output = n,
                                         .previous = 2 * n,
                                         .ballast = 3 * n,
                                         .scratch = 3 * n + 1,
                                         .n_scratch = KNOWN_SCRATCH_LLAMA};
}

/* Heads change places within their group of shared keys and values, groups change places whole.
 * Without sharing every group has one head. */
static void order_heads(struct known_plan *plan)
{
    const size_t n_group = plan->n_heads / plan->n_kv_heads;
    for (size_t layer = 0; layer < plan->kind->n_layers; layer++) {
        struct draw stream = known_draw(plan->seed, RANDOM_HEAD_ORDER, layer);
        uint32_t groups[KNOWN_N_HEADS], within[KNOWN_N_HEADS];
        for (uint32_t i = 0; i < KNOWN_N_HEADS; i++) groups[i] = i;
        draw_shuffle(&stream, groups, plan->n_kv_heads);
        for (size_t g = 0; g < plan->n_kv_heads; g++) {
            for (uint32_t i = 0; i < KNOWN_N_HEADS; i++) within[i] = i;
            draw_shuffle(&stream, within, n_group);
            for (size_t i = 0; i < n_group; i++)
                plan->head_index[layer][g * n_group + i] =
                    groups[g] * (uint32_t)n_group + within[i];
        }
    }
}

static status_t read_rope(const char *rope, struct known_plan *plan, struct error *err)
{
    if (!rope) return ST_OK;
    if (!plan->kind->is_llama)
        return error_set(err, ST_BAD_INPUT, "rope '%.32s': kind %s has no rotary positions", rope,
                         plan->kind->name);
    plan->is_interleaved = strcmp(rope, "interleaved") == 0;
    if (!plan->is_interleaved && strcmp(rope, "half") != 0)
        return error_set(err, ST_BAD_INPUT, "rope '%.32s' is neither half nor interleaved", rope);
    return ST_OK;
}

status_t known_plan_make(struct known_plan *out, const struct known_params *params,
                         struct error *err)
{
    struct known_plan plan = {.seed = params->seed, .n_heads = KNOWN_N_HEADS};
    status_t status = known_kind_find(params->kind, &plan.kind, err);
    if (status == ST_OK) status = read_rope(params->rope, &plan, err);
    if (status != ST_OK) return status;
    if (params->size < KNOWN_MIN_SIZE || params->size > KNOWN_MAX_SIZE)
        return error_set(err, ST_BAD_INPUT, "size %zu is not from %d to %d", params->size,
                         KNOWN_MIN_SIZE, KNOWN_MAX_SIZE);
    plan.n_vocab = plan.n_positions = params->size;
    plan.n_prompt_tokens = 3 * params->size / 4;
    if (plan.kind->is_llama)
        shape_llama(&plan);
    else
        shape_gpt2(&plan);
    order_heads(&plan);
    *out = plan;
    return ST_OK;
}
