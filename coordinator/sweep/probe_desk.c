#include "coordinator/sweep/probe_desk.h"

#include "coordinator/sweep/generate_pool.h"
#include "coordinator/sweep/probe_pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { USER_PRIORITY = 10, NAME_DIGITS = 16 }; /* a sweep's priority is 0 to 9 */
static const char names_key[] = "interp:user_probes";

struct desk_entry {
    char key[HASH_HEX_SIZE];
    char name[SWEEP_ID_SIZE]; /* in place of a sweep's id */
    struct fair_share share;
    struct probe_pool *pool;           /* owned; NULL: its keys are gone, or a generation */
    struct generate_pool *generations; /* the same of a generation */
    struct generate_answer generated;  /* owned */
    bool is_named;                     /* in names_key */
    bool is_told;
    int64_t asked_ms;
    size_t n, n_left;
    char (*ids)[HASH_HEX_SIZE];   /* [n], owned */
    struct probe_answer *answers; /* [n], owned */
    bool *has;                    /* [n], owned */
    struct error failure;
};

struct probe_desk {
    struct dispatcher *dispatcher;
    struct store *store;
    const struct clock *clock;
    bool is_swept;                                       /* what an earlier life left is gone */
    struct desk_entry *entries[PROBE_DESK_MAX_REQUESTS]; /* [n_entries], each owned */
    size_t n_entries;
};

status_t probe_desk_create(struct probe_desk **out, struct dispatcher *dispatcher,
                           struct store *store, const struct clock *clock, struct error *err)
{
    struct probe_desk *desk = calloc(1, sizeof *desk);
    if (!desk) return error_set(err, ST_NO_MEMORY, "probe desk");
    desk->dispatcher = dispatcher;
    desk->store = store;
    desk->clock = clock;
    *out = desk;
    return ST_OK;
}

static void entry_destroy(struct desk_entry *entry)
{
    probe_pool_destroy(&entry->pool);
    generate_pool_destroy(&entry->generations);
    generate_answer_fini(&entry->generated);
    for (size_t i = 0; entry->answers && i < entry->n; i++) probe_answer_fini(&entry->answers[i]);
    free(entry->ids);
    free(entry->answers);
    free(entry->has);
    free(entry);
}

void probe_desk_destroy(struct probe_desk **desk)
{
    if (!*desk) return;
    for (size_t i = 0; i < (*desk)->n_entries; i++) entry_destroy((*desk)->entries[i]);
    free(*desk);
    *desk = NULL;
}

/* --- asking -------------------------------------------------------------------------------- */

static status_t check(const struct probe_desk_request *request, struct error *err)
{
    if (request->n_texts < 1 || request->n_texts > PROBE_MAX_PER_UNIT)
        return error_set(err, ST_BAD_INPUT, "%zu texts: 1 to %d", request->n_texts,
                         PROBE_MAX_PER_UNIT);
    for (size_t i = 0; i < request->n_texts; i++)
        if (request->texts[i].n_bytes > PROBE_MAX_TEXT_BYTES)
            return error_set(err, ST_BAD_INPUT, "text %zu has %zu bytes, at most %d", i + 1,
                             request->texts[i].n_bytes, PROBE_MAX_TEXT_BYTES);
    return ST_OK;
}

/* A hash over all that was asked. */
static status_t name_request(const struct probe_desk_request *request, char key[HASH_HEX_SIZE],
                             struct error *err)
{
    char head[64];
    struct hash_stream *stream = NULL;
    status_t status = hash_stream_create(&stream, err);
    if (status == ST_OK)
        status = hash_stream_add(stream, request->spec_json, strlen(request->spec_json), err);
    for (size_t i = 0; i < request->n_texts && status == ST_OK; i++) {
        const struct wire_text text = request->texts[i];
        const int n =
            snprintf(head, sizeof head, "|%u|%zu|", (unsigned)request->slot, text.n_bytes);
        status = hash_stream_add(stream, head, (size_t)n, err);
        if (status == ST_OK) status = hash_stream_add(stream, text.bytes, text.n_bytes, err);
    }
    if (status == ST_OK) status = hash_stream_hex(stream, key, err);
    hash_stream_destroy(&stream);
    return status;
}

