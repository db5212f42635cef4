#define _DEFAULT_SOURCE /* anonymous mappings */
#include "worker/paper/paper_device.h"

#include "common/size.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* In front of what is given out: how much it is. A page, the only one that can be touched. */
enum { HEADER_BYTES = 4096 };
/* As kernels/cuda/exec.c has it from Hopper on. */
enum { EXEC_BYTES = 32 << 20 };

struct paper_device {
    struct backend backend;
    const struct device_peaks *peaks; /* NULL: memory has no end */
    size_t n_total, n_used;
    struct paper_counts counts;
};

struct packed {
    struct paper_device *device;
    struct pack_params shape;
    size_t n_bytes;
};

struct recording {
    struct exec *exec;
    struct launch_costs costs; /* of what was noted */
};

struct exec {
    struct paper_device *device;
    size_t row_block;
    uint32_t *lengths; /* [n_lengths]: those of the last attention */
    size_t n_lengths;
    struct recording *noted; /* NULL: operations run */
};

struct window {
    struct paper_device *device;
    const struct packed *const *shelf; /* [n_layers, n_weights] */
    size_t n_layers, n_weights;
    size_t held[WINDOW_N_LAYERS]; /* layers; SIZE_MAX: none */
    size_t n_bytes;
};

static struct paper_device *device_of(const struct backend *backend)
{
    return backend->device;
}

/* --- memory -------------------------------------------------------------------------------- */

static status_t take_room(struct paper_device *d, size_t n_bytes, struct error *err)
{
    if (d->n_total && n_bytes > d->n_total - d->n_used)
        return error_set(err, ST_NO_MEMORY, "%zu bytes on a device with %zu of %zu free", n_bytes,
                         d->n_total - d->n_used, d->n_total);
    d->n_used += n_bytes;
    return ST_OK;
}

static status_t paper_alloc(struct backend *backend, size_t n_bytes, void **out, struct error *err)
{
    struct paper_device *d = device_of(backend);
    size_t n_all;
    if (!size_add(n_bytes, HEADER_BYTES, &n_all))
        return error_set(err, ST_TOO_LARGE, "%zu bytes", n_bytes);
    status_t status = take_room(d, n_bytes, err);
    if (status != ST_OK) return status;
    char *memory = mmap(NULL, n_all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory, HEADER_BYTES, PROT_READ | PROT_WRITE) != 0) {
        if (memory != MAP_FAILED) (void)munmap(memory, n_all);
        d->n_used -= n_bytes;
        return error_set(err, ST_NO_MEMORY, "%zu bytes of addresses", n_bytes);
    }
    memcpy(memory, &n_bytes, sizeof n_bytes);
    *out = memory + HEADER_BYTES;
    return ST_OK;
}

static void paper_release(struct backend *backend, void *memory)
{
    size_t n_bytes;
    if (!memory) return;
    char *header = (char *)memory - HEADER_BYTES;
    memcpy(&n_bytes, header, sizeof n_bytes);
    device_of(backend)->n_used -= n_bytes;
    (void)munmap(header, n_bytes + HEADER_BYTES);
}

static struct backend_memory paper_memory(const struct backend *backend)
{
    const struct paper_device *d = device_of(backend);
    return (struct backend_memory){d->n_total ? d->n_total - d->n_used : 0, d->n_total};
}

static void paper_limit_memory(struct backend *backend, size_t n_bytes)
{
    device_of(backend)->n_total = n_bytes;
}

/* --- weights ------------------------------------------------------------------------------- */

/* As kernels/cuda/matmul.c packs them. */
static size_t paper_packed_estimate(const struct backend *backend, const struct pack_params *p)
{
    size_t n_bytes;
    (void)backend;
    return size_tensor(p->n_in, p->n_out, p->compute == COMPUTE_BF16 ? 2 : 4, &n_bytes) ? n_bytes
                                                                                        : 0;
}

static status_t paper_packed_create(struct packed **out, struct backend *backend,
                                    const struct pack_params *p, struct error *err)
{
    struct packed *packed = calloc(1, sizeof *packed);
    if (!packed) return error_set(err, ST_NO_MEMORY, "packed weights");
    *packed = (struct packed){device_of(backend), *p, paper_packed_estimate(backend, p)};
    const status_t status = p->is_shelved ? ST_OK : take_room(packed->device, packed->n_bytes, err);
    if (status == ST_OK)
        *out = packed;
    else
        free(packed);
    return status;
}

