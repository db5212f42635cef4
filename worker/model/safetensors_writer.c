#include "worker/model/safetensors_writer.h"

#include "common/file.h"
#include "common/size.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct slot {
    char *name; /* owned */
    enum tensor_dtype dtype;
    size_t n_dims;
    size_t shape[TENSOR_MAX_DIMS];
    size_t n_bytes;
    size_t begin;   /* offset in the data section */
    size_t written; /* bytes appended so far */
};

struct safetensors_writer {
    char *path;
    char *temporary;
    int fd;
    struct slot *slots;   /* [n_slots] in the caller's order */
    struct slot **placed; /* [n_slots] in the order of the file */
    size_t n_slots;
    size_t data_start; /* file offset of the data section */
};

static int compare_slots(const void *left, const void *right)
{
    const struct slot *a = *(struct slot *const *)left;
    const struct slot *b = *(struct slot *const *)right;
    const size_t a_size = tensor_dtype_bytes(a->dtype);
    const size_t b_size = tensor_dtype_bytes(b->dtype);
    if (a_size != b_size) return a_size > b_size ? -1 : 1;
    return strcmp(a->name, b->name);
}

static int compare_slot_names(const void *left, const void *right)
{
    const struct slot *a = *(struct slot *const *)left;
    const struct slot *b = *(struct slot *const *)right;
    return strcmp(a->name, b->name);
}

static status_t copy_slot(const struct tensor_view *tensor, struct slot *slot, struct error *err)
{
    const status_t status =
        tensor_measure(tensor->dtype, tensor->shape, tensor->n_dims, &slot->n_bytes, err);
    if (status != ST_OK) return status;
    slot->dtype = tensor->dtype;
    slot->n_dims = tensor->n_dims;
    memcpy(slot->shape, tensor->shape, sizeof slot->shape);
    slot->name = strdup(tensor->name);
    return slot->name ? ST_OK : error_set(err, ST_NO_MEMORY, "copy the name");
}

static status_t copy_slots(struct safetensors_writer *writer, const struct tensor_view *tensors,
                           size_t n_tensors, struct error *err)
{
    for (size_t i = 0; i < n_tensors; i++) {
        const char *name = tensors[i].name;
        if (!name || !name[0] || strcmp(name, "__metadata__") == 0)
            return error_set(err, ST_BAD_INPUT, "%s: tensor %zu has no usable name", writer->path,
                             i);
        const status_t status = copy_slot(&tensors[i], &writer->slots[i], err);
        if (status != ST_OK) {
            error_wrap(err, "%s: tensor '%.128s'", writer->path, name);
            return status;
        }
        writer->placed[i] = &writer->slots[i];
        writer->n_slots = i + 1;
    }
    return ST_OK;
}

static status_t refuse_duplicates(struct safetensors_writer *writer, struct error *err)
{
    if (writer->n_slots < 2) return ST_OK;
    qsort(writer->placed, writer->n_slots, sizeof *writer->placed, compare_slot_names);
    for (size_t i = 1; i < writer->n_slots; i++)
        if (strcmp(writer->placed[i - 1]->name, writer->placed[i]->name) == 0)
            return error_set(err, ST_BAD_INPUT, "%s: tensor '%.128s' is given twice", writer->path,
                             writer->placed[i]->name);
    return ST_OK;
}

static status_t place_slots(struct safetensors_writer *writer, struct error *err)
{
    size_t end = 0;
    const status_t status = refuse_duplicates(writer, err);
    if (status != ST_OK) return status;
    if (writer->n_slots)
        qsort(writer->placed, writer->n_slots, sizeof *writer->placed, compare_slots);
    for (size_t i = 0; i < writer->n_slots; i++) {
        writer->placed[i]->begin = end;
        if (!size_add(end, writer->placed[i]->n_bytes, &end) || end > INT64_MAX / 2)
            return error_set(err, ST_TOO_LARGE, "%s: the tensors' sizes overflow", writer->path);
    }
    return ST_OK;
}

