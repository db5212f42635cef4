/* Merged evidence on disk: DATA/captures/KEY/, where KEY names everything the evidence depends
 * on. A directory that is whole has the file `complete`; without it, it counts as absent. Sweeps
 * over the same capture share it, and a restarted coordinator does not capture again.
 *
 *   frozen-T                zstd of evidence_frozen, per target T
 *   T-SPLIT-FIRST           zstd of evidence_block, EVIDENCE_BLOCK_SLOTS slots each
 *   complete                written last: code version, and a line with backend and instruction set
 *                           that it was captured on */
#include "common/evidence_block.h"
#include "common/evidence_zstd.h"
#include "common/file.h"
#include "common/hash.h"
#include "common/log.h"
#include "common/version.h"
#include "coordinator/sweep/captures.h"
#include "coordinator/sweep/label_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_SIZE = 4096, FILE_MAX_BYTES = EVIDENCE_MAX_BLOCK_BYTES, COMPLETE_MAX_BYTES = 256 };

status_t label_evidence_state(struct label_run *run, size_t index, enum evidence_split split,
                              struct evidence_state **out, struct error *err)
{
    const struct label_target *target = &run->targets[index];
    const struct evidence_state_params params = {
        .identity = {.target_key = target->key,
                     .frozen_key =
                         split == EVIDENCE_EXPLAIN ? 0 : evidence_frozen_key(&target->frozen),
                     .n_slots = target->n_slots,
                     .split = split,
                     .limits = sweep_spec_evidence_limits(run->sweep->spec, split)},
        .first_slot = 0,
        .n_slots = target->n_slots,
        .documents = &run->documents,
    };
    return evidence_state_create(out, &params, err);
}

status_t label_evidence_set_key(struct label_run *run, struct error *err)
{
    struct buffer text;
    buffer_init(&text, FILE_MAX_BYTES);
    const char *backend = sweep_spec_backend_name(run->sweep->spec);
    char *spec = label_spec_json(run, TASK_CAPTURE);
    status_t status = spec ? ST_OK : error_set(err, ST_NO_MEMORY, "capture key");
    if (status == ST_OK)
        status = buffer_printf(&text, err, "%s|%s|%016llx|%.6f", version_text(), spec,
                               (unsigned long long)capture_plan_key(run->plan),
                               run->sweep->spec->thresholds.unit_quantile);
    if (status == ST_OK && backend) /* another backend's may differ in the last bit */
        status = buffer_printf(&text, err, "|%s", backend);
    if (status == ST_OK) (void)hash_sha256_hex(text.bytes, text.n_bytes, run->evidence_key);
    free(spec);
    buffer_fini(&text);
    return status;
}

const char *captures_key_of(const struct sweep *sweep)
{
    const struct label_run *run = sweep->ops == &label_engine ? sweep->engine : NULL;
    return run && run->phase > LABEL_TOKENIZE ? run->evidence_key : NULL;
}

static status_t directory_of(const struct label_run *run, char out[PATH_SIZE], struct error *err)
{
    const int n = snprintf(out, PATH_SIZE, "%s/captures/%s", run->sweep->context->data_directory,
                           run->evidence_key);
    return n > 0 && n < PATH_SIZE - 128 ? ST_OK
                                        : error_set(err, ST_TOO_LARGE, "data directory's name");
}

static status_t write_compressed(const char *path, struct buffer *plain, struct error *err)
{
    struct buffer packed;
    buffer_init(&packed, FILE_MAX_BYTES);
    status_t status = evidence_compress(plain->bytes, plain->n_bytes, &packed, err);
    if (status == ST_OK) status = file_write_atomic(path, packed.bytes, packed.n_bytes, err);
    buffer_fini(&packed);
    return status;
}

static status_t read_compressed(const char *path, struct buffer *out, struct error *err)
{
    char *packed;
    size_t n_packed;
    status_t status = file_read(path, FILE_MAX_BYTES, &packed, &n_packed, err);
    if (status != ST_OK) return status;
    status = evidence_decompress(packed, n_packed, FILE_MAX_BYTES, out, err);
    free(packed);
    return status == ST_OK ? ST_OK : error_wrap(err, "%s", path);
}

