#include "coordinator/circuit/component_site.h"

/* ABLATE_N_PLACES: nowhere. */
static uint32_t place_of(enum component_site site)
{
    switch (site) {
    case SITE_RESID_PRE: return ABLATE_RESID_PRE;
    case SITE_Z: return ABLATE_Z;
    case SITE_ATTN_OUT: return ABLATE_ATTN_OUT;
    case SITE_RESID_MID: return ABLATE_RESID_MID;
    case SITE_MLP_POST: return ABLATE_MLP_POST;
    case SITE_MLP_OUT: return ABLATE_MLP_OUT;
    case SITE_RESID_POST: return ABLATE_RESID_POST;
    case SITE_NONE: break;
    }
    return ABLATE_N_PLACES;
}

static struct ablate_site whole(uint32_t place, uint32_t layer, uint32_t width)
{
    return (struct ablate_site){.place = place, .layer = layer, .n_columns = width};
}

/* Block `index` of `width` columns. */
static struct ablate_site block(uint32_t place, const struct component *component, uint32_t width)
{
    return (struct ablate_site){.place = place,
                                .layer = component->layer,
                                .column = component->index * width,
                                .n_columns = width};
}

static status_t refuse(const struct component *component, struct error *err)
{
    char name[COMPONENT_NAME_SIZE];
    return error_set(err, ST_UNSUPPORTED, "%s (%s) cannot be ablated by itself",
                     component_name(component, name), component_type_name(component->type));
}

status_t component_site(const struct component *component, const struct model_shape *shape,
                        struct ablate_site *out, struct error *err)
{
    const status_t status = component_check(component, shape, err);
    if (status != ST_OK) return status;
    switch (component->type) {
    case COMPONENT_EMBED: *out = whole(ABLATE_RESID_PRE, 0, shape->d_model); return ST_OK;
    case COMPONENT_HEAD: *out = block(ABLATE_Z, component, shape->d_head); return ST_OK;
    case COMPONENT_KEY_GROUP: *out = block(ABLATE_K, component, shape->d_head); return ST_OK;
    case COMPONENT_VALUE_GROUP: *out = block(ABLATE_V, component, shape->d_head); return ST_OK;
    case COMPONENT_MLP:
        *out = whole(ABLATE_MLP_OUT, component->layer, shape->d_model);
        return ST_OK;
    case COMPONENT_NEURON: *out = block(ABLATE_MLP_POST, component, 1); return ST_OK;
    case COMPONENT_RESIDUAL: *out = block(place_of(component->site), component, 1); return ST_OK;
    case COMPONENT_POS_EMBED:
    case COMPONENT_FEATURE:
    case COMPONENT_ERROR:
    case COMPONENT_LOGITS: break;
    }
    return refuse(component, err);
}

/* The K/V group that a query head reads. */
static struct component group_of(const struct component *head, const struct model_shape *shape)
{
    struct component group = *head;
    group.index = head->index / (shape->n_heads / shape->n_kv_heads);
    return group;
}

status_t edge_receiver_site(const struct circuit_edge *edge, const struct model_shape *shape,
                            struct ablate_site *out, struct error *err)
{
    const struct component *receiver = &edge->receiver;
    const status_t status = component_check(receiver, shape, err);
    if (status != ST_OK) return status;
    const struct component group =
        receiver->type == COMPONENT_HEAD ? group_of(receiver, shape) : *receiver;
    switch (edge->input) {
    case EDGE_Q: *out = block(ABLATE_Q, receiver, shape->d_head); return ST_OK;
    case EDGE_K: *out = block(ABLATE_K, &group, shape->d_head); return ST_OK;
    case EDGE_V: *out = block(ABLATE_V, &group, shape->d_head); return ST_OK;
    case EDGE_MLP: *out = whole(ABLATE_MLP_OUT, receiver->layer, shape->d_model); return ST_OK;
    case EDGE_LOGITS:
        *out = whole(ABLATE_RESID_POST, shape->n_layers - 1, shape->d_model);
        return ST_OK;
    }
    return refuse(receiver, err);
}
