#define _GNU_SOURCE /* memmem */
#include "coordinator/report/results_file.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Records [first, end) of one target, features ascending. */
struct run {
    size_t first, end;
    struct wire_text target; /* as the records have it, in the mapped bytes */
};

struct results_file {
    char *bytes; /* mapped, read-only */
    size_t n_bytes;
    size_t *starts; /* [n_records + 1] */
    size_t n_records;
    uint64_t *features; /* [n_records]; NULL until asked for */
    struct run *runs;   /* [n_runs] */
    size_t n_runs;
};

static status_t map_file(struct results_file *file, const char *path, struct error *err)
{
    struct stat info;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set(err, errno == ENOENT ? ST_NOT_FOUND : ST_IO, "open %s: %s", path,
                         strerror(errno));
    status_t status =
        fstat(fd, &info) == 0 ? ST_OK : error_set(err, ST_IO, "stat %s: %s", path, strerror(errno));
    if (status == ST_OK && info.st_size > 0) {
        file->n_bytes = (size_t)info.st_size;
        void *map = mmap(NULL, file->n_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map == MAP_FAILED)
            status = error_set(err, ST_IO, "map %s: %s", path, strerror(errno));
        else
            file->bytes = map;
    }
    (void)close(fd);
    return status;
}

static size_t count_lines(const char *bytes, size_t n_bytes)
{
    size_t n = 0;
    for (const char *at = bytes; n_bytes && (at = memchr(at, '\n', (size_t)(bytes + n_bytes - at)));
         at++)
        n++;
    return n;
}

static status_t index_lines(struct results_file *file, struct error *err)
{
    file->n_records = count_lines(file->bytes, file->n_bytes);
    file->starts = malloc((file->n_records + 1) * sizeof *file->starts);
    if (!file->starts) return error_set(err, ST_NO_MEMORY, "%zu records", file->n_records);
    size_t start = 0;
    for (size_t i = 0; i < file->n_records; i++) {
        file->starts[i] = start;
        const char *end = memchr(file->bytes + start, '\n', file->n_bytes - start);
        start = (size_t)(end - file->bytes) + 1;
    }
    file->starts[file->n_records] = start;
    return ST_OK;
}

status_t results_file_open(struct results_file **out, const char *path, struct error *err)
{
    struct results_file *file = calloc(1, sizeof *file);
    if (!file) return error_set(err, ST_NO_MEMORY, "%s", path);
    status_t status = map_file(file, path, err);
    if (status == ST_OK) status = index_lines(file, err);
    if (status != ST_OK) {
        results_file_close(&file);
        return status;
    }
    *out = file;
    return ST_OK;
}

void results_file_close(struct results_file **file)
{
    if (!*file) return;
    if ((*file)->bytes) (void)munmap((*file)->bytes, (*file)->n_bytes);
    free((*file)->starts);
    free((*file)->features);
    free((*file)->runs);
    free(*file);
    *file = NULL;
}

size_t results_file_n_records(const struct results_file *file)
{
    return file->n_records;
}

struct wire_text results_file_record(const struct results_file *file, size_t index)
{
    if (index >= file->n_records) return (struct wire_text){0};
    const char *line = file->bytes + file->starts[index];
    const size_t n_bytes = file->starts[index + 1] - file->starts[index] - 1;
    const bool is_object = n_bytes >= 2 && line[0] == '{' && line[n_bytes - 1] == '}';
    return is_object ? (struct wire_text){line, n_bytes} : (struct wire_text){0};
}

/* --- by feature ---------------------------------------------------------------------------- */

/* Behind `mark`, which is a key with its quotes and colon: inside of JSON text quotes are escaped,
 * so it stands nowhere else in the line, and no other object of a record has these keys. Empty if
 * it is not there. */
static struct wire_text behind(struct wire_text line, const char *mark)
{
    const char *found = line.n_bytes ? memmem(line.bytes, line.n_bytes, mark, strlen(mark)) : NULL;
    if (!found) return (struct wire_text){0};
    found += strlen(mark);
    return (struct wire_text){found, (size_t)(line.bytes + line.n_bytes - found)};
}