static void block_path(const char *directory, size_t target, unsigned split, uint32_t first,
                       char out[PATH_SIZE + 64])
{
    (void)snprintf(out, PATH_SIZE + 64, "%s/%zu-%s-%u", directory, target,
                   evidence_split_name((enum evidence_split)split), (unsigned)first);
}

static uint32_t block_slots(const struct label_target *target, uint32_t first)
{
    const uint32_t left = target->n_slots - first;
    return left < EVIDENCE_BLOCK_SLOTS ? left : (uint32_t)EVIDENCE_BLOCK_SLOTS;
}

static status_t save_split(const char *directory, const struct label_target *target, size_t index,
                           unsigned split, struct error *err)
{
    const struct evidence_state *state = target->states[split];
    status_t status = ST_OK;
    for (uint32_t first = 0; state && first < target->n_slots && status == ST_OK;
         first += EVIDENCE_BLOCK_SLOTS) {
        struct buffer plain;
        char path[PATH_SIZE + 64];
        buffer_init(&plain, EVIDENCE_MAX_BLOCK_BYTES);
        block_path(directory, index, split, first, path);
        status = evidence_block_encode(state, first, block_slots(target, first), &plain, err);
        if (status == ST_OK) status = write_compressed(path, &plain, err);
        buffer_fini(&plain);
    }
    return status;
}

static status_t save_frozen(const char *directory, const struct label_target *target, size_t index,
                            struct error *err)
{
    struct buffer plain;
    char path[PATH_SIZE + 64];
    buffer_init(&plain, EVIDENCE_MAX_BLOCK_BYTES);
    (void)snprintf(path, sizeof path, "%s/frozen-%zu", directory, index);
    status_t status = evidence_frozen_encode(&target->frozen, &plain, err);
    if (status == ST_OK) status = write_compressed(path, &plain, err);
    buffer_fini(&plain);
    return status;
}

static status_t write_complete(const struct label_run *run, const char *path, struct error *err)
{
    const struct worker_pin *pin = &run->sweep->share.pin;
    struct buffer text;
    buffer_init(&text, COMPLETE_MAX_BYTES);
    status_t status =
        buffer_printf(&text, err, "%s\n%s %s\n", version_text(), pin->backend, pin->isa);
    if (status == ST_OK) status = file_write_atomic(path, text.bytes, text.n_bytes, err);
    buffer_fini(&text);
    return status;
}

/* The second line of `complete`; nothing if it does not say. */
static void read_pin(const char *text, struct worker_pin *out)
{
    const char *line = strchr(text, '\n');
    const size_t n_backend = line ? strcspn(++line, " ") : 0;
    const size_t n_isa = n_backend && line[n_backend] ? strcspn(line + n_backend + 1, "\n") : 0;
    *out = (struct worker_pin){.backend = ""};
    if (!n_isa || n_backend >= sizeof out->backend || n_isa >= sizeof out->isa) return;
    memcpy(out->backend, line, n_backend);
    memcpy(out->isa, line + n_backend + 1, n_isa);
}

status_t label_evidence_save(struct label_run *run, struct error *err)
{
    char directory[PATH_SIZE], complete[PATH_SIZE + 64];
    status_t status = directory_of(run, directory, err);
    if (status == ST_OK) status = file_make_directories(directory, err);
    for (size_t i = 0; i < run->sweep->spec->n_targets && status == ST_OK; i++) {
        status = save_frozen(directory, &run->targets[i], i, err);
        for (unsigned split = 0; split < EVIDENCE_N_SPLITS && status == ST_OK; split++)
            status = save_split(directory, &run->targets[i], i, split, err);
    }
    if (status != ST_OK) return status;
    (void)snprintf(complete, sizeof complete, "%s/complete", directory);
    return write_complete(run, complete, err);
}

