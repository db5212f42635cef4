#include "coordinator/circuit/random_circuits.h"

#include "common/size.h"
#include "coordinator/session/draw.h"

#include <stdlib.h>
#include <string.h>

enum { ATTEMPTS_PER_CIRCUIT = 100, MAX_LISTED_ITEMS = 1 << 24 };

/* Candidates of one layer, type and site, and those of them that the circuit uses. Both sorted
 * lists are cut into strata in the same order. */
struct stratum {
    size_t first_candidate, n_candidates;
    size_t first_base, n_bases;
};

/* The work: `bases` are the circuit's components without positions, each once. An arrangement
 * says for each base which candidate stands in for it. */
struct drawing {
    const struct circuit *circuit;
    struct component *candidates; /* [n_candidates], sorted */
    size_t n_candidates;
    struct component *bases; /* [n_bases], sorted */
    size_t n_bases;
    uint32_t *node_base;     /* [n_nodes] index into bases */
    uint32_t *sender_base;   /* [n_edges] index into bases; UINT32_MAX: a graph end */
    uint32_t *receiver_base; /* [n_edges] */
    struct stratum *strata;  /* [n_strata] */
    size_t n_strata;
    bool is_plain; /* no edges, no positions: which candidates, not which for which */
};

/* Arrangements that were found, with the name of the circuit that each makes. */
struct listing {
    struct arrangement {
        uint64_t key;
        size_t row; /* of rows */
    } * items;
    size_t n, capacity;
    uint32_t *rows; /* [capacity, n_bases] */
};

void random_circuits_fini(struct random_circuits *circuits)
{
    free(circuits->nodes);
    free(circuits->edges);
    *circuits = (struct random_circuits){.n = 0};
}

static void drawing_fini(struct drawing *drawing)
{
    free(drawing->candidates);
    free(drawing->bases);
    free(drawing->node_base);
    free(drawing->sender_base);
    free(drawing->receiver_base);
    free(drawing->strata);
}

/* --- setting up --------------------------------------------------------------------------- */

static struct component base_of(const struct component *component)
{
    struct component base = *component;
    memset(base.position, 0, sizeof base.position);
    return base;
}

/* Index in a sorted list; n if it is not there. */
static size_t find_component(const struct component *sorted, size_t n,
                             const struct component *component)
{
    const struct component *found =
        n > 0 ? bsearch(component, sorted, n, sizeof *sorted, component_compare_items) : NULL;
    return found ? (size_t)(found - sorted) : n;
}

static bool is_same_stratum(const struct component *a, const struct component *b)
{
    return a->layer == b->layer && a->type == b->type && a->site == b->site;
}

static status_t sort_candidates(struct drawing *drawing, const struct circuit_candidates *given,
                                struct error *err)
{
    char name[COMPONENT_NAME_SIZE];
    if (given->n > UINT32_MAX) return error_set(err, ST_TOO_LARGE, "%zu candidates", given->n);
    drawing->candidates = malloc((given->n + 1) * sizeof *drawing->candidates);
    if (!drawing->candidates) return error_set(err, ST_NO_MEMORY, "%zu candidates", given->n);
    if (given->n > 0)
        memcpy(drawing->candidates, given->components, given->n * sizeof *given->components);
    drawing->n_candidates = given->n;
    qsort(drawing->candidates, given->n, sizeof *drawing->candidates, component_compare_items);
    for (size_t i = 0; i < given->n; i++) {
        const struct component *candidate = &drawing->candidates[i];
        if (candidate->position[0])
            return error_set(err, ST_BAD_INPUT, "candidate %s has a position",
                             component_name(candidate, name));
        if (i > 0 && component_equal(candidate - 1, candidate))
            return error_set(err, ST_BAD_INPUT, "candidate %s is listed twice",
                             component_name(candidate, name));
    }
    return ST_OK;
}

