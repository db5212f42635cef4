/* The CPU's loops against closed forms in double, on every instruction set of this machine and at
 * shapes that no vector width divides. */
#include "common/evidence_key.h"
#include "kernels/cpu/vector.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const size_t WIDTHS[] = {1, 31, 64, 257, 768};
enum { N_WIDTHS = sizeof WIDTHS / sizeof WIDTHS[0], N_ROWS = 3 };

static uint64_t random_state = 7;

static float uniform(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (float)((double)(random_state >> 40) / (double)(1 << 24)) * 2 - 1;
}

static float *random_floats(size_t n, float scale)
{
    float *values = malloc((n ? n : 1) * sizeof *values);
    cr_assert(values);
    for (size_t i = 0; i < n; i++) values[i] = uniform() * scale;
    return values;
}

static void expect_near(double got, double want, double tolerance, const char *isa,
                        const char *what)
{
    cr_assert(fabs(got - want) <= tolerance * (1 + fabs(want)), "%s, %s: %.9g, not %.9g", isa, what,
              got, want);
}

/* Call `check` with the table of each instruction set that runs here. */
static void on_every_isa(void (*check)(const struct vector_kernels *kernels))
{
    size_t n = 0;
    for (unsigned isa = 0; isa < CPU_ISA_N; isa++) {
        if (cpu_isa_detect((enum cpu_isa)isa) != (enum cpu_isa)isa) continue;
        check(vector_kernels_of((enum cpu_isa)isa));
        n++;
    }
    cr_assert(n >= 1);
}

static void check_norm(const struct vector_kernels *k, enum norm_kind kind, size_t d,
                       bool has_weight)
{
    float *x = random_floats(N_ROWS * d, 3), *w = random_floats(d, 1), *b = random_floats(d, 1);
    float *y = random_floats(N_ROWS * d, 1);
    const struct norm_params p = {.kind = kind,
                                  .x = x,
                                  .weight = has_weight ? w : NULL,
                                  .bias = has_weight && kind == NORM_LAYER ? b : NULL,
                                  .y = y,
                                  .eps = 1e-5f,
                                  .n_rows = N_ROWS,
                                  .d = d};
    k->norm(&p);
    for (size_t r = 0; r < N_ROWS; r++) {
        double mean = 0, square = 0;
        for (size_t i = 0; i < d && kind == NORM_LAYER; i++) mean += (double)x[r * d + i];
        mean /= (double)d;
        for (size_t i = 0; i < d; i++) square += pow((double)x[r * d + i] - mean, 2);
        for (size_t i = 0; i < d; i++) {
            double want = ((double)x[r * d + i] - mean) / sqrt(square / (double)d + 1e-5);
            if (p.weight) want *= (double)w[i];
            if (p.bias) want += (double)b[i];
            expect_near((double)y[r * d + i], want, 3e-6 * sqrt((double)d), k->name, "norm");
        }
    }
    free(x);
    free(w);
    free(b);
    free(y);
}

static void check_norms(const struct vector_kernels *k)
{
    for (size_t i = 1; i < N_WIDTHS; i++) {
        for (unsigned kind = 0; kind < 2; kind++) {
            check_norm(k, (enum norm_kind)kind, WIDTHS[i], true);
            check_norm(k, (enum norm_kind)kind, WIDTHS[i], false);
        }
    }
}

Test(kernels_vector, norms_match_their_formulas)
{
    on_every_isa(check_norms);
}

static double activation(enum activation kind, double x)
{
    if (kind == ACTIVATION_GELU_ERF) return 0.5 * x * (1 + erf(x * sqrt(0.5)));
    if (kind == ACTIVATION_SILU) return x / (1 + exp(-x));
    if (kind == ACTIVATION_RELU) return x > 0 ? x : 0;
    return 0.5 * x * (1 + tanh(sqrt(2 / 3.14159265358979) * (x + 0.044715 * x * x * x)));
}

