#include "coordinator/dispatch/access.h"

#include <stdio.h>
#include <string.h>

struct access access_parse(const char *user)
{
    struct access access = {.is_plain = !user};
    const char *colon = user ? strchr(user, ':') : NULL;
    char role[16];
    if (!colon || (size_t)(colon - user) >= sizeof role || strlen(colon + 1) >= KEY_NAME_SIZE)
        return access;
    (void)snprintf(role, sizeof role, "%.*s", (int)(colon - user), user);
    (void)snprintf(access.name, sizeof access.name, "%s", colon + 1);
    access.role = key_role_parse(role);
    return access;
}

/* Of the header, as with ZMQ_SRCFD. A peer of a plain endpoint that sends a "User-Id" of its own
 * can only lower what it may. */
struct access access_of(const struct transport_message *message)
{
    return access_parse(zmq_msg_gets(&message->header, "User-Id"));
}

status_t access_check_worker(const struct access *access, struct error *err)
{
    if (access->is_plain || access->role == KEY_WORKER) return ST_OK;
    return error_set(err, ST_CONFLICT, "the key \"%s\" has the role %s: only workers may work",
                     access->name, key_role_name(access->role));
}

status_t access_check_request(const struct access *access, const char *operation, bool is_reading,
                              struct error *err)
{
    if (access->is_plain || access->role == KEY_OPERATOR ||
        (access->role == KEY_VIEWER && is_reading))
        return ST_OK;
    return error_set(err, ST_CONFLICT, "the key \"%s\" has the role %s, which may not %s",
                     access->name, key_role_name(access->role), operation);
}
