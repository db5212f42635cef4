#include "kernels/cpu/matmul.h"

#include "common/size.h"

#include <omp.h>
#include <oneapi/dnnl/dnnl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MATMUL_MAX_DIM = 1 << 28, PACK_ROW_BLOCK = 256 };

/* How a product is really done. oneDNN multiplies bf16 from AVX-512 on; below it, bf16 is f32
 * products of rounded values, and bf16x3 is f32, which is more accurate and no slower there. So is
 * tf32: it is there for tensor cores. */
enum form { FORM_F32, FORM_BF16X3, FORM_BF16, FORM_ROUNDED };

/* Weights in one or two parts: f32, or bf16 high (and low, for bf16x3). */
struct packed {
    size_t n_in, n_out;
    enum form form;
    dnnl_memory_desc_t layout;
    dnnl_memory_t parts[2]; /* [1] only for bf16x3 */
    struct memory_ledger *ledger;
    size_t n_bytes; /* taken from it */
};

/* One compiled product: row_block x n_in x n_out, rows of x without gaps, of y at this distance. */
struct product {
    dnnl_primitive_t run;
    dnnl_memory_t x, y, scratch;
    size_t scratch_bytes;
    dnnl_memory_desc_t layout; /* of the weights */
    size_t n_in, n_out, ld_y;
    dnnl_data_type_t type;
    bool is_accumulating;
};

struct matmul_cache {
    size_t row_block;
    const struct vector_kernels *kernels;
    dnnl_stream_t stream;
    struct product *products; /* [n_products] */
    size_t n_products, capacity;
    uint16_t *hi, *lo; /* [row_block, widest n_in so far]: n_split */
    size_t n_split;
    float *rows; /* [row_block, widest n_in so far]: n_rows_floats */
    size_t n_rows_floats;
    void *scratch; /* oneDNN's own would belong to the thread that compiled the product */
    size_t scratch_bytes;
};

static pthread_once_t engine_once = PTHREAD_ONCE_INIT;
static dnnl_engine_t engine; /* one-time init: a CPU engine holds no state of a caller */

static void engine_init(void)
{
    if (dnnl_engine_create(&engine, dnnl_cpu, 0) != dnnl_success) engine = NULL;
}

static status_t dnn_check(dnnl_status_t status, const char *what, struct error *err)
{
    if (status == dnnl_success) return ST_OK;
    if (status == dnnl_out_of_memory) return error_set(err, ST_NO_MEMORY, "oneDNN: %s", what);
    return error_set(err, ST_INTERNAL, "oneDNN: %s: status %d", what, (int)status);
}

#define DNN(call)                                                                                  \
    do {                                                                                           \
        status = dnn_check((call), #call, err);                                                    \
        if (status != ST_OK) goto done;                                                            \
    } while (0)

void matmul_limit_isa(enum cpu_isa isa)
{
    if (isa == CPU_ISA_AVX2) (void)dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx2);
    if (isa == CPU_ISA_PLAIN) (void)dnnl_set_max_cpu_isa(dnnl_cpu_isa_sse41);
}

/* oneDNN runs on the calling thread: one thread holds one exec. */
static status_t engine_ready(struct error *err)
{
    (void)pthread_once(&engine_once, engine_init);
    if (!engine) return error_set(err, ST_INTERNAL, "oneDNN: no CPU engine");
    omp_set_num_threads(1);
    return ST_OK;
}

static dnnl_status_t describe(dnnl_memory_desc_t *out, size_t rows, size_t columns, size_t ld,
                              dnnl_data_type_t type)
{
    const dnnl_dims_t shape = {(dnnl_dim_t)rows, (dnnl_dim_t)columns};
    const dnnl_dims_t strides = {(dnnl_dim_t)ld, 1};
    return dnnl_memory_desc_init_by_strides(out, 2, shape, type, strides);
}

/* Describe x [rows, n_in] W = y, with W in `layout`, or in whatever layout oneDNN likes best if
 * that is NULL. */
