#include "worker/model/token_trie.h"

#include <stdlib.h>

enum { FIRST_CAPACITY = 64, MAX_NODES = 1 << 24 };

void token_trie_fini(struct token_trie *trie)
{
    free(trie->nodes);
    *trie = (struct token_trie){0};
}

static status_t add_node(struct token_trie *trie, unsigned char byte, struct error *err)
{
    if (trie->n_nodes == MAX_NODES)
        return error_set(err, ST_TOO_LARGE, "added tokens of more than %d bytes", MAX_NODES);
    if (trie->n_nodes == trie->capacity) {
        const size_t capacity = trie->capacity ? 2 * trie->capacity : FIRST_CAPACITY;
        struct trie_node *grown = realloc(trie->nodes, capacity * sizeof *grown);
        if (!grown) return error_set(err, ST_NO_MEMORY, "added tokens");
        trie->nodes = grown;
        trie->capacity = capacity;
    }
    trie->nodes[trie->n_nodes++] = (struct trie_node){.value = UINT32_MAX, .byte = byte};
    return ST_OK;
}

static uint32_t find_child(const struct token_trie *trie, uint32_t node, unsigned char byte)
{
    if (node == 0) return trie->first[byte];
    uint32_t child = trie->nodes[node].first_child;
    while (child && trie->nodes[child].byte != byte) child = trie->nodes[child].next_sibling;
    return child;
}

static status_t add_child(struct token_trie *trie, uint32_t node, unsigned char byte, uint32_t *out,
                          struct error *err)
{
    const uint32_t child = (uint32_t)trie->n_nodes;
    const status_t status = add_node(trie, byte, err);
    if (status != ST_OK) return status;
    if (node == 0) {
        trie->first[byte] = child;
    } else {
        trie->nodes[child].next_sibling = trie->nodes[node].first_child;
        trie->nodes[node].first_child = child;
    }
    *out = child;
    return ST_OK;
}

status_t token_trie_add(struct token_trie *trie, const char *bytes, size_t n_bytes, uint32_t value,
                        struct error *err)
{
    uint32_t node = 0;
    status_t status = trie->n_nodes ? ST_OK : add_node(trie, 0, err);
    for (size_t i = 0; status == ST_OK && i < n_bytes; i++) {
        const unsigned char byte = (unsigned char)bytes[i];
        const uint32_t child = find_child(trie, node, byte);
        if (child)
            node = child;
        else
            status = add_child(trie, node, byte, &node, err);
    }
    if (status == ST_OK && trie->nodes[node].value == UINT32_MAX) trie->nodes[node].value = value;
    return status;
}

/* The longest string that begins at text[0]: its length, 0 if there is none. */
static size_t match_here(const struct token_trie *trie, const char *text, size_t n_bytes,
                         uint32_t *value)
{
    size_t n_longest = 0;
    uint32_t node = 0;
    for (size_t i = 0; i < n_bytes; i++) {
        node = find_child(trie, node, (unsigned char)text[i]);
        if (!node) break;
        if (trie->nodes[node].value == UINT32_MAX) continue;
        n_longest = i + 1;
        *value = trie->nodes[node].value;
    }
    return n_longest;
}

bool token_trie_find(const struct token_trie *trie, const char *text, size_t n_bytes, size_t from,
                     size_t *begin, size_t *end, uint32_t *value)
{
    if (trie->n_nodes == 0) return false;
    for (size_t at = from; at < n_bytes; at++) {
        if (!trie->first[(unsigned char)text[at]]) continue;
        const size_t n_matched = match_here(trie, text + at, n_bytes - at, value);
        if (n_matched == 0) continue;
        *begin = at;
        *end = at + n_matched;
        return true;
    }
    return false;
}
