/* export: labels as other tools read them (README.md says how they look).
 *
 *   jsonl        DIR/labels.jsonl: what mode score_only reads
 *   delphi       DIR/HOOK_latentN.txt, a JSON text each: delphi's explanation_loader
 *   neuronpedia  DIR/MODEL/SOURCE/{explanations,features}/batch-0.jsonl.gz, SOURCE as "0-planted"
 */
#include "coordinator/cli/commands.h"
#include "coordinator/cli/document.h"
#include "coordinator/cli/json_field.h"
#include "coordinator/cli/sweep_kind.h"
#include "coordinator/cli/sweep_rows.h"
#include "coordinator/cli/sweep_watch.h"

#include "common/file.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { NAME_SIZE = 512, LINE_MAX_BYTES = 1 << 20 };

struct export
{
    const char *format, *directory, *sweep;
    FILE *lines;                   /* jsonl */
    gzFile explanations, features; /* neuronpedia, of the present source */
    char source[NAME_SIZE];        /* the present one's directory, "" before the first */
    json_t *sources;               /* path -> target, owned */
    char created_at[40];
    size_t n_labels;
};

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

/* --- our own lines ------------------------------------------------------------------------- */

static status_t write_line(struct export *self, const json_t *record, uint32_t target,
                           struct error *err)
{
    json_t *line = json_pack("{s:O, s:O, s:I, s:O*}", "feature", json_object_get(record, "feature"),
                             "label", json_object_get(record, "label"), "target",
                             (json_int_t)target, "type", json_field(record, "type"));
    const bool is_written = line &&
                            json_dumpf(line, self->lines, JSON_COMPACT | JSON_SORT_KEYS) == 0 &&
                            fputc('\n', self->lines) != EOF;
    json_decref(line);
    return is_written ? ST_OK : error_set(err, ST_IO, "%s/labels.jsonl", self->directory);
}

/* --- delphi -------------------------------------------------------------------------------- */

static status_t write_latent(const struct export *self, const json_t *record, struct error *err)
{
    char name[NAME_SIZE];
    const char *hook = json_field_text(record, "target.hook_point", "hook");
    (void)snprintf(name, sizeof name, "%.400s_latent%.0f.txt", hook,
                   json_field_number(record, "feature"));
    if (strchr(name, '/')) return error_set(err, ST_BAD_INPUT, "\"%.80s\" is no file name", hook);
    char *path = file_join(self->directory, name);
    char *text = json_dumps(json_object_get(record, "label"), JSON_ENCODE_ANY);
    const status_t status = path && text ? file_write_atomic(path, text, strlen(text), err)
                                         : error_set(err, ST_NO_MEMORY, "%s", name);
    free(text);
    free(path);
    return status;
}

/* --- Neuronpedia --------------------------------------------------------------------------- */

/* "6-res-jb": the layer, then what the dictionary (or the kind of unit) is called. */
static void source_of(const json_t *record, char out[NAME_SIZE])
{
    const char *hook = json_field_text(record, "target.hook_point", "");
    const char *dictionary = json_field_text(record, "target.dictionary", NULL);
    const bool has_layer = strncmp(hook, "blocks.", 7) == 0;
    (void)snprintf(out, NAME_SIZE, "%ld-%.200s", has_layer ? strtol(hook + 7, NULL, 10) : 0L,
                   dictionary ? last_part(dictionary) : last_part(hook));
}

static status_t close_batch(gzFile *file, struct error *err)
{
    const int failed = *file ? gzclose(*file) : Z_OK;
    *file = NULL;
    return failed == Z_OK ? ST_OK : error_set(err, ST_IO, "a batch cannot be written");
}

static status_t open_batch(const struct export *self, const char *kind, gzFile *out,
                           struct error *err)
{
    char path[2 * NAME_SIZE];
    (void)snprintf(path, sizeof path, "%.*s/%s", NAME_SIZE - 1, self->source, kind);
    status_t status = file_make_directories(path, err);
    if (status != ST_OK) return status;
    (void)snprintf(path, sizeof path, "%.*s/%s/batch-0.jsonl.gz", NAME_SIZE - 1, self->source,
                   kind);
    *out = gzopen(path, "wb");
    return *out ? ST_OK : error_set(err, ST_IO, "%s: %s", path, strerror(errno));
}

static status_t close_source(struct export *self, struct error *err)
{
    const status_t first = close_batch(&self->explanations, err);
    const status_t second = close_batch(&self->features, err);
    return first == ST_OK ? second : first;
}

/* Two targets of one source would be one file: the second is refused, not mixed in. */
static status_t check_source(struct export *self, const char *path, uint32_t target,
                             struct error *err)
{
    const json_t *owner = json_object_get(self->sources, path);
    if (owner && json_integer_value(owner) != (json_int_t)target)
        return error_set(err, ST_BAD_INPUT, "targets %lld and %u would both be %s",
                         (long long)json_integer_value(owner), target, path);
    if (!owner && json_object_set_new(self->sources, path, json_integer(target)) != 0)
        return error_set(err, ST_NO_MEMORY, "export");
    return ST_OK;
}

static status_t follow_source(struct export *self, const json_t *record, uint32_t target,
                              struct error *err)
{
    char source[NAME_SIZE], path[NAME_SIZE];
    source_of(record, source);
    const int n = snprintf(path, sizeof path, "%s/%s/%s", self->directory,
                           last_part(json_field_text(record, "target.model", "model")), source);
    if (n < 0 || (size_t)n >= sizeof path)
        return error_set(err, ST_BAD_INPUT, "--dir: too long a path");
    status_t status = check_source(self, path, target, err);
    if (status != ST_OK || strcmp(path, self->source) == 0) return status;
    status = close_source(self, err);
    memcpy(self->source, path, sizeof path);
    if (status == ST_OK) status = open_batch(self, "explanations", &self->explanations, err);
    return status == ST_OK ? open_batch(self, "features", &self->features, err) : status;
}