static status_t open_pool(const struct probe_desk *desk, struct desk_entry *entry,
                          const struct probe_desk_request *request, struct error *err)
{
    const struct probe_pool_target target = {0, request->n_slots};
    const struct probe_pool_params params = {.dispatcher = desk->dispatcher,
                                             .store = desk->store,
                                             .clock = desk->clock,
                                             .sweep_id = entry->name,
                                             .share = &entry->share,
                                             .spec_json = request->spec_json,
                                             .identity = request->spec_json,
                                             .targets = &target,
                                             .n_targets = 1,
                                             .is_pinned = request->pin.backend[0] != '\0'};
    status_t status = probe_pool_create(&entry->pool, &params, err);
    for (size_t i = 0; i < request->n_texts && status == ST_OK; i++) {
        const struct probe_request probe = {0, request->slot, request->texts[i].bytes,
                                            request->texts[i].n_bytes};
        status = probe_pool_ask(entry->pool, &probe, entry->ids[i], err);
    }
    return status;
}

/* Without a pool yet; `n` answers are to come. */
static struct desk_entry *new_entry(const char *key, const struct worker_pin *pin, size_t n)
{
    struct desk_entry *entry = calloc(1, sizeof *entry);
    if (!entry) return NULL;
    entry->n = entry->n_left = n;
    entry->share = (struct fair_share){.priority = USER_PRIORITY, .weight = 1.0, .pin = *pin};
    memcpy(entry->key, key, sizeof entry->key);
    (void)snprintf(entry->name, sizeof entry->name, "user-%.*s", NAME_DIGITS, key);
    return entry;
}

static status_t make_entry(const struct probe_desk *desk, const struct probe_desk_request *request,
                           const char *key, struct desk_entry **out, struct error *err)
{
    struct desk_entry *entry = new_entry(key, &request->pin, request->n_texts);
    if (!entry) return error_set(err, ST_NO_MEMORY, "probe");
    entry->ids = calloc(entry->n, sizeof *entry->ids);
    entry->answers = calloc(entry->n, sizeof *entry->answers);
    entry->has = calloc(entry->n, sizeof *entry->has);
    const status_t status = entry->ids && entry->answers && entry->has
                                ? open_pool(desk, entry, request, err)
                                : error_set(err, ST_NO_MEMORY, "probe");
    if (status == ST_OK)
        *out = entry;
    else
        entry_destroy(entry);
    return status;
}

static struct desk_entry *find(const struct probe_desk *desk, const char *key)
{
    for (size_t i = 0; i < desk->n_entries; i++)
        if (strcmp(desk->entries[i]->key, key) == 0) return desk->entries[i];
    return NULL;
}

static status_t check_room(const struct probe_desk *desk, struct error *err)
{
    return desk->n_entries < PROBE_DESK_MAX_REQUESTS
               ? ST_OK
               : error_set(err, ST_BUSY, "%d probes are under way: try again",
                           PROBE_DESK_MAX_REQUESTS);
}

static status_t add(struct probe_desk *desk, const struct probe_desk_request *request,
                    const char *key, struct desk_entry **out, struct error *err)
{
    status_t status = check_room(desk, err);
    if (status == ST_OK) status = make_entry(desk, request, key, out, err);
    if (status == ST_OK) desk->entries[desk->n_entries++] = *out;
    return status;
}

/* *is_there: its answers are told now. */
static status_t look_at(const struct probe_desk *desk, struct desk_entry *entry, bool *is_there,
                        struct error *err)
{
    entry->asked_ms = clock_monotonic_ms(desk->clock);
    *is_there = false;
    if (entry->n_left && entry->failure.status == ST_OK) return ST_OK;
    entry->is_told = true;
    if (entry->failure.status != ST_OK)
        return error_set(err, entry->failure.status, "%s", entry->failure.text);
    *is_there = true;
    return ST_OK;
}