static uint64_t feature_of(struct wire_text line)
{
    const struct wire_text digits = behind(line, "\"feature\":");
    uint64_t feature = 0;
    for (size_t i = 0; i < digits.n_bytes && digits.bytes[i] >= '0' && digits.bytes[i] <= '9'; i++)
        feature = 10 * feature + (uint64_t)(digits.bytes[i] - '0');
    return feature;
}

/* {"dictionary":...,"hook_point":...,"model":...}: to the brace that is in no text. */
static struct wire_text target_of(struct wire_text line)
{
    const struct wire_text from = behind(line, "\"target\":");
    bool is_text = false;
    for (size_t i = 0; i < from.n_bytes; i++) {
        if (from.bytes[i] == '"') is_text = !is_text;
        if (is_text && from.bytes[i] == '\\') i++; /* what is escaped ends nothing */
        if (!is_text && from.bytes[i] == '}') return (struct wire_text){from.bytes, i + 1};
    }
    return (struct wire_text){0};
}

static bool is_same(struct wire_text a, struct wire_text b)
{
    if (a.n_bytes != b.n_bytes) return false;
    return !a.bytes || !b.bytes || memcmp(a.bytes, b.bytes, a.n_bytes) == 0;
}

static status_t add_run(struct results_file *file, size_t first, struct wire_text target,
                        struct error *err)
{
    struct run *grown = realloc(file->runs, (file->n_runs + 1) * sizeof *grown);
    if (!grown) return error_set(err, ST_NO_MEMORY, "index of records");
    file->runs = grown;
    file->runs[file->n_runs++] = (struct run){first, file->n_records, target};
    return ST_OK;
}

/* A run ends where the target changes, or where features begin anew. */
static status_t index_features(struct results_file *file, struct error *err)
{
    file->features = malloc((file->n_records + 1) * sizeof *file->features);
    if (!file->features) return error_set(err, ST_NO_MEMORY, "index of records");
    status_t status = ST_OK;
    for (size_t i = 0; i < file->n_records && status == ST_OK; i++) {
        const struct wire_text line = results_file_record(file, i);
        const struct wire_text target = target_of(line);
        struct run *last = file->n_runs ? &file->runs[file->n_runs - 1] : NULL;
        file->features[i] = feature_of(line);
        if (i > 0 && last && is_same(last->target, target) &&
            file->features[i] > file->features[i - 1])
            continue;
        if (last) last->end = i;
        status = add_run(file, i, target, err);
    }
    return status;
}

/* The target as a record has it; the caller frees it. */
static char *target_text(const struct results_wanted *wanted)
{
    json_t *dictionary = wanted->dictionary ? json_string(wanted->dictionary) : json_null();
    json_t *json =
        json_pack("{s:o, s:s}", "dictionary", dictionary, "hook_point", wanted->hook_point);
    char *text = json ? json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(json);
    if (text) text[strlen(text) - 1] = ','; /* "model" follows */
    return text;
}

static bool begins_with(struct wire_text target, const char *start)
{
    const size_t n = strlen(start);
    return target.n_bytes >= n && memcmp(target.bytes, start, n) == 0;
}

static bool find_in_run(const struct results_file *file, const struct run *run, uint64_t feature,
                        size_t *index)
{
    size_t low = run->first, high = run->end;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (file->features[middle] < feature)
            low = middle + 1;
        else
            high = middle;
    }
    *index = low;
    return low < run->end && file->features[low] == feature;
}

status_t results_file_find(struct results_file *file, const struct results_wanted *wanted,
                           size_t *index, struct error *err)
{
    status_t status = file->features ? ST_OK : index_features(file, err);
    char *start = status == ST_OK ? target_text(wanted) : NULL;
    if (status == ST_OK && !start) status = error_set(err, ST_NO_MEMORY, "a target's name");
    const struct run *run = NULL;
    size_t n_before = 0;
    for (size_t i = 0; status == ST_OK && i < file->n_runs && !run; i++)
        if (begins_with(file->runs[i].target, start) && n_before++ == wanted->n_before)
            run = &file->runs[i];
    free(start);
    if (status != ST_OK || (run && find_in_run(file, run, wanted->feature, index))) return status;
    return error_set(err, ST_NOT_FOUND, "no record of feature %llu",
                     (unsigned long long)wanted->feature);
}
