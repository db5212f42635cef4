#include "coordinator/sweep/call_index.h"

#include <criterion/criterion.h>
#include <string.h>

/* Ids whose first bytes collide often: only 7 different ones. */
static void id_of(uint32_t number, unsigned char out[CALL_ID_BYTES])
{
    memset(out, 0, CALL_ID_BYTES);
    out[0] = (unsigned char)(number % 7);
    memcpy(out + 20, &number, sizeof number);
}

Test(call_index, everybody_who_waits_is_told_once)
{
    enum { N = 20000, EACH = 3 };
    struct call_index *index = NULL;
    struct call_waiter waiter;
    unsigned char id[CALL_ID_BYTES];
    static unsigned told[N];
    cr_assert_eq(call_index_create(&index, NULL), ST_OK);
    for (uint32_t i = 0; i < N / 10; i++) /* few ids, all in seven chains: kept short here */
        for (uint32_t k = 0; k < EACH; k++) {
            id_of(i, id);
            cr_assert_eq(call_index_add(index, id, (struct call_waiter){&told[i], k}, NULL), ST_OK);
        }
    cr_expect_eq(call_index_count(index), N / 10 * EACH);
    for (uint32_t i = N / 10; i-- > 0;) {
        unsigned asks = 0;
        id_of(i, id);
        cr_assert(call_index_has(index, id));
        while (call_index_take(index, id, &waiter)) {
            cr_expect_eq(waiter.owner, (void *)&told[i]);
            asks |= 1u << waiter.ask;
            told[i]++;
        }
        cr_expect(told[i] == EACH && asks == 7, "id %u: %u told", i, told[i]);
        cr_expect(!call_index_has(index, id));
    }
    cr_expect_eq(call_index_count(index), 0);
    call_index_destroy(&index);
    cr_expect_null(index);
}

Test(call_index, taking_and_adding_by_turns_keeps_all_others)
{
    struct call_index *index = NULL;
    struct call_waiter waiter;
    unsigned char id[CALL_ID_BYTES];
    cr_assert_eq(call_index_create(&index, NULL), ST_OK);
    for (uint32_t i = 0; i < 3000; i++) {
        id_of(i, id);
        cr_assert_eq(call_index_add(index, id, (struct call_waiter){NULL, i}, NULL), ST_OK);
        if (i % 3 == 0) continue;
        id_of(i - 1, id);
        cr_expect(call_index_take(index, id, &waiter) && waiter.ask == i - 1);
    }
    for (uint32_t i = 0; i < 3000; i++) {
        id_of(i, id);
        cr_expect_eq(call_index_has(index, id), i % 3 == 2 || i == 2999, "%u", i);
    }
    call_index_destroy(&index);
}

Test(call_index, ids_are_64_hex_digits)
{
    char hex[HASH_HEX_SIZE];
    unsigned char id[CALL_ID_BYTES];
    char back[HASH_HEX_SIZE];
    (void)hash_sha256_hex("x", 1, hex);
    cr_assert(call_id_parse(hex, id));
    call_id_print(id, back);
    cr_expect_str_eq(back, hex);
    hex[63] = 'g';
    cr_expect(!call_id_parse(hex, id));
    hex[63] = '\0';
    cr_expect(!call_id_parse(hex, id));
    cr_expect(!call_id_parse("", id));
}
