#include "worker/model/bpe_merges.h"

#include "common/size.h"
#include "worker/model/json_fields.h"
#include "worker/model/utf8.h"

#include <stdlib.h>
#include <string.h>

struct merge_text {
    const char *left, *right;
    size_t n_left, n_right;
};

/* Both spellings; older files write "a b", in which neither token holds a space. */
static bool split_merge(const json_t *value, struct merge_text *out)
{
    if (json_is_array(value) && json_array_size(value) == 2) {
        const json_t *left = json_array_get(value, 0);
        const json_t *right = json_array_get(value, 1);
        *out = (struct merge_text){json_string_value(left), json_string_value(right),
                                   json_string_length(left), json_string_length(right)};
        return out->left && out->right;
    }
    const char *text = json_string_value(value);
    const char *space = text ? strchr(text, ' ') : NULL;
    if (!space || strchr(space + 1, ' ')) return false;
    *out = (struct merge_text){text, space + 1, (size_t)(space - text), strlen(space + 1)};
    return true;
}

static status_t find_token(const struct bpe *bpe, const char *text, size_t n_bytes, uint32_t *id,
                           struct error *err)
{
    *id = vocabulary_find(&bpe->vocabulary, text, n_bytes);
    if (*id != TOKEN_NONE) return ST_OK;
    return error_set(err, ST_CORRUPT, "token '%.*s' is not in the vocabulary",
                     (int)(n_bytes > 64 ? 64 : n_bytes), text);
}

static status_t find_merged(const struct bpe *bpe, const struct merge_text *text, uint32_t *id,
                            struct error *err)
{
    struct buffer joined;
    buffer_init(&joined, 2 * VOCABULARY_MAX_TOKEN_BYTES);
    status_t status = buffer_append(&joined, text->left, text->n_left, err);
    if (status == ST_OK) status = buffer_append(&joined, text->right, text->n_right, err);
    if (status == ST_OK)
        status = find_token(bpe, (const char *)joined.bytes, joined.n_bytes, id, err);
    buffer_fini(&joined);
    return status;
}

/* A pair that is listed twice keeps its last rank, as in the reference. */
static void insert_merge(struct bpe *bpe, const struct bpe_merge *merge)
{
    size_t slot = hash_mix64(merge->pair) & bpe->merge_mask;
    while (bpe->merges[slot].pair != UINT64_MAX && bpe->merges[slot].pair != merge->pair)
        slot = (slot + 1) & bpe->merge_mask;
    bpe->merges[slot] = *merge;
}

static status_t read_merge(struct bpe *bpe, const json_t *value, uint32_t rank, struct error *err)
{
    struct merge_text text;
    uint32_t left, right, merged;
    if (!split_merge(value, &text)) return error_set(err, ST_CORRUPT, "not a pair of tokens");
    status_t status = find_token(bpe, text.left, text.n_left, &left, err);
    if (status == ST_OK) status = find_token(bpe, text.right, text.n_right, &right, err);
    if (status == ST_OK) status = find_merged(bpe, &text, &merged, err);
    if (status != ST_OK) return status;
    const struct bpe_merge merge = {(uint64_t)left << 32 | right, rank, merged};
    insert_merge(bpe, &merge);
    return ST_OK;
}

static status_t create_table(struct bpe *bpe, size_t n_merges, struct error *err)
{
    size_t n_slots = 16;
    size_t n_bytes;
    if (n_merges > BPE_MAX_MERGES)
        return error_set(err, ST_TOO_LARGE, "%zu merges, at most %d are read", n_merges,
                         BPE_MAX_MERGES);
    while (n_slots < 2 * n_merges) n_slots *= 2;
    if (!size_mul(n_slots, sizeof *bpe->merges, &n_bytes))
        return error_set(err, ST_TOO_LARGE, "%zu merges", n_merges);
    bpe->merges = malloc(n_bytes);
    if (!bpe->merges) return error_set(err, ST_NO_MEMORY, "%zu merges", n_merges);
    memset(bpe->merges, 0xff, n_bytes); /* every pair UINT64_MAX: free */
    bpe->merge_mask = n_slots - 1;
    return ST_OK;
}

status_t bpe_merges_load(struct bpe *bpe, const json_t *model, struct error *err)
{
    json_t *merges = NULL;
    uint32_t rank = 0;
    status_t status = json_need_array(model, "merges", &merges, err);
    if (status == ST_OK) status = create_table(bpe, json_array_size(merges), err);
    for (size_t i = 0; status == ST_OK && i < json_array_size(merges); i++) {
        const json_t *value = json_array_get(merges, i);
        if (json_is_string(value) && strncmp(json_string_value(value), "#version", 8) == 0)
            continue; /* the first line of merges.txt, copied along */
        status = read_merge(bpe, value, rank++, err);
        if (status != ST_OK) error_wrap(err, "merge %zu", i);
    }
    bpe->n_merges = rank;
    return status;
}

/* A mark behind something else inside a token means that merges cross there. */
static bool token_crosses(const char *token, size_t n_bytes, const char *mark, size_t n_mark)
{
    for (size_t at = 1; at + n_mark <= n_bytes; at++) {
        if (memcmp(token + at, mark, n_mark) != 0) continue;
        if (at < n_mark || memcmp(token + at - n_mark, mark, n_mark) != 0) return true;
    }
    return false;
}

bool bpe_may_cut_before(const struct bpe *bpe, const char *mark)
{
    const size_t n_mark = strlen(mark);
    if (bpe->ignore_merges || bpe->is_byte_level) return false;
    if (vocabulary_find(&bpe->vocabulary, mark, n_mark) == TOKEN_NONE) return false;
    for (size_t i = 0; i <= bpe->merge_mask; i++) {
        const char *token;
        size_t n_bytes;
        if (bpe->merges[i].pair == UINT64_MAX) continue;
        if (vocabulary_text(&bpe->vocabulary, bpe->merges[i].merged_id, &token, &n_bytes) &&
            token_crosses(token, n_bytes, mark, n_mark))
            return false;
    }
    return true;
}
