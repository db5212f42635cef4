/* Addresses of sockets: how far what is said there can be heard. */
#ifndef COMMON_ENDPOINT_H
#define COMMON_ENDPOINT_H

#include <stdbool.h>

/* ipc:// and inproc://: file permissions guard them, no keys are used there. */
bool endpoint_is_inside(const char *endpoint);

/* Only this machine can connect: an inside endpoint, or tcp:// at localhost, 127.x.x.x, [::1] or
 * the interface lo. A name that would have to be looked up is not taken for one. */
bool endpoint_is_loopback(const char *endpoint);

#endif
