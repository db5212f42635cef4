#include "coordinator/circuit/faithfulness_curve.h"

#include <math.h>
#include <stdlib.h>

const double CURVE_FRACTIONS[CURVE_N_FRACTIONS] = {0.001, 0.002, 0.005, 0.01, 0.02,
                                                   0.05,  0.1,   0.2,   0.5,  1.0};

const char *curve_order_name(enum curve_order order)
{
    return order == CURVE_SIGNED ? "signed" : "absolute";
}

size_t curve_n_items(double fraction, size_t n_items)
{
    if (!(fraction > 0.0)) return 0;
    return fraction >= 1.0 ? n_items : (size_t)(fraction * (double)n_items);
}

/* --- which items -------------------------------------------------------------------------- */

struct scored {
    double score;
    size_t item;
};

static int compare_scored(const void *a, const void *b)
{
    const struct scored *left = a, *right = b;
    if (left->score != right->score) return left->score > right->score ? -1 : 1;
    return (left->item > right->item) - (left->item < right->item);
}

status_t curve_select(const double *scores, size_t n, size_t n_top, enum curve_order order,
                      bool *is_kept, struct error *err)
{
    struct scored *sorted = malloc((n + 1) * sizeof *sorted);
    if (!sorted) return error_set(err, ST_NO_MEMORY, "%zu scores", n);
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(scores[i])) {
            free(sorted);
            return error_set(err, ST_BAD_INPUT, "curve: score %zu is not finite", i);
        }
        sorted[i] = (struct scored){order == CURVE_SIGNED ? scores[i] : fabs(scores[i]), i};
        is_kept[i] = false;
    }
    qsort(sorted, n, sizeof *sorted, compare_scored);
    for (size_t i = 0; i < n && i < n_top; i++) is_kept[sorted[i].item] = true;
    free(sorted);
    return ST_OK;
}

/* --- dangling edges ----------------------------------------------------------------------- */

/* Every component that is an end of an edge, sorted, and whether kept edges enter and leave. */
struct joints {
    struct component *components; /* [n] */
    bool *is_entered, *is_left;   /* [n] */
    size_t n;
};

static status_t joints_init(struct joints *joints, const struct circuit_edge *edges, size_t n_edges,
                            struct error *err)
{
    const size_t n_ends = 2 * n_edges;
    joints->components = malloc((n_ends + 1) * sizeof *joints->components);
    joints->is_entered = calloc(n_ends + 1, sizeof *joints->is_entered);
    joints->is_left = calloc(n_ends + 1, sizeof *joints->is_left);
    if (!joints->components || !joints->is_entered || !joints->is_left)
        return error_set(err, ST_NO_MEMORY, "%zu edges", n_edges);
    for (size_t i = 0; i < n_edges; i++) {
        joints->components[2 * i] = edges[i].sender;
        joints->components[2 * i + 1] = edges[i].receiver;
    }
    qsort(joints->components, n_ends, sizeof *joints->components, component_compare_items);
    for (size_t i = 0; i < n_ends; i++)
        if (joints->n == 0 ||
            !component_equal(&joints->components[joints->n - 1], &joints->components[i]))
            joints->components[joints->n++] = joints->components[i];
    return ST_OK;
}

static void joints_fini(struct joints *joints)
{
    free(joints->components);
    free(joints->is_entered);
    free(joints->is_left);
}

/* Its place in the table; n if no edge has it as an end. */
static size_t joint_of(const struct joints *joints, const struct component *component)
{
    const struct component *found = bsearch(component, joints->components, joints->n,
                                            sizeof *joints->components, component_compare_items);
    return found ? (size_t)(found - joints->components) : joints->n;
}

static bool is_group(const struct component *component)
{
    return component->type == COMPONENT_KEY_GROUP || component->type == COMPONENT_VALUE_GROUP;
}

static bool needs_entry(const struct component *component)
{
    return component->type == COMPONENT_HEAD || component->type == COMPONENT_MLP;
}

