#include "coordinator/plan/estimate_facts.h"

#include "coordinator/intake/corpus.h"
#include "coordinator/plan/feature_set.h"

#include "common/file.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_CONFIG_BYTES = 1 << 20 };

/* --- corpora ---------------------------------------------------------------------------- */

/* Read until the source's max_tokens are surely there. */
static status_t measure_source(const struct sweep_source *source, struct estimate_input *out,
                               struct error *err)
{
    struct corpus *corpus = NULL;
    struct corpus_document document;
    struct corpus_stats stats = {0};
    bool has_document = true;
    const double max_bytes =
        source->max_tokens ? (double)source->max_tokens * ESTIMATE_BYTES_PER_TOKEN : 1e300;
    status_t status = corpus_open(&corpus, source, err);
    while (status == ST_OK && has_document) {
        status = corpus_next(corpus, &document, &has_document, err);
        stats = corpus_stats(corpus);
        if ((double)stats.n_text_bytes > max_bytes) break;
        if (source->max_tokens && stats.n_tokens > source->max_tokens) break;
    }
    corpus_close(&corpus);
    out->n_documents += stats.n_documents;
    out->n_text_bytes +=
        (double)stats.n_text_bytes > max_bytes ? (uint64_t)max_bytes : stats.n_text_bytes;
    out->n_tokens += stats.n_tokens;
    return status;
}

static status_t measure_corpora(struct estimate_input *out, struct error *err)
{
    const struct sweep_spec *spec = out->spec;
    const struct sweep_source main_source = sweep_spec_main_source(spec);
    status_t status = measure_source(&main_source, out, err);
    for (size_t i = 0; status == ST_OK && i < spec->n_ood; i++)
        status = measure_source(&spec->ood[i], out, err);
    /* Token ids of one corpus beside text of another: not exact, so all is guessed from bytes. */
    if (out->n_text_bytes && out->n_tokens) {
        out->n_text_bytes += (uint64_t)((double)out->n_tokens * ESTIMATE_BYTES_PER_TOKEN);
        out->n_tokens = 0;
    }
    return status;
}

/* --- features --------------------------------------------------------------------------- */

/* A whole number of directory/file under the first of `keys` (NULL-terminated) that is there;
 * 0 if there is none. What cannot be read is not known: a worker will say why. */
static uint64_t read_count(const char *directory, const char *file, const char *const *keys)
{
    char *path = file_join(directory, file), *text = NULL;
    json_t *json = NULL;
    json_int_t count = 0;
    struct error ignored = {.status = ST_OK};
    if (path && file_read(path, MAX_CONFIG_BYTES, &text, NULL, &ignored) == ST_OK)
        json = json_loads(text, 0, NULL);
    for (; json && *keys && count <= 0; keys++)
        count = json_integer_value(json_object_get(json, *keys));
    json_decref(json);
    free(text);
    free(path);
    return count > 0 && count <= EVIDENCE_MAX_SLOTS ? (uint64_t)count : 0;
}

static uint64_t n_units_of(const struct sweep_spec *spec, const struct sweep_target *target)
{
    static const char *const d_sae[] = {"d_sae", NULL};
    static const char *const d_model[] = {"n_embd", "hidden_size", NULL};
    static const char *const d_mlp[] = {"n_inner", "intermediate_size", NULL};
    static const char *const n_heads[] = {"n_head", "num_attention_heads", NULL};
    uint64_t n = 0;
    switch (target->units) {
    case SWEEP_UNITS_DICTIONARY: return read_count(target->dictionary, "cfg.json", d_sae);
    case SWEEP_UNITS_RESIDUAL: return read_count(spec->model, "config.json", d_model);
    case SWEEP_UNITS_HEADS: return read_count(spec->model, "config.json", n_heads);
    case SWEEP_UNITS_NEURONS:
        n = read_count(spec->model, "config.json", d_mlp);
        return n ? n : 4 * read_count(spec->model, "config.json", d_model); /* GPT-2's rule */
    }
    return n;
}

/* Features chosen of a target; 0 if that cannot be known. Neurons and dimensions have a positive
 * and a negative feature each. */
static status_t count_features(const struct sweep_spec *spec, const struct sweep_target *target,
                               uint64_t *n_features, struct error *err)
{
    const uint64_t n_units = n_units_of(spec, target);
    const bool is_signed =
        target->units == SWEEP_UNITS_NEURONS || target->units == SWEEP_UNITS_RESIDUAL;
    struct feature_set set = {0};
    status_t status;
    *n_features = 0;
    if (n_units == 0 || n_units > EVIDENCE_MAX_SLOTS) return ST_OK;
    status = feature_set_init(&set, target->features, (uint32_t)n_units, target->sample,
                              target->sample_seed, err);
    if (status != ST_OK) return error_wrap(err, "%s", target->hook);
    *n_features = set.n * (is_signed ? 2 : 1);
    feature_set_fini(&set);
    return ST_OK;
}

static status_t count_all_features(struct estimate_input *out, struct error *err)
{
    const struct sweep_spec *spec = out->spec;
    uint64_t n_all = 0;
    for (size_t i = 0; i < spec->n_targets; i++) {
        uint64_t n;
        const status_t status = count_features(spec, &spec->targets[i], &n, err);
        if (status != ST_OK) return status;
        if (n == 0) return ST_OK; /* one that is not known: no total */
        n_all += n;
    }
    out->n_features = n_all;
    return ST_OK;
}

/* --- providers -------------------------------------------------------------------------- */

static status_t set_provider(struct estimate_provider *out, const char *role, const char *name,
                             const struct provider_config *providers, struct error *err)
{
    const struct provider *provider;
    if (strcmp(name, "lexical") == 0) return ST_OK;
    provider = providers ? provider_find(providers, name) : NULL;
    if (!provider) return error_set(err, ST_NOT_FOUND, "%s: there is no provider '%s'", role, name);
    *out = (struct estimate_provider){
        .is_used = true,
        .dollars_per_million_input = (double)provider_price_in(provider) / 1e6,
        .dollars_per_million_output = (double)provider_price_out(provider) / 1e6,
        .requests_per_minute = provider->rpm,
        .tokens_per_minute = provider->tpm ? provider->tpm : provider->itpm,
        .has_logprobs = provider->logprobs};
    return ST_OK;
}

status_t estimate_facts_read(struct estimate_input *out, const struct sweep_spec *spec,
                             const struct provider_config *providers, struct error *err)
{
    struct estimate_input input = {.spec = spec};
    status_t status = ST_OK;
    if (spec->kind == SWEEP_KIND_LABEL) {
        status = set_provider(&input.explainer, "explainer", spec->explainer, providers, err);
        if (status == ST_OK && sweep_spec_asks_judge(spec))
            status = set_provider(&input.judge, "judge", spec->judge, providers, err);
        for (size_t i = 0; i < spec->n_judges && status == ST_OK; i++)
            if (sweep_spec_asks(spec, i + 1))
                status =
                    set_provider(&input.more_judges[i], "judges", spec->judges[i], providers, err);
        if (status == ST_OK) status = measure_corpora(&input, err);
        if (status == ST_OK) status = count_all_features(&input, err);
    }
    if (status == ST_OK) *out = input;
    return status;
}
