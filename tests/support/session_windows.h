/* Windows and vocabularies for tests of coordinator/session/: a vocabulary of given words and
 * a pool of windows cut from made-up documents. Memory comes from keep_alloc(): it lives as long as
 * the test process and stays reachable, so that leak checks see only what tests leak. */
#ifndef TESTS_SUPPORT_SESSION_WINDOWS_H
#define TESTS_SUPPORT_SESSION_WINDOWS_H

#include "coordinator/session/draw.h"
#include "coordinator/session/window.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Zeroed memory that is never freed. */
static inline void *keep_alloc(size_t n_items, size_t item_size)
{
    static void **last;
    void **block = calloc(1, sizeof *block + n_items * item_size);
    cr_assert(block);
    *block = last;
    last = block;
    return block + 1;
}

/* Token ids of these texts are their indices. */
static inline struct token_texts texts_of(const char *const *words, size_t n_words)
{
    struct token_text *texts = keep_alloc(n_words, sizeof *texts);
    for (size_t i = 0; i < n_words; i++) texts[i] = (struct token_text){words[i], strlen(words[i])};
    return (struct token_texts){texts, n_words};
}

/* A vocabulary of n_tokens words " w0", " w1", ... */
static inline struct token_texts numbered_texts(size_t n_tokens)
{
    struct token_text *texts = keep_alloc(n_tokens, sizeof *texts);
    char *bytes = keep_alloc(n_tokens, 16);
    for (size_t i = 0; i < n_tokens; i++) {
        texts[i].bytes = bytes + 16 * i;
        texts[i].n_bytes = (size_t)snprintf(bytes + 16 * i, 16, " w%zu", i);
    }
    return (struct token_texts){texts, n_tokens};
}

/* A window of `n_tokens` tokens drawn below `n_vocabulary`, silent, of its own document. */
static inline struct window drawn_window(struct draw *draw, size_t n_tokens, uint32_t n_vocabulary,
                                         uint32_t document_index)
{
    uint32_t *tokens = keep_alloc(n_tokens, sizeof *tokens);
    for (size_t i = 0; i < n_tokens; i++) tokens[i] = draw_below(draw, n_vocabulary);
    return (struct window){.tokens = tokens,
                           .n_tokens = n_tokens,
                           .document_key = hash_mix64(document_index),
                           .document_index = document_index,
                           .document_offset = 64,
                           .kind = WINDOW_SILENT_RANDOM};
}

/* Make the window fire with `value` at `position`, on `token` there. */
static inline void fire_at(struct window *window, size_t position, uint32_t token, float value)
{
    uint32_t *tokens = keep_alloc(window->n_tokens, sizeof *tokens);
    float *activations = keep_alloc(window->n_tokens, sizeof *activations);
    memcpy(tokens, window->tokens, window->n_tokens * sizeof *tokens);
    if (window->activations)
        memcpy(activations, window->activations, window->n_tokens * sizeof *activations);
    tokens[position] = token;
    activations[position] = value;
    window->tokens = tokens;
    window->activations = activations;
    window->kind = WINDOW_FIRING;
}

#endif