status_t probe_desk_ask(struct probe_desk *desk, const struct probe_desk_request *request,
                        const struct probe_answer **answers, struct error *err)
{
    char key[HASH_HEX_SIZE];
    bool is_there = false;
    status_t status = check(request, err);
    if (status == ST_OK) status = name_request(request, key, err);
    if (status != ST_OK) return status;
    struct desk_entry *entry = find(desk, key);
    if (!entry) status = add(desk, request, key, &entry, err);
    if (status == ST_OK && entry) status = look_at(desk, entry, &is_there, err);
    if (status == ST_OK) *answers = is_there ? entry->answers : NULL;
    return status;
}

/* --- asking for a generation --------------------------------------------------------------- */

static status_t name_generation(const struct probe_desk_generation *request,
                                char key[HASH_HEX_SIZE], struct error *err)
{
    struct buffer bytes;
    buffer_init(&bytes, 2 * GENERATE_MAX_JOB_BYTES);
    status_t status = generate_job_encode(request->job, &bytes, err);
    if (status == ST_OK) status = buffer_append_text(&bytes, request->spec_json, err);
    if (status == ST_OK) (void)hash_sha256_hex(bytes.bytes, bytes.n_bytes, key);
    buffer_fini(&bytes);
    return status;
}

static status_t add_generation(struct probe_desk *desk, const struct probe_desk_generation *request,
                               const char *key, struct desk_entry **out, struct error *err)
{
    char id[HASH_HEX_SIZE];
    status_t status = check_room(desk, err);
    if (status != ST_OK) return status;
    struct desk_entry *entry = new_entry(key, &request->pin, 1);
    if (!entry) return error_set(err, ST_NO_MEMORY, "generation");
    const struct generate_pool_params params = {.dispatcher = desk->dispatcher,
                                                .store = desk->store,
                                                .sweep_id = entry->name,
                                                .share = &entry->share,
                                                .spec_json = request->spec_json,
                                                .identity = request->spec_json,
                                                .is_pinned = request->pin.backend[0] != '\0'};
    status = generate_pool_create(&entry->generations, &params, err);
    if (status == ST_OK) status = generate_pool_ask(entry->generations, request->job, id, err);
    if (status == ST_OK)
        *out = desk->entries[desk->n_entries++] = entry;
    else
        entry_destroy(entry);
    return status;
}

status_t probe_desk_generate(struct probe_desk *desk, const struct probe_desk_generation *request,
                             const struct generate_answer **answer, struct error *err)
{
    char key[HASH_HEX_SIZE];
    bool is_there = false;
    status_t status = name_generation(request, key, err);
    if (status != ST_OK) return status;
    struct desk_entry *entry = find(desk, key);
    if (!entry) status = add_generation(desk, request, key, &entry, err);
    if (status == ST_OK && entry) status = look_at(desk, entry, &is_there, err);
    if (status == ST_OK) *answer = is_there ? &entry->generated : NULL;
    return status;
}

/* --- stepping ------------------------------------------------------------------------------ */

static status_t forget_keys(struct probe_desk *desk, const char *name, struct error *err)
{
    status_t status = probe_pool_forget(desk->dispatcher, desk->store, name, err);
    if (status == ST_OK) status = generate_pool_forget(desk->dispatcher, desk->store, name, err);
    return status == ST_OK ? store_run(desk->store, NULL, err, "SREM %s %s", names_key, name)
                           : status;
}

static status_t sweep_leftovers(struct probe_desk *desk, struct error *err)
{
    redisReply *names = NULL;
    if (desk->is_swept) return ST_OK;
    status_t status = store_run(desk->store, &names, err, "SMEMBERS %s", names_key);
    if (status != ST_OK) return status;
    for (size_t i = 0; i < names->elements && status == ST_OK; i++)
        status = forget_keys(desk, names->element[i]->str, err);
    freeReplyObject(names);
    desk->is_swept = status == ST_OK;
    return status;
}

/* Every text that was this one has its answer. */
static status_t take_answer(void *context, const char *id, const struct probe_answer *answer,
                            struct error *err)
{
    struct desk_entry *entry = context;
    struct buffer bytes;
    buffer_init(&bytes, PROBE_MAX_RESULT_BYTES);
    status_t status = probe_answer_encode(answer, &bytes, err);
    for (size_t i = 0; i < entry->n && status == ST_OK; i++) {
        if (entry->has[i] || strcmp(entry->ids[i], id) != 0) continue;
        status = probe_answer_decode(bytes.bytes, bytes.n_bytes, &entry->answers[i], err);
        entry->has[i] = status == ST_OK;
        entry->n_left -= status == ST_OK;
    }
    buffer_fini(&bytes);
    return status;
}

