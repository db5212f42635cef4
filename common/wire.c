/* See wire.h and WIRE.md. One table says which keys each message type carries; the encoder and
 * the decoder both walk it, so they cannot disagree. */
#include "common/wire.h"

#include "common/pack.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum field_kind { FIELD_U64, FIELD_F64, FIELD_NAME, FIELD_TEXT, FIELD_RANGES };

struct field {
    const char *key;
    size_t offset;
    enum field_kind kind;
};
#define FIELD(member, kind)                                                                        \
    {                                                                                              \
#member, offsetof(struct wire_message, member), kind                                       \
    }

/* Order = bit number in the masks below. */
enum {
    F_ID,
    F_EPOCH,
    F_LEASE,
    F_LOW,
    F_HIGH,
    F_UNIT,
    F_TICKS,
    F_N_HELD,
    F_N_OPEN,
    F_N_STORED,
    F_N_DUPLICATE,
    F_HEARTBEAT_MS,
    F_STATUS,
    F_PID,
    F_N_THREADS,
    F_MEMORY_BYTES,
    F_SECONDS,
    F_TASK,
    F_NAME,
    F_BACKEND,
    F_ISA,
    F_HOST,
    F_CODE_VERSION,
    F_TEXT,
    F_STORE,
    F_RANGES,
    N_FIELDS
};
static const struct field fields[N_FIELDS] = {
    [F_ID] = FIELD(id, FIELD_U64),
    [F_EPOCH] = FIELD(epoch, FIELD_U64),
    [F_LEASE] = FIELD(lease, FIELD_U64),
    [F_LOW] = FIELD(low, FIELD_U64),
    [F_HIGH] = FIELD(high, FIELD_U64),
    [F_UNIT] = FIELD(unit, FIELD_U64),
    [F_TICKS] = FIELD(ticks, FIELD_U64),
    [F_N_HELD] = FIELD(n_held, FIELD_U64),
    [F_N_OPEN] = FIELD(n_open, FIELD_U64),
    [F_N_STORED] = FIELD(n_stored, FIELD_U64),
    [F_N_DUPLICATE] = FIELD(n_duplicate, FIELD_U64),
    [F_HEARTBEAT_MS] = FIELD(heartbeat_ms, FIELD_U64),
    [F_STATUS] = FIELD(status, FIELD_U64),
    [F_PID] = FIELD(pid, FIELD_U64),
    [F_N_THREADS] = FIELD(n_threads, FIELD_U64),
    [F_MEMORY_BYTES] = FIELD(memory_bytes, FIELD_U64),
    [F_SECONDS] = FIELD(seconds, FIELD_F64),
    [F_TASK] = FIELD(task, FIELD_NAME),
    [F_NAME] = FIELD(name, FIELD_NAME),
    [F_BACKEND] = FIELD(backend, FIELD_NAME),
    [F_ISA] = FIELD(isa, FIELD_NAME),
    [F_HOST] = FIELD(host, FIELD_NAME),
    [F_CODE_VERSION] = FIELD(code_version, FIELD_NAME),
    [F_TEXT] = FIELD(text, FIELD_TEXT),
    [F_STORE] = FIELD(store, FIELD_TEXT),
    [F_RANGES] = FIELD(ranges, FIELD_RANGES),
};

