#include "coordinator/plan/tokenize_plan.h"

#include "common/size.h"

#include <stdlib.h>
#include <string.h>

/* A batch that was read: waiting for its result, or for the batches before it. */
struct pending {
    struct pending *next;
    uint64_t index;
    uint32_t corpus_index;
    size_t n_documents;
    char *ids; /* NUL-terminated, one after the other */
    bool has_result;
    uint32_t *n_tokens; /* [n_documents] */
    uint32_t *tokens;
};

struct tokenize_collector {
    struct token_corpus *corpus;
    struct pending *first, *last; /* by index, ascending without gaps */
    size_t n_pending;
    uint64_t next_index; /* of the next batch to expect */
    size_t n_corpora;
    struct {
        uint64_t max_tokens; /* UINT64_MAX: no limit */
        uint64_t n_tokens;
        bool is_full;
    } corpora[TOKEN_CORPUS_MAX_CORPORA];
};

status_t tokenize_collector_create(struct tokenize_collector **out, const char *directory,
                                   const uint64_t *max_tokens, size_t n_corpora, struct error *err)
{
    struct tokenize_collector *collector;
    status_t status;
    if (n_corpora == 0 || n_corpora > TOKEN_CORPUS_MAX_CORPORA)
        return error_set(err, ST_BAD_INPUT, "%zu corpora; 1 to %d are possible", n_corpora,
                         TOKEN_CORPUS_MAX_CORPORA);
    collector = calloc(1, sizeof *collector);
    if (!collector) return error_set(err, ST_NO_MEMORY, "collector of tokens");
    collector->n_corpora = n_corpora;
    for (size_t i = 0; i < n_corpora; i++)
        collector->corpora[i].max_tokens = max_tokens[i] ? max_tokens[i] : UINT64_MAX;
    status = token_corpus_create(&collector->corpus, directory, err);
    if (status == ST_OK)
        *out = collector;
    else
        tokenize_collector_destroy(&collector);
    return status;
}

static void pending_free(struct pending *pending)
{
    free(pending->ids);
    free(pending->n_tokens);
    free(pending->tokens);
    free(pending);
}

void tokenize_collector_destroy(struct tokenize_collector **collector)
{
    if (!collector || !*collector) return;
    while ((*collector)->first) {
        struct pending *next = (*collector)->first->next;
        pending_free((*collector)->first);
        (*collector)->first = next;
    }
    token_corpus_destroy(&(*collector)->corpus);
    free(*collector);
    *collector = NULL;
}

bool tokenize_collector_is_full(const struct tokenize_collector *collector, uint32_t corpus_index)
{
    return corpus_index < collector->n_corpora && collector->corpora[corpus_index].is_full;
}

size_t tokenize_collector_n_pending(const struct tokenize_collector *collector)
{
    return collector->n_pending;
}

/* Documents of the batch into the corpus, up to the corpus' limit. */
static status_t settle(struct tokenize_collector *collector, const struct pending *batch,
                       struct error *err)
{
    const char *id = batch->ids;
    const uint32_t *tokens = batch->tokens;
    for (size_t i = 0; i < batch->n_documents; i++, id += strlen(id) + 1) {
        const uint32_t n = batch->n_tokens[i];
        const uint64_t n_used = collector->corpora[batch->corpus_index].n_tokens;
        if (n_used + n > collector->corpora[batch->corpus_index].max_tokens)
            collector->corpora[batch->corpus_index].is_full = true;
        if (collector->corpora[batch->corpus_index].is_full) return ST_OK;
        if (n > 0) {
            const status_t status =
                token_corpus_add(collector->corpus, batch->corpus_index, id, tokens, n, err);
            if (status != ST_OK) return status;
        }
        collector->corpora[batch->corpus_index].n_tokens += n;
        tokens += n;
    }
    return ST_OK;
}

/* Everything at the front that has its result. */
static status_t drain(struct tokenize_collector *collector, struct error *err)
{
    while (collector->first && collector->first->has_result) {
        struct pending *batch = collector->first;
        const status_t status = settle(collector, batch, err);
        if (status != ST_OK) return status;
        collector->first = batch->next;
        if (!collector->first) collector->last = NULL;
        collector->n_pending--;
        pending_free(batch);
    }
    return ST_OK;
}

static char *copy_ids(const struct tokenize_batch *batch)
{
    size_t n_bytes = 0;
    char *ids, *at;
    for (size_t i = 0; i < batch->n_documents; i++) n_bytes += strlen(batch->ids[i]) + 1;
    ids = at = malloc(n_bytes ? n_bytes : 1);
    for (size_t i = 0; ids && i < batch->n_documents; i++) {
        const size_t n = strlen(batch->ids[i]) + 1;
        memcpy(at, batch->ids[i], n);
        at += n;
    }
    return ids;
}