static status_t load_frozen(const char *directory, struct label_target *target, size_t index,
                            struct error *err)
{
    struct buffer plain;
    struct evidence_frozen frozen;
    char path[PATH_SIZE + 64];
    buffer_init(&plain, EVIDENCE_MAX_BLOCK_BYTES);
    (void)snprintf(path, sizeof path, "%s/frozen-%zu", directory, index);
    status_t status = read_compressed(path, &plain, err);
    if (status == ST_OK) status = evidence_frozen_decode(plain.bytes, plain.n_bytes, &frozen, err);
    buffer_fini(&plain);
    if (status != ST_OK) return status;
    evidence_frozen_fini(&target->frozen);
    target->frozen = frozen;
    return ST_OK;
}

static status_t load_split(const char *directory, struct label_target *target, size_t index,
                           unsigned split, struct error *err)
{
    status_t status = ST_OK;
    for (uint32_t first = 0; first < target->n_slots && status == ST_OK;
         first += EVIDENCE_BLOCK_SLOTS) {
        struct buffer plain;
        char path[PATH_SIZE + 64];
        buffer_init(&plain, EVIDENCE_MAX_BLOCK_BYTES);
        block_path(directory, index, split, first, path);
        status = read_compressed(path, &plain, err);
        if (status == ST_OK)
            status = evidence_block_load(target->states[split], plain.bytes, plain.n_bytes, err);
        buffer_fini(&plain);
    }
    return status;
}

static status_t load_target(struct label_run *run, const char *directory, size_t index,
                            struct error *err)
{
    struct label_target *target = &run->targets[index];
    status_t status = load_frozen(directory, target, index, err);
    for (unsigned split = 0; split < EVIDENCE_N_SPLITS && status == ST_OK; split++) {
        if (!target->states[split]) continue;
        evidence_state_destroy(&target->states[split]); /* anew, with what was frozen */
        status = label_evidence_state(run, index, (enum evidence_split)split,
                                      &target->states[split], err);
        if (status == ST_OK) status = load_split(directory, target, index, split, err);
    }
    return status;
}

/* Empty states again, as if nothing had been read. */
static status_t forget_loaded(struct label_run *run, struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < run->sweep->spec->n_targets && status == ST_OK; i++) {
        struct label_target *target = &run->targets[i];
        evidence_frozen_fini(&target->frozen);
        status = evidence_frozen_init(&target->frozen, target->n_slots, err);
        for (unsigned split = 0; split < EVIDENCE_N_SPLITS && status == ST_OK; split++) {
            if (!run->plan_stats.n_units[split]) continue;
            evidence_state_destroy(&target->states[split]);
            status = label_evidence_state(run, i, (enum evidence_split)split,
                                          &target->states[split], err);
        }
    }
    return status;
}

status_t label_evidence_load(struct label_run *run, bool *was_there, struct error *err)
{
    char directory[PATH_SIZE], complete[PATH_SIZE + 64];
    char *text = NULL;
    struct error problem = {0};
    *was_there = false;
    status_t status = directory_of(run, directory, err);
    if (status != ST_OK) return status;
    (void)snprintf(complete, sizeof complete, "%s/complete", directory);
    if (file_read(complete, COMPLETE_MAX_BYTES, &text, NULL, &problem) != ST_OK) return ST_OK;
    read_pin(text, &run->evidence_pin);
    free(text);
    error_clear(&problem);
    for (size_t i = 0; i < run->sweep->spec->n_targets && status == ST_OK; i++)
        status = load_target(run, directory, i, &problem);
    *was_there = status == ST_OK;
    if (status == ST_OK) captures_touch(run->sweep->context->data_directory, run->evidence_key);
    if (status == ST_OK || status == ST_NO_MEMORY) return status;
    log_event(LOG_WARN, "capture_unreadable", LOG_TEXT("sweep", run->sweep->id),
              LOG_TEXT("error", problem.text)); /* captured again: it is deterministic */
    return forget_loaded(run, err);
}