static void paper_packed_destroy(struct packed *packed)
{
    if (!packed) return;
    if (!packed->shape.is_shelved) packed->device->n_used -= packed->n_bytes;
    free(packed);
}

static size_t paper_packed_bytes(const struct packed *packed)
{
    return packed->n_bytes;
}

static void paper_window_destroy(struct window *w)
{
    if (!w) return;
    w->device->n_used -= WINDOW_N_LAYERS * w->n_bytes;
    free(w);
}

static status_t paper_window_create(struct window **out, struct exec *exec,
                                    const struct window_params *p, struct error *err)
{
    struct window *w = calloc(1, sizeof *w);
    if (!w) return error_set(err, ST_NO_MEMORY, "window");
    *w = (struct window){.device = exec->device,
                         .shelf = p->weights,
                         .n_layers = p->n_layers,
                         .n_weights = p->n_weights,
                         .held = {SIZE_MAX, SIZE_MAX}};
    for (size_t i = 0; i < p->n_weights; i++) w->n_bytes += p->weights[i]->n_bytes;
    const status_t status = take_room(exec->device, WINDOW_N_LAYERS * w->n_bytes, err);
    if (status == ST_OK)
        *out = w;
    else
        free(w);
    return status;
}

/* As kernels/cuda/window.c: the layer itself where it is not there, and the next one. */
static status_t paper_window_take(struct window *w, size_t layer, size_t next,
                                  const struct packed *const **out, struct error *err)
{
    if (layer >= w->n_layers || next >= w->n_layers)
        return error_set(err, ST_BAD_INPUT, "layers %zu and %zu of %zu", layer, next, w->n_layers);
    const size_t at = w->held[0] == layer ? 0 : 1;
    if (w->held[at] != layer) w->device->counts.streamed_bytes += (double)w->n_bytes;
    if (w->held[1 - at] != next) w->device->counts.streamed_bytes += (double)w->n_bytes;
    w->held[at] = layer;
    w->held[1 - at] = next;
    *out = w->shelf + layer * w->n_weights;
    return ST_OK;
}

/* --- operations ---------------------------------------------------------------------------- */

static size_t paper_exec_bytes(const struct backend *backend)
{
    (void)backend;
    return EXEC_BYTES;
}

/* Paper has room for what is so much smaller than a pass. */
static size_t paper_scratch_estimate(const struct backend *backend,
                                     const struct scratch_shape *shape)
{
    (void)backend;
    (void)shape;
    return 0;
}

static status_t paper_exec_create(struct exec **out, struct backend *backend,
                                  const struct exec_params *p, struct error *err)
{
    struct exec *exec = calloc(1, sizeof *exec);
    if (!exec) return error_set(err, ST_NO_MEMORY, "exec");
    *exec = (struct exec){.device = device_of(backend), .row_block = p->row_block};
    const status_t status = take_room(exec->device, EXEC_BYTES, err);
    if (status == ST_OK)
        *out = exec;
    else
        free(exec);
    return status;
}

static void paper_exec_destroy(struct exec *exec)
{
    if (!exec) return;
    exec->device->n_used -= EXEC_BYTES;
    free(exec->lengths);
    free(exec);
}

/* Where what an exec is asked for is counted. */
static struct launch_costs *costs_of(struct exec *exec)
{
    return exec->noted ? &exec->noted->costs : &exec->device->counts.costs;
}

static status_t paper_upload(struct exec *exec, void *device, const void *host, size_t n_bytes,
                             struct error *err)
{
    (void)device;
    (void)host;
    (void)err;
    account_transfer(costs_of(exec), LAUNCH_UPLOAD, n_bytes);
    return ST_OK;
}

static status_t paper_download(struct exec *exec, void *host, const void *device, size_t n_bytes,
                               struct error *err)
{
    (void)device;
    (void)err;
    memset(host, 0, n_bytes);
    account_transfer(costs_of(exec), LAUNCH_DOWNLOAD, n_bytes);
    return ST_OK;
}

static status_t paper_copy(struct exec *exec, void *to, const void *from, size_t n_bytes,
                           struct error *err)
{
    (void)to;
    (void)from;
    (void)err;
    account_transfer(costs_of(exec), LAUNCH_COPY, n_bytes);
    return ST_OK;
}

