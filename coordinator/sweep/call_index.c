#include "coordinator/sweep/call_index.h"

#include <stdlib.h>
#include <string.h>

/* Chained hashing over two arrays: `heads` by hash, `entries` with a free list. Ids are SHA-256,
 * so their first bytes are a hash already. */

enum { FIRST_CAPACITY = 1024, MAX_CAPACITY = 1 << 30 };
static const uint32_t NONE = UINT32_MAX;

struct entry {
    unsigned char id[CALL_ID_BYTES];
    void *owner;
    uint32_t ask;
    uint32_t next; /* in its chain, or in the free list */
};

struct call_index {
    struct entry *entries; /* [capacity] */
    uint32_t *heads;       /* [capacity], a power of two */
    uint32_t capacity, n, first_free;
};

static uint32_t slot_of(const struct call_index *index, const unsigned char *id)
{
    uint32_t start;
    memcpy(&start, id, sizeof start);
    return start & (index->capacity - 1);
}

static void put_in_chain(struct call_index *index, uint32_t at)
{
    uint32_t *head = &index->heads[slot_of(index, index->entries[at].id)];
    index->entries[at].next = *head;
    *head = at;
}

/* Entries [0, n) are in use, all others free. */
static status_t grow(struct call_index *index, struct error *err)
{
    const uint32_t capacity = index->capacity ? 2 * index->capacity : FIRST_CAPACITY;
    if (capacity > MAX_CAPACITY) return error_set(err, ST_TOO_LARGE, "%u waiters", index->n);
    uint32_t *heads = malloc(capacity * sizeof *heads);
    struct entry *entries = realloc(index->entries, capacity * sizeof *entries);
    if (entries) index->entries = entries;
    if (!heads || !entries) {
        free(heads);
        return error_set(err, ST_NO_MEMORY, "%u waiters", capacity);
    }
    free(index->heads);
    index->heads = heads;
    index->capacity = capacity;
    memset(heads, 0xFF, capacity * sizeof *heads);
    for (uint32_t i = 0; i < index->n; i++) put_in_chain(index, i);
    index->first_free = NONE;
    for (uint32_t i = capacity; i-- > index->n;) {
        entries[i].next = index->first_free;
        index->first_free = i;
    }
    return ST_OK;
}

status_t call_index_create(struct call_index **out, struct error *err)
{
    struct call_index *index = calloc(1, sizeof *index);
    if (!index) return error_set(err, ST_NO_MEMORY, "waiters");
    const status_t status = grow(index, err);
    if (status == ST_OK)
        *out = index;
    else
        call_index_destroy(&index);
    return status;
}

void call_index_destroy(struct call_index **index)
{
    if (!*index) return;
    free((*index)->entries);
    free((*index)->heads);
    free(*index);
    *index = NULL;
}

/* --- ids ----------------------------------------------------------------------------------- */

static int digit_of(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

bool call_id_parse(const char *hex, unsigned char out[CALL_ID_BYTES])
{
    for (size_t i = 0; i < CALL_ID_BYTES; i++) {
        const int high = digit_of(hex[2 * i]);
        const int low = high < 0 ? -1 : digit_of(hex[2 * i + 1]);
        if (low < 0) return false;
        out[i] = (unsigned char)(16 * high + low);
    }
    return hex[2 * (size_t)CALL_ID_BYTES] == '\0';
}

void call_id_print(const unsigned char id[CALL_ID_BYTES], char out[HASH_HEX_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < CALL_ID_BYTES; i++) {
        out[2 * i] = digits[id[i] >> 4];
        out[2 * i + 1] = digits[id[i] & 15];
    }
    out[2 * (size_t)CALL_ID_BYTES] = '\0';
}

/* --- waiters ------------------------------------------------------------------------------- */

status_t call_index_add(struct call_index *index, const unsigned char id[CALL_ID_BYTES],
                        struct call_waiter waiter, struct error *err)
{
    if (index->first_free == NONE) {
        const status_t status = grow(index, err); /* only when all are in use */
        if (status != ST_OK) return status;
    }
    const uint32_t at = index->first_free;
    struct entry *entry = &index->entries[at];
    index->first_free = entry->next;
    memcpy(entry->id, id, CALL_ID_BYTES);
    entry->owner = waiter.owner;
    entry->ask = waiter.ask;
    put_in_chain(index, at);
    index->n++;
    return ST_OK;
}

/* The link that points at the first entry of `id`; at NONE if there is none. */
static uint32_t *find(const struct call_index *index, const unsigned char *id)
{
    uint32_t *link = &index->heads[slot_of(index, id)];
    while (*link != NONE && memcmp(index->entries[*link].id, id, CALL_ID_BYTES) != 0)
        link = &index->entries[*link].next;
    return link;
}

bool call_index_has(const struct call_index *index, const unsigned char id[CALL_ID_BYTES])
{
    return *find(index, id) != NONE;
}

bool call_index_take(struct call_index *index, const unsigned char id[CALL_ID_BYTES],
                     struct call_waiter *out)
{
    uint32_t *link = find(index, id);
    const uint32_t at = *link;
    if (at == NONE) return false;
    struct entry *entry = &index->entries[at];
    *out = (struct call_waiter){entry->owner, entry->ask};
    *link = entry->next;
    entry->next = index->first_free;
    index->first_free = at;
    index->n--;
    return true;
}

size_t call_index_count(const struct call_index *index)
{
    return index->n;
}
