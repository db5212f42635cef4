#include "coordinator/session/random_judge.h"

#include "coordinator/session/draw.h"

#include <stdlib.h>
#include <string.h>

static struct draw coins(const struct random_judge_params *params)
{
    const uint64_t label = hash_name64(params->label, strlen(params->label));
    const uint64_t name = params->subject ^ hash_mix64(label ^ hash_mix64(params->windows + 1));
    return draw_stream(params->seed, DRAW_CONTROL, name);
}

void random_judge(const struct random_judge_params *params, const struct prompt_items *items,
                  struct judgement *judgements)
{
    struct draw draw = coins(params);
    for (size_t i = 0; i < items->n_items; i++) {
        const struct prompt_item *item = &items->items[i];
        judgements[i] =
            (struct judgement){.document_key = item->window->document_key,
                               .truth = item->truth,
                               .answer = draw_below(&draw, 2) ? ANSWER_FIRES : ANSWER_SILENT};
    }
}

status_t random_judge_simulate(const struct random_judge_params *params,
                               struct simulation_sheet *sheet, struct error *err)
{
    struct draw draw = coins(params);
    for (size_t i = 0; i < sheet->n_windows; i++) {
        struct simulated_text *text = &sheet->texts[i];
        text->predicted = calloc(text->n_tokens + 1, sizeof *text->predicted);
        if (!text->predicted) return error_set(err, ST_NO_MEMORY, "%u predictions", text->n_tokens);
        for (size_t j = 0; j < text->n_tokens; j++)
            text->predicted[j] = draw_below(&draw, SIMULATION_MAX_VALUE + 1);
    }
    return ST_OK;
}
