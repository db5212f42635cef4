/* Sampling keys of windows, 64 at a time so that the loops have no tail. Included by
 * vector_body.h. */

enum { KEY_BLOCK = WINDOW_KEY_BLOCK };

static void window_keys(const struct window_keys_params *p)
{
    for (size_t block = 0; block < p->n_blocks; block++) {
        const uint64_t *number = p->number + block * KEY_BLOCK;
        uint64_t *key = p->key + block * KEY_BLOCK;
        uint64_t bits = 0;
        for (size_t i = 0; i < KEY_BLOCK; i++) key[i] = evidence_key(number[i], p->slot_number);
        for (size_t i = 0; i < KEY_BLOCK; i++) bits |= (uint64_t)(key[i] <= p->limit) << i;
        p->below[block] = bits;
    }
}
