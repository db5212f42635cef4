/* The local cluster: paths, process files, command lines, back-off. */
#include "coordinator/cli/cluster_process.h"
#include "coordinator/cli/process_file.h"
#include "coordinator/cli/process_start.h"
#include "coordinator/cli/supervisor.h"

#include <criterion/criterion.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

Test(cli_cluster_paths, sockets_lie_in_the_state_directory)
{
    struct cluster_paths paths;
    struct error err = {0};
    cr_assert_eq(cluster_paths_init(&paths, "/tmp/state/", &err), ST_OK, "%s", err.text);
    cr_expect_str_eq(paths.coordinator_endpoint, "ipc:///tmp/state/coordinator.sock");
    cr_expect_str_eq(paths.redis_url, "unix:/tmp/state/redis.sock");
}

Test(cli_cluster_paths, the_environment_says_where_else)
{
    struct cluster_paths paths;
    struct error err = {0};
    (void)unsetenv("INTERP_STATE");
    (void)setenv("HOME", "/home/ada", 1);
    (void)setenv("XDG_STATE_HOME", "", 1);
    cr_assert_eq(cluster_paths_init(&paths, NULL, &err), ST_OK, "%s", err.text);
    cr_expect_str_eq(paths.state, "/home/ada/.local/state/interp");
    (void)setenv("XDG_STATE_HOME", "/var/ada", 1);
    cr_assert_eq(cluster_paths_init(&paths, NULL, &err), ST_OK);
    cr_expect_str_eq(paths.state, "/var/ada/interp");
    (void)setenv("INTERP_STATE", "/srv/interp", 1);
    cr_assert_eq(cluster_paths_init(&paths, NULL, &err), ST_OK);
    cr_expect_str_eq(paths.state, "/srv/interp");
}

Test(cli_cluster_paths, a_socket_path_over_the_systems_limit_is_refused_with_the_excess)
{
    char state[128] = "/";
    const size_t n_longest = CLUSTER_SOCKET_PATH_MAX - strlen("/coordinator.sock");
    struct cluster_paths paths;
    struct error err = {0};
    memset(state + 1, 'x', n_longest - 1);
    cr_assert_eq(cluster_paths_init(&paths, state, &err), ST_OK, "%s", err.text);
    strcat(state, "yyy");
    cr_expect_eq(cluster_paths_init(&paths, state, &err), ST_BAD_INPUT);
    cr_expect(strstr(err.text, "shorter by 3 bytes") && strstr(err.text, "--state"), "%s",
              err.text);
}

/* --- processes ----------------------------------------------------------------------------- */

static pid_t start_sleep(void)
{
    const char *const argv[] = {"/bin/sleep", "60", NULL};
    const struct process_start start = {.argv = argv, .log_path = "/dev/null"};
    struct error err = {0};
    pid_t pid = 0;
    cr_assert_eq(process_start(&start, &pid, &err), ST_OK, "%s", err.text);
    return pid;
}

Test(cli_process_file, names_a_process_and_stops_exactly_it)
{
    char path[] = "/tmp/interp-test-pid-XXXXXX";
    struct process_identity identity, read;
    struct error err = {0};
    const int fd = mkstemp(path);
    const pid_t pid = start_sleep();
    cr_assert_geq(fd, 0);
    cr_assert_eq(process_identity_of(pid, &identity, &err), ST_OK, "%s", err.text);
    cr_assert_eq(process_file_write(path, &identity, &err), ST_OK, "%s", err.text);
    cr_assert_eq(process_file_read(path, &read, &err), ST_OK, "%s", err.text);
    cr_expect_eq(read.pid, pid);
    cr_expect_eq(read.start_ticks, identity.start_ticks);
    cr_expect(process_is_alive(&read));
    cr_expect(process_signal(&read, SIGTERM));
    siginfo_t info;
    cr_assert_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    cr_expect_not(process_is_alive(&read), "a zombie is gone");
    (void)waitpid(pid, NULL, 0);
    cr_expect_not(process_signal(&read, SIGTERM));
    (void)close(fd);
    (void)unlink(path);
}

Test(cli_process_file, a_recycled_number_is_never_signalled)
{
    struct process_identity identity;
    const pid_t pid = start_sleep();
    cr_assert_eq(process_identity_of(pid, &identity, NULL), ST_OK);
    struct process_identity earlier = identity, other = identity;
    earlier.start_ticks--; /* the same number and program, another life */
    (void)snprintf(other.program, sizeof other.program, "/usr/bin/redis-server");
    cr_expect_not(process_signal(&earlier, SIGKILL));
    cr_expect_not(process_signal(&other, SIGKILL));
    cr_expect(process_is_alive(&identity), "it was not hit");
    cr_expect(process_signal(&identity, SIGKILL));
    (void)waitpid(pid, NULL, 0);
}

