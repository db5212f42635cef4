/* What viewers may ask for: operations that neither change anything nor make workers compute. One
 * that is not listed here is for operators alone: a new one is closed until it is looked at. */
#include "coordinator/api/api.h"

#include <string.h>

static const char *const reading[] = {"ping",    "list",  "status",  "results",  "feature",
                                      "cost",    "dead",  "workers", "captures", "overview",
                                      "metrics", "calls", "circuit"};

bool api_is_reading(const char *operation)
{
    for (size_t i = 0; i < sizeof reading / sizeof reading[0]; i++)
        if (strcmp(reading[i], operation) == 0) return true;
    return false;
}
