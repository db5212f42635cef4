#include "common/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t read_ns(clockid_t which)
{
    struct timespec now;
    (void)clock_gettime(which, &now); /* cannot fail for these two clocks */
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t system_monotonic_ns(void *context)
{
    (void)context;
    return read_ns(CLOCK_MONOTONIC);
}

static int64_t system_unix_ms(void *context)
{
    (void)context;
    return read_ns(CLOCK_REALTIME) / 1000000;
}

const struct clock *clock_system(void)
{
    static const struct clock system = {system_monotonic_ns, system_unix_ms, NULL};
    return &system;
}

int64_t clock_monotonic_ns(const struct clock *clock)
{
    return clock->monotonic_ns(clock->context);
}

int64_t clock_monotonic_ms(const struct clock *clock)
{
    return clock->monotonic_ns(clock->context) / 1000000;
}

int64_t clock_unix_ms(const struct clock *clock)
{
    return clock->unix_ms(clock->context);
}

char *clock_format_rfc3339(int64_t unix_ms, char out[CLOCK_RFC3339_SIZE])
{
    const int64_t ms = (unix_ms % 1000 + 1000) % 1000; /* also right before 1970 */
    const time_t seconds = (time_t)(unix_ms / 1000 - (unix_ms % 1000 < 0));
    struct tm utc;
    char date[CLOCK_RFC3339_SIZE];
    if (!gmtime_r(&seconds, &utc) || strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc) == 0)
        date[0] = '\0';
    (void)snprintf(out, CLOCK_RFC3339_SIZE, "%.24s.%03dZ", date, (int)ms);
    return out;
}
