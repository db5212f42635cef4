/* Keys of CURVE and the two files that hold one: NAME.key is secret, NAME.pub is for everybody.
 *
 *   # a line of comment                       name    letters, digits, . _ - (at most 64)
 *   name w1                                   role    worker | operator | viewer; only in .pub,
 *   role worker                                       and only where an allow-list reads it
 *   public rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7   32 bytes in Z85 (ZeroMQ RFC 32)
 *   secret D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs   only in .key
 *
 * One word, one space, a value; each word at most once; anything else is an error that names the
 * line. A secret file that others may read is refused, as ssh does. No state; any thread. */
#ifndef COMMON_KEY_FILE_H
#define COMMON_KEY_FILE_H

#include "common/error.h"

#include <stddef.h>

enum { KEY_NAME_SIZE = 65, KEY_TEXT_SIZE = 41, PUBLIC_KEY_BYTES = 32, KEY_FILE_MAX_BYTES = 4096 };

enum key_role { KEY_NO_ROLE, KEY_WORKER, KEY_OPERATOR, KEY_VIEWER, KEY_N_ROLES };

struct key {
    char name[KEY_NAME_SIZE];
    enum key_role role;
    char public_text[KEY_TEXT_SIZE]; /* Z85 */
    char secret_text[KEY_TEXT_SIZE]; /* "": a public key */
};

/* "worker" ...; "none" for KEY_NO_ROLE. */
const char *key_role_name(enum key_role role);
/* KEY_NO_ROLE for what is none. */
enum key_role key_role_parse(const char *name);

/* Either file. Errors: ST_BAD_INPUT naming the line; *out untouched then. */
MUST_CHECK status_t key_parse(const char *text, size_t n_bytes, struct key *out, struct error *err);

/* A .key: has a secret, fits its public half, is readable by its owner alone. Errors: those of
 * file_read, ST_BAD_INPUT. */
MUST_CHECK status_t key_load_secret(const char *path, struct key *out, struct error *err);
/* A .pub: has no secret (which would be in the wrong place). Errors: those of file_read,
 * ST_BAD_INPUT. */
MUST_CHECK status_t key_load_public(const char *path, struct key *out, struct error *err);

/* A new pair. Errors: ST_BAD_INPUT (the name), ST_UNSUPPORTED (libzmq without CURVE). */
MUST_CHECK status_t key_generate(const char *name, enum key_role role, struct key *out,
                                 struct error *err);
/* DIRECTORY/NAME.key (mode 0600) and NAME.pub (0644); never over a file that is there. Errors:
 * ST_CONFLICT (one is there), ST_IO, ST_NO_MEMORY; then neither is left. */
MUST_CHECK status_t key_write(const struct key *key, const char *directory, struct error *err);

#endif
