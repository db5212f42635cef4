#include "worker/known/known_model.h"

#include "common/file.h"
#include "worker/known/checkpoint.h"
#include "worker/known/circuit_truth.h"
#include "worker/known/direction_basis.h"
#include "worker/known/prompt_pairs.h"
#include "worker/known/word_vocabulary.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_PROMPTS_BYTES = 64 << 20 };

static const char *const FILES[] = {"config.json",           "model.safetensors", "tokenizer.json",
                                    "tokenizer_config.json", "circuit.json",      "prompts.jsonl"};

/* Takes `root`, which may be NULL: then memory was short. */
static status_t write_json(const char *directory, const char *name, json_t *root, struct error *err)
{
    char *path = file_join(directory, name);
    char *text = root ? json_dumps(root, JSON_INDENT(1)) : NULL;
    const status_t status = path && text ? file_write_atomic(path, text, strlen(text), err)
                                         : error_set(err, ST_NO_MEMORY, "%s", name);
    free(text);
    free(path);
    json_decref(root);
    return status;
}

static status_t write_weights(const struct known_plan *plan, const char *directory,
                              struct error *err)
{
    struct tensor_set tensors = {0};
    double *basis = NULL;
    char *path = file_join(directory, "model.safetensors");
    status_t status = path ? direction_basis_create(&basis, plan->d_model, plan->seed, err)
                           : error_set(err, ST_NO_MEMORY, "model.safetensors");
    if (status == ST_OK)
        status = plan->kind->is_llama ? checkpoint_fill_llama(&tensors, plan, basis, err)
                                      : checkpoint_fill_gpt2(&tensors, plan, basis, err);
    if (status == ST_OK) status = tensor_set_write(&tensors, path, err);
    tensor_set_fini(&tensors);
    free(basis);
    free(path);
    return status;
}

static status_t write_prompts(const struct known_plan *plan, size_t n_prompts,
                              const char *directory, struct error *err)
{
    struct prompt_pairs pairs = {0};
    struct buffer text;
    buffer_init(&text, MAX_PROMPTS_BYTES);
    char *path = file_join(directory, "prompts.jsonl");
    status_t status = path ? prompt_pairs_make(&pairs, plan, n_prompts, err)
                           : error_set(err, ST_NO_MEMORY, "prompts.jsonl");
    if (status == ST_OK) status = prompt_pairs_print(&pairs, &text, err);
    if (status == ST_OK) status = file_write_atomic(path, text.bytes, text.n_bytes, err);
    prompt_pairs_fini(&pairs);
    buffer_fini(&text);
    free(path);
    return status;
}

static status_t write_files(const struct known_plan *plan, size_t n_prompts, const char *directory,
                            struct error *err)
{
    status_t status = write_prompts(plan, n_prompts, directory, err);
    if (status == ST_OK) status = write_weights(plan, directory, err);
    if (status == ST_OK)
        status = write_json(directory, "config.json",
                            plan->kind->is_llama ? checkpoint_config_llama(plan)
                                                 : checkpoint_config_gpt2(plan),
                            err);
    if (status == ST_OK)
        status = write_json(directory, "tokenizer.json", word_tokenizer(plan->n_vocab), err);
    if (status == ST_OK)
        status = write_json(directory, "tokenizer_config.json", word_tokenizer_config(), err);
    if (status == ST_OK) status = write_json(directory, "circuit.json", circuit_truth(plan), err);
    return status;
}

static void remove_all(const char *directory)
{
    for (size_t i = 0; i < sizeof FILES / sizeof FILES[0]; i++) {
        char *path = file_join(directory, FILES[i]);
        if (path) (void)unlink(path);
        free(path);
    }
    (void)rmdir(directory);
}

/* A directory may be renamed onto an empty one, which then is replaced. */
static status_t publish(const char *temporary, const char *directory, struct error *err)
{
    if (chmod(temporary, 0755) != 0)
        return error_set(err, ST_IO, "chmod %s: %s", temporary, strerror(errno));
    if (rename(temporary, directory) == 0) return ST_OK;
    if (errno == ENOTEMPTY || errno == EEXIST)
        return error_set(err, ST_CONFLICT, "%s is there and not empty", directory);
    return error_set(err, ST_IO, "rename to %s: %s", directory, strerror(errno));
}

/* "directory.XXXXXX" beside it, for mkdtemp; the caller frees it. */
static char *temporary_name(const char *directory)
{
    size_t n = strlen(directory);
    char *name = malloc(n + 8);
    while (n > 1 && directory[n - 1] == '/') n--;
    if (name) (void)snprintf(name, n + 8, "%.*s.XXXXXX", (int)n, directory);
    return name;
}

status_t known_model_write(const struct known_params *params, size_t n_prompts,
                           const char *directory, struct error *err)
{
    struct known_plan plan;
    status_t status = known_plan_make(&plan, params, err);
    if (status != ST_OK) return status;
    char *temporary = temporary_name(directory);
    if (!temporary) return error_set(err, ST_NO_MEMORY, "%s", directory);
    if (!mkdtemp(temporary)) {
        status =
            error_set(err, ST_IO, "create a directory beside %s: %s", directory, strerror(errno));
        free(temporary);
        return status;
    }
    status = write_files(&plan, n_prompts, temporary, err);
    if (status == ST_OK) status = publish(temporary, directory, err);
    if (status != ST_OK) remove_all(temporary);
    free(temporary);
    return status;
}