static void check_activation(const struct vector_kernels *k, enum activation kind, size_t d,
                             bool is_gated)
{
    float *pre = random_floats(N_ROWS * 2 * d, 9), *bias = random_floats(2 * d, 1);
    float *out = random_floats(N_ROWS * d, 1);
    pre[0] = 100; /* the tails, where exp would overflow */
    if (d > 1) pre[1] = -100;
    const struct activate_params p = {.kind = kind,
                                      .pre = pre,
                                      .bias = bias,
                                      .up = is_gated ? pre + d : NULL,
                                      .up_bias = is_gated ? bias + d : NULL,
                                      .out = out,
                                      .n_rows = N_ROWS,
                                      .d = d,
                                      .ld_pre = 2 * d,
                                      .ld_out = d};
    k->activate(&p);
    for (size_t r = 0; r < N_ROWS; r++) {
        for (size_t i = 0; i < d; i++) {
            double want = activation(kind, (double)pre[2 * r * d + i] + (double)bias[i]);
            if (is_gated) want *= (double)pre[(2 * r + 1) * d + i] + (double)bias[d + i];
            expect_near((double)out[r * d + i], want, 2e-6, k->name, "activation");
        }
    }
    free(pre);
    free(bias);
    free(out);
}

static void check_activations(const struct vector_kernels *k)
{
    for (size_t i = 0; i < N_WIDTHS; i++) {
        for (unsigned kind = 0; kind < ACTIVATION_N; kind++) {
            check_activation(k, (enum activation)kind, WIDTHS[i], false);
            check_activation(k, (enum activation)kind, WIDTHS[i], true);
        }
    }
}

Test(kernels_vector, activations_match_their_formulas)
{
    on_every_isa(check_activations);
}

/* One head of one query by the definition. */
static void attend_by_definition(const struct attend_params *p, size_t row, size_t head,
                                 double *out)
{
    const size_t start = row / p->n_ctx * p->n_ctx, n_before = row - start + 1;
    const size_t n_seen = p->window && p->window < n_before ? p->window : n_before;
    const size_t first = row + 1 - n_seen;
    const size_t kv = head / (p->n_heads / p->n_kv_heads);
    const double cap = (double)p->soft_cap;
    double weights[512], total = 0, top = -INFINITY;
    cr_assert(n_seen <= 512);
    for (size_t t = 0; t < n_seen; t++) {
        weights[t] = 0;
        for (size_t i = 0; i < p->d_head; i++)
            weights[t] += (double)p->q[row * p->ld + head * p->d_head + i] *
                          (double)p->k[(first + t) * p->ld + kv * p->d_head + i];
        weights[t] *= (double)p->scale;
        if (cap > 0) weights[t] = cap * tanh(weights[t] / cap);
        top = fmax(top, weights[t]);
    }
    for (size_t t = 0; t < n_seen; t++) total += weights[t] = exp(weights[t] - top);
    for (size_t i = 0; i < p->d_head; i++) {
        out[i] = 0;
        for (size_t t = 0; t < n_seen; t++)
            out[i] += weights[t] / total * (double)p->v[(first + t) * p->ld + kv * p->d_head + i];
    }
}

struct attend_case {
    size_t n_ctx, n_heads, n_kv_heads, d_head, window;
    float soft_cap;
};

static void check_attention(const struct vector_kernels *k, const struct attend_case *c)
{
    const size_t n_ctx = c->n_ctx, n_heads = c->n_heads, n_kv_heads = c->n_kv_heads,
                 d_head = c->d_head;
    const size_t n_rows = 2 * n_ctx, ld = (n_heads + 2 * n_kv_heads) * d_head;
    const uint32_t lengths[] = {(uint32_t)n_ctx, (uint32_t)(n_ctx / 2)};
    float *qkv = random_floats(n_rows * ld, 2), *z = random_floats(n_rows * n_heads * d_head, 1);
    float *scratch =
        aligned_alloc(64, (attend_scratch_floats(n_ctx, d_head) * sizeof *scratch + 63) / 64 * 64);
    const struct attend_params p = {.q = qkv,
                                    .k = qkv + n_heads * d_head,
                                    .v = qkv + (n_heads + n_kv_heads) * d_head,
                                    .z = z,
                                    .lengths = lengths,
                                    .n_sequences = 2,
                                    .n_ctx = n_ctx,
                                    .n_heads = n_heads,
                                    .n_kv_heads = n_kv_heads,
                                    .d_head = d_head,
                                    .ld = ld,
                                    .window = c->window,
                                    .scale = 0.7f,
                                    .soft_cap = c->soft_cap};
    double want[512];
    cr_assert(scratch && d_head <= 512);
    k->attend(&p, scratch);
    for (size_t row = 0; row < n_rows; row++) {
        for (size_t head = 0; head < n_heads; head++) {
            const float *got = z + (row * n_heads + head) * d_head;
            const bool is_padding = row % n_ctx >= lengths[row / n_ctx];
            if (!is_padding) attend_by_definition(&p, row, head, want);
            for (size_t i = 0; i < d_head; i++)
                expect_near((double)got[i], is_padding ? 0 : want[i], 1e-5, k->name, "attention");
        }
    }
    free(qkv);
    free(z);
    free(scratch);
}

