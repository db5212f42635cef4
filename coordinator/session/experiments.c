#include "coordinator/session/experiments.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *experiment_kind_name(enum experiment_kind kind)
{
    static const char *const names[EXPERIMENT_N_KINDS] = {"fires", "silent", "hard_fires",
                                                          "hard_silent"};
    return (unsigned)kind < EXPERIMENT_N_KINDS ? names[kind] : NULL;
}

bool experiment_kind_predicts_firing(enum experiment_kind kind)
{
    return kind == EXPERIMENT_FIRES || kind == EXPERIMENT_HARD_FIRES;
}

bool experiment_kind_is_adversarial(enum experiment_kind kind)
{
    return kind == EXPERIMENT_HARD_FIRES || kind == EXPERIMENT_HARD_SILENT;
}

/* --- the list ------------------------------------------------------------------------------ */

status_t experiments_add(struct experiments *experiments, enum experiment_kind kind,
                         const char *text, size_t n_bytes, struct error *err)
{
    if (experiments->n == experiments->capacity) {
        const size_t capacity = experiments->capacity ? 2 * experiments->capacity : 20;
        struct experiment *grown = realloc(experiments->list, capacity * sizeof *grown);
        if (!grown) return error_set(err, ST_NO_MEMORY, "%zu experiments", capacity);
        experiments->list = grown;
        experiments->capacity = capacity;
    }
    char *copy = malloc(n_bytes + 1);
    if (!copy) return error_set(err, ST_NO_MEMORY, "experiment of %zu bytes", n_bytes);
    memcpy(copy, text, n_bytes);
    copy[n_bytes] = '\0';
    experiments->list[experiments->n++] =
        (struct experiment){.kind = kind, .n_bytes = (uint32_t)n_bytes, .text = copy};
    return ST_OK;
}

void experiments_drop(struct experiments *experiments, size_t index)
{
    free(experiments->list[index].text);
    experiments->n--;
    memmove(&experiments->list[index], &experiments->list[index + 1],
            (experiments->n - index) * sizeof *experiments->list);
    experiments->n_dropped++;
}

void experiments_fini(struct experiments *experiments)
{
    for (size_t i = 0; i < experiments->n; i++) free(experiments->list[i].text);
    free(experiments->list);
    *experiments = (struct experiments){0};
}

bool experiments_have(const struct experiments *experiments, const char *text)
{
    for (size_t i = 0; i < experiments->n; i++)
        if (strcmp(experiments->list[i].text, text) == 0) return true;
    return false;
}

/* --- what came of them --------------------------------------------------------------------- */

bool experiment_is_right(const struct experiment *experiment)
{
    return experiment->truth == (experiment_kind_predicts_firing(experiment->kind)
                                     ? EXPERIMENT_FIRED
                                     : EXPERIMENT_STAYED_SILENT);
}

size_t experiments_n_right(const struct experiments *experiments, unsigned kind)
{
    size_t n = 0;
    for (size_t i = 0; i < experiments->n; i++)
        n += (kind == EXPERIMENT_N_KINDS || experiments->list[i].kind == kind) &&
             experiment_is_right(&experiments->list[i]);
    return n;
}

double binomial_upper_tail(size_t n, size_t n_right)
{
    double sum = 0.0, term = pow(0.5, (double)n); /* of 0 right, then of k */
    for (size_t k = 0; k <= n; k++) {
        if (k >= n_right) sum += term;
        term *= (double)(n - k) / (double)(k + 1);
    }
    return sum > 1.0 ? 1.0 : sum;
}

static size_t count_kind(const struct experiments *experiments, enum experiment_kind kind)
{
    size_t n = 0;
    for (size_t i = 0; i < experiments->n; i++) n += experiments->list[i].kind == kind;
    return n;
}

/* Right ones among the first n of a kind. */
static size_t first_right(const struct experiments *experiments, enum experiment_kind kind,
                          size_t n)
{
    size_t n_right = 0;
    for (size_t i = 0; i < experiments->n && n > 0; i++) {
        if (experiments->list[i].kind != kind) continue;
        n_right += experiment_is_right(&experiments->list[i]);
        n--;
    }
    return n_right;
}

struct adversarial_result experiments_adversarial(const struct experiments *experiments,
                                                  const struct adversarial_rule *rule)
{
    const size_t n_fires = count_kind(experiments, EXPERIMENT_HARD_FIRES);
    const size_t n_silent = count_kind(experiments, EXPERIMENT_HARD_SILENT);
    const size_t n_each = n_fires < n_silent ? n_fires : n_silent;
    struct adversarial_result result = {.n = 2 * n_each};
    result.n_right = first_right(experiments, EXPERIMENT_HARD_FIRES, n_each) +
                     first_right(experiments, EXPERIMENT_HARD_SILENT, n_each);
    result.p = binomial_upper_tail(result.n, result.n_right);
    result.has_passed = result.p <= rule->max_p && result.n >= rule->n_least;
    return result;
}
