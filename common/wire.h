/* What the processes say to each other: one msgpack map per message, in one ZeroMQ frame,
 * sometimes followed by one frame of bulk bytes. WIRE.md beside this file is the full grammar
 * and changes in the same commit.
 *
 * Decoded text fields point into the frame that was decoded and live as long as it does.
 * Unknown keys are ignored; a missing or ill-typed one, and another protocol version, are
 * refused by name. Stateless; any thread. */
#ifndef COMMON_WIRE_H
#define COMMON_WIRE_H

#include "common/buffer.h"
#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WIRE_VERSION = 1,
    WIRE_MAX_HEADER_BYTES = 64 * 1024,
    WIRE_MAX_NAME_BYTES = 128,
    WIRE_MAX_TEXT_BYTES = 16 * 1024,
    WIRE_MAX_RANGES = 512, /* (low, high) pairs in one message */
    WIRE_MAX_BULK_BYTES = 256 * 1024 * 1024
};

enum wire_type {
    WIRE_HELLO,     /* worker -> coordinator: who I am */
    WIRE_HELD,      /* worker -> coordinator, right after HELLO: a lease I still have */
    WIRE_WELCOME,   /* coordinator -> worker: you are in; epoch and beat */
    WIRE_REFUSED,   /* coordinator -> peer: no, because ... ; the peer stops */
    WIRE_HEARTBEAT, /* worker -> coordinator: alive, and how far */
    WIRE_SPEC,      /* coordinator -> worker: what a task is (bulk: JSON) */
    WIRE_LEASE,     /* coordinator -> worker: run units [low, high) (bulk: parts) */
    WIRE_REVOKE,    /* coordinator -> worker: drop this lease */
    WIRE_SETTLED,   /* worker -> coordinator: these units are in the store */
    WIRE_FAILED,    /* worker -> coordinator: this unit failed, because ... */
    WIRE_DRAIN,     /* coordinator -> worker: finish what runs, take no more, leave */
    WIRE_BYE,       /* worker -> coordinator: leaving; unsettled leases go back */
    WIRE_REQUEST,   /* client -> coordinator: operation (bulk: JSON arguments) */
    WIRE_ANSWER,    /* coordinator -> client: status (bulk: JSON result, or error text) */
    WIRE_N_TYPES
};

struct wire_text {
    const char *bytes; /* [n_bytes], not NUL-terminated, borrowed */
    size_t n_bytes;
};

struct wire_ranges {
    size_t n; /* number of pairs */
    uint64_t low[WIRE_MAX_RANGES];
    uint64_t high[WIRE_MAX_RANGES];
};

/* One flat struct for every type; which fields a type carries is the table in wire.c and in
 * WIRE.md. Fields a type does not carry are zero after decoding. */
struct wire_message {
    enum wire_type type;
    uint64_t id;          /* request / answer: chosen by the client, echoed */
    uint64_t epoch;       /* leader's epoch */
    uint64_t lease;       /* lease id */
    uint64_t low, high;   /* units [low, high) */
    uint64_t unit;        /* one unit */
    uint64_t ticks;       /* progress of the run thread, monotone */
    uint64_t n_held;      /* how many HELD follow this HELLO */
    uint64_t n_open;      /* units of the lease that were not reported yet */
    uint64_t n_stored;    /* units newly stored by this settlement */
    uint64_t n_duplicate; /* units that another writer had stored before */
    uint64_t heartbeat_ms;
    uint64_t status; /* status_t of an answer or a failure */
    uint64_t pid;
    uint64_t n_threads;
    uint64_t memory_bytes;
    double seconds;           /* wall time spent on the settled units; finite, >= 0 */
    struct wire_text task;    /* task id: "sweep/phase" */
    struct wire_text name;    /* worker name, or the operation of a request */
    struct wire_text backend; /* "cpu", "cuda" */
    struct wire_text isa;     /* instruction set the results depend on: "avx512_bf16" ... */
    struct wire_text host;
    struct wire_text code_version;
    struct wire_text text;     /* error or reason */
    struct wire_text store;    /* Redis URL as the coordinator knows it */
    struct wire_ranges ranges; /* settled units [low, high) */
};

/* Append the encoded message to `out`. Text over its cap is ST_TOO_LARGE. */
MUST_CHECK status_t wire_encode(const struct wire_message *message, struct buffer *out,
                                struct error *err);

/* Decode one frame; *out is untouched on failure. Errors: ST_PROTOCOL (version, unknown type,
 * not a map, missing key, wrong type), ST_TOO_LARGE. */
MUST_CHECK status_t wire_decode(const void *bytes, size_t n_bytes, struct wire_message *out,
                                struct error *err);

/* Is this a message of another protocol version (rather than one that breaks the grammar)? */
int wire_is_other_version(const void *bytes, size_t n_bytes);

/* wire_scan.c: is this one msgpack value whose every count is covered by bytes that are there?
 * Asked before the library is, which believes a count and reserves memory for it. */
bool wire_counts_fit(const void *bytes, size_t n_bytes);

const char *wire_type_name(enum wire_type type); /* "HELLO"; "?" when out of range */
struct wire_text wire_text_of(const char *text); /* borrow a C string */
/* Copy into out[cap], NUL-terminated. False (and out = "") if it does not fit or holds NUL. */
int wire_text_copy(struct wire_text text, char *out, size_t cap);

/* --- bulk frames made of parts: u32 count, count x u64 sizes, then the bytes (all LE) ------ */
struct wire_parts {
    size_t n;
    const unsigned char *bytes; /* first part's first byte, borrowed */
    const unsigned char *sizes; /* little-endian u64 [n] */
};
MUST_CHECK status_t wire_parts_encode(const struct wire_text *parts, size_t n, struct buffer *out,
                                      struct error *err);
MUST_CHECK status_t wire_parts_decode(const void *bytes, size_t n_bytes, struct wire_parts *out,
                                      struct error *err);
/* index < n. Finding a part takes time in proportion to its index; its size does not. */
struct wire_text wire_part(const struct wire_parts *parts, size_t index);
size_t wire_part_size(const struct wire_parts *parts, size_t index);

#endif