static void check_attentions(const struct vector_kernels *k)
{
    static const struct attend_case CASES[] = {
        {1, 1, 1, 1, 0, 0},    {31, 4, 2, 9, 0, 0},  {67, 3, 1, 64, 0, 0}, {130, 2, 2, 80, 0, 0},
        {1, 1, 1, 1, 1, 0.5f}, {31, 2, 1, 9, 1, 0},  {67, 3, 1, 64, 8, 0}, {130, 2, 2, 80, 33, 5},
        {31, 4, 2, 9, 31, 0},  {31, 1, 1, 9, 99, 2}, {67, 2, 1, 64, 0, 3}};
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) check_attention(k, &CASES[i]);
}

Test(kernels_vector, attention_matches_its_definition)
{
    on_every_isa(check_attentions);
}

static void check_rotation(const struct vector_kernels *k, bool is_interleaved)
{
    enum { N_HEADS = 3, D_HEAD = 10, N_CTX = 4, LD = 37, ROWS = 8 };
    float *x = random_floats(ROWS * LD, 1), *before = malloc(ROWS * LD * sizeof *before);
    float cos_table[N_CTX * D_HEAD / 2], sin_table[N_CTX * D_HEAD / 2];
    for (size_t i = 0; i < N_CTX * D_HEAD / 2; i++) {
        cos_table[i] = cosf((float)i);
        sin_table[i] = sinf((float)i);
    }
    memcpy(before, x, ROWS * LD * sizeof *before);
    const struct rotate_params p = {x,       cos_table, sin_table, ROWS,          N_CTX,
                                    N_HEADS, D_HEAD,    LD,        is_interleaved};
    const size_t apart = is_interleaved ? 1 : D_HEAD / 2;
    k->rotate(&p);
    for (size_t i = 0; i < ROWS * LD; i++) {
        const size_t r = i / LD, column = i % LD, j = column % D_HEAD;
        double want = (double)before[i];
        if (column < N_HEADS * D_HEAD) {
            const bool is_first = is_interleaved ? j % 2 == 0 : j < 5;
            const double angle = (double)(r % N_CTX * 5 + (is_interleaved ? j / 2 : j % 5));
            const double other = (double)before[is_first ? i + apart : i - apart];
            want = want * cos(angle) + (is_first ? -other : other) * sin(angle);
        }
        expect_near((double)x[i], want, 1e-6, k->name, "rotation");
    }
    free(x);
    free(before);
}

static void check_rotations(const struct vector_kernels *k)
{
    check_rotation(k, false);
    check_rotation(k, true);
}

Test(kernels_vector, rotation_turns_pairs_and_leaves_the_rest)
{
    on_every_isa(check_rotations);
}

static void check_adds(const struct vector_kernels *k)
{
    for (size_t w = 0; w < N_WIDTHS; w++) {
        const size_t d = WIDTHS[w], ld = d + 3;
        float *a = random_floats(N_ROWS * ld, 1), *b = random_floats(N_ROWS * d, 1);
        float *bias = random_floats(d, 1), *out = random_floats(N_ROWS * d, 1);
        for (unsigned mask = 0; mask < 4; mask++) {
            const struct add_params p = {.a = a,
                                         .b = mask & 1 ? b : NULL,
                                         .bias = mask & 2 ? bias : NULL,
                                         .out = out,
                                         .n_rows = N_ROWS,
                                         .d = d,
                                         .ld_a = ld,
                                         .ld_out = d};
            k->add(&p);
            for (size_t i = 0; i < N_ROWS * d; i++) {
                const double want = (double)a[i / d * ld + i % d] + (mask & 1 ? (double)b[i] : 0) +
                                    (mask & 2 ? (double)bias[i % d] : 0);
                expect_near((double)out[i], want, 3e-7, k->name, "add");
            }
        }
        free(a);
        free(b);
        free(bias);
        free(out);
    }
}

