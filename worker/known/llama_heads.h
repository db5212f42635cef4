/* The heads of known models with rotary positions, in groups of two queries on shared keys and
 * values. Pair i of a query or key is turned by angle position * theta^(-2i/d_head).
 *
 * The fast pairs (the first 6/64 of the head) see positions: every key is (1, 0) there, a query
 * that looks back by d is (cos -d th_i, sin -d th_i), and the score is the sum over pairs of
 * cos(th_i (distance - d)): largest at distance d. From pair 10/64 of the head on, with
 * theta 1e16, a prompt turns by less than 1e-3 of a radian: these slow pairs hold tokens, one pair
 * each. In between lies nothing. The checkpoint's layout says where a pair's two numbers are:
 * `half` (HF) i and i + d_head/2, `interleaved` (Meta) 2i and 2i + 1; read by the other rule,
 * positions and tokens fall apart and the answer is lost.
 *
 *   group (by the first head's role)   key reads                        value
 *   previous (two back)                ballast: fast pairs              token
 *   induction (uniform)                previous; BOS as token: pair 0   token, BOS not
 *   impostor (same token)              ballast: fast pairs; token       token
 *   dead                               at random                        nothing
 *
 * The ballast, the same at every token, is also where queries and keys find a constant. */
#ifndef WORKER_KNOWN_LLAMA_HEADS_H
#define WORKER_KNOWN_LLAMA_HEADS_H

#include "worker/known/head_maps.h"

#define KNOWN_ROPE_THETA 1e16

/* Length of the ballast: short enough that the copied token makes the final RMSNorm smaller by
 * about a seventh, which an engine that skips or keeps the norm of the clean run gets wrong. */
#define KNOWN_LLAMA_BALLAST 7.2

/* The group's keys and values, by the role of its first head; maps are 0 before. Pure. */
void llama_group_build(const struct head_site *site);

/* The head's own query and output maps. */
void llama_head_build(const struct head_site *site);

#endif
