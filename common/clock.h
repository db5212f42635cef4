/* Time, passed in so that tests can hold it still.
 *
 * Deadlines use the monotonic clock; stamps that leave the process use unix time. A struct
 * clock is two function pointers and a context, borrowed by whoever needs time; clock_system()
 * is the real one. Thread-safe. */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stdint.h>

struct clock {
    int64_t (*monotonic_ns)(void *context);
    int64_t (*unix_ms)(void *context);
    void *context;
};

/* The system's clocks. Lives for ever; never NULL. */
const struct clock *clock_system(void);

int64_t clock_monotonic_ns(const struct clock *clock);
int64_t clock_monotonic_ms(const struct clock *clock);
int64_t clock_unix_ms(const struct clock *clock);

enum { CLOCK_RFC3339_SIZE = 32 };
/* Write `unix_ms` as "2026-01-31T12:00:00.123Z" into `out` [CLOCK_RFC3339_SIZE]; returns out. */
char *clock_format_rfc3339(int64_t unix_ms, char out[CLOCK_RFC3339_SIZE]);

#endif
