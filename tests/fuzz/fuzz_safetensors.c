/* Any bytes as a safetensors file, or as an index: refused with a text, or every byte of every
 * view is inside the file. Seeds: tests/golden/malformed/models, each model.safetensors. */
#include "worker/model/safetensors_header.h"
#include "worker/model/safetensors_index.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds) abort();
}

static void read_view(const struct tensor_view *view, const unsigned char *file, size_t size)
{
    const unsigned char *begin = view->data;
    require(begin >= file && view->n_bytes <= size &&
            (size_t)(begin - file) <= size - view->n_bytes);
    require(tensor_n_values(view) * tensor_dtype_bytes(view->dtype) == view->n_bytes);
    const size_t n_values = tensor_n_values(view);
    float *values = malloc(n_values * sizeof *values + 1);
    require(values != NULL);
    struct error err = {0};
    if (tensor_to_f32(view, values, n_values, &err) != ST_OK) require(err.text[0] != '\0');
    free(values);
}

static void parse_file(const uint8_t *data, size_t size)
{
    struct error err = {0};
    size_t n_views = 0;
    struct tensor_view *views = NULL;
    unsigned char *file = malloc(size + 1); /* exact, so that an overrun is seen */
    require(file != NULL);
    memcpy(file, data, size);
    if (safetensors_parse("fuzz", file, size, &views, &n_views, &err) == ST_OK) {
        for (size_t i = 0; i < n_views; i++) read_view(&views[i], file, size);
        safetensors_views_free(views, n_views);
    } else {
        require(err.text[0] != '\0' && views == NULL);
    }
    free(file);
}

static void parse_index(const uint8_t *data, size_t size)
{
    struct error err = {0};
    struct safetensors_index index = {0};
    if (safetensors_index_parse(&index, "fuzz", (const char *)data, size, &err) != ST_OK) {
        require(err.text[0] != '\0' && index.entries == NULL);
        return;
    }
    for (size_t i = 0; i < index.n_entries; i++) require(!strchr(index.entries[i].file, '/'));
    safetensors_index_fini(&index);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    parse_file(data, size);
    if (size > 0 && data[0] == '{') parse_index(data, size);
    return 0;
}
