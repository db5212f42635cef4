/* The corpus on its way to the workers: read once in the background, as compressed payloads of
 * the tokenize task. Memory: the compressed text, until it is tokenized. */
#include "common/token_batch.h"
#include "coordinator/sweep/label_job.h"

#include <stdlib.h>

enum { PAYLOADS_MAX_BYTES = INT32_MAX };

struct text_batches {
    struct tokenize_collector *collector;
    struct buffer bytes; /* payloads, one behind the other */
    size_t *ends;        /* [n] */
    uint64_t *batch;     /* [n] index of the batch, for the collector */
    size_t n, capacity;
};

void text_batches_destroy(struct text_batches **batches)
{
    if (!*batches) return;
    tokenize_collector_destroy(&(*batches)->collector);
    buffer_fini(&(*batches)->bytes);
    free((*batches)->ends);
    free((*batches)->batch);
    free(*batches);
    *batches = NULL;
}

size_t text_batches_count(const struct text_batches *batches)
{
    return batches->n;
}

struct wire_text text_batches_payload(const struct text_batches *batches, size_t index)
{
    const size_t start = index ? batches->ends[index - 1] : 0;
    return (struct wire_text){(const char *)batches->bytes.bytes + start,
                              batches->ends[index] - start};
}

struct tokenize_collector *text_batches_collector(struct text_batches *batches)
{
    return batches->collector;
}

uint64_t text_batches_batch(const struct text_batches *batches, size_t index)
{
    return batches->batch[index];
}

static status_t make_room(struct text_batches *batches, struct error *err)
{
    if (batches->n < batches->capacity) return ST_OK;
    const size_t capacity = batches->capacity ? 2 * batches->capacity : 64;
    size_t *ends = realloc(batches->ends, capacity * sizeof *ends);
    if (ends) batches->ends = ends;
    uint64_t *batch = realloc(batches->batch, capacity * sizeof *batch);
    if (batch) batches->batch = batch;
    if (!ends || !batch) return error_set(err, ST_NO_MEMORY, "%zu batches", capacity);
    batches->capacity = capacity;
    return ST_OK;
}

static status_t add_payload(struct text_batches *batches, const struct tokenize_batch *batch,
                            struct error *err)
{
    status_t status = make_room(batches, err);
    struct wire_text *texts = malloc((batch->n_documents + 1) * sizeof *texts);
    if (status == ST_OK && !texts) status = error_set(err, ST_NO_MEMORY, "batch of documents");
    const char *at = batch->bytes;
    for (size_t i = 0; status == ST_OK && i < batch->n_documents; at += batch->n_bytes[i++])
        texts[i] = (struct wire_text){at, batch->n_bytes[i]};
    if (status == ST_OK)
        status = token_batch_encode_texts(texts, batch->n_documents, &batches->bytes, err);
    free(texts);
    if (status != ST_OK) return status;
    batches->batch[batches->n] = batch->index;
    batches->ends[batches->n++] = batches->bytes.n_bytes;
    return ST_OK;
}

static status_t read_all(struct tokenize_reader *reader, struct text_batches *batches,
                         struct error *err)
{
    for (;;) {
        struct tokenize_batch batch;
        bool has_batch;
        status_t status = tokenize_reader_next(reader, &batch, &has_batch, err);
        if (status != ST_OK || !has_batch) return status;
        status = tokenize_collector_expect(batches->collector, &batch, err);
        if (status == ST_OK && !batch.has_tokens) status = add_payload(batches, &batch, err);
        if (status != ST_OK) return status;
    }
}

static status_t list_sources(const struct sweep_spec *spec, struct sweep_source **sources,
                             uint64_t **max_tokens, struct error *err)
{
    const size_t n = spec->n_ood + 1;
    *sources = malloc(n * sizeof **sources);
    *max_tokens = malloc(n * sizeof **max_tokens);
    if (!*sources || !*max_tokens) return error_set(err, ST_NO_MEMORY, "%zu corpora", n);
    for (size_t i = 0; i < n; i++) {
        (*sources)[i] = i ? spec->ood[i - 1] : sweep_spec_main_source(spec);
        (*max_tokens)[i] = (*sources)[i].max_tokens;
    }
    return ST_OK;
}

static status_t read_corpus(struct label_run *run, struct error *err)
{
    const struct sweep_spec *spec = run->sweep->spec;
    struct sweep_source *sources = NULL;
    uint64_t *max_tokens = NULL;
    struct tokenize_reader *reader = NULL;
    status_t status = list_sources(spec, &sources, &max_tokens, err);
    if (status == ST_OK)
        status =
            tokenize_collector_create(&run->batches->collector, max_tokens, spec->n_ood + 1, err);
    if (status == ST_OK) status = tokenize_reader_create(&reader, sources, spec->n_ood + 1, err);
    if (status == ST_OK) status = read_all(reader, run->batches, err);
    tokenize_reader_destroy(&reader);
    free(sources);
    free(max_tokens);
    return status;
}

status_t label_corpus_read(struct label_run *run, struct error *err)
{
    run->batches = calloc(1, sizeof *run->batches);
    if (!run->batches) return error_set(err, ST_NO_MEMORY, "corpus");
    buffer_init(&run->batches->bytes, PAYLOADS_MAX_BYTES);
    return label_job_start(run, read_corpus, err);
}
