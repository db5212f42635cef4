#include "worker/known/head_maps.h"

#include <math.h>

double head_match_size(const struct known_plan *plan)
{
    return sqrt(KNOWN_BETA * sqrt((double)plan->d_head));
}

void head_read(const struct head_site *site, double *map, size_t row, size_t slot, double scale)
{
    const size_t d_model = site->plan->d_model, d_head = site->plan->d_head;
    const double *direction = site->basis + row * d_model;
    for (size_t n = 0; n < d_model; n++) map[n * d_head + slot] += scale * direction[n];
}

void head_write(const struct head_site *site, size_t slot, size_t row, double scale)
{
    const size_t d_model = site->plan->d_model;
    const double *direction = site->basis + row * d_model;
    for (size_t n = 0; n < d_model; n++) site->maps.o[slot * d_model + n] += scale * direction[n];
}

void head_read_block(const struct head_site *site, double *map, size_t block, size_t first_token,
                     double scale)
{
    for (size_t t = first_token; t < site->plan->n_vocab; t++)
        head_read(site, map, block + t, t, scale);
}

void head_write_block(const struct head_site *site, size_t block, size_t first_token, double scale)
{
    for (size_t t = first_token; t < site->plan->n_vocab; t++)
        head_write(site, t, block + t, scale);
}

void head_write_scratch(const struct head_site *site, double scale)
{
    const struct known_blocks *blocks = &site->plan->blocks;
    for (size_t t = 0; t < site->plan->n_vocab; t++)
        head_write(site, t, blocks->scratch + t % blocks->n_scratch, scale);
}

static void read_at_random(const struct head_site *site, double *map)
{
    const struct known_plan *plan = site->plan;
    for (size_t t = 0; t < plan->n_vocab; t++)
        for (size_t slot = 0; slot < plan->d_head; slot++)
            head_read(site, map, plan->blocks.token + t, slot, known_draw_normal(site->random));
}

void head_make_dead(const struct head_site *site)
{
    const struct known_plan *plan = site->plan;
    const double scale = 1 / sqrt((double)plan->d_head);
    read_at_random(site, site->maps.q);
    read_at_random(site, site->maps.k);
    for (size_t i = 0; i < plan->d_head * plan->d_model; i++)
        site->maps.o[i] = scale * known_draw_normal(site->random);
}