static status_t product_describe(dnnl_primitive_desc_t *out, const struct product *p, size_t rows,
                                 const dnnl_memory_desc_t *layout, struct error *err)
{
    status_t status = ST_OK;
    dnnl_memory_desc_t x, w, y;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t post = NULL;
    dnnl_matmul_desc_t desc;
    const dnnl_dims_t shape = {(dnnl_dim_t)p->n_in, (dnnl_dim_t)p->n_out};

    DNN(describe(&x, rows, p->n_in, p->n_in, p->type));
    DNN(describe(&y, rows, p->n_out, p->ld_y, dnnl_f32));
    if (layout)
        w = *layout;
    else
        DNN(dnnl_memory_desc_init_by_tag(&w, 2, shape, p->type, dnnl_format_tag_any));
    DNN(dnnl_primitive_attr_create(&attr));
    DNN(dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user));
    if (p->is_accumulating) {
        DNN(dnnl_post_ops_create(&post));
        DNN(dnnl_post_ops_append_sum(post, 1.0f));
        DNN(dnnl_primitive_attr_set_post_ops(attr, post));
    }
    DNN(dnnl_matmul_desc_init(&desc, &x, &w, NULL, &y));
    DNN(dnnl_primitive_desc_create(out, &desc, attr, engine, NULL));
done:
    if (post) (void)dnnl_post_ops_destroy(post);
    if (attr) (void)dnnl_primitive_attr_destroy(attr);
    return status;
}

/* Copy plain [n_in, n_out] values into a new memory object of the packed layout. */
static status_t pack_part(struct packed *packed, size_t part, const void *values,
                          const dnnl_memory_desc_t *plain, struct error *err)
{
    status_t status = ST_OK;
    dnnl_stream_t stream = NULL;
    dnnl_memory_t from = NULL;
    dnnl_primitive_desc_t desc = NULL;
    dnnl_primitive_t reorder = NULL;
    union {
        const void *read;
        void *any;
    } source = {.read = values}; /* the reorder only reads it */

    DNN(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags));
    DNN(dnnl_memory_create(&packed->parts[part], &packed->layout, engine, DNNL_MEMORY_ALLOCATE));
    DNN(dnnl_memory_create(&from, plain, engine, source.any));
    DNN(dnnl_reorder_primitive_desc_create(&desc, plain, engine, &packed->layout, engine, NULL));
    DNN(dnnl_primitive_create(&reorder, desc));
    {
        const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, packed->parts[part]}};
        DNN(dnnl_primitive_execute(reorder, stream, 2, args));
    }
    DNN(dnnl_stream_wait(stream));
done:
    if (reorder) (void)dnnl_primitive_destroy(reorder);
    if (desc) (void)dnnl_primitive_desc_destroy(desc);
    if (from) (void)dnnl_memory_destroy(from);
    if (stream) (void)dnnl_stream_destroy(stream);
    return status;
}

/* Strides of the plain weights as the caller holds them. */
static dnnl_status_t describe_plain(dnnl_memory_desc_t *out, const struct pack_params *p,
                                    dnnl_data_type_t type)
{
    const dnnl_dims_t shape = {(dnnl_dim_t)p->n_in, (dnnl_dim_t)p->n_out};
    const dnnl_dims_t by_rows = {(dnnl_dim_t)p->n_out, 1};
    const dnnl_dims_t by_columns = {1, (dnnl_dim_t)p->n_in};
    return dnnl_memory_desc_init_by_strides(out, 2, shape, type,
                                            p->is_transposed ? by_columns : by_rows);
}

static enum form form_of(enum compute compute, const struct vector_kernels *kernels)
{
    const bool has_bf16 = kernels == &vector_kernels_avx512;
    if (compute == COMPUTE_BF16) return has_bf16 ? FORM_BF16 : FORM_ROUNDED;
    return compute == COMPUTE_BF16X3 && has_bf16 ? FORM_BF16X3 : FORM_F32;
}

static dnnl_data_type_t type_of(enum form form)
{
    return form == FORM_BF16 || form == FORM_BF16X3 ? dnnl_bf16 : dnnl_f32;
}

/* The values that bf16 has, as f32. hi [n] is scratch. */
static void round_to_bf16(const struct vector_kernels *kernels, const float *x, size_t n,
                          uint16_t *hi, float *out)
{
    kernels->split_bf16(x, n, hi, NULL);
    for (size_t i = 0; i < n; i++) {
        const uint32_t bits = (uint32_t)hi[i] << 16;
        memcpy(out + i, &bits, sizeof bits);
    }
}