static status_t paper_synchronize(struct exec *exec, struct error *err)
{
    (void)exec;
    (void)err;
    return ST_OK;
}

static status_t paper_matmul(struct exec *exec, const struct matmul_params *p, struct error *err)
{
    const struct pack_params *w = &p->weights->shape;
    const struct accounted_product product = {w->n_in, w->n_out, p->n_rows, exec->row_block,
                                              w->compute};
    (void)err;
    account_matmul(costs_of(exec), &product);
    return ST_OK;
}

/* Operations of nothing launch nothing. */
#define COUNT(slot, size)                                                                          \
    static status_t paper_##slot(struct exec *exec, const struct slot##_params *p,                 \
                                 struct error *err)                                                \
    {                                                                                              \
        (void)err;                                                                                 \
        if ((size) != 0) account_##slot(costs_of(exec), p);                                        \
        return ST_OK;                                                                              \
    }
COUNT(embed, p->n_rows)
COUNT(norm, p->n_rows)
COUNT(add, p->n_rows * p->d)
COUNT(activate, p->n_rows * p->d)
COUNT(rotate, p->n_rows)
COUNT(head_norms, p->n_rows)
COUNT(prepare, p->n_rows)
COUNT(norm_backward, p->forward.n_rows)
COUNT(activate_backward, p->forward.n_rows)
COUNT(blend, p->n)
COUNT(group_dots, p->n_rows * p->n_groups)
COUNT(contract, p->n_a * p->n_b * p->n_terms)

/* Lengths of sequences stay on the device until they change. */
static status_t put_lengths(struct exec *exec, const uint32_t *lengths, size_t n, struct error *err)
{
    const size_t n_bytes = n * sizeof *lengths;
    if (n == exec->n_lengths && memcmp(lengths, exec->lengths, n_bytes) == 0) return ST_OK;
    uint32_t *grown = realloc(exec->lengths, n_bytes);
    if (!grown) return error_set(err, ST_NO_MEMORY, "lengths of %zu sequences", n);
    memcpy(grown, lengths, n_bytes);
    exec->lengths = grown;
    exec->n_lengths = n;
    account_transfer(costs_of(exec), LAUNCH_UPLOAD, n_bytes);
    return ST_OK;
}

static status_t paper_attend(struct exec *exec, const struct attend_params *p, struct error *err)
{
    if (!p->n_sequences) return ST_OK;
    const status_t status = put_lengths(exec, p->lengths, p->n_sequences, err);
    if (status == ST_OK) account_attend(costs_of(exec), p);
    return status;
}

static status_t paper_attend_backward(struct exec *exec, const struct attend_backward_params *p,
                                      struct error *err)
{
    if (!p->forward.n_sequences) return ST_OK;
    const status_t status = put_lengths(exec, p->forward.lengths, p->forward.n_sequences, err);
    if (status == ST_OK) account_attend_backward(costs_of(exec), p);
    return status;
}

static status_t paper_edit(struct exec *exec, const struct edit_params *p, struct error *err)
{
    bool is_any = false;
    (void)err;
    for (size_t i = 0; i < p->n_edits; i++)
        is_any |= p->edits[i].n_rows != 0 && p->edits[i].n_columns != 0;
    if (is_any) account_edit(costs_of(exec), p);
    return ST_OK;
}

static status_t paper_diverge(struct exec *exec, const struct diverge_params *p, struct error *err)
{
    const struct pack_params *w = &p->weights->shape;
    struct accounted_divergence d = {
        .product = {w->n_in, w->n_out, p->n_rows, exec->row_block, w->compute},
        .n_pairs = p->n_pairs,
        .n_columns = p->n_columns};
    if (!p->n_pairs) return ST_OK;
    bool *is_named = calloc(p->n_rows, sizeof *is_named);
    if (!is_named) return error_set(err, ST_NO_MEMORY, "%zu rows", p->n_rows);
    for (size_t i = 0; i < p->n_pairs; i++)
        is_named[p->pairs[i].p] = is_named[p->pairs[i].q] = true;
    for (size_t r = 0; r < p->n_rows; r++) d.n_named += is_named[r];
    free(is_named);
    account_diverge(costs_of(exec), &d);
    return ST_OK;
}

/* --- recordings ---------------------------------------------------------------------------- */

