#define _GNU_SOURCE /* alphasort */
#include "coordinator/dispatch/allow_list.h"

#include "common/file.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zmq.h>

struct entry {
    struct key key;
    unsigned char bytes[PUBLIC_KEY_BYTES];
    char *path;       /* owned */
    struct stat seen; /* when it was read */
};

struct allow_list {
    char *directory;
    struct entry *entries; /* [n_entries] */
    size_t n_entries;
};

static void forget_entries(struct allow_list *list)
{
    for (size_t i = 0; i < list->n_entries; i++) free(list->entries[i].path);
    free(list->entries);
    list->entries = NULL;
    list->n_entries = 0;
}

static struct entry *find_entry(const struct allow_list *list, const unsigned char *bytes)
{
    for (size_t i = 0; i < list->n_entries; i++)
        if (memcmp(list->entries[i].bytes, bytes, PUBLIC_KEY_BYTES) == 0) return &list->entries[i];
    return NULL;
}

static bool is_unchanged(const struct entry *entry)
{
    struct stat now;
    return stat(entry->path, &now) == 0 && now.st_ino == entry->seen.st_ino &&
           now.st_dev == entry->seen.st_dev && now.st_size == entry->seen.st_size &&
           now.st_mtim.tv_sec == entry->seen.st_mtim.tv_sec &&
           now.st_mtim.tv_nsec == entry->seen.st_mtim.tv_nsec;
}

/* --- reading the directory ----------------------------------------------------------------- */

static int is_public_key_file(const struct dirent *file)
{
    const size_t n = strlen(file->d_name);
    return n > 4 && file->d_name[0] != '.' && strcmp(file->d_name + n - 4, ".pub") == 0;
}

static status_t check_entry(const struct allow_list *list, struct entry *entry, struct error *err)
{
    const struct entry *other;
    if (entry->key.role == KEY_NO_ROLE)
        return error_set(err, ST_BAD_INPUT,
                         "%s has no line \"role worker\", \"role operator\" or \"role viewer\"",
                         entry->path);
    if (!zmq_z85_decode(entry->bytes, entry->key.public_text))
        return error_set(err, ST_BAD_INPUT, "%s: no key", entry->path);
    if ((other = find_entry(list, entry->bytes)))
        return error_set(err, ST_BAD_INPUT, "%s has the same key as %s", entry->path, other->path);
    return ST_OK;
}

/* stat before the read: a change in between is seen as a change later. */
static status_t add_file(struct allow_list *list, const char *name, struct error *err)
{
    struct entry entry = {.path = file_join(list->directory, name)};
    if (!entry.path) return error_set(err, ST_NO_MEMORY, "allow-list");
    status_t status = stat(entry.path, &entry.seen) == 0
                          ? key_load_public(entry.path, &entry.key, err)
                          : error_set(err, ST_IO, "stat %s: %s", entry.path, strerror(errno));
    if (status == ST_OK) status = check_entry(list, &entry, err);
    if (status == ST_OK)
        list->entries[list->n_entries++] = entry;
    else
        free(entry.path);
    return status;
}

/* The files that are good become the list; the first problem is told. */
static status_t read_directory(struct allow_list *list, struct error *err)
{
    struct dirent **files = NULL;
    forget_entries(list);
    const int n = scandir(list->directory, &files, is_public_key_file, alphasort);
    if (n < 0)
        return error_set(err, errno == ENOENT ? ST_NOT_FOUND : ST_IO, "allow-list %s: %s",
                         list->directory, strerror(errno));
    status_t status = ST_OK;
    if (n > ALLOW_LIST_MAX_KEYS)
        status = error_set(err, ST_TOO_LARGE, "allow-list %s: %d keys, at most %d are read",
                           list->directory, n, ALLOW_LIST_MAX_KEYS);
    else if (n && !(list->entries = calloc((size_t)n, sizeof *list->entries)))
        status = error_set(err, ST_NO_MEMORY, "allow-list");
    for (int i = 0; list->entries && i < n; i++) {
        const status_t added = add_file(list, files[i]->d_name, err);
        if (status == ST_OK) status = added;
    }
    for (int i = 0; i < n; i++) free(files[i]);
    free(files);
    return status;
}

/* --- the list ------------------------------------------------------------------------------ */

status_t allow_list_open(struct allow_list **out, const char *directory, struct error *err)
{
    struct allow_list *list = calloc(1, sizeof *list);
    if (list) list->directory = strdup(directory);
    status_t status = list && list->directory ? ST_OK : error_set(err, ST_NO_MEMORY, "allow-list");
    if (status == ST_OK) status = read_directory(list, err);
    if (status == ST_OK)
        *out = list;
    else
        allow_list_close(&list);
    return status;
}

void allow_list_close(struct allow_list **list)
{
    if (!*list) return;
    forget_entries(*list);
    free((*list)->directory);
    free(*list);
    *list = NULL;
}

const struct key *allow_list_find(struct allow_list *list,
                                  const unsigned char bytes[PUBLIC_KEY_BYTES],
                                  struct error *problem)
{
    struct entry *entry = find_entry(list, bytes);
    if (!entry || !is_unchanged(entry)) {
        (void)!read_directory(list, problem);
        entry = find_entry(list, bytes);
    }
    return entry ? &entry->key : NULL;
}

size_t allow_list_count(const struct allow_list *list)
{
    return list->n_entries;
}