static status_t sort_bases(struct drawing *drawing, struct error *err)
{
    const struct circuit *circuit = drawing->circuit;
    char name[COMPONENT_NAME_SIZE];
    size_t n = 0;
    drawing->bases = malloc((circuit->n_nodes + 1) * sizeof *drawing->bases);
    if (!drawing->bases) return error_set(err, ST_NO_MEMORY, "%zu nodes", circuit->n_nodes);
    drawing->is_plain = circuit->n_edges == 0;
    for (size_t i = 0; i < circuit->n_nodes; i++) {
        drawing->bases[i] = base_of(&circuit->nodes[i].component);
        if (circuit->nodes[i].component.position[0]) drawing->is_plain = false;
    }
    qsort(drawing->bases, circuit->n_nodes, sizeof *drawing->bases, component_compare_items);
    for (size_t i = 0; i < circuit->n_nodes; i++) {
        if (n > 0 && component_equal(&drawing->bases[n - 1], &drawing->bases[i])) continue;
        drawing->bases[n++] = drawing->bases[i];
        if (find_component(drawing->candidates, drawing->n_candidates, &drawing->bases[n - 1]) ==
            drawing->n_candidates)
            return error_set(err, ST_BAD_INPUT, "%s is in the circuit, and no candidate",
                             component_name(&drawing->bases[n - 1], name));
    }
    drawing->n_bases = n;
    return ST_OK;
}

/* From `at` on, the end of the candidates of one stratum. */
static size_t stratum_end(const struct drawing *drawing, size_t at)
{
    const struct component *first = &drawing->candidates[at];
    while (at < drawing->n_candidates && is_same_stratum(&drawing->candidates[at], first)) at++;
    return at;
}

/* Candidates [first, end) of one stratum into `out`: without the circuit's, where the others are
 * enough to stand in for those. Returns how many. */
static size_t keep_strangers(const struct drawing *drawing, size_t first, size_t end,
                             struct component *out)
{
    size_t n_strangers = 0;
    for (size_t i = first; i < end; i++)
        n_strangers += find_component(drawing->bases, drawing->n_bases, &drawing->candidates[i]) ==
                       drawing->n_bases;
    const bool is_enough = 2 * n_strangers >= end - first;
    size_t n = 0;
    for (size_t i = first; i < end; i++) {
        const struct component *candidate = &drawing->candidates[i];
        const bool is_stranger =
            find_component(drawing->bases, drawing->n_bases, candidate) == drawing->n_bases;
        if (is_stranger || !is_enough) out[n++] = *candidate; /* out may be where they stand */
    }
    return n;
}

static void leave_members_out(struct drawing *drawing)
{
    size_t n_kept = 0;
    for (size_t first = 0, end; first < drawing->n_candidates; first = end) {
        end = stratum_end(drawing, first);
        n_kept += keep_strangers(drawing, first, end, drawing->candidates + n_kept);
    }
    drawing->n_candidates = n_kept;
}

static status_t index_bases(struct drawing *drawing, struct error *err)
{
    const struct circuit *circuit = drawing->circuit;
    drawing->node_base = calloc(circuit->n_nodes + 1, sizeof *drawing->node_base);
    drawing->sender_base = calloc(circuit->n_edges + 1, sizeof *drawing->sender_base);
    drawing->receiver_base = calloc(circuit->n_edges + 1, sizeof *drawing->receiver_base);
    if (!drawing->node_base || !drawing->sender_base || !drawing->receiver_base)
        return error_set(err, ST_NO_MEMORY, "%zu edges", circuit->n_edges);
    for (size_t i = 0; i < circuit->n_nodes; i++) {
        const struct component base = base_of(&circuit->nodes[i].component);
        drawing->node_base[i] = (uint32_t)find_component(drawing->bases, drawing->n_bases, &base);
    }
    for (size_t i = 0; i < circuit->n_edges; i++) {
        const struct component from = base_of(&circuit->edges[i].sender);
        const struct component to = base_of(&circuit->edges[i].receiver);
        const size_t sender = find_component(drawing->bases, drawing->n_bases, &from);
        const size_t receiver = find_component(drawing->bases, drawing->n_bases, &to);
        drawing->sender_base[i] = sender < drawing->n_bases ? (uint32_t)sender : UINT32_MAX;
        drawing->receiver_base[i] = receiver < drawing->n_bases ? (uint32_t)receiver : UINT32_MAX;
    }
    return ST_OK;
}

