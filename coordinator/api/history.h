/* The last ten minutes at one point a second: what the page draws. A ring of fixed size, so a
 * page costs the same after a week as after a minute. Loop thread only. */
#ifndef COORDINATOR_API_HISTORY_H
#define COORDINATOR_API_HISTORY_H

#include <stddef.h>
#include <stdint.h>

enum { HISTORY_POINTS = 600, HISTORY_EVERY_MS = 1000, RECENT_LABELS = 50, LABEL_TEXT_SIZE = 256 };

struct history_point {
    int64_t unix_ms;
    uint64_t n_ready, n_leased, n_done, n_dead;
    uint64_t calls_in_flight;
    uint64_t n_labelled;
    double dollars;
};

struct recent_label {
    char sweep[80];
    uint64_t feature;
    char label[LABEL_TEXT_SIZE];
    char status[16];
    double score; /* NaN: none */
    int64_t unix_ms;
};

struct history {
    struct history_point points[HISTORY_POINTS];
    size_t n_points, next_point;
    struct recent_label labels[RECENT_LABELS];
    size_t n_labels, next_label;
};

void history_add_point(struct history *history, const struct history_point *point);
/* Point number `index` of n_points, oldest first. */
const struct history_point *history_point_at(const struct history *history, size_t index);
void history_add_label(struct history *history, const struct recent_label *label);
/* Label number `index` of n_labels, newest first. */
const struct recent_label *history_label_at(const struct history *history, size_t index);

#endif
