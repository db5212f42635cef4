#include "worker/known/known_kind.h"

#include <stdio.h>
#include <string.h>

#define HEAD(what)                                                                                 \
    {                                                                                              \
        .role = KNOWN_##what                                                                       \
    }
#define PREVIOUS(much)                                                                             \
    {                                                                                              \
        .role = KNOWN_PREVIOUS, .strength = (much)                                                 \
    }
#define COPY(what, much)                                                                           \
    {                                                                                              \
        .role = KNOWN_##what, .strength = (much), .sink = 0.5                                      \
    }

/* The gates of previous-token heads are made by the sink of the induction head that reads them:
 * a whole match scores 1. OR: each route writes a whole match, and each passes the sink of 1/2.
 * AND: each writes half of one, and the sink of 3/4 lies between one half and both. */
static const struct known_kind KINDS[] = {
    {.name = "induction",
     .summary = "a previous-token head and an induction head",
     .n_layers = 2,
     .heads = {{PREVIOUS(1), HEAD(SAME_TOKEN), HEAD(DEAD), HEAD(BOS)},
               {COPY(INDUCTION, 1), HEAD(IMPOSTOR), HEAD(DEAD), HEAD(UNIFORM)}}},
    {.name = "negative",
     .summary = "induction, and a head that copies with the other sign",
     .n_layers = 2,
     .heads = {{PREVIOUS(1), HEAD(SAME_TOKEN), HEAD(DEAD), HEAD(BOS)},
               {COPY(INDUCTION, 1), HEAD(IMPOSTOR), COPY(NEGATIVE, -0.4), HEAD(UNIFORM)}}},
    {.name = "or-gate",
     .summary = "two previous-token heads, either of which is enough",
     .gate = KNOWN_OR,
     .route = KNOWN_PREVIOUS,
     .n_layers = 2,
     .heads = {{PREVIOUS(1), PREVIOUS(1), HEAD(DEAD), HEAD(SAME_TOKEN)},
               {COPY(INDUCTION, 1), HEAD(IMPOSTOR), HEAD(DEAD), HEAD(UNIFORM)}}},
    {.name = "graded-gate",
     .summary = "two induction heads that give 0.6 and 0.4 of the answer",
     .gate = KNOWN_GRADED,
     .route = KNOWN_INDUCTION,
     .n_layers = 2,
     .heads = {{PREVIOUS(1), HEAD(SAME_TOKEN), HEAD(DEAD), HEAD(BOS)},
               {COPY(INDUCTION, 0.6), COPY(INDUCTION, 0.4), HEAD(IMPOSTOR), HEAD(DEAD)}}},
    {.name = "and-gate",
     .summary = "two previous-token heads, both of which are needed",
     .gate = KNOWN_AND,
     .route = KNOWN_PREVIOUS,
     .n_layers = 2,
     .heads = {{PREVIOUS(0.5), PREVIOUS(0.5), HEAD(DEAD), HEAD(SAME_TOKEN)},
               {{.role = KNOWN_INDUCTION, .strength = 1, .sink = 0.75},
                HEAD(IMPOSTOR),
                HEAD(DEAD),
                HEAD(UNIFORM)}}},
    {.name = "backup",
     .summary = "an induction head, and one behind it that wakes when it is silent",
     .gate = KNOWN_BACKUP_GATE,
     .route = KNOWN_INDUCTION,
     .n_layers = 3,
     .heads = {{PREVIOUS(1), HEAD(SAME_TOKEN), HEAD(DEAD), HEAD(BOS)},
               {COPY(INDUCTION, 1), HEAD(IMPOSTOR), HEAD(DEAD), HEAD(UNIFORM)},
               {COPY(BACKUP, 1), HEAD(IMPOSTOR), HEAD(DEAD), HEAD(BOS)}}},
    /* Heads 0 and 1 share keys and values, and so do 2 and 3. */
    {.name = "llama-induction",
     .summary = "induction with RMSNorm, rotary positions, grouped queries, SwiGLU",
     .is_llama = true,
     .n_layers = 2,
     .heads = {{PREVIOUS(1), HEAD(TWO_BACK), HEAD(DEAD), HEAD(DEAD)},
               {COPY(INDUCTION, 1), HEAD(UNIFORM), HEAD(IMPOSTOR), HEAD(SAME_TOKEN)}}},
};

enum { N_KINDS = sizeof KINDS / sizeof KINDS[0] };

const struct known_kind *known_kinds(size_t *n_kinds)
{
    *n_kinds = N_KINDS;
    return KINDS;
}

status_t known_kind_find(const char *name, const struct known_kind **out, struct error *err)
{
    char names[256] = "";
    for (size_t i = 0; i < N_KINDS; i++) {
        if (strcmp(KINDS[i].name, name) == 0) {
            *out = &KINDS[i];
            return ST_OK;
        }
        const size_t n = strlen(names);
        (void)snprintf(names + n, sizeof names - n, "%s%s", i ? ", " : "", KINDS[i].name);
    }
    return error_set(err, ST_BAD_INPUT, "kind '%.64s' is none of %s", name, names);
}

const char *known_role_name(enum known_role role)
{
    static const char *const NAMES[] = {[KNOWN_DEAD] = "dead",
                                        [KNOWN_PREVIOUS] = "previous_token",
                                        [KNOWN_IMPOSTOR] = "impostor_previous_token",
                                        [KNOWN_TWO_BACK] = "two_back",
                                        [KNOWN_SAME_TOKEN] = "same_token",
                                        [KNOWN_BOS] = "bos",
                                        [KNOWN_UNIFORM] = "uniform",
                                        [KNOWN_INDUCTION] = "induction",
                                        [KNOWN_NEGATIVE] = "negative_induction",
                                        [KNOWN_BACKUP] = "backup_induction"};
    return NAMES[role];
}

const char *known_gate_name(enum known_gate gate)
{
    static const char *const NAMES[] = {[KNOWN_NO_GATE] = NULL,
                                        [KNOWN_OR] = "or",
                                        [KNOWN_GRADED] = "graded",
                                        [KNOWN_AND] = "and",
                                        [KNOWN_BACKUP_GATE] = "backup"};
    return NAMES[gate];
}

bool known_role_copies(enum known_role role)
{
    return role == KNOWN_INDUCTION || role == KNOWN_NEGATIVE || role == KNOWN_BACKUP;
}

bool known_role_is_circuit(enum known_role role)
{
    return role == KNOWN_PREVIOUS || known_role_copies(role);
}