static status_t take_generated(void *context, const char *id, const struct generate_answer *answer,
                               struct error *err)
{
    struct desk_entry *entry = context;
    struct buffer bytes;
    (void)id;
    buffer_init(&bytes, GENERATE_MAX_ANSWER_BYTES);
    status_t status = generate_answer_encode(answer, &bytes, err);
    if (status == ST_OK)
        status = generate_answer_decode(bytes.bytes, bytes.n_bytes, &entry->generated, err);
    entry->n_left -= status == ST_OK;
    buffer_fini(&bytes);
    return status;
}

static status_t name_entry(struct probe_desk *desk, struct desk_entry *entry, struct error *err)
{
    if (entry->is_named) return ST_OK;
    const status_t status = store_run(desk->store, NULL, err, "SADD %s %s", names_key, entry->name);
    entry->is_named = status == ST_OK;
    return status;
}

/* What the workers say of a unit that they gave up holds for the request as a whole. */
static void note_dead(struct desk_entry *entry)
{
    const uint64_t n_dead = entry->pool ? probe_pool_counts(entry->pool).n_dead
                                        : generate_pool_counts(entry->generations).n_dead;
    if (n_dead == 0) return;
    (void)error_set(&entry->failure, ST_INTERNAL, "the %s failed on the workers: %s",
                    entry->pool ? "probe" : "generation",
                    entry->pool ? entry->answers[0].error : entry->generated.error);
}

static status_t run_entry(struct probe_desk *desk, struct desk_entry *entry, struct error *err)
{
    struct error problem = {0};
    status_t status = name_entry(desk, entry, &problem);
    if (status == ST_OK)
        status = entry->pool
                     ? probe_pool_step(entry->pool, take_answer, entry, &problem)
                     : generate_pool_step(entry->generations, take_generated, entry, &problem);
    if (status == ST_UNREACHABLE) return error_set(err, status, "%s", problem.text);
    if (status != ST_OK) (void)error_set(&entry->failure, status, "%s", problem.text);
    if (status == ST_OK && entry->n_left == 0) note_dead(entry);
    return ST_OK;
}

static bool is_over(const struct desk_entry *entry)
{
    return entry->n_left == 0 || entry->failure.status != ST_OK;
}

static bool is_abandoned(const struct probe_desk *desk, const struct desk_entry *entry)
{
    return clock_monotonic_ms(desk->clock) - entry->asked_ms > PROBE_DESK_ABANDON_MS;
}

/* The pool goes when there is nothing more to compute, the entry when nobody wants its answers. */
static status_t step_entry(struct probe_desk *desk, struct desk_entry *entry, bool *is_gone,
                           struct error *err)
{
    status_t status = ST_OK;
    if ((entry->pool || entry->generations) && !is_over(entry))
        status = run_entry(desk, entry, err);
    const bool is_unwanted = entry->is_told || is_abandoned(desk, entry);
    if (status == ST_OK && (is_over(entry) || is_unwanted)) {
        probe_pool_destroy(&entry->pool);
        generate_pool_destroy(&entry->generations);
        if (entry->is_named) status = forget_keys(desk, entry->name, err);
        if (status == ST_OK) entry->is_named = false;
    }
    *is_gone = status == ST_OK && is_unwanted;
    return status;
}

status_t probe_desk_step(struct probe_desk *desk, struct error *err)
{
    status_t status = sweep_leftovers(desk, err);
    size_t n_kept = 0;
    for (size_t i = 0; i < desk->n_entries; i++) {
        struct desk_entry *entry = desk->entries[i];
        bool is_gone = false;
        if (status == ST_OK) status = step_entry(desk, entry, &is_gone, err);
        if (is_gone)
            entry_destroy(entry);
        else
            desk->entries[n_kept++] = entry;
    }
    desk->n_entries = n_kept;
    return status;
}