Test(cli_process_file, refuses_what_is_no_process_file)
{
    static const char *const bad[] = {"",
                                      "12",
                                      "x 1 /bin/a\n",
                                      "12 y /bin/a\n",
                                      "-4 1 /bin/a\n",
                                      "12 99\n",
                                      "99999999999 1 /bin/a\n",
                                      "12 99 \n"};
    char path[] = "/tmp/interp-test-bad-XXXXXX";
    const int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct process_identity identity;
        struct error err = {0};
        cr_assert_eq(ftruncate(fd, 0), 0);
        cr_assert_eq(pwrite(fd, bad[i], strlen(bad[i]), 0), (ssize_t)strlen(bad[i]));
        cr_expect_eq(process_file_read(path, &identity, &err), ST_CORRUPT, "\"%s\"", bad[i]);
    }
    (void)close(fd);
    (void)unlink(path);
}

Test(cli_process_start, says_why_a_program_cannot_be_run)
{
    const char *const argv[] = {"/nonexistent/interp-worker", NULL};
    const struct process_start start = {.argv = argv, .log_path = "/dev/null"};
    struct error err = {0};
    pid_t pid = 0;
    cr_expect_eq(process_start(&start, &pid, &err), ST_IO);
    cr_expect(strstr(err.text, "/nonexistent/interp-worker") && strstr(err.text, "No such file"),
              "%s", err.text);
    cr_expect_eq(pid, 0);
}

Test(cli_process_start, the_child_inherits_nothing_but_its_log)
{
    char log[] = "/tmp/interp-test-log-XXXXXX", text[256] = "";
    const char *const argv[] = {"/bin/sh", "-c", "ls /proc/self/fd | wc -l; cat", NULL};
    struct error err = {0};
    pid_t pid = 0;
    int status, leak[2];
    const int fd = mkstemp(log);
    cr_assert_geq(fd, 0);
    cr_assert_eq(pipe(leak), 0);
    const struct process_start start = {.argv = argv, .log_path = log};
    cr_assert_eq(process_start(&start, &pid, &err), ST_OK, "%s", err.text);
    cr_assert_eq(waitpid(pid, &status, 0), pid, "standard input is empty, so cat ends");
    cr_assert_gt(pread(fd, text, sizeof text - 1, 0), 0);
    cr_expect_eq(atoi(text), 4, "0, 1, 2 and the one ls reads the directory with; got %s", text);
    (void)close(fd);
    (void)unlink(log);
}

/* --- plan ---------------------------------------------------------------------------------- */

Test(cli_cluster_process, lists_processes_in_the_order_of_their_start)
{
    static struct cluster_process processes[CLUSTER_MAX_PROCESSES];
    const struct cluster_options options = {.n_workers = 2, .n_gateways = 1};
    static const char *const want[] = {"redis", "coordinator", "gateway-1", "worker-1", "worker-2"};
    cr_assert_eq(cluster_processes(&options, processes), 5);
    for (size_t i = 0; i < 5; i++) cr_expect_str_eq(processes[i].name, want[i]);
}

Test(cli_cluster_process, options_win_over_the_file_and_the_file_over_defaults)
{
    struct cluster_options out;
    struct cluster_paths paths;
    struct error err = {0};
    const struct cluster_config config = {.workers = 3,
                                          .port = 8080,
                                          .durability = CLUSTER_FSYNC,
                                          .log = LOG_WARN,
                                          .captures_max_gib = 2.5};
    struct cli_arguments arguments = {
        .workers = -1, .gateways = -1, .port = -1, .captures_max_gib = NAN};
    cr_assert_eq(cluster_paths_init(&paths, "/tmp/interp-none", &err), ST_OK);
    cr_assert_eq(cluster_options_init(&out, &arguments, &config, &paths, &err), ST_OK, "%s",
                 err.text);
    cr_expect(out.n_workers == 3 && out.n_gateways == 0 && out.port == 8080);
    cr_expect(strcmp(out.durability, "fsync") == 0 && strcmp(out.log, "warn") == 0);
    cr_expect(out.captures_max_gib == 2.5);
    arguments = (struct cli_arguments){
        .workers = 1, .gateways = -1, .port = 0, .log = "debug", .captures_max_gib = 0.25};
    cr_assert_eq(cluster_options_init(&out, &arguments, &config, &paths, &err), ST_OK);
    cr_expect(out.n_workers == 1 && out.port == 0 && strcmp(out.log, "debug") == 0);
    cr_expect(out.captures_max_gib == 0.25);
    arguments = (struct cli_arguments){.workers = -1, .gateways = 2, .port = -1};
    cr_expect_eq(cluster_options_init(&out, &arguments, NULL, &paths, &err), ST_BAD_INPUT,
                 "gateways without providers");
}

