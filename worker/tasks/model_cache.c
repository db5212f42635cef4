#include "worker/tasks/model_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { CACHE_SLOTS = 8 };

struct entry {
    struct model *model;           /* one of the two */
    struct dictionary *dictionary;
    size_t n_users;
    uint64_t last_used;
};

struct model_cache {
    pthread_mutex_t lock; /* held while opening: two threads never open the same thing twice */
    struct backend *backend;
    uint64_t clock;
    struct entry entries[CACHE_SLOTS];
};

status_t model_cache_create(struct model_cache **out, struct backend *backend, struct error *err)
{
    struct model_cache *cache = calloc(1, sizeof *cache);
    if (!cache || pthread_mutex_init(&cache->lock, NULL) != 0) {
        free(cache);
        return error_set(err, ST_NO_MEMORY, "model cache");
    }
    cache->backend = backend;
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
    (void)pthread_mutex_destroy(&(*cache)->lock);
    free(*cache);
    *cache = NULL;
}

struct backend *model_cache_backend(struct model_cache *cache)
{
    return cache->backend;
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

static struct entry *find_model(struct model_cache *cache, const char *directory,
                                enum compute compute)
{
    for (size_t i = 0; i < CACHE_SLOTS; i++) {
        struct entry *entry = &cache->entries[i];
        if (entry->model && model_compute(entry->model) == compute &&
            strcmp(model_directory(entry->model), directory) == 0)
            return entry;
    }
    return NULL;
}

static struct entry *find_dictionary(struct model_cache *cache, const char *directory)
{
    for (size_t i = 0; i < CACHE_SLOTS; i++) {
        struct entry *entry = &cache->entries[i];
        if (entry->dictionary && strcmp(dictionary_directory(entry->dictionary), directory) == 0)
            return entry;
    }
    return NULL;
}

static void use(struct model_cache *cache, struct entry *entry)
{
    entry->n_users++;
    entry->last_used = ++cache->clock;
}

/* Each opening function below runs with the lock held. */
static status_t open_model(struct model_cache *cache, const char *directory,
                           enum compute compute, struct model **out, struct error *err)
{
    struct entry *entry = find_model(cache, directory, compute);
    if (!entry) {
        entry = find_room(cache);
        if (!entry) return error_set(err, ST_BUSY, "%d models are in use", CACHE_SLOTS);
        const status_t status =
            model_open(&entry->model, directory, cache->backend, compute, err);
        if (status != ST_OK) return status;
    }
    use(cache, entry);
    *out = entry->model;
    return ST_OK;
}

static status_t open_dictionary(struct model_cache *cache, const char *directory,
                                struct dictionary **out, struct error *err)
{
    struct entry *entry = find_dictionary(cache, directory);
    if (!entry) {
        entry = find_room(cache);
        if (!entry) return error_set(err, ST_BUSY, "%d dictionaries are in use", CACHE_SLOTS);
        const struct dictionary_params params = {.directory = directory,
                                                 .backend = cache->backend};
        const status_t status = dictionary_open(&entry->dictionary, &params, err);
        if (status != ST_OK) return status;
    }
    use(cache, entry);
    *out = entry->dictionary;
    return ST_OK;
}

status_t model_cache_model(struct model_cache *cache, const char *directory,
                           enum compute compute, struct model **out, struct error *err)
{
    (void)pthread_mutex_lock(&cache->lock);
    const status_t status = open_model(cache, directory, compute, out, err);
    (void)pthread_mutex_unlock(&cache->lock);
    return status;
}

status_t model_cache_dictionary(struct model_cache *cache, const char *directory,
                                struct dictionary **out, struct error *err)
{
    (void)pthread_mutex_lock(&cache->lock);
    const status_t status = open_dictionary(cache, directory, out, err);
    (void)pthread_mutex_unlock(&cache->lock);
    return status;
}

void model_cache_release_model(struct model_cache *cache, struct model *model)
{
    (void)pthread_mutex_lock(&cache->lock);
    for (size_t i = 0; i < CACHE_SLOTS; i++)
        if (cache->entries[i].model == model) cache->entries[i].n_users--;
    (void)pthread_mutex_unlock(&cache->lock);
}

void model_cache_release_dictionary(struct model_cache *cache, struct dictionary *dictionary)
{
    (void)pthread_mutex_lock(&cache->lock);
    for (size_t i = 0; i < CACHE_SLOTS; i++)
        if (cache->entries[i].dictionary == dictionary) cache->entries[i].n_users--;
    (void)pthread_mutex_unlock(&cache->lock);
}
