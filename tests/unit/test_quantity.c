#include "common/quantity.h"

#include <criterion/criterion.h>
#include <math.h>

Test(quantity, reads_as_people_write_it)
{
    char out[QUANTITY_SIZE];
    cr_expect_str_eq(quantity_seconds(0.25, out), "0.2 s");
    cr_expect_str_eq(quantity_seconds(59.4, out), "59 s");
    cr_expect_str_eq(quantity_seconds(59.6, out), "1 min 00 s");
    cr_expect_str_eq(quantity_seconds(3599.7, out), "1 h 00 min");
    cr_expect_str_eq(quantity_seconds(NAN, out), "-");
    cr_expect_str_eq(quantity_bytes(512, out), "512 B");
    cr_expect_str_eq(quantity_bytes(1536.0 * 1024 * 1024, out), "1.5 GiB");
    cr_expect_str_eq(quantity_count(16384, out), "16,384");
    cr_expect_str_eq(quantity_count(999, out), "999");
    cr_expect_str_eq(quantity_count(-1234567, out), "-1,234,567");
    cr_expect_str_eq(quantity_dollars(0.0123, out), "$0.0123");
    cr_expect_str_eq(quantity_dollars(12.5, out), "$12.50");
    cr_expect_str_eq(quantity_percent(0.9999, out), "99 %",
                     "100 per cent only when it is complete");
    cr_expect_str_eq(quantity_percent(1, out), "100 %");
    cr_expect_str_eq(quantity_count(NAN, out), "-");
}
