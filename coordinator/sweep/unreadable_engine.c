/* A sweep whose stored spec this program cannot read (another version wrote it, or it is damaged).
 * It is shown, with why; nothing of it is touched, so that the program that can read it goes on
 * where it was; it can be cancelled. What it finished can be read: results need no spec. */
#include "coordinator/sweep/label_scoring.h"
#include "coordinator/sweep/sweep.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_SIZE = SWEEP_ID_SIZE, YAML_SIZE = NAME_SIZE + 64 };

static status_t refuse(struct sweep *sweep, struct error *err)
{
    return error_set(err, ST_UNSUPPORTED, "%s", sweep->reason);
}

static void stop(struct sweep *sweep)
{
    (void)sweep; /* it never starts */
}

/* Whatever kind it was. */
static status_t forget(const struct sweep *sweep, struct error *err)
{
    const status_t status = noop_engine.forget(sweep, err);
    const status_t labels = label_engine.forget(sweep, err);
    const status_t calls = call_forget_sweep(sweep->context->calls, sweep->id, err);
    if (status != ST_OK) return status;
    return labels != ST_OK ? labels : calls;
}

static void progress(const struct sweep *sweep, struct sweep_progress *out)
{
    *out = (struct sweep_progress){.phase = "done", .eta_seconds = -1, .n_supported = -1};
    label_scoring_finished_counts(sweep, out);
}

static status_t describe(const struct sweep *sweep, json_t *out, struct error *err)
{
    return label_scoring_describe_finished(sweep, out, err);
}

/* It has no targets that a feature could be of. */
static status_t find(const struct sweep *sweep, size_t target, uint64_t feature, size_t *index,
                     struct error *err)
{
    (void)target;
    (void)feature;
    (void)index;
    return error_set(err, ST_NOT_FOUND, "%s", sweep->reason);
}

const struct sweep_engine_ops unreadable_engine = {.start = refuse,
                                                   .step = refuse,
                                                   .stop = stop,
                                                   .forget = forget,
                                                   .progress = progress,
                                                   .describe = describe,
                                                   .n_records = label_scoring_n_records,
                                                   .record = label_scoring_record,
                                                   .find = find};

/* A spec of nothing, so that every sweep has one; under the sweep's own name, if it is one. */
static status_t empty_spec(const char *id, struct sweep_spec **out, struct error *err)
{
    static const char unnamed[] = "kind: noop\nname: unreadable\n";
    char yaml[YAML_SIZE];
    const char *end = strrchr(id, '-');
    const int n = snprintf(yaml, sizeof yaml, "kind: noop\nname: %.*s\n",
                           end ? (int)(end - id) : (int)strlen(id), id);
    struct sweep_text text = {yaml, n > 0 && n < YAML_SIZE ? (size_t)n : 0, id, NULL};
    if (sweep_spec_parse(out, &text, NULL) != ST_OK) {
        text = (struct sweep_text){unnamed, sizeof unnamed - 1, id, NULL};
        const status_t status = sweep_spec_parse(out, &text, err);
        if (status != ST_OK) return status;
    }
    (*out)->mode = SWEEP_MODE_AGENTIC; /* forget() then removes what any mode has */
    return ST_OK;
}

status_t sweep_make_unreadable(struct sweep *sweep, const char *why, struct error *err)
{
    sweep_spec_free(&sweep->spec);
    const status_t status = empty_spec(sweep->id, &sweep->spec, err);
    if (status != ST_OK) return status;
    sweep->ops = &unreadable_engine;
    if (!sweep_state_is_over(sweep->state)) sweep->state = SWEEP_FAILED;
    (void)snprintf(sweep->reason, sizeof sweep->reason, "%.*s", SWEEP_REASON_SIZE - 1, why);
    return ST_OK;
}
