#include "worker/known/llama_heads.h"

#include "worker/known/plain_trig.h"

#include <math.h>

/* What distractors write: small beside the ballast, so that taking one away moves the answer by
 * the last norm alone, and little. */
static const double SCRATCH_SCALE = 0.3;

/* Place in the head of component 0 or 1 of a rotary pair. */
static size_t pair_slot(const struct known_plan *plan, size_t pair, size_t component)
{
    return plan->is_interleaved ? 2 * pair + component : pair + component * (plan->d_head / 2);
}

static size_t token_slot(const struct known_plan *plan, size_t token)
{
    return pair_slot(plan, 10 * plan->d_head / 64 + token, 0);
}

/* theta^(-2 / d_head): d_head is a power of two, so square roots, which are exactly rounded. */
static double frequency_step(const struct known_plan *plan)
{
    double step = 1 / KNOWN_ROPE_THETA;
    for (size_t n = 1; n < plan->d_head / 2; n *= 2) step = sqrt(step);
    return step;
}

/* Reads of tokens by a query or a key, into the slow pairs. */
static void read_tokens(const struct head_site *site, double *map, size_t block, size_t first)
{
    const double r = head_match_size(site->plan);
    for (size_t t = first; t < site->plan->n_vocab; t++)
        head_read(site, map, block + t, token_slot(site->plan, t), r);
}

static void read_ballast(const struct head_site *site, double *map, size_t slot, double size)
{
    head_read(site, map, site->plan->blocks.ballast, slot, size / KNOWN_LLAMA_BALLAST);
}

/* Every fast pair of the query turned back by `distance` (0: as keys have it). */
static void read_place(const struct head_site *site, double *map, double distance)
{
    const struct known_plan *plan = site->plan;
    const double r = head_match_size(plan), step = frequency_step(plan);
    double frequency = 1;
    for (size_t pair = 0; pair < 6 * plan->d_head / 64; pair++) {
        const double angle = -distance * frequency;
        read_ballast(site, map, pair_slot(plan, pair, 0), r * plain_cos(angle));
        read_ballast(site, map, pair_slot(plan, pair, 1), r * plain_sin(angle));
        frequency *= step;
    }
}

void llama_group_build(const struct head_site *site)
{
    const struct known_blocks *blocks = &site->plan->blocks;
    const enum known_role role = site->head->role;
    const bool is_copying = known_role_copies(role);
    if (role == KNOWN_DEAD) return; /* keys are the heads' own noise, values stay 0 */
    head_read_block(site, site->maps.v, blocks->token, is_copying, 1);
    if (!is_copying) read_place(site, site->maps.k, 0);
    if (role == KNOWN_IMPOSTOR) read_tokens(site, site->maps.k, blocks->token, 0);
    if (!is_copying) return;
    read_tokens(site, site->maps.k, blocks->previous, 1);
    head_read(site, site->maps.k, blocks->token, token_slot(site->plan, 0),
              head_match_size(site->plan));
}

static void build_induction(const struct head_site *site)
{
    const struct known_blocks *blocks = &site->plan->blocks;
    read_tokens(site, site->maps.q, blocks->token, 1);
    read_ballast(site, site->maps.q, token_slot(site->plan, 0),
                 site->head->sink * head_match_size(site->plan));
    head_write_block(site, blocks->output, 1, KNOWN_GAIN * site->head->strength);
}

void llama_head_build(const struct head_site *site)
{
    const enum known_role role = site->head->role;
    if (role == KNOWN_DEAD) {
        head_make_dead(site);
        return;
    }
    if (known_role_copies(role)) {
        build_induction(site);
        return;
    }
    if (role == KNOWN_PREVIOUS || role == KNOWN_IMPOSTOR) read_place(site, site->maps.q, 1);
    if (role == KNOWN_TWO_BACK) read_place(site, site->maps.q, 2);
    if (role == KNOWN_SAME_TOKEN) read_tokens(site, site->maps.q, site->plan->blocks.token, 0);
    if (role == KNOWN_PREVIOUS)
        head_write_block(site, site->plan->blocks.previous, 0, site->head->strength);
    else
        head_write_scratch(site, SCRATCH_SCALE);
}
