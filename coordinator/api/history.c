#include "coordinator/api/history.h"

void history_add_point(struct history *history, const struct history_point *point)
{
    history->points[history->next_point] = *point;
    history->next_point = (history->next_point + 1) % HISTORY_POINTS;
    if (history->n_points < HISTORY_POINTS) history->n_points++;
}

const struct history_point *history_point_at(const struct history *history, size_t index)
{
    const size_t first = history->next_point + HISTORY_POINTS - history->n_points;
    return &history->points[(first + index) % HISTORY_POINTS];
}

void history_add_label(struct history *history, const struct recent_label *label)
{
    history->labels[history->next_label] = *label;
    history->next_label = (history->next_label + 1) % RECENT_LABELS;
    if (history->n_labels < RECENT_LABELS) history->n_labels++;
}

const struct recent_label *history_label_at(const struct history *history, size_t index)
{
    return &history->labels[(history->next_label + 2 * RECENT_LABELS - 1 - index) % RECENT_LABELS];
}
