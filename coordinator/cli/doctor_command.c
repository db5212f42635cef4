/* doctor: does this machine have what a cluster needs, and does the cluster answer? */
#include "common/quantity.h"
#include "coordinator/cli/cluster_devices.h"
#include "coordinator/cli/cluster_down.h"
#include "coordinator/cli/cluster_process.h"
#include "coordinator/cli/cluster_ready.h"
#include "coordinator/cli/cluster_stop.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/document.h"
#include "coordinator/cli/json_field.h"
#include "coordinator/cli/process_log.h"
#include "coordinator/cli/status_text.h"
#include "coordinator/cli/supervisor.h"
#include "coordinator/cli/text_table.h"

#include "common/version.h"

#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { DETAIL_SIZE = 600, MIN_FILES = 1024, MIN_REDIS_MAJOR = 7 };
static const double min_disk_bytes = 1024.0 * 1024 * 1024;
static const double min_memory_bytes = 1024.0 * 1024 * 1024;

enum verdict { FINE, WARNING, BROKEN };
static const char *const verdict_names[] = {"ok", "warning", "FAILED"};

struct doctor {
    struct cli *cli;
    const struct cli_arguments *arguments;
    struct cluster_paths paths;
    bool has_paths;
    struct error paths_error;
    json_t *checks; /* [{check, result, detail}] */
    bool is_broken;
};

static void tell(struct doctor *doctor, const char *check, enum verdict verdict, const char *detail)
{
    doctor->is_broken = doctor->is_broken || verdict == BROKEN;
    (void)json_array_append_new(doctor->checks,
                                json_pack("{s:s, s:s, s:s}", "check", check, "result",
                                          verdict_names[verdict], "detail", detail));
}

static void check_programs(struct doctor *doctor)
{
    static const char *const names[] = {"interp-coordinator", "interp-worker", "interp-gateway"};
    char path[CLUSTER_PATH_SIZE];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct error err = {0};
        if (cluster_find_program(names[i], path, &err) == ST_OK)
            tell(doctor, names[i], FINE, path);
        else
            tell(doctor, names[i], BROKEN, err.text);
    }
}

/* "Redis server v=7.0.15 sha=..." */
static void check_redis(struct doctor *doctor)
{
    struct error err = {0};
    char path[CLUSTER_PATH_SIZE], command[CLUSTER_PATH_SIZE + 32], line[256] = "";
    char detail[DETAIL_SIZE];
    if (cluster_find_program("redis-server", path, &err) != ST_OK) {
        tell(doctor, "redis-server", BROKEN, err.text);
        return;
    }
    FILE *pipe = NULL;
    if (!strchr(path, '\'')) { /* it is quoted for the shell */
        (void)snprintf(command, sizeof command, "'%s' --version", path);
        pipe = popen(command, "r");
    }
    if (pipe && !fgets(line, sizeof line, pipe)) line[0] = '\0';
    if (pipe) (void)pclose(pipe);
    const char *version = strstr(line, "v=");
    int64_t major = 0;
    char number[32] = "?";
    if (version)
        (void)snprintf(number, sizeof number, "%.*s", (int)strcspn(version + 2, " \n"),
                       version + 2);
    char first[8];
    (void)snprintf(first, sizeof first, "%.*s", (int)strcspn(number, "."), number);
    const bool is_known = cli_parse_count(first, "version", 0, 1000, &major, NULL) == ST_OK;
    (void)snprintf(detail, sizeof detail, "%.400s, version %s%s", path, number,
                   major < MIN_REDIS_MAJOR ? ": 7 or newer is what this was tested with" : "");
    tell(doctor, "redis-server", is_known && major >= MIN_REDIS_MAJOR ? FINE : WARNING, detail);
}

