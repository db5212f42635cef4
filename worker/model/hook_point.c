#include "worker/model/hook_point.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Names of kinds that belong to a layer are preceded by "blocks.L.". */
static const struct {
    const char *name;
    bool has_layer;
} KINDS[HOOK_N_KINDS] = {
    [HOOK_EMBED] = {"hook_embed", false},
    [HOOK_POS_EMBED] = {"hook_pos_embed", false},
    [HOOK_RESID_PRE] = {"hook_resid_pre", true},
    [HOOK_LN1_NORMALIZED] = {"ln1.hook_normalized", true},
    [HOOK_Q] = {"attn.hook_q", true},
    [HOOK_K] = {"attn.hook_k", true},
    [HOOK_V] = {"attn.hook_v", true},
    [HOOK_Z] = {"attn.hook_z", true},
    [HOOK_ATTN_OUT] = {"hook_attn_out", true},
    [HOOK_RESID_MID] = {"hook_resid_mid", true},
    [HOOK_LN2_NORMALIZED] = {"ln2.hook_normalized", true},
    [HOOK_MLP_PRE] = {"mlp.hook_pre", true},
    [HOOK_MLP_PRE_LINEAR] = {"mlp.hook_pre_linear", true},
    [HOOK_MLP_POST] = {"mlp.hook_post", true},
    [HOOK_MLP_OUT] = {"hook_mlp_out", true},
    [HOOK_RESID_POST] = {"hook_resid_post", true},
    [HOOK_LN_FINAL_NORMALIZED] = {"ln_final.hook_normalized", false},
    [HOOK_LOGITS] = {"logits", false},
};

/* Known to TransformerLens; one value per pair of tokens, or too wide, or not offered yet. */
static const char *const NOT_OFFERED[] = {
    "attn.hook_attn_scores", "attn.hook_pattern", "attn.hook_result", "attn.hook_rot_q",
    "attn.hook_rot_k",       "ln1.hook_scale",    "ln2.hook_scale",   "hook_attn_in",
    "hook_mlp_in",           "hook_q_input",      "hook_k_input",     "hook_v_input"};

bool hook_kind_has_layer(enum hook_kind kind)
{
    return KINDS[kind].has_layer;
}

bool hook_kind_exists(enum hook_kind kind, const struct model_config *config)
{
    if (kind == HOOK_POS_EMBED) return !config->family->has_rotary;
    if (kind == HOOK_MLP_PRE_LINEAR) return config->family->tensors.mlp_gate != NULL;
    return true;
}

/* "blocks.12.rest" -> layer 12, rest. False if it does not begin so. */
static bool split_layer(const char *name, size_t *layer, const char **rest)
{
    static const char PREFIX[] = "blocks.";
    if (strncmp(name, PREFIX, sizeof PREFIX - 1) != 0) return false;
    const char *digits = name + sizeof PREFIX - 1;
    if (!isdigit((unsigned char)*digits)) return false;
    char *end;
    const unsigned long value = strtoul(digits, &end, 10);
    if (*end != '.' || end - digits > 6) return false;
    *layer = value;
    *rest = end + 1;
    return true;
}

static status_t find_kind(const char *name, const char *rest, bool has_layer, enum hook_kind *out,
                          struct error *err)
{
    for (unsigned kind = 0; kind < HOOK_N_KINDS; kind++) {
        if (KINDS[kind].has_layer != has_layer || strcmp(rest, KINDS[kind].name) != 0) continue;
        *out = (enum hook_kind)kind;
        return ST_OK;
    }
    for (size_t i = 0; has_layer && i < sizeof NOT_OFFERED / sizeof NOT_OFFERED[0]; i++) {
        if (strcmp(rest, NOT_OFFERED[i]) == 0)
            return error_set(err, ST_UNSUPPORTED, "hook point '%s' is not offered", name);
    }
    return error_set(err, ST_NOT_FOUND, "hook point '%s' does not exist", name);
}

status_t hook_point_parse(const char *name, const struct model_config *config,
                          struct hook_point *out, struct error *err)
{
    struct hook_point hook = {.layer = 0};
    const char *rest = name;
    const bool has_layer = split_layer(name, &hook.layer, &rest);
    const status_t status = find_kind(name, rest, has_layer, &hook.kind, err);
    if (status != ST_OK) return status;
    if (has_layer && hook.layer >= config->n_layers)
        return error_set(err, ST_NOT_FOUND, "hook point '%s': the model has %zu layers", name,
                         config->n_layers);
    if (!hook_kind_exists(hook.kind, config))
        return error_set(err, ST_NOT_FOUND, "hook point '%s': a %s model has none", name,
                         config->family->name);
    *out = hook;
    return ST_OK;
}

char *hook_point_name(struct hook_point hook, char out[HOOK_NAME_SIZE])
{
    if (KINDS[hook.kind].has_layer)
        (void)snprintf(out, HOOK_NAME_SIZE, "blocks.%zu.%s", hook.layer, KINDS[hook.kind].name);
    else
        (void)snprintf(out, HOOK_NAME_SIZE, "%s", KINDS[hook.kind].name);
    return out;
}

size_t hook_point_width(struct hook_point hook, const struct model_config *config)
{
    switch (hook.kind) {
    case HOOK_Q:
    case HOOK_Z: return config->n_heads * config->d_head;
    case HOOK_K:
    case HOOK_V: return config->n_kv_heads * config->d_head;
    case HOOK_MLP_PRE:
    case HOOK_MLP_PRE_LINEAR:
    case HOOK_MLP_POST: return config->d_mlp;
    case HOOK_LOGITS: return config->n_vocab;
    case HOOK_EMBED:
    case HOOK_POS_EMBED:
    case HOOK_RESID_PRE:
    case HOOK_LN1_NORMALIZED:
    case HOOK_ATTN_OUT:
    case HOOK_RESID_MID:
    case HOOK_LN2_NORMALIZED:
    case HOOK_MLP_OUT:
    case HOOK_RESID_POST:
    case HOOK_LN_FINAL_NORMALIZED:
    case HOOK_N_KINDS: break;
    }
    return config->d_model;
}