static status_t pack_rounded(struct packed *packed, const struct pack_params *p,
                             const struct vector_kernels *kernels, struct error *err)
{
    status_t status = ST_OK;
    const size_t n = p->n_in * p->n_out; /* checked by the caller */
    uint16_t *hi = malloc(n * sizeof *hi);
    float *rounded = malloc(n * sizeof *rounded);
    dnnl_memory_desc_t plain;

    if (!hi || !rounded) {
        status = error_set(err, ST_NO_MEMORY, "rounded weights %zu x %zu", p->n_in, p->n_out);
        goto done;
    }
    round_to_bf16(kernels, p->weights, n, hi, rounded);
    DNN(describe_plain(&plain, p, dnnl_f32));
    status = pack_part(packed, 0, rounded, &plain, err);
done:
    free(hi);
    free(rounded);
    return status;
}

static status_t pack_bf16(struct packed *packed, const struct pack_params *p,
                          const struct vector_kernels *kernels, struct error *err)
{
    status_t status = ST_OK;
    const size_t n = p->n_in * p->n_out; /* checked by the caller */
    const bool has_low = packed->form == FORM_BF16X3;
    uint16_t *hi = malloc(n * sizeof *hi), *lo = has_low ? malloc(n * sizeof *lo) : NULL;
    dnnl_memory_desc_t plain;

    if (!hi || (has_low && !lo)) {
        status = error_set(err, ST_NO_MEMORY, "bf16 weights %zu x %zu", p->n_in, p->n_out);
        goto done;
    }
    kernels->split_bf16(p->weights, n, hi, lo);
    DNN(describe_plain(&plain, p, dnnl_bf16));
    status = pack_part(packed, 0, hi, &plain, err);
    if (status == ST_OK && has_low) status = pack_part(packed, 1, lo, &plain, err);
done:
    free(hi);
    free(lo);
    return status;
}

/* The layout that the weights of these params get, for a packed of its form. */
static status_t packed_layout(struct packed *packed, const struct pack_params *p, struct error *err)
{
    dnnl_primitive_desc_t desc = NULL;
    const struct product like = {
        .n_in = p->n_in, .n_out = p->n_out, .ld_y = p->n_out, .type = type_of(packed->form)};
    size_t n_bytes;
    if (!p->n_in || !p->n_out || p->n_in > MATMUL_MAX_DIM || p->n_out > MATMUL_MAX_DIM ||
        !size_tensor(p->n_in, p->n_out, sizeof(float), &n_bytes))
        return error_set(err, ST_TOO_LARGE, "weights %zu x %zu", p->n_in, p->n_out);
    status_t status = engine_ready(err);
    if (status == ST_OK) status = product_describe(&desc, &like, PACK_ROW_BLOCK, NULL, err);
    if (status == ST_OK)
        packed->layout = *dnnl_primitive_desc_query_md(desc, dnnl_query_weights_md, 0);
    if (desc) (void)dnnl_primitive_desc_destroy(desc);
    packed->n_in = p->n_in;
    packed->n_out = p->n_out;
    return status;
}

static size_t layout_bytes(const struct packed *packed)
{
    const size_t n_parts = packed->form == FORM_BF16X3 ? 2 : 1;
    return dnnl_memory_desc_get_size(&packed->layout) * n_parts;
}

static status_t packed_fill(struct packed *packed, const struct pack_params *p,
                            const struct vector_kernels *kernels, struct error *err)
{
    status_t status = ST_OK;
    dnnl_memory_desc_t plain;
    if (packed->form == FORM_ROUNDED) return pack_rounded(packed, p, kernels, err);
    if (packed->form != FORM_F32) return pack_bf16(packed, p, kernels, err);
    DNN(describe_plain(&plain, p, dnnl_f32));
    status = pack_part(packed, 0, p->weights, &plain, err);
done:
    return status;
}

static status_t packed_make(struct packed *packed, const struct pack_params *p,
                            const struct vector_kernels *kernels, struct error *err)
{
    status_t status = packed_layout(packed, p, err);
    if (status != ST_OK) return status;
    status = memory_ledger_take(packed->ledger, layout_bytes(packed), err);
    if (status != ST_OK) return status;
    packed->n_bytes = layout_bytes(packed);
    return packed_fill(packed, p, kernels, err);
}