/* The token ids that a batch brought itself are its result. */
static status_t put_own_tokens(struct tokenize_collector *collector,
                               const struct tokenize_batch *batch, struct error *err)
{
    uint32_t *n_tokens = malloc((batch->n_documents + 1) * sizeof *n_tokens);
    size_t n_all = 0;
    status_t status;
    if (!n_tokens) return error_set(err, ST_NO_MEMORY, "batch %zu", batch->n_documents);
    for (size_t i = 0; i < batch->n_documents; i++) {
        n_tokens[i] = (uint32_t)(batch->n_bytes[i] / sizeof(uint32_t));
        n_all += n_tokens[i];
    }
    status = tokenize_collector_put(collector, batch->index, n_tokens, batch->n_documents,
                                    (const uint32_t *)(const void *)batch->bytes, n_all, err);
    free(n_tokens);
    return status;
}

status_t tokenize_collector_expect(struct tokenize_collector *collector,
                                   const struct tokenize_batch *batch, struct error *err)
{
    struct pending *pending;
    if (batch->index != collector->next_index || batch->corpus_index >= collector->n_corpora)
        return error_set(err, ST_INTERNAL, "batch %llu of corpus %u is out of order",
                         (unsigned long long)batch->index, batch->corpus_index);
    pending = calloc(1, sizeof *pending);
    if (pending) pending->ids = copy_ids(batch);
    if (!pending || !pending->ids) {
        free(pending);
        return error_set(err, ST_NO_MEMORY, "batch of %zu documents", batch->n_documents);
    }
    pending->index = batch->index;
    pending->corpus_index = batch->corpus_index;
    pending->n_documents = batch->n_documents;
    if (collector->last)
        collector->last->next = pending;
    else
        collector->first = pending;
    collector->last = pending;
    collector->n_pending++;
    collector->next_index++;
    return batch->has_tokens ? put_own_tokens(collector, batch, err) : ST_OK;
}

static status_t check_counts(uint64_t batch_index, const uint32_t *n_tokens, size_t n_documents,
                             size_t n_all_tokens, struct error *err)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n_documents; i++) sum += n_tokens[i];
    if (sum == n_all_tokens) return ST_OK;
    return error_set(err, ST_BAD_INPUT, "tokens of batch %llu: the counts say %llu, %zu came",
                     (unsigned long long)batch_index, (unsigned long long)sum, n_all_tokens);
}

status_t tokenize_collector_put(struct tokenize_collector *collector, uint64_t batch_index,
                                const uint32_t *n_tokens, size_t n_documents,
                                const uint32_t *tokens, size_t n_all_tokens, struct error *err)
{
    struct pending *pending = collector->first;
    status_t status;
    if (batch_index >= collector->next_index)
        return error_set(err, ST_NOT_FOUND, "tokens of batch %llu, which was never sent",
                         (unsigned long long)batch_index);
    while (pending && pending->index < batch_index) pending = pending->next;
    if (!pending || pending->index != batch_index || pending->has_result) return ST_OK;
    if (n_documents != pending->n_documents)
        return error_set(err, ST_BAD_INPUT, "tokens of batch %llu: %zu documents, %zu were sent",
                         (unsigned long long)batch_index, n_documents, pending->n_documents);
    status = check_counts(batch_index, n_tokens, n_documents, n_all_tokens, err);
    if (status != ST_OK) return status;
    pending->n_tokens = malloc((n_documents + 1) * sizeof *n_tokens);
    pending->tokens = malloc((n_all_tokens + 1) * sizeof *tokens);
    if (!pending->n_tokens || !pending->tokens) {
        free(pending->n_tokens);
        free(pending->tokens);
        pending->n_tokens = pending->tokens = NULL;
        return error_set(err, ST_NO_MEMORY, "batch of %zu tokens", n_all_tokens);
    }
    memcpy(pending->n_tokens, n_tokens, n_documents * sizeof *n_tokens);
    if (n_all_tokens) memcpy(pending->tokens, tokens, n_all_tokens * sizeof *tokens);
    pending->has_result = true;
    return drain(collector, err);
}

status_t tokenize_collector_take(struct tokenize_collector *collector, struct token_corpus **out,
                                 struct error *err)
{
    if (collector->n_pending)
        return error_set(err, ST_CONFLICT, "%zu batches are not tokenized yet",
                         collector->n_pending);
    if (token_corpus_n_documents(collector->corpus) == 0)
        return error_set(err, ST_BAD_INPUT,
                         "no document: max_tokens is less than the first one has, or none has a "
                         "token");
    *out = collector->corpus;
    collector->corpus = NULL;
    return ST_OK;
}
