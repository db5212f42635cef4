#include "coordinator/circuit/component.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *component_type_name(enum component_type type)
{
    static const char *const names[COMPONENT_N_TYPES] = {[COMPONENT_EMBED] = "embed",
                                                         [COMPONENT_POS_EMBED] = "pos_embed",
                                                         [COMPONENT_HEAD] = "head",
                                                         [COMPONENT_KEY_GROUP] = "key_group",
                                                         [COMPONENT_VALUE_GROUP] = "value_group",
                                                         [COMPONENT_MLP] = "mlp",
                                                         [COMPONENT_NEURON] = "neuron",
                                                         [COMPONENT_RESIDUAL] = "residual",
                                                         [COMPONENT_FEATURE] = "sae_feature",
                                                         [COMPONENT_ERROR] = "sae_error",
                                                         [COMPONENT_LOGITS] = "logits"};
    return (unsigned)type < COMPONENT_N_TYPES ? names[type] : "unknown";
}

const char *component_site_name(enum component_site site)
{
    static const char *const names[COMPONENT_N_SITES] = {[SITE_NONE] = "",
                                                         [SITE_RESID_PRE] = "hook_resid_pre",
                                                         [SITE_Z] = "attn.hook_z",
                                                         [SITE_ATTN_OUT] = "hook_attn_out",
                                                         [SITE_RESID_MID] = "hook_resid_mid",
                                                         [SITE_MLP_POST] = "mlp.hook_post",
                                                         [SITE_MLP_OUT] = "hook_mlp_out",
                                                         [SITE_RESID_POST] = "hook_resid_post"};
    return (unsigned)site < COMPONENT_N_SITES ? names[site] : "unknown";
}

bool component_is_graph_end(const struct component *component)
{
    return component->type == COMPONENT_EMBED || component->type == COMPONENT_POS_EMBED ||
           component->type == COMPONENT_LOGITS;
}

/* --- order -------------------------------------------------------------------------------- */

/* Layers are numbered from 1 here, so that the ends stand outside. */
static uint64_t layer_rank(const struct component *component)
{
    if (component->type <= COMPONENT_POS_EMBED) return 0;
    return component->type == COMPONENT_LOGITS ? UINT64_MAX : 1 + (uint64_t)component->layer;
}

int component_compare(const struct component *a, const struct component *b)
{
    const uint64_t layer_a = layer_rank(a), layer_b = layer_rank(b);
    if (layer_a != layer_b) return layer_a < layer_b ? -1 : 1;
    if (a->type != b->type) return a->type < b->type ? -1 : 1;
    if (a->site != b->site) return a->site < b->site ? -1 : 1;
    if (a->index != b->index) return a->index < b->index ? -1 : 1;
    return strncmp(a->position, b->position, COMPONENT_POSITION_SIZE);
}

int component_compare_items(const void *a, const void *b)
{
    return component_compare(a, b);
}

/* --- names -------------------------------------------------------------------------------- */

char *component_hook(const struct component *component, char hook[COMPONENT_NAME_SIZE])
{
    static const char *const formats[COMPONENT_N_TYPES] = {
        [COMPONENT_HEAD] = "attn.hook_z",        [COMPONENT_KEY_GROUP] = "attn.hook_k",
        [COMPONENT_VALUE_GROUP] = "attn.hook_v", [COMPONENT_MLP] = "hook_mlp_out",
        [COMPONENT_NEURON] = "mlp.hook_post",
    };
    if (component_is_graph_end(component)) {
        (void)snprintf(hook, COMPONENT_NAME_SIZE, "%s%s",
                       component->type == COMPONENT_LOGITS ? "" : "hook_",
                       component_type_name(component->type));
        return hook;
    }
    const char *name = formats[component->type];
    (void)snprintf(hook, COMPONENT_NAME_SIZE, "blocks.%" PRIu32 ".%s", component->layer,
                   name ? name : component_site_name(component->site));
    return hook;
}

