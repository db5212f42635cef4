/* The keys that may connect, and as what: a directory of NAME.pub files with a role each.
 *
 * The directory is the list: put a file there to allow its key, remove it to revoke the key at its
 * next connection; nothing is restarted. A key that is found is believed only while its file is
 * still the one that was read; otherwise, and for a key that is not found, the directory is read
 * anew. A file that cannot be read, has no role or repeats another's key allows nobody; a directory
 * that cannot be read allows nobody at all. One thread. */
#ifndef COORDINATOR_DISPATCH_ALLOW_LIST_H
#define COORDINATOR_DISPATCH_ALLOW_LIST_H

#include "common/error.h"
#include "common/key_file.h"

#include <stddef.h>

enum { ALLOW_LIST_MAX_KEYS = 4096 };

struct allow_list;

/* Read `directory`. The caller owns *out. Errors: ST_IO, ST_NOT_FOUND (the directory), ST_BAD_INPUT
 * (a file of it), ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t allow_list_open(struct allow_list **out, const char *directory,
                                    struct error *err);
void allow_list_close(struct allow_list **list); /* NULL-safe */

/* The entry of this public key, NULL if it has none; valid until the next call. What was wrong with
 * the directory, if it was read now, is in *problem (else untouched): the rest of it counts. */
const struct key *allow_list_find(struct allow_list *list,
                                  const unsigned char bytes[PUBLIC_KEY_BYTES],
                                  struct error *problem);
size_t allow_list_count(const struct allow_list *list);

#endif
