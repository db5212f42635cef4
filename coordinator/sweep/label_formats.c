#include "coordinator/sweep/label_formats.h"

#include "common/file.h"
#include "coordinator/intake/byte_source.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FILE_MAX_BYTES = 1 << 30, LABEL_FILE_MAX_BYTES = 1 << 20, NAME_SIZE = 256, CHUNK = 65536 };

/* One label of another tool. */
struct foreign {
    uint32_t target;
    uint64_t feature;
    char *text, *created, *id; /* owned; the last two may be NULL */
};

struct conversion {
    const struct sweep_spec *spec;
    struct foreign *list; /* [n], owned */
    size_t n, capacity;
    char module[NAME_SIZE]; /* with one target: what all are about; "" before the first */
};

/* --- collecting ---------------------------------------------------------------------------- */

static status_t add(struct conversion *self, const struct foreign *one, struct error *err)
{
    if (self->n == self->capacity) {
        const size_t capacity = self->capacity ? 2 * self->capacity : 256;
        struct foreign *grown = realloc(self->list, capacity * sizeof *grown);
        if (!grown) return error_set(err, ST_NO_MEMORY, "%zu labels", capacity);
        self->list = grown;
        self->capacity = capacity;
    }
    self->list[self->n++] = *one;
    return ST_OK;
}

static void fini(struct conversion *self)
{
    for (size_t i = 0; i < self->n; i++) {
        free(self->list[i].text);
        free(self->list[i].created);
        free(self->list[i].id);
    }
    free(self->list);
}

/* NULL counts as the oldest. */
static int newer_first(const char *a, const char *b)
{
    return -strcmp(a ? a : "", b ? b : "");
}

static int compare(const void *left, const void *right)
{
    const struct foreign *a = left, *b = right;
    if (a->target != b->target) return a->target < b->target ? -1 : 1;
    if (a->feature != b->feature) return a->feature < b->feature ? -1 : 1;
    const int by_time = newer_first(a->created, b->created);
    return by_time ? by_time : newer_first(a->id, b->id);
}

/* Our lines, one a feature. */
static status_t write_lines(struct conversion *self, struct buffer *out, struct error *err)
{
    status_t status = ST_OK;
    if (self->n) qsort(self->list, self->n, sizeof *self->list, compare);
    for (size_t i = 0; i < self->n && status == ST_OK; i++) {
        const struct foreign *one = &self->list[i];
        if (i && one->target == one[-1].target && one->feature == one[-1].feature) continue;
        json_t *line = json_pack("{s:I, s:I, s:s}", "feature", (json_int_t)one->feature, "target",
                                 (json_int_t)one->target, "label", one->text);
        char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
        status = text ? buffer_append_text(out, text, err) : error_set(err, ST_NO_MEMORY, "labels");
        if (status == ST_OK) status = buffer_append_text(out, "\n", err);
        free(text);
        json_decref(line);
    }
    return status;
}

/* --- whose label --------------------------------------------------------------------------- */

/* Of one target: what `module` is called is the tool's business, but there is only one of it. */
static status_t same_module(struct conversion *self, const char *module, const char *where,
                            struct error *err)
{
    if (!self->module[0]) (void)snprintf(self->module, sizeof self->module, "%s", module);
    if (strncmp(self->module, module, sizeof self->module - 1) == 0) return ST_OK;
    return error_set(err, ST_BAD_INPUT,
                     "%s: about \"%.80s\", but others are about \"%.80s\" and the sweep has one "
                     "target",
                     where, module, self->module);
}

static bool is_in_layer(const struct sweep_target *target, long layer)
{
    static const char prefix[] = "blocks.";
    if (strncmp(target->hook, prefix, sizeof prefix - 1) != 0) return false;
    return strtol(target->hook + sizeof prefix - 1, NULL, 10) == layer;
}

/* Neuronpedia's "6-res-jb". */
static status_t target_of_layer(struct conversion *self, const char *source, const char *where,
                                uint32_t *target, struct error *err)
{
    size_t n_found = 0;
    char *end;
    const long layer = strtol(source, &end, 10);
    if (self->spec->n_targets == 1) return same_module(self, source, where, err);
    for (uint32_t i = 0; end != source && i < self->spec->n_targets; i++) {
        if (!is_in_layer(&self->spec->targets[i], layer)) continue;
        *target = i;
        n_found++;
    }
    if (n_found == 1) return ST_OK;
    return error_set(err, ST_BAD_INPUT, "%s: layer \"%.80s\" is that of %zu targets of the sweep",
                     where, source, n_found);
}

static status_t target_of_module(struct conversion *self, const char *module, const char *where,
                                 uint32_t *target, struct error *err)
{
    if (self->spec->n_targets == 1) return same_module(self, module, where, err);
    for (uint32_t i = 0; i < self->spec->n_targets; i++)
        if (strcmp(self->spec->targets[i].hook, module) == 0) {
            *target = i;
            return ST_OK;
        }
    return error_set(err, ST_BAD_INPUT, "%s: \"%.80s\" is the hook point of no target", where,
                     module);
}

