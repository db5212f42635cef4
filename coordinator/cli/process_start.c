#define _GNU_SOURCE /* close_range */
#include "coordinator/cli/process_start.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REPORT_FD = 3 }; /* in the child: the pipe on which a failed exec tells its errno */

/* In the child: say why, and end. */
static _Noreturn void give_up(int report_fd)
{
    const int reason = errno;
    const ssize_t n = write(report_fd, &reason, sizeof reason);
    _exit(n == (ssize_t)sizeof reason ? 127 : 126);
}

/* In the child: never returns. */
static _Noreturn void become(const struct process_start *start, int log_fd, int report_fd,
                             pid_t parent)
{
    union { /* execv wants char *const[] for history's sake; it does not write */
        const char *const *given;
        char *const *taken;
    } argv = {.given = start->argv};
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    for (int number = 1; number < NSIG; number++) (void)signal(number, SIG_DFL);
    if (start->is_daemon)
        (void)setsid();
    else
        (void)setpgid(0, 0);
    if (start->dies_with_parent) {
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent) _exit(0); /* it was gone before we asked */
    }
    const int null_fd = open("/dev/null", O_RDONLY);
    if (null_fd < 0 || dup2(null_fd, 0) < 0 || dup2(log_fd, 1) < 0 || dup2(log_fd, 2) < 0)
        give_up(report_fd);
    if (report_fd != REPORT_FD && dup3(report_fd, REPORT_FD, O_CLOEXEC) < 0) give_up(report_fd);
    (void)close_range(REPORT_FD + 1, ~0U, 0);
    if (start->is_daemon && fork() != 0) _exit(0);
    (void)execv(argv.taken[0], argv.taken);
    give_up(REPORT_FD);
}

/* Wait until the program runs (the pipe closes) or could not be run. */
static status_t wait_for_exec(const struct process_start *start, int fd, struct error *err)
{
    int reason = 0;
    ssize_t n;
    do n = read(fd, &reason, sizeof reason);
    while (n < 0 && errno == EINTR);
    if (n == 0) return ST_OK;
    return error_set(err, ST_IO, "start %s: %s", start->argv[0],
                     n == (ssize_t)sizeof reason ? strerror(reason) : "unknown reason");
}

static status_t launch(const struct process_start *start, int log_fd, const int pipe_fds[2],
                       pid_t *pid, struct error *err)
{
    const pid_t parent = getpid();
    const pid_t child = fork();
    if (child == 0) become(start, log_fd, pipe_fds[1], parent);
    (void)close(pipe_fds[1]);
    if (child < 0) return error_set(err, ST_IO, "start %s: %s", start->argv[0], strerror(errno));
    const status_t status = wait_for_exec(start, pipe_fds[0], err);
    if (start->is_daemon || status != ST_OK) (void)waitpid(child, NULL, 0);
    if (status == ST_OK) *pid = start->is_daemon ? 0 : child;
    return status;
}

status_t process_start(const struct process_start *start, pid_t *pid, struct error *err)
{
    int pipe_fds[2];
    const int log_fd = open(start->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd < 0) return error_set(err, ST_IO, "open %s: %s", start->log_path, strerror(errno));
    if (pipe2(pipe_fds, O_CLOEXEC) != 0) {
        (void)close(log_fd);
        return error_set(err, ST_IO, "pipe: %s", strerror(errno));
    }
    const status_t status = launch(start, log_fd, pipe_fds, pid, err);
    (void)close(pipe_fds[0]);
    (void)close(log_fd);
    return status;
}
