#define _GNU_SOURCE /* syscall */
#include "coordinator/cli/process_file.h"

#include "common/file.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { STAT_MAX_BYTES = 4096, FILE_MAX_BYTES = 4096, START_FIELD = 22, STATE_FIELD = 3 };
static const char deleted[] = " (deleted)";

/* Field `number` of /proc/PID/stat; the fields follow the last ')', since names hold anything. */
static const char *stat_field(const char *stat, int number)
{
    const char *at = strrchr(stat, ')');
    for (int field = 2; at && field < number; field++) {
        at = strchr(at, ' ');
        at = at ? at + 1 : NULL;
    }
    return at;
}

static bool read_stat(pid_t pid, uint64_t *start_ticks)
{
    char path[64], stat[STAT_MAX_BYTES];
    (void)snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    FILE *file = fopen(path, "re");
    if (!file) return false;
    const size_t n = fread(stat, 1, sizeof stat - 1, file);
    (void)fclose(file); /* read-only */
    stat[n] = '\0';
    const char *state = stat_field(stat, STATE_FIELD), *start = stat_field(stat, START_FIELD);
    if (!state || !start || *state == 'Z' || *state == 'X') return false;
    *start_ticks = strtoull(start, NULL, 10);
    return *start_ticks > 0;
}

static bool read_program(pid_t pid, char out[PROCESS_PROGRAM_SIZE])
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%ld/exe", (long)pid);
    const ssize_t n = readlink(path, out, PROCESS_PROGRAM_SIZE - 1);
    if (n <= 0) return false;
    out[n] = '\0';
    const size_t n_suffix = sizeof deleted - 1;
    if ((size_t)n > n_suffix && strcmp(out + n - n_suffix, deleted) == 0)
        out[(size_t)n - n_suffix] = '\0';
    return true;
}

status_t process_identity_of(pid_t pid, struct process_identity *out, struct error *err)
{
    struct process_identity found = {.pid = pid};
    if (pid <= 0 || !read_stat(pid, &found.start_ticks) || !read_program(pid, found.program))
        return error_set(err, ST_NOT_FOUND, "no process %ld", (long)pid);
    *out = found;
    return ST_OK;
}

bool process_is_alive(const struct process_identity *identity)
{
    struct process_identity now;
    return process_identity_of(identity->pid, &now, NULL) == ST_OK &&
           now.start_ticks == identity->start_ticks && strcmp(now.program, identity->program) == 0;
}

/* The descriptor is opened before the check, so the signal goes to the process that was checked
 * even if it ends meanwhile. */
bool process_signal(const struct process_identity *identity, int signal_number)
{
    const int fd = (int)syscall(SYS_pidfd_open, identity->pid, 0);
    if (fd < 0) return false;
    const bool is_sent = process_is_alive(identity) &&
                         syscall(SYS_pidfd_send_signal, fd, signal_number, NULL, 0) == 0;
    (void)close(fd);
    return is_sent;
}

status_t process_file_write(const char *path, const struct process_identity *identity,
                            struct error *err)
{
    char line[PROCESS_PROGRAM_SIZE + 64];
    const int n = snprintf(line, sizeof line, "%ld %" PRIu64 " %s\n", (long)identity->pid,
                           identity->start_ticks, identity->program);
    return file_write_atomic(path, line, (size_t)n, err);
}

status_t process_file_read(const char *path, struct process_identity *out, struct error *err)
{
    char *text = NULL;
    struct process_identity read = {0};
    status_t status = file_read(path, FILE_MAX_BYTES, &text, NULL, err);
    if (status != ST_OK) return status;
    char *end;
    errno = 0;
    const long pid = strtol(text, &end, 10);
    const bool has_pid = *end == ' ' && pid > 0 && pid <= INT32_MAX && !errno;
    read.start_ticks = has_pid ? strtoull(end + 1, &end, 10) : 0;
    const bool has_start = has_pid && *end == ' ' && read.start_ticks > 0 && !errno;
    const char *program = has_start ? end + 1 : "";
    const size_t n = strcspn(program, "\n");
    if (n == 0 || n >= sizeof read.program) {
        status = error_set(err, ST_CORRUPT, "%s: not a process file", path);
    } else {
        read.pid = (pid_t)pid;
        memcpy(read.program, program, n);
        *out = read;
    }
    free(text);
    return status;
}
