/* Generations: prompts that the target model continues, as it is (clean) and with interventions
 * (steered), and how far the interventions move it.
 *
 *   job      [1, n_tokens, n_samples, where, temperature, seed, target_kl,
 *             [[target, slot, kind, value], ...], [prompt, ...]]          coordinator -> worker
 *   answer   [1, error, strength, kl, [[error, n_tokens, kl, [[clean, steered], ...],
 *             [[token, p_clean, p_steered, text], ...]], ...]]            worker -> coordinator
 *   clean, steered   [tokens, text]
 *
 * msgpack; 1 is the version. Counts, target, slot, token, where, kind: integers; temperature, kl,
 * value, p_*: float 64; error: str, "" if the rest holds; prompt, text: bin, any bytes; tokens: bin
 * of u32, little-endian. A job is a unit of a generate task, an answer its result.
 *
 * Both sides are untrusted: counts are checked before memory is reserved, numbers are finite. Any
 * thread. */
#ifndef COMMON_GENERATE_H
#define COMMON_GENERATE_H

#include "common/buffer.h"
#include "common/error.h"
#include "common/wire.h"

#include <stddef.h>
#include <stdint.h>

enum {
    GENERATE_MAX_INTERVENTIONS = 16,
    GENERATE_MAX_PROMPTS = 32,
    GENERATE_MAX_PROMPT_BYTES = 16 * 1024,
    GENERATE_MAX_TOKENS = 256, /* of one continuation */
    GENERATE_MAX_SAMPLES = 16, /* continuations of a prompt, of either kind */
    GENERATE_MAX_CHANGES = 10,
    GENERATE_MAX_TEXT_BYTES = 256 * 1024, /* of one continuation, or one token */
    GENERATE_MAX_JOB_BYTES = 1024 * 1024,
    GENERATE_MAX_ANSWER_BYTES = 16 * 1024 * 1024,
    GENERATE_ERROR_SIZE = 256
};
#define GENERATE_MAX_VALUE 1e6       /* of an intervention, either sign */
#define GENERATE_MAX_TEMPERATURE 100 /* 0: greedy */
#define GENERATE_MAX_KL 100          /* in nats, of a target */
#define GENERATE_MAX_STRENGTH 1e4    /* that a search tries */

/* What is done to a feature, with v its value, a what the feature does at the token, and W the
 * direction that it writes: */
enum intervention_kind {
    INTERVENTION_ADD, /* x += v W */
    INTERVENTION_SET, /* x += (v - a) W: what no feature explains stays; v = 0: ablated */
    INTERVENTION_N_KINDS
};
struct intervention {
    uint32_t target; /* index among the targets of the task */
    uint32_t slot;   /* of that target, as in capture */
    enum intervention_kind kind;
    double value;
};

/* Which tokens are changed; BOS never is. */
enum generate_where {
    GENERATE_ALL,  /* prompt and continuation */
    GENERATE_LAST, /* the prompt's last */
    GENERATE_NEW,  /* the prompt's last and the continuation: all that a new token is drawn from */
    GENERATE_N_WHERE
};
const char *generate_where_name(enum generate_where where); /* "all", "last", "new"; or "?" */

struct generate_job {
    uint32_t n_tokens;  /* of a continuation, 0..; fewer where the model ends the text */
    uint32_t n_samples; /* continuations of each kind, 1..; greedy: 1 */
    enum generate_where where;
    double temperature; /* 0: greedy, ties to the lower token */
    uint64_t seed;      /* of the samples; clean and steered ones draw the same numbers */
    double target_kl;   /* 0: values as they are. Else there is one ADD whose size is searched so
                         * that the mean KL over the prompts comes to this; the sign stays */
    size_t n_interventions;
    struct intervention interventions[GENERATE_MAX_INTERVENTIONS];
    size_t n_prompts;
    struct wire_text prompts[GENERATE_MAX_PROMPTS]; /* borrowed */
};

/* Append a job. Errors: ST_BAD_INPUT (a number out of range: names it), ST_TOO_LARGE,
 * ST_NO_MEMORY. */
MUST_CHECK status_t generate_job_encode(const struct generate_job *job, struct buffer *out,
                                        struct error *err);
/* Prompts point into `bytes`. Errors: ST_PROTOCOL (another version), ST_CORRUPT, ST_BAD_INPUT,
 * ST_TOO_LARGE; *out untouched. */
MUST_CHECK status_t generate_job_decode(const void *bytes, size_t n_bytes, struct generate_job *out,
                                        struct error *err);

struct continuation {
    size_t n_tokens;
    uint32_t *tokens; /* [n_tokens], owned */
    char *text;       /* [n_text], owned, bytes; may begin or end within a character */
    size_t n_text;
};
struct generate_sample {
    struct continuation clean, steered;
};
/* A token whose probability behind the prompt the interventions change. */
struct generate_change {
    uint32_t token;
    double p_clean, p_steered;
    char *text; /* [n_text], owned, bytes */
    size_t n_text;
};
struct generate_prompt {
    char error[GENERATE_ERROR_SIZE]; /* why there is nothing else, "" if there is */
    size_t n_tokens;                 /* of the prompt, without BOS */
    double kl; /* KL(clean || steered) in nats, mean over the prompt's changed tokens */
    size_t n_samples, n_changes;
    struct generate_sample *samples; /* [n_samples], owned */
    struct generate_change *changes; /* [n_changes], owned; the largest change first */
};
struct generate_answer {
    char error[GENERATE_ERROR_SIZE];
    double strength; /* value of the first intervention, as given or as found */
    double kl;       /* mean over the prompts that have no error */
    size_t n_prompts;
    struct generate_prompt *prompts; /* [n_prompts], owned */
};
void generate_answer_fini(struct generate_answer *answer); /* safe on zeroed; leaves it zeroed */
/* An answer that is an error, cut to GENERATE_ERROR_SIZE. */
struct generate_answer generate_answer_of_error(const char *text);

/* Errors: ST_BAD_INPUT (a number that is not finite, or out of range), ST_TOO_LARGE,
 * ST_NO_MEMORY. */
MUST_CHECK status_t generate_answer_encode(const struct generate_answer *answer, struct buffer *out,
                                           struct error *err);
/* On ST_OK the caller owns *out. Errors: ST_PROTOCOL, ST_CORRUPT, ST_TOO_LARGE, ST_NO_MEMORY; *out
 * untouched. */
MUST_CHECK status_t generate_answer_decode(const void *bytes, size_t n_bytes,
                                           struct generate_answer *out, struct error *err);

/* Does the job make sense beside its targets? Errors: ST_BAD_INPUT, naming the number. */
MUST_CHECK status_t generate_job_check(const struct generate_job *job, struct error *err);

#endif
