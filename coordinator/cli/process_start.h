/* Start a program detached from whoever asked: own process group, nothing inherited but
 * standard input from /dev/null and output into a log file. */
#ifndef COORDINATOR_CLI_PROCESS_START_H
#define COORDINATOR_CLI_PROCESS_START_H

#include "common/error.h"

#include <stdbool.h>
#include <sys/types.h>

struct process_start {
    const char *const *argv; /* argv[0] is a path; NULL-terminated */
    const char *log_path;    /* appended to */
    bool is_daemon;          /* a session of its own, child of init: survives the caller */
    bool dies_with_parent;   /* SIGTERM when the caller ends; not with is_daemon */
};

/* Returns once the program runs. *pid is the child's; 0 for a daemon, which says itself who it
 * is. Errors: ST_IO, with the reason why it could not be run. */
MUST_CHECK status_t process_start(const struct process_start *start, pid_t *pid, struct error *err);

#endif
