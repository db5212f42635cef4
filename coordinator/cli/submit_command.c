#define _XOPEN_SOURCE 700 /* realpath */
/* submit: read the file, check it here, show the plan, send it once. */
#include "coordinator/cli/commands.h"
#include "coordinator/cli/document.h"
#include "coordinator/cli/json_field.h"
#include "coordinator/cli/plan_text.h"
#include "coordinator/cli/sweep_watch.h"

#include "common/file.h"
#include "common/yaml_tree.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { KEY_SIZE = 37, KEY_BYTES = 16, PATH_BYTES = 4096, STATE_POLL_MS = 500 };

/* A file as the coordinator wants it. */
struct submission {
    const char *name; /* as the user wrote it */
    char *yaml;       /* owned */
    size_t n_bytes;
    char directory[PATH_BYTES]; /* absolute; relative paths in the file start here */
    char key[KEY_SIZE];         /* random unless the user gave one */
};

/* A random UUID, version 4 (RFC 9562). */
static status_t random_key(char out[KEY_SIZE], struct error *err)
{
    unsigned char r[KEY_BYTES];
    if (getrandom(r, sizeof r, 0) != (ssize_t)sizeof r)
        return error_set(err, ST_IO, "random bytes: %s", strerror(errno));
    r[6] = (unsigned char)((r[6] & 0x0f) | 0x40);
    r[8] = (unsigned char)((r[8] & 0x3f) | 0x80);
    (void)snprintf(out, KEY_SIZE,
                   "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", r[0],
                   r[1], r[2], r[3], r[4], r[5], r[6], r[7], r[8], r[9], r[10], r[11], r[12], r[13],
                   r[14], r[15]);
    return ST_OK;
}

static status_t read_stdin(struct submission *out, struct error *err)
{
    struct buffer text;
    status_t status = ST_OK;
    buffer_init(&text, YAML_MAX_BYTES);
    for (;;) {
        char chunk[4096];
        const size_t n = fread(chunk, 1, sizeof chunk, stdin);
        if (n == 0) break;
        status = buffer_append(&text, chunk, n, err);
        if (status != ST_OK) break;
    }
    if (status == ST_OK && ferror(stdin))
        status = error_set(err, ST_IO, "standard input: %s", strerror(errno));
    out->n_bytes = text.n_bytes;
    if (status == ST_OK && !(out->yaml = strdup(text.n_bytes ? buffer_text(&text) : "")))
        status = error_set(err, ST_NO_MEMORY, "standard input");
    buffer_fini(&text);
    return status;
}

static status_t find_directory(const char *file, char out[PATH_BYTES], struct error *err)
{
    if (!file) {
        if (!getcwd(out, PATH_BYTES))
            return error_set(err, ST_IO, "current directory: %s", strerror(errno));
        return ST_OK;
    }
    char *real = realpath(file, NULL);
    char *slash = real ? strrchr(real, '/') : NULL;
    if (!slash || (size_t)(slash - real) >= PATH_BYTES) {
        free(real);
        return error_set(err, ST_IO, "%s: its directory cannot be found", file);
    }
    *(slash == real ? slash + 1 : slash) = '\0';
    memcpy(out, real, strlen(real) + 1);
    free(real);
    return ST_OK;
}

static status_t read_submission(struct submission *out, const struct cli_arguments *arguments,
                                struct error *err)
{
    const char *file = arguments->positional[0];
    const bool is_stdin = strcmp(file, "-") == 0;
    out->name = is_stdin ? "(standard input)" : file;
    status_t status = is_stdin ? read_stdin(out, err)
                               : file_read(file, YAML_MAX_BYTES, &out->yaml, &out->n_bytes, err);
    if (status == ST_OK) status = find_directory(is_stdin ? NULL : file, out->directory, err);
    if (status != ST_OK) return status;
    if (!arguments->client_key) return random_key(out->key, err);
    if ((size_t)snprintf(out->key, sizeof out->key, "%s", arguments->client_key) >= sizeof out->key)
        return error_set(err, ST_BAD_INPUT, "--client-key: at most %d bytes", KEY_SIZE - 1);
    return ST_OK;
}

