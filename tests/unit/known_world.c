#define _XOPEN_SOURCE 700 /* mkdtemp */
#include "tests/unit/known_world.h"

#include "common/file.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_BYTES = 1 << 26 };

static json_t *load(const struct known_world *world, const char *name)
{
    char *path = file_join(world->directory, name);
    json_t *value = json_load_file(path, 0, NULL);
    cr_assert(value, "%s", path);
    free(path);
    return value;
}

static size_t shape_of(const struct known_world *world, const char *key)
{
    return (size_t)json_integer_value(json_object_get(json_object_get(world->truth, "model"), key));
}

static void add_pair(struct known_world *world, json_t *pair, json_t *prompts, json_t *reference)
{
    json_t *clean = json_object_get(pair, "clean");
    if (strcmp(json_string_value(json_object_get(pair, "set")), "search") == 0)
        (void)json_array_append_new(reference, json_pack("{s:O}", "tokens", clean));
    else if (json_array_size(prompts) < world->n_prompts)
        (void)json_array_append_new(prompts,
                                    json_pack("{s:O s:O s:O s:[O] s:[O]}", "clean", clean,
                                              "corrupted", json_object_get(pair, "corrupted"),
                                              "answer_at", json_object_get(pair, "position"),
                                              "answers", json_object_get(pair, "answer"),
                                              "distractors", json_object_get(pair, "distractor")));
}

static void read_prompts(struct known_world *world, json_t *prompts, json_t *reference)
{
    char *path = file_join(world->directory, "prompts.jsonl");
    FILE *file = fopen(path, "r");
    char line[1 << 14];
    cr_assert(file, "%s", path);
    while (fgets(line, sizeof line, file)) {
        json_t *pair = json_loads(line, 0, NULL);
        cr_assert(pair, "%s: %s", path, line);
        add_pair(world, pair, prompts, reference);
        json_decref(pair);
    }
    (void)fclose(file);
    free(path);
    cr_assert_eq(json_array_size(prompts), world->n_prompts);
}

static void write_model(struct known_world *world, const struct known_world_params *params)
{
    (void)snprintf(world->root, sizeof world->root, "/tmp/interp-known-XXXXXX");
    cr_assert(mkdtemp(world->root));
    (void)snprintf(world->directory, sizeof world->directory, "%s/model", world->root);
    cr_assert_eq(
        known_model_write(&params->model, params->n_pairs, world->directory, &world->on.err), ST_OK,
        "%s", world->on.err.text);
    world->truth = load(world, "circuit.json");
    world->n_layers = shape_of(world, "n_layers");
    world->n_heads = shape_of(world, "n_heads");
    world->n_kv_heads = shape_of(world, "n_kv_heads");
    world->d_head = shape_of(world, "d_head");
    world->d_model = shape_of(world, "d_model");
    world->n_prompts = params->n_prompts;
}

void known_world_open(struct known_world *world, const struct known_world_params *params)
{
    json_t *prompts = json_array(), *reference = json_array();
    *world = (struct known_world){.root = ""};
    write_model(world, params);
    read_prompts(world, prompts, reference);
    const size_t n_ctx = json_array_size(json_object_get(json_array_get(prompts, 0), "clean"));
    world->spec =
        json_pack("{s:s s:s s:s s:s s:I s:s s:o s:o}", "kind", "ablate", "model", world->directory,
                  "fingerprint", "", "compute", "f32", "n_ctx", (json_int_t)n_ctx, "mean",
                  params->mean, "prompts", prompts, "reference", reference);
    task_world_open(&world->on, "cpu");
    const struct task_environment environment = task_world_environment(&world->on);
    cr_assert_eq(ablate_task_handler.open(&world->task, &environment, world->spec, &world->on.err),
                 ST_OK, "%s", world->on.err.text);
}

void known_world_close(struct known_world *world)
{
    static const char *const files[] = {"config.json",    "model.safetensors",
                                        "tokenizer.json", "tokenizer_config.json",
                                        "circuit.json",   "prompts.jsonl"};
    ablate_task_handler.close(world->task);
    task_world_close(&world->on);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char *path = file_join(world->directory, files[i]);
        (void)unlink(path);
        free(path);
    }
    (void)rmdir(world->directory);
    (void)rmdir(world->root);
    json_decref(world->truth);
    json_decref(world->spec);
}

void known_world_run(struct known_world *world, const struct ablate_unit *unit,
                     struct ablate_result *out)
{
    const struct wire_text none = {"", 0};
    struct buffer payload, bytes;
    buffer_init(&payload, MAX_BYTES);
    buffer_init(&bytes, MAX_BYTES);
    cr_assert_eq(ablate_unit_encode(unit, &payload, &world->on.err), ST_OK);
    const struct wire_text text = {(const char *)payload.bytes, payload.n_bytes};
    cr_assert_eq(ablate_task_handler.run(world->task, 0, text, none, &bytes, &world->on.err), ST_OK,
                 "%s", world->on.err.text);
    cr_assert_eq(ablate_result_decode(bytes.bytes, bytes.n_bytes, out, &world->on.err), ST_OK);
    buffer_fini(&payload);
    buffer_fini(&bytes);
}