/* Without the position; returns its length. */
static int write_base(const struct component *component, char out[COMPONENT_NAME_SIZE])
{
    static const char letters[COMPONENT_N_TYPES] = {[COMPONENT_HEAD] = 'H',
                                                    [COMPONENT_KEY_GROUP] = 'K',
                                                    [COMPONENT_VALUE_GROUP] = 'V',
                                                    [COMPONENT_NEURON] = 'N'};
    const uint32_t layer = component->layer, index = component->index;
    char hook[COMPONENT_NAME_SIZE];
    if (component_is_graph_end(component))
        return snprintf(out, COMPONENT_NAME_SIZE, "%s", component_type_name(component->type));
    if (component->type == COMPONENT_MLP)
        return snprintf(out, COMPONENT_NAME_SIZE, "L%" PRIu32 "MLP", layer);
    if (letters[component->type])
        return snprintf(out, COMPONENT_NAME_SIZE, "L%" PRIu32 "%c%" PRIu32, layer,
                        letters[component->type], index);
    (void)component_hook(component, hook);
    hook[40] = '\0'; /* the longest is 32 bytes */
    if (component->type == COMPONENT_ERROR)
        return snprintf(out, COMPONENT_NAME_SIZE, "%s.error", hook);
    return snprintf(out, COMPONENT_NAME_SIZE,
                    component->type == COMPONENT_FEATURE ? "%s.f%" PRIu32 : "%s[%" PRIu32 "]", hook,
                    index);
}

char *component_name(const struct component *component, char out[COMPONENT_NAME_SIZE])
{
    const int n = write_base(component, out);
    if (component->position[0])
        (void)snprintf(out + n, COMPONENT_NAME_SIZE - (size_t)n, "@%s", component->position);
    return out;
}

/* --- existence ---------------------------------------------------------------------------- */

struct component_bound {
    uint32_t n; /* 0: not known */
    const char *what;
};

static struct component_bound site_bound(const struct component *component,
                                         const struct model_shape *shape)
{
    if (component->site == SITE_MLP_POST)
        return (struct component_bound){shape->d_mlp, "neurons a layer"};
    if (component->site == SITE_Z)
        return (struct component_bound){shape->n_heads * shape->d_head, "head outputs a layer"};
    return (struct component_bound){shape->d_model, "residual dimensions"};
}

static struct component_bound index_bound(const struct component *component,
                                          const struct model_shape *shape)
{
    switch (component->type) {
    case COMPONENT_HEAD: return (struct component_bound){shape->n_heads, "heads a layer"};
    case COMPONENT_KEY_GROUP:
    case COMPONENT_VALUE_GROUP:
        return (struct component_bound){shape->n_kv_heads, "K/V groups a layer"};
    case COMPONENT_NEURON: return (struct component_bound){shape->d_mlp, "neurons a layer"};
    case COMPONENT_RESIDUAL: return site_bound(component, shape);
    case COMPONENT_FEATURE:
        return (struct component_bound){shape->n_features, "features (its dictionary)"};
    case COMPONENT_EMBED:
    case COMPONENT_POS_EMBED:
    case COMPONENT_MLP:
    case COMPONENT_ERROR:
    case COMPONENT_LOGITS: break;
    }
    return (struct component_bound){0, ""};
}

status_t component_check(const struct component *component, const struct model_shape *shape,
                         struct error *err)
{
    char name[COMPONENT_NAME_SIZE];
    if (component_is_graph_end(component)) return ST_OK;
    if (component->layer >= shape->n_layers)
        return error_set(err, ST_NOT_FOUND, "%s: the model has %" PRIu32 " layers",
                         component_name(component, name), shape->n_layers);
    const struct component_bound bound = index_bound(component, shape);
    if (bound.n > 0 && component->index >= bound.n)
        return error_set(err, ST_NOT_FOUND, "%s: the model has %" PRIu32 " %s",
                         component_name(component, name), bound.n, bound.what);
    return ST_OK;
}
