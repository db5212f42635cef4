/* From which position on the changes of a variant count. */
#include "worker/tasks/ablate_changes.h"

#include <criterion/criterion.h>
#include <jansson.h>

enum { N_CTX = 6 };

struct world {
    struct error err;
    struct backend *backend;
    struct model *model;
    struct ablate_prompts prompts;
    struct ablate_changes *changes;
};

/* Two pairs of prompts, which part at the given places. */
static void open_world(struct world *w, size_t first, size_t second)
{
    uint32_t at[] = {(uint32_t)first, (uint32_t)second};
    json_t *prompts = json_array();
    *w = (struct world){.err = {0}};
    for (size_t i = 0; i < 2; i++) {
        json_t *clean = json_array(), *corrupted = json_array();
        for (uint32_t t = 0; t < N_CTX; t++) {
            (void)json_array_append_new(clean, json_integer(t + 1));
            (void)json_array_append_new(corrupted, json_integer(t + (t == at[i] ? 20 : 1)));
        }
        (void)json_array_append_new(prompts, json_pack("{s:o s:o s:i s:[i] s:[i]}", "clean", clean,
                                                       "corrupted", corrupted, "answer_at",
                                                       N_CTX - 1, "answers", 1, "distractors", 2));
    }
    json_t *spec = json_pack("{s:i s:o s:[]}", "n_ctx", N_CTX, "prompts", prompts, "reference");
    cr_assert_eq(ablate_prompts_read(&w->prompts, spec, &w->err), ST_OK, "%s", w->err.text);
    json_decref(spec);
    cr_assert_eq(backend_open_cpu(&w->backend, &w->err), ST_OK, "%s", w->err.text);
    const struct model_params params = {.directory = "tests/golden/models/gpt2-tied",
                                        .backend = w->backend};
    cr_assert_eq(model_open(&w->model, &params, &w->err), ST_OK, "%s", w->err.text);
    const struct ablate_changes_params with = {w->model, &w->prompts, NULL, NULL};
    cr_assert_eq(ablate_changes_create(&w->changes, &with, &w->err), ST_OK, "%s", w->err.text);
}

static void close_world(struct world *w)
{
    ablate_changes_destroy(&w->changes);
    ablate_prompts_fini(&w->prompts);
    model_close(&w->model);
    backend_close(&w->backend);
}

/* A mean, too, changes positions in front: what is resampled behind it then differs there. */
Test(ablate_changes, resampled_values_begin_where_the_first_pair_of_prompts_parts)
{
    struct world w;
    const struct ablate_change resampled = {.value = ABLATE_RESAMPLE},
                               zero = {.value = ABLATE_ZERO}, mean = {.value = ABLATE_MEAN};
    const struct ablate_change same[] = {resampled, resampled}, mixed[] = {resampled, mean};
    open_world(&w, 4, 3);
    cr_expect_eq(ablate_changes_first_position(w.changes, same, 2), 3);
    cr_expect_eq(ablate_changes_first_position(w.changes, mixed, 2), 0);
    cr_expect_eq(ablate_changes_first_position(w.changes, mixed, 1), 3);
    cr_expect_eq(ablate_changes_first_position(w.changes, &zero, 1), 0);
    cr_expect_eq(ablate_changes_first_position(w.changes, same, 0), 0);
    close_world(&w);
    open_world(&w, 0, 5);
    cr_expect_eq(ablate_changes_first_position(w.changes, same, 2), 0);
    close_world(&w);
}
