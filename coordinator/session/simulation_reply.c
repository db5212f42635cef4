#include "coordinator/session/simulation_reply.h"

#include "coordinator/session/simulation.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A run of bytes of a text that lives elsewhere. */
struct span {
    const char *text;
    size_t n_bytes;
};

static struct span trimmed(struct span span, const char *blanks)
{
    while (span.n_bytes > 0 && strchr(blanks, span.text[0]) && span.text[0]) {
        span.text++;
        span.n_bytes--;
    }
    while (span.n_bytes > 0 && strchr(blanks, span.text[span.n_bytes - 1]) &&
           span.text[span.n_bytes - 1])
        span.n_bytes--;
    return span;
}

static bool is_same(struct span a, struct span b)
{
    return a.n_bytes == b.n_bytes && (a.n_bytes == 0 || memcmp(a.text, b.text, a.n_bytes) == 0);
}

/* Is the token given back? Blanks at its ends are often lost, and not compared. */
static bool is_token(struct span given, const struct simulation_tokens *tokens, size_t index)
{
    struct span shown;
    shown.text = simulation_token(tokens, index, &shown.n_bytes);
    return is_same(trimmed(given, " "), trimmed(shown, " "));
}

/* "0" to "10"; -1 for anything else. */
static int numeral(struct span span)
{
    if (span.n_bytes == 2 && memcmp(span.text, "10", 2) == 0) return SIMULATION_MAX_VALUE;
    if (span.n_bytes != 1 || span.text[0] < '0' || span.text[0] > '9') return -1;
    return span.text[0] - '0';
}

/* --- tokens of the reply ------------------------------------------------------------ */

/* One entry of logprobs.content. */
struct piece {
    size_t begin, n_bytes; /* in the spelled text */
    const json_t *entry;
};

struct spelled {
    json_t *root;
    struct buffer text; /* all pieces, joined */
    struct piece *pieces;
    size_t n_pieces;
};

static void spelled_fini(struct spelled *spelled)
{
    json_decref(spelled->root);
    buffer_fini(&spelled->text);
    free(spelled->pieces);
}

/* The bytes of an entry: its "bytes" where given (a token may end inside a character). */
static status_t append_piece(struct buffer *out, const json_t *entry, size_t index,
                             struct error *err)
{
    const json_t *bytes = json_object_get(entry, "bytes"), *token = json_object_get(entry, "token");
    if (!json_is_array(bytes)) {
        if (!json_is_string(token))
            return error_set(err, ST_BAD_INPUT, "logprobs: entry %zu has no token", index);
        return buffer_append(out, json_string_value(token), json_string_length(token), err);
    }
    status_t status = ST_OK;
    for (size_t i = 0; i < json_array_size(bytes) && status == ST_OK; i++) {
        const json_t *value = json_array_get(bytes, i);
        const json_int_t number = json_is_integer(value) ? json_integer_value(value) : -1;
        const unsigned char byte = (unsigned char)number;
        if (number < 0 || number > 255)
            return error_set(err, ST_BAD_INPUT, "logprobs: entry %zu has no bytes", index);
        status = buffer_append(out, &byte, 1, err);
    }
    return status;
}

static status_t spell(const char *logprobs, size_t n_bytes, struct spelled *out, struct error *err)
{
    out->root = json_loadb(logprobs, n_bytes, 0, NULL);
    const json_t *content = json_object_get(out->root, "content");
    if (!json_is_array(content))
        return error_set(err, ST_BAD_INPUT, "logprobs: no list of the reply's tokens");
    out->pieces = calloc(json_array_size(content) + 1, sizeof *out->pieces);
    if (!out->pieces) return error_set(err, ST_NO_MEMORY, "tokens of a reply");
    status_t status = ST_OK;
    for (size_t i = 0; i < json_array_size(content) && status == ST_OK; i++) {
        struct piece *piece = &out->pieces[out->n_pieces++];
        *piece = (struct piece){.begin = out->text.n_bytes, .entry = json_array_get(content, i)};
        status = append_piece(&out->text, piece->entry, i, err);
        piece->n_bytes = out->text.n_bytes - piece->begin;
    }
    return status;
}