Test(cli_cluster_process, the_coordinator_is_told_how_much_evidence_may_stay)
{
    static struct cluster_command command;
    struct cluster_options options = {.durability = "everysec", .log = "info"};
    const struct cluster_process coordinator = {"coordinator", CLUSTER_COORDINATOR, 0};
    struct cluster_paths paths;
    struct error err = {0};
    cr_assert_eq(cluster_paths_init(&paths, "/tmp/interp-none", &err), ST_OK);
    for (int is_limited = 0; is_limited < 2; is_limited++) {
        bool is_told = false;
        options.captures_max_gib = is_limited ? 0.125 : 0;
        cr_assert_eq(cluster_command_build(&command, &coordinator, &options, &paths, &err), ST_OK,
                     "%s", err.text);
        for (size_t i = 0; i + 1 < command.n; i++)
            is_told = is_told || (strcmp(command.argv[i], "--captures-max-gib") == 0 &&
                                  strcmp(command.argv[i + 1], "0.125") == 0);
        cr_expect_eq(is_told, is_limited == 1);
    }
}

Test(cli_cluster_process, listening_for_other_machines_needs_address_key_and_list)
{
    static const char *const all[] = {"tcp://10.0.0.5:7600", "/tmp", "/tmp"};
    const struct cluster_paths paths = {.state = "/nonexistent"};
    for (unsigned given = 1; given < 8; given++) {
        const struct cli_arguments arguments = {.listen = given & 1 ? all[0] : NULL,
                                                .listen_key = given & 2 ? all[1] : NULL,
                                                .allow = given & 4 ? all[2] : NULL,
                                                .workers = -1,
                                                .gateways = -1,
                                                .port = -1};
        struct cluster_options out;
        struct error err = {0};
        cr_expect_neq(cluster_options_init(&out, &arguments, NULL, &paths, &err), ST_OK);
        const char *want = given == 7 ? "/tmp" : "go together";
        cr_expect(strstr(err.text, want), "%u: %s", given, err.text);
    }
}

Test(cli_supervisor, backs_off_to_a_cap)
{
    cr_expect_eq(supervisor_delay_ms(1), 100);
    cr_expect_eq(supervisor_delay_ms(2), 200);
    cr_expect_eq(supervisor_delay_ms(5), 1600);
    cr_expect_eq(supervisor_delay_ms(8), 10000);
    cr_expect_eq(supervisor_delay_ms(4000000000u), 10000);
}

/* The exit codes of worker/README.md. */
Test(cli_supervisor, what_a_restart_cannot_mend_is_not_started_again)
{
    static const struct {
        const char *what;
        enum cluster_stage stage;
        int exit_code;
        unsigned n_restarts, n_failures;
        enum supervisor_state want;
    } cases[] = {
        {"drained", CLUSTER_WORKER, 0, 0, 0, SUPERVISOR_LEFT},
        {"a coordinator that ends", CLUSTER_COORDINATOR, 0, 0, 0, SUPERVISOR_WAITING},
        {"a sticky error of the device", CLUSTER_WORKER, 1, 0, 0, SUPERVISOR_WAITING},
        {"the tenth one", CLUSTER_WORKER, 1, 10, 10, SUPERVISOR_WAITING},
        {"wrong input", CLUSTER_GATEWAY, 2, 0, 0, SUPERVISOR_REFUSED},
        {"no usable device", CLUSTER_WORKER, 3, 0, 0, SUPERVISOR_UNUSABLE},
        {"a device in reset", CLUSTER_WORKER, 3, 1, 1, SUPERVISOR_WAITING},
        {"a device that was reset long ago", CLUSTER_WORKER, 3, 50, 9, SUPERVISOR_WAITING},
        {"a device that does not come back", CLUSTER_WORKER, 3, 50, 10, SUPERVISOR_UNUSABLE},
        {"a file of a coordinator", CLUSTER_COORDINATOR, 3, 0, 0, SUPERVISOR_WAITING},
        {"no coordinator", CLUSTER_WORKER, 4, 0, 0, SUPERVISOR_WAITING},
        {"killed", CLUSTER_WORKER, 137, 0, 0, SUPERVISOR_WAITING},
        {"adopted, code not known", CLUSTER_WORKER, -1, 0, 0, SUPERVISOR_WAITING},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const enum supervisor_state got = supervisor_state_after(
            cases[i].stage, cases[i].exit_code, cases[i].n_restarts, cases[i].n_failures);
        cr_expect_eq(got, cases[i].want, "%s: %s", cases[i].what, supervisor_state_name(got));
    }
}