/* The heads that share a K/V group: from *first on, so many. */
static uint32_t heads_of_group(const struct component *group, const struct model_shape *shape,
                               uint32_t *first)
{
    const uint32_t n_groups = shape->n_kv_heads ? shape->n_kv_heads : shape->n_heads;
    const uint32_t n_heads = n_groups ? shape->n_heads / n_groups : 1;
    *first = group->index * n_heads;
    return n_heads;
}

static void mark_entered(struct joints *joints, const struct circuit_edge *edge,
                         const struct model_shape *shape)
{
    struct component head = edge->receiver;
    uint32_t first;
    joints->is_entered[joint_of(joints, &edge->receiver)] = true;
    if (!is_group(&edge->receiver)) return;
    const uint32_t n_heads = heads_of_group(&edge->receiver, shape, &first);
    head.type = COMPONENT_HEAD;
    for (uint32_t h = 0; h < n_heads; h++) {
        head.index = first + h;
        const size_t joint = joint_of(joints, &head);
        if (joint < joints->n) joints->is_entered[joint] = true;
    }
}

static bool is_left_by_any(const struct joints *joints, const struct component *receiver,
                           const struct model_shape *shape)
{
    struct component head = *receiver;
    uint32_t first;
    if (receiver->type == COMPONENT_LOGITS) return true;
    if (!is_group(receiver)) return joints->is_left[joint_of(joints, receiver)];
    const uint32_t n_heads = heads_of_group(receiver, shape, &first);
    head.type = COMPONENT_HEAD;
    for (uint32_t h = 0; h < n_heads; h++) {
        head.index = first + h;
        const size_t joint = joint_of(joints, &head);
        if (joint < joints->n && joints->is_left[joint]) return true;
    }
    return false;
}

/* Drop what dangles now; true if anything did. */
static bool prune_once(struct joints *joints, const struct circuit_edge *edges, size_t n_edges,
                       const struct model_shape *shape, bool *is_kept)
{
    bool has_dropped = false;
    for (size_t j = 0; j < joints->n; j++) joints->is_entered[j] = joints->is_left[j] = false;
    for (size_t i = 0; i < n_edges; i++) {
        if (!is_kept[i]) continue;
        mark_entered(joints, &edges[i], shape);
        joints->is_left[joint_of(joints, &edges[i].sender)] = true;
    }
    for (size_t i = 0; i < n_edges; i++) {
        if (!is_kept[i]) continue;
        const bool is_fed = !needs_entry(&edges[i].sender) ||
                            joints->is_entered[joint_of(joints, &edges[i].sender)];
        if (is_fed && is_left_by_any(joints, &edges[i].receiver, shape)) continue;
        is_kept[i] = false;
        has_dropped = true;
    }
    return has_dropped;
}

status_t curve_prune(const struct circuit_edge *edges, size_t n_edges,
                     const struct model_shape *shape, bool *is_kept, size_t *n_kept,
                     struct error *err)
{
    struct joints joints = {.n = 0};
    const status_t status = joints_init(&joints, edges, n_edges, err);
    if (status == ST_OK) {
        while (prune_once(&joints, edges, n_edges, shape, is_kept)) continue;
        *n_kept = 0;
        for (size_t i = 0; i < n_edges; i++) *n_kept += is_kept[i];
    }
    joints_fini(&joints);
    return status;
}

/* --- areas -------------------------------------------------------------------------------- */

void faithfulness_curve_areas(const double *fractions, const double *f, size_t n, double *cpr,
                              double *cmd)
{
    *cpr = *cmd = 0.0;
    for (size_t i = 1; i < n; i++) {
        const double width = fractions[i] - fractions[i - 1];
        *cpr += width * (f[i] + f[i - 1]) / 2.0;
        *cmd += width * (fabs(1.0 - f[i]) + fabs(1.0 - f[i - 1])) / 2.0;
    }
}

