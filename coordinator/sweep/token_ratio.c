#include "coordinator/sweep/token_ratio.h"

#include "common/task.h"
#include "coordinator/gateway/call.h"

#include <stdio.h>
#include <stdlib.h>

enum { KEY_SIZE = SWEEP_ID_SIZE + 16, NUMBER_SIZE = 32 };
static const double not_counted_yet = 0.25, least = 0.01;

static status_t parse(const char *text, double *out, struct error *err)
{
    char *end;
    const double value = strtod(text, &end);
    if (end == text || *end || !(value > 0 && value <= 1))
        return error_set(err, ST_CORRUPT, "tokens_per_byte: \"%.32s\" in the store", text);
    *out = value;
    return ST_OK;
}

/* As it is kept, so that the first answer has the same bits as the later ones. */
static status_t measure(const struct token_ratio_source *source, char text[NUMBER_SIZE],
                        struct error *err)
{
    double measured = 0;
    const status_t status = call_tokens_per_byte(source->store, source->provider, &measured, err);
    if (status != ST_OK) return status;
    if (measured <= 0) measured = not_counted_yet;
    measured = measured < least ? least : measured > 1 ? 1 : measured;
    (void)snprintf(text, NUMBER_SIZE, "%.6f", measured);
    return ST_OK;
}

status_t token_ratio_freeze(const struct token_ratio_source *source, double *out, struct error *err)
{
    char key[KEY_SIZE], text[NUMBER_SIZE];
    redisReply *kept;
    (void)snprintf(key, sizeof key, "interp:sweep:%s", source->sweep_id);
    status_t status = store_run(source->store, &kept, err, "HGET %s tokens_per_byte", key);
    if (status != ST_OK) return status;
    const bool is_kept = kept->type == REDIS_REPLY_STRING;
    if (is_kept) status = parse(kept->str, out, err);
    freeReplyObject(kept);
    if (status != ST_OK || is_kept) return status;
    status = measure(source, text, err);
    const struct leader_command keep = {{"HSET", key, "tokens_per_byte", text}};
    if (status == ST_OK) status = leader_write(source->leader, &keep, 1, err);
    return status == ST_OK ? parse(text, out, err) : status;
}
