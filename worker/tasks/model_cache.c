#include "worker/tasks/model_cache.h"

#include "common/log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { CACHE_SLOTS = 8, FINGERPRINTS_KEPT = 32 };

struct entry {
    struct model *model; /* one of the two */
    struct dictionary *dictionary;
    double norm_scaling_factor; /* that the dictionary was opened with */
    uint64_t stamp;             /* of its files when it was opened */
    size_t n_users;
    struct memory_needs needs; /* of whoever the model was planned for; without names */
    bool is_alone;             /* the device was found full: one user at a time */
    uint64_t last_used;
};

struct known_fingerprint {
    char *directory; /* owned; NULL: empty */
    uint64_t stamp;
    char hex[HASH_HEX_SIZE];
};

struct model_cache {
    pthread_mutex_t lock; /* held while opening: two threads never open the same thing twice */
    struct backend *backend;
    size_t n_threads; /* that compute with what is here */
    bool may_be_fewer;
    atomic_size_t n_seats;      /* of the model that was asked for last */
    atomic_size_t n_waiting;    /* for models that others use */
    pthread_cond_t is_released; /* a model was */
    uint64_t clock;
    struct entry entries[CACHE_SLOTS];
    pthread_mutex_t fingerprint_lock; /* held while files are read, not while models are opened */
    struct known_fingerprint fingerprints[FINGERPRINTS_KEPT]; /* ring */
    size_t next_fingerprint;
};

status_t model_cache_create(struct model_cache **out, struct backend *backend, struct error *err)
{
    struct model_cache *cache = calloc(1, sizeof *cache);
    if (!cache || pthread_mutex_init(&cache->lock, NULL) != 0 ||
        pthread_mutex_init(&cache->fingerprint_lock, NULL) != 0 ||
        pthread_cond_init(&cache->is_released, NULL) != 0) {
        free(cache);
        return error_set(err, ST_NO_MEMORY, "model cache");
    }
    cache->backend = backend;
    model_cache_share(cache, 1, false);
    *out = cache;
    return ST_OK;
}

static void empty(struct entry *entry)
{
    model_close(&entry->model);
    dictionary_close(&entry->dictionary);
    *entry = (struct entry){0};
}

void model_cache_destroy(struct model_cache **cache)
{
    if (!*cache) return;
    for (size_t i = 0; i < CACHE_SLOTS; i++) empty(&(*cache)->entries[i]);
    for (size_t i = 0; i < FINGERPRINTS_KEPT; i++) free((*cache)->fingerprints[i].directory);
    (void)pthread_cond_destroy(&(*cache)->is_released);
    (void)pthread_mutex_destroy(&(*cache)->fingerprint_lock);
    (void)pthread_mutex_destroy(&(*cache)->lock);
    free(*cache);
    *cache = NULL;
}

void model_cache_share(struct model_cache *cache, size_t n_threads, bool may_be_fewer)
{
    cache->n_threads = n_threads;
    cache->may_be_fewer = may_be_fewer && n_threads > 1;
    atomic_store(&cache->n_seats, cache->may_be_fewer ? 1 : n_threads);
}

size_t model_cache_n_seats(struct model_cache *cache)
{
    return atomic_load(&cache->n_seats);
}

bool model_cache_is_awaited(struct model_cache *cache)
{
    return atomic_load(&cache->n_waiting) > 0;
}

struct backend *model_cache_backend(struct model_cache *cache)
{
    return cache->backend;
}

/* All that nobody uses. A task that is about to be opened may find its own model gone and load it
 * again; the caller asks once. */
static bool close_idle(struct model_cache *cache)
{
    bool is_any = false;
    for (size_t i = 0; i < CACHE_SLOTS; i++) {
        struct entry *entry = &cache->entries[i];
        if (entry->n_users || (!entry->model && !entry->dictionary)) continue;
        empty(entry);
        is_any = true;
    }
    return is_any;
}

static bool halve(struct model_cache *cache)
{
    bool is_any = false;
    for (size_t i = 0; i < CACHE_SLOTS; i++) {
        struct model *model = cache->entries[i].model;
        if (model && model_halve(model)) is_any = true;
    }
    return is_any;
}

static bool leave_alone(struct model_cache *cache)
{
    bool is_any = false;
    for (size_t i = 0; i < CACHE_SLOTS && cache->may_be_fewer; i++) {
        struct entry *entry = &cache->entries[i];
        if (!entry->model || entry->n_users < 2 || entry->is_alone) continue;
        entry->is_alone = is_any = true;
    }
    if (is_any) atomic_store(&cache->n_seats, 1);
    return is_any;
}

