#include "coordinator/circuit/variant_values.h"

#include "common/hash.h"
#include "common/size.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_SLOTS = 256, FIRST_WANTED = 64 };

struct variant_key {
    uint64_t low, high;
};

/* A slot of the open-addressed table; row is the order in which sets were wanted. */
struct slot {
    struct variant_key key;
    uint32_t row;
    bool is_taken;
};

/* A set that waits for its values. */
struct queued {
    uint32_t *members; /* [n_nodes + n_edges], owned: nodes first */
};

struct variant_values {
    size_t n_prompts, max_variants;
    struct slot *slots; /* [n_slots], a power of two, at most half of them taken */
    size_t n_slots;
    double *rows;    /* [capacity, n_prompts]; row r of the r-th set that was wanted */
    size_t capacity; /* rows */
    size_t n_known;  /* rows 0 .. n_known are known, .. n_wanted are queued */
    size_t n_wanted;
    struct search_variant *queue; /* [n_wanted - n_known] of queue_size; views of `queued` */
    struct queued *queued;        /* [n_wanted - n_known] of queue_size */
    size_t queue_size;
    size_t n_asked; /* of the queue, by the last batch */
};

/* --- names of sets ------------------------------------------------------------------------ */

static void add_member(struct variant_key *key, uint64_t member)
{
    const uint64_t mixed = hash_mix64(member);
    key->low += hash_mix64(mixed ^ 0x6a09e667f3bcc908u);
    key->high += hash_mix64(mixed ^ 0xbb67ae8584caa73bu);
}

static struct variant_key key_of(const struct search_variant *variant)
{
    struct variant_key key = {0, 0};
    for (size_t i = 0; i < variant->n_nodes; i++) add_member(&key, 2 * (uint64_t)variant->nodes[i]);
    for (size_t i = 0; i < variant->n_edges; i++)
        add_member(&key, 2 * (uint64_t)variant->edges[i] + 1);
    return key;
}

/* The slot of a key, or the free one where it belongs. */
static struct slot *slot_of(struct slot *slots, size_t n_slots, struct variant_key key)
{
    size_t at = (size_t)key.low & (n_slots - 1);
    while (slots[at].is_taken && (slots[at].key.low != key.low || slots[at].key.high != key.high))
        at = (at + 1) & (n_slots - 1);
    return &slots[at];
}

/* --- life --------------------------------------------------------------------------------- */

status_t variant_values_create(struct variant_values **out, size_t n_prompts, size_t max_variants,
                               struct error *err)
{
    if (n_prompts == 0) return error_set(err, ST_BAD_INPUT, "search: no prompt");
    if (max_variants == 0 || max_variants > VARIANT_VALUES_MAX)
        return error_set(err, ST_BAD_INPUT, "search: max_variants %zu is not in 1 .. %d",
                         max_variants, (int)VARIANT_VALUES_MAX);
    struct variant_values *values = calloc(1, sizeof *values);
    struct slot *slots = calloc(FIRST_SLOTS, sizeof *slots);
    if (!values || !slots) {
        free(values);
        free(slots);
        return error_set(err, ST_NO_MEMORY, "search: %d slots", (int)FIRST_SLOTS);
    }
    *values = (struct variant_values){.n_prompts = n_prompts,
                                      .max_variants = max_variants,
                                      .slots = slots,
                                      .n_slots = FIRST_SLOTS};
    *out = values;
    return ST_OK;
}

void variant_values_destroy(struct variant_values **values)
{
    if (!*values) return;
    for (size_t i = 0; i < (*values)->n_wanted - (*values)->n_known; i++)
        free((*values)->queued[i].members);
    free((*values)->queue);
    free((*values)->queued);
    free((*values)->rows);
    free((*values)->slots);
    free(*values);
    *values = NULL;
}

/* --- wanting ------------------------------------------------------------------------------ */

const double *variant_values_find(const struct variant_values *values,
                                  const struct search_variant *variant)
{
    const struct slot *slot = slot_of(values->slots, values->n_slots, key_of(variant));
    if (!slot->is_taken || slot->row >= values->n_known) return NULL;
    return values->rows + slot->row * values->n_prompts;
}

static status_t grow_slots(struct variant_values *values, struct error *err)
{
    if (2 * (values->n_wanted + 1) <= values->n_slots) return ST_OK;
    const size_t n_slots = 2 * values->n_slots;
    struct slot *slots = calloc(n_slots, sizeof *slots);
    if (!slots) return error_set(err, ST_NO_MEMORY, "search: %zu slots", n_slots);
    for (size_t i = 0; i < values->n_slots; i++)
        if (values->slots[i].is_taken)
            *slot_of(slots, n_slots, values->slots[i].key) = values->slots[i];
    free(values->slots);
    values->slots = slots;
    values->n_slots = n_slots;
    return ST_OK;
}

