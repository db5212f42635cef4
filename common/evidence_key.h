/* Sampling keys: uniform 64-bit numbers of (document, offset, slot). The windows of smallest
 * key are a uniform sample that does not depend on the order in which windows are met, and every
 * machine computes the same keys. One mix per (window, slot): the parts are mixed beforehand. */
#ifndef COMMON_EVIDENCE_KEY_H
#define COMMON_EVIDENCE_KEY_H

#include "common/hash.h"
#include "common/host_device.h"

#include <stdint.h>

#define EVIDENCE_SALT_SLOT UINT64_C(0x736c6f7400000000)
#define EVIDENCE_SALT_NEAR UINT64_C(0x6e6561726d697373)
#define EVIDENCE_SALT_NEIGHBOUR UINT64_C(0x6e65696768626f72)
#define EVIDENCE_SALT_DOCUMENT UINT64_C(0x646f63756d656e74)

/* The window's and the slot's part of the key. */
static HOST_DEVICE inline uint64_t evidence_window_number(uint64_t document_key,
                                                          uint32_t document_offset)
{
    return hash_mix64(document_key ^ hash_mix64(document_offset));
}

static HOST_DEVICE inline uint64_t evidence_slot_number(uint32_t slot)
{
    return hash_mix64(EVIDENCE_SALT_SLOT ^ slot);
}

/* The key of a window for a slot. */
static HOST_DEVICE inline uint64_t evidence_key(uint64_t window_number, uint64_t slot_number)
{
    return hash_mix64(window_number ^ slot_number);
}

/* The same window among near misses: an independent order, so that the sampled near misses are
 * not the sampled silent windows again. */
static HOST_DEVICE inline uint64_t evidence_near_key(uint64_t key)
{
    return hash_mix64(key ^ EVIDENCE_SALT_NEAR);
}

/* And among the windows in which a neighbour fires. */
static HOST_DEVICE inline uint64_t evidence_neighbour_key(uint64_t key)
{
    return hash_mix64(key ^ EVIDENCE_SALT_NEIGHBOUR);
}

/* Order of documents in the k-minimum-values set that counts them; the same for all slots. */
static HOST_DEVICE inline uint64_t evidence_document_number(uint64_t document_key)
{
    return hash_mix64(document_key ^ EVIDENCE_SALT_DOCUMENT);
}

/* One document's share of the sum by which sender and receiver of a message make sure that they
 * mean the same documents. */
static HOST_DEVICE inline uint64_t evidence_document_check(uint64_t document_key,
                                                           uint32_t document_index)
{
    return hash_mix64(document_key ^ hash_mix64(~(uint64_t)document_index));
}

#endif
