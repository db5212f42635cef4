/* Control sweeps: what is done otherwise than in the sweep they are a control of. A random judge is
 * the session's (session/random_judge.h), random weights are the worker's (label_spec.c). */
#include "coordinator/sweep/label_scoring_parts.h"

#include "coordinator/session/derangement.h"
#include "coordinator/sweep/label_job.h"

#include <stdlib.h>

/* The slots whose labels will be scored: only those have windows to exchange. */
struct claimants {
    size_t *slots;   /* [n] */
    double *density; /* [n] */
    uint32_t *partners;
    size_t n;
};

static void claimants_fini(struct claimants *of)
{
    free(of->slots);
    free(of->density);
    free(of->partners);
}

static status_t list_claimants(const struct label_scoring *scoring, struct claimants *out,
                               struct error *err)
{
    const size_t n = scoring->n_slots;
    status_t status = ST_OK;
    *out = (struct claimants){.slots = malloc((n + 1) * sizeof *out->slots),
                              .density = malloc((n + 1) * sizeof *out->density),
                              .partners = malloc((n + 1) * sizeof *out->partners)};
    if (!out->slots || !out->density || !out->partners)
        return error_set(err, ST_NO_MEMORY, "permutation of %zu features", n);
    for (size_t i = 0; i < n && status == ST_OK; i++) {
        struct feature_case counted; /* no part of a case: status and counts alone */
        const struct feature_case_params params = label_case_params(scoring, i, 0, NULL);
        status = feature_case_build(&counted, &params, err);
        if (status != ST_OK) break;
        if (feature_status_claims_score(counted.status)) {
            out->density[out->n] =
                (double)counted.counts.n_firing_tokens / (double)counted.counts.n_tokens;
            out->slots[out->n++] = i;
        }
        feature_case_fini(&counted);
    }
    return status;
}

static status_t choose_partners(struct label_run *run, struct error *err)
{
    struct label_scoring *scoring = run->scoring;
    const struct sweep_spec *spec = run->sweep->spec;
    struct claimants all;
    status_t status = list_claimants(scoring, &all, err);
    if (status == ST_OK)
        status = derangement_choose(all.density, all.n, spec->seed ^ spec->scoring.seed,
                                    all.partners, err);
    for (size_t i = 0; status == ST_OK && i < scoring->n_slots; i++)
        scoring->partners[i] = (uint32_t)i;
    for (size_t i = 0; status == ST_OK && i < all.n; i++)
        scoring->partners[all.slots[i]] = (uint32_t)all.slots[all.partners[i]];
    claimants_fini(&all);
    return status == ST_OK ? ST_OK : error_wrap(err, "control: permuted");
}

status_t label_control_begin(struct label_scoring *scoring, struct error *err)
{
    if (scoring->run->sweep->spec->control != SWEEP_CONTROL_PERMUTED) return ST_OK;
    scoring->partners = malloc((scoring->n_slots + 1) * sizeof *scoring->partners);
    if (!scoring->partners || scoring->n_slots > UINT32_MAX)
        return error_set(err, ST_NO_MEMORY, "permutation of %zu features", scoring->n_slots);
    return label_job_start(scoring->run, choose_partners, err);
}

struct case_stand_in label_control_stand_in(const struct label_scoring *scoring, size_t index)
{
    struct case_stand_in out = {0};
    if (!scoring->partners || scoring->partners[index] == index) return out;
    const struct slot_name name = label_slot_name(scoring, scoring->partners[index]);
    const struct label_target *target = &scoring->run->targets[name.target];
    out.is_used = true;
    out.slot = name.slot;
    out.fire_threshold = target->frozen.fire_threshold[name.slot];
    for (size_t split = 0; split < EVIDENCE_N_SPLITS; split++)
        out.states[split] = target->states[split];
    return out;
}

void label_control_describe(const struct sweep_spec *spec, json_t *summary)
{
    const char *name = sweep_control_name(spec->control);
    if (summary && name) (void)json_object_set_new(summary, "control", json_string(name));
    if (summary && spec->allow_same_family)
        (void)json_object_set_new(summary, "same_family_allowed", json_true());
}
