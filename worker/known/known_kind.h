/* The kinds of known models: which heads each layer has, and what each of them does. A kind is a
 * row of a table; the builders (gpt2_heads.h, llama_heads.h) know roles, never kinds.
 * Constant data; any thread. */
#ifndef WORKER_KNOWN_KNOWN_KIND_H
#define WORKER_KNOWN_KNOWN_KIND_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>

enum { KNOWN_MAX_LAYERS = 3, KNOWN_N_HEADS = 4, KNOWN_N_KV_HEADS_LLAMA = 2 };

/* What a head does. The copying roles attend from a token to what followed its last occurrence,
 * and to BOS where there was none. */
enum known_role {
    KNOWN_DEAD,       /* values 0: whatever it attends to, it writes nothing */
    KNOWN_PREVIOUS,   /* writes the token before */
    KNOWN_IMPOSTOR,   /* attends like KNOWN_PREVIOUS and writes where nobody reads */
    KNOWN_TWO_BACK,   /* attends two tokens back, writes where nobody reads */
    KNOWN_SAME_TOKEN, /* attends to equal tokens, writes where nobody reads */
    KNOWN_BOS,        /* attends to BOS, writes where nobody reads */
    KNOWN_UNIFORM,    /* attends to everything alike, writes where nobody reads */
    KNOWN_INDUCTION,  /* copies what followed */
    KNOWN_NEGATIVE,   /* copies it with the other sign */
    KNOWN_BACKUP      /* copies it unless a KNOWN_INDUCTION head of an earlier layer has */
};

struct known_head {
    enum known_role role;
    double strength; /* KNOWN_PREVIOUS: how much it writes; copying roles: times KNOWN_GAIN */
    double sink;     /* copying roles: the score of BOS as a share of a whole match's */
};

/* How the two routes of a kind that has two work together. */
enum known_gate { KNOWN_NO_GATE, KNOWN_OR, KNOWN_GRADED, KNOWN_AND, KNOWN_BACKUP_GATE };

struct known_kind {
    const char *name, *summary;
    bool is_llama;
    enum known_gate gate;
    enum known_role route; /* the role that the two routes have (KNOWN_BACKUP_GATE: the first) */
    size_t n_layers;
    struct known_head heads[KNOWN_MAX_LAYERS][KNOWN_N_HEADS]; /* before the seed moves them */
};

/* The kinds [*n_kinds], in the order of the documentation. */
const struct known_kind *known_kinds(size_t *n_kinds);

/* Errors: ST_BAD_INPUT names `name` and the kinds that there are. */
MUST_CHECK status_t known_kind_find(const char *name, const struct known_kind **out,
                                    struct error *err);

const char *known_role_name(enum known_role role); /* "previous_token"; never NULL */
const char *known_gate_name(enum known_gate gate); /* "or"; NULL for KNOWN_NO_GATE */

/* True if the head is part of the circuit that answers. */
bool known_role_is_circuit(enum known_role role);

/* True for the roles that read what a KNOWN_PREVIOUS head wrote and write an answer. */
bool known_role_copies(enum known_role role);

#endif
