/* The corpus on its way to the workers: read once in the background, as compressed payloads of
 * the tokenize task, in a file without a name. In memory: 16 bytes a payload (256 KiB of text). */
#include "common/file.h"
#include "common/token_batch.h"
#include "coordinator/queue/unit_set.h"
#include "coordinator/sweep/label_job.h"

#include <stdlib.h>
#include <unistd.h>

enum { PAYLOAD_MAX_BYTES = INT32_MAX };

struct text_batches {
    struct tokenize_collector *collector;
    int fd;              /* payloads, one behind the other; -1: not open */
    struct buffer bytes; /* of the payload that is being made */
    uint64_t *ends;      /* [n] in the file */
    uint64_t *batch;     /* [n] index of the batch, for the collector */
    size_t n, capacity;
    struct unit_set dropped;
};

void text_batches_destroy(struct text_batches **batches)
{
    if (!*batches) return;
    tokenize_collector_destroy(&(*batches)->collector);
    buffer_fini(&(*batches)->bytes);
    unit_set_fini(&(*batches)->dropped);
    if ((*batches)->fd >= 0) (void)close((*batches)->fd);
    free((*batches)->ends);
    free((*batches)->batch);
    free(*batches);
    *batches = NULL;
}

size_t text_batches_count(const struct text_batches *batches)
{
    return batches->n;
}

status_t text_batches_payload(const struct text_batches *batches, size_t index, struct buffer *out,
                              struct error *err)
{
    void *room;
    const uint64_t at = index ? batches->ends[index - 1] : 0;
    const size_t n_bytes = (size_t)(batches->ends[index] - at);
    const status_t status = buffer_reserve(out, n_bytes, &room, err);
    if (status != ST_OK) return status;
    struct error cause = {.status = ST_OK};
    if (file_read_at(batches->fd, room, n_bytes, at, &cause) != ST_OK)
        return error_set(err, ST_IO, "the corpus' text, again: %s", cause.text);
    out->n_bytes += n_bytes;
    return ST_OK;
}

struct tokenize_collector *text_batches_collector(struct text_batches *batches)
{
    return batches->collector;
}

struct unit_set *text_batches_dropped(struct text_batches *batches)
{
    return &batches->dropped;
}

uint64_t text_batches_batch(const struct text_batches *batches, size_t index)
{
    return batches->batch[index];
}

static status_t make_room(struct text_batches *batches, struct error *err)
{
    if (batches->n < batches->capacity) return ST_OK;
    const size_t capacity = batches->capacity ? 2 * batches->capacity : 64;
    uint64_t *ends = realloc(batches->ends, capacity * sizeof *ends);
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
    batches->bytes.n_bytes = 0;
    if (status == ST_OK)
        status = token_batch_encode_texts(texts, batch->n_documents, &batches->bytes, err);
    free(texts);
    const uint64_t end = batches->n ? batches->ends[batches->n - 1] : 0;
    if (status == ST_OK)
        status = file_write_at(batches->fd, batches->bytes.bytes, batches->bytes.n_bytes, end, err);
    if (status != ST_OK) return status;
    batches->batch[batches->n] = batch->index;
    batches->ends[batches->n++] = end + batches->bytes.n_bytes;
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
    char *folder = sweep_path(run->sweep, NULL);
    status_t status = folder ? list_sources(spec, &sources, &max_tokens, err)
                             : error_set(err, ST_NO_MEMORY, "corpus");
    if (status == ST_OK)
        status = tokenize_collector_create(&run->batches->collector, folder, max_tokens,
                                           spec->n_ood + 1, err);
    if (status == ST_OK) status = tokenize_reader_create(&reader, sources, spec->n_ood + 1, err);
    if (status == ST_OK) status = read_all(reader, run->batches, err);
    tokenize_reader_destroy(&reader);
    free(folder);
    free(sources);
    free(max_tokens);
    return status;
}

status_t label_corpus_read(struct label_run *run, struct error *err)
{
    run->batches = calloc(1, sizeof *run->batches);
    if (!run->batches) return error_set(err, ST_NO_MEMORY, "corpus");
    run->batches->fd = -1;
    buffer_init(&run->batches->bytes, PAYLOAD_MAX_BYTES);
    char *folder = sweep_path(run->sweep, NULL);
    if (!folder) return error_set(err, ST_NO_MEMORY, "corpus");
    const status_t status = file_create_unnamed(folder, &run->batches->fd, err);
    free(folder);
    return status == ST_OK ? label_job_start(run, read_corpus, err) : status;
}
