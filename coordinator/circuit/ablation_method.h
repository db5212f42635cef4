/* How something was ablated: the six choices that change faithfulness numbers (Miller, Chughtai
 * and Saunders 2024), in every record, so that no two numbers are compared that should not be.
 *
 *   granularity  nodes or edges of the computation
 *   types        which component types take part (heads, MLPs, SAE features ...)
 *   value        what stands in for the activation: zero, mean, resample
 *   positions    all, or the named ones of the components
 *   direction    destroy: a clean run with ablated parts; restore: an ablated run with clean parts
 *   set          what is ablated: a member, the circuit, its complement, everything
 *
 * Plain data, pure functions; any thread. */
#ifndef COORDINATOR_CIRCUIT_ABLATION_METHOD_H
#define COORDINATOR_CIRCUIT_ABLATION_METHOD_H

#include "common/ablate.h"
#include "coordinator/circuit/component.h"

#include <jansson.h>

enum ablation_granularity { GRANULARITY_NODE, GRANULARITY_EDGE };
/* Over what a mean is taken; MEAN_NONE unless the value is a mean. */
enum ablation_mean { MEAN_NONE, MEAN_OVERALL, MEAN_PER_POSITION, MEAN_PER_TEMPLATE };
enum ablation_direction { DIRECTION_DESTROY, DIRECTION_RESTORE };
enum ablation_set { SET_NONE, SET_MEMBER, SET_CLASS, SET_CIRCUIT, SET_COMPLEMENT, SET_ALL };

struct ablation_method {
    enum ablation_granularity granularity;
    uint32_t types; /* bit 1 << enum component_type */
    enum ablate_value value;
    enum ablation_mean mean;
    bool is_at_named_positions;
    enum ablation_direction direction;
    enum ablation_set set;
};

/* True, and *out set, if the n_bytes are one of these names. */
bool ablation_value_parse(const char *text, size_t n_bytes, enum ablate_value *out);

/* {"granularity":"node", "types":["head","mlp"], "value":"mean", "mean_over":"template"|null,
 *  "positions":"all"|"named", "direction":"destroy", "set":"complement"}: a new reference, or
 * NULL when memory is short. */
json_t *ablation_method_json(const struct ablation_method *method);

/* The inverse; unknown keys are refused. Errors: ST_BAD_INPUT, naming the key. */
MUST_CHECK status_t ablation_method_parse(const json_t *json, struct ablation_method *out,
                                          struct error *err);

#endif
