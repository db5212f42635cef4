/* How far a sweep is, on stderr: one line drawn again and again on a terminal; elsewhere a line
 * every 10 s and at each change of phase or state. One thread. */
#ifndef COORDINATOR_CLI_PROGRESS_H
#define COORDINATOR_CLI_PROGRESS_H

#include "common/buffer.h"
#include "common/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct progress {
    FILE *err;
    bool is_tty;
    size_t width; /* columns; 0: unknown */
    int64_t last_line_ms;
    char last_step[96]; /* state and phase shown last */
    bool is_drawn;      /* a line without its newline is on the terminal */
};

void progress_init(struct progress *progress, FILE *err, bool is_tty, size_t width);
/* Show the *summary* of coordinator/api/API.md. */
void progress_show(struct progress *progress, const json_t *summary, int64_t now_ms);
/* One line of text instead (the coordinator is away ...). */
void progress_say(struct progress *progress, const char *text, int64_t now_ms);
/* End the line that is drawn, if any, so that other output starts on its own. */
void progress_end(struct progress *progress);

/* "running capture-explain [####....] 41 %  120 of 280 units  ETA 20 s". */
MUST_CHECK status_t progress_format(struct buffer *out, const json_t *summary, struct error *err);

#endif