bool model_cache_relieve(struct model_cache *cache, bool is_first)
{
    (void)pthread_mutex_lock(&cache->lock);
    const bool has_given = (is_first && close_idle(cache)) || halve(cache) || leave_alone(cache);
    (void)pthread_mutex_unlock(&cache->lock);
    return has_given;
}

void model_cache_log_unrecorded(struct model_cache *cache)
{
    struct error why = {0};
    if (pthread_mutex_trylock(&cache->lock) != 0) return; /* somebody opens a model: next time */
    for (size_t i = 0; i < CACHE_SLOTS; i++) {
        struct model *model = cache->entries[i].model;
        if (model && model_take_unrecorded(model, &why))
            log_event(LOG_WARN, "layers_not_recorded", LOG_TEXT("model", model_directory(model)),
                      LOG_TEXT("error", why.text));
    }
    (void)pthread_mutex_unlock(&cache->lock);
}

/* An empty entry; if need be the one that nobody uses for longest. NULL: all are in use. */
static struct entry *find_room(struct model_cache *cache)
{
    struct entry *oldest = NULL;
    for (size_t i = 0; i < CACHE_SLOTS; i++) {
        struct entry *entry = &cache->entries[i];
        if (!entry->model && !entry->dictionary) return entry;
        if (entry->n_users == 0 && (!oldest || entry->last_used < oldest->last_used))
            oldest = entry;
    }
    if (oldest) empty(oldest);
    return oldest;
}

static struct entry *find_model(struct model_cache *cache, const struct model_wanted *wanted,
                                uint64_t stamp)
{
    for (size_t i = 0; i < CACHE_SLOTS; i++) {
        struct entry *entry = &cache->entries[i];
        if (entry->model && entry->stamp == stamp &&
            model_compute(entry->model) == wanted->compute &&
            model_shuffle_seed(entry->model) == wanted->shuffle_seed &&
            strcmp(model_directory(entry->model), wanted->directory) == 0)
            return entry;
    }
    return NULL;
}

static struct entry *find_dictionary(struct model_cache *cache,
                                     const struct dictionary_params *params, uint64_t stamp)
{
    for (size_t i = 0; i < CACHE_SLOTS; i++) {
        struct entry *entry = &cache->entries[i];
        if (entry->dictionary && entry->stamp == stamp &&
            entry->norm_scaling_factor == params->norm_scaling_factor &&
            strcmp(dictionary_directory(entry->dictionary), params->directory) == 0)
            return entry;
    }
    return NULL;
}

static void use(struct model_cache *cache, struct entry *entry)
{
    entry->n_users++;
    entry->last_used = ++cache->clock;
}

/* 0 if it cannot be read: then opening it will say why. */
static uint64_t read_stamp(const char *directory)
{
    uint64_t stamp = 0;
    return fingerprint_stamp(directory, &stamp, NULL) == ST_OK ? stamp : 0;
}

static void log_plan(const struct model *model)
{
    char text[MEMORY_PLAN_TEXT_SIZE];
    log_event(LOG_INFO, "memory_plan", LOG_TEXT("model", model_directory(model)),
              LOG_TEXT("plan", memory_plan_text(model_plan(model), text)));
}

/* Which of the threads that may be fewer there are, and why. */
static void log_threads(const struct model *model)
{
    const struct memory_plan *plan = model_plan(model);
    log_event(LOG_INFO, "device_threads", LOG_TEXT("model", model_directory(model)),
              LOG_NUMBER("n_threads", plan->n_threads),
              LOG_TEXT("why", plan->n_threads > 1 ? "one has the device while another's host works"
                              : plan->is_streamed ? "its layers are streamed"
                                                  : "no room for the passes of more"));
}

/* Each opening function below runs with the lock held. */

/* Dictionaries that are open already have taken their room. */
static void mark_loaded(struct model_cache *cache, struct memory_needs *needs)
{
    for (size_t i = 0; i < needs->n_targets; i++) {
        struct memory_target *target = &needs->targets[i];
        const struct dictionary_params params = {
            .directory = target->directory, .norm_scaling_factor = target->norm_scaling_factor};
        if (target->directory && find_dictionary(cache, &params, read_stamp(target->directory)))
            target->is_there = true;
    }
}

/* An open model that nobody uses was planned for another task. False, and it is closed, if this one
 * needs it otherwise. */
