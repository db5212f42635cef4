#include "coordinator/session/prompt_items.h"

#include "common/size.h"

#include <stdlib.h>

void prompt_items_fini(struct prompt_items *items)
{
    free(items->items);
    free(items->marks);
    *items = (struct prompt_items){0};
}

status_t prompt_items_detection(const struct window *windows, size_t n_windows,
                                struct prompt_items *out, struct error *err)
{
    struct prompt_items made = {.n_items = n_windows};
    made.items = calloc(n_windows + 1, sizeof *made.items);
    if (!made.items) return error_set(err, ST_NO_MEMORY, "%zu items", n_windows);
    for (size_t i = 0; i < n_windows; i++)
        made.items[i] = (struct prompt_item){&windows[i], NULL, windows[i].kind};
    *out = made;
    return ST_OK;
}

/* --- dealing items to prompts ------------------------------------------------------------ */

size_t prompt_plan_range(const struct prompt_plan *plan, size_t index, size_t *n)
{
    const size_t first = index * plan->n_items / plan->n_prompts;
    *n = (index + 1) * plan->n_items / plan->n_prompts - first;
    return first;
}

static bool clashes(const struct prompt_items *items, const struct prompt_plan *plan, size_t first,
                    size_t n, size_t place, uint32_t item)
{
    for (size_t i = first; i < first + n; i++)
        if (i != place &&
            window_overlaps(items->items[plan->order[i]].window, items->items[item].window))
            return true;
    return false;
}

static size_t prompt_of(const struct prompt_plan *plan, size_t place)
{
    size_t prompt = place * plan->n_prompts / plan->n_items, n;
    for (; prompt + 1 < plan->n_prompts; prompt++)
        if (prompt_plan_range(plan, prompt, &n) + n > place) break;
    return prompt;
}

/* Exchange the item at `place` with the next one of another prompt, around the circle, such that
 * neither clashes where it comes to stand. Left as it is when there is none. */
static void move_away(struct prompt_plan *plan, const struct prompt_items *items, size_t place)
{
    size_t n_here, n_there;
    const size_t here = prompt_of(plan, place);
    const size_t first_here = prompt_plan_range(plan, here, &n_here);
    for (size_t step = 1; step < plan->n_items; step++) {
        const size_t other = (place + step) % plan->n_items;
        const size_t there = prompt_of(plan, other);
        if (there == here) continue;
        const size_t first_there = prompt_plan_range(plan, there, &n_there);
        const uint32_t mine = plan->order[place], theirs = plan->order[other];
        if (clashes(items, plan, first_here, n_here, place, theirs) ||
            clashes(items, plan, first_there, n_there, other, mine))
            continue;
        plan->order[place] = theirs;
        plan->order[other] = mine;
        return;
    }
}

status_t prompt_plan_init(struct prompt_plan *out, const struct prompt_items *items,
                          size_t per_prompt, struct draw draw, struct error *err)
{
    if (per_prompt == 0) return error_set(err, ST_BAD_INPUT, "0 windows per prompt");
    if (items->n_items > UINT32_MAX / 2)
        return error_set(err, ST_TOO_LARGE, "%zu items", items->n_items);
    struct prompt_plan made = {.n_items = items->n_items};
    made.n_prompts = items->n_items / per_prompt + (items->n_items % per_prompt != 0);
    made.order = calloc(items->n_items + 1, sizeof *made.order);
    if (!made.order) return error_set(err, ST_NO_MEMORY, "%zu items", items->n_items);
    for (size_t i = 0; i < items->n_items; i++) made.order[i] = (uint32_t)i;
    draw_shuffle(&draw, made.order, items->n_items);
    for (size_t place = 0; place < made.n_items; place++) {
        size_t n;
        const size_t first = prompt_plan_range(&made, prompt_of(&made, place), &n);
        if (clashes(items, &made, first, n, place, made.order[place]))
            move_away(&made, items, place);
    }
    *out = made;
    return ST_OK;
}

void prompt_plan_fini(struct prompt_plan *plan)
{
    free(plan->order);
    *plan = (struct prompt_plan){0};
}

void prompt_plan_judge(const struct prompt_plan *plan, const struct prompt_items *items,
                       size_t index, const enum judge_answer *answers, struct judgement *judgements)
{
    size_t n;
    const size_t first = prompt_plan_range(plan, index, &n);
    for (size_t i = 0; i < n; i++) {
        const struct prompt_item *item = &items->items[plan->order[first + i]];
        judgements[plan->order[first + i]] =
            (struct judgement){.document_key = item->window->document_key,
                               .truth = item->truth,
                               .answer = answers ? answers[i] : ANSWER_FAILED};
    }
}