/* --- Neuronpedia --------------------------------------------------------------------------- */

static char *copy_of(const json_t *text)
{
    return json_is_string(text) ? strdup(json_string_value(text)) : NULL;
}

/* `index` is a text there; a number is fine too. */
static bool read_index(const json_t *index, uint64_t *out)
{
    const char *text = json_string_value(index);
    char *end;
    if (json_is_integer(index) && json_integer_value(index) >= 0) {
        *out = (uint64_t)json_integer_value(index);
        return true;
    }
    if (!text || text[0] < '0' || text[0] > '9') return false;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return !*end && !errno;
}

static status_t take_explanation(struct conversion *self, const json_t *line, const char *where,
                                 struct error *err)
{
    struct foreign one = {0};
    const char *source = json_string_value(json_object_get(line, "layer"));
    const json_t *description = json_object_get(line, "description");
    if (!json_is_string(description))
        return error_set(err, ST_BAD_INPUT, "%s: \"description\" must be a text", where);
    if (!read_index(json_object_get(line, "index"), &one.feature))
        return error_set(err, ST_BAD_INPUT, "%s: \"index\" must be the number of a feature", where);
    if (!source) return error_set(err, ST_BAD_INPUT, "%s: \"layer\" must be a text", where);
    status_t status = target_of_layer(self, source, where, &one.target, err);
    if (status != ST_OK) return status;
    one.text = copy_of(description);
    one.created = copy_of(json_object_get(line, "createdAt"));
    one.id = copy_of(json_object_get(line, "id"));
    status = one.text ? add(self, &one, err) : error_set(err, ST_NO_MEMORY, "labels");
    if (status == ST_OK) return ST_OK;
    free(one.text);
    free(one.created);
    free(one.id);
    return status;
}

static status_t read_whole(const char *path, struct buffer *out, struct error *err)
{
    struct byte_source *source = NULL;
    unsigned char chunk[CHUNK];
    size_t n = 1;
    status_t status = byte_source_open(&source, path, err);
    while (status == ST_OK && n > 0) {
        status = byte_source_read(source, chunk, sizeof chunk, &n, err);
        if (status == ST_OK && n) status = buffer_append(out, chunk, n, err);
    }
    byte_source_close(&source);
    return status == ST_TOO_LARGE ? error_wrap(err, "%s", path) : status;
}

static status_t take_batch_lines(struct conversion *self, const char *path,
                                 const struct buffer *text, struct error *err)
{
    const char *at = (const char *)text->bytes, *end = at ? at + text->n_bytes : NULL;
    status_t status = ST_OK;
    for (size_t number = 1; at && at < end && status == ST_OK; number++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        const size_t n = (size_t)((stop ? stop : end) - at);
        char where[NAME_SIZE + 24];
        (void)snprintf(where, sizeof where, "%.*s:%zu", NAME_SIZE - 1, path, number);
        json_t *line = n ? json_loadb(at, n, 0, NULL) : NULL;
        if (json_is_object(line))
            status = take_explanation(self, line, where, err);
        else if (n)
            status = error_set(err, ST_BAD_INPUT, "%s: not a JSON object", where);
        json_decref(line);
        at += n + 1;
    }
    return status;
}

static status_t take_batch(struct conversion *self, const char *path, struct error *err)
{
    struct buffer text;
    buffer_init(&text, FILE_MAX_BYTES);
    status_t status = read_whole(path, &text, err);
    if (status == ST_OK) status = take_batch_lines(self, path, &text, err);
    buffer_fini(&text);
    return status;
}

/* --- delphi -------------------------------------------------------------------------------- */

/* MODULE_latentN.txt: where the module's name ends, and N. */
static bool parse_latent_name(const char *name, size_t *n_module, uint64_t *latent)
{
    static const char mark[] = "_latent";
    const char *at = NULL;
    char *end;
    for (const char *next = strstr(name, mark); next; next = strstr(next + 1, mark)) at = next;
    if (!at) return false;
    const char first = at[sizeof mark - 1];
    if (first < '0' || first > '9') return false;
    *n_module = (size_t)(at - name);
    *latent = strtoull(at + sizeof mark - 1, &end, 10);
    return *n_module > 0 && *n_module < NAME_SIZE &&
           (strcmp(end, ".txt") == 0 || strcmp(end, ".json") == 0);
}

static status_t take_latent(struct conversion *self, const char *path, const char *name,
                            struct error *err)
{
    struct foreign one = {0};
    char module[NAME_SIZE], *text = NULL;
    size_t n_module = 0, n_bytes = 0;
    if (!parse_latent_name(name, &n_module, &one.feature)) return ST_OK; /* some other file */
    (void)snprintf(module, sizeof module, "%.*s", (int)n_module, name);
    status_t status = target_of_module(self, module, path, &one.target, err);
    if (status == ST_OK) status = file_read(path, LABEL_FILE_MAX_BYTES, &text, &n_bytes, err);
    if (status != ST_OK) return status;
    json_t *json = json_loadb(text, n_bytes, JSON_DECODE_ANY, NULL);
    one.text = copy_of(json);
    if (!one.text) status = error_set(err, ST_BAD_INPUT, "%s: an explanation is a JSON text", path);
    if (status == ST_OK) status = add(self, &one, err);
    if (status != ST_OK) free(one.text);
    json_decref(json);
    free(text);
    return status;
}

