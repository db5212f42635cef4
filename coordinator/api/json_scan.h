/* JSON text passed over value by value, without parsing it: where a text, an object or an array
 * ends is found by quotes and brackets alone, what stands between them is not looked at. For text
 * that was written as JSON and is handed on as it stands. Any thread. */
#ifndef COORDINATOR_API_JSON_SCAN_H
#define COORDINATOR_API_JSON_SCAN_H

#include "common/wire.h"

#include <stdbool.h>

/* What is left of the text; borrowed. */
struct json_scan {
    const char *at, *end;
};

/* The first character that is no blank, which stays; NUL at the end. */
char json_scan_next(struct json_scan *from);

/* Each takes what comes next, and is false if that is something else or has no end. */
bool json_scan_take(struct json_scan *from, char wanted);
bool json_scan_text(struct json_scan *from, struct wire_text *out);  /* with its quotes */
bool json_scan_value(struct json_scan *from, struct wire_text *out); /* of any kind, whole */

#endif
