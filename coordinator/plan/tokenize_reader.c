#include "coordinator/plan/tokenize_plan.h"

#include "common/buffer.h"

#include <stdlib.h>
#include <string.h>

struct tokenize_reader {
    const struct sweep_source *sources; /* [n_sources], borrowed */
    size_t n_sources;
    uint32_t corpus_index;       /* of the corpus that is read now; n_sources at the end */
    struct corpus *corpus;       /* NULL between corpora */
    struct corpus_document held; /* read, but too much for the last batch */
    bool is_holding;
    uint64_t n_batches;
    struct buffer bytes;    /* of the batch */
    struct buffer id_bytes; /* NUL-terminated, one after the other */
    size_t *n_bytes;        /* [TOKENIZE_BATCH_DOCUMENTS] */
    size_t *id_offset;      /* [TOKENIZE_BATCH_DOCUMENTS] */
    const char **ids;       /* [TOKENIZE_BATCH_DOCUMENTS] */
    struct corpus_stats stats[TOKEN_CORPUS_MAX_CORPORA];
};

status_t tokenize_reader_create(struct tokenize_reader **out, const struct sweep_source *sources,
                                size_t n_sources, struct error *err)
{
    struct tokenize_reader *reader;
    if (n_sources > TOKEN_CORPUS_MAX_CORPORA)
        return error_set(err, ST_TOO_LARGE, "%zu corpora, at most %d", n_sources,
                         TOKEN_CORPUS_MAX_CORPORA);
    reader = calloc(1, sizeof *reader);
    if (!reader) return error_set(err, ST_NO_MEMORY, "reader of %zu corpora", n_sources);
    reader->sources = sources;
    reader->n_sources = n_sources;
    buffer_init(&reader->bytes, (size_t)CORPUS_MAX_DOCUMENT_BYTES * 4 + TOKENIZE_BATCH_BYTES);
    buffer_init(&reader->id_bytes,
                (size_t)TOKENIZE_BATCH_DOCUMENTS * (TOKEN_CORPUS_MAX_ID_BYTES + 1));
    reader->n_bytes = calloc(TOKENIZE_BATCH_DOCUMENTS, sizeof *reader->n_bytes);
    reader->id_offset = calloc(TOKENIZE_BATCH_DOCUMENTS, sizeof *reader->id_offset);
    reader->ids = calloc(TOKENIZE_BATCH_DOCUMENTS, sizeof *reader->ids);
    if (!reader->n_bytes || !reader->id_offset || !reader->ids) {
        tokenize_reader_destroy(&reader);
        return error_set(err, ST_NO_MEMORY, "reader of %zu corpora", n_sources);
    }
    *out = reader;
    return ST_OK;
}

void tokenize_reader_destroy(struct tokenize_reader **reader)
{
    if (!reader || !*reader) return;
    corpus_close(&(*reader)->corpus);
    buffer_fini(&(*reader)->bytes);
    buffer_fini(&(*reader)->id_bytes);
    free((*reader)->n_bytes);
    free((*reader)->id_offset);
    free((*reader)->ids);
    free(*reader);
    *reader = NULL;
}

struct corpus_stats tokenize_reader_stats(const struct tokenize_reader *reader,
                                          uint32_t corpus_index)
{
    return reader->stats[corpus_index];
}

static void leave_corpus(struct tokenize_reader *reader)
{
    corpus_close(&reader->corpus);
    reader->is_holding = false;
    reader->corpus_index++;
}

void tokenize_reader_skip(struct tokenize_reader *reader, uint32_t corpus_index)
{
    if (reader->corpus_index == corpus_index && reader->corpus) leave_corpus(reader);
}

/* The next document of any corpus into `held`; is_holding stays false at the very end. */
static status_t hold_next(struct tokenize_reader *reader, struct error *err)
{
    while (!reader->is_holding && reader->corpus_index < reader->n_sources) {
        status_t status = ST_OK;
        if (!reader->corpus)
            status = corpus_open(&reader->corpus, &reader->sources[reader->corpus_index], err);
        if (status == ST_OK)
            status = corpus_next(reader->corpus, &reader->held, &reader->is_holding, err);
        if (status != ST_OK) return status;
        reader->stats[reader->corpus_index] = corpus_stats(reader->corpus);
        if (!reader->is_holding) leave_corpus(reader);
    }
    return ST_OK;
}

static size_t held_bytes(const struct corpus_document *document)
{
    return document->text ? document->n_text_bytes : document->n_tokens * sizeof(uint32_t);
}

/* Does the held document belong into the batch begun? */
static bool fits(const struct tokenize_reader *reader, const struct tokenize_batch *batch)
{
    if (batch->n_documents == 0) return true;
    return batch->corpus_index == reader->corpus_index &&
           batch->has_tokens == (reader->held.text == NULL) &&
           batch->n_documents < TOKENIZE_BATCH_DOCUMENTS &&
           reader->bytes.n_bytes + held_bytes(&reader->held) <= TOKENIZE_BATCH_BYTES;
}

/* Two corpora may use the same ids, and keys are numbers of ids: a named corpus names its own. */
static status_t add_id(struct tokenize_reader *reader, const char *id, struct error *err)
{
    const char *name = reader->sources[reader->corpus_index].name;
    status_t status = ST_OK;
    if (name) status = buffer_append_text(&reader->id_bytes, name, err);
    if (name && status == ST_OK) status = buffer_append(&reader->id_bytes, "/", 1, err);
    if (status == ST_OK) status = buffer_append(&reader->id_bytes, id, strlen(id) + 1, err);
    return status;
}

static status_t add_held(struct tokenize_reader *reader, struct tokenize_batch *batch,
                         struct error *err)
{
    const struct corpus_document *held = &reader->held;
    const size_t n_bytes = held_bytes(held);
    const void *bytes = held->text ? (const void *)held->text : (const void *)held->tokens;
    status_t status;
    batch->corpus_index = reader->corpus_index;
    batch->has_tokens = held->text == NULL;
    reader->n_bytes[batch->n_documents] = n_bytes;
    reader->id_offset[batch->n_documents] = reader->id_bytes.n_bytes;
    status = buffer_append(&reader->bytes, bytes, n_bytes, err);
    if (status == ST_OK) status = add_id(reader, held->id, err);
    batch->n_documents++;
    reader->is_holding = false;
    return status;
}

status_t tokenize_reader_next(struct tokenize_reader *reader, struct tokenize_batch *out,
                              bool *has_batch, struct error *err)
{
    struct tokenize_batch batch = {.index = reader->n_batches};
    status_t status;
    *has_batch = false;
    reader->bytes.n_bytes = reader->id_bytes.n_bytes = 0;
    for (;;) {
        status = hold_next(reader, err);
        if (status != ST_OK) return status;
        if (!reader->is_holding || !fits(reader, &batch)) break;
        status = add_held(reader, &batch, err);
        if (status != ST_OK) return status;
    }
    if (batch.n_documents == 0) return ST_OK;
    for (size_t i = 0; i < batch.n_documents; i++)
        reader->ids[i] = (const char *)reader->id_bytes.bytes + reader->id_offset[i];
    batch.ids = reader->ids;
    batch.bytes = (const char *)reader->bytes.bytes;
    batch.n_bytes = reader->n_bytes;
    reader->n_batches++;
    *out = batch;
    *has_batch = true;
    return ST_OK;
}