#define HAS(field) (1u << (field))
static const struct {
    const char *name;
    uint32_t mask;
} types[WIRE_N_TYPES] = {
    [WIRE_HELLO] = {"HELLO", HAS(F_NAME) | HAS(F_PID) | HAS(F_HOST) | HAS(F_BACKEND) | HAS(F_ISA) |
                                 HAS(F_N_THREADS) | HAS(F_MEMORY_BYTES) | HAS(F_CODE_VERSION) |
                                 HAS(F_N_HELD)},
    [WIRE_HELD] = {"HELD", HAS(F_LEASE) | HAS(F_TASK) | HAS(F_LOW) | HAS(F_HIGH) | HAS(F_N_OPEN)},
    [WIRE_WELCOME] = {"WELCOME", HAS(F_EPOCH) | HAS(F_HEARTBEAT_MS) | HAS(F_STORE)},
    [WIRE_REFUSED] = {"REFUSED", HAS(F_STATUS) | HAS(F_TEXT)},
    [WIRE_HEARTBEAT] = {"HEARTBEAT",
                        HAS(F_TICKS) | HAS(F_LEASE) | HAS(F_UNIT) | HAS(F_MEMORY_BYTES)},
    [WIRE_SPEC] = {"SPEC", HAS(F_TASK)},
    [WIRE_LEASE] = {"LEASE", HAS(F_LEASE) | HAS(F_EPOCH) | HAS(F_TASK) | HAS(F_LOW) | HAS(F_HIGH)},
    [WIRE_REVOKE] = {"REVOKE", HAS(F_LEASE)},
    [WIRE_SETTLED] = {"SETTLED", HAS(F_LEASE) | HAS(F_TASK) | HAS(F_RANGES) | HAS(F_N_STORED) |
                                     HAS(F_N_DUPLICATE) | HAS(F_SECONDS)},
    [WIRE_FAILED] = {"FAILED",
                     HAS(F_LEASE) | HAS(F_TASK) | HAS(F_UNIT) | HAS(F_STATUS) | HAS(F_TEXT)},
    [WIRE_DRAIN] = {"DRAIN", 0},
    [WIRE_BYE] = {"BYE", HAS(F_TEXT)},
    [WIRE_REQUEST] = {"REQUEST", HAS(F_ID) | HAS(F_NAME)},
    [WIRE_ANSWER] = {"ANSWER", HAS(F_ID) | HAS(F_STATUS)},
};

const char *wire_type_name(enum wire_type type)
{
    return (unsigned)type < WIRE_N_TYPES ? types[type].name : "?";
}

struct wire_text wire_text_of(const char *text)
{
    return (struct wire_text){text, strlen(text)};
}

int wire_text_copy(struct wire_text text, char *out, size_t cap)
{
    out[0] = '\0';
    if (text.n_bytes == 0) return 1; /* its bytes may be NULL */
    if (text.n_bytes >= cap || memchr(text.bytes, 0, text.n_bytes)) return 0;
    memcpy(out, text.bytes, text.n_bytes);
    out[text.n_bytes] = '\0';
    return 1;
}

/* --- encoding ---------------------------------------------------------------------------- */

static size_t text_cap(enum field_kind kind)
{
    return kind == FIELD_NAME ? WIRE_MAX_NAME_BYTES : WIRE_MAX_TEXT_BYTES;
}

static int pack_text(msgpack_packer *packer, const char *bytes, size_t n_bytes)
{
    return msgpack_pack_str(packer, n_bytes) || msgpack_pack_str_body(packer, bytes, n_bytes);
}

static int pack_ranges(msgpack_packer *packer, const struct wire_ranges *ranges)
{
    int failed = msgpack_pack_array(packer, ranges->n * 2);
    for (size_t i = 0; i < ranges->n && !failed; i++)
        failed = msgpack_pack_uint64(packer, ranges->low[i]) ||
                 msgpack_pack_uint64(packer, ranges->high[i]);
    return failed;
}

static status_t pack_field(msgpack_packer *packer, const struct field *field,
                           const struct wire_message *message, struct error *err)
{
    const char *base = (const char *)message + field->offset;
    struct wire_text text = {0};
    uint64_t number = 0;
    double real = 0;
    int failed = pack_text(packer, field->key, strlen(field->key));
    switch (field->kind) {
    case FIELD_U64:
        memcpy(&number, base, sizeof number);
        failed = failed || msgpack_pack_uint64(packer, number);
        break;
    case FIELD_F64:
        memcpy(&real, base, sizeof real);
        failed = failed || msgpack_pack_double(packer, real);
        break;
    case FIELD_NAME:
    case FIELD_TEXT:
        memcpy(&text, base, sizeof text);
        if (text.n_bytes > text_cap(field->kind))
            return error_set(err, ST_TOO_LARGE, "%s: %zu bytes", field->key, text.n_bytes);
        failed = failed || pack_text(packer, text.bytes ? text.bytes : "", text.n_bytes);
        break;
    case FIELD_RANGES:
        if (message->ranges.n > WIRE_MAX_RANGES)
            return error_set(err, ST_TOO_LARGE, "%zu ranges", message->ranges.n);
        failed = failed || pack_ranges(packer, &message->ranges);
        break;
    }
    return failed ? error_set(err, ST_TOO_LARGE, "message does not fit its buffer") : ST_OK;
}

