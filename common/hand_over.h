/* What goes from one thread to another through a libzmq socket is ordered by the socket, which
 * ThreadSanitizer cannot see, because libzmq is not built with it. These two say it, and are
 * nothing in other builds: what was written before hand_over(p) may be read after take_over(p). */
#ifndef COMMON_HAND_OVER_H
#define COMMON_HAND_OVER_H

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>

static inline void hand_over(void *what)
{
    __tsan_release(what);
}

static inline void take_over(void *what)
{
    __tsan_acquire(what);
}
#else
static inline void hand_over(const void *what)
{
    (void)what;
}

static inline void take_over(const void *what)
{
    (void)what;
}
#endif

#endif
