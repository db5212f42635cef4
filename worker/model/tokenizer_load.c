/* tokenizer.json into a struct tokenizer, and its end. */
#include "common/file.h"
#include "worker/model/json_fields.h"
#include "worker/model/tokenizer_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char space_mark[] = "\xe2\x96\x81"; /* U+2581, sentencepiece's space */

static status_t create_empty(struct tokenizer **out, struct error *err)
{
    struct tokenizer *tokenizer = calloc(1, sizeof *tokenizer);
    if (!tokenizer) return error_set(err, ST_NO_MEMORY, "tokenizer");
    tokenizer->bos_id = tokenizer->eos_id = TOKEN_NONE;
    tokenizer->pool = calloc(1, sizeof *tokenizer->pool);
    pthread_mutex_t *lock = malloc(sizeof *lock);
    if (!tokenizer->pool || !lock || pthread_mutex_init(lock, NULL) != 0) {
        free(lock);
        tokenizer_close(&tokenizer);
        return error_set(err, ST_NO_MEMORY, "tokenizer");
    }
    tokenizer->pool_lock = lock;
    *out = tokenizer;
    return ST_OK;
}

void tokenizer_close(struct tokenizer **tokenizer)
{
    struct tokenizer *old = *tokenizer;
    if (!old) return;
    for (struct tokenizer_context *context = old->pool ? *old->pool : NULL; context;) {
        struct tokenizer_context *next = context->next;
        tokenizer_context_destroy(context);
        context = next;
    }
    free(old->pool);
    if (old->pool_lock) (void)pthread_mutex_destroy(old->pool_lock);
    free(old->pool_lock);
    normalizer_fini(&old->normalizer);
    pretokenizer_fini(&old->pretokenizer);
    bpe_fini(&old->bpe);
    added_tokens_fini(&old->added);
    token_template_fini(&old->around);
    token_decoder_fini(&old->decoder);
    free(old);
    *tokenizer = NULL;
}

/* What the parts must agree on, and the cut that keeps a sentencepiece document from being one
 * word. */
static status_t connect_parts(struct tokenizer *tokenizer, struct error *err)
{
    struct pretokenizer *pretokenizer = &tokenizer->pretokenizer;
    tokenizer->bpe.is_byte_level = pretokenizer->is_byte_level;
    if (normalizer_moves_start(&tokenizer->normalizer) && pretokenizer_needs_start(pretokenizer))
        return error_set(err, ST_UNSUPPORTED,
                         "a normalizer that changes the start of a text, before Metaspace with "
                         "prepend_scheme 'first', is not supported");
    if (bpe_may_cut_before(&tokenizer->bpe, space_mark))
        return pretokenizer_add_cut(pretokenizer, space_mark, err);
    return ST_OK;
}

static status_t check_template(const struct tokenizer *tokenizer, const struct token_list *list,
                               struct error *err)
{
    for (size_t i = 0; i < list->n_ids; i++) {
        const char *bytes;
        size_t n_bytes;
        if (!tokenizer_spelling(tokenizer, list->ids[i], &bytes, &n_bytes))
            return error_set(err, ST_CORRUPT, "post_processor: id %u is no token", list->ids[i]);
    }
    return ST_OK;
}

static status_t load_parts(struct tokenizer *tokenizer, json_t *root, struct error *err)
{
    if (!json_is_object(root)) return error_set(err, ST_CORRUPT, "not a JSON object");
    status_t status = bpe_load(&tokenizer->bpe, json_object_get(root, "model"), err);
    if (status == ST_OK)
        status = normalizer_load(&tokenizer->normalizer, json_object_get(root, "normalizer"), err);
    if (status == ST_OK)
        status = pretokenizer_load(&tokenizer->pretokenizer, json_object_get(root, "pre_tokenizer"),
                                   err);
    if (status == ST_OK)
        status = added_tokens_load(&tokenizer->added, json_object_get(root, "added_tokens"),
                                   &tokenizer->bpe.vocabulary, &tokenizer->normalizer, err);
    if (status == ST_OK)
        status =
            token_template_load(&tokenizer->around, json_object_get(root, "post_processor"), err);
    if (status == ST_OK)
        status = token_decoder_load(&tokenizer->decoder, json_object_get(root, "decoder"), err);
    if (status == ST_OK) status = connect_parts(tokenizer, err);
    if (status == ST_OK) status = check_template(tokenizer, &tokenizer->around.before, err);
    if (status == ST_OK) status = check_template(tokenizer, &tokenizer->around.after, err);
    return status;
}

static status_t parse_with_directory(struct tokenizer **out, const char *json, size_t n_bytes,
                                     const char *directory, struct error *err)
{
    json_t *root = NULL;
    struct tokenizer *tokenizer = NULL;
    status_t status = json_parse(&root, json, n_bytes, true, err);
    if (status == ST_OK) status = create_empty(&tokenizer, err);
    if (status == ST_OK) status = load_parts(tokenizer, root, err);
    json_decref(root);
    if (status == ST_OK) status = tokenizer_find_ends(tokenizer, directory, err);
    if (status == ST_OK)
        *out = tokenizer;
    else
        tokenizer_close(&tokenizer);
    return status;
}

status_t tokenizer_parse(struct tokenizer **out, const char *json, size_t n_bytes,
                         struct error *err)
{
    return parse_with_directory(out, json, n_bytes, NULL, err);
}

static status_t open_file(struct tokenizer **out, const char *path, const char *directory,
                          struct error *err)
{
    char *json = NULL;
    size_t n_bytes = 0;
    status_t status = file_read(path, TOKENIZER_MAX_FILE_BYTES, &json, &n_bytes, err);
    if (status != ST_OK) return status;
    status = parse_with_directory(out, json, n_bytes, directory, err);
    if (status != ST_OK) error_wrap(err, "%s", path);
    free(json);
    return status;
}

/* The directory part of a path to a file. */
static char *directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash) return strdup(".");
    return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

status_t tokenizer_open(struct tokenizer **out, const char *path, struct error *err)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return error_set(err, errno == ENOENT ? ST_NOT_FOUND : ST_IO, "open %s: %s", path,
                         strerror(errno));
    const bool is_directory = S_ISDIR(info.st_mode);
    char *file = is_directory ? file_join(path, "tokenizer.json") : strdup(path);
    char *directory = is_directory ? strdup(path) : directory_of(path);
    const status_t status = file && directory ? open_file(out, file, directory, err)
                                              : error_set(err, ST_NO_MEMORY, "open %s", path);
    free(file);
    free(directory);
    return status;
}