status_t matmul_packed_create(struct packed **out, const struct pack_params *p,
                              const struct vector_kernels *kernels, struct memory_ledger *ledger,
                              struct error *err)
{
    struct packed *packed = calloc(1, sizeof *packed);
    if (!packed) return error_set(err, ST_NO_MEMORY, "packed weights");
    packed->form = form_of(p->compute, kernels);
    packed->ledger = ledger;
    const status_t status = packed_make(packed, p, kernels, err);
    if (status != ST_OK) {
        matmul_packed_destroy(packed);
        return error_wrap(err, "packing weights %zu x %zu", p->n_in, p->n_out);
    }
    *out = packed;
    return ST_OK;
}

size_t matmul_packed_estimate(const struct pack_params *p, const struct vector_kernels *kernels)
{
    struct packed packed = {.form = form_of(p->compute, kernels)};
    return packed_layout(&packed, p, NULL) == ST_OK ? layout_bytes(&packed) : 0;
}

void matmul_packed_destroy(struct packed *packed)
{
    if (!packed) return;
    for (size_t i = 0; i < 2; i++) {
        if (packed->parts[i]) (void)dnnl_memory_destroy(packed->parts[i]);
    }
    memory_ledger_give(packed->ledger, packed->n_bytes);
    free(packed);
}

size_t matmul_packed_bytes(const struct packed *packed)
{
    return packed->n_bytes;
}

size_t matmul_packed_n_in(const struct packed *packed)
{
    return packed->n_in;
}

size_t matmul_packed_n_out(const struct packed *packed)
{
    return packed->n_out;
}

status_t matmul_cache_create(struct matmul_cache **out, size_t row_block,
                             const struct vector_kernels *kernels, struct error *err)
{
    status_t status = engine_ready(err);
    if (status != ST_OK) return status;
    struct matmul_cache *cache = calloc(1, sizeof *cache);
    if (!cache) return error_set(err, ST_NO_MEMORY, "matmul cache");
    cache->row_block = row_block;
    cache->kernels = kernels;
    DNN(dnnl_stream_create(&cache->stream, engine, dnnl_stream_default_flags));
    *out = cache;
    return ST_OK;
done:
    matmul_cache_destroy(cache);
    return status;
}

static void product_fini(struct product *p)
{
    if (p->run) (void)dnnl_primitive_destroy(p->run);
    if (p->x) (void)dnnl_memory_destroy(p->x);
    if (p->y) (void)dnnl_memory_destroy(p->y);
    if (p->scratch) (void)dnnl_memory_destroy(p->scratch);
}

void matmul_cache_destroy(struct matmul_cache *cache)
{
    if (!cache) return;
    for (size_t i = 0; i < cache->n_products; i++) product_fini(&cache->products[i]);
    free(cache->products);
    if (cache->stream) (void)dnnl_stream_destroy(cache->stream);
    free(cache->hi);
    free(cache->lo);
    free(cache->rows);
    free(cache->scratch);
    free(cache);
}

static status_t product_init(struct product *p, size_t row_block, struct error *err)
{
    status_t status = ST_OK;
    dnnl_primitive_desc_t desc = NULL;
    dnnl_memory_desc_t x, y;
    status = product_describe(&desc, p, row_block, &p->layout, err);
    if (status != ST_OK) goto done;
    DNN(dnnl_primitive_create(&p->run, desc));
    DNN(describe(&x, row_block, p->n_in, p->n_in, p->type));
    DNN(describe(&y, row_block, p->n_out, p->ld_y, dnnl_f32));
    DNN(dnnl_memory_create(&p->x, &x, engine, DNNL_MEMORY_NONE));
    DNN(dnnl_memory_create(&p->y, &y, engine, DNNL_MEMORY_NONE));
    {
        const dnnl_memory_desc_t *scratch =
            dnnl_primitive_desc_query_md(desc, dnnl_query_scratchpad_md, 0);
        p->scratch_bytes = dnnl_memory_desc_get_size(scratch);
        DNN(dnnl_memory_create(&p->scratch, scratch, engine, DNNL_MEMORY_NONE));
    }
done:
    if (desc) (void)dnnl_primitive_desc_destroy(desc);
    if (status != ST_OK) product_fini(p);
    return status;
}