static status_t cut_strata(struct drawing *drawing, struct error *err)
{
    size_t at = 0;
    drawing->strata = calloc(drawing->n_bases + 1, sizeof *drawing->strata);
    if (!drawing->strata) return error_set(err, ST_NO_MEMORY, "%zu nodes", drawing->n_bases);
    for (size_t b = 0; b < drawing->n_bases; b++) {
        const struct component *base = &drawing->bases[b];
        if (b > 0 && is_same_stratum(base - 1, base)) {
            drawing->strata[drawing->n_strata - 1].n_bases++;
            continue;
        }
        while (!is_same_stratum(&drawing->candidates[at], base)) at++; /* it is there */
        struct stratum *stratum = &drawing->strata[drawing->n_strata++];
        *stratum = (struct stratum){at, 0, b, 1};
        while (at < drawing->n_candidates && is_same_stratum(&drawing->candidates[at], base)) at++;
        stratum->n_candidates = at - stratum->first_candidate;
    }
    return ST_OK;
}

/* --- arrangements ------------------------------------------------------------------------- */

static struct component stand_in(const struct drawing *drawing, const uint32_t *arrangement,
                                 const struct component *component, uint32_t base)
{
    struct component made = *component;
    if (base != UINT32_MAX) made.index = drawing->candidates[arrangement[base]].index;
    return made;
}

static uint64_t component_key(const struct component *component)
{
    uint64_t key = hash_mix64((uint64_t)component->layer << 32 | component->index);
    key = hash_mix64(key ^ ((uint64_t)component->type << 8 | (uint64_t)component->site));
    for (size_t i = 0; i < COMPONENT_POSITION_SIZE && component->position[i]; i++)
        key = hash_mix64(key ^ (unsigned char)component->position[i]);
    return key;
}

/* The name of the set of nodes and edges that an arrangement makes: a sum, so that their order
 * does not matter. NULL: of the circuit itself. */
static uint64_t arrangement_key(const struct drawing *drawing, const uint32_t *arrangement)
{
    const struct circuit *circuit = drawing->circuit;
    uint64_t sum = 0;
    for (size_t i = 0; i < circuit->n_nodes; i++) {
        const struct component *node = &circuit->nodes[i].component;
        const struct component made =
            arrangement ? stand_in(drawing, arrangement, node, drawing->node_base[i]) : *node;
        sum += component_key(&made);
    }
    for (size_t i = 0; i < circuit->n_edges; i++) {
        struct circuit_edge edge = circuit->edges[i];
        if (arrangement) {
            edge.sender = stand_in(drawing, arrangement, &edge.sender, drawing->sender_base[i]);
            edge.receiver =
                stand_in(drawing, arrangement, &edge.receiver, drawing->receiver_base[i]);
        }
        sum += hash_mix64(component_key(&edge.sender) ^
                          hash_mix64(component_key(&edge.receiver) + (uint64_t)edge.input));
    }
    return sum;
}

/* How many arrangements there are, or RANDOM_CIRCUITS_MAX_LISTED + 1 if more than that. */
static size_t count_arrangements(const struct drawing *drawing)
{
    const size_t too_many = RANDOM_CIRCUITS_MAX_LISTED + 1;
    size_t count = 1;
    for (size_t s = 0; s < drawing->n_strata; s++) {
        const struct stratum *stratum = &drawing->strata[s];
        size_t ways = 1; /* C(n, k) or n! / (n - k)!; every prefix of the product is whole */
        const size_t n = stratum->n_candidates;
        size_t k = stratum->n_bases;
        if (drawing->is_plain && k > n - k) k = n - k;
        for (size_t i = 0; i < k; i++) {
            if (ways > too_many * (i + 1) || n - i > too_many) return too_many;
            ways = drawing->is_plain ? ways * (n - i) / (i + 1) : ways * (n - i);
            if (ways >= too_many) return too_many;
        }
        count *= ways;
        if (count >= too_many) return too_many;
    }
    return count;
}

