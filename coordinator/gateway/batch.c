#include "coordinator/gateway/batch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECORD_FIELDS = 7 };

/* What is recorded of the stages between which a crash makes no difference. */
static const char *const stage_words[] = {
    [BATCH_COLLECTING] = "upload", [BATCH_UPLOADING] = "upload", [BATCH_CREATING] = "create",
    [BATCH_LOOKING] = "create",    [BATCH_RUNNING] = "run",      [BATCH_FETCHING] = "run"};

struct batch *batch_create(struct gateway_provider *provider, const char *tag,
                           int64_t opened_unix_ms)
{
    struct batch *batch = calloc(1, sizeof *batch);
    if (!batch) return NULL;
    batch->provider = provider;
    batch->opened_unix_ms = opened_unix_ms;
    (void)snprintf(batch->tag, sizeof batch->tag, "%s", tag);
    buffer_init(&batch->request, (size_t)BATCH_RESULT_MAX);
    return batch;
}

void batch_destroy(struct batch **batch)
{
    if (!*batch) return;
    for (size_t i = 0; i < (*batch)->n_members; i++) grant_fini(&(*batch)->members[i].grant);
    buffer_fini(&(*batch)->request);
    free((*batch)->members);
    free(*batch);
    *batch = NULL;
}

status_t batch_add(struct batch *batch, struct grant *grant, struct error *err)
{
    if (batch->n_members == batch->capacity) {
        const size_t capacity = batch->capacity ? batch->capacity * 2 : 64;
        void *grown = realloc(batch->members, capacity * sizeof *batch->members);
        if (!grown) return error_set(err, ST_NO_MEMORY, "batch of %zu calls", capacity);
        batch->members = grown;
        batch->capacity = capacity;
    }
    batch->members[batch->n_members++] = (struct batch_member){.grant = *grant};
    batch->n_open++;
    batch->n_file_bytes += grant->n_body_bytes + BATCH_LINE_OVERHEAD;
    *grant = (struct grant){.body = NULL};
    return ST_OK;
}

struct batch_member *batch_find(const struct batch *batch, const char *id, uint64_t attempt)
{
    size_t low = 0, high = batch->n_members;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (batch->members[middle].grant.attempt < attempt)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == batch->n_members || batch->members[low].grant.attempt != attempt) return NULL;
    return strcmp(batch->members[low].grant.id, id) == 0 ? &batch->members[low] : NULL;
}

/* ---- record ------------------------------------------------------------------------------ */

/* "id attempt sweep tokens_in tokens_out microdollars n_body_bytes" a line. */
static status_t print_members(const struct batch *batch, struct buffer *out, struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; status == ST_OK && i < batch->n_members; i++) {
        const struct grant *g = &batch->members[i].grant;
        if (batch->members[i].is_settled) continue;
        status = buffer_printf(
            out, err, "%s %" PRIu64 " %s %" PRIu64 " %" PRIu64 " %" PRId64 " %zu\n", g->id,
            g->attempt, g->sweep_id, g->tokens_in, g->tokens_out, g->microdollars, g->n_body_bytes);
    }
    return status;
}

status_t batch_append_record(struct batch *batch, const char *provider, struct journal *journal,
                             struct error *err)
{
    char opened[24];
    struct buffer members;
    uint64_t segment = 0;
    buffer_init(&members, JOURNAL_RECORD_MAX);
    (void)snprintf(opened, sizeof opened, "%" PRId64, batch->opened_unix_ms);
    status_t status = print_members(batch, &members, err);
    if (status == ST_OK) {
        const char *const fields[RECORD_FIELDS] = {
            provider,        batch->tag, stage_words[batch->stage],  batch->file_id,
            batch->batch_id, opened,     (const char *)members.bytes};
        size_t n_bytes[RECORD_FIELDS];
        for (size_t i = 0; i + 1 < RECORD_FIELDS; i++) n_bytes[i] = strlen(fields[i]);
        n_bytes[RECORD_FIELDS - 1] = members.n_bytes;
        status =
            journal_append(journal, JOURNAL_BATCH, RECORD_FIELDS, fields, n_bytes, &segment, err);
    }
    buffer_fini(&members);
    if (status != ST_OK) return status;
    if (batch->segment) journal_release(journal, batch->segment);
    batch->segment = segment;
    return ST_OK;
}

