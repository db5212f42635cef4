#include "coordinator/sweep/registry.h"

#include "common/log.h"
#include "coordinator/sweep/captures.h"
#include "coordinator/sweep/circuit_kept.h"
#include "coordinator/sweep/circuit_labels.h"
#include "coordinator/sweep/labels_kept.h"
#include "coordinator/sweep/paid_calls.h"
#include "coordinator/sweep/repeated.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECHECK_MS = 1000 };

struct registry {
    struct sweep_context context;
    struct sweep_store store;
    struct sweep **sweeps; /* each owned */
    size_t n_sweeps, capacity;
};

status_t registry_create(struct registry **out, const struct sweep_context *context,
                         struct error *err)
{
    struct registry *registry = calloc(1, sizeof *registry);
    if (!registry) return error_set(err, ST_NO_MEMORY, "sweep registry");
    registry->context = *context;
    context->cache->has_new_capture = true; /* what earlier lives left */
    const status_t status =
        sweep_store_init(&registry->store, context->store, context->leader, err);
    if (status != ST_OK) {
        free(registry);
        return status;
    }
    *out = registry;
    return ST_OK;
}

static void stop_engine(struct sweep *sweep)
{
    if (sweep->engine) sweep->ops->stop(sweep);
    sweep->engine = NULL;
}

static void sweep_destroy(struct sweep *sweep)
{
    stop_engine(sweep);
    sweep_spec_free(&sweep->spec);
    free(sweep);
}

void registry_destroy(struct registry **registry)
{
    if (!*registry) return;
    for (size_t i = 0; i < (*registry)->n_sweeps; i++) sweep_destroy((*registry)->sweeps[i]);
    free((*registry)->sweeps);
    free(*registry);
    *registry = NULL;
}

static status_t make_room(struct registry *registry, struct error *err)
{
    if (registry->n_sweeps < registry->capacity) return ST_OK;
    const size_t capacity = registry->capacity ? 2 * registry->capacity : 64;
    struct sweep **grown = realloc(registry->sweeps, capacity * sizeof *grown);
    if (!grown) return error_set(err, ST_NO_MEMORY, "%zu sweeps", capacity);
    registry->sweeps = grown;
    registry->capacity = capacity;
    return ST_OK;
}

static void attach(struct registry *registry, struct sweep *sweep)
{
    sweep->context = &registry->context;
    if (!sweep->ops) sweep->ops = sweep_engine_for(sweep->spec->kind);
    sweep->share.priority = (int)sweep->spec->priority;
    sweep->share.weight = 1.0;
    sweep->share.backend = sweep_spec_backend_name(sweep->spec);
    registry->sweeps[registry->n_sweeps++] = sweep;
}

static status_t add_loaded(struct registry *registry, const char *id, struct sweep **out,
                           struct error *err)
{
    status_t status = make_room(registry, err);
    if (status != ST_OK) return status;
    struct sweep *sweep = calloc(1, sizeof *sweep);
    if (!sweep) return error_set(err, ST_NO_MEMORY, "sweep %s", id);
    struct error problem = {0};
    status = sweep_store_load(&registry->store, id, sweep, &problem);
    if (status == ST_CORRUPT) { /* one that cannot be read must not stop the others */
        log_event(LOG_ERROR, "sweep_unreadable", LOG_TEXT("sweep", id),
                  LOG_TEXT("error", problem.text));
        status = sweep_make_unreadable(sweep, problem.text, err);
    } else if (status != ST_OK) {
        (void)error_set(err, status, "%s", problem.text);
    }
    if (status != ST_OK) {
        free(sweep);
        return status;
    }
    attach(registry, sweep);
    sweep->share.is_paused = sweep->state == SWEEP_PAUSED;
    *out = sweep;
    return ST_OK;
}

static bool is_brought_file_named(const void *context, const char *hash)
{
    const struct registry *registry = context;
    for (size_t i = 0; i < registry->n_sweeps; i++)
        if (circuit_kept_names(registry->sweeps[i]->spec, hash) ||
            labels_kept_names(registry->sweeps[i]->spec, hash))
            return true;
    return false;
}