static status_t paper_record_begin(struct exec *exec, const uint32_t *lengths, size_t n,
                                   struct error *err)
{
    const status_t status = put_lengths(exec, lengths, n, err);
    if (status != ST_OK) return status;
    exec->noted = calloc(1, sizeof *exec->noted);
    if (!exec->noted) return error_set(err, ST_NO_MEMORY, "recording");
    exec->noted->exec = exec;
    return ST_OK;
}

static status_t paper_record_end(struct exec *exec, struct recording **out, struct error *err)
{
    struct recording *noted = exec->noted;
    (void)err;
    exec->noted = NULL;
    if (out)
        *out = noted;
    else
        free(noted);
    return ST_OK;
}

static status_t paper_replay(struct recording *recording, const uint32_t *lengths, size_t n,
                             struct error *err)
{
    struct launch_costs *to = costs_of(recording->exec);
    const status_t status = put_lengths(recording->exec, lengths, n, err);
    for (unsigned k = 0; k < LAUNCH_N && status == ST_OK; k++) {
        to->of[k].n_launches += recording->costs.of[k].n_launches;
        to->of[k].n_bytes += recording->costs.of[k].n_bytes;
        to->of[k].flops += recording->costs.of[k].flops;
    }
    return status;
}

static void paper_recording_destroy(struct recording *recording)
{
    free(recording);
}

/* --- the backend --------------------------------------------------------------------------- */

static const char *paper_describe(const struct backend *backend)
{
    const struct device_peaks *peaks = device_of(backend)->peaks;
    return peaks ? peaks->name : "a device of paper";
}

static const struct backend_place *paper_place(const struct backend *backend)
{
    (void)backend;
    return NULL;
}

static bool paper_is_lost(struct backend *backend)
{
    (void)backend;
    return false;
}

static void paper_close(struct backend *backend)
{
    free(backend->device);
}

static const struct backend_ops PAPER_OPS = {
    .abi_version = BACKEND_ABI_VERSION,
    .name = "paper",
    .memory_is_host = false,
    .describe = paper_describe,
    .place = paper_place,
    .memory = paper_memory,
    .limit_memory = paper_limit_memory,
    .is_lost = paper_is_lost,
    .close = paper_close,
    .alloc = paper_alloc,
    .release = paper_release,
    .packed_create = paper_packed_create,
    .packed_destroy = paper_packed_destroy,
    .packed_bytes = paper_packed_bytes,
    .packed_estimate = paper_packed_estimate,
    .exec_bytes = paper_exec_bytes,
    .scratch_estimate = paper_scratch_estimate,
    .exec_create = paper_exec_create,
    .exec_destroy = paper_exec_destroy,
    .upload = paper_upload,
    .download = paper_download,
    .copy = paper_copy,
    .synchronize = paper_synchronize,
    .matmul = paper_matmul,
    .embed = paper_embed,
    .norm = paper_norm,
    .add = paper_add,
    .activate = paper_activate,
    .rotate = paper_rotate,
    .attend = paper_attend,
    .head_norms = paper_head_norms,
    .edit = paper_edit,
    .diverge = paper_diverge,
    .norm_backward = paper_norm_backward,
    .activate_backward = paper_activate_backward,
    .attend_backward = paper_attend_backward,
    .blend = paper_blend,
    .group_dots = paper_group_dots,
    .contract = paper_contract,
    .record_begin = paper_record_begin,
    .record_end = paper_record_end,
    .replay = paper_replay,
    .recording_destroy = paper_recording_destroy,
    .prepare = paper_prepare,
    .window_create = paper_window_create,
    .window_destroy = paper_window_destroy,
    .window_take = paper_window_take,
};

status_t paper_device_open(struct backend **out, const struct device_peaks *peaks,
                           struct error *err)
{
    struct paper_device *device = calloc(1, sizeof *device);
    if (!device) return error_set(err, ST_NO_MEMORY, "a device of paper");
    device->peaks = peaks;
    device->n_total = peaks ? (size_t)peaks->memory_bytes : 0;
    device->backend = (struct backend){.ops = &PAPER_OPS, .device = device};
    *out = &device->backend;
    return ST_OK;
}

const struct paper_counts *paper_device_counts(const struct backend *backend)
{
    return &device_of(backend)->counts;
}

void paper_device_forget(struct backend *backend)
{
    device_of(backend)->counts = (struct paper_counts){.streamed_bytes = 0};
}
