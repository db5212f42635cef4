#include "worker/known/gpt2_heads.h"

/* The trace of an answer in a backup head's query, and the weight of a token in its keys: their
 * product takes a whole match from the answer's place, while the trace alone, which matches what
 * follows the answer, stays below the sink. */
static const double DONE_TRACE = 0.2, DONE_AGAINST = 5;

static void attend_to_previous(const struct head_site *site)
{
    const struct known_plan *plan = site->plan;
    const double r = head_match_size(plan);
    for (size_t p = 0; p < plan->n_positions; p++) {
        if (p > 0) head_read(site, site->maps.q, plan->blocks.position + p, p - 1, r);
        head_read(site, site->maps.k, plan->blocks.position + p, p, r);
    }
}

static void attend_to_same_token(const struct head_site *site)
{
    const double r = head_match_size(site->plan);
    head_read_block(site, site->maps.q, site->plan->blocks.token, 0, r);
    head_read_block(site, site->maps.k, site->plan->blocks.token, 0, r);
}

static void attend_to_bos(const struct head_site *site, double share)
{
    const double r = head_match_size(site->plan);
    site->maps.q_bias[0] += share * r;
    head_read(site, site->maps.k, site->plan->blocks.position, 0, r);
}

static void sleep_when_done(const struct head_site *site)
{
    const struct known_blocks *blocks = &site->plan->blocks;
    const double r = head_match_size(site->plan);
    head_read_block(site, site->maps.q, blocks->done, 1, (DONE_TRACE - KNOWN_GAIN) * r);
    head_read_block(site, site->maps.k, blocks->token, 1, -DONE_AGAINST * r);
}

static void build_copying(const struct head_site *site)
{
    const struct known_blocks *blocks = &site->plan->blocks;
    const double r = head_match_size(site->plan);
    head_read_block(site, site->maps.q, blocks->token, 1, r);
    head_read_block(site, site->maps.k, blocks->previous, 1, r);
    attend_to_bos(site, site->head->sink);
    head_read_block(site, site->maps.v, blocks->token, 1, 1);
    head_write_block(site, blocks->output, 1, KNOWN_GAIN * site->head->strength);
    if (site->plan->kind->gate != KNOWN_BACKUP_GATE) return;
    if (site->head->role == KNOWN_BACKUP)
        sleep_when_done(site);
    else
        head_write_block(site, blocks->done, 1, 1);
}

static void build_distractor(const struct head_site *site)
{
    if (site->head->role == KNOWN_IMPOSTOR) attend_to_previous(site);
    if (site->head->role == KNOWN_SAME_TOKEN) attend_to_same_token(site);
    if (site->head->role == KNOWN_BOS) attend_to_bos(site, 1);
    head_read_block(site, site->maps.v, site->plan->blocks.token, 0, 1);
    head_write_scratch(site, 1);
}

void gpt2_head_build(const struct head_site *site)
{
    const struct known_blocks *blocks = &site->plan->blocks;
    if (known_role_copies(site->head->role)) {
        build_copying(site);
    } else if (site->head->role == KNOWN_DEAD) {
        head_make_dead(site);
    } else if (site->head->role == KNOWN_PREVIOUS) {
        attend_to_previous(site);
        head_read_block(site, site->maps.v, blocks->token, 0, 1);
        head_write_block(site, blocks->previous, 0, site->head->strength);
    } else {
        build_distractor(site);
    }
}
