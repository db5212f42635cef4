#include "coordinator/circuit/head_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double NOTE_MIN = 0.1, LOOKS_LIKE_MIN = 0.5;

static bool is_scored(const struct head_scores *scores, const struct component *component)
{
    return component->type == COMPONENT_HEAD && component->layer < scores->n_layers &&
           component->index < scores->n_heads;
}

static struct head_score score_of(const struct head_scores *scores,
                                  const struct component *component, int pattern)
{
    return head_scores_of(scores, component->layer, component->index, (enum head_pattern)pattern);
}

/* The pattern that the head attends to most. */
static enum head_pattern main_pattern(const struct head_scores *scores,
                                      const struct component *component, double *share)
{
    int best = 0;
    *share = 0.0;
    for (int p = 0; p < HEAD_N_PATTERNS; p++) {
        const double found = score_of(scores, component, p).attention;
        if (found > *share) {
            *share = found;
            best = p;
        }
    }
    return (enum head_pattern)best;
}

/* --- JSON --------------------------------------------------------------------------------- */

static json_t *json_scores(struct head_score score)
{
    return score.is_defined ? json_pack("{s:f s:f s:f}", "attention", score.attention, "mul",
                                        score.mul, "abs", score.abs)
                            : json_null();
}

static json_t *json_head(const struct head_scores *scores, const struct component *head)
{
    char name[COMPONENT_NAME_SIZE];
    json_t *json = json_pack("{s:s}", "component", component_name(head, name));
    for (int p = 0; p < HEAD_N_PATTERNS; p++)
        (void)json_object_set_new(json, head_pattern_name((enum head_pattern)p),
                                  json_scores(score_of(scores, head, p)));
    return json;
}

json_t *head_report_json(const struct head_scores *scores, const struct head_sequences *sequences)
{
    json_t *heads = json_array(), *n_queries = json_object();
    for (int p = 0; p < HEAD_N_PATTERNS; p++)
        (void)json_object_set_new(n_queries, head_pattern_name((enum head_pattern)p),
                                  json_integer((json_int_t)scores->n_queries[p]));
    for (uint32_t layer = 0; layer < scores->n_layers; layer++)
        for (uint32_t h = 0; h < scores->n_heads; h++) {
            const struct component head = {.type = COMPONENT_HEAD, .layer = layer, .index = h};
            (void)json_array_append_new(heads, json_head(scores, &head));
        }
    return json_pack("{s:{s:I s:I s:I} s:o s:o}", "sequences", "n", (json_int_t)sequences->n,
                     "n_words", (json_int_t)sequences->n_words, "seed", (json_int_t)sequences->seed,
                     "n_queries", n_queries, "heads", heads);
}

json_t *head_report_shares(const struct head_scores *scores, const struct component *component)
{
    if (!is_scored(scores, component)) return json_null();
    json_t *json = json_object();
    for (int p = 0; p < HEAD_N_PATTERNS; p++) {
        const struct head_score score = score_of(scores, component, p);
        (void)json_object_set_new(json, head_pattern_name((enum head_pattern)p),
                                  score.is_defined ? json_real(score.attention) : json_null());
    }
    return json;
}

/* --- a drawing ---------------------------------------------------------------------------- */

/* "previous_token" -> "previous token" */
static const char *plain_name(enum head_pattern pattern, char out[CIRCUIT_NOTE_SIZE])
{
    (void)snprintf(out, CIRCUIT_NOTE_SIZE, "%s", head_pattern_name(pattern));
    for (char *c = out; *c; c++)
        if (*c == '_') *c = ' ';
    return out;
}

static void write_note(const void *context, const struct component *component, char *note)
{
    const struct head_scores *scores = context;
    char name[CIRCUIT_NOTE_SIZE];
    double share;
    if (!is_scored(scores, component)) return;
    const enum head_pattern pattern = main_pattern(scores, component, &share);
    if (share >= NOTE_MIN)
        (void)snprintf(note, CIRCUIT_NOTE_SIZE, "%.32s %.2f", plain_name(pattern, name), share);
}

struct circuit_notes head_report_notes(const struct head_scores *scores)
{
    return (struct circuit_notes){write_note, scores};
}

/* --- text --------------------------------------------------------------------------------- */

static status_t put_line(struct buffer *out, const struct head_scores *scores,
                         const struct component *head, bool is_in_circuit, struct error *err)
{
    char name[COMPONENT_NAME_SIZE];
    status_t status = buffer_printf(out, err, "  %-14.14s %-14s", component_name(head, name),
                                    is_in_circuit ? "in the circuit" : "not in it");
    for (int p = 0; p < HEAD_N_PATTERNS && status == ST_OK; p++) {
        const struct head_score score = score_of(scores, head, p);
        status = score.is_defined ? buffer_printf(out, err, " %15.3f", score.attention)
                                  : buffer_printf(out, err, " %15s", "undefined");
    }
    return status == ST_OK ? buffer_append_text(out, "\n", err) : status;
}

/* Members of the circuit, or those outside it that look like some. */
static status_t put_heads(struct buffer *out, const struct head_scores *scores,
                          const struct circuit *circuit, bool wants_members, struct error *err)
{
    const uint32_t n_all = scores->n_layers * scores->n_heads;
    size_t n_others = 0;
    status_t status = ST_OK;
    for (uint32_t i = 0; i < n_all && status == ST_OK; i++) {
        const struct component head = {
            .type = COMPONENT_HEAD, .layer = i / scores->n_heads, .index = i % scores->n_heads};
        double share;
        (void)main_pattern(scores, &head, &share);
        if ((circuit_find_node(circuit, &head) != NULL) != wants_members) continue;
        if (!wants_members && share < LOOKS_LIKE_MIN) continue;
        if (wants_members || n_others++ < HEAD_REPORT_MAX_OTHERS)
            status = put_line(out, scores, &head, wants_members, err);
    }
    if (status == ST_OK && n_others > HEAD_REPORT_MAX_OTHERS)
        status = buffer_printf(out, err, "  and %zu more that are not in it\n",
                               n_others - HEAD_REPORT_MAX_OTHERS);
    return status;
}

static status_t put_heading(struct buffer *out, const struct head_sequences *sequences,
                            struct error *err)
{
    status_t status = buffer_printf(out, err,
                                    "\nWhat heads attend to, on %" PRIu32 " sequences of %" PRIu32
                                    " random words said twice (1: wholly);\n"
                                    "no head is in a circuit for what it attends to\n  %-29s",
                                    sequences->n, sequences->n_words, "");
    for (int p = 0; p < HEAD_N_PATTERNS && status == ST_OK; p++) {
        char name[CIRCUIT_NOTE_SIZE];
        status = buffer_printf(out, err, " %15.15s", plain_name((enum head_pattern)p, name));
    }
    return status == ST_OK ? buffer_append_text(out, "\n", err) : status;
}

status_t head_report_text(const struct head_scores *scores, const struct head_sequences *sequences,
                          const struct circuit *circuit, struct buffer *out, struct error *err)
{
    const size_t n_before = out->n_bytes;
    status_t status = put_heading(out, sequences, err);
    if (status == ST_OK) status = put_heads(out, scores, circuit, true, err);
    if (status == ST_OK) status = put_heads(out, scores, circuit, false, err);
    if (status != ST_OK) out->n_bytes = n_before;
    return status;
}