static bool product_is(const struct product *a, const struct product *b)
{
    return a->n_in == b->n_in && a->n_out == b->n_out && a->ld_y == b->ld_y && a->type == b->type &&
           a->is_accumulating == b->is_accumulating &&
           dnnl_memory_desc_equal(&a->layout, &b->layout);
}

/* The product like `want`, compiled on first use. Valid until the next call. */
static status_t cache_product(struct matmul_cache *cache, const struct product *want,
                              const struct product **out, struct error *err)
{
    for (size_t i = 0; i < cache->n_products; i++) {
        if (!product_is(&cache->products[i], want)) continue;
        *out = &cache->products[i];
        return ST_OK;
    }
    if (cache->n_products == cache->capacity) {
        const size_t capacity = cache->capacity ? 2 * cache->capacity : 16;
        struct product *grown = realloc(cache->products, capacity * sizeof *grown);
        if (!grown) return error_set(err, ST_NO_MEMORY, "matmul products");
        cache->products = grown;
        cache->capacity = capacity;
    }
    struct product *product = &cache->products[cache->n_products];
    *product = *want;
    const status_t status = product_init(product, cache->row_block, err);
    if (status != ST_OK) return status;
    cache->n_products++;
    *out = product;
    return ST_OK;
}

static status_t scratch_reserve(struct matmul_cache *cache, size_t n_bytes, struct error *err)
{
    if (n_bytes <= cache->scratch_bytes) return ST_OK;
    free(cache->scratch);
    cache->scratch_bytes = 0;
    const size_t rounded = (n_bytes + 4095) / 4096 * 4096;
    cache->scratch = aligned_alloc(4096, rounded);
    if (!cache->scratch) return error_set(err, ST_NO_MEMORY, "matmul scratch %zu", n_bytes);
    cache->scratch_bytes = rounded;
    return ST_OK;
}

/* One block of rows through one part of the weights. */
static status_t run_block(struct matmul_cache *cache, const struct product *want,
                          dnnl_memory_t weights, const void *x, float *y, struct error *err)
{
    const struct product *product = NULL;
    status_t status = cache_product(cache, want, &product, err);
    union {
        const void *read;
        void *any;
    } source = {.read = x}; /* oneDNN's handles are not const; the source is only read */
    if (!product) return status;
    status = scratch_reserve(cache, product->scratch_bytes, err);
    if (status != ST_OK) return status;
    DNN(dnnl_memory_set_data_handle(product->scratch, cache->scratch));
    DNN(dnnl_memory_set_data_handle(product->x, source.any));
    DNN(dnnl_memory_set_data_handle(product->y, y));
    {
        const dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, product->x},
                                        {DNNL_ARG_WEIGHTS, weights},
                                        {DNNL_ARG_DST, product->y},
                                        {DNNL_ARG_SCRATCHPAD, product->scratch}};
        DNN(dnnl_primitive_execute(product->run, cache->stream, 4, args));
    }
    DNN(dnnl_stream_wait(cache->stream));
done:
    return status;
}

static struct product product_like(const struct packed *w, size_t ld_y)
{
    return (struct product){.layout = w->layout,
                            .n_in = w->n_in,
                            .n_out = w->n_out,
                            .ld_y = ld_y,
                            .type = type_of(w->form)};
}

static status_t split_reserve(struct matmul_cache *cache, size_t n_in, struct error *err)
{
    const size_t n = cache->row_block * n_in;
    if (n <= cache->n_split) return ST_OK;
    free(cache->hi);
    free(cache->lo);
    cache->n_split = 0;
    cache->hi = malloc(n * sizeof *cache->hi);
    cache->lo = malloc(n * sizeof *cache->lo);
    if (!cache->hi || !cache->lo) return error_set(err, ST_NO_MEMORY, "bf16 rows");
    cache->n_split = n;
    return ST_OK;
}