/* Do the pieces spell the reply? Blanks at the ends, and a last piece that ends the turn, may be
 * missing from it. On success *where is the reply inside the spelled text. */
static status_t match_reply(const struct spelled *spelled, struct span reply, struct span *where,
                            struct error *err)
{
    static const char blanks[] = " \r\n";
    const char *text = spelled->text.n_bytes ? (const char *)spelled->text.bytes : "";
    struct span whole = {text, spelled->text.n_bytes};
    struct span body = whole;
    if (spelled->n_pieces > 0) body.n_bytes -= spelled->pieces[spelled->n_pieces - 1].n_bytes;
    reply = trimmed(reply, blanks);
    whole = trimmed(whole, blanks);
    body = trimmed(body, blanks);
    if (!is_same(whole, reply) && !is_same(body, reply))
        return error_set(err, ST_BAD_INPUT, "logprobs: the tokens do not spell the reply");
    *where = is_same(whole, reply) ? whole : body;
    return ST_OK;
}

/* --- lines ------------------------------------------------------------ */

/* Behind the last "</think>". */
static struct span after_thinking(struct span reply)
{
    static const char mark[] = "</think>";
    const size_t n_mark = sizeof mark - 1;
    for (size_t at = reply.n_bytes; at >= n_mark; at--)
        if (memcmp(reply.text + at - n_mark, mark, n_mark) == 0)
            return (struct span){reply.text + at, reply.n_bytes - at};
    return reply;
}

/* The next line of *rest. */
static struct span take_line(struct span *rest)
{
    const char *end = memchr(rest->text, '\n', rest->n_bytes);
    const struct span line = {rest->text, end ? (size_t)(end - rest->text) : rest->n_bytes};
    const size_t n_taken = line.n_bytes + (end != NULL);
    *rest = (struct span){rest->text + n_taken, rest->n_bytes - n_taken};
    return line;
}

/* Where the tab of a token's line is: the last one; NULL if there is none. */
static const char *last_tab(struct span line)
{
    for (size_t i = line.n_bytes; i > 0; i--)
        if (line.text[i - 1] == '\t') return line.text + i - 1;
    return NULL;
}

/* values [tokens->n_tokens]: the numerals, in the order of the tokens. */
static status_t read_lines(struct span reply, const struct simulation_tokens *tokens,
                           struct span *values, struct error *err)
{
    struct span rest = after_thinking(reply);
    size_t n = 0;
    while (rest.n_bytes > 0) {
        const struct span line = take_line(&rest);
        const char *tab = last_tab(line);
        if (!tab) continue;
        const size_t n_before = (size_t)(tab - line.text);
        if (n == tokens->n_tokens)
            return error_set(err, ST_BAD_INPUT, "reply: more lines than the %zu tokens", n);
        if (!is_token((struct span){line.text, n_before}, tokens, n))
            return error_set(err, ST_BAD_INPUT, "reply: line %zu is not its token", n);
        values[n] = trimmed((struct span){tab + 1, line.n_bytes - n_before - 1}, " \r");
        if (numeral(values[n]) < 0)
            return error_set(err, ST_BAD_INPUT, "reply: token %zu has no number from 0 to 10", n);
        n++;
    }
    if (n < tokens->n_tokens)
        return error_set(err, ST_BAD_INPUT, "reply: %zu lines for %zu tokens", n, tokens->n_tokens);
    return ST_OK;
}

/* --- expected values ------------------------------------------------------------ */

