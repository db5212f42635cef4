#define _GNU_SOURCE /* scandir, alphasort */
/* keys: new pairs, and the public keys of a directory. Needs no coordinator. */
#include "coordinator/cli/commands.h"
#include "coordinator/cli/document.h"
#include "coordinator/cli/json_field.h"
#include "coordinator/cli/status_text.h"
#include "coordinator/cli/text_table.h"

#include "common/file.h"
#include "common/key_file.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const char *directory_of(const struct cli_arguments *arguments)
{
    return arguments->dir ? arguments->dir : ".";
}

/* --- new ----------------------------------------------------------------------------------- */

static json_t *json_key(const struct key *key, const char *file)
{
    return json_pack("{s:s, s:s?, s:s, s:s}", "name", key->name, "role",
                     key->role ? key_role_name(key->role) : NULL, "public_key", key->public_text,
                     "file", file);
}

static status_t print_new(const struct cli *cli, const struct cli_arguments *arguments,
                          const struct key *key, struct error *err)
{
    const char *directory = directory_of(arguments);
    if (arguments->format == CLI_FORMAT_JSON) {
        char file[KEY_NAME_SIZE + 8];
        (void)snprintf(file, sizeof file, "%s.pub", key->name);
        json_t *document = json_key(key, file);
        const status_t status = document_print(cli->out, "Key", document, err);
        json_decref(document);
        return status;
    }
    if (arguments->quiet) return ST_OK;
    (void)fprintf(cli->out, "%s/%s.key  secret: stays where it is used\n", directory, key->name);
    (void)fprintf(cli->out, "%s/%s.pub  %s\n", directory, key->name,
                  key->role ? "goes into the coordinator's --allow directory"
                            : "goes to every worker and person, as --server-key");
    return ST_OK;
}

static status_t new_key(const struct cli *cli, const struct cli_arguments *arguments,
                        struct error *err)
{
    struct key key;
    if (arguments->n_positional < 2)
        return error_set(err, ST_BAD_INPUT, "keys new: an argument is missing: NAME");
    const enum key_role role = arguments->role ? key_role_parse(arguments->role) : KEY_NO_ROLE;
    status_t status = key_generate(arguments->positional[1], role, &key, err);
    if (status == ST_OK) status = key_write(&key, directory_of(arguments), err);
    if (status == ST_OK) status = print_new(cli, arguments, &key, err);
    return status;
}

/* --- list ---------------------------------------------------------------------------------- */

static int is_public_key_file(const struct dirent *file)
{
    const size_t n = strlen(file->d_name);
    return n > 4 && file->d_name[0] != '.' && strcmp(file->d_name + n - 4, ".pub") == 0;
}

/* A file that holds no key is listed with what is wrong with it. */
static json_t *json_file(const char *directory, const char *name)
{
    struct key key;
    struct error problem = {0};
    char *path = file_join(directory, name);
    json_t *row = NULL;
    if (path && key_load_public(path, &key, &problem) == ST_OK)
        row = json_key(&key, name);
    else if (path)
        row = json_pack("{s:s, s:s}", "file", name, "problem", problem.text);
    free(path);
    return row;
}

static status_t read_keys(const char *directory, json_t **out, struct error *err)
{
    struct dirent **files = NULL;
    json_t *rows = json_array();
    const int n = scandir(directory, &files, is_public_key_file, alphasort);
    status_t status = ST_OK;
    if (n < 0)
        status = error_set(err, errno == ENOENT ? ST_NOT_FOUND : ST_IO, "%s: %s", directory,
                           strerror(errno));
    for (int i = 0; i < n; i++) {
        if (status == ST_OK && json_array_append_new(rows, json_file(directory, files[i]->d_name)))
            status = error_set(err, ST_NO_MEMORY, "%s: list of keys", directory);
        free(files[i]);
    }
    free(files);
    if (status == ST_OK)
        *out = rows;
    else
        json_decref(rows);
    return status;
}

static status_t print_table(const struct cli *cli, const struct cli_arguments *arguments,
                            const json_t *rows, struct error *err)
{
    static const struct text_column columns[] = {{"FILE", false, false},
                                                 {"NAME", false, false},
                                                 {"ROLE", false, false},
                                                 {"PUBLIC KEY", false, true}};
    struct text_table *table = NULL;
    const struct text_table_style style = status_text_style(cli, arguments);
    status_t status = text_table_create(&table, columns, 4, err);
    for (size_t i = 0; i < json_array_size(rows) && status == ST_OK; i++) {
        const json_t *row = json_array_get(rows, i);
        const char *const cells[] = {
            json_field_text(row, "file", NULL), json_field_text(row, "name", NULL),
            json_field_text(row, "role", NULL),
            json_field_text(row, "public_key", json_field_text(row, "problem", NULL))};
        status = text_table_add_cells(table, cells, 4, err);
    }
    if (status == ST_OK) text_table_print(table, &style, cli->out);
    text_table_destroy(&table);
    return status;
}

static status_t list_keys(const struct cli *cli, const struct cli_arguments *arguments,
                          struct error *err)
{
    json_t *rows = NULL;
    const char *directory = directory_of(arguments);
    status_t status = read_keys(directory, &rows, err);
    if (status != ST_OK) return status;
    if (arguments->format == CLI_FORMAT_JSON) {
        json_t *document = json_pack("{s:O}", "keys", rows);
        status = document_print(cli->out, "KeyList", document, err);
        json_decref(document);
    } else if (arguments->quiet) {
        for (size_t i = 0; i < json_array_size(rows); i++)
            (void)fprintf(cli->out, "%s\n", json_field_text(json_array_get(rows, i), "file", "-"));
    } else if (json_array_size(rows) == 0) {
        (void)fprintf(cli->err, "no .pub files in %s\n", directory);
    } else {
        status = print_table(cli, arguments, rows, err);
    }
    json_decref(rows);
    return status;
}

status_t keys_command(struct cli *cli, const struct cli_arguments *arguments, struct error *err)
{
    const char *what = arguments->positional[0];
    if (strcmp(what, "new") == 0) return new_key(cli, arguments, err);
    if (strcmp(what, "list") == 0) return list_keys(cli, arguments, err);
    return error_set(err, ST_BAD_INPUT, "keys %s: one of new, list", what);
}
