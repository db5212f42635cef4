#include "coordinator/sweep/circuit_kept.h"

#include "common/file.h"
#include "coordinator/circuit/circuit_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_SIZE = 4096 };

/* DATA/circuits, or the file of a hash in it. */
static status_t path_of(const char *data_directory, const char *hash, char out[PATH_SIZE],
                        struct error *err)
{
    const int n = snprintf(out, PATH_SIZE, "%s/circuits%s%s", data_directory, hash ? "/" : "",
                           hash ? hash : "");
    return n > 0 && n < PATH_SIZE ? ST_OK
                                  : error_set(err, ST_TOO_LARGE, "%s: too long", data_directory);
}

/* The kept bytes of a hash: *text is the caller's. */
static status_t read_kept(const char *data_directory, const char *hash, char **text,
                          size_t *n_bytes, struct error *err)
{
    char path[PATH_SIZE], found[HASH_HEX_SIZE];
    status_t status = path_of(data_directory, hash, path, err);
    if (status == ST_OK) status = file_read(path, CIRCUIT_MAX_BYTES, text, n_bytes, err);
    if (status != ST_OK) return status;
    hash_sha256_hex(*text, *n_bytes, found);
    if (strcmp(found, hash) == 0) return ST_OK;
    free(*text);
    *text = NULL;
    return error_set(err, ST_CORRUPT, "%s: its hash is not its name", path);
}

static bool is_kept(const char *data_directory, const char *hash)
{
    struct error ignored = {.status = ST_OK};
    char *text = NULL;
    size_t n_bytes;
    const status_t status = read_kept(data_directory, hash, &text, &n_bytes, &ignored);
    if (status == ST_OK) free(text);
    return status == ST_OK;
}

static status_t keep(const char *data_directory, const char *hash, const char *text, size_t n_bytes,
                     struct error *err)
{
    char path[PATH_SIZE];
    status_t status = path_of(data_directory, NULL, path, err);
    if (status == ST_OK) status = file_make_directories(path, err);
    if (status == ST_OK) status = path_of(data_directory, hash, path, err);
    return status == ST_OK ? file_write_atomic(path, text, n_bytes, err) : status;
}

/* The user's bytes: a circuit, of the hash that the spec names if it names one. */
static status_t take_bytes(struct sweep_spec *spec, const char *data_directory, const char *text,
                           size_t n_bytes, struct error *err)
{
    char hash[HASH_HEX_SIZE];
    struct circuit circuit;
    status_t status = circuit_file_parse(&circuit, spec->circuit, text, n_bytes, err);
    if (status != ST_OK) return status;
    circuit_fini(&circuit);
    hash_sha256_hex(text, n_bytes, hash);
    if (spec->circuit_sha256 && strcmp(spec->circuit_sha256, hash) != 0)
        return error_set(err, ST_BAD_INPUT, "%s: its SHA-256 is %s, circuit_sha256 says %s",
                         spec->circuit, hash, spec->circuit_sha256);
    status = keep(data_directory, hash, text, n_bytes, err);
    if (status != ST_OK || spec->circuit_sha256) return status;
    spec->circuit_sha256 = strdup(hash);
    return spec->circuit_sha256 ? ST_OK : error_set(err, ST_NO_MEMORY, "%s", spec->circuit);
}

status_t circuit_kept_take(struct sweep_spec *spec, const char *data_directory, struct error *err)
{
    char *text;
    size_t n_bytes;
    if (spec->kind != SWEEP_KIND_CIRCUIT || !spec->circuit) return ST_OK;
    if (spec->circuit_sha256 && is_kept(data_directory, spec->circuit_sha256)) return ST_OK;
    status_t status = file_read(spec->circuit, CIRCUIT_MAX_BYTES, &text, &n_bytes, err);
    if (status != ST_OK) return status;
    status = take_bytes(spec, data_directory, text, n_bytes, err);
    free(text);
    return status;
}

status_t circuit_kept_read(const struct sweep_spec *spec, const char *data_directory,
                           struct circuit *out, struct error *err)
{
    char *text = NULL;
    size_t n_bytes = 0;
    status_t status =
        spec->circuit_sha256
            ? read_kept(data_directory, spec->circuit_sha256, &text, &n_bytes, err)
            : error_set(err, ST_CORRUPT, "accepted without its hash; submit the sweep again");
    if (status != ST_OK) return error_wrap(err, "%s", spec->circuit);
    status = circuit_file_parse(out, spec->circuit, text, n_bytes, err);
    free(text);
    return status;
}
