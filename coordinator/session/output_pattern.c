#include "coordinator/session/output_pattern.h"

#include "coordinator/session/window_traits.h"

#include <stdlib.h>

enum {
    N_SAMPLE = 1000,       /* tokens of the vocabulary, evenly spread */
    FAR_FROM_START = 4096, /* a token by itself is not the first of a document */
    MIN_SHARED_PERCENT = 60
};

struct output_background {
    const struct lexical_vocabulary *vocabulary; /* borrowed */
    uint32_t tokens[N_SAMPLE];
    struct window windows[N_SAMPLE];
    size_t n;
};

static struct window window_of(const uint32_t *token)
{
    return (struct window){.tokens = token,
                           .n_tokens = 1,
                           .document_offset = FAR_FROM_START,
                           .kind = WINDOW_SILENT_RANDOM};
}

status_t output_background_create(struct output_background **out,
                                  const struct lexical_vocabulary *vocabulary, size_t n_vocab,
                                  struct error *err)
{
    struct output_background *made = calloc(1, sizeof *made);
    if (!made) return error_set(err, ST_NO_MEMORY, "sample of the vocabulary");
    made->vocabulary = vocabulary;
    made->n = n_vocab < N_SAMPLE ? n_vocab : (size_t)N_SAMPLE;
    for (size_t i = 0; i < made->n; i++) {
        made->tokens[i] = (uint32_t)(i * n_vocab / made->n);
        made->windows[i] = window_of(&made->tokens[i]);
    }
    *out = made;
    return ST_OK;
}

void output_background_destroy(struct output_background **background)
{
    free(*background);
    *background = NULL;
}

/* The trait that most of them share; NULL if none is shared by enough. */
static const struct window_trait *best_trait(const struct window_traits *traits, size_t n)
{
    const struct window_trait *best = NULL;
    for (size_t t = 0; t < traits->n_traits; t++) {
        const struct window_trait *trait = &traits->traits[t];
        if (trait->n_firing * (size_t)100 < n * MIN_SHARED_PERCENT) continue;
        if (!best || trait->n_firing > best->n_firing) best = trait;
    }
    return best;
}

status_t output_pattern_describe(const struct output_background *background, const uint32_t *tokens,
                                 size_t n, bool *has_pattern, char out[LEXICAL_LABEL_SIZE],
                                 struct error *err)
{
    static const float fires = 1.0f;
    struct window promoted[OUTPUT_PATTERN_MAX_TOKENS];
    const struct window *firing[OUTPUT_PATTERN_MAX_TOKENS];
    const struct window *all[OUTPUT_PATTERN_MAX_TOKENS + N_SAMPLE];
    struct window_traits traits = {.n_traits = 0};
    *has_pattern = false;
    out[0] = '\0';
    if (n > OUTPUT_PATTERN_MAX_TOKENS)
        return error_set(err, ST_TOO_LARGE, "pattern of %zu tokens", n);
    for (size_t i = 0; i < n; i++) {
        promoted[i] = window_of(&tokens[i]);
        promoted[i].kind = WINDOW_FIRING;
        promoted[i].activations = &fires;
        all[i] = firing[i] = &promoted[i];
    }
    for (size_t i = 0; i < background->n; i++) all[n + i] = &background->windows[i];
    status_t status =
        window_traits_find(background->vocabulary, firing, n, all, n + background->n, &traits, err);
    if (status != ST_OK) return status;
    const struct window_trait *best = best_trait(&traits, n);
    *has_pattern = best != NULL;
    if (best) {
        const struct lexical_pattern pattern = {.n_terms = 1, .terms = {best->term}};
        status = lexical_pattern_describe(&pattern, background->vocabulary, out, err);
    }
    window_traits_fini(&traits);
    return status;
}
