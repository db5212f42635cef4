#include "coordinator/circuit/paired_effect.h"

#include "common/size.h"
#include "coordinator/session/draw.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static status_t allocate(struct effect_sample *sample, struct error *err)
{
    const size_t n_units = sample->units.n_units, n_prompts = sample->units.n_prompts;
    size_t n_bytes;
    if (!size_tensor(3 * n_units + n_prompts, 1, sizeof *sample->weights, &n_bytes))
        return error_set(err, ST_NO_MEMORY, "%zu units", n_units);
    sample->weights = calloc(1, n_bytes);
    if (!sample->weights) return error_set(err, ST_NO_MEMORY, "%zu units", n_units);
    sample->sizes = sample->weights + n_units;
    sample->sums = sample->sizes + n_units;
    sample->drops = sample->sums + n_units;
    return ST_OK;
}

status_t effect_sample_init(struct effect_sample *out, const struct prompt_units *units,
                            uint64_t seed, uint64_t number, struct error *err)
{
    struct effect_sample sample = {.units = *units};
    struct draw draw = draw_stream(seed, DRAW_CIRCUIT, number);
    const uint32_t n_units = (uint32_t)units->n_units;
    status_t status = prompt_units_check(units, err);
    if (status == ST_OK) status = allocate(&sample, err);
    if (status != ST_OK) return status;
    for (size_t i = 0; i < units->n_prompts; i++) sample.sizes[units->unit_of[i]] += 1.0;
    for (uint32_t u = 0; u < n_units; u++)
        sample.weights[number == 0 ? u : draw_below(&draw, n_units)] += 1.0;
    for (uint32_t u = 0; u < n_units; u++) {
        sample.n_drawn += sample.weights[u];
        sample.n_prompts += sample.weights[u] * sample.sizes[u];
    }
    *out = sample;
    return ST_OK;
}

void effect_sample_fini(struct effect_sample *sample)
{
    free(sample->weights);
    *sample = (struct effect_sample){.weights = NULL};
}

struct node_effect effect_of_drops(const struct effect_sample *sample, const double *drops)
{
    const struct prompt_units *units = &sample->units;
    double sum = 0.0, squares = 0.0;
    memset(sample->sums, 0, units->n_units * sizeof *sample->sums);
    for (size_t i = 0; i < units->n_prompts; i++) sample->sums[units->unit_of[i]] += drops[i];
    for (size_t u = 0; u < units->n_units; u++) sum += sample->weights[u] * sample->sums[u];
    struct node_effect effect = {.mean = sum / sample->n_prompts};
    for (size_t u = 0; u < units->n_units; u++) {
        const double off = sample->sums[u] - effect.mean * sample->sizes[u];
        squares += sample->weights[u] * off * off;
    }
    effect.standard_error.is_defined = sample->n_drawn >= 2.0;
    if (effect.standard_error.is_defined)
        effect.standard_error.value =
            sqrt(sample->n_drawn / (sample->n_drawn - 1.0) * squares) / sample->n_prompts;
    effect.p = node_effect_p(effect.mean, effect.standard_error);
    return effect;
}

struct node_effect effect_between(const struct effect_sample *sample, const double *before,
                                  const double *after)
{
    const double sign = sample->is_divergence ? -1.0 : 1.0;
    for (size_t i = 0; i < sample->units.n_prompts; i++)
        sample->drops[i] = sign * (before[i] - after[i]);
    return effect_of_drops(sample, sample->drops);
}

/* Of one ablated set, on the scale on which drops of unrelated things add up. */
static double additive_drop(const struct effect_sample *sample, double full, double value)
{
    return sample->is_divergence ? sqrt(fmax(value - full, 0.0)) : full - value;
}

struct node_effect effect_beyond_sum(const struct effect_sample *sample,
                                     const struct pair_values *pair)
{
    for (size_t i = 0; i < sample->units.n_prompts; i++)
        sample->drops[i] = additive_drop(sample, pair->full[i], pair->both[i]) -
                           additive_drop(sample, pair->full[i], pair->first[i]) -
                           additive_drop(sample, pair->full[i], pair->second[i]);
    return effect_of_drops(sample, sample->drops);
}

double effect_sample_mean(const struct effect_sample *sample, const double *values)
{
    const struct prompt_units *units = &sample->units;
    double sum = 0.0;
    memset(sample->sums, 0, units->n_units * sizeof *sample->sums);
    for (size_t i = 0; i < units->n_prompts; i++) sample->sums[units->unit_of[i]] += values[i];
    for (size_t u = 0; u < units->n_units; u++) sum += sample->weights[u] * sample->sums[u];
    return sum / sample->n_prompts;
}
