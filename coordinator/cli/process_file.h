/* Who a process is, so that a number which the kernel has given to somebody else is never
 * signalled: pid, start time and program, kept in a file and compared with /proc.
 *
 *   DIR/run/NAME.pid   one line: PID START_TICKS PROGRAM
 *
 * A zombie counts as gone. Any thread. */
#ifndef COORDINATOR_CLI_PROCESS_FILE_H
#define COORDINATOR_CLI_PROCESS_FILE_H

#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { PROCESS_PROGRAM_SIZE = 1024 };

struct process_identity {
    pid_t pid;
    uint64_t start_ticks; /* since boot, field 22 of /proc/PID/stat */
    char program[PROCESS_PROGRAM_SIZE];
};

/* The identity of a living process. Errors: ST_NOT_FOUND (no such process, or a zombie). */
MUST_CHECK status_t process_identity_of(pid_t pid, struct process_identity *out, struct error *err);
/* Does exactly this process still run? A program file that was replaced meanwhile is the same. */
bool process_is_alive(const struct process_identity *identity);
/* Send `signal_number` if it still runs. Returns whether it did. */
bool process_signal(const struct process_identity *identity, int signal_number);

/* Errors: ST_IO. */
MUST_CHECK status_t process_file_write(const char *path, const struct process_identity *identity,
                                       struct error *err);
/* Errors: ST_NOT_FOUND (no file), ST_CORRUPT. */
MUST_CHECK status_t process_file_read(const char *path, struct process_identity *out,
                                      struct error *err);

#endif
