/* The open sessions of a sweep, each in one place at a time. */
#include "coordinator/sweep/label_scoring_parts.h"

#include <stdlib.h>

status_t label_open_add(struct label_scoring *scoring, size_t index, struct open_session **out,
                        struct error *err)
{
    if (scoring->n_open == scoring->open_capacity) {
        const size_t capacity = scoring->open_capacity ? 2 * scoring->open_capacity : 64;
        struct open_session **grown = realloc(scoring->open, capacity * sizeof *grown);
        if (!grown) return error_set(err, ST_NO_MEMORY, "%zu sessions", capacity);
        scoring->open = grown;
        scoring->open_capacity = capacity;
    }
    struct open_session *open = calloc(1, sizeof *open);
    if (!open) return error_set(err, ST_NO_MEMORY, "session");
    open->index = index;
    open->place = OPEN_IN_JOB;
    open->is_new = true;
    open->position = scoring->n_open;
    scoring->open[scoring->n_open++] = open;
    *out = open;
    return ST_OK;
}

void label_open_drop_calls(struct open_session *open)
{
    for (size_t i = 0; i < open->n_calls; i++) call_fini(&open->calls[i]);
    free(open->calls);
    free(open->call_asks);
    open->calls = NULL;
    open->call_asks = NULL;
    open->n_calls = 0;
}

/* Nobody waits for anything in it any more (call_index.h), and it is in no list. */
void label_open_drop(struct label_scoring *scoring, struct open_session *open)
{
    struct open_session *last = scoring->open[--scoring->n_open];
    scoring->open[open->position] = last;
    last->position = open->position;
    label_session_fini(&open->session);
    label_open_drop_calls(open);
    if (open->result) label_result_fini(open->result);
    free(open->result);
    free(open->judged);
    free(open->ids);
    free(open);
}

void label_open_push(struct open_list *list, struct open_session *open)
{
    open->next = NULL;
    if (list->last)
        list->last->next = open;
    else
        list->first = open;
    list->last = open;
}

struct open_session *label_open_pop(struct open_list *list)
{
    struct open_session *open = list->first;
    if (!open) return NULL;
    list->first = open->next;
    if (!list->first) list->last = NULL;
    open->next = NULL;
    return open;
}

void label_open_fini(struct label_scoring *scoring)
{
    while (scoring->n_open) label_open_drop(scoring, scoring->open[scoring->n_open - 1]);
    free(scoring->open);
    scoring->open = NULL;
    scoring->asking = scoring->ready = (struct open_list){NULL, NULL};
    call_index_destroy(&scoring->waiters);
}
