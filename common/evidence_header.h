/* How every message of evidence begins: "IEV", its kind, the version, the identity. */
#ifndef COMMON_EVIDENCE_HEADER_H
#define COMMON_EVIDENCE_HEADER_H

#include "common/evidence.h"
#include "common/evidence_bytes.h"

enum evidence_kind {
    EVIDENCE_PARTIAL = 'P',
    EVIDENCE_BLOCK = 'B',
    EVIDENCE_THRESHOLDS = 'T',
    EVIDENCE_FROZEN = 'F'
};

enum { EVIDENCE_VERSION = 2, EVIDENCE_MAGIC_BYTES = 5 };
enum {
    EVIDENCE_HEADER_MAX_BYTES =
        EVIDENCE_MAGIC_BYTES + 2 * 8 + 2 + 9 * EVIDENCE_VARINT32_MAX /* identity */
};

unsigned char *evidence_put_magic(unsigned char *at, enum evidence_kind kind);
unsigned char *evidence_put_header(unsigned char *at, enum evidence_kind kind,
                                   const struct evidence_identity *identity);

/* Untrusted. ST_PROTOCOL: not evidence of this kind and version; ST_CORRUPT: the identity is cut
 * short or out of range. */
MUST_CHECK status_t evidence_get_magic(struct evidence_cursor *cursor, enum evidence_kind kind,
                                       struct error *err);
MUST_CHECK status_t evidence_get_header(struct evidence_cursor *cursor, enum evidence_kind kind,
                                        struct evidence_identity *identity, struct error *err);

#endif