Test(kernels_vector, add_takes_any_mix_of_its_parts)
{
    on_every_isa(check_adds);
}

/* Nearest even by the definition: neither neighbour is nearer. */
static void check_bf16(const struct vector_kernels *k)
{
    float *x = random_floats(1000, 100);
    uint16_t hi[1000], lo[1000];
    k->split_bf16(x, 1000, hi, lo);
    for (size_t i = 0; i < 1000; i++) {
        const uint32_t bits[] = {(uint32_t)hi[i] << 16, (uint32_t)lo[i] << 16};
        float high, low;
        memcpy(&high, &bits[0], sizeof high);
        memcpy(&low, &bits[1], sizeof low);
        cr_assert(fabsf(x[i] - high) <= fabsf(x[i]) * 0x1p-8f, "%s", k->name);
        cr_assert(fabsf(x[i] - high - low) <= fabsf(x[i]) * 0x1p-16f, "%s", k->name);
    }
    free(x);
}

Test(kernels_vector, bf16_parts_leave_2_to_the_minus_16)
{
    on_every_isa(check_bf16);
}

static void check_dots(const struct vector_kernels *k)
{
    static const size_t SIZES[] = {16, 32, 272, 768};
    for (size_t s = 0; s < 4; s++) {
        const size_t d = SIZES[s], n_rows = 11;
        float *w = random_floats(d, 1), *x = random_floats(n_rows * d, 1), got[11];
        const float *rows[11];
        for (size_t r = 0; r < n_rows; r++) rows[r] = x + r * d;
        k->dots(w, rows, n_rows, d, got);
        for (size_t r = 0; r < n_rows; r++) {
            float lanes[DOT_LANES] = {0};
            for (size_t i = 0; i < d; i++)
                lanes[i % DOT_LANES] = fmaf(w[i], rows[r][i], lanes[i % DOT_LANES]);
            for (size_t half = DOT_LANES / 2; half > 0; half /= 2) {
                for (size_t j = 0; j < half; j++) lanes[j] += lanes[j + half];
            }
            cr_assert_eq(memcmp(&got[r], &lanes[0], sizeof got[r]), 0, "%s, %zu", k->name, d);
        }
        free(w);
        free(x);
    }
}

Test(kernels_vector, dots_are_the_same_bits_on_every_instruction_set)
{
    on_every_isa(check_dots);
}

static void check_window_keys(const struct vector_kernels *k)
{
    enum { N_BLOCKS = 3, N = N_BLOCKS * WINDOW_KEY_BLOCK };
    static const uint64_t LIMITS[] = {0, 0 /* a key itself */, UINT64_C(1) << 63, UINT64_MAX};
    uint64_t number[N], key[N], below[N_BLOCKS];
    for (size_t i = 0; i < N; i++) number[i] = hash_mix64(i * i);
    for (size_t l = 0; l < sizeof LIMITS / sizeof LIMITS[0]; l++) {
        const uint64_t slot_number = evidence_slot_number((uint32_t)l);
        const uint64_t limit = l == 1 ? evidence_key(number[70], slot_number) : LIMITS[l];
        const struct window_keys_params p = {number, N_BLOCKS, slot_number, limit, key, below};
        k->window_keys(&p);
        for (size_t i = 0; i < N; i++) {
            const uint64_t want = evidence_key(number[i], slot_number);
            const uint64_t bit = below[i / WINDOW_KEY_BLOCK] >> i % WINDOW_KEY_BLOCK & 1u;
            cr_assert_eq(key[i], want, "%s: key %zu", k->name, i);
            cr_assert_eq(bit, want <= limit, "%s: bit %zu, limit %zu", k->name, i, l);
        }
    }
}

Test(kernels_vector, window_keys_are_those_of_one_at_a_time)
{
    on_every_isa(check_window_keys);
}