static void check_state(struct doctor *doctor)
{
    struct statvfs disk;
    char free_text[QUANTITY_SIZE], detail[DETAIL_SIZE], parent[CLUSTER_PATH_SIZE];
    if (!doctor->has_paths) {
        tell(doctor, "state directory", BROKEN, doctor->paths_error.text);
        return;
    }
    (void)snprintf(parent, sizeof parent, "%s", doctor->paths.state);
    while (access(parent, F_OK) != 0 && strlen(parent) > 1) { /* not made yet: its parent's disk */
        char *slash = strrchr(parent, '/');
        slash[slash == parent] = '\0';
    }
    if (access(parent, W_OK) != 0) {
        (void)snprintf(detail, sizeof detail, "%.500s cannot be written", parent);
        tell(doctor, "state directory", BROKEN, detail);
        return;
    }
    tell(doctor, "state directory", FINE, doctor->paths.state);
    if (statvfs(parent, &disk) != 0) return;
    const double n_free = (double)disk.f_bavail * (double)disk.f_frsize;
    (void)snprintf(detail, sizeof detail, "%s free", quantity_bytes(n_free, free_text));
    tell(doctor, "disk", n_free < min_disk_bytes ? WARNING : FINE, detail);
}

static void check_machine(struct doctor *doctor)
{
    struct rlimit files;
    char detail[DETAIL_SIZE], number[QUANTITY_SIZE];
    const long n_pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
    if (n_pages > 0 && page_bytes > 0) {
        const double n_bytes = (double)n_pages * (double)page_bytes;
        (void)snprintf(detail, sizeof detail, "%s", quantity_bytes(n_bytes, number));
        tell(doctor, "memory", n_bytes < min_memory_bytes ? WARNING : FINE, detail);
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        const bool is_low = files.rlim_cur < MIN_FILES;
        (void)snprintf(detail, sizeof detail, "%llu open files allowed%s",
                       (unsigned long long)files.rlim_cur,
                       is_low ? ": ulimit -n 4096 allows more" : "");
        tell(doctor, "limits", is_low ? WARNING : FINE, detail);
    }
}

/* Needed only where a cluster is to compute on GPUs. */
static void check_devices(struct doctor *doctor)
{
    struct error why = {.status = ST_OK}, err = {.status = ST_OK};
    char backend[CLUSTER_BACKEND_SIZE], detail[DETAIL_SIZE];
    const char *wanted = getenv("INTERP_BACKEND");
    const bool is_wanted = wanted && cluster_is_backend(wanted) && strcmp(wanted, "cpu") != 0;
    size_t n = 0;
    const status_t status =
        cluster_find_devices(is_wanted ? wanted : "auto", backend, &n, &why, &err);
    if (status != ST_OK || why.status != ST_OK) {
        tell(doctor, "devices", status != ST_OK ? BROKEN : FINE,
             status != ST_OK ? err.text : why.text);
        return;
    }
    (void)snprintf(detail, sizeof detail, "%zu of backend %s", n, backend);
    tell(doctor, "devices", FINE, detail);
}

static void check_locale(struct doctor *doctor)
{
    char detail[DETAIL_SIZE];
    (void)setlocale(LC_CTYPE, ""); /* what the user's terminal is told to speak */
    const char *charset = nl_langinfo(CODESET);
    const bool is_utf8 = strcmp(charset, "UTF-8") == 0;
    (void)snprintf(detail, sizeof detail, "%s%s", charset,
                   is_utf8 ? "" : ": labels hold UTF-8; export LC_ALL=C.UTF-8 shows them right");
    tell(doctor, "locale", is_utf8 ? FINE : WARNING, detail);
    (void)setlocale(LC_CTYPE, "C.UTF-8");
}

static void check_process(struct doctor *doctor, const json_t *member)
{
    const char *state = json_field_text(member, "state", "?");
    const char *name = json_field_text(member, "name", "?");
    const double n_restarts = json_field_number(member, "n_restarts");
    char detail[DETAIL_SIZE], why[DETAIL_SIZE / 2];
    if (cluster_down_is(member)) {
        process_log_reason(&doctor->paths, name, why, sizeof why);
        (void)snprintf(detail, sizeof detail, "stays down: %s; %s", why, cluster_down_cure);
        tell(doctor, name, WARNING, detail);
        return;
    }
    (void)snprintf(detail, sizeof detail, "%s, pid %.0f, started again %.0f times", state,
                   json_field_number(member, "pid"), n_restarts);
    tell(doctor, name, strcmp(state, "running") != 0 || n_restarts > 0 ? WARNING : FINE, detail);
}

