/* Sets of units, against a plain array of flags. */
#include "coordinator/queue/unit_set.h"

#include <criterion/criterion.h>
#include <string.h>

static struct error err;

Test(unit_set, holds_what_was_added_and_walks_it_in_order)
{
    static const size_t sizes[] = {0, 1, 7, 8, 9, 1000};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        const size_t n = sizes[s];
        bool plain[1000] = {false};
        struct unit_set set;
        cr_assert_eq(unit_set_init(&set, n, &err), ST_OK);
        for (size_t unit = 0; unit < n; unit += 1 + unit % 5) {
            plain[unit] = true;
            unit_set_add(&set, unit);
            unit_set_add(&set, unit); /* twice is once */
        }
        size_t n_members = 0, at = unit_set_next(&set, 0);
        for (size_t unit = 0; unit < n; unit++) {
            cr_expect_eq(unit_set_has(&set, unit), plain[unit], "%zu of %zu", unit, n);
            if (!plain[unit]) continue;
            n_members++;
            cr_expect_eq(at, unit);
            at = unit_set_next(&set, unit + 1);
        }
        cr_expect_eq(at, n);
        cr_expect_eq(set.n_members, n_members);
        unit_set_fini(&set);
    }
}

Test(unit_set, bytes_are_read_back_and_bytes_of_another_size_are_not)
{
    struct unit_set set, copy;
    struct buffer bytes;
    buffer_init(&bytes, 64);
    cr_assert_eq(unit_set_init(&set, 21, &err), ST_OK);
    cr_assert_eq(unit_set_init(&copy, 21, &err), ST_OK);
    unit_set_add(&set, 0);
    unit_set_add(&set, 13);
    unit_set_add(&set, 20);
    cr_assert_eq(unit_set_encode(&set, &bytes, &err), ST_OK);
    cr_assert_eq(unit_set_decode(&copy, bytes.bytes, bytes.n_bytes, &err), ST_OK);
    cr_expect_eq(copy.n_members, 3);
    cr_expect(unit_set_has(&copy, 13) && unit_set_has(&copy, 20) && !unit_set_has(&copy, 14));
    cr_expect_eq(unit_set_decode(&copy, bytes.bytes, bytes.n_bytes - 1, &err), ST_CORRUPT);
    bytes.bytes[2] = 0x20; /* unit 21 */
    cr_expect_eq(unit_set_decode(&copy, bytes.bytes, bytes.n_bytes, &err), ST_CORRUPT);
    cr_expect_eq(copy.n_members, 3, "unchanged");
    unit_set_clear(&copy);
    cr_expect_eq(unit_set_next(&copy, 0), 21);
    unit_set_fini(&set);
    unit_set_fini(&copy);
    buffer_fini(&bytes);
}
