/* The version of this code: part of HELLO and of every result's address. */
#ifndef COMMON_VERSION_H
#define COMMON_VERSION_H

#define INTERP_VERSION "0.1.0"

const char *version_text(void);

#endif