/* Take `entry` for its numeral, if it is one and more probable than what is known of it. */
static void take_outcome(const json_t *entry, double logprobs[SIMULATION_MAX_VALUE + 1])
{
    const json_t *token = json_object_get(entry, "token");
    const json_t *logprob = json_object_get(entry, "logprob");
    if (!json_is_string(token) || !json_is_number(logprob)) return;
    const int value = numeral((struct span){json_string_value(token), json_string_length(token)});
    if (value < 0) return;
    logprobs[value] = fmax(logprobs[value], json_number_value(logprob));
}

/* The log probability of every numeral at a piece; -INFINITY where nothing is known. */
static void outcomes_at(const struct piece *piece, double logprobs[SIMULATION_MAX_VALUE + 1])
{
    const json_t *top = json_object_get(piece->entry, "top_logprobs");
    for (size_t i = 0; i <= SIMULATION_MAX_VALUE; i++) logprobs[i] = -INFINITY;
    for (size_t i = 0; i < json_array_size(top); i++)
        take_outcome(json_array_get(top, i), logprobs);
    take_outcome(piece->entry, logprobs);
}

/* At the piece that begins the numeral; `next` may be NULL. False: no probability is known. */
static bool expected_value(const struct piece *piece, bool is_one, const struct piece *next,
                           double *out)
{
    double logprobs[SIMULATION_MAX_VALUE + 1], after[SIMULATION_MAX_VALUE + 1];
    double largest = -INFINITY, mass = 0.0, sum = 0.0, ten_of_one = 0.0;
    outcomes_at(piece, logprobs);
    for (size_t i = 0; i <= SIMULATION_MAX_VALUE; i++) largest = fmax(largest, logprobs[i]);
    if (isinf(largest)) return false;
    if (is_one && next) {
        outcomes_at(next, after);
        ten_of_one = fmin(1.0, exp(after[0]));
    }
    for (size_t i = 0; i <= SIMULATION_MAX_VALUE; i++) {
        const double p = exp(logprobs[i] - largest);
        const double ten = i == 1 ? p * ten_of_one : 0.0;
        mass += p;
        sum += (double)i * (p - ten) + SIMULATION_MAX_VALUE * ten;
    }
    *out = sum / mass;
    return true;
}

static struct span text_of(const struct spelled *spelled, const struct piece *piece)
{
    return (struct span){(const char *)spelled->text.bytes + piece->begin, piece->n_bytes};
}

/* The pieces [*at, ...] are searched for the one that begins `value`; values come in order. */
static bool value_at(const struct spelled *spelled, struct span value, size_t *at, double *out)
{
    const size_t begin = (size_t)(value.text - (const char *)spelled->text.bytes);
    while (*at < spelled->n_pieces &&
           (spelled->pieces[*at].begin < begin || spelled->pieces[*at].n_bytes == 0))
        (*at)++;
    if (*at == spelled->n_pieces || spelled->pieces[*at].begin != begin) return false;
    const struct piece *piece = &spelled->pieces[*at];
    const struct piece *next = *at + 1 < spelled->n_pieces ? piece + 1 : NULL;
    const struct span text = text_of(spelled, piece);
    const bool is_one = numeral(text) == 1;
    const bool is_split = is_one && numeral(value) == SIMULATION_MAX_VALUE && next &&
                          numeral(text_of(spelled, next)) == 0;
    return (is_same(text, value) || is_split) && expected_value(piece, is_one, next, out);
}

static status_t read_values(const struct spelled *spelled, const struct span *values, size_t n,
                            double *predicted, struct error *err)
{
    size_t at = 0;
    for (size_t i = 0; i < n; i++)
        if (!value_at(spelled, values[i], &at, &predicted[i]))
            return error_set(err, ST_BAD_INPUT,
                             "logprobs: the number of token %zu is no token of the reply", i);
    return ST_OK;
}