static bool keep_for(struct entry *entry, const struct memory_needs *needs)
{
    const struct memory_plan before = *model_plan(entry->model);
    if (!model_plan_again(entry->model, needs)) {
        empty(entry);
        return false;
    }
    const struct memory_plan *now = model_plan(entry->model);
    if (now->n_ctx != before.n_ctx || now->n_resident != before.n_resident) log_plan(entry->model);
    if (now->n_threads != before.n_threads) log_threads(entry->model);
    return true;
}

static size_t seats_of(const struct model_cache *cache, const struct entry *entry)
{
    if (!cache->may_be_fewer) return cache->n_threads;
    return entry->is_alone ? 1 : model_plan(entry->model)->n_threads;
}

/* Threads share what was planned for both: a plan for others' needs is made again when they have
 * left. */
static bool is_seat_free(const struct model_cache *cache, const struct entry *entry,
                         const struct memory_needs *needs)
{
    if (!cache->may_be_fewer || entry->n_users == 0) return true;
    return entry->n_users < seats_of(cache, entry) && memory_needs_are_equal(&entry->needs, needs);
}

/* The model, once there is room at it for one more; NULL: it is not open. */
static struct entry *wait_for_model(struct model_cache *cache, const struct model_wanted *wanted,
                                    uint64_t stamp)
{
    struct entry *entry;
    while ((entry = find_model(cache, wanted, stamp)) &&
           !is_seat_free(cache, entry, &wanted->needs)) {
        atomic_fetch_add(&cache->n_waiting, 1);
        (void)pthread_cond_wait(&cache->is_released, &cache->lock);
        atomic_fetch_sub(&cache->n_waiting, 1);
    }
    return entry;
}

static void note_needs(struct entry *entry, const struct memory_needs *needs)
{
    entry->needs = *needs;
    for (size_t i = 0; i < needs->n_targets; i++) entry->needs.targets[i].directory = NULL;
}

static status_t open_model(struct model_cache *cache, const struct model_wanted *wanted,
                           struct model **out, struct error *err)
{
    const uint64_t stamp = read_stamp(wanted->directory);
    struct memory_needs needs = wanted->needs;
    const struct model_params params = {.directory = wanted->directory,
                                        .backend = cache->backend,
                                        .compute = wanted->compute,
                                        .shuffle_seed = wanted->shuffle_seed,
                                        .needs = &needs};
    struct entry *entry = wait_for_model(cache, wanted, stamp);
    mark_loaded(cache, &needs);
    needs.n_threads = cache->n_threads;
    needs.may_be_fewer = cache->may_be_fewer;
    if (entry && !entry->n_users && !keep_for(entry, &needs)) entry = NULL;
    if (!entry) {
        entry = find_room(cache);
        if (!entry) return error_set(err, ST_BUSY, "%d models are in use", CACHE_SLOTS);
        const status_t status = model_open(&entry->model, &params, err);
        if (status != ST_OK) return status;
        log_plan(entry->model);
        if (cache->may_be_fewer) log_threads(entry->model);
        entry->stamp = stamp;
    }
    if (!entry->n_users) note_needs(entry, &needs);
    atomic_store(&cache->n_seats, seats_of(cache, entry));
    use(cache, entry);
    *out = entry->model;
    return ST_OK;
}

static status_t open_dictionary(struct model_cache *cache, const struct dictionary_params *params,
                                struct dictionary **out, struct error *err)
{
    const uint64_t stamp = read_stamp(params->directory);
    struct entry *entry = find_dictionary(cache, params, stamp);
    if (!entry) {
        entry = find_room(cache);
        if (!entry) return error_set(err, ST_BUSY, "%d dictionaries are in use", CACHE_SLOTS);
        const status_t status = dictionary_open(&entry->dictionary, params, err);
        if (status != ST_OK) return status;
        entry->stamp = stamp;
        entry->norm_scaling_factor = params->norm_scaling_factor;
    }
    use(cache, entry);
    *out = entry->dictionary;
    return ST_OK;
}

status_t model_cache_model(struct model_cache *cache, const struct model_wanted *wanted,
                           struct model **out, struct error *err)
{
    (void)pthread_mutex_lock(&cache->lock);
    const status_t status = open_model(cache, wanted, out, err);
    (void)pthread_mutex_unlock(&cache->lock);
    return status;
}

