/* For tests on models whose circuit is known by construction: one is written (worker/known), its
 * search pairs are the reference of means, and an ablate task on its held-out pairs is open. */
#ifndef TESTS_UNIT_KNOWN_WORLD_H
#define TESTS_UNIT_KNOWN_WORLD_H

#include "tests/unit/task_world.h"
#include "worker/known/known_model.h"

struct known_world {
    char root[40], directory[64]; /* the model's */
    struct task_world on;         /* the CPU */
    json_t *truth, *spec;         /* circuit.json; of the task */
    size_t n_layers, n_heads, n_kv_heads, d_head, d_model, n_prompts;
    void *task;
};

struct known_world_params {
    struct known_params model;
    size_t n_pairs;   /* of each set, written */
    size_t n_prompts; /* of the held-out ones, the first: those of the task */
    const char *mean;
};
void known_world_open(struct known_world *world, const struct known_world_params *params);
void known_world_close(struct known_world *world);

/* One unit; the caller ends *out. */
void known_world_run(struct known_world *world, const struct ablate_unit *unit,
                     struct ablate_result *out);

#endif