status_t simulation_reply_logprobs(const char *reply, size_t n_bytes, const char *logprobs,
                                   size_t n_logprobs_bytes, const struct simulation_tokens *tokens,
                                   double *predicted, struct error *err)
{
    if (!logprobs) return error_set(err, ST_BAD_INPUT, "logprobs: the provider gave none");
    if (n_bytes > PROMPT_MAX_REPLY_BYTES || n_logprobs_bytes > SIMULATION_MAX_LOGPROBS_BYTES)
        return error_set(err, ST_TOO_LARGE, "reply of %zu bytes with %zu of log probabilities",
                         n_bytes, n_logprobs_bytes);
    struct spelled spelled = {NULL, {0}, NULL, 0};
    struct span where = {"", 0};
    buffer_init(&spelled.text, PROMPT_MAX_REPLY_BYTES);
    struct span *values = calloc(tokens->n_tokens + 1, sizeof *values);
    double *read = calloc(tokens->n_tokens + 1, sizeof *read);
    status_t status = values && read
                          ? spell(logprobs, n_logprobs_bytes, &spelled, err)
                          : error_set(err, ST_NO_MEMORY, "%zu predictions", tokens->n_tokens);
    if (status == ST_OK) status = match_reply(&spelled, (struct span){reply, n_bytes}, &where, err);
    if (status == ST_OK) status = read_lines(where, tokens, values, err);
    if (status == ST_OK) status = read_values(&spelled, values, tokens->n_tokens, read, err);
    if (status == ST_OK && tokens->n_tokens > 0)
        memcpy(predicted, read, tokens->n_tokens * sizeof *read);
    spelled_fini(&spelled);
    free(values);
    free(read);
    return status;
}

status_t simulation_reply_lines(const char *reply, size_t n_bytes,
                                const struct simulation_tokens *tokens, double *predicted,
                                struct error *err)
{
    if (n_bytes > PROMPT_MAX_REPLY_BYTES)
        return error_set(err, ST_TOO_LARGE, "reply of %zu bytes", n_bytes);
    struct span *values = calloc(tokens->n_tokens + 1, sizeof *values);
    if (!values) return error_set(err, ST_NO_MEMORY, "%zu predictions", tokens->n_tokens);
    const status_t status = read_lines((struct span){reply, n_bytes}, tokens, values, err);
    for (size_t i = 0; status == ST_OK && i < tokens->n_tokens; i++)
        predicted[i] = numeral(values[i]);
    free(values);
    return status;
}

/* --- the scale form ------------------------------------------------------------ */

/* -1: not the value of that token. */
static double entry_value(const json_t *entry, const struct simulation_tokens *tokens, size_t index)
{
    const json_t *token = json_object_get(entry, "token"), *value = json_object_get(entry, "value");
    if (!json_is_string(token) || !json_is_number(value)) return -1.0;
    const double number = json_number_value(value);
    const struct span given = {json_string_value(token), json_string_length(token)};
    const bool is_right =
        is_token(given, tokens, index) && number >= 0.0 && number <= SIMULATION_MAX_VALUE;
    return is_right ? number : -1.0;
}

status_t simulation_reply_scale(const char *reply, size_t n_bytes,
                                const struct simulation_tokens *tokens, double *predicted,
                                struct error *err)
{
    json_t *object = NULL;
    bool is_repaired;
    status_t status =
        prompt_reply_object(reply, n_bytes, "activations", &object, &is_repaired, err);
    if (status != ST_OK) return status;
    const json_t *list = json_object_get(object, "activations");
    if (!json_is_array(list) || json_array_size(list) != tokens->n_tokens)
        status =
            error_set(err, ST_BAD_INPUT, "reply: no list of %zu activations", tokens->n_tokens);
    for (size_t i = 0; status == ST_OK && i < tokens->n_tokens; i++)
        if (entry_value(json_array_get(list, i), tokens, i) < 0.0)
            status = error_set(err, ST_BAD_INPUT,
                               "reply: entry %zu is not its token with a value from 0 to 10", i);
    for (size_t i = 0; status == ST_OK && i < tokens->n_tokens; i++)
        predicted[i] = entry_value(json_array_get(list, i), tokens, i);
    json_decref(object);
    return status;
}