/* The first arrangement: in each stratum the first candidates. */
static void first_arrangement(const struct drawing *drawing, uint32_t *arrangement)
{
    for (size_t s = 0; s < drawing->n_strata; s++)
        for (size_t k = 0; k < drawing->strata[s].n_bases; k++)
            arrangement[drawing->strata[s].first_base + k] =
                (uint32_t)(drawing->strata[s].first_candidate + k);
}

static bool is_taken(const uint32_t *chosen, size_t n, uint32_t candidate)
{
    for (size_t i = 0; i < n; i++)
        if (chosen[i] == candidate) return true;
    return false;
}

/* The lowest candidate from `from` on that chosen[0 .. k) leaves free; `end` if there is none.
 * Plain: above chosen[k - 1], so that a set comes once. */
static uint32_t next_free(const uint32_t *chosen, size_t k, uint32_t from, uint32_t end,
                          bool is_plain)
{
    if (is_plain) return from;
    while (from < end && is_taken(chosen, k, from)) from++;
    return from;
}

/* Fill chosen[k ..] with the lowest that is allowed; false if that does not work out. */
static bool fill_up(uint32_t *chosen, size_t k, const struct stratum *stratum, bool is_plain)
{
    const uint32_t begin = (uint32_t)stratum->first_candidate;
    const uint32_t end = begin + (uint32_t)stratum->n_candidates;
    for (; k < stratum->n_bases; k++) {
        const uint32_t from = is_plain && k > 0 ? chosen[k - 1] + 1 : begin;
        chosen[k] = next_free(chosen, k, from, end, is_plain);
        if (chosen[k] >= end) return false;
    }
    return true;
}

/* The next arrangement of one stratum in lexicographic order; false, and the first again, behind
 * the last. */
static bool advance_stratum(uint32_t *chosen, const struct stratum *stratum, bool is_plain)
{
    const uint32_t end = (uint32_t)(stratum->first_candidate + stratum->n_candidates);
    for (size_t k = stratum->n_bases; k > 0; k--) {
        uint32_t next = next_free(chosen, k - 1, chosen[k - 1] + 1, end, is_plain);
        for (; next < end; next = next_free(chosen, k - 1, next + 1, end, is_plain)) {
            chosen[k - 1] = next;
            if (fill_up(chosen, k, stratum, is_plain)) return true;
        }
    }
    (void)fill_up(chosen, 0, stratum, is_plain);
    return false;
}

static bool advance_arrangement(const struct drawing *drawing, uint32_t *arrangement)
{
    for (size_t s = 0; s < drawing->n_strata; s++)
        if (advance_stratum(arrangement + drawing->strata[s].first_base, &drawing->strata[s],
                            drawing->is_plain))
            return true;
    return false;
}

/* Uniform: the first n_bases of a shuffle of each stratum. `room` [n_candidates]. */
static void draw_arrangement(const struct drawing *drawing, struct draw *draw, uint32_t *room,
                             uint32_t *arrangement)
{
    for (size_t s = 0; s < drawing->n_strata; s++) {
        const struct stratum *stratum = &drawing->strata[s];
        const uint32_t n = (uint32_t)stratum->n_candidates;
        for (uint32_t i = 0; i < n; i++) room[i] = (uint32_t)stratum->first_candidate + i;
        for (uint32_t k = 0; k < (uint32_t)stratum->n_bases; k++) {
            const uint32_t at = k + draw_below(draw, n - k);
            const uint32_t drawn = room[at];
            room[at] = room[k];
            room[k] = drawn;
            arrangement[stratum->first_base + k] = drawn;
        }
    }
}

