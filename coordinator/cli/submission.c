#define _XOPEN_SOURCE 700 /* realpath */
#include "coordinator/cli/submission.h"

#include "common/file.h"
#include "common/yaml_tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { KEY_BYTES = 16 };

/* A random UUID, version 4 (RFC 9562). */
static status_t random_key(char out[SUBMISSION_KEY_SIZE], struct error *err)
{
    unsigned char r[KEY_BYTES];
    if (getrandom(r, sizeof r, 0) != (ssize_t)sizeof r)
        return error_set(err, ST_IO, "random bytes: %s", strerror(errno));
    r[6] = (unsigned char)((r[6] & 0x0f) | 0x40);
    r[8] = (unsigned char)((r[8] & 0x3f) | 0x80);
    (void)snprintf(out, SUBMISSION_KEY_SIZE,
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

static status_t find_directory(const char *file, char out[SUBMISSION_PATH_SIZE], struct error *err)
{
    if (!file) {
        if (!getcwd(out, SUBMISSION_PATH_SIZE))
            return error_set(err, ST_IO, "current directory: %s", strerror(errno));
        return ST_OK;
    }
    char *real = realpath(file, NULL);
    char *slash = real ? strrchr(real, '/') : NULL;
    if (!slash || (size_t)(slash - real) >= SUBMISSION_PATH_SIZE) {
        free(real);
        return error_set(err, ST_IO, "%s: its directory cannot be found", file);
    }
    *(slash == real ? slash + 1 : slash) = '\0';
    memcpy(out, real, strlen(real) + 1);
    free(real);
    return ST_OK;
}

static status_t choose_key(struct submission *out, const struct cli_arguments *arguments,
                           struct error *err)
{
    if (!arguments->client_key) return random_key(out->key, err);
    if ((size_t)snprintf(out->key, sizeof out->key, "%s", arguments->client_key) >= sizeof out->key)
        return error_set(err, ST_BAD_INPUT, "--client-key: at most %d bytes",
                         SUBMISSION_KEY_SIZE - 1);
    return ST_OK;
}

status_t submission_read(struct submission *out, const char *file,
                         const struct cli_arguments *arguments, struct error *err)
{
    const bool is_stdin = strcmp(file, "-") == 0;
    out->name = is_stdin ? "(standard input)" : file;
    status_t status = is_stdin ? read_stdin(out, err)
                               : file_read(file, YAML_MAX_BYTES, &out->yaml, &out->n_bytes, err);
    if (status == ST_OK) status = find_directory(is_stdin ? NULL : file, out->directory, err);
    return status == ST_OK ? choose_key(out, arguments, err) : status;
}

status_t submission_take(struct submission *out, const char *name, char *yaml,
                         const struct cli_arguments *arguments, struct error *err)
{
    out->name = name;
    out->yaml = yaml;
    out->n_bytes = strlen(yaml);
    memcpy(out->directory, "/", sizeof "/");
    return choose_key(out, arguments, err);
}

void submission_fini(struct submission *submission)
{
    free(submission->yaml);
    submission->yaml = NULL;
}

status_t submission_parse(const struct submission *submission, struct sweep_spec **out,
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

status_t submission_send(const struct submission *submission, struct client *client,
                         json_t **answer, struct error *err)
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
