/* What a sender may say, by the role of its key.
 *
 *   plain endpoint (ipc, inproc)   everything: the socket file's permissions guard it
 *   worker                         everything but requests
 *   operator                       requests
 *   viewer                         requests that only read
 *
 * The doorkeeper gave the connection its user id, "ROLE:NAME"; libzmq attaches it to each message,
 * and what the peer itself claims to be cannot replace it. Pure functions of the message. */
#ifndef COORDINATOR_DISPATCH_ACCESS_H
#define COORDINATOR_DISPATCH_ACCESS_H

#include "common/error.h"
#include "common/key_file.h"
#include "common/transport.h"

#include <stdbool.h>

struct access {
    bool is_plain; /* came by a plain endpoint */
    enum key_role role;
    char name[KEY_NAME_SIZE]; /* of the key */
};

/* From a user id; NULL: a plain endpoint. One that no doorkeeper wrote has no role: it may nothing.
 */
struct access access_parse(const char *user);
struct access access_of(const struct transport_message *message);

/* ST_CONFLICT with a text for the sender. */
MUST_CHECK status_t access_check_worker(const struct access *access, struct error *err);
MUST_CHECK status_t access_check_request(const struct access *access, const char *operation,
                                         bool is_reading, struct error *err);

#endif