static status_t grow_queue(struct variant_values *values, struct error *err)
{
    const size_t n_queued = values->n_wanted - values->n_known;
    if (n_queued < values->queue_size) return ST_OK;
    const size_t size = values->queue_size > 0 ? 2 * values->queue_size : FIRST_WANTED;
    struct search_variant *queue = realloc(values->queue, size * sizeof *queue);
    if (!queue) return error_set(err, ST_NO_MEMORY, "search: %zu variants", size);
    values->queue = queue;
    struct queued *queued = realloc(values->queued, size * sizeof *queued);
    if (!queued) return error_set(err, ST_NO_MEMORY, "search: %zu variants", size);
    values->queued = queued;
    values->queue_size = size;
    return ST_OK;
}

/* Both lists in one block, the nodes first. */
static status_t append_set(struct variant_values *values, const struct search_variant *from,
                           struct error *err)
{
    const size_t at = values->n_wanted - values->n_known;
    uint32_t *members = malloc((from->n_nodes + from->n_edges + 1) * sizeof *members);
    if (!members)
        return error_set(err, ST_NO_MEMORY, "search: a set of %zu", from->n_nodes + from->n_edges);
    if (from->n_nodes > 0) memcpy(members, from->nodes, from->n_nodes * sizeof *members);
    if (from->n_edges > 0)
        memcpy(members + from->n_nodes, from->edges, from->n_edges * sizeof *members);
    values->queued[at].members = members;
    values->queue[at] =
        (struct search_variant){members, members + from->n_nodes, from->n_nodes, from->n_edges};
    return ST_OK;
}

status_t variant_values_want(struct variant_values *values, const struct search_variant *variant,
                             bool *is_refused, struct error *err)
{
    const struct variant_key key = key_of(variant);
    *is_refused = false;
    if (slot_of(values->slots, values->n_slots, key)->is_taken) return ST_OK;
    *is_refused = values->n_wanted == values->max_variants;
    if (*is_refused) return ST_OK;
    status_t status = grow_slots(values, err);
    if (status == ST_OK) status = grow_queue(values, err);
    if (status != ST_OK) return status;
    status = append_set(values, variant, err);
    if (status != ST_OK) return status;
    *slot_of(values->slots, values->n_slots, key) =
        (struct slot){key, (uint32_t)values->n_wanted, true};
    values->n_wanted++;
    return ST_OK;
}

bool variant_values_place(const struct variant_values *values, const struct search_variant *variant,
                          size_t *place)
{
    const struct slot *slot = slot_of(values->slots, values->n_slots, key_of(variant));
    if (slot->is_taken) *place = slot->row;
    return slot->is_taken;
}

/* --- asking and telling ------------------------------------------------------------------- */

struct search_batch variant_values_batch(struct variant_values *values, size_t max_batch)
{
    const size_t n_queued = values->n_wanted - values->n_known;
    if (values->n_asked == 0) values->n_asked = n_queued < max_batch ? n_queued : max_batch;
    return (struct search_batch){values->queue, values->n_asked};
}

static status_t grow_rows(struct variant_values *values, size_t n_rows, struct error *err)
{
    size_t capacity = values->capacity > 0 ? values->capacity : FIRST_WANTED, n_bytes;
    if (n_rows <= values->capacity) return ST_OK;
    while (capacity < n_rows) capacity *= 2;
    if (!size_tensor(capacity, values->n_prompts, sizeof *values->rows, &n_bytes))
        return error_set(err, ST_NO_MEMORY, "search: %zu rows", capacity);
    double *rows = realloc(values->rows, n_bytes);
    if (!rows) return error_set(err, ST_NO_MEMORY, "search: %zu rows", capacity);
    values->rows = rows;
    values->capacity = capacity;
    return ST_OK;
}

status_t variant_values_tell(struct variant_values *values, const double *rows, struct error *err)
{
    const size_t n = values->n_asked, n_queued = values->n_wanted - values->n_known;
    const status_t status = grow_rows(values, values->n_known + n, err);
    if (status != ST_OK || n == 0) return status;
    memcpy(values->rows + values->n_known * values->n_prompts, rows,
           n * values->n_prompts * sizeof *rows);
    for (size_t i = 0; i < n; i++) free(values->queued[i].members);
    memmove(values->queue, values->queue + n, (n_queued - n) * sizeof *values->queue);
    memmove(values->queued, values->queued + n, (n_queued - n) * sizeof *values->queued);
    values->n_known += n;
    values->n_asked = 0;
    return ST_OK;
}

size_t variant_values_n_wanted(const struct variant_values *values)
{
    return values->n_wanted;
}

size_t variant_values_n_known(const struct variant_values *values)
{
    return values->n_known;
}
