/* Which slots are labelled: the chosen features of every target whose firing density on explain
 * tokens lies in the range that the target asks for. */
#include "common/evidence_view.h"
#include "common/hash.h"
#include "coordinator/sweep/label_scoring_parts.h"

#include <stdlib.h>

static status_t is_wanted(const struct label_run *run, size_t target, uint32_t slot, bool *wanted,
                          struct error *err)
{
    const struct sweep_target *asked = &run->sweep->spec->targets[target];
    struct evidence_view view;
    *wanted = true;
    if (asked->density_min <= 0 && asked->density_max >= 1) return ST_OK;
    const struct label_target *owner = &run->targets[target];
    const status_t status = evidence_view_open(owner->states[EVIDENCE_EXPLAIN], slot, &view, err);
    if (status != ST_OK) return status;
    const double n_firing =
        (double)evidence_view_n_above(&view, owner->frozen.fire_threshold[slot]);
    const double density = view.n_tokens ? n_firing / (double)view.n_tokens : 0;
    *wanted = density >= asked->density_min && density <= asked->density_max;
    return ST_OK;
}

/* Slots of one target, whose first has number `first` over all targets. */
static status_t choose_of_target(struct label_scoring *scoring, size_t target, size_t first,
                                 struct error *err)
{
    const struct label_target *owner = &scoring->run->targets[target];
    const uint32_t n_signs = owner->is_signed ? 2 : 1;
    status_t status = ST_OK;
    for (size_t i = 0, at = 0; i < owner->chosen.n && status == ST_OK; i++) {
        while (owner->captured.features[at] < owner->chosen.features[i]) at++; /* both ascend */
        for (uint32_t sign = 0; sign < n_signs && status == ST_OK; sign++) {
            const uint32_t slot = (uint32_t)at * n_signs + sign;
            bool wanted;
            status = is_wanted(scoring->run, target, slot, &wanted, err);
            if (status == ST_OK && wanted) scoring->slots[scoring->n_slots++] = first + slot;
        }
    }
    return status;
}

status_t label_slots_choose(struct label_scoring *scoring, struct error *err)
{
    const struct label_run *run = scoring->run;
    const size_t n_targets = run->sweep->spec->n_targets;
    size_t n_all = 0, first = 0;
    for (size_t i = 0; i < n_targets; i++) n_all += run->targets[i].n_slots;
    scoring->slots = malloc((n_all + 1) * sizeof *scoring->slots);
    if (!scoring->slots) return error_set(err, ST_NO_MEMORY, "%zu slots", n_all);
    status_t status = ST_OK;
    for (size_t i = 0; i < n_targets && status == ST_OK; first += run->targets[i++].n_slots)
        status = choose_of_target(scoring, i, first, err);
    if (status == ST_OK && scoring->n_slots == 0)
        status = error_set(err, ST_NOT_FOUND, "no feature fires within density_min, density_max");
    return status;
}

struct slot_name label_slot_name(const struct label_scoring *scoring, size_t index)
{
    const struct label_run *run = scoring->run;
    size_t number = scoring->slots[index];
    uint32_t target = 0;
    while (number >= run->targets[target].n_slots) number -= run->targets[target++].n_slots;
    const struct label_target *owner = &run->targets[target];
    const size_t position = owner->is_signed ? number / 2 : number;
    return (struct slot_name){.target = target,
                              .slot = (uint32_t)number,
                              .feature = owner->captured.features[position],
                              .sign = owner->is_signed ? (number % 2 ? -1 : 1) : 0};
}

uint64_t label_slot_subject(const struct label_scoring *scoring, size_t index)
{
    const struct slot_name name = label_slot_name(scoring, index);
    return hash_mix64(scoring->run->targets[name.target].key ^ hash_mix64(name.slot));
}

uint64_t label_slot_feature(const struct label_scoring *scoring, size_t index)
{
    const struct slot_name name = label_slot_name(scoring, index);
    return name.sign ? 2 * name.feature + (name.sign < 0) : name.feature;
}

bool label_slots_find(const struct label_scoring *scoring, size_t target, uint64_t feature,
                      size_t *index)
{
    const struct label_run *run = scoring->run;
    const struct label_target *owner = &run->targets[target];
    const uint64_t n_signs = owner->is_signed ? 2 : 1;
    const uint64_t unit = feature / n_signs;
    size_t first = 0, low = 0, high = scoring->n_slots, position;
    if (unit > UINT32_MAX || !feature_set_find(&owner->captured, (uint32_t)unit, &position))
        return false;
    for (size_t i = 0; i < target; i++) first += run->targets[i].n_slots;
    const size_t slot = first + position * n_signs + (size_t)(feature % n_signs);
    while (low < high) { /* slots ascend */
        const size_t middle = low + (high - low) / 2;
        if (scoring->slots[middle] < slot)
            low = middle + 1;
        else
            high = middle;
    }
    *index = low;
    return low < scoring->n_slots && scoring->slots[low] == slot;
}
