/* Which parts a record's bytes hold, for its encoder and decoder. */
#ifndef COMMON_EVIDENCE_RECORD_PARTS_H
#define COMMON_EVIDENCE_RECORD_PARTS_H

enum {
    EVIDENCE_PART_COUNTS = 1 << 0,    /* statistics: some value > 0 */
    EVIDENCE_PART_POSITIONS = 1 << 1, /* firing tokens by position */
    EVIDENCE_PART_FIRING = 1 << 2,
    EVIDENCE_PART_SILENT = 1 << 3,
    EVIDENCE_PART_NEAR_MISS = 1 << 4,
    EVIDENCE_PART_HARD = 1 << 5,
    EVIDENCE_PART_NEIGHBOUR = 1 << 6,
    EVIDENCE_PARTS_ALL = (1 << 7) - 1
};

#endif
