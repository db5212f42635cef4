/*   "IECK" u8 version
 *   frame: key (64 hex digits), u32 n_parts, u32 n_units
 *   per part    frame: the bits of unit_set
 *   per part and split that is open, per EVIDENCE_BLOCK_SLOTS slots    frame: evidence_block
 *   "END."
 *
 * A frame is u32 n_bytes and a zstd frame with its checksum. Little-endian. */
#include "coordinator/sweep/checkpoint_file.h"

#include "common/evidence_block.h"
#include "common/evidence_zstd.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    VERSION = 1,
    MARK_BYTES = 4,
    HEADER_BYTES = HASH_HEX_SIZE - 1 + 8,
    NUMBER_BYTES = 4,
    FRAME_MAX_BYTES = EVIDENCE_MAX_BLOCK_BYTES
};
static const char magic[] = "IECK", end_mark[] = "END.";

struct checkpoint_io {
    FILE *file;
    const char *path;
    struct buffer plain, packed;
};

static void io_init(struct checkpoint_io *io, const char *path)
{
    *io = (struct checkpoint_io){.path = path};
    buffer_init(&io->plain, FRAME_MAX_BYTES);
    buffer_init(&io->packed, FRAME_MAX_BYTES);
}

static void io_fini(struct checkpoint_io *io)
{
    if (io->file) (void)fclose(io->file); /* a writer's was closed and checked before */
    buffer_fini(&io->plain);
    buffer_fini(&io->packed);
}

static void put_u32(unsigned char *out, uint32_t value)
{
    for (unsigned i = 0; i < NUMBER_BYTES; i++) out[i] = (unsigned char)(value >> (8 * i));
}

static uint32_t get_u32(const unsigned char *bytes)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < NUMBER_BYTES; i++) value |= (uint32_t)bytes[i] << (8 * i);
    return value;
}

static void make_header(const struct checkpoint *checkpoint, unsigned char out[HEADER_BYTES])
{
    memcpy(out, checkpoint->key, HASH_HEX_SIZE - 1);
    put_u32(out + HASH_HEX_SIZE - 1, (uint32_t)checkpoint->n_parts);
    put_u32(out + HASH_HEX_SIZE - 1 + NUMBER_BYTES,
            checkpoint->n_parts ? (uint32_t)checkpoint->parts[0].merged->n_units : 0);
}

static uint32_t block_slots(const struct evidence_state *state, uint32_t at)
{
    const uint32_t left = evidence_state_n_slots(state) - at;
    return left < EVIDENCE_BLOCK_SLOTS ? left : (uint32_t)EVIDENCE_BLOCK_SLOTS;
}

/* --- writing ------------------------------------------------------------------------------- */

static status_t write_bytes(struct checkpoint_io *io, const void *bytes, size_t n_bytes,
                            struct error *err)
{
    if (fwrite(bytes, 1, n_bytes, io->file) == n_bytes) return ST_OK;
    return error_set(err, ST_IO, "write %s: %s", io->path, strerror(errno));
}

/* What is in io->plain. */
static status_t write_frame(struct checkpoint_io *io, struct error *err)
{
    unsigned char n_bytes[NUMBER_BYTES];
    io->packed.n_bytes = 0;
    status_t status = evidence_compress(io->plain.bytes, io->plain.n_bytes, &io->packed, err);
    if (status != ST_OK) return status;
    put_u32(n_bytes, (uint32_t)io->packed.n_bytes);
    status = write_bytes(io, n_bytes, sizeof n_bytes, err);
    if (status == ST_OK) status = write_bytes(io, io->packed.bytes, io->packed.n_bytes, err);
    io->plain.n_bytes = 0;
    return status;
}

static status_t write_header(struct checkpoint_io *io, const struct checkpoint *checkpoint,
                             struct error *err)
{
    unsigned char header[HEADER_BYTES];
    const unsigned char version = VERSION;
    make_header(checkpoint, header);
    status_t status = write_bytes(io, magic, MARK_BYTES, err);
    if (status == ST_OK) status = write_bytes(io, &version, 1, err);
    if (status == ST_OK) status = buffer_append(&io->plain, header, sizeof header, err);
    return status == ST_OK ? write_frame(io, err) : status;
}

