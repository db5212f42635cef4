/* One attention head of a known model while it is built: four maps in double precision, and the
 * two moves that all roles are made of. Value with borrowed memory; one thread. */
#ifndef WORKER_KNOWN_HEAD_MAPS_H
#define WORKER_KNOWN_HEAD_MAPS_H

#include "worker/known/known_draw.h"
#include "worker/known/known_plan.h"

#include <stddef.h>

/* Score of a match (a softmax over it is as good as a choice), and what a copying head of strength
 * 1 adds to the copied token's logit. */
#define KNOWN_BETA 30.0
#define KNOWN_GAIN 4.0

/* y = x q and so on; a head under grouped queries has its group's k and v. */
struct head_maps {
    double *q, *k, *v; /* [d_model, d_head] */
    double *o;         /* [d_head, d_model] */
    double *q_bias;    /* [d_head]; stays 0 in families without biases */
};

/* What a builder of heads works with. */
struct head_site {
    const struct known_plan *plan;
    const double *basis; /* [d_model - 1, d_model] */
    const struct known_head *head;
    struct head_maps maps;
    struct draw *random; /* the head's own */
};

/* r such that a query and a key of size r in one slot score KNOWN_BETA: r^2 / sqrt(d_head). */
double head_match_size(const struct known_plan *plan);

/* Slot `slot` of a query, key or value takes `scale` times the share of basis row `row` in x. */
void head_read(const struct head_site *site, double *map, size_t row, size_t slot, double scale);

/* Slot `slot` of z writes `scale` times basis row `row`. */
void head_write(const struct head_site *site, size_t slot, size_t row, double scale);

/* The same for every token t >= first_token at once: slot t, row `block` + t. */
void head_read_block(const struct head_site *site, double *map, size_t block, size_t first_token,
                     double scale);
void head_write_block(const struct head_site *site, size_t block, size_t first_token, double scale);

/* Slot t of every token writes a row of the scratch block. */
void head_write_scratch(const struct head_site *site, double scale);

/* A head that would be busy but for its values, which stay 0: random reads of tokens by q and k
 * (two dead heads of a group both add to its keys), and a random dense o. */
void head_make_dead(const struct head_site *site);

#endif
