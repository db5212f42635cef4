/* Structured log lines: time, level, program, event name, key=value fields.
 *
 * One line per event, logfmt, to stderr or the file given at init. Only the boundary that
 * decides logs (main, a request or task handler); event names are stable. Values that hold
 * spaces, quotes or control bytes are quoted and escaped, so text from outside cannot forge a
 * line. Thread-safe: a line is one write(2). */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* Name the program and the lowest level that is written; `fd` is borrowed (2 for stderr). */
void log_init(const char *program, enum log_level level, int fd);

struct log_field {
    const char *key;
    const char *text; /* used if not NULL */
    int64_t number;   /* else this */
};
#define LOG_TEXT(key, value) ((struct log_field){(key), (value), 0})
#define LOG_NUMBER(key, value) ((struct log_field){(key), NULL, (int64_t)(value)})

/* Write one event. Use the LOG_* macros:
 *   log_event(LOG_INFO, "lease_granted", LOG_NUMBER("task_id", id), LOG_TEXT("worker", name)); */
void log_write(enum log_level level, const char *event, const struct log_field *fields,
               unsigned n_fields);
#define log_event(level, event, ...)                                                               \
    log_write(                                                                                     \
        (level), (event), (const struct log_field[]){__VA_ARGS__},                                 \
        (unsigned)(sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field)))

/* Parse "debug" | "info" | "warn" | "error"; returns -1 for anything else. */
int log_level_parse(const char *name);

#endif
