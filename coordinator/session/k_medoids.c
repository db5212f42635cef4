#include "coordinator/session/k_medoids.h"

#include <math.h>
#include <stdbool.h>

enum { MAX_EXCHANGES = 100 };
static const double LEAST_GAIN = 1e-12;

static double nearest(const double *distances, size_t n, const uint32_t *medoids, size_t k,
                      size_t item, uint32_t *which)
{
    double best = INFINITY;
    for (size_t m = 0; m < k; m++) {
        const double distance = distances[item * n + medoids[m]];
        if (distance >= best) continue;
        best = distance;
        *which = (uint32_t)m;
    }
    return best;
}

static double total_distance(const double *distances, size_t n, const uint32_t *medoids, size_t k)
{
    double sum = 0.0;
    uint32_t which = 0;
    for (size_t i = 0; i < n; i++) sum += nearest(distances, n, medoids, k, i, &which);
    return sum;
}

static bool is_medoid(const uint32_t *medoids, size_t k, size_t item)
{
    for (size_t m = 0; m < k; m++)
        if (medoids[m] == item) return true;
    return false;
}

/* The item at place `slot` of the medoids that makes the total least, beside the k - 1 others. */
static double best_at(const double *distances, size_t n, uint32_t *medoids, size_t k, size_t slot)
{
    const uint32_t before = medoids[slot];
    uint32_t best_item = before;
    double best = INFINITY;
    for (size_t item = 0; item < n; item++) {
        medoids[slot] = before;
        if (item != before && is_medoid(medoids, k, item)) continue;
        medoids[slot] = (uint32_t)item;
        const double total = total_distance(distances, n, medoids, k);
        if (total >= best - LEAST_GAIN) continue;
        best = total;
        best_item = (uint32_t)item;
    }
    medoids[slot] = best_item;
    return best;
}

static uint32_t first_free(const uint32_t *medoids, size_t k)
{
    uint32_t item = 0;
    while (is_medoid(medoids, k, item)) item++;
    return item;
}

/* Exchange one medoid for the better of all items, as long as the total falls. */
static void exchange(const double *distances, size_t n, uint32_t *medoids, size_t k)
{
    double total = total_distance(distances, n, medoids, k);
    for (int step = 0; step < MAX_EXCHANGES; step++) {
        size_t best_slot = 0;
        uint32_t best_item = 0;
        double best = total - LEAST_GAIN;
        for (size_t slot = 0; slot < k; slot++) {
            const uint32_t before = medoids[slot];
            const double tried = best_at(distances, n, medoids, k, slot);
            if (tried < best) {
                best = tried;
                best_slot = slot;
                best_item = medoids[slot];
            }
            medoids[slot] = before;
        }
        if (best >= total - LEAST_GAIN) return;
        medoids[best_slot] = best_item;
        total = best;
    }
}

/* Groups are numbered by their first items. */
static void number_groups(uint32_t *group_of, size_t n, uint32_t *medoids, size_t k)
{
    uint32_t number_of[K_MEDOIDS_MAX_GROUPS], old_medoids[K_MEDOIDS_MAX_GROUPS], n_seen = 0;
    for (size_t m = 0; m < k; m++) {
        number_of[m] = UINT32_MAX;
        old_medoids[m] = medoids[m];
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t *number = &number_of[group_of[i]];
        if (*number == UINT32_MAX) *number = n_seen++;
        group_of[i] = *number;
    }
    for (size_t m = 0; m < k; m++) medoids[number_of[m]] = old_medoids[m];
}

void k_medoids(const double *distances, size_t n, size_t k, uint32_t *group_of, uint32_t *medoids)
{
    for (size_t m = 0; m < k; m++) {
        medoids[m] = first_free(medoids, m);
        (void)best_at(distances, n, medoids, m + 1, m);
    }
    exchange(distances, n, medoids, k);
    for (size_t i = 0; i < n; i++) (void)nearest(distances, n, medoids, k, i, &group_of[i]);
    for (size_t m = 0; m < k; m++) group_of[medoids[m]] = (uint32_t)m; /* also among equals */
    number_groups(group_of, n, medoids, k);
}

double k_medoids_silhouette(const double *distances, size_t n, size_t k, const uint32_t *group_of)
{
    size_t n_in[K_MEDOIDS_MAX_GROUPS] = {0};
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) n_in[group_of[i]]++;
    for (size_t i = 0; i < n && k > 1; i++) {
        double to_group[K_MEDOIDS_MAX_GROUPS] = {0.0}, apart = INFINITY;
        const uint32_t own = group_of[i];
        if (n_in[own] == 1) continue;
        for (size_t j = 0; j < n; j++) to_group[group_of[j]] += distances[i * n + j];
        const double within = to_group[own] / (double)(n_in[own] - 1);
        for (uint32_t g = 0; g < k; g++)
            if (g != own) apart = fmin(apart, to_group[g] / (double)n_in[g]);
        const double larger = fmax(within, apart);
        if (larger > 0.0) sum += (apart - within) / larger;
    }
    return n > 0 ? sum / (double)n : 0.0;
}
