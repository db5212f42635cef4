/* Causal attention, one head of one sequence at a time (part of vector_body.h).
 *
 * Keys are transposed and values padded into scratch once per key/value head; then blocks of
 * ATTEND_QUERIES queries: scores for all keys up to the block's last query, softmax per query,
 * weighted sum of values. Sums run over d_head, then over keys, in ascending order. Costs about
 * 4 n_ctx d_head operations a query and head; at 128 tokens, 1-2 % of a forward pass. */

enum { ATTEND_QUERIES = 4, ATTEND_VECS = VEC_WIDTH == 16 ? 4 : 2 };
enum { ATTEND_STEP = ATTEND_VECS * VEC_WIDTH }; /* keys (or value columns) in registers at once */

struct attend_head {
    const float *q;      /* first query of the sequence, rows `ld` apart */
    const float *keys;   /* [d_head, n_pad], transposed, padding keys 0 */
    const float *values; /* [length, d_pad] */
    float *scores;       /* [ATTEND_QUERIES, n_pad] */
    float *z;            /* rows ld_z apart */
    size_t ld, ld_z, n_pad, d_pad, d_head, length, window;
    float scale, soft_cap;
};

static inline size_t round_up(size_t n, size_t step)
{
    return (n + step - 1) / step * step;
}

static void pack_head(const float *k, const float *v, size_t ld, struct attend_head *h, float *keys,
                      float *values)
{
    for (size_t t = 0; t < h->length; t++) {
        for (size_t i = 0; i < h->d_head; i++) keys[i * h->n_pad + t] = k[t * ld + i];
        memcpy(values + t * h->d_pad, v + t * ld, h->d_head * sizeof *values);
        memset(values + t * h->d_pad + h->d_head, 0, (h->d_pad - h->d_head) * sizeof *values);
    }
    for (size_t i = 0; i < h->d_head; i++)
        memset(keys + i * h->n_pad + h->length, 0, (h->n_pad - h->length) * sizeof *keys);
    h->keys = keys;
    h->values = values;
}

/* scores[j, t] = scale q_j k_t for the queries first..first+3 and keys t < n_keys (a multiple of
 * ATTEND_STEP). Query rows past the end repeat the last one; their scores are not used. */
static void attend_scores(const struct attend_head *h, size_t first, size_t n_keys)
{
    const float *q[ATTEND_QUERIES];
    for (size_t j = 0; j < ATTEND_QUERIES; j++)
        q[j] = h->q + (first + j < h->length ? first + j : h->length - 1) * h->ld;
    for (size_t t = 0; t < n_keys; t += ATTEND_STEP) {
        vec sums[ATTEND_QUERIES][ATTEND_VECS];
        memset(sums, 0, sizeof sums);
        for (size_t i = 0; i < h->d_head; i++) {
            for (size_t c = 0; c < ATTEND_VECS; c++) {
                const vec key = vec_load(h->keys + i * h->n_pad + t + c * VEC_WIDTH);
                for (size_t j = 0; j < ATTEND_QUERIES; j++)
                    sums[j][c] = vec_madd(vec_set(q[j][i]), key, sums[j][c]);
            }
        }
        for (size_t j = 0; j < ATTEND_QUERIES; j++) {
            for (size_t c = 0; c < ATTEND_VECS; c++)
                vec_store(h->scores + j * h->n_pad + t + c * VEC_WIDTH, sums[j][c] * h->scale);
        }
    }
}

/* The first key that query `query` sees. */
static inline size_t first_key_of(size_t query, size_t window)
{
    return window && query + 1 > window ? query + 1 - window : 0;
}

/* In place: cap tanh(score / cap) = cap (1 - 2 / (exp(2 score / cap) + 1)). */
static void cap_scores(float *scores, size_t n, float cap)
{
    for (size_t t = 0; t < n; t += VEC_WIDTH) {
        const size_t left = n - t < VEC_WIDTH ? n - t : VEC_WIDTH;
        const vec power = vec_exp(vec_load_part(scores + t, left) * (2.0f / cap));
        vec_store_part(scores + t, cap * (1.0f - 2.0f / (power + 1.0f)), left);
    }
}

