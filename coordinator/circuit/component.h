/* What a circuit is made of: the parts of a transformer that can be ablated, by name.
 *
 *   canonical                      TransformerLens activation        also read
 *   embed                          hook_embed: graph end             input, Resid Start
 *   pos_embed                      hook_pos_embed: graph end
 *   L5H3                           blocks.5.attn.hook_z[3]           a5.h3, A5.3, 5.3, and
 *                                                   blocks.5.attn.hook_result[:, :, 3]
 *   L5K1, L5V1                     blocks.5.attn.hook_k[1], hook_v[1]: one K/V group
 *   L5MLP                          blocks.5.hook_mlp_out             m5, MLP 5, mlp5
 *   L5N12                          blocks.5.mlp.hook_post[12]        m5.n12
 *   blocks.5.hook_resid_pre[7]     one dimension of a stream
 *   blocks.5.hook_resid_pre.f7     SAE feature      ..hook_resid_pre.hook_sae_acts_post[7]
 *   blocks.5.hook_resid_pre.error  what the SAE leaves over      ..resid_pre.hook_sae_error
 *   logits                         the other graph end               Resid End
 *
 * `embed` is all that enters the first layer; where a circuit names pos_embed too, it is the
 * token embedding alone. `[3]` after a hook name may also be written `.3`; letters are read in
 * either case. `NAME@end` is the component at one named position of the prompts (prompt_set.h),
 * without it at all of them. Under grouped-query attention heads and K/V groups count separately:
 * L5H3 is a query head's output, L5K1 the key that all heads of group 1 share.
 *
 * Plain data, pure functions; any thread. */
#ifndef COORDINATOR_CIRCUIT_COMPONENT_H
#define COORDINATOR_CIRCUIT_COMPONENT_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In the order in which components of a layer are listed. */
enum component_type {
    COMPONENT_EMBED,
    COMPONENT_POS_EMBED,
    COMPONENT_HEAD,
    COMPONENT_KEY_GROUP,
    COMPONENT_VALUE_GROUP,
    COMPONENT_MLP,
    COMPONENT_NEURON,
    COMPONENT_RESIDUAL,
    COMPONENT_FEATURE,
    COMPONENT_ERROR,
    COMPONENT_LOGITS
};
enum { COMPONENT_N_TYPES = COMPONENT_LOGITS + 1 };

/* Where in a layer a residual dimension, feature or error term stands; SITE_NONE for the rest. */
enum component_site {
    SITE_NONE,
    SITE_RESID_PRE,
    SITE_Z,
    SITE_ATTN_OUT,
    SITE_RESID_MID,
    SITE_MLP_POST,
    SITE_MLP_OUT,
    SITE_RESID_POST
};
enum { COMPONENT_N_SITES = SITE_RESID_POST + 1 };

enum { COMPONENT_POSITION_SIZE = 16, COMPONENT_NAME_SIZE = 80 };

struct component {
    enum component_type type;
    enum component_site site;
    uint32_t layer; /* 0 where the type has none */
    uint32_t index; /* head, K/V group, neuron, dimension or feature; 0 where there is none */
    char position[COMPONENT_POSITION_SIZE]; /* named position, lower case; "": all of them */
};

/* The counts that say which components exist. 0: not known, then not checked. */
struct model_shape {
    uint32_t n_layers; /* always known: 1 .. */
    uint32_t n_heads;
    uint32_t n_kv_heads;
    uint32_t d_mlp;
    uint32_t d_model;
    uint32_t d_head;
    uint32_t n_features; /* of the dictionary of the sweep */
    bool is_parallel;    /* attention and MLP of a layer read the same stream (GPT-NeoX) */
};

/* True for embed, pos_embed and logits: in every circuit, never a node. */
bool component_is_graph_end(const struct component *component);

/* "head", "key_group", "mlp", "sae_feature" ...: the JSON words of a record. */
const char *component_type_name(enum component_type type);
/* "hook_resid_pre", "attn.hook_z" ...; "" of SITE_NONE. */
const char *component_site_name(enum component_site site);

/* Total order: layer, then type (embed before, logits behind everything), site, index, position. */
int component_compare(const struct component *a, const struct component *b);
/* The same, for qsort(). */
int component_compare_items(const void *a, const void *b);
static inline bool component_equal(const struct component *a, const struct component *b)
{
    return component_compare(a, b) == 0;
}

/* Canonical name into out[COMPONENT_NAME_SIZE]; returns out. */
char *component_name(const struct component *component, char out[COMPONENT_NAME_SIZE]);

/* Read any of the spellings above from n_bytes of text. Errors: ST_BAD_INPUT, quoting the text. */
MUST_CHECK status_t component_parse(const char *text, size_t n_bytes, struct component *out,
                                    struct error *err);

/* The activation that holds the component, by its TransformerLens name, into
 * hook[COMPONENT_NAME_SIZE] ("hook_embed", "logits" for the graph ends; of features and error
 * terms the hook point that their dictionary reads). Returns hook. */
char *component_hook(const struct component *component, char hook[COMPONENT_NAME_SIZE]);

/* Errors: ST_NOT_FOUND, by name and with what there is: "L7H3: the model has 2 layers". */
MUST_CHECK status_t component_check(const struct component *component,
                                    const struct model_shape *shape, struct error *err);

#endif