static status_t parse(struct sweep_spec **out, const struct submission *submission,
                      struct error *err)
{
    const struct sweep_text text = {.yaml = submission->yaml,
                                    .n_bytes = submission->n_bytes,
                                    .name = submission->name,
                                    .directory = submission->directory};
    return sweep_spec_parse(out, &text, err);
}

/* --- sending ------------------------------------------------------------------------------- */

static json_t *submission_json(const struct submission *submission)
{
    return json_pack("{s:s%, s:s, s:s, s:s}", "yaml", submission->yaml, submission->n_bytes,
                     "directory", submission->directory, "file", submission->name, "client_key",
                     submission->key);
}

static status_t send(struct client *client, const struct submission *submission, json_t **answer,
                     struct error *err)
{
    json_t *arguments = submission_json(submission);
    if (!arguments) return error_set(err, ST_BAD_INPUT, "%s: not UTF-8", submission->name);
    const struct client_request request = {"submit", arguments, true};
    const status_t status = client_ask(client, &request, answer, err);
    json_decref(arguments);
    if (status == ST_UNREACHABLE)
        return error_wrap(err, "%s was not confirmed; repeating with --client-key %s is safe",
                          submission->name, submission->key);
    return status;
}

static status_t report(struct cli *cli, const struct cli_arguments *arguments, const json_t *answer,
                       struct error *err)
{
    const char *sweep = json_field_text(answer, "sweep", "");
    if (arguments->format == CLI_FORMAT_JSON)
        return document_print(cli->out, "Submission", answer, err);
    (void)fprintf(cli->out, "%s\n", sweep);
    (void)fflush(cli->out);
    if (arguments->quiet) return ST_OK;
    if (!json_field_is_true(answer, "is_new"))
        (void)fprintf(cli->err, "this key was accepted before: it is the same sweep\n");
    else if (!arguments->wait)
        (void)fprintf(cli->err,
                      "accepted. `interpctl status %s --watch` follows it, "
                      "`interpctl results %s` shows labels as they come\n",
                      sweep, sweep);
    return ST_OK;
}

static status_t submit_and_wait(struct cli *cli, const struct cli_arguments *arguments,
                                const struct submission *submission, struct error *err)
{
    struct client *client = NULL;
    json_t *answer = NULL, *last = NULL;
    struct cli_arguments connection = *arguments;
    if (arguments->wait) connection.timeout_s = NAN; /* it bounds the wait, not one answer */
    status_t status = cli_connect(&client, cli, &connection, err);
    if (status == ST_OK) status = send(client, submission, &answer, err);
    if (status == ST_OK) status = report(cli, arguments, answer, err);
    if (status == ST_OK && arguments->wait) {
        const struct sweep_watch_params params = {.sweep = json_field_text(answer, "sweep", ""),
                                                  .timeout_s = arguments->timeout_s,
                                                  .interval_ms = STATE_POLL_MS,
                                                  .is_quiet = arguments->quiet};
        status = sweep_watch_wait(cli, client, &params, &last, err);
    }
    json_decref(last);
    json_decref(answer);
    client_close(&client);
    return status;
}

/* The plan before it is sent. What cannot be read here may well be there where the coordinator
 * runs, which decides: then it is said, and sent all the same. */
static void show_plan(const struct cli *cli, const struct cli_arguments *arguments,
                      const struct sweep_spec *spec)
{
    struct error err = {0};
    if (plan_text_print(arguments, cli->err, spec, &err) != ST_OK)
        (void)fprintf(cli->err, "no estimate from here: %s\n", err.text);
}

status_t submit_command(struct cli *cli, const struct cli_arguments *arguments, struct error *err)
{
    struct submission submission = {0};
    struct sweep_spec *spec = NULL;
    status_t status = read_submission(&submission, arguments, err);
    if (status == ST_OK) status = parse(&spec, &submission, err);
    if (status == ST_OK && arguments->dry_run) {
        status = plan_text_print(arguments, cli->out, spec, err);
    } else if (status == ST_OK) {
        if (!arguments->quiet) show_plan(cli, arguments, spec);
        status = submit_and_wait(cli, arguments, &submission, err);
    }
    sweep_spec_free(&spec);
    free(submission.yaml);
    return status;
}