static status_t rows_reserve(struct matmul_cache *cache, size_t n_in, struct error *err)
{
    const size_t n = cache->row_block * n_in;
    if (n <= cache->n_rows_floats) return ST_OK;
    free(cache->rows);
    cache->n_rows_floats = 0;
    cache->rows = malloc(n * sizeof *cache->rows);
    if (!cache->rows) return error_set(err, ST_NO_MEMORY, "rows of a product");
    cache->n_rows_floats = n;
    return ST_OK;
}

/* y = x W for one block by one or three bf16 products. */
static status_t run_split(struct matmul_cache *cache, const struct matmul_params *p, const float *x,
                          float *y, struct error *err)
{
    const struct packed *w = p->weights;
    const bool has_low = w->form == FORM_BF16X3;
    status_t status = split_reserve(cache, w->n_in, err);
    if (status != ST_OK) return status;
    for (size_t r = 0; r < cache->row_block; r++)
        cache->kernels->split_bf16(x + r * p->ld_x, w->n_in, cache->hi + r * w->n_in,
                                   has_low ? cache->lo + r * w->n_in : NULL);
    struct product want = product_like(w, p->ld_y);
    status = run_block(cache, &want, w->parts[0], cache->hi, y, err);
    if (!has_low || status != ST_OK) return status;
    want.is_accumulating = true;
    status = run_block(cache, &want, w->parts[0], cache->lo, y, err);
    if (status != ST_OK) return status;
    return run_block(cache, &want, w->parts[1], cache->hi, y, err);
}

/* y = x W for one block, x rounded to bf16 and multiplied in f32. */
static status_t run_rounded(struct matmul_cache *cache, const struct matmul_params *p,
                            const float *x, float *y, struct error *err)
{
    const struct packed *w = p->weights;
    const struct product want = product_like(w, p->ld_y);
    status_t status = split_reserve(cache, w->n_in, err);
    if (status == ST_OK) status = rows_reserve(cache, w->n_in, err);
    if (status != ST_OK) return status;
    for (size_t r = 0; r < cache->row_block; r++)
        round_to_bf16(cache->kernels, x + r * p->ld_x, w->n_in, cache->hi,
                      cache->rows + r * w->n_in);
    return run_block(cache, &want, w->parts[0], cache->rows, y, err);
}

/* y = x W for one block in f32. Rows with gaps between them are brought together first: for those
 * oneDNN has plain loops alone, whose sums also run in another order. */
static status_t run_plain(struct matmul_cache *cache, const struct matmul_params *p, const float *x,
                          float *y, struct error *err)
{
    const struct packed *w = p->weights;
    const struct product want = product_like(w, p->ld_y);
    if (p->ld_x == w->n_in) return run_block(cache, &want, w->parts[0], x, y, err);
    const status_t status = rows_reserve(cache, w->n_in, err);
    if (status != ST_OK) return status;
    for (size_t r = 0; r < cache->row_block; r++)
        memcpy(cache->rows + r * w->n_in, x + r * p->ld_x, w->n_in * sizeof *x);
    return run_block(cache, &want, w->parts[0], cache->rows, y, err);
}

status_t matmul_run(struct matmul_cache *cache, const struct matmul_params *p, struct error *err)
{
    const struct packed *w = p->weights;
    if (p->n_rows % cache->row_block || p->ld_x < w->n_in || p->ld_y < w->n_out)
        return error_set(err, ST_BAD_INPUT, "product of %zu rows in blocks of %zu, %zu -> %zu",
                         p->n_rows, cache->row_block, w->n_in, w->n_out);
    status_t status = engine_ready(err);
    for (size_t r = 0; r < p->n_rows && status == ST_OK; r += cache->row_block) {
        const float *x = p->x + r * p->ld_x;
        float *y = p->y + r * p->ld_y;
        if (w->form == FORM_ROUNDED) {
            status = run_rounded(cache, p, x, y, err);
        } else if (w->form == FORM_F32) {
            status = run_plain(cache, p, x, y, err);
        } else {
            status = run_split(cache, p, x, y, err);
        }
    }
    return status;
}

status_t matmul_run_bf16(struct matmul_cache *cache, const struct packed *weights,
                         const uint16_t *x_hi, float *y, size_t ld_y, struct error *err)
{
    const struct product want = product_like(weights, ld_y);
    status_t status = engine_ready(err);
    if (status != ST_OK) return status;
    return run_block(cache, &want, weights->parts[0], x_hi, y, err);
}