/* A word up to `after`, into out[size]; *text behind it. */
static bool take_word(const char **text, char after, char *out, size_t size)
{
    const char *end = strchr(*text, after);
    const size_t length = end ? (size_t)(end - *text) : 0;
    if (length == 0 || length >= size) return false;
    memcpy(out, *text, length);
    out[length] = '\0';
    *text = end + 1;
    return true;
}

static bool take_number(const char **text, char after, uint64_t *out)
{
    char word[24], *end;
    if (!take_word(text, after, word, sizeof word)) return false;
    errno = 0;
    *out = strtoull(word, &end, 10);
    return *end == '\0' && errno == 0 && word[0] >= '0' && word[0] <= '9';
}

/* One line; *text behind it. */
static bool read_member(const char **text, struct grant *out)
{
    struct grant grant = {.body = NULL};
    uint64_t microdollars, n_body_bytes;
    if (!take_word(text, ' ', grant.id, sizeof grant.id) ||
        strspn(grant.id, "0123456789abcdef") != HASH_HEX_SIZE - 1 ||
        !take_number(text, ' ', &grant.attempt) ||
        !take_word(text, ' ', grant.sweep_id, sizeof grant.sweep_id) ||
        !call_name_is_valid(grant.sweep_id) || !take_number(text, ' ', &grant.tokens_in) ||
        !take_number(text, ' ', &grant.tokens_out) || !take_number(text, ' ', &microdollars) ||
        !take_number(text, '\n', &n_body_bytes) || microdollars > INT64_MAX)
        return false;
    grant.microdollars = (int64_t)microdollars;
    grant.n_body_bytes = (size_t)n_body_bytes;
    *out = grant;
    return true;
}

static bool read_members(struct batch *batch, const char *text)
{
    while (*text) {
        struct grant grant;
        if (!read_member(&text, &grant)) return false;
        if (batch->n_members && grant.attempt <= batch->members[batch->n_members - 1].grant.attempt)
            return false;
        if (batch_add(batch, &grant, NULL) != ST_OK) return false;
    }
    return batch->n_members > 0;
}

static bool fits(const struct journal_record *record, size_t field, size_t size)
{
    return record->n_bytes[field] < size && strlen(record->fields[field]) == record->n_bytes[field];
}

bool batch_read_record(const struct journal_record *record, char provider[CALL_NAME_MAX + 1],
                       struct batch **out)
{
    if (record->n_fields != RECORD_FIELDS || !fits(record, 0, CALL_NAME_MAX + 1) ||
        !fits(record, 1, BATCH_TAG_SIZE) || !fits(record, 3, BATCH_NAME_SIZE) ||
        !fits(record, 4, BATCH_NAME_SIZE))
        return false;
    struct batch *batch =
        batch_create(NULL, record->fields[1], strtoll(record->fields[5], NULL, 10));
    if (!batch) return false;
    (void)snprintf(provider, CALL_NAME_MAX + 1, "%s", record->fields[0]);
    (void)snprintf(batch->file_id, sizeof batch->file_id, "%s", record->fields[3]);
    (void)snprintf(batch->batch_id, sizeof batch->batch_id, "%s", record->fields[4]);
    batch->stage = BATCH_UPLOADING;
    if (strcmp(record->fields[2], "create") == 0) batch->stage = BATCH_LOOKING;
    if (strcmp(record->fields[2], "run") == 0) batch->stage = BATCH_RUNNING;
    if (read_members(batch, record->fields[6])) {
        *out = batch;
        return true;
    }
    batch_destroy(&batch);
    return false;
}
