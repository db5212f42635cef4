/* Find which of a set of strings begins at a place in a text, longest first. Built once, then
 * read-only for any thread. */
#ifndef WORKER_MODEL_TOKEN_TRIE_H
#define WORKER_MODEL_TOKEN_TRIE_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct trie_node {
    uint32_t first_child, next_sibling; /* 0: none (the root is nobody's child) */
    uint32_t value;                     /* UINT32_MAX: no string ends here */
    unsigned char byte;
};

struct token_trie {
    struct trie_node *nodes;  /* [n_nodes]; node 0 is the root; NULL while empty */
    size_t n_nodes, capacity; /* at most 2^31 nodes */
    uint32_t first[256];      /* the root's children by byte, 0: none */
};

void token_trie_fini(struct token_trie *trie);

/* Add a string (n_bytes > 0); one that is there already keeps its value.
 * Errors: ST_NO_MEMORY, ST_TOO_LARGE. */
MUST_CHECK status_t token_trie_add(struct token_trie *trie, const char *bytes, size_t n_bytes,
                                   uint32_t value, struct error *err);

/* The leftmost, then longest string in text [n_bytes] at or after `from`. */
bool token_trie_find(const struct token_trie *trie, const char *text, size_t n_bytes, size_t from,
                     size_t *begin, size_t *end, uint32_t *value);

#endif
