#include "worker/model/memory_plan.h"

#include "worker/model/memory_measure.h"

#include <stdio.h>
#include <string.h>

enum {
    MARGIN = 32, /* 1 / 32 of what is free is left: allocators round up */
    MEMORY_FREE_SIZE = 80,
    EACH_SIZE = 160,
    PARTS_SIZE = 240
};
static const double MIB = 1024.0 * 1024.0;

size_t memory_plan_tokens(const struct memory_plan *plan, const struct backend *backend,
                          size_t n_bytes_each, size_t n_beside)
{
    const struct backend_memory memory = backend->ops->memory(backend);
    const size_t n_planned = plan->n_clean + plan->n_copies;
    const size_t n_unplanned = n_beside > n_planned ? n_beside - n_planned : 0;
    if (!memory.n_total) return 0;
    const size_t n_share = plan->n_room / plan->n_threads;
    const size_t n_free = memory.n_free > n_beside ? memory.n_free - n_beside : 0;
    const size_t n_left = n_share > n_unplanned ? n_share - n_unplanned : 0;
    const size_t n_tokens = (n_free < n_left ? n_free : n_left) / 2 / n_bytes_each;
    return n_tokens ? n_tokens : 1;
}

/* What every thread has beside its pass. */
static size_t beside_bytes(const struct memory_plan *plan)
{
    return plan->n_scratch + plan->n_compare + plan->n_clean +
           (plan->has_digests ? plan->n_digest : 0);
}

size_t memory_plan_least(const struct memory_plan *plan)
{
    return plan->n_resident + plan->n_threads * plan->n_smallest;
}

/* Windows are each thread's own. The head comes with the first task that reads logits; what streams
 * may still find room for it by smaller batches, unless it is known to be read. */
static void stream_layers(struct memory_plan *plan, size_t n_fixed)
{
    const size_t n_at_once = plan->n_threads * WINDOW_N_LAYERS;
    const bool has_head = plan->n_compare || plan->n_adjoint_head;
    plan->is_streamed = true;
    plan->n_adjoint = plan->n_adjoint_head + n_at_once * plan->n_adjoint_layer;
    plan->n_resident = n_fixed + plan->n_adjoint + n_at_once * plan->n_windows * plan->n_layer +
                       (has_head ? plan->n_head : 0);
    plan->n_host = plan->n_layers * (plan->n_layer + plan->n_adjoint_layer);
}

/* Several threads that may be fewer are worth having where none of them streams layers for itself
 * and each has a batch in its buffers that is whole, as far as it is known. */
static bool is_for_fewer(const struct memory_plan *plan, const struct memory_plan_params *p)
{
    if (plan->n_threads == 1 || !p->needs || !p->needs->may_be_fewer) return false;
    return plan->is_streamed || !plan->n_fitting || plan->n_fitting < p->needs->n_rows;
}

/* How many layers may be there, then how many sequences. */
static void choose(struct memory_plan *plan, const struct memory_plan_params *p)
{
    const size_t n_fixed =
        plan->n_tables + plan->n_dictionary + plan->n_threads * beside_bytes(plan);
    const size_t n_usable = plan->memory.n_free - plan->memory.n_free / MARGIN;
    const bool can_stream =
        backend_supports(p->backend, BACKEND_STREAMING) && plan->n_layers > WINDOW_N_LAYERS;
    plan->n_adjoint = plan->n_adjoint_head + plan->n_layers * plan->n_adjoint_layer;
    plan->n_resident = n_fixed + plan->n_adjoint + plan->n_head + plan->n_layers * plan->n_layer;
    plan->n_room = SIZE_MAX;
    plan->n_fitting = 1;
    if (!plan->memory.n_total) return; /* nobody knows: try */
    if (can_stream && memory_plan_least(plan) > n_usable) stream_layers(plan, n_fixed);
    plan->n_fitting = plan->n_room = 0;
    if (memory_plan_least(plan) > n_usable) return;
    plan->n_room = n_usable - plan->n_resident - plan->n_threads * plan->n_kept;
    const size_t n_fitting = plan->n_room / plan->n_threads / 2 / plan->n_sequence;
    plan->n_fitting = n_fitting ? n_fitting : 1;
}

/* Digests save the host's time and take nothing from the pass: with them too as many layers and
 * threads are there, and a whole batch, or as much of it as without. */
static void choose_digests(struct memory_plan *plan, const struct memory_plan_params *p)
{
    struct memory_plan with = *plan;
    const size_t n_rows = p->needs ? p->needs->n_rows : 0;
    const size_t n_wanted = n_rows && n_rows < plan->n_fitting ? n_rows : plan->n_fitting;
    if (!plan->n_digest || !plan->n_fitting) return;
    with.has_digests = true;
    with.is_streamed = false;
    choose(&with, p);
    if (with.is_streamed == plan->is_streamed && with.n_fitting >= n_wanted) *plan = with;
}

status_t memory_plan_make(struct memory_plan *out, const struct memory_plan_params *params,
                          struct error *err)
{
    struct memory_plan plan = {.host = params->host};
    const status_t status = memory_measure(&plan, params, err);
    if (status != ST_OK) return status;
    choose(&plan, params);
    if (is_for_fewer(&plan, params)) {
        plan.n_threads = 1;
        plan.is_streamed = false;
        choose(&plan, params);
    }
    choose_digests(&plan, params);
    *out = plan;
    return ST_OK;
}

