#include "coordinator/sweep/label_outputs.h"

#include "coordinator/sweep/label_run.h"

#include <stdlib.h>
#include <string.h>

status_t label_outputs_init(struct label_outputs *out, const struct label_target *target,
                            struct error *err)
{
    const uint32_t n_signs = target->is_signed ? 2 : 1;
    *out = (struct label_outputs){.n_slots = target->chosen.n * n_signs};
    out->slots = malloc((out->n_slots + 1) * sizeof *out->slots);
    if (!out->slots) return error_set(err, ST_NO_MEMORY, "%zu slots", out->n_slots);
    for (size_t i = 0, at = 0; i < target->chosen.n; i++) {
        while (target->captured.features[at] < target->chosen.features[i]) at++; /* both ascend */
        for (uint32_t sign = 0; sign < n_signs; sign++)
            out->slots[i * n_signs + sign] = (uint32_t)at * n_signs + sign;
    }
    return ST_OK;
}

void label_outputs_fini(struct label_outputs *outputs)
{
    free(outputs->slots);
    free(outputs->entries);
    *outputs = (struct label_outputs){.n_slots = 0};
}

static status_t have_room(struct label_outputs *outputs, uint32_t n_top, struct error *err)
{
    if (outputs->entries) return ST_OK;
    outputs->entries = calloc(outputs->n_slots * 2 * n_top + 1, sizeof *outputs->entries);
    outputs->n_top = n_top;
    return outputs->entries ? ST_OK
                            : error_set(err, ST_NO_MEMORY, "logits of %zu slots", outputs->n_slots);
}

status_t label_outputs_put(struct label_outputs *outputs, size_t first, size_t n,
                           const struct logits_answer *answer, uint64_t n_vocab, struct error *err)
{
    const size_t n_each = 2 * (size_t)answer->n_top;
    if (answer->reason[0]) {
        memcpy(outputs->reason, answer->reason, sizeof outputs->reason);
        return ST_OK;
    }
    if (answer->n_slots != n || first + n > outputs->n_slots ||
        (outputs->entries && outputs->n_top != answer->n_top))
        return error_set(err, ST_CORRUPT, "logits of %u slots, %zu were asked for",
                         (unsigned)answer->n_slots, n);
    for (size_t i = 0; i < n * n_each; i++)
        if (answer->entries[i].token >= n_vocab)
            return error_set(err, ST_CORRUPT, "logits of token %u, the model has %llu",
                             (unsigned)answer->entries[i].token, (unsigned long long)n_vocab);
    const status_t status = have_room(outputs, answer->n_top, err);
    if (status == ST_OK && n * n_each > 0)
        memcpy(outputs->entries + first * n_each, answer->entries,
               n * n_each * sizeof *outputs->entries);
    return status;
}

static int compare_slots(const void *left, const void *right)
{
    const uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

const struct logits_entry *label_outputs_find(const struct label_outputs *outputs, uint32_t slot)
{
    if (!outputs->entries) return NULL;
    const uint32_t *found =
        bsearch(&slot, outputs->slots, outputs->n_slots, sizeof slot, compare_slots);
    return found ? outputs->entries + (size_t)(found - outputs->slots) * 2 * outputs->n_top : NULL;
}
