/* What the writing and the reading of probes agree on. Private to common/probe*.c. */
#ifndef COMMON_PROBE_PARTS_H
#define COMMON_PROBE_PARTS_H

enum {
    PROBE_VERSION = 1,
    PROBE_NUMBER_BYTES = 4, /* of a token, an activation, a piece's size */
    PROBE_N_FIELDS = 3,
    PROBE_N_ANSWER_FIELDS = 5
};

#endif