static status_t write_state(struct checkpoint_io *io, const struct evidence_state *state,
                            struct error *err)
{
    status_t status = ST_OK;
    for (uint32_t at = 0; state && at < evidence_state_n_slots(state) && status == ST_OK;
         at += EVIDENCE_BLOCK_SLOTS) {
        status = evidence_block_encode(state, evidence_state_first_slot(state) + at,
                                       block_slots(state, at), &io->plain, err);
        if (status == ST_OK) status = write_frame(io, err);
    }
    return status;
}

static status_t write_all(struct checkpoint_io *io, const struct checkpoint *checkpoint,
                          struct error *err)
{
    status_t status = write_header(io, checkpoint, err);
    for (size_t i = 0; i < checkpoint->n_parts && status == ST_OK; i++) {
        status = unit_set_encode(checkpoint->parts[i].merged, &io->plain, err);
        if (status == ST_OK) status = write_frame(io, err);
    }
    for (size_t i = 0; i < checkpoint->n_parts && status == ST_OK; i++)
        for (size_t split = 0; split < EVIDENCE_N_SPLITS && status == ST_OK; split++)
            status = write_state(io, checkpoint->parts[i].states[split], err);
    return status == ST_OK ? write_bytes(io, end_mark, MARK_BYTES, err) : status;
}

static status_t sync_and_close(struct checkpoint_io *io, struct error *err)
{
    bool is_bad = fflush(io->file) != 0 || fdatasync(fileno(io->file)) != 0;
    const int problem = errno;
    is_bad = fclose(io->file) != 0 || is_bad;
    io->file = NULL;
    return is_bad ? error_set(err, ST_IO, "sync %s: %s", io->path, strerror(problem)) : ST_OK;
}

static status_t name_beside(const char *path, char out[PATH_MAX], struct error *err)
{
    const int n = snprintf(out, PATH_MAX, "%s.new", path);
    return n > 0 && n < PATH_MAX ? ST_OK : error_set(err, ST_TOO_LARGE, "path too long: %s", path);
}

status_t checkpoint_write(const char *path, const struct checkpoint *checkpoint, struct error *err)
{
    char temporary[PATH_MAX];
    struct checkpoint_io io;
    status_t status = name_beside(path, temporary, err);
    if (status != ST_OK) return status;
    io_init(&io, temporary);
    io.file = fopen(temporary, "wb");
    if (!io.file) status = error_set(err, ST_IO, "create %s: %s", temporary, strerror(errno));
    if (status == ST_OK) status = write_all(&io, checkpoint, err);
    if (status == ST_OK) status = sync_and_close(&io, err);
    io_fini(&io);
    if (status == ST_OK && rename(temporary, path) != 0)
        status = error_set(err, ST_IO, "rename %s: %s", path, strerror(errno));
    if (status != ST_OK) (void)unlink(temporary);
    return status;
}

void checkpoint_remove(const char *path)
{
    char temporary[PATH_MAX];
    (void)unlink(path);
    if (name_beside(path, temporary, NULL) == ST_OK) (void)unlink(temporary);
}

/* --- reading ------------------------------------------------------------------------------- */

static status_t read_bytes(struct checkpoint_io *io, void *out, size_t n_bytes, struct error *err)
{
    if (fread(out, 1, n_bytes, io->file) == n_bytes) return ST_OK;
    if (ferror(io->file)) return error_set(err, ST_IO, "read %s: %s", io->path, strerror(errno));
    return error_set(err, ST_CORRUPT, "%s: cut short", io->path);
}

