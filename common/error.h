/* What went wrong, on which object, and why.
 *
 * Every fallible function returns a status_t and fills a struct error with one line that a
 * user can act on. The first error wins: error_set() on an error that is already set keeps the
 * old text, so cleanup code cannot hide the cause. Callers that know more put it in front
 * with error_wrap(). Low layers never log and never exit. Any thread; no shared state. */
#ifndef COMMON_ERROR_H
#define COMMON_ERROR_H

typedef enum {
    ST_OK = 0,
    ST_BAD_INPUT,   /* a value from outside is wrong: file, YAML, wire, argument */
    ST_NOT_FOUND,   /* the named thing does not exist */
    ST_UNSUPPORTED, /* understood, and refused by name */
    ST_CORRUPT,     /* a file or message contradicts itself */
    ST_IO,          /* the operating system said no */
    ST_NO_MEMORY,
    ST_TOO_LARGE,   /* over a named cap */
    ST_UNREACHABLE, /* peer, Redis or provider does not answer */
    ST_TIMEOUT,
    ST_CONFLICT, /* the state does not allow it (fence, duplicate, already done) */
    ST_BUSY,     /* a bounded queue is full: retry later */
    ST_PROTOCOL, /* a peer speaks another version or breaks the grammar */
    ST_CANCELLED,
    ST_INTERNAL /* a bug of ours, reported instead of crashing */
} status_t;

enum { ERROR_TEXT_MAX = 512 };

struct error {
    status_t status;
    char text[ERROR_TEXT_MAX];
};

#define MUST_CHECK __attribute__((warn_unused_result))

/* Forget whatever `err` holds. NULL-safe. */
void error_clear(struct error *err);

/* Record `status` and the formatted text unless `err` already holds an error; control bytes
 * become '?', so that text from outside cannot break a log line. Returns `status`, so that
 * `return error_set(...)` reads well. err may be NULL. */
status_t error_set(struct error *err, status_t status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Put "formatted text: " in front of the recorded error. Returns its status (ST_INTERNAL if
 * nothing was recorded, so that a wrapped failure never reads as success). */
status_t error_wrap(struct error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#ifdef __clang_analyzer__
/* The static analyser sees one file at a time: tell it what these return. */
#define error_set(err, status, ...) ((void)(error_set)((err), (status), __VA_ARGS__), (status))
static inline status_t error_wrap_seen(status_t status)
{
    if (status == ST_OK) __builtin_unreachable();
    return status;
}
#define error_wrap(...) error_wrap_seen((error_wrap)(__VA_ARGS__))
#endif

/* Stable lower-case name of a status: "bad_input", "not_found", ... Never NULL. */
const char *status_name(status_t status);

/* The exit code of a command that failed so: 0 ok, 1 failed, 2 usage or bad input,
 * 3 not found, 4 unreachable, 5 conflict, 124 timeout. */
int status_exit_code(status_t status);

#endif