/* Sweeps are never deleted, and what one brought stays with it. What goes is what a submission left
 * that was not accepted: now, when all sweeps are known and none is being accepted. Not while one
 * is missing or cannot be read, which may name any file; nor where there is none at all: it may be
 * another store. */
static void clean_brought_files(const struct registry *registry)
{
    const char *directory = registry->context.data_directory;
    struct error problem = {0};
    size_t n = 0;
    if (registry->n_sweeps == 0) return;
    for (size_t i = 0; i < registry->n_sweeps; i++)
        if (registry->sweeps[i]->ops == &unreadable_engine) return;
    status_t status = circuit_kept_clean(directory, is_brought_file_named, registry, &n, &problem);
    size_t n_removed = n;
    if (status == ST_OK)
        status = labels_kept_clean(directory, is_brought_file_named, registry, &n, &problem);
    if (status != ST_OK)
        log_event(LOG_WARN, "brought_files_not_cleaned", LOG_TEXT("error", problem.text));
    else
        n_removed += n;
    if (n_removed) log_event(LOG_INFO, "brought_files_cleaned", LOG_NUMBER("files", n_removed));
}

status_t registry_load(struct registry *registry, struct error *err)
{
    char **ids = NULL;
    size_t n = 0;
    status_t status = sweep_store_ids(&registry->store, &ids, &n, err);
    for (size_t i = 0; i < n && status == ST_OK; i++) {
        struct sweep *sweep;
        struct error problem = {0};
        status = add_loaded(registry, ids[i], &sweep, &problem);
        if (status == ST_NOT_FOUND) { /* an id, and nothing else of it in the store */
            log_event(LOG_ERROR, "sweep_missing", LOG_TEXT("sweep", ids[i]));
            status = ST_OK;
        } else if (status != ST_OK) {
            (void)error_set(err, status, "%s", problem.text);
        }
    }
    sweep_store_free_ids(ids, n);
    if (status == ST_OK && registry->n_sweeps == n) clean_brought_files(registry);
    log_event(LOG_INFO, "sweeps_loaded", LOG_NUMBER("sweeps", registry->n_sweeps));
    return status;
}

status_t registry_find(struct registry *registry, const char *id, struct sweep **out,
                       struct error *err)
{
    for (size_t i = 0; i < registry->n_sweeps; i++)
        if (strcmp(registry->sweeps[i]->id, id) == 0) {
            *out = registry->sweeps[i];
            return ST_OK;
        }
    return error_set(err, ST_NOT_FOUND, "no sweep \"%s\" (interpctl list shows them)", id);
}

/* A sweep is accepted and started in one write: nothing but this process decides when it starts. */
static struct sweep *new_sweep(const struct registry *registry, struct sweep_spec *spec)
{
    const int64_t now_ms = clock_unix_ms(registry->context.clock);
    enum sweep_state state = SWEEP_QUEUED;
    struct sweep *sweep = calloc(1, sizeof *sweep);
    if (sweep && sweep_transition(&state, SWEEP_START))
        *sweep = (struct sweep){
            .spec = spec, .state = state, .created_unix_ms = now_ms, .started_unix_ms = now_ms};
    return sweep;
}

/* Also one that an earlier leader accepted. */
static status_t find_accepted(struct registry *registry, const char *id, struct sweep **out,
                              struct error *err)
{
    if (registry_find(registry, id, out, NULL) == ST_OK) return ST_OK;
    return add_loaded(registry, id, out, err);
}

/* The sweep that an equal submission made; *out NULL: none did. */
static status_t find_repeated(struct registry *registry, const char *client_key, struct sweep **out,
                              struct error *err)
{
    char id[SWEEP_ID_SIZE];
    *out = NULL;
    const status_t status = sweep_store_find(&registry->store, client_key, id, err);
    return status == ST_OK && id[0] ? find_accepted(registry, id, out, err) : status;
}

