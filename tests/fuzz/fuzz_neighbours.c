/* Any bytes as a unit of neighbours or as the answer to one: refused, or what comes back from its
 * own encoding. */
#include "common/neighbours.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { N_ALL = 20, N_SLOTS = 3 };

static void check_unit(const struct neighbours_unit *unit, const uint8_t *data, size_t size)
{
    struct buffer bytes;
    buffer_init(&bytes, 64);
    if (unit->n_slots == 0 || unit->n_slots > NEIGHBOURS_MAX_SLOTS) abort();
    if (neighbours_unit_encode(unit, &bytes, NULL) != ST_OK) abort();
    if (bytes.n_bytes != size || memcmp(bytes.bytes, data, size) != 0) abort();
    buffer_fini(&bytes);
}

static void check_answer(const struct neighbour *of, const uint8_t *data, size_t size)
{
    struct buffer bytes;
    struct neighbour again[N_SLOTS * EVIDENCE_NEIGHBOURS];
    const struct neighbours_unit asked = {0, 2, N_SLOTS};
    buffer_init(&bytes, NEIGHBOURS_MAX_BYTES);
    for (size_t i = 0; i < N_SLOTS * EVIDENCE_NEIGHBOURS; i++)
        if (of[i].slot != EVIDENCE_NO_SLOT &&
            (of[i].slot >= N_ALL || of[i].slot == 2 + i / EVIDENCE_NEIGHBOURS))
            abort();
    if (neighbours_answer_encode(of, N_SLOTS, &bytes, NULL) != ST_OK) abort();
    if (bytes.n_bytes != size || memcmp(bytes.bytes, data, 4) != 0) abort();
    if (neighbours_answer_decode(bytes.bytes, bytes.n_bytes, &asked, N_ALL, again, NULL) != ST_OK)
        abort();
    buffer_fini(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct neighbours_unit unit;
    struct neighbour of[N_SLOTS * EVIDENCE_NEIGHBOURS];
    const struct neighbours_unit asked = {0, 2, N_SLOTS};
    if (neighbours_unit_decode(data, size, &unit, NULL) == ST_OK) check_unit(&unit, data, size);
    if (neighbours_answer_decode(data, size, &asked, N_ALL, of, NULL) == ST_OK)
        check_answer(of, data, size);
    return 0;
}
