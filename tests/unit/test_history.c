#include "coordinator/api/history.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct history history;

Test(history, keeps_the_last_points_oldest_first)
{
    for (int i = 0; i < HISTORY_POINTS + 10; i++) {
        const struct history_point point = {.unix_ms = i};
        history_add_point(&history, &point);
        cr_assert_eq(history_point_at(&history, history.n_points - 1)->unix_ms, i);
    }
    cr_expect_eq(history.n_points, HISTORY_POINTS);
    for (size_t i = 0; i < HISTORY_POINTS; i++)
        cr_assert_eq(history_point_at(&history, i)->unix_ms, (int64_t)i + 10);
}

Test(history, keeps_the_last_labels_newest_first)
{
    for (uint64_t i = 0; i < RECENT_LABELS + 7; i++) {
        const struct recent_label label = {.feature = i};
        history_add_label(&history, &label);
        cr_assert_eq(history_label_at(&history, 0)->feature, i);
        cr_assert_eq(history_label_at(&history, history.n_labels - 1)->feature,
                     i < RECENT_LABELS ? 0 : i - RECENT_LABELS + 1);
    }
    cr_expect_eq(history.n_labels, RECENT_LABELS);
}