static status_t check_repeat(const struct sweep_spec *spec, const struct sweep *made,
                             struct error *err)
{
    return made->ops == &unreadable_engine ? ST_OK : repeated_check(spec, made, err);
}

/* Of a circuit sweep that shows its agent labels: those of a sweep that is known and fits. */
static status_t check_labels(struct registry *registry, const struct sweep_spec *spec,
                             struct error *err)
{
    const char *id = spec->kind == SWEEP_KIND_CIRCUIT ? spec->search.agent.labels : NULL;
    struct sweep *from;
    if (!id) return ST_OK;
    if (registry_find(registry, id, &from, NULL) != ST_OK)
        return error_set(err, ST_NOT_FOUND,
                         "search.agent.labels: no sweep \"%.64s\" (interpctl list shows them)", id);
    return circuit_labels_check(spec, from, err);
}

/* What is asked of a new one alone: a repeat needs neither files nor labels again. */
static status_t take_inputs(struct registry *registry, struct sweep_spec *spec, struct error *err)
{
    const char *directory = registry->context.data_directory;
    status_t status = check_labels(registry, spec, err);
    if (status == ST_OK) status = circuit_kept_take(spec, directory, err);
    return status == ST_OK ? labels_kept_take(spec, directory, err) : status;
}

/* *out is the sweep (taken), or the one that the key made meanwhile. */
static status_t accept_sweep(struct registry *registry, struct sweep *sweep, const char *client_key,
                             struct sweep **out, struct error *err)
{
    bool is_new = false;
    status_t status = sweep_store_submit(&registry->store, sweep, client_key, &is_new, err);
    if (status == ST_OK && is_new) {
        attach(registry, sweep);
        log_event(LOG_INFO, "sweep_accepted", LOG_TEXT("sweep", sweep->id),
                  LOG_TEXT("client_key", client_key));
        *out = sweep;
        return ST_OK;
    }
    if (status == ST_OK) status = find_accepted(registry, sweep->id, out, err);
    free(sweep);
    return status;
}

static status_t accept_spec(struct registry *registry, struct sweep_spec *spec,
                            const char *client_key, struct sweep **out, struct error *err)
{
    const status_t status = take_inputs(registry, spec, err);
    if (status != ST_OK) return status;
    struct sweep *sweep = new_sweep(registry, spec);
    if (!sweep) return error_set(err, ST_NO_MEMORY, "sweep");
    return accept_sweep(registry, sweep, client_key, out, err);
}

status_t registry_submit(struct registry *registry, struct sweep_spec *spec, const char *client_key,
                         struct sweep **out, bool *is_new, struct error *err)
{
    status_t status = make_room(registry, err);
    if (status == ST_OK) status = find_repeated(registry, client_key, out, err);
    if (status == ST_OK && !*out) status = accept_spec(registry, spec, client_key, out, err);
    *is_new = status == ST_OK && (*out)->spec == spec;
    if (status == ST_OK && !*is_new) status = check_repeat(spec, *out, err);
    if (status == ST_OK && !*is_new) sweep_spec_free(&spec);
    return status;
}

/* A failed sweep keeps what it has in the store, for retry. Of any other that is over nothing is
 * left, also when no engine of this life knows of it (cancelled after it failed, or paused). The
 * store lists it as active until then, so a coordinator that dies in between finds it again. */
static status_t forget(struct registry *registry, struct sweep *sweep, struct error *err)
{
    struct error problem = {0};
    status_t status = sweep->ops->forget(sweep, &problem);
    if (status == ST_OK) status = sweep_store_forgotten(&registry->store, sweep, &problem);
    if (status == ST_UNREACHABLE) return error_set(err, status, "%s", problem.text);
    sweep->must_forget = false;
    if (status != ST_OK)
        log_event(LOG_WARN, "sweep_not_forgotten", LOG_TEXT("sweep", sweep->id),
                  LOG_TEXT("error", problem.text));
    return ST_OK;
}