/* In place: scores[0..n_seen) become probabilities, the rest up to n_keys 0. */
static void softmax_row(float *scores, size_t n_seen, size_t n_keys)
{
    float top = scores[0];
    for (size_t t = 1; t < n_seen; t++) top = scores[t] > top ? scores[t] : top;
    vec sums = {0};
    size_t t = 0;
    for (; t + VEC_WIDTH <= n_seen; t += VEC_WIDTH) {
        const vec e = vec_exp(vec_load(scores + t) - top);
        vec_store(scores + t, e);
        sums += e;
    }
    float total = vec_sum(sums);
    if (t < n_seen) {
        float rest[VEC_WIDTH];
        vec_store(rest, vec_exp(vec_load_part(scores + t, n_seen - t) - top));
        for (size_t j = 0; t + j < n_seen; j++) total += scores[t + j] = rest[j];
    }
    const float factor = 1.0f / total;
    for (t = 0; t < n_seen; t++) scores[t] *= factor;
    memset(scores + n_seen, 0, (n_keys - n_seen) * sizeof *scores);
}

/* In place, for query `query`: those of the keys it sees become probabilities, the others 0. */
static void weigh_row(const struct attend_head *h, float *scores, size_t query, size_t n_keys)
{
    const size_t low = first_key_of(query, h->window), n_seen = query + 1 - low;
    if (h->soft_cap > 0.0f) cap_scores(scores + low, n_seen, h->soft_cap);
    memset(scores, 0, low * sizeof *scores);
    softmax_row(scores + low, n_seen, n_keys - low);
}

static void attend_values(const struct attend_head *h, size_t first, size_t n_queries)
{
    const size_t n_seen = first + n_queries, low = first_key_of(first, h->window);
    for (size_t i = 0; i < h->d_pad; i += ATTEND_STEP) {
        vec sums[ATTEND_QUERIES][ATTEND_VECS];
        memset(sums, 0, sizeof sums);
        for (size_t t = low; t < n_seen; t++) {
            for (size_t c = 0; c < ATTEND_VECS; c++) {
                const vec value = vec_load(h->values + t * h->d_pad + i + c * VEC_WIDTH);
                for (size_t j = 0; j < ATTEND_QUERIES; j++)
                    sums[j][c] = vec_madd(vec_set(h->scores[j * h->n_pad + t]), value, sums[j][c]);
            }
        }
        const size_t n_columns = h->d_head - i < ATTEND_STEP ? h->d_head - i : ATTEND_STEP;
        for (size_t j = 0; j < n_queries; j++)
            memcpy(h->z + (first + j) * h->ld_z + i, sums[j], n_columns * sizeof(float));
    }
}

static void attend_one_head(const struct attend_head *h)
{
    for (size_t first = 0; first < h->length; first += ATTEND_QUERIES) {
        const size_t left = h->length - first;
        const size_t n_queries = left < ATTEND_QUERIES ? left : ATTEND_QUERIES;
        const size_t n_keys = round_up(first + n_queries, ATTEND_STEP);
        attend_scores(h, first, n_keys);
        for (size_t j = 0; j < n_queries; j++)
            weigh_row(h, h->scores + j * h->n_pad, first + j, n_keys);
        attend_values(h, first, n_queries);
    }
}

/* One sequence: rows first_row .. first_row + n_ctx of q, k, v and z. */
static void attend_sequence(const struct attend_params *p, size_t first_row, size_t length,
                            float *scratch)
{
    struct attend_head h = {.ld = p->ld,
                            .ld_z = p->n_heads * p->d_head,
                            .n_pad = round_up(p->n_ctx, ATTEND_STEP),
                            .d_pad = round_up(p->d_head, ATTEND_STEP),
                            .d_head = p->d_head,
                            .length = length,
                            .window = p->window,
                            .scale = p->scale,
                            .soft_cap = p->soft_cap};
    float *keys = scratch, *values = keys + h.d_head * h.n_pad;
    h.scores = values + p->n_ctx * h.d_pad;
    const size_t group = p->n_heads / p->n_kv_heads;
    for (size_t kv = 0; kv < p->n_kv_heads; kv++) {
        const size_t at = first_row * p->ld + kv * p->d_head;
        pack_head(p->k + at, p->v + at, p->ld, &h, keys, values);
        for (size_t head = kv * group; head < (kv + 1) * group; head++) {
            h.q = p->q + first_row * p->ld + head * p->d_head;
            h.z = p->z + first_row * h.ld_z + head * p->d_head;
            attend_one_head(&h);
        }
    }
    memset(p->z + (first_row + length) * h.ld_z, 0, (p->n_ctx - length) * h.ld_z * sizeof(float));
}

static void attend(const struct attend_params *p, float *scratch)
{
    for (size_t s = 0; s < p->n_sequences; s++)
        attend_sequence(p, s * p->n_ctx, p->lengths[s], scratch);
}