status_t wire_encode(const struct wire_message *message, struct buffer *out, struct error *err)
{
    if ((unsigned)message->type >= WIRE_N_TYPES)
        return error_set(err, ST_INTERNAL, "message type %d", (int)message->type);
    const uint32_t mask = types[message->type].mask;
    const char *name = types[message->type].name;
    msgpack_packer packer;
    msgpack_packer_init(&packer, out, pack_into_buffer);
    const size_t n_keys = 2 + (size_t)__builtin_popcount(mask);
    if (msgpack_pack_map(&packer, n_keys) || pack_text(&packer, "v", 1) ||
        msgpack_pack_int(&packer, WIRE_VERSION) || pack_text(&packer, "t", 1) ||
        pack_text(&packer, name, strlen(name)))
        return error_set(err, ST_TOO_LARGE, "message does not fit its buffer");
    status_t status = ST_OK;
    for (size_t i = 0; i < N_FIELDS && status == ST_OK; i++)
        if (mask & HAS(i)) status = pack_field(&packer, &fields[i], message, err);
    return status == ST_OK ? ST_OK : error_wrap(err, "%s", name);
}

/* --- decoding ---------------------------------------------------------------------------- */

static const msgpack_object *find_key(const msgpack_object_map *map, const char *key)
{
    const size_t n = strlen(key);
    for (uint32_t i = 0; i < map->size; i++) {
        const msgpack_object *name = &map->ptr[i].key;
        if (name->type == MSGPACK_OBJECT_STR && name->via.str.size == n &&
            memcmp(name->via.str.ptr, key, n) == 0)
            return &map->ptr[i].val;
    }
    return NULL;
}

static bool unpack_ranges(const msgpack_object *value, struct wire_ranges *out)
{
    if (value->type != MSGPACK_OBJECT_ARRAY || value->via.array.size % 2 != 0 ||
        value->via.array.size / 2 > WIRE_MAX_RANGES)
        return false;
    out->n = value->via.array.size / 2;
    for (size_t i = 0; i < out->n * 2; i++) {
        const msgpack_object *item = &value->via.array.ptr[i];
        if (item->type != MSGPACK_OBJECT_POSITIVE_INTEGER) return false;
        *(i % 2 ? &out->high[i / 2] : &out->low[i / 2]) = item->via.u64;
    }
    return true;
}

static bool unpack_text(const msgpack_object *value, size_t cap, char *base)
{
    if (value->type != MSGPACK_OBJECT_STR || value->via.str.size > cap) return false;
    const struct wire_text text = {value->via.str.ptr, value->via.str.size};
    memcpy(base, &text, sizeof text);
    return true;
}

static bool unpack_field(const msgpack_object *value, const struct field *field,
                         struct wire_message *out)
{
    char *base = (char *)out + field->offset;
    switch (field->kind) {
    case FIELD_U64:
        if (value->type != MSGPACK_OBJECT_POSITIVE_INTEGER) return false;
        memcpy(base, &value->via.u64, sizeof value->via.u64);
        return true;
    case FIELD_F64:
        if (value->type != MSGPACK_OBJECT_FLOAT64 || !isfinite(value->via.f64) ||
            value->via.f64 < 0)
            return false; /* every real number here is a duration */
        memcpy(base, &value->via.f64, sizeof value->via.f64);
        return true;
    case FIELD_NAME:
    case FIELD_TEXT: return unpack_text(value, text_cap(field->kind), base);
    case FIELD_RANGES: return unpack_ranges(value, &out->ranges);
    }
    return false;
}

