#include "kernels/cpu/onednn.h"

#include <omp.h>
#include <oneapi/dnnl/dnnl.h>
#include <pthread.h>
#include <stdlib.h>

enum { PACK_ROW_BLOCK = 256 };

struct onednn_weights {
    size_t n_in, n_out;
    dnnl_data_type_t type;
    dnnl_memory_desc_t layout;
    dnnl_memory_t values;
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

struct onednn_runner {
    size_t row_block;
    dnnl_stream_t stream;
    struct product *products; /* [n_products] */
    size_t n_products, capacity;
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

/* Strides of the plain weights as the caller holds them. */
static dnnl_status_t describe_plain(dnnl_memory_desc_t *out, const struct onednn_weights_params *p,
                                    dnnl_data_type_t type)
{
    const dnnl_dims_t shape = {(dnnl_dim_t)p->n_in, (dnnl_dim_t)p->n_out};
    const dnnl_dims_t by_rows = {(dnnl_dim_t)p->n_out, 1};
    const dnnl_dims_t by_columns = {1, (dnnl_dim_t)p->n_in};
    return dnnl_memory_desc_init_by_strides(out, 2, shape, type,
                                            p->is_transposed ? by_columns : by_rows);
}

/* Shape, type and layout of such weights. */
static status_t weights_layout(struct onednn_weights *out, const struct onednn_weights_params *p,
                               struct error *err)
{
    dnnl_primitive_desc_t desc = NULL;
    const dnnl_data_type_t type = p->is_bf16 ? dnnl_bf16 : dnnl_f32;
    const struct product like = {
        .n_in = p->n_in, .n_out = p->n_out, .ld_y = p->n_out, .type = type};
    status_t status = engine_ready(err);
    if (status == ST_OK) status = product_describe(&desc, &like, PACK_ROW_BLOCK, NULL, err);
    *out = (struct onednn_weights){.n_in = p->n_in, .n_out = p->n_out, .type = type};
    if (status == ST_OK)
        out->layout = *dnnl_primitive_desc_query_md(desc, dnnl_query_weights_md, 0);
    if (desc) (void)dnnl_primitive_desc_destroy(desc);
    return status;
}

status_t onednn_weights_measure(size_t *n_bytes, const struct onednn_weights_params *p,
                                struct error *err)
{
    struct onednn_weights weights;
    const status_t status = weights_layout(&weights, p, err);
    if (status == ST_OK) *n_bytes = dnnl_memory_desc_get_size(&weights.layout);
    return status;
}

/* Copy plain values into a new memory object of the weights' layout. */
static status_t weights_fill(struct onednn_weights *weights, const struct onednn_weights_params *p,
                             struct error *err)
{
    status_t status = ST_OK;
    dnnl_memory_desc_t plain;
    dnnl_stream_t stream = NULL;
    dnnl_memory_t from = NULL;
    dnnl_primitive_desc_t desc = NULL;
    dnnl_primitive_t reorder = NULL;
    union {
        const void *read;
        void *any;
    } source = {.read = p->values}; /* the reorder only reads it */