void faithfulness_curve_fini(struct faithfulness_curve *curve)
{
    free(curve->f);
    *curve = (struct faithfulness_curve){.n_points = 0};
}

static status_t check_finite(const double *values, size_t n, const char *what, struct error *err)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(values[i]))
            return error_set(err, ST_BAD_INPUT, "curve: %s, value %zu is not finite", what, i);
    return ST_OK;
}

static status_t check_measures(const struct curve_measures *measures, struct error *err)
{
    const size_t n_prompts = measures->units.n_prompts, n = measures->n_points;
    if (n < 2) return error_set(err, ST_BAD_INPUT, "curve: %zu points, two are needed", n);
    status_t status = check_finite(measures->fractions, n, "fractions", err);
    if (status == ST_OK) status = prompt_units_check(&measures->units, err);
    if (status == ST_OK) status = check_finite(measures->full, n_prompts, "full", err);
    if (status == ST_OK) status = check_finite(measures->empty, n_prompts, "empty", err);
    if (status == ST_OK) status = check_finite(measures->runs, n * n_prompts, "runs", err);
    for (size_t i = 1; i < n && status == ST_OK; i++)
        if (!(measures->fractions[i] > measures->fractions[i - 1]))
            status = error_set(err, ST_BAD_INPUT, "curve: fractions %zu and %zu do not ascend",
                               i - 1, i);
    return status;
}

/* m(M) - m(empty), and whether that is anything. */
static status_t measure_span(const struct curve_measures *measures, double flat_errors,
                             double *span, bool *is_flat, struct error *err)
{
    const size_t n = measures->units.n_prompts;
    struct score_value error_of_mean;
    double *differences = malloc(n * sizeof *differences);
    if (!differences) return error_set(err, ST_NO_MEMORY, "%zu prompts", n);
    for (size_t i = 0; i < n; i++) differences[i] = measures->full[i] - measures->empty[i];
    const status_t status =
        prompt_standard_error(&measures->units, differences, &error_of_mean, err);
    *span = prompt_mean(differences, n);
    *is_flat = !error_of_mean.is_defined || *span == 0.0 ||
               fabs(*span) < flat_errors * error_of_mean.value;
    free(differences);
    return status;
}

static status_t fill_curve(struct faithfulness_curve *curve, const struct curve_measures *measures,
                           double span, struct error *err)
{
    const size_t n = measures->units.n_prompts;
    const double empty = prompt_mean(measures->empty, n);
    double *f = malloc(measures->n_points * sizeof *f);
    if (!f) return error_set(err, ST_NO_MEMORY, "%zu points", measures->n_points);
    for (size_t k = 0; k < measures->n_points; k++) {
        f[k] = (prompt_mean(measures->runs + k * n, n) - empty) / span;
        curve->f[k] = (struct score_value){true, f[k]};
    }
    curve->cpr.is_defined = curve->cmd.is_defined = true;
    faithfulness_curve_areas(measures->fractions, f, measures->n_points, &curve->cpr.value,
                             &curve->cmd.value);
    free(f);
    return ST_OK;
}

status_t faithfulness_curve_make(struct faithfulness_curve *out,
                                 const struct curve_measures *measures, double flat_errors,
                                 struct error *err)
{
    struct faithfulness_curve made = {.order = measures->order, .n_points = measures->n_points};
    double span = 0.0;
    status_t status = check_measures(measures, err);
    if (status == ST_OK) status = measure_span(measures, flat_errors, &span, &made.is_flat, err);
    if (status == ST_OK) {
        made.f = calloc(made.n_points, sizeof *made.f);
        if (!made.f) status = error_set(err, ST_NO_MEMORY, "%zu points", made.n_points);
    }
    if (status == ST_OK && !made.is_flat) status = fill_curve(&made, measures, span, err);
    if (status == ST_OK)
        *out = made;
    else
        faithfulness_curve_fini(&made);
    return status;
}