/* The next frame, into io->plain. */
static status_t read_frame(struct checkpoint_io *io, struct error *err)
{
    unsigned char number[NUMBER_BYTES];
    void *room;
    status_t status = read_bytes(io, number, sizeof number, err);
    if (status != ST_OK) return status;
    const uint32_t n_bytes = get_u32(number);
    io->plain.n_bytes = io->packed.n_bytes = 0;
    status = buffer_reserve(&io->packed, n_bytes, &room, err);
    if (status == ST_OK) status = read_bytes(io, room, n_bytes, err);
    if (status == ST_OK)
        status = evidence_decompress(room, n_bytes, FRAME_MAX_BYTES, &io->plain, err);
    return status == ST_TOO_LARGE ? error_set(err, ST_CORRUPT, "%s: damaged", io->path) : status;
}

static status_t check_header(struct checkpoint_io *io, const struct checkpoint *checkpoint,
                             struct error *err)
{
    unsigned char start[MARK_BYTES + 1], wanted[HEADER_BYTES];
    status_t status = read_bytes(io, start, sizeof start, err);
    if (status != ST_OK) return status;
    if (memcmp(start, magic, MARK_BYTES) != 0 || start[MARK_BYTES] != VERSION)
        return error_set(err, ST_PROTOCOL, "%s: no checkpoint of version %d", io->path, VERSION);
    make_header(checkpoint, wanted);
    status = read_frame(io, err);
    if (status != ST_OK) return status;
    return io->plain.n_bytes == sizeof wanted && memcmp(io->plain.bytes, wanted, sizeof wanted) == 0
               ? ST_OK
               : error_set(err, ST_CONFLICT, "%s: of another capture", io->path);
}

static status_t read_state(struct checkpoint_io *io, struct evidence_state *state,
                           struct error *err)
{
    status_t status = ST_OK;
    for (uint32_t at = 0; at < evidence_state_n_slots(state) && status == ST_OK;
         at += EVIDENCE_BLOCK_SLOTS) {
        status = read_frame(io, err);
        if (status == ST_OK)
            status = evidence_block_load(state, io->plain.bytes, io->plain.n_bytes, err);
    }
    return status;
}

/* The states hold the units of the set, no more and no fewer. */
static status_t read_part(struct checkpoint_io *io, const struct checkpoint_part *part,
                          struct error *err)
{
    uint64_t n_units = 0;
    status_t status = ST_OK;
    for (size_t split = 0; split < EVIDENCE_N_SPLITS && status == ST_OK; split++) {
        if (!part->states[split]) continue;
        status = read_state(io, part->states[split], err);
        n_units += evidence_state_n_units(part->states[split]);
    }
    if (status == ST_OK && n_units != part->merged->n_members)
        status = error_set(err, ST_CORRUPT, "%s: evidence of %llu units, %zu are named", io->path,
                           (unsigned long long)n_units, part->merged->n_members);
    return status;
}

static status_t read_all(struct checkpoint_io *io, const struct checkpoint *checkpoint,
                         struct error *err)
{
    char end[MARK_BYTES];
    status_t status = check_header(io, checkpoint, err);
    for (size_t i = 0; i < checkpoint->n_parts && status == ST_OK; i++) {
        status = read_frame(io, err);
        if (status == ST_OK)
            status = unit_set_decode(checkpoint->parts[i].merged, io->plain.bytes,
                                     io->plain.n_bytes, err);
    }
    for (size_t i = 0; i < checkpoint->n_parts && status == ST_OK; i++)
        status = read_part(io, &checkpoint->parts[i], err);
    if (status == ST_OK) status = read_bytes(io, end, sizeof end, err);
    if (status == ST_OK && (memcmp(end, end_mark, MARK_BYTES) != 0 || fgetc(io->file) != EOF))
        status = error_set(err, ST_CORRUPT, "%s: does not end where it should", io->path);
    return status;
}

status_t checkpoint_read(const char *path, const struct checkpoint *checkpoint, struct error *err)
{
    struct checkpoint_io io;
    io_init(&io, path);
    io.file = fopen(path, "rb");
    status_t status = ST_OK;
    if (!io.file)
        status = error_set(err, errno == ENOENT ? ST_NOT_FOUND : ST_IO, "open %s: %s", path,
                           strerror(errno));
    if (status == ST_OK) status = read_all(&io, checkpoint, err);
    io_fini(&io);
    return status;
}
