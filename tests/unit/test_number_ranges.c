#include "common/number_ranges.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

Test(number_ranges, writes_runs_as_ranges)
{
    static const uint32_t numbers[] = {0, 1, 2, 5, 7, 8, 4294967294u, 4294967295u};
    char *text = number_ranges_write(numbers, 8);
    cr_expect_str_eq(text, "0-2,5,7-8,4294967294-4294967295");
    free(text);
    text = number_ranges_write(numbers, 0);
    cr_expect_str_eq(text, "");
    free(text);
}

Test(number_ranges, reads_back_any_ascending_list)
{
    uint64_t state = 1;
    for (int round = 0; round < 200; round++) {
        uint32_t numbers[64], *read_back, next = 0;
        size_t n = 0, n_read;
        struct error err = {0};
        while (n < 64 && next < 500) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            next += 1 + (state >> 62 ? 0 : (uint32_t)(state >> 33) % 20);
            if (next < 500) numbers[n++] = next;
        }
        char *text = number_ranges_write(numbers, n);
        cr_assert_eq(number_ranges_read(text, 500, &read_back, &n_read, &err), ST_OK, "%s", text);
        cr_assert_eq(n_read, n);
        cr_assert_arr_eq(read_back, numbers, n * sizeof *numbers);
        free(read_back);
        free(text);
    }
}

Test(number_ranges, refuses_what_is_no_ascending_list_below_the_limit)
{
    static const char *const bad[] = {"",
                                      ",",
                                      "1,",
                                      ",1",
                                      "1,,2",
                                      "2-1",
                                      "2,2",
                                      "3,1",
                                      "1-",
                                      "-1",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "100",
                                      "99-100",
                                      "0-99999999999999999999",
                                      "18446744073709551616",
                                      "a",
                                      "1-2-3",
                                      "1;2"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint32_t *numbers = NULL;
        size_t n = 7;
        struct error err = {0};
        cr_expect_eq(number_ranges_read(bad[i], 100, &numbers, &n, &err), ST_BAD_INPUT, "\"%s\"",
                     bad[i]);
        cr_expect(numbers == NULL && n == 7, "\"%s\" touched the outputs", bad[i]);
    }
}
