#include "coordinator/sweep/labels_kept.h"

#include "coordinator/sweep/label_formats.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct kept_folder folder_of(const char *data_directory)
{
    return (struct kept_folder){data_directory, "labels", LABEL_IMPORT_MAX_BYTES};
}

static bool is_brought(const struct sweep_spec *spec)
{
    return spec->kind == SWEEP_KIND_LABEL && spec->labels;
}

/* May a sweep bring these lines? */
static status_t check(const struct sweep_spec *spec, const struct buffer *lines, struct error *err)
{
    struct label_import *import = NULL;
    const status_t status = label_import_parse(&import, spec, lines, err);
    label_import_destroy(&import);
    return status;
}

status_t labels_kept_take(struct sweep_spec *spec, const char *data_directory, struct error *err)
{
    const struct kept_folder folder = folder_of(data_directory);
    const struct kept_brought brought = {spec->labels, spec->labels_sha256, "labels_sha256"};
    struct buffer lines;
    if (!is_brought(spec)) return ST_OK;
    if (brought.hash && kept_file_is_there(&folder, brought.hash)) return ST_OK;
    buffer_init(&lines, LABEL_IMPORT_MAX_BYTES);
    status_t status = label_formats_read(spec, &lines, err);
    if (status == ST_OK) status = check(spec, &lines, err);
    if (status == ST_OK)
        status = kept_file_keep(&folder, &brought, (const char *)lines.bytes, lines.n_bytes,
                                &spec->labels_sha256, err);
    buffer_fini(&lines);
    return status;
}

/* The hash that the spec names, or that of the files; false: neither is known. */
static bool find_hash(const struct sweep_spec *spec, char out[HASH_HEX_SIZE])
{
    struct error ignored = {.status = ST_OK};
    struct buffer lines;
    if (spec->labels_sha256) {
        (void)snprintf(out, HASH_HEX_SIZE, "%s", spec->labels_sha256);
        return true;
    }
    buffer_init(&lines, LABEL_IMPORT_MAX_BYTES);
    const bool is_read = label_formats_read(spec, &lines, &ignored) == ST_OK;
    if (is_read) hash_sha256_hex(lines.bytes, lines.n_bytes, out);
    buffer_fini(&lines);
    return is_read;
}

status_t labels_kept_compare(const struct sweep_spec *spec, const struct sweep_spec *accepted,
                             const char *id, struct error *err)
{
    char hash[HASH_HEX_SIZE];
    if (!is_brought(spec) || !accepted->labels_sha256 || !find_hash(spec, hash)) return ST_OK;
    return kept_file_compare(spec->labels, hash, accepted->labels_sha256, id, err);
}

static status_t read_kept(const struct sweep_spec *spec, const char *data_directory,
                          struct buffer *lines, struct error *err)
{
    const struct kept_folder folder = folder_of(data_directory);
    char *text = NULL;
    size_t n_bytes = 0;
    status_t status = kept_file_read(&folder, spec->labels_sha256, &text, &n_bytes, err);
    if (status != ST_OK) return error_wrap(err, "%s", spec->labels);
    status = buffer_append(lines, text, n_bytes, err);
    free(text);
    return status;
}

status_t labels_kept_load(struct label_import **out, const struct sweep_spec *spec,
                          const char *data_directory, struct error *err)
{
    struct buffer lines;
    buffer_init(&lines, LABEL_IMPORT_MAX_BYTES);
    status_t status = spec->labels_sha256 ? read_kept(spec, data_directory, &lines, err)
                                          : label_formats_read(spec, &lines, err);
    if (status == ST_OK) status = label_import_parse(out, spec, &lines, err);
    buffer_fini(&lines);
    return status;
}

bool labels_kept_names(const struct sweep_spec *spec, const char *hash)
{
    return is_brought(spec) && spec->labels_sha256 && strcmp(spec->labels_sha256, hash) == 0;
}

status_t labels_kept_clean(const char *data_directory, kept_file_is_named_fn *names,
                           const void *context, size_t *n_removed, struct error *err)
{
    const struct kept_folder folder = folder_of(data_directory);
    return kept_file_clean(&folder, names, context, n_removed, err);
}