/* What a user pauses costs nothing more; a provider that an engine waits for must be asked. */
static status_t pause_calls(struct registry *registry, const struct sweep *sweep, struct error *err)
{
    if (!sweep_spec_uses_provider(sweep->spec)) return ST_OK;
    const bool is_paused =
        sweep->state == SWEEP_PAUSED && strcmp(sweep->reason, sweep_paused_by_user) == 0;
    return call_set_paused(registry->context.store, sweep->id, is_paused, err);
}

status_t registry_apply(struct registry *registry, struct sweep *sweep, enum sweep_event event,
                        const char *reason, struct error *err)
{
    struct sweep changed = *sweep;
    if (sweep->ops == &unreadable_engine && event != SWEEP_CANCEL)
        return error_set(err, ST_UNSUPPORTED, "%s", sweep->reason);
    if (!sweep_transition(&changed.state, event))
        return error_set(err, ST_CONFLICT, "sweep %s is %s", sweep->id,
                         sweep_state_name(sweep->state));
    const int64_t now_ms = clock_unix_ms(registry->context.clock);
    if (event == SWEEP_START && !changed.started_unix_ms) changed.started_unix_ms = now_ms;
    changed.finished_unix_ms = sweep_state_is_final(changed.state) ? now_ms : 0;
    (void)snprintf(changed.reason, sizeof changed.reason, "%s", reason ? reason : "");
    status_t status = sweep_store_save(&registry->store, &changed, err);
    if (status == ST_OK && (event == SWEEP_PAUSE || event == SWEEP_RESUME))
        status = pause_calls(registry, &changed, err);
    if (status != ST_OK) return status;
    changed.share.is_paused = changed.state == SWEEP_PAUSED;
    *sweep = changed;
    if (sweep_state_is_final(sweep->state)) stop_engine(sweep);
    sweep->must_forget = sweep_state_is_over(sweep->state);
    if (sweep->must_forget) (void)!forget(registry, sweep, NULL); /* or at a later step */
    log_event(sweep->state == SWEEP_FAILED ? LOG_ERROR : LOG_INFO, "sweep_state",
              LOG_TEXT("sweep", sweep->id), LOG_TEXT("state", sweep_state_name(sweep->state)),
              LOG_TEXT("reason", sweep->reason));
    return ST_OK;
}

status_t registry_set_budget(struct registry *registry, struct sweep *sweep, double dollars,
                             struct error *err)
{
    if (!sweep_spec_uses_provider(sweep->spec))
        return error_set(err, ST_BAD_INPUT, "sweep %s asks no provider and has no budget",
                         sweep->id);
    if (!(dollars > 0 && dollars <= 1e6)) /* with nothing to spend it would pause again */
        return error_set(err, ST_BAD_INPUT, "budget: more than 0, at most 1e6 dollars");
    if (sweep_state_is_over(sweep->state))
        return error_set(err, ST_CONFLICT, "sweep %s is %s", sweep->id,
                         sweep_state_name(sweep->state));
    const double before = sweep->spec->budget_dollars;
    sweep->spec->budget_dollars = dollars;
    status_t status = sweep_store_save_spec(&registry->store, sweep, err);
    if (status == ST_OK) status = paid_calls_set_budget(sweep, err);
    if (status != ST_OK) sweep->spec->budget_dollars = before;
    return status;
}

static status_t fail(struct registry *registry, struct sweep *sweep, const struct error *cause,
                     struct error *err)
{
    if (cause->status == ST_UNREACHABLE) return error_set(err, ST_UNREACHABLE, "%s", cause->text);
    char reason[SWEEP_REASON_SIZE];
    (void)snprintf(reason, sizeof reason, "%.*s", SWEEP_REASON_SIZE - 1, cause->text);
    return registry_apply(registry, sweep, SWEEP_FAIL, reason, err);
}

/* Paused in an earlier life of ours. A spent budget is seen in the books; for any other reason it
 * tries: the engine finds the reason again if it still holds. */