status_t model_cache_dictionary(struct model_cache *cache, const char *directory,
                                double norm_scaling_factor, struct dictionary **out,
                                struct error *err)
{
    const struct dictionary_params params = {.directory = directory,
                                             .backend = cache->backend,
                                             .norm_scaling_factor = norm_scaling_factor};
    (void)pthread_mutex_lock(&cache->lock);
    const status_t status = open_dictionary(cache, &params, out, err);
    (void)pthread_mutex_unlock(&cache->lock);
    return status;
}

void model_cache_release_model(struct model_cache *cache, struct model *model)
{
    (void)pthread_mutex_lock(&cache->lock);
    for (size_t i = 0; i < CACHE_SLOTS; i++)
        if (cache->entries[i].model == model) cache->entries[i].n_users--;
    (void)pthread_cond_broadcast(&cache->is_released);
    (void)pthread_mutex_unlock(&cache->lock);
}

void model_cache_release_dictionary(struct model_cache *cache, struct dictionary *dictionary)
{
    (void)pthread_mutex_lock(&cache->lock);
    for (size_t i = 0; i < CACHE_SLOTS; i++)
        if (cache->entries[i].dictionary == dictionary) cache->entries[i].n_users--;
    (void)pthread_mutex_unlock(&cache->lock);
}

/* --- fingerprints -------------------------------------------------------------------------- */

static const struct known_fingerprint *find_fingerprint(const struct model_cache *cache,
                                                        const char *directory, uint64_t stamp)
{
    for (size_t i = 0; i < FINGERPRINTS_KEPT; i++) {
        const struct known_fingerprint *known = &cache->fingerprints[i];
        if (known->directory && known->stamp == stamp && strcmp(known->directory, directory) == 0)
            return known;
    }
    return NULL;
}

static void keep_fingerprint(struct model_cache *cache, const char *directory, uint64_t stamp,
                             const char hex[HASH_HEX_SIZE])
{
    char *copy = strdup(directory);
    if (!copy) return; /* read again next time */
    struct known_fingerprint *known = &cache->fingerprints[cache->next_fingerprint];
    cache->next_fingerprint = (cache->next_fingerprint + 1) % FINGERPRINTS_KEPT;
    free(known->directory);
    known->directory = copy;
    known->stamp = stamp;
    memcpy(known->hex, hex, HASH_HEX_SIZE);
}

static status_t look_up(struct model_cache *cache, const char *directory, char out[HASH_HEX_SIZE],
                        struct error *err)
{
    uint64_t stamp;
    status_t status = fingerprint_stamp(directory, &stamp, err);
    if (status != ST_OK) return status;
    const struct known_fingerprint *known = find_fingerprint(cache, directory, stamp);
    if (known) {
        memcpy(out, known->hex, HASH_HEX_SIZE);
        return ST_OK;
    }
    status = fingerprint_compute(directory, out, err);
    if (status == ST_OK) keep_fingerprint(cache, directory, stamp, out);
    return status;
}

status_t model_cache_fingerprint(struct model_cache *cache, const char *directory,
                                 char out[HASH_HEX_SIZE], struct error *err)
{
    (void)pthread_mutex_lock(&cache->fingerprint_lock);
    const status_t status = look_up(cache, directory, out, err);
    (void)pthread_mutex_unlock(&cache->fingerprint_lock);
    return status;
}

status_t model_cache_model_fingerprint(struct model_cache *cache, const struct model_wanted *wanted,
                                       char out[HASH_HEX_SIZE], struct error *err)
{
    const status_t status = model_cache_fingerprint(cache, wanted->directory, out, err);
    if (status == ST_OK) fingerprint_shuffle(out, wanted->shuffle_seed);
    return status;
}

status_t model_cache_check_model(struct model_cache *cache, const struct model_wanted *wanted,
                                 const char *planned, struct error *err)
{
    char hex[HASH_HEX_SIZE];
    if (!planned[0]) return ST_OK;
    const status_t status = model_cache_model_fingerprint(cache, wanted, hex, err);
    if (status != ST_OK || strcmp(hex, planned) == 0) return status;
    return error_set(err, ST_BAD_INPUT,
                     "%s here is not what the sweep was planned with (%.8s, planned %.8s): it was "
                     "written again, or hosts differ",
                     wanted->directory, hex, planned);
}

status_t model_cache_check_fingerprint(struct model_cache *cache, const char *directory,
                                       const char *planned, struct error *err)
{
    const struct model_wanted wanted = {.directory = directory};
    return model_cache_check_model(cache, &wanted, planned, err);
}
