#include "tests/unit/deep_model.h"

#include "worker/model/safetensors.h"
#include "worker/model/safetensors_writer.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char FROM[] = "tests/golden/models/llama-gqa-tied", LAYERS[] = "model.layers.";
enum { MOST_TENSORS = 256, NAME_SIZE = 96, N_OWN = 2 };

struct tensor_list {
    struct tensor_view views[MOST_TENSORS];
    char names[MOST_TENSORS][NAME_SIZE];
    size_t n;
};

static void add(struct tensor_list *list, const struct tensor_view *view, const char *name)
{
    cr_assert(list->n < MOST_TENSORS);
    (void)snprintf(list->names[list->n], NAME_SIZE, "%s", name);
    list->views[list->n] = *view;
    list->views[list->n].name = list->names[list->n];
    list->n++;
}

/* The tensor under its name, and as that of every further layer which is a copy of its own. */
static void add_copies(struct tensor_list *list, const struct tensor_view *view, size_t n_layers)
{
    char name[NAME_SIZE];
    const size_t n = sizeof LAYERS - 1;
    add(list, view, view->name);
    if (strncmp(view->name, LAYERS, n) != 0) return;
    for (size_t i = (size_t)(view->name[n] - '0') + N_OWN; i < n_layers; i += N_OWN) {
        (void)snprintf(name, sizeof name, "%s%zu%s", LAYERS, i, view->name + n + 1);
        add(list, view, name);
    }
}

static void write_config(const char *to, size_t n_layers)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/config.json", FROM);
    json_t *config = json_load_file(path, 0, NULL);
    cr_assert(config, "%s", path);
    (void)json_object_set_new(config, "num_hidden_layers", json_integer((json_int_t)n_layers));
    (void)snprintf(path, sizeof path, "%s/config.json", to);
    cr_assert_eq(json_dump_file(config, path, 0), 0);
    json_decref(config);
}

void deep_model_write(const char *to, size_t n_layers)
{
    char path[256];
    struct error err = {0};
    struct safetensors *own = NULL;
    struct tensor_list *list = calloc(1, sizeof *list);
    cr_assert(list);
    cr_assert_eq(safetensors_open(&own, FROM, &err), ST_OK, "%s", err.text);
    for (size_t i = 0; i < safetensors_count(own); i++)
        add_copies(list, safetensors_at(own, i), n_layers);
    (void)snprintf(path, sizeof path, "%s/model.safetensors", to);
    cr_assert_eq(safetensors_write(path, list->views, list->n, &err), ST_OK, "%s", err.text);
    safetensors_close(&own);
    free(list);
    write_config(to, n_layers);
}