static json_t *describe_slot(const struct slot *slot)
{
    json_t *shape = json_array();
    for (size_t i = 0; i < slot->n_dims; i++)
        if (json_array_append_new(shape, json_integer((json_int_t)slot->shape[i])) != 0)
            break; /* caught by the length check below */
    if (json_array_size(shape) != slot->n_dims) {
        json_decref(shape);
        return NULL;
    }
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", tensor_dtype_name(slot->dtype), "shape",
                     shape, "data_offsets", (json_int_t)slot->begin,
                     (json_int_t)slot->begin + (json_int_t)slot->n_bytes);
}

static status_t build_header(const struct safetensors_writer *writer, char **out, struct error *err)
{
    status_t status = ST_OK;
    json_t *root = json_pack("{s:{s:s}}", "__metadata__", "format", "pt");
    for (size_t i = 0; root && status == ST_OK && i < writer->n_slots; i++) {
        const struct slot *slot = writer->placed[i];
        if (json_object_set_new(root, slot->name, describe_slot(slot)) != 0)
            status = error_set(err, ST_BAD_INPUT, "%s: tensor '%.128s': the name is not UTF-8",
                               writer->path, slot->name);
    }
    if (status == ST_OK) {
        *out = root ? json_dumps(root, JSON_COMPACT) : NULL;
        if (!*out) status = error_set(err, ST_NO_MEMORY, "%s: header", writer->path);
    }
    json_decref(root);
    return status;
}

static status_t write_at(const struct safetensors_writer *writer, size_t offset, const void *bytes,
                         size_t n_bytes, struct error *err)
{
    const unsigned char *from = bytes;
    for (size_t done = 0; done < n_bytes;) {
        const ssize_t n = pwrite(writer->fd, from + done, n_bytes - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0)
            return error_set(err, ST_IO, "write %s: %s", writer->temporary,
                             n < 0 ? strerror(errno) : "nothing was written");
        done += (size_t)n;
    }
    return ST_OK;
}

/* Length, JSON, and spaces up to a multiple of 8, so that the data section is aligned. */
static status_t write_header(struct safetensors_writer *writer, struct error *err)
{
    char *text = NULL;
    unsigned char length[8];
    status_t status = build_header(writer, &text, err);
    if (status != ST_OK) return status;
    const size_t n_text = strlen(text);
    const size_t n_padding = (8 - n_text % 8) % 8;
    for (unsigned i = 0; i < 8; i++)
        length[i] = (unsigned char)((uint64_t)(n_text + n_padding) >> (8 * i));
    status = write_at(writer, 0, length, sizeof length, err);
    if (status == ST_OK) status = write_at(writer, 8, text, n_text, err);
    if (status == ST_OK) status = write_at(writer, 8 + n_text, "        ", n_padding, err);
    writer->data_start = 8 + n_text + n_padding;
    free(text);
    return status;
}

static status_t create_temporary(struct safetensors_writer *writer, struct error *err)
{
    const size_t room = strlen(writer->path) + 40;
    writer->temporary = malloc(room);
    if (!writer->temporary) return error_set(err, ST_NO_MEMORY, "%s", writer->path);
    (void)snprintf(writer->temporary, room, "%s.%ld.XXXXXX", writer->path, (long)getpid());
    writer->fd = mkstemp(writer->temporary);
    if (writer->fd >= 0) return ST_OK;
    const status_t status =
        error_set(err, ST_IO, "create %s: %s", writer->temporary, strerror(errno));
    free(writer->temporary);
    writer->temporary = NULL;
    return status;
}

