/* Models by shape alone: what the paper accounting needs, without a checkpoint. */
#ifndef WORKER_PAPER_PAPER_SHAPE_H
#define WORKER_PAPER_PAPER_SHAPE_H

#include "worker/model/model_config.h"

/* `name` is "gpt2", "gpt2-xl", "llama-2-70b", or a directory with a config.json. Errors:
 * ST_NOT_FOUND (neither; names the shapes), those of model_config_read(). */
MUST_CHECK status_t paper_shape_find(const char *name, struct model_config *out, struct error *err);

#endif