static status_t put(gzFile file, json_t *line, struct error *err)
{
    char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
    const bool is_written = text && gzputs(file, text) > 0 && gzputc(file, '\n') > 0;
    free(text);
    json_decref(line);
    return is_written ? ST_OK : error_set(err, ST_IO, "a batch cannot be written");
}

static json_t *explanation_of(const struct export *self, const json_t *record, const char *model,
                              const char *index)
{
    char id[NAME_SIZE];
    (void)snprintf(id, sizeof id, "%.100s-%.100s-%.24s", self->sweep, last_part(self->source),
                   index);
    return json_pack("{s:s, s:s, s:s, s:s, s:O, s:n, s:s, s:s, s:s}", "id", id, "modelId", model,
                     "layer", last_part(self->source), "index", index, "description",
                     json_object_get(record, "label"), "authorId", "typeName", "interp",
                     "explanationModelName", json_field_text(record, "explainer", ""), "createdAt",
                     self->created_at);
}

static status_t write_neuronpedia(struct export *self, const json_t *record, uint32_t target,
                                  struct error *err)
{
    char index[24];
    status_t status = follow_source(self, record, target, err);
    if (status != ST_OK) return status;
    const char *model = last_part(json_field_text(record, "target.model", "model"));
    const double max = json_field_number(record, "firing.max");
    const double density = json_field_number(record, "firing.density");
    (void)snprintf(index, sizeof index, "%.0f", json_field_number(record, "feature"));
    status = put(self->features,
                 json_pack("{s:s, s:s, s:s, s:s, s:f, s:f, s:s}", "modelId", model, "layer",
                           last_part(self->source), "index", index, "hookName",
                           json_field_text(record, "target.hook_point", ""), "maxActApprox",
                           isnan(max) ? 0 : max, "frac_nonzero", isnan(density) ? 0 : density,
                           "createdAt", self->created_at),
                 err);
    if (status != ST_OK || !json_field(record, "label")) return status;
    return put(self->explanations, explanation_of(self, record, model, index), err);
}

/* --- the command --------------------------------------------------------------------------- */

static status_t take_row(void *context, json_t *record, uint32_t target, struct error *err)
{
    struct export *self = context;
    const bool has_label = json_field(record, "label") != NULL;
    self->n_labels += has_label;
    if (strcmp(self->format, "neuronpedia") == 0)
        return write_neuronpedia(self, record, target, err);
    if (!has_label) return ST_OK;
    return self->lines ? write_line(self, record, target, err) : write_latent(self, record, err);
}

static status_t begin(struct export *self, struct error *err)
{
    status_t status = file_make_directories(self->directory, err);
    if (status != ST_OK || strcmp(self->format, "jsonl") != 0) return status;
    char *path = file_join(self->directory, "labels.jsonl");
    self->lines = path ? fopen(path, "w") : NULL;
    if (!self->lines) status = error_set(err, ST_IO, "%s: %s", path ? path : "", strerror(errno));
    free(path);
    return status;
}

static status_t end(struct export *self, struct error *err)
{
    status_t status = close_source(self, err);
    if (self->lines && fclose(self->lines) != 0 && status == ST_OK)
        status = error_set(err, ST_IO, "%s/labels.jsonl: %s", self->directory, strerror(errno));
    self->lines = NULL;
    return status;
}

/* When the sweep ended is when its labels were made: the same files each time. */
static status_t read_time(struct export *self, struct client *client, struct error *err)
{
    json_t *summary = NULL;
    status_t status = sweep_watch_status(client, self->sweep, &summary, err);
    if (status == ST_OK) status = sweep_kind_check(self->sweep, summary, err);
    (void)snprintf(self->created_at, sizeof self->created_at, "%s",
                   json_field_text(summary, "finished_at", ""));
    json_decref(summary);
    return status;
}

static status_t tell(const struct cli *cli, const struct cli_arguments *arguments,
                     const struct export *self, struct error *err)
{
    (void)fprintf(cli->err, "%zu labels in %s\n", self->n_labels, self->directory);
    if (arguments->format != CLI_FORMAT_JSON) return ST_OK;
    return document_print_new(cli->out, "Export",
                              json_pack("{s:s, s:s, s:s, s:I}", "sweep", self->sweep, "format",
                                        self->format, "dir", self->directory, "n_labels",
                                        (json_int_t)self->n_labels),
                              err);
}

status_t export_command(struct cli *cli, const struct cli_arguments *arguments, struct error *err)
{
    struct client *client = NULL;
    struct export self = {.format = arguments->export_format,
                          .directory = arguments->dir,
                          .sweep = arguments->positional[0]};
    struct error problem = {0};
    if (!self.format || !self.directory)
        return error_set(err, ST_BAD_INPUT,
                         "--format jsonl|delphi|neuronpedia and --dir DIR are needed");
    self.sources = json_object();
    status_t status = cli_connect(&client, cli, arguments, err);
    if (status == ST_OK) status = read_time(&self, client, err);
    if (status == ST_OK) status = begin(&self, err);
    if (status == ST_OK) status = sweep_rows_visit(client, self.sweep, take_row, &self, err);
    const status_t ended = end(&self, &problem);
    client_close(&client);
    json_decref(self.sources);
    if (status == ST_OK && ended != ST_OK) return error_set(err, ended, "%s", problem.text);
    return status == ST_OK ? tell(cli, arguments, &self, err) : status;
}
