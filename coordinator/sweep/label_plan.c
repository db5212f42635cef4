/* From token ids to capture units and slots, in the background. */
#include "common/hash.h"
#include "coordinator/sweep/label_job.h"
#include "coordinator/sweep/label_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* By content, not by path: a model that was trained again has other evidence. */
static uint64_t target_key(const struct label_run *run, size_t index)
{
    const struct sweep_target *target = &run->sweep->spec->targets[index];
    char name[512], factor[32] = "";
    if (target->norm_scaling_factor > 0) /* else the name that targets had before there was one */
        (void)snprintf(factor, sizeof factor, "|%.17g", target->norm_scaling_factor);
    const int n = snprintf(name, sizeof name, "%s|%s|%s|%s%s", run->description.fingerprint,
                           run->description.targets[index].fingerprint,
                           sweep_units_name(target->units), target->hook, factor);
    const size_t n_name = n > 0 && (size_t)n < sizeof name ? (size_t)n : sizeof name - 1;
    const struct feature_set *set = &run->targets[index].captured;
    return hash_mix64(hash_name64(name, n_name) ^
                      hash_name64(set->features, set->n * sizeof *set->features));
}

static status_t init_target(struct label_run *run, size_t index, struct error *err)
{
    const struct sweep_target *wanted = &run->sweep->spec->targets[index];
    const struct describe_target *facts = &run->description.targets[index];
    struct label_target *target = &run->targets[index];
    const size_t n_signs = facts->is_signed ? 2 : 1;
    const bool is_whole = facts->n_features * n_signs <= LABEL_WHOLE_CAPTURE_SLOTS;
    status_t status = feature_set_init(&target->chosen, wanted->features, facts->n_features,
                                       wanted->sample, wanted->sample_seed, err);
    if (status == ST_OK)
        status = feature_set_init(&target->captured, is_whole ? NULL : wanted->features,
                                  facts->n_features, is_whole ? 0 : wanted->sample,
                                  wanted->sample_seed, err);
    if (status != ST_OK) return error_wrap(err, "targets[%zu] %s", index, wanted->hook);
    target->is_signed = facts->is_signed;
    const size_t n_slots = target->captured.n * n_signs;
    if (n_slots > EVIDENCE_MAX_SLOTS)
        return error_set(err, ST_TOO_LARGE, "targets[%zu]: %zu slots, at most %d", index, n_slots,
                         EVIDENCE_MAX_SLOTS);
    target->n_slots = (uint32_t)n_slots;
    target->key = target_key(run, index);
    return evidence_frozen_init(&target->frozen, target->n_slots, err);
}

status_t label_targets_init(struct label_run *run, struct error *err)
{
    const size_t n = run->sweep->spec->n_targets;
    run->targets = calloc(n, sizeof *run->targets);
    if (!run->targets) return error_set(err, ST_NO_MEMORY, "%zu targets", n);
    status_t status = ST_OK;
    for (size_t i = 0; i < n && status == ST_OK; i++) status = init_target(run, i, err);
    return status;
}

void label_targets_fini(struct label_run *run)
{
    for (size_t i = 0; run->targets && i < run->sweep->spec->n_targets; i++) {
        struct label_target *target = &run->targets[i];
        for (size_t split = 0; split < EVIDENCE_N_SPLITS; split++)
            evidence_state_destroy(&target->states[split]);
        label_outputs_fini(&target->outputs);
        evidence_frozen_fini(&target->frozen);
        buffer_fini(&target->frozen_packed);
        feature_set_fini(&target->chosen);
        feature_set_fini(&target->captured);
    }
    free(run->targets);
    run->targets = NULL;
}

static status_t check_tokens(const struct label_run *run, struct error *err)
{
    const uint64_t n_vocab = run->description.n_vocab;
    const uint32_t max_token = token_corpus_max_token(run->corpus);
    return max_token < n_vocab
               ? ST_OK
               : error_set(err, ST_BAD_INPUT, "the corpus has token %u, the model has %llu tokens",
                           (unsigned)max_token, (unsigned long long)n_vocab);
}

static status_t make_plan(struct label_run *run, struct error *err)
{
    struct capture_plan_params params;
    status_t status =
        tokenize_collector_take(text_batches_collector(run->batches), &run->corpus, err);
    if (status == ST_OK) status = check_tokens(run, err);
    if (status == ST_OK)
        status = capture_plan_params_init(&params, run->sweep->spec, run->description.bos,
                                          run->description.eos, run->description.adds_bos, err);
    if (status == ST_OK) status = capture_plan_create(&run->plan, run->corpus, &params, err);
    if (status == ST_OK) status = capture_plan_count_leaks(run->plan, &run->n_leaks, err);
    if (status == ST_OK && run->n_leaks)
        status = error_set(err, ST_INTERNAL, "%llu documents are on two sides of the split",
                           (unsigned long long)run->n_leaks);
    if (status == ST_OK) {
        run->plan_stats = capture_plan_stats(run->plan);
        run->documents = token_corpus_keys(run->corpus);
        text_batches_destroy(&run->batches);
        status = label_targets_init(run, err);
    }
    return status == ST_OK ? label_evidence_set_key(run, err) : status;
}

status_t label_plan_begin(struct label_run *run, struct error *err)
{
    const struct sweep_spec *spec = run->sweep->spec;
    run->unit_tokens = malloc((size_t)spec->rows_per_unit * spec->corpus.context_tokens *
                              sizeof *run->unit_tokens);
    if (!run->unit_tokens) return error_set(err, ST_NO_MEMORY, "capture unit");
    return label_job_start(run, make_plan, err);
}