status_t safetensors_writer_open(struct safetensors_writer **out, const char *path,
                                 const struct tensor_view *tensors, size_t n_tensors,
                                 struct error *err)
{
    struct safetensors_writer *writer = calloc(1, sizeof *writer);
    if (!writer) return error_set(err, ST_NO_MEMORY, "%s", path);
    writer->fd = -1;
    writer->path = strdup(path);
    writer->slots = calloc(n_tensors + 1, sizeof *writer->slots);
    writer->placed = calloc(n_tensors + 1, sizeof *writer->placed);
    status_t status = ST_OK;
    if (!writer->path || !writer->slots || !writer->placed)
        status = error_set(err, ST_NO_MEMORY, "%s: %zu tensors", path, n_tensors);
    if (status == ST_OK) status = file_check_replaceable(path, err);
    if (status == ST_OK) status = copy_slots(writer, tensors, n_tensors, err);
    if (status == ST_OK) status = place_slots(writer, err);
    if (status == ST_OK) status = create_temporary(writer, err);
    if (status == ST_OK) status = write_header(writer, err);
    if (status == ST_OK)
        *out = writer;
    else
        safetensors_writer_abort(&writer);
    return status;
}

status_t safetensors_writer_append(struct safetensors_writer *writer, size_t index,
                                   const void *bytes, size_t n_bytes, struct error *err)
{
    if (index >= writer->n_slots)
        return error_set(err, ST_BAD_INPUT, "%s: no tensor %zu", writer->path, index);
    struct slot *slot = &writer->slots[index];
    if (n_bytes > slot->n_bytes - slot->written)
        return error_set(err, ST_BAD_INPUT,
                         "%s: tensor '%.128s': %zu bytes more than the %zu it has room for",
                         writer->path, slot->name, n_bytes, slot->n_bytes - slot->written);
    const status_t status =
        write_at(writer, writer->data_start + slot->begin + slot->written, bytes, n_bytes, err);
    if (status == ST_OK) slot->written += n_bytes;
    return status;
}

static status_t check_full(const struct safetensors_writer *writer, struct error *err)
{
    for (size_t i = 0; i < writer->n_slots; i++) {
        const struct slot *slot = &writer->slots[i];
        if (slot->written != slot->n_bytes)
            return error_set(err, ST_BAD_INPUT, "%s: tensor '%.128s': %zu of %zu bytes written",
                             writer->path, slot->name, slot->written, slot->n_bytes);
    }
    return ST_OK;
}

static status_t publish(struct safetensors_writer *writer, struct error *err)
{
    if (fchmod(writer->fd, 0644) != 0 || fdatasync(writer->fd) != 0)
        return error_set(err, ST_IO, "sync %s: %s", writer->temporary, strerror(errno));
    const int closed = close(writer->fd);
    writer->fd = -1;
    if (closed != 0)
        return error_set(err, ST_IO, "close %s: %s", writer->temporary, strerror(errno));
    if (rename(writer->temporary, writer->path) != 0)
        return error_set(err, ST_IO, "rename %s: %s", writer->path, strerror(errno));
    free(writer->temporary);
    writer->temporary = NULL; /* it has become the file: nothing to unlink */
    return ST_OK;
}

status_t safetensors_writer_finish(struct safetensors_writer **writer, struct error *err)
{
    status_t status = check_full(*writer, err);
    if (status == ST_OK) status = publish(*writer, err);
    safetensors_writer_abort(writer);
    return status;
}

void safetensors_writer_abort(struct safetensors_writer **writer)
{
    struct safetensors_writer *old = *writer;
    if (!old) return;
    if (old->fd >= 0) (void)close(old->fd);
    if (old->temporary) (void)unlink(old->temporary);
    for (size_t i = 0; old->slots && i < old->n_slots; i++) free(old->slots[i].name);
    free(old->slots);
    free(old->placed);
    free(old->temporary);
    free(old->path);
    free(old);
    *writer = NULL;
}

status_t safetensors_write(const char *path, const struct tensor_view *tensors, size_t n_tensors,
                           struct error *err)
{
    struct safetensors_writer *writer = NULL;
    status_t status = safetensors_writer_open(&writer, path, tensors, n_tensors, err);
    for (size_t i = 0; status == ST_OK && i < n_tensors; i++)
        status = safetensors_writer_append(writer, i, tensors[i].data, tensors[i].n_bytes, err);
    if (status != ST_OK) {
        safetensors_writer_abort(&writer);
        return status;
    }
    return safetensors_writer_finish(&writer, err);
}