/* What runs here, as its supervisor sees it. */
static void check_cluster(struct doctor *doctor)
{
    char detail[DETAIL_SIZE];
    if (!doctor->has_paths) return;
    const size_t n_running = cluster_count_running(&doctor->paths);
    if (!supervisor_is_running(&doctor->paths)) {
        (void)snprintf(detail, sizeof detail,
                       n_running ? "%zu processes run without their supervisor: `interpctl up` "
                                   "adopts them"
                                 : "not running",
                       n_running);
        tell(doctor, "local cluster", n_running ? WARNING : FINE, detail);
        return;
    }
    json_t *status = cluster_ready_status(&doctor->paths);
    const json_t *members = json_field(status, "processes");
    tell(doctor, "local cluster", FINE, "running");
    for (size_t i = 0; i < json_array_size(members); i++)
        check_process(doctor, json_array_get(members, i));
    json_decref(status);
}

static void check_endpoint(struct doctor *doctor)
{
    struct error err = {0};
    struct client *client = NULL;
    json_t *answer = NULL;
    char detail[DETAIL_SIZE];
    const struct client_request request = {"ping", NULL, true};
    status_t status = cli_connect(&client, doctor->cli, doctor->arguments, &err);
    if (status == ST_OK) status = client_ask(client, &request, &answer, &err);
    if (status != ST_OK) {
        const bool is_named = doctor->arguments->endpoint || status != ST_UNREACHABLE;
        tell(doctor, "coordinator", is_named ? BROKEN : WARNING, err.text);
    } else {
        const char *version = json_field_text(answer, "version", "?");
        const bool is_same = strcmp(version, version_text()) == 0;
        const bool has_store = json_field_is_true(answer, "is_store_up");
        (void)snprintf(detail, sizeof detail, "%s answers, version %s%s, store %s %s",
                       client_endpoint(client), version,
                       is_same ? "" : " (this interpctl is another version)",
                       json_field_text(answer, "store", "?"), has_store ? "up" : "AWAY");
        tell(doctor, "coordinator", !has_store ? BROKEN : is_same ? FINE : WARNING, detail);
    }
    json_decref(answer);
    client_close(&client);
}

static status_t print_checks(const struct doctor *doctor, struct error *err)
{
    static const struct text_column columns[] = {
        {"CHECK", false, false}, {"RESULT", false, false}, {"DETAIL", false, false}};
    struct text_table *table = NULL;
    struct text_table_style style = status_text_style(doctor->cli, doctor->arguments);
    style.wraps_last = true;
    status_t status = text_table_create(&table, columns, 3, err);
    for (size_t i = 0; i < json_array_size(doctor->checks) && status == ST_OK; i++) {
        const json_t *check = json_array_get(doctor->checks, i);
        status = text_table_add(table, json_field_text(check, "check", NULL), err);
        if (status == ST_OK)
            status = text_table_add(table, json_field_text(check, "result", NULL), err);
        if (status == ST_OK)
            status = text_table_add(table, json_field_text(check, "detail", NULL), err);
    }
    if (status == ST_OK) text_table_print(table, &style, doctor->cli->out);
    text_table_destroy(&table);
    return status;
}

status_t doctor_command(struct cli *cli, const struct cli_arguments *arguments, struct error *err)
{
    struct doctor doctor = {.cli = cli, .arguments = arguments, .checks = json_array()};
    if (!doctor.checks) return error_set(err, ST_NO_MEMORY, "doctor");
    doctor.has_paths =
        cluster_paths_init(&doctor.paths, arguments->state, &doctor.paths_error) == ST_OK;
    check_programs(&doctor);
    check_redis(&doctor);
    check_state(&doctor);
    check_machine(&doctor);
    check_devices(&doctor);
    check_locale(&doctor);
    check_cluster(&doctor);
    check_endpoint(&doctor);
    json_t *answer =
        json_pack("{s:b, s:O}", "is_healthy", (int)!doctor.is_broken, "checks", doctor.checks);
    status_t status = arguments->format == CLI_FORMAT_JSON
                          ? document_print(cli->out, "Checkup", answer, err)
                          : print_checks(&doctor, err);
    json_decref(answer);
    json_decref(doctor.checks);
    if (status == ST_OK && doctor.is_broken)
        status = error_set(err, ST_IO, "something is missing, see above");
    return status;
}