/* --- files --------------------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), n_end = strlen(end);
    return n >= n_end && strcmp(text + n - n_end, end) == 0;
}

static bool is_batch_name(const char *name)
{
    return strncmp(name, "batch-", 6) == 0 &&
           (ends_with(name, ".jsonl") || ends_with(name, ".jsonl.gz"));
}

static enum sweep_labels_format format_of_name(const char *name)
{
    size_t n_module;
    uint64_t latent;
    if (is_batch_name(name)) return SWEEP_LABELS_NEURONPEDIA;
    return parse_latent_name(name, &n_module, &latent) ? SWEEP_LABELS_DELPHI : SWEEP_LABELS_AUTO;
}

static status_t take_entry(struct conversion *self, enum sweep_labels_format format,
                           const char *directory, const char *name, struct error *err)
{
    char *path = file_join(directory, name);
    if (!path) return error_set(err, ST_NO_MEMORY, "%s", directory);
    status_t status = ST_OK;
    if (format == SWEEP_LABELS_DELPHI) status = take_latent(self, path, name, err);
    if (format == SWEEP_LABELS_NEURONPEDIA && is_batch_name(name))
        status = take_batch(self, path, err);
    free(path);
    return status;
}

/* The first name that says what it is decides, where nobody else did; in the order of names. */
static status_t take_directory(struct conversion *self, enum sweep_labels_format format,
                               struct error *err)
{
    const char *path = self->spec->labels;
    struct dirent **names = NULL;
    status_t status = ST_OK;
    const int n = scandir(path, &names, NULL, alphasort);
    if (n < 0) return error_set(err, ST_IO, "%s: %s", path, strerror(errno));
    for (int i = 0; i < n && format == SWEEP_LABELS_AUTO; i++)
        format = format_of_name(names[i]->d_name);
    if (format == SWEEP_LABELS_AUTO || format == SWEEP_LABELS_JSONL)
        status = error_set(err, ST_BAD_INPUT,
                           "%s: a directory with neither batch-N.jsonl(.gz) of Neuronpedia nor "
                           "MODULE_latentN.txt of delphi",
                           path);
    for (int i = 0; i < n; i++) {
        if (status == ST_OK) status = take_entry(self, format, path, names[i]->d_name, err);
        free(names[i]);
    }
    free(names);
    if (status == ST_OK && self->n == 0)
        status = error_set(err, ST_BAD_INPUT, "%s: holds no label", path);
    return status;
}

/* A line of Neuronpedia's has a description, one of ours a label. */
static bool is_neuronpedia(const struct buffer *text)
{
    const char *at = (const char *)text->bytes;
    const char *stop = at ? memchr(at, '\n', text->n_bytes) : NULL;
    json_t *line = at ? json_loadb(at, stop ? (size_t)(stop - at) : text->n_bytes, 0, NULL) : NULL;
    const bool is_theirs = json_object_get(line, "description") && !json_object_get(line, "label");
    json_decref(line);
    return is_theirs;
}

static status_t take_file(struct conversion *self, struct buffer *out, struct error *err)
{
    const struct sweep_spec *spec = self->spec;
    struct buffer text;
    if (spec->labels_format == SWEEP_LABELS_DELPHI)
        return error_set(err, ST_BAD_INPUT, "%s: delphi keeps labels in a directory", spec->labels);
    buffer_init(&text, FILE_MAX_BYTES);
    status_t status = read_whole(spec->labels, &text, err);
    const bool is_theirs =
        spec->labels_format == SWEEP_LABELS_NEURONPEDIA ||
        (spec->labels_format == SWEEP_LABELS_AUTO && status == ST_OK && is_neuronpedia(&text));
    if (status == ST_OK)
        status = is_theirs ? take_batch_lines(self, spec->labels, &text, err)
                           : buffer_append(out, text.bytes, text.n_bytes, err);
    buffer_fini(&text);
    return status;
}

status_t label_formats_read(const struct sweep_spec *spec, struct buffer *out, struct error *err)
{
    struct conversion self = {.spec = spec};
    struct stat info;
    if (stat(spec->labels, &info) != 0)
        return error_set(err, errno == ENOENT ? ST_NOT_FOUND : ST_IO, "%s: %s", spec->labels,
                         strerror(errno));
    status_t status = S_ISDIR(info.st_mode) ? take_directory(&self, spec->labels_format, err)
                                            : take_file(&self, out, err);
    if (status == ST_OK) status = write_lines(&self, out, err);
    fini(&self);
    return status;
}
