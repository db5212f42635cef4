#include "coordinator/session/window.h"
#include "tests/support/session_windows.h"

static const uint32_t TOKENS[4] = {1, 2, 3, 4};
static const float VALUES[4] = {0.0f, 3.0f, 0.5f, 1.0f};

static struct window firing_window(void)
{
    return (struct window){TOKENS, 4, VALUES, 7, 0, 10, WINDOW_FIRING};
}

Test(window, marks_what_is_at_least_a_share_of_the_maximum)
{
    const struct window window = firing_window();
    bool marks[4];
    cr_expect_eq(window_mark_strong(&window, 0.3f, marks), 2);
    cr_expect(!marks[0] && marks[1] && !marks[2] && marks[3]);
    cr_expect_eq(window_mark_strong(&window, 0.0f, marks), 3, "a silent token is never marked");
    cr_expect_eq(window_n_firing(&window), 3);
    cr_expect_float_eq(window_max(&window), 3.0f, 0.0f);
}

Test(window, silent_window_has_no_activation_and_no_mark)
{
    struct window window = firing_window();
    bool marks[4] = {true, true, true, true};
    window.activations = NULL;
    cr_expect(!window_fires(&window));
    cr_expect_eq(window_mark_strong(&window, 0.0f, marks), 0);
    cr_expect(!marks[1]);
}

Test(window, fills_dense_values_and_drops_those_not_above_the_threshold)
{
    static const uint16_t positions[3] = {0, 2, 3};
    static const float values[3] = {1.0f, 2.0f, 0.5f};
    const struct evidence_entry entry = {
        .window = {.n_tokens = 4}, .n_activations = 3, .position = positions, .value = values};
    float dense[4] = {9, 9, 9, 9};
    window_fill_activations(&entry, 1.0f, dense);
    cr_expect_eq(dense[0], 0.0f, "at the threshold does not fire");
    cr_expect_eq(dense[1], 0.0f);
    cr_expect_eq(dense[2], 2.0f);
    cr_expect_eq(dense[3], 0.0f);
}

Test(window, overlap_needs_the_same_document_and_a_common_token)
{
    const struct window first = firing_window();
    struct window second = firing_window();
    second.document_offset = 13;
    cr_expect(window_overlaps(&first, &second));
    second.document_offset = 14;
    cr_expect(!window_overlaps(&first, &second));
    second.document_offset = 10;
    second.document_key = 8;
    cr_expect(!window_overlaps(&first, &second));
}

Test(window, check_names_a_window_whose_kind_is_not_true)
{
    struct error err = {0};
    struct window windows[2] = {firing_window(), firing_window()};
    cr_expect_eq(window_check(windows, 2, &err), ST_OK);
    windows[1].kind = WINDOW_SILENT_HARD;
    cr_expect_eq(window_check(windows, 2, &err), ST_BAD_INPUT);
    cr_expect(strstr(err.text, "window 1"), "%s", err.text);
    error_clear(&err);
    windows[1].kind = WINDOW_FIRING;
    windows[1].activations = NULL;
    cr_expect_eq(window_check(windows, 2, &err), ST_BAD_INPUT);
    error_clear(&err);
    static const float not_finite[4] = {0, 1.0f / 0.0f, 0, 0};
    windows[1].activations = not_finite;
    cr_expect_eq(window_check(windows, 2, &err), ST_BAD_INPUT);
}