/* "each of 2 threads: scratch 12.0, digests 0.0, comparisons 2.1, clean passes 4.0" */
static const char *write_each(const struct memory_plan *plan, char out[EACH_SIZE])
{
    const int n = plan->n_threads > 1
                      ? snprintf(out, EACH_SIZE, "each of %zu threads: ", plan->n_threads)
                      : 0;
    (void)snprintf(out + n, EACH_SIZE - (size_t)n,
                   "scratch %.1f, digests %.1f, comparisons %.1f, clean passes %.1f",
                   (double)plan->n_scratch / MIB,
                   plan->has_digests ? (double)plan->n_digest / MIB : 0.0,
                   (double)plan->n_compare / MIB, (double)plan->n_clean / MIB);
    return out;
}

/* ", weights 8.1" behind what is there; what takes nothing is left out. */
static void add_part(char parts[PARTS_SIZE], const char *name, size_t n_bytes)
{
    const size_t n = strlen(parts);
    if (n_bytes)
        (void)snprintf(parts + n, PARTS_SIZE - n, "%s%s %.1f", n ? ", " : "", name,
                       (double)n_bytes / MIB);
}

/* Everything that the smallest plan takes, in MiB. */
static void write_parts(const struct memory_plan *plan, char out[PARTS_SIZE])
{
    const size_t n_weights = plan->n_resident - plan->n_adjoint - plan->n_dictionary -
                             plan->n_threads * beside_bytes(plan);
    char pass[48];
    (void)snprintf(pass, sizeof pass, "a pass over %zu tokens", plan->n_ctx);
    out[0] = '\0';
    add_part(out, "weights", n_weights);
    add_part(out, "derivatives'", plan->n_adjoint);
    add_part(out, "dictionaries", plan->n_dictionary);
    add_part(out, "scratch", plan->n_threads * plan->n_scratch);
    add_part(out, "comparisons", plan->n_threads * plan->n_compare);
    add_part(out, "clean passes", plan->n_threads * plan->n_clean);
    if (plan->has_digests) add_part(out, "digests", plan->n_threads * plan->n_digest);
    add_part(out, pass, plan->n_threads * plan->n_smallest);
}

static status_t check_host(const struct memory_plan *plan, const struct backend *backend,
                           struct error *err)
{
    const size_t n_reserve = plan->host.n_free / MARGIN;
    if (!plan->is_streamed || !plan->host.n_total || plan->n_host <= plan->host.n_free - n_reserve)
        return ST_OK;
    return error_set(err, ST_NO_MEMORY,
                     "does not fit on %s but streamed, and the host has no room for that: %zu "
                     "layers take %zu bytes of its memory, %zu of %zu bytes are free, %zu of them "
                     "kept in reserve",
                     backend->ops->describe(backend), plan->n_layers, plan->n_host,
                     plan->host.n_free, plan->host.n_total, n_reserve);
}

status_t memory_plan_check(const struct memory_plan *plan, const struct backend *backend,
                           struct error *err)
{
    char parts[PARTS_SIZE], threads[40] = "";
    if (plan->n_fitting) return check_host(plan, backend, err);
    if (plan->n_threads > 1)
        (void)snprintf(threads, sizeof threads, ", for %zu threads", plan->n_threads);
    const size_t n_least = memory_plan_least(plan);
    write_parts(plan, parts);
    return error_set(err, ST_NO_MEMORY,
                     "does not fit on %s%s: it takes %zu bytes (MiB%s: %s), %zu of %zu bytes are "
                     "free, %zu of them kept in reserve",
                     backend->ops->describe(backend), plan->is_streamed ? ", even streamed" : "",
                     n_least, threads, parts, plan->memory.n_free, plan->memory.n_total,
                     plan->memory.n_free / MARGIN);
}

/* "... 12.5 of 80.0 MiB free" */
static void write_free(const struct memory_plan *plan, char out[MEMORY_FREE_SIZE])
{
    if (plan->memory.n_total)
        (void)snprintf(out, MEMORY_FREE_SIZE, "%.1f of %.1f MiB free",
                       (double)plan->memory.n_free / MIB, (double)plan->memory.n_total / MIB);
    else
        (void)snprintf(out, MEMORY_FREE_SIZE, "what is free is not known");
}

const char *memory_plan_text(const struct memory_plan *plan, char out[MEMORY_PLAN_TEXT_SIZE])
{
    char n_free[MEMORY_FREE_SIZE], each[EACH_SIZE];
    write_free(plan, n_free);
    (void)snprintf(
        out, MEMORY_PLAN_TEXT_SIZE,
        "%s, %.1f MiB resident (tables %.1f, head %.1f, %zu layers of %.1f, derivatives' %.1f, %zu "
        "dictionaries %.1f, %s), %zu sequences of %zu tokens at %.2f MiB, %s",
        plan->is_streamed ? "layers streamed" : "all layers there", (double)plan->n_resident / MIB,
        (double)plan->n_tables / MIB, (double)plan->n_head / MIB, plan->n_layers,
        (double)plan->n_layer / MIB, (double)plan->n_adjoint / MIB, plan->n_dictionaries,
        (double)plan->n_dictionary / MIB, write_each(plan, each), plan->n_fitting, plan->n_ctx,
        (double)plan->n_sequence / MIB, n_free);
    return out;
}
