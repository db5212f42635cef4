/* Spellings of components as patterns: `%` is a number of at most nine digits, first the layer,
 * then the index; everything else is itself, letters in either case. */
#include "coordinator/circuit/component.h"

#include <string.h>

enum { SPELLING_MAX_DIGITS = 9, QUOTED_BYTES = 60 };

struct spelling {
    const char *pattern;
    enum component_type type;
};

static const struct spelling SPELLINGS[] = {
    {"embed", COMPONENT_EMBED},
    {"input", COMPONENT_EMBED},
    {"Resid Start", COMPONENT_EMBED},
    {"hook_embed", COMPONENT_EMBED},
    {"pos_embed", COMPONENT_POS_EMBED},
    {"hook_pos_embed", COMPONENT_POS_EMBED},
    {"logits", COMPONENT_LOGITS},
    {"Resid End", COMPONENT_LOGITS},
    {"L%H%", COMPONENT_HEAD},
    {"a%.h%", COMPONENT_HEAD},
    {"A%.%", COMPONENT_HEAD},
    {"%.%", COMPONENT_HEAD},
    {"blocks.%.attn.hook_z[%]", COMPONENT_HEAD},
    {"blocks.%.attn.hook_z.%", COMPONENT_HEAD},
    {"blocks.%.attn.hook_result[%]", COMPONENT_HEAD},
    {"blocks.%.attn.hook_result[:, :, %]", COMPONENT_HEAD},
    {"blocks.%.attn.hook_result[:,:,%]", COMPONENT_HEAD},
    {"L%K%", COMPONENT_KEY_GROUP},
    {"blocks.%.attn.hook_k[%]", COMPONENT_KEY_GROUP},
    {"blocks.%.attn.hook_k.%", COMPONENT_KEY_GROUP},
    {"L%V%", COMPONENT_VALUE_GROUP},
    {"blocks.%.attn.hook_v[%]", COMPONENT_VALUE_GROUP},
    {"blocks.%.attn.hook_v.%", COMPONENT_VALUE_GROUP},
    {"L%MLP", COMPONENT_MLP},
    {"m%", COMPONENT_MLP},
    {"mlp%", COMPONENT_MLP},
    {"mlp %", COMPONENT_MLP},
    {"blocks.%.hook_mlp_out", COMPONENT_MLP},
    {"L%N%", COMPONENT_NEURON},
    {"m%.n%", COMPONENT_NEURON},
    {"blocks.%.mlp.hook_post[%]", COMPONENT_NEURON},
    {"blocks.%.mlp.hook_post.%", COMPONENT_NEURON},
};

/* Behind `blocks.LAYER.SITE`. */
static const struct spelling SITE_SPELLINGS[] = {
    {"[%]", COMPONENT_RESIDUAL},
    {".%", COMPONENT_RESIDUAL},
    {".f%", COMPONENT_FEATURE},
    {".hook_sae_acts_post[%]", COMPONENT_FEATURE},
    {".hook_sae_acts_post.%", COMPONENT_FEATURE},
    {".error", COMPONENT_ERROR},
    {".hook_sae_error", COMPONENT_ERROR},
};

struct cursor {
    const char *at;
    const char *end;
    uint32_t numbers[2];
    size_t n_numbers;
};

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool take_number(struct cursor *cursor)
{
    uint32_t number = 0;
    size_t n_digits = 0;
    while (cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9') {
        if (++n_digits > SPELLING_MAX_DIGITS) return false;
        number = number * 10 + (uint32_t)(*cursor->at++ - '0');
    }
    if (n_digits == 0 || cursor->n_numbers == 2) return false;
    cursor->numbers[cursor->n_numbers++] = number;
    return true;
}

static bool take_pattern(struct cursor *cursor, const char *pattern)
{
    for (; *pattern; pattern++) {
        if (*pattern == '%') {
            if (!take_number(cursor)) return false;
        } else if (cursor->at == cursor->end || lower(*cursor->at) != lower(*pattern)) {
            return false;
        } else {
            cursor->at++;
        }
    }
    return true;
}

static bool take_whole(struct cursor cursor, const struct spelling *spellings, size_t n,
                       struct component *out)
{
    for (size_t i = 0; i < n; i++) {
        struct cursor attempt = cursor;
        if (!take_pattern(&attempt, spellings[i].pattern) || attempt.at != attempt.end) continue;
        out->type = spellings[i].type;
        out->layer = attempt.n_numbers > 0 ? attempt.numbers[0] : 0;
        out->index = attempt.n_numbers > 1 ? attempt.numbers[1] : 0;
        return true;
    }
    return false;
}

static bool take_at_site(struct cursor cursor, struct component *out)
{
    if (!take_pattern(&cursor, "blocks.%.")) return false;
    for (int site = SITE_RESID_PRE; site < COMPONENT_N_SITES; site++) {
        struct cursor attempt = cursor;
        if (!take_pattern(&attempt, component_site_name((enum component_site)site))) continue;
        if (!take_whole(attempt, SITE_SPELLINGS, sizeof SITE_SPELLINGS / sizeof SITE_SPELLINGS[0],
                        out))
            continue;
        out->site = (enum component_site)site;
        return true;
    }
    return false;
}

/* A word of letters, digits, '_', '+' and '-', in lower case. */
static bool read_position(const char *text, size_t n_bytes, char out[COMPONENT_POSITION_SIZE])
{
    if (n_bytes == 0 || n_bytes >= COMPONENT_POSITION_SIZE) return false;
    for (size_t i = 0; i < n_bytes; i++) {
        const char c = lower(text[i]);
        const bool is_word =
            (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '+' || c == '-';
        if (!is_word) return false;
        out[i] = c;
    }
    return true;
}

status_t component_parse(const char *text, size_t n_bytes, struct component *out, struct error *err)
{
    const char *at = n_bytes > 0 ? memchr(text, '@', n_bytes) : NULL;
    const size_t n_base = at ? (size_t)(at - text) : n_bytes;
    const struct cursor cursor = {.at = text, .end = text + n_base};
    const int n_quoted = (int)(n_bytes < QUOTED_BYTES ? n_bytes : QUOTED_BYTES);
    struct component made = {.type = COMPONENT_EMBED};
    if (!take_whole(cursor, SPELLINGS, sizeof SPELLINGS / sizeof SPELLINGS[0], &made) &&
        !take_at_site(cursor, &made))
        return error_set(err, ST_BAD_INPUT,
                         "\"%.*s\" is no component (L5H3, L5MLP, L5N12, "
                         "blocks.5.hook_resid_pre.f7, embed, logits ...)",
                         n_quoted, text);
    if (at && component_is_graph_end(&made))
        return error_set(err, ST_BAD_INPUT, "\"%.*s\": a graph end has no position", n_quoted,
                         text);
    if (at && !read_position(at + 1, n_bytes - n_base - 1, made.position))
        return error_set(err, ST_BAD_INPUT, "\"%.*s\": a position is a word of 1 to %d letters",
                         n_quoted, text, COMPONENT_POSITION_SIZE - 1);
    *out = made;
    return ST_OK;
}