static status_t find_type(const msgpack_object_map *map, enum wire_type *out, struct error *err)
{
    const msgpack_object *version = find_key(map, "v");
    if (!version || version->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
        return error_set(err, ST_PROTOCOL, "message without a protocol version");
    if (version->via.u64 != WIRE_VERSION)
        return error_set(err, ST_PROTOCOL, "peer speaks protocol version %llu, this is %d",
                         (unsigned long long)version->via.u64, WIRE_VERSION);
    struct wire_text name;
    const msgpack_object *type = find_key(map, "t");
    if (!type || !unpack_text(type, WIRE_MAX_NAME_BYTES, (char *)&name))
        return error_set(err, ST_PROTOCOL, "message without a type");
    for (size_t i = 0; i < WIRE_N_TYPES; i++)
        if (strlen(types[i].name) == name.n_bytes &&
            memcmp(types[i].name, name.bytes, name.n_bytes) == 0) {
            *out = (enum wire_type)i;
            return ST_OK;
        }
    return error_set(err, ST_PROTOCOL, "unknown message type %.*s", (int)name.n_bytes, name.bytes);
}

static status_t decode_map(const msgpack_object *root, struct wire_message *out, struct error *err)
{
    if (root->type != MSGPACK_OBJECT_MAP) return error_set(err, ST_PROTOCOL, "not a map");
    status_t status = find_type(&root->via.map, &out->type, err);
    if (status != ST_OK) return status;
    for (size_t i = 0; i < N_FIELDS; i++) {
        if (!(types[out->type].mask & HAS(i))) continue;
        const msgpack_object *value = find_key(&root->via.map, fields[i].key);
        if (!value)
            return error_set(err, ST_PROTOCOL, "%s without \"%s\"", types[out->type].name,
                             fields[i].key);
        if (!unpack_field(value, &fields[i], out))
            return error_set(err, ST_PROTOCOL, "%s: \"%s\" has the wrong type or size",
                             types[out->type].name, fields[i].key);
    }
    return ST_OK;
}

int wire_is_other_version(const void *bytes, size_t n_bytes)
{
    msgpack_unpacked unpacked;
    msgpack_unpacked_init(&unpacked);
    const msgpack_object *version = NULL;
    if (n_bytes <= WIRE_MAX_HEADER_BYTES && wire_counts_fit(bytes, n_bytes) &&
        msgpack_unpack_next(&unpacked, bytes, n_bytes, NULL) == MSGPACK_UNPACK_SUCCESS &&
        unpacked.data.type == MSGPACK_OBJECT_MAP)
        version = find_key(&unpacked.data.via.map, "v");
    const bool is_other = version && version->type == MSGPACK_OBJECT_POSITIVE_INTEGER &&
                          version->via.u64 != WIRE_VERSION;
    msgpack_unpacked_destroy(&unpacked);
    return is_other;
}

status_t wire_decode(const void *bytes, size_t n_bytes, struct wire_message *out, struct error *err)
{
    if (n_bytes > WIRE_MAX_HEADER_BYTES)
        return error_set(err, ST_TOO_LARGE, "message header of %zu bytes", n_bytes);
    msgpack_unpacked unpacked;
    msgpack_unpacked_init(&unpacked);
    size_t used = 0;
    struct wire_message message;
    memset(&message, 0, sizeof message);
    status_t status = ST_OK;
    if (!wire_counts_fit(bytes, n_bytes) ||
        msgpack_unpack_next(&unpacked, bytes, n_bytes, &used) != MSGPACK_UNPACK_SUCCESS)
        status = error_set(err, ST_PROTOCOL, "truncated or malformed msgpack");
    else if (used != n_bytes)
        status = error_set(err, ST_PROTOCOL, "%zu bytes behind the message", n_bytes - used);
    else
        status = decode_map(&unpacked.data, &message, err);
    msgpack_unpacked_destroy(&unpacked); /* text points into `bytes`, not into the zone */
    if (status == ST_OK) *out = message;
    return status;
}