static status_t recheck_books(const struct registry *registry, const struct sweep *sweep,
                              bool *may_go_on, struct error *err)
{
    struct call_ledger ledger = {0};
    if (!sweep_spec_uses_provider(sweep->spec)) return ST_OK;
    const status_t status = call_ledger_read(registry->context.store, sweep->id, &ledger, err);
    *may_go_on = !ledger.is_exhausted;
    return status;
}

/* A sweep that its engine had paused goes on by itself once the reason is gone. */
static status_t recheck(struct registry *registry, struct sweep *sweep, struct error *err)
{
    const int64_t now_ms = clock_monotonic_ms(registry->context.clock);
    if (strcmp(sweep->reason, sweep_paused_by_user) == 0 || now_ms < sweep->next_recheck_ms)
        return ST_OK;
    sweep->next_recheck_ms = now_ms + RECHECK_MS;
    bool may_go_on = true;
    status_t status = ST_OK;
    if (!sweep->engine)
        status = recheck_books(registry, sweep, &may_go_on, err);
    else if (sweep->ops->recheck)
        status = sweep->ops->recheck(sweep, &may_go_on, err);
    return status == ST_OK && may_go_on ? registry_apply(registry, sweep, SWEEP_RESUME, NULL, err)
                                        : status;
}

static status_t step_one(struct registry *registry, struct sweep *sweep, struct error *err)
{
    struct error cause = {0};
    status_t status = sweep->must_forget ? forget(registry, sweep, err) : ST_OK;
    if (status == ST_OK && sweep->state == SWEEP_QUEUED)
        status = registry_apply(registry, sweep, SWEEP_START, NULL, err);
    if (status == ST_OK && sweep->state == SWEEP_PAUSED) status = recheck(registry, sweep, err);
    if (status != ST_OK || sweep->state != SWEEP_RUNNING) return status;
    if (!sweep->engine && sweep->ops->start(sweep, &cause) != ST_OK)
        return fail(registry, sweep, &cause, err);
    if (sweep->ops->step(sweep, &cause) != ST_OK) return fail(registry, sweep, &cause, err);
    if (sweep->is_complete) return registry_apply(registry, sweep, SWEEP_FINISH, NULL, err);
    if (!sweep->wants_pause[0]) return ST_OK;
    char reason[SWEEP_REASON_SIZE];
    memcpy(reason, sweep->wants_pause, sizeof reason);
    sweep->wants_pause[0] = '\0';
    return registry_apply(registry, sweep, SWEEP_PAUSE, reason, err);
}

static bool is_capture_used(void *context, const char *key)
{
    const struct registry *registry = context;
    for (size_t i = 0; i < registry->n_sweeps; i++) {
        const char *used = captures_key_of(registry->sweeps[i]);
        if (used && strcmp(used, key) == 0) return true;
    }
    return false;
}

/* When there is a new one, and once at the start. */
static void evict_captures(struct registry *registry)
{
    const struct sweep_context *context = &registry->context;
    struct error problem = {0};
    size_t n_removed;
    if (!context->captures_max_bytes || !context->cache->has_new_capture) return;
    context->cache->has_new_capture = false;
    if (captures_evict(context->data_directory, context->captures_max_bytes, is_capture_used,
                       registry, &n_removed, &problem) != ST_OK)
        log_event(LOG_WARN, "captures_not_evicted", LOG_TEXT("error", problem.text));
    if (n_removed) log_event(LOG_INFO, "captures_evicted", LOG_NUMBER("captures", n_removed));
}

status_t registry_step(struct registry *registry, struct error *err)
{
    status_t status = ST_OK;
    evict_captures(registry);
    for (size_t i = 0; i < registry->n_sweeps && status == ST_OK; i++)
        status = step_one(registry, registry->sweeps[i], err);
    return status;
}

const struct sweep_context *registry_context(const struct registry *registry)
{
    return &registry->context;
}

size_t registry_count(const struct registry *registry)
{
    return registry->n_sweeps;
}

struct sweep *registry_at(struct registry *registry, size_t index)
{
    return registry->sweeps[index];
}