    DNN(describe_plain(&plain, p, weights->type));
    DNN(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags));
    DNN(dnnl_memory_create(&weights->values, &weights->layout, engine, DNNL_MEMORY_ALLOCATE));
    DNN(dnnl_memory_create(&from, &plain, engine, source.any));
    DNN(dnnl_reorder_primitive_desc_create(&desc, &plain, engine, &weights->layout, engine, NULL));
    DNN(dnnl_primitive_create(&reorder, desc));
    {
        const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, weights->values}};
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

status_t onednn_weights_create(struct onednn_weights **out, const struct onednn_weights_params *p,
                               struct error *err)
{
    struct onednn_weights *weights = calloc(1, sizeof *weights);
    if (!weights) return error_set(err, ST_NO_MEMORY, "weights %zu x %zu", p->n_in, p->n_out);
    status_t status = weights_layout(weights, p, err);
    if (status == ST_OK) status = weights_fill(weights, p, err);
    if (status == ST_OK)
        *out = weights;
    else
        onednn_weights_destroy(weights);
    return status;
}

void onednn_weights_destroy(struct onednn_weights *weights)
{
    if (!weights) return;
    if (weights->values) (void)dnnl_memory_destroy(weights->values);
    free(weights);
}

status_t onednn_runner_create(struct onednn_runner **out, size_t row_block, struct error *err)
{
    status_t status = engine_ready(err);
    if (status != ST_OK) return status;
    struct onednn_runner *runner = calloc(1, sizeof *runner);
    if (!runner) return error_set(err, ST_NO_MEMORY, "oneDNN's products");
    runner->row_block = row_block;
    DNN(dnnl_stream_create(&runner->stream, engine, dnnl_stream_default_flags));
    *out = runner;
    return ST_OK;
done:
    onednn_runner_destroy(runner);
    return status;
}

static void product_fini(struct product *p)
{
    if (p->run) (void)dnnl_primitive_destroy(p->run);
    if (p->x) (void)dnnl_memory_destroy(p->x);
    if (p->y) (void)dnnl_memory_destroy(p->y);
    if (p->scratch) (void)dnnl_memory_destroy(p->scratch);
}

void onednn_runner_destroy(struct onednn_runner *runner)
{
    if (!runner) return;
    for (size_t i = 0; i < runner->n_products; i++) product_fini(&runner->products[i]);
    free(runner->products);
    if (runner->stream) (void)dnnl_stream_destroy(runner->stream);
    free(runner->scratch);
    free(runner);
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
static status_t runner_product(struct onednn_runner *runner, const struct product *want,
                               const struct product **out, struct error *err)
{
    for (size_t i = 0; i < runner->n_products; i++) {
        if (!product_is(&runner->products[i], want)) continue;
        *out = &runner->products[i];
        return ST_OK;
    }
    if (runner->n_products == runner->capacity) {
        const size_t capacity = runner->capacity ? 2 * runner->capacity : 16;
        struct product *grown = realloc(runner->products, capacity * sizeof *grown);
        if (!grown) return error_set(err, ST_NO_MEMORY, "matmul products");
        runner->products = grown;
        runner->capacity = capacity;
    }
    struct product *product = &runner->products[runner->n_products];
    *product = *want;
    const status_t status = product_init(product, runner->row_block, err);
    if (status != ST_OK) return status;
    runner->n_products++;
    *out = product;
    return ST_OK;
}

static status_t scratch_reserve(struct onednn_runner *runner, size_t n_bytes, struct error *err)
{
    if (n_bytes <= runner->scratch_bytes) return ST_OK;
    free(runner->scratch);
    runner->scratch_bytes = 0;
    const size_t rounded = (n_bytes + 4095) / 4096 * 4096;
    runner->scratch = aligned_alloc(4096, rounded);
    if (!runner->scratch) return error_set(err, ST_NO_MEMORY, "matmul scratch %zu", n_bytes);
    runner->scratch_bytes = rounded;
    return ST_OK;
}

status_t onednn_run(struct onednn_runner *runner, const struct onednn_product *p, struct error *err)
{
    const struct onednn_weights *w = p->weights;
    const struct product want = {.layout = w->layout,
                                 .n_in = w->n_in,
                                 .n_out = w->n_out,
                                 .ld_y = p->ld_y,
                                 .type = w->type,
                                 .is_accumulating = p->is_accumulating};
    const struct product *product = NULL;
    union {
        const void *read;
        void *any;
    } source = {.read = p->x}; /* oneDNN's handles are not const; the source is only read */
    status_t status = engine_ready(err);
    if (status == ST_OK) status = runner_product(runner, &want, &product, err);
    if (!product) return status;
    status = scratch_reserve(runner, product->scratch_bytes, err);
    if (status != ST_OK) return status;
    DNN(dnnl_memory_set_data_handle(product->scratch, runner->scratch));
    DNN(dnnl_memory_set_data_handle(product->x, source.any));
    DNN(dnnl_memory_set_data_handle(product->y, p->y));
    {
        const dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, product->x},
                                        {DNNL_ARG_WEIGHTS, w->values},
                                        {DNNL_ARG_DST, product->y},
                                        {DNNL_ARG_SCRATCHPAD, product->scratch}};
        DNN(dnnl_primitive_execute(product->run, runner->stream, 4, args));
    }
    DNN(dnnl_stream_wait(runner->stream));
done:
    return status;
}