/* --- listings ----------------------------------------------------------------------------- */

static status_t listing_init(struct listing *listing, size_t capacity, size_t n_bases,
                             struct error *err)
{
    size_t n_bytes;
    *listing = (struct listing){.capacity = capacity};
    if (!size_tensor(capacity + 1, n_bases + 1, sizeof(uint32_t), &n_bytes))
        return error_set(err, ST_TOO_LARGE, "%zu random circuits", capacity);
    listing->items = malloc((capacity + 1) * sizeof *listing->items);
    listing->rows = malloc(n_bytes);
    if (listing->items && listing->rows) return ST_OK;
    return error_set(err, ST_NO_MEMORY, "%zu random circuits of %zu nodes", capacity, n_bases);
}

static void listing_fini(struct listing *listing)
{
    free(listing->items);
    free(listing->rows);
}

static void listing_add(struct listing *listing, const struct drawing *drawing,
                        const uint32_t *arrangement, uint64_t key)
{
    memcpy(listing->rows + listing->n * drawing->n_bases, arrangement,
           drawing->n_bases * sizeof *arrangement);
    listing->items[listing->n] = (struct arrangement){key, listing->n};
    listing->n++;
}

static int compare_arrangements(const void *a, const void *b)
{
    const struct arrangement *left = a, *right = b;
    if (left->key != right->key) return left->key < right->key ? -1 : 1;
    return (left->row > right->row) - (left->row < right->row);
}

/* In order of keys, each circuit once, the circuit itself left out. */
static void keep_different(struct listing *listing, uint64_t own_key)
{
    size_t n = 0;
    qsort(listing->items, listing->n, sizeof *listing->items, compare_arrangements);
    for (size_t i = 0; i < listing->n; i++) {
        const uint64_t key = listing->items[i].key;
        if (key == own_key || (n > 0 && listing->items[n - 1].key == key)) continue;
        listing->items[n++] = listing->items[i];
    }
    listing->n = n;
}

/* All of them. */
static void list_all(struct listing *listing, const struct drawing *drawing)
{
    uint32_t *arrangement = listing->rows + listing->capacity * drawing->n_bases; /* spare row */
    first_arrangement(drawing, arrangement);
    do {
        listing_add(listing, drawing, arrangement, arrangement_key(drawing, arrangement));
    } while (listing->n < listing->capacity && advance_arrangement(drawing, arrangement));
    keep_different(listing, arrangement_key(drawing, NULL));
}

/* Keep n of them, drawn. */
static void choose_some(struct listing *listing, size_t n, struct draw *draw)
{
    for (size_t i = 0; i < n; i++) {
        const size_t at = i + draw_below(draw, (uint32_t)(listing->n - i));
        const struct arrangement drawn = listing->items[at];
        listing->items[at] = listing->items[i];
        listing->items[i] = drawn;
    }
    listing->n = n;
}

static status_t draw_some(struct listing *listing, const struct drawing *drawing, size_t n_wanted,
                          struct draw *draw, struct error *err)
{
    const uint64_t own_key = arrangement_key(drawing, NULL);
    uint32_t *arrangement = listing->rows + listing->capacity * drawing->n_bases;
    uint32_t *room = calloc(drawing->n_candidates + 1, sizeof *room);
    if (!room) return error_set(err, ST_NO_MEMORY, "%zu candidates", drawing->n_candidates);
    for (size_t i = 0; i < n_wanted * ATTEMPTS_PER_CIRCUIT && listing->n < n_wanted; i++) {
        draw_arrangement(drawing, draw, room, arrangement);
        const uint64_t key = arrangement_key(drawing, arrangement);
        bool is_new = key != own_key;
        for (size_t k = 0; is_new && k < listing->n; k++) is_new = listing->items[k].key != key;
        if (is_new) listing_add(listing, drawing, arrangement, key);
    }
    free(room);
    return ST_OK;
}

