#include "common/clock.h"

#include <criterion/criterion.h>

Test(clock, formats_unix_time_as_rfc3339)
{
    static const struct {
        int64_t unix_ms;
        const char *want;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {1767225600123, "2026-01-01T00:00:00.123Z"},
        {951827696999, "2000-02-29T12:34:56.999Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {253402300799999, "9999-12-31T23:59:59.999Z"},
    };
    char text[CLOCK_RFC3339_SIZE];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_str_eq(clock_format_rfc3339(cases[i].unix_ms, text), cases[i].want);
}

Test(clock, survives_times_beyond_the_calendar)
{
    char text[CLOCK_RFC3339_SIZE];
    cr_expect_eq(clock_format_rfc3339(INT64_MAX, text), text);
    cr_expect_eq(clock_format_rfc3339(INT64_MIN, text), text);
}

static int64_t fixed_ns(void *context)
{
    return *(int64_t *)context;
}

static int64_t fixed_ms(void *context)
{
    return *(int64_t *)context + 1;
}

Test(clock, asks_the_clock_it_is_given)
{
    int64_t now = 5999999;
    const struct clock clock = {fixed_ns, fixed_ms, &now};
    cr_expect_eq(clock_monotonic_ns(&clock), 5999999);
    cr_expect_eq(clock_monotonic_ms(&clock), 5);
    cr_expect_eq(clock_unix_ms(&clock), 6000000);
}

Test(clock, the_systems_time_does_not_go_back)
{
    const struct clock *system = clock_system();
    int64_t before = clock_monotonic_ns(system);
    for (int i = 0; i < 1000; i++) {
        const int64_t now = clock_monotonic_ns(system);
        cr_assert_geq(now, before);
        before = now;
    }
    cr_expect_gt(clock_unix_ms(system), 1700000000000);
}
