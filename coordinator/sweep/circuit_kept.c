#include "coordinator/sweep/circuit_kept.h"

#include "common/file.h"
#include "common/prompts.h"
#include "coordinator/circuit/circuit_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One of the files of a spec. */
struct brought {
    struct kept_folder folder;
    struct kept_brought file;
};

static struct brought circuit_of(const struct sweep_spec *spec, const char *data_directory)
{
    return (struct brought){{data_directory, "circuits", CIRCUIT_MAX_BYTES},
                            {spec->circuit, spec->circuit_sha256, "circuit_sha256"}};
}

static struct brought prompts_of(const struct sweep_spec *spec, const char *data_directory)
{
    return (struct brought){{data_directory, "prompts", PROMPTS_MAX_FILE_BYTES},
                            {spec->task.prompts, spec->task.prompts_sha256, "task.prompts_sha256"}};
}

/* --- taking ------------------------------------------------------------------------------- */

/* May the sweep bring these bytes? NULL: any. */
typedef status_t check_fn(const char *path, const char *text, size_t n_bytes, struct error *err);

static status_t check_is_circuit(const char *path, const char *text, size_t n_bytes,
                                 struct error *err)
{
    struct circuit circuit;
    const status_t status = circuit_file_parse(&circuit, path, text, n_bytes, err);
    if (status == ST_OK) circuit_fini(&circuit);
    return status;
}

/* *hash_out is the spec's own. */
static status_t take(const struct brought *brought, check_fn *check, char **hash_out,
                     struct error *err)
{
    const struct kept_brought *file = &brought->file;
    char *text;
    size_t n_bytes;
    if (!file->path) return ST_OK;
    if (file->hash && kept_file_is_there(&brought->folder, file->hash)) return ST_OK;
    status_t status = file_read(file->path, brought->folder.max_bytes, &text, &n_bytes, err);
    if (status != ST_OK) return status;
    if (check) status = check(file->path, text, n_bytes, err);
    if (status == ST_OK)
        status = kept_file_keep(&brought->folder, file, text, n_bytes, hash_out, err);
    free(text);
    return status;
}

status_t circuit_kept_take(struct sweep_spec *spec, const char *data_directory, struct error *err)
{
    const struct brought circuit = circuit_of(spec, data_directory);
    const struct brought prompts = prompts_of(spec, data_directory);
    if (spec->kind != SWEEP_KIND_CIRCUIT) return ST_OK;
    const status_t status = take(&circuit, check_is_circuit, &spec->circuit_sha256, err);
    return status == ST_OK ? take(&prompts, NULL, &spec->task.prompts_sha256, err) : status;
}

/* --- comparing ---------------------------------------------------------------------------- */

/* The hash that the spec names, or that of the file; false: neither is known. */
static bool find_hash(const struct brought *brought, char out[HASH_HEX_SIZE])
{
    const struct kept_brought *file = &brought->file;
    struct error ignored = {.status = ST_OK};
    char *text;
    size_t n_bytes;
    if (file->hash) {
        (void)snprintf(out, HASH_HEX_SIZE, "%s", file->hash);
        return true;
    }
    if (!file->path ||
        file_read(file->path, brought->folder.max_bytes, &text, &n_bytes, &ignored) != ST_OK)
        return false;
    hash_sha256_hex(text, n_bytes, out);
    free(text);
    return true;
}

static status_t compare(const struct brought *brought, const struct brought *accepted,
                        const char *id, struct error *err)
{
    char hash[HASH_HEX_SIZE];
    if (!accepted->file.hash || !find_hash(brought, hash)) return ST_OK;
    return kept_file_compare(brought->file.path, hash, accepted->file.hash, id, err);
}

status_t circuit_kept_compare(const struct sweep_spec *spec, const struct sweep_spec *accepted,
                              const char *id, struct error *err)
{
    const struct brought circuit = circuit_of(spec, NULL), prompts = prompts_of(spec, NULL);
    const struct brought circuit_then = circuit_of(accepted, NULL);
    const struct brought prompts_then = prompts_of(accepted, NULL);
    const status_t status = compare(&circuit, &circuit_then, id, err);
    return status == ST_OK ? compare(&prompts, &prompts_then, id, err) : status;
}

/* --- reading ------------------------------------------------------------------------------ */

static status_t read_kept(const struct brought *brought, char **text, size_t *n_bytes,
                          struct error *err)
{
    const struct kept_brought *file = &brought->file;
    const status_t status =
        file->hash
            ? kept_file_read(&brought->folder, file->hash, text, n_bytes, err)
            : error_set(err, ST_CORRUPT, "accepted without its hash; submit the sweep again");
    return status == ST_OK ? ST_OK : error_wrap(err, "%s", file->path);
}

status_t circuit_kept_read(const struct sweep_spec *spec, const char *data_directory,
                           struct circuit *out, struct error *err)
{
    const struct brought circuit = circuit_of(spec, data_directory);
    char *text = NULL;
    size_t n_bytes = 0;
    status_t status = read_kept(&circuit, &text, &n_bytes, err);
    if (status != ST_OK) return status;
    status = circuit_file_parse(out, spec->circuit, text, n_bytes, err);
    free(text);
    return status;
}

status_t circuit_kept_prompts(const struct sweep_spec *spec, const char *data_directory,
                              char **text, size_t *n_bytes, struct error *err)
{
    const struct brought prompts = prompts_of(spec, data_directory);
    return read_kept(&prompts, text, n_bytes, err);
}

/* --- cleaning ----------------------------------------------------------------------------- */

bool circuit_kept_names(const struct sweep_spec *spec, const char *hash)
{
    if (spec->kind != SWEEP_KIND_CIRCUIT) return false;
    return (spec->circuit_sha256 && strcmp(spec->circuit_sha256, hash) == 0) ||
           (spec->task.prompts_sha256 && strcmp(spec->task.prompts_sha256, hash) == 0);
}

status_t circuit_kept_clean(const char *data_directory, kept_file_is_named_fn *names,
                            const void *context, size_t *n_removed, struct error *err)
{
    const struct sweep_spec none = {.kind = SWEEP_KIND_CIRCUIT};
    const struct brought circuits = circuit_of(&none, data_directory);
    const struct brought prompts = prompts_of(&none, data_directory);
    size_t n_prompts = 0;
    status_t status = kept_file_clean(&circuits.folder, names, context, n_removed, err);
    if (status == ST_OK) status = kept_file_clean(&prompts.folder, names, context, &n_prompts, err);
    *n_removed += n_prompts;
    return status;
}
