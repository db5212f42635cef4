#include "coordinator/session/random_judge.h"

#include "coordinator/session/draw.h"

#include <string.h>

void random_judge(const struct random_judge_params *params, const struct prompt_items *items,
                  struct judgement *judgements)
{
    const uint64_t label = hash_name64(params->label, strlen(params->label));
    const uint64_t name = params->subject ^ hash_mix64(label ^ hash_mix64(params->windows + 1));
    struct draw draw = draw_stream(params->seed, DRAW_CONTROL, name);
    for (size_t i = 0; i < items->n_items; i++) {
        const struct prompt_item *item = &items->items[i];
        judgements[i] =
            (struct judgement){.document_key = item->window->document_key,
                               .truth = item->truth,
                               .answer = draw_below(&draw, 2) ? ANSWER_FIRES : ANSWER_SILENT};
    }
}
