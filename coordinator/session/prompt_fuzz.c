/* Highlights of fuzzing items: prompt_items.h says what they must not give away. */
#include "coordinator/session/prompt_items.h"

#include "common/size.h"

#include <stdlib.h>
#include <string.h>

static const float STRONG_FRACTION = 0.3f;
enum { RANDOM_TRIES = 16 };

/* The making of one set of items. */
struct fuzzer {
    const struct window *windows;
    size_t n_windows;
    struct draw draw;
    struct prompt_items made;
    size_t n_marks;   /* used of made.marks */
    uint32_t *firing; /* [n_firing], indices of items that fire: they lend their shapes */
    size_t n_firing;
    bool *allowed;    /* [longest window]: where a highlight may go */
    uint32_t *starts; /* [longest window]: preferred places */
};

static bool *take_marks(struct fuzzer *fuzzer, const struct window *window, enum window_kind truth)
{
    bool *marks = fuzzer->made.marks + fuzzer->n_marks;
    fuzzer->n_marks += window->n_tokens;
    fuzzer->made.items[fuzzer->made.n_items++] = (struct prompt_item){window, marks, truth};
    return marks;
}

static void drop_last(struct fuzzer *fuzzer)
{
    fuzzer->n_marks -= fuzzer->made.items[--fuzzer->made.n_items].window->n_tokens;
}

/* May a run of `length` start here: inside, allowed, and apart from other highlights? */
static bool fits(const struct fuzzer *fuzzer, const bool *marks, size_t n_tokens, size_t start,
                 size_t length)
{
    if (start + length > n_tokens) return false;
    if (start > 0 && marks[start - 1]) return false;
    if (start + length < n_tokens && marks[start + length]) return false;
    for (size_t i = start; i < start + length; i++)
        if (marks[i] || !fuzzer->allowed[i]) return false;
    return true;
}

/* Where to put a run: the first preferred place that fits, else a random one, else the first
 * from a random one on. n_tokens if there is none. */
static size_t find_place(struct fuzzer *fuzzer, const bool *marks, size_t n_tokens, size_t length,
                         size_t n_starts)
{
    for (size_t i = 0; i < n_starts; i++)
        if (fits(fuzzer, marks, n_tokens, fuzzer->starts[i], length)) return fuzzer->starts[i];
    for (int try = 0; try < RANDOM_TRIES; try++) {
        const size_t start = draw_below(&fuzzer->draw, (uint32_t)n_tokens);
        if (fits(fuzzer, marks, n_tokens, start, length)) return start;
    }
    const size_t from = draw_below(&fuzzer->draw, (uint32_t)n_tokens);
    for (size_t i = 0; i < n_tokens; i++) {
        const size_t start = (from + i) % n_tokens;
        if (fits(fuzzer, marks, n_tokens, start, length)) return start;
    }
    return n_tokens;
}

/* Put a run of `length` somewhere; if no place takes it whole, in two halves. */
static size_t place_run(struct fuzzer *fuzzer, bool *marks, size_t n_tokens, size_t length,
                        size_t n_starts)
{
    while (length > 0) {
        const size_t start = find_place(fuzzer, marks, n_tokens, length, n_starts);
        if (start < n_tokens) {
            for (size_t i = start; i < start + length; i++) marks[i] = true;
            return length;
        }
        length /= 2;
    }
    return 0;
}

/* Highlight as a firing item drawn at random does, run by run; how many tokens got marked. */
static size_t mark_like_firing(struct fuzzer *fuzzer, const struct window *window, bool *marks,
                               size_t n_starts)
{
    const struct prompt_item *lender =
        &fuzzer->made.items[fuzzer->firing[draw_below(&fuzzer->draw, (uint32_t)fuzzer->n_firing)]];
    size_t n_marked = 0, run = 0;
    memset(marks, 0, window->n_tokens * sizeof *marks);
    for (size_t i = 0; i <= lender->window->n_tokens; i++) {
        if (i < lender->window->n_tokens && lender->marks[i]) {
            run++;
            continue;
        }
        if (run > 0) n_marked += place_run(fuzzer, marks, window->n_tokens, run, n_starts);
        run = 0;
    }
    return n_marked;
}

static bool is_strong_type(const struct fuzzer *fuzzer, uint32_t token)
{
    for (size_t f = 0; f < fuzzer->n_firing; f++) {
        const struct prompt_item *item = &fuzzer->made.items[fuzzer->firing[f]];
        for (size_t i = 0; i < item->window->n_tokens; i++)
            if (item->marks[i] && item->window->tokens[i] == token) return true;
    }
    return false;
}