static status_t write_circuits(struct random_circuits *out, const struct drawing *drawing,
                               const struct listing *listing, struct error *err)
{
    const struct circuit *circuit = drawing->circuit;
    const size_t n_nodes = circuit->n_nodes, n_edges = circuit->n_edges;
    size_t node_bytes, edge_bytes;
    if (!size_tensor(listing->n + 1, n_nodes + 1, sizeof *out->nodes, &node_bytes) ||
        !size_tensor(listing->n + 1, n_edges + 1, sizeof *out->edges, &edge_bytes))
        return error_set(err, ST_TOO_LARGE, "%zu random circuits", listing->n);
    *out = (struct random_circuits){listing->n,         n_nodes, n_edges, malloc(node_bytes),
                                    malloc(edge_bytes), false};
    if (!out->nodes || !out->edges)
        return error_set(err, ST_NO_MEMORY, "%zu random circuits", listing->n);
    for (size_t r = 0; r < listing->n; r++) {
        const uint32_t *arrangement = listing->rows + listing->items[r].row * drawing->n_bases;
        for (size_t i = 0; i < n_nodes; i++)
            out->nodes[r * n_nodes + i] =
                stand_in(drawing, arrangement, &circuit->nodes[i].component, drawing->node_base[i]);
        for (size_t i = 0; i < n_edges; i++) {
            struct circuit_edge *edge = &out->edges[r * n_edges + i];
            *edge = circuit->edges[i];
            edge->sender = stand_in(drawing, arrangement, &edge->sender, drawing->sender_base[i]);
            edge->receiver =
                stand_in(drawing, arrangement, &edge->receiver, drawing->receiver_base[i]);
        }
    }
    return ST_OK;
}

static status_t draw_circuits(struct random_circuits *out, const struct drawing *drawing,
                              size_t n_wanted, uint64_t seed, struct error *err)
{
    const size_t n_arrangements = count_arrangements(drawing);
    const bool is_listed = n_arrangements <= RANDOM_CIRCUITS_MAX_LISTED &&
                           n_arrangements * (drawing->n_bases + 1) <= MAX_LISTED_ITEMS;
    struct draw draw = draw_stream(seed, DRAW_CIRCUIT, 0);
    struct listing listing;
    bool is_exhaustive = false;
    status_t status =
        listing_init(&listing, is_listed ? n_arrangements : n_wanted, drawing->n_bases, err);
    if (status == ST_OK && is_listed) {
        list_all(&listing, drawing);
        is_exhaustive = listing.n <= n_wanted;
        if (!is_exhaustive) choose_some(&listing, n_wanted, &draw);
    } else if (status == ST_OK) {
        status = draw_some(&listing, drawing, n_wanted, &draw, err);
    }
    if (status == ST_OK) status = write_circuits(out, drawing, &listing, err);
    if (status == ST_OK) out->is_exhaustive = is_exhaustive;
    listing_fini(&listing);
    return status;
}

status_t random_circuits_draw(struct random_circuits *out, const struct circuit *circuit,
                              const struct circuit_candidates *candidates, size_t n_wanted,
                              uint64_t seed, struct error *err)
{
    struct drawing drawing = {.circuit = circuit};
    struct random_circuits made = {.n = 0};
    if (n_wanted == 0 || n_wanted > RANDOM_CIRCUITS_MAX)
        return error_set(err, ST_BAD_INPUT, "%zu random circuits (1 to %d)", n_wanted,
                         RANDOM_CIRCUITS_MAX);
    status_t status = sort_candidates(&drawing, candidates, err);
    if (status == ST_OK) status = sort_bases(&drawing, err);
    if (status == ST_OK) status = index_bases(&drawing, err);
    if (status == ST_OK) leave_members_out(&drawing);
    if (status == ST_OK) status = cut_strata(&drawing, err);
    if (status == ST_OK) status = draw_circuits(&made, &drawing, n_wanted, seed, err);
    drawing_fini(&drawing);
    if (status == ST_OK)
        *out = made;
    else
        random_circuits_fini(&made);
    return status;
}
