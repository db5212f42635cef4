#include "coordinator/session/answer_sheet.h"

#include <stdlib.h>

status_t answer_sheet_init(struct answer_sheet *sheet, const struct prompt_plan *plan,
                           struct error *err)
{
    *sheet = (struct answer_sheet){.n_items = (uint32_t)plan->n_items,
                                   .n_prompts = (uint32_t)plan->n_prompts};
    sheet->answers = malloc((plan->n_items + 1) * sizeof *sheet->answers);
    if (!sheet->answers) return error_set(err, ST_NO_MEMORY, "%zu answers", plan->n_items);
    for (size_t i = 0; i < plan->n_items; i++) sheet->answers[i] = (int8_t)ANSWER_FAILED;
    return ST_OK;
}

void answer_sheet_fini(struct answer_sheet *sheet)
{
    free(sheet->answers);
    *sheet = (struct answer_sheet){0};
}

static struct prompt_plan sizes_of(const struct answer_sheet *sheet)
{
    return (struct prompt_plan){.n_items = sheet->n_items, .n_prompts = sheet->n_prompts};
}

size_t answer_sheet_n_of(const struct answer_sheet *sheet, size_t index)
{
    const struct prompt_plan plan = sizes_of(sheet);
    size_t n;
    (void)prompt_plan_range(&plan, index, &n);
    return n;
}

void answer_sheet_fill(struct answer_sheet *sheet, size_t index, const enum judge_answer *answers)
{
    const struct prompt_plan plan = sizes_of(sheet);
    size_t n;
    const size_t first = prompt_plan_range(&plan, index, &n);
    for (size_t i = 0; i < n; i++) sheet->answers[first + i] = (int8_t)answers[i];
}

status_t answer_sheet_judge(const struct answer_sheet *sheet, const struct prompt_plan *plan,
                            const struct prompt_items *items, struct judgement *judgements,
                            struct error *err)
{
    if (plan->n_items != sheet->n_items || plan->n_prompts != sheet->n_prompts)
        return error_set(err, ST_INTERNAL, "answers to %u items, %zu are there", sheet->n_items,
                         plan->n_items);
    for (size_t i = 0; i < plan->n_items; i++) {
        const struct prompt_item *item = &items->items[plan->order[i]];
        judgements[plan->order[i]] =
            (struct judgement){.document_key = item->window->document_key,
                               .truth = item->truth,
                               .answer = (enum judge_answer)sheet->answers[i]};
    }
    return ST_OK;
}