/* Places of a hard window that hold a token type which fires elsewhere, in seeded order. */
static size_t prefer_strong_types(struct fuzzer *fuzzer, const struct window *window)
{
    size_t n = 0;
    for (size_t i = 0; i < window->n_tokens; i++)
        if (is_strong_type(fuzzer, window->tokens[i])) fuzzer->starts[n++] = (uint32_t)i;
    draw_shuffle(&fuzzer->draw, fuzzer->starts, n);
    return n;
}

static void allow_everywhere(struct fuzzer *fuzzer, const struct window *window)
{
    for (size_t i = 0; i < window->n_tokens; i++) fuzzer->allowed[i] = true;
}

static void add_firing(struct fuzzer *fuzzer)
{
    for (size_t i = 0; i < fuzzer->n_windows; i++) {
        const struct window *window = &fuzzer->windows[i];
        if (window->kind != WINDOW_FIRING) continue;
        fuzzer->firing[fuzzer->n_firing++] = (uint32_t)fuzzer->made.n_items;
        (void)window_mark_strong(window, STRONG_FRACTION,
                                 take_marks(fuzzer, window, WINDOW_FIRING));
    }
}

static void add_silent(struct fuzzer *fuzzer)
{
    for (size_t i = 0; i < fuzzer->n_windows; i++) {
        const struct window *window = &fuzzer->windows[i];
        if (window->kind == WINDOW_FIRING) continue;
        const bool is_hard = window->kind != WINDOW_SILENT_RANDOM;
        const size_t n_starts = is_hard ? prefer_strong_types(fuzzer, window) : 0;
        allow_everywhere(fuzzer, window);
        bool *marks = take_marks(fuzzer, window, window->kind);
        if (mark_like_firing(fuzzer, window, marks, n_starts) == 0) drop_last(fuzzer);
    }
}

/* Firing windows, drawn at random, with highlights only where the feature is silent. */
static void add_wrong(struct fuzzer *fuzzer, size_t n_wrong)
{
    draw_shuffle(&fuzzer->draw, fuzzer->firing, fuzzer->n_firing);
    for (size_t f = 0; f < fuzzer->n_firing && n_wrong > 0; f++) {
        const struct window *window = fuzzer->made.items[fuzzer->firing[f]].window;
        for (size_t i = 0; i < window->n_tokens; i++)
            fuzzer->allowed[i] = !(window_activation(window, i) > 0.0f);
        bool *marks = take_marks(fuzzer, window, WINDOW_SILENT_HARD);
        if (mark_like_firing(fuzzer, window, marks, 0) == 0)
            drop_last(fuzzer);
        else
            n_wrong--;
    }
}

status_t prompt_items_fuzzing(const struct window *windows, size_t n_windows,
                              const struct prompt_fuzz_params *params, struct prompt_items *out,
                              struct error *err)
{
    struct fuzzer fuzzer = {.windows = windows, .n_windows = n_windows};
    size_t n_tokens = 0, n_longest = 0, n_firing = 0, n_marks;
    status_t status = window_check(windows, n_windows, err);
    if (status != ST_OK) return status;
    for (size_t i = 0; i < n_windows; i++) {
        n_firing += windows[i].kind == WINDOW_FIRING;
        if (windows[i].n_tokens > n_longest) n_longest = windows[i].n_tokens;
        if (!size_add(n_tokens, windows[i].n_tokens, &n_tokens) || n_longest > UINT32_MAX)
            return error_set(err, ST_TOO_LARGE, "fuzzing: %zu windows", n_windows);
    }
    if (n_firing == 0) return error_set(err, ST_BAD_INPUT, "fuzzing: no firing window");
    if (!size_mul(n_tokens, 2, &n_marks)) /* firing windows may come twice */
        return error_set(err, ST_TOO_LARGE, "fuzzing: %zu tokens", n_tokens);
    fuzzer.made.items = calloc(2 * n_windows, sizeof *fuzzer.made.items);
    fuzzer.made.marks = calloc(n_marks, sizeof *fuzzer.made.marks);
    fuzzer.firing = calloc(n_firing, sizeof *fuzzer.firing);
    fuzzer.allowed = calloc(n_longest, sizeof *fuzzer.allowed);
    fuzzer.starts = calloc(n_longest, sizeof *fuzzer.starts);
    if (!fuzzer.made.items || !fuzzer.made.marks || !fuzzer.firing || !fuzzer.allowed ||
        !fuzzer.starts) {
        status = error_set(err, ST_NO_MEMORY, "fuzzing: %zu windows", n_windows);
        prompt_items_fini(&fuzzer.made);
        goto done;
    }
    fuzzer.draw = draw_stream(params->seed, DRAW_FUZZ, params->feature);
    add_firing(&fuzzer);
    add_silent(&fuzzer);
    add_wrong(&fuzzer, params->n_wrong);
    *out = fuzzer.made;
done:
    free(fuzzer.firing);
    free(fuzzer.allowed);
    free(fuzzer.starts);
    return status;
}
