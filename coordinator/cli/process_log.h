/* What a process of the local cluster said last. Any thread. */
#ifndef COORDINATOR_CLI_PROCESS_LOG_H
#define COORDINATOR_CLI_PROCESS_LOG_H

#include "coordinator/cli/cluster_paths.h"

#include <stddef.h>

/* The last line that is not empty of the log of the process `name`, cut to fit out[cap];
 * "(nothing logged)" if there is none. */
void process_log_last_line(const struct cluster_paths *paths, const char *name, char *out,
                           size_t cap);

/* The same without what stands before its error (`... error="why"`: why); the line where it tells
 * of none. */
void process_log_reason(const struct cluster_paths *paths, const char *name, char *out, size_t cap);

#endif
