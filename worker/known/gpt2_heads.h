/* The heads of known models with learned positions. A slot of a query, key or value is a token or
 * a position; a pair of query and key that match in one slot scores 1 in units of KNOWN_BETA:
 *
 *   role           query reads            key reads              value    writes
 *   previous       position p: slot p-1   position p: slot p     token    previous
 *   impostor       the same               the same               token    scratch
 *   same token     token                  token                  token    scratch
 *   bos            the bias: slot 0       position 0: slot 0     token    scratch
 *   uniform        nothing                nothing                token    scratch
 *   induction      token; bias: slot 0    previous; position 0   token    token (and done)
 *   backup         that, and done         that, and token        token    token
 *   dead           at random              at random              nothing  dense noise
 *
 * Copying roles know no BOS as a token (its slot 0 is the sink): where nothing matches, they attend
 * to BOS, whose value is 0.
 *
 * What an induction head answers it also writes as `done`, if a backup head is to read it: that
 * head's query takes the answer out of the tokens again (or it would look for what follows the
 * answer) and leaves a trace, against which the key of the answer's own token weighs more than its
 * match. So the backup head sleeps if and only if the answer at hand has been given: silence wakes
 * it, and so does an average over other answers. */
#ifndef WORKER_KNOWN_GPT2_HEADS_H
#define WORKER_KNOWN_GPT2_HEADS_H

#include "worker/known/head_maps.h"

/* Fill site->maps, which are 0. Pure. */
void gpt2_head_build(const struct head_site *site);

#endif
