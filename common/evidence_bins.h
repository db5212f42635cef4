/* Fixed bins, found from the bits of the number: exact on every machine, no logarithms.
 *
 * Values > 0 fall into 256 value bins from 2^-16 to 2^16, eight to the octave (each octave cut
 * into eight equal parts), lower edge exclusive and upper edge inclusive, so that "value > edge"
 * is a sum of whole bins. Smaller and larger values are clamped to the first and the last bin.
 * Four value bins make one of the 64 half-octave reservoir bins. Positions in a row fall into
 * buckets: 0..7 exact, then four to the octave. */
#ifndef COMMON_EVIDENCE_BINS_H
#define COMMON_EVIDENCE_BINS_H

#include "common/host_device.h"

#include <stdint.h>
#include <string.h>

enum { EVIDENCE_VALUE_BINS = 256, EVIDENCE_RESERVOIR_BINS = 64, EVIDENCE_POSITION_BUCKETS = 64 };

static HOST_DEVICE inline uint32_t evidence_float_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* `value` finite and > 0: its bin in [0, EVIDENCE_VALUE_BINS). */
static HOST_DEVICE inline uint32_t evidence_value_bin(float value)
{
    const uint32_t first = (127u - 16u) << 3; /* of 2^-16, in units of an eighth of an octave */
    const uint32_t step = (evidence_float_bits(value) - 1u) >> 20;
    if (step < first) return 0;
    return step - first < EVIDENCE_VALUE_BINS ? step - first : EVIDENCE_VALUE_BINS - 1;
}

static HOST_DEVICE inline uint32_t evidence_reservoir_bin(float value)
{
    return evidence_value_bin(value) / (EVIDENCE_VALUE_BINS / EVIDENCE_RESERVOIR_BINS);
}

/* Upper (inclusive) edge of a value bin. */
static inline float evidence_value_edge(uint32_t bin)
{
    const uint32_t bits = (((127u - 16u) << 3) + bin + 1u) << 20;
    float edge;
    memcpy(&edge, &bits, sizeof edge);
    return edge;
}

/* `position` in the row, 0-based: its bucket in [0, EVIDENCE_POSITION_BUCKETS). */
static inline uint32_t evidence_position_bucket(uint32_t position)
{
    if (position < 8) return position;
    const uint32_t octave = 31u - (uint32_t)__builtin_clz(position); /* >= 3 */
    const uint32_t bucket = 8u + (octave - 3u) * 4u + ((position >> (octave - 2u)) & 3u);
    return bucket < EVIDENCE_POSITION_BUCKETS ? bucket : EVIDENCE_POSITION_BUCKETS - 1;
}

#endif
