#include "worker/tasks/capture_target.h"

#include "common/number_ranges.h"
#include "worker/model/encoder.h"
#include "worker/tasks/spec.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum target_kind { TARGET_DICTIONARY, TARGET_SIGNED, TARGET_HEADS };

struct capture_target {
    struct model_cache *models;
    const struct model *model;
    enum target_kind kind;
    struct hook_point hook;
    size_t width;
    uint32_t n_features; /* of the dictionary, or units of the hook point */
    uint32_t *features;  /* [n_chosen], ascending */
    size_t n_chosen;
    uint32_t *slot_of;             /* [n_features]; UINT32_MAX: not chosen */
    struct dictionary *dictionary; /* counted in the cache */
    struct encoder *encoder;
    bool is_whole;           /* the encoder has all features */
    struct sparse_rows rows; /* dense kinds: owned, grown */
    size_t row_capacity, entry_capacity;
    float *norms; /* heads: [n_tokens, n_heads] */
};

static status_t parse_units(const json_t *spec, enum target_kind *out, struct error *err)
{
    static const struct {
        const char *name;
        enum target_kind kind;
    } units[] = {{"dictionary", TARGET_DICTIONARY},
                 {"neurons", TARGET_SIGNED},
                 {"residual", TARGET_SIGNED},
                 {"heads", TARGET_HEADS}};
    const char *name;
    const status_t status = spec_text(spec, "units", &name, err);
    if (status != ST_OK) return status;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(units[i].name, name) == 0) {
            *out = units[i].kind;
            return ST_OK;
        }
    return error_set(err, ST_UNSUPPORTED, "unknown units \"%s\"", name);
}

static status_t check_dictionary(const struct capture_target *self, const char *hook,
                                 struct error *err)
{
    const struct dictionary_config *config = dictionary_config(self->dictionary);
    const char *directory = dictionary_directory(self->dictionary);
    if (config->hook_name[0] && strcmp(config->hook_name, hook) != 0)
        return error_set(err, ST_BAD_INPUT, "%s was trained on %s, not on %s", directory,
                         config->hook_name, hook);
    if (config->d_in != self->width)
        return error_set(err, ST_BAD_INPUT, "%s reads %zu values, %s has %zu", directory,
                         config->d_in, hook, self->width);
    return ST_OK;
}

static status_t open_dictionary(struct capture_target *self, const json_t *spec, const char *hook,
                                struct error *err)
{
    const char *directory;
    const char *planned = json_string_value(json_object_get(spec, "fingerprint"));
    double factor;
    status_t status = spec_text(spec, "dictionary", &directory, err);
    if (status == ST_OK) status = spec_number(spec, "norm_scaling_factor", 0, &factor, err);
    if (status == ST_OK)
        status =
            model_cache_check_fingerprint(self->models, directory, planned ? planned : "", err);
    if (status == ST_OK)
        status = model_cache_dictionary(self->models, directory, factor, &self->dictionary, err);
    if (status == ST_OK) status = check_dictionary(self, hook, err);
    if (status == ST_OK)
        self->n_features = (uint32_t)dictionary_config(self->dictionary)->n_features;
    return status;
}

static status_t open_hook(struct capture_target *self, const json_t *spec, struct error *err)
{
    const char *hook;
    const struct model_config *config = model_config(self->model);
    status_t status = spec_text(spec, "hook", &hook, err);
    if (status == ST_OK) status = hook_point_parse(hook, config, &self->hook, err);
    if (status != ST_OK) return status;
    self->width = hook_point_width(self->hook, config);
    if (self->kind == TARGET_DICTIONARY) return open_dictionary(self, spec, hook, err);
    if (self->kind == TARGET_HEADS && self->hook.kind != HOOK_Z)
        return error_set(err, ST_BAD_INPUT, "units heads are read at blocks.L.attn.hook_z, not %s",
                         hook);
    self->n_features = (uint32_t)(self->kind == TARGET_HEADS ? config->n_heads : self->width);
    return ST_OK;
}

/* "features" as the coordinator spells it out; absent (describe): all. */
static status_t choose_features(struct capture_target *self, const json_t *spec, struct error *err)
{
    const char *text = json_string_value(json_object_get(spec, "features"));
    const bool is_list = text && json_object_get(spec, "n_slots");
    if (is_list) {
        const status_t status =
            number_ranges_read(text, self->n_features, &self->features, &self->n_chosen, err);
        if (status != ST_OK)
            return error_wrap(err, "features (there are %u)", (unsigned)self->n_features);
    }
    self->slot_of = malloc(((size_t)self->n_features + 1) * sizeof *self->slot_of);
    if (!self->slot_of) return error_set(err, ST_NO_MEMORY, "slots");
    if (!is_list) self->n_chosen = self->n_features;
    for (size_t i = 0; i < self->n_features; i++)
        self->slot_of[i] = is_list ? UINT32_MAX : (uint32_t)i;
    for (size_t i = 0; is_list && i < self->n_chosen; i++)
        self->slot_of[self->features[i]] = (uint32_t)i;
    return ST_OK;
}

/* An encoder of these features [n]; NULL: all. */
static status_t open_encoder(struct capture_target *self, const uint32_t *features, size_t n,
                             struct error *err)
{
    struct encoder *encoder = NULL;
    const struct encoder_params params = {.dictionary = self->dictionary,
                                          .screen = SCREEN_AUTO,
                                          .features = features,
                                          .n_selected = n};
    const status_t status = encoder_create(&encoder, &params, err);
    if (status != ST_OK) return status;
    encoder_destroy(&self->encoder);
    self->encoder = encoder;
    self->is_whole = !features;
    return ST_OK;
}

static status_t open_chosen_encoder(struct capture_target *self, struct error *err)
{
    if (self->kind != TARGET_DICTIONARY) return ST_OK;
    const bool is_all = self->n_chosen == self->n_features;
    return open_encoder(self, is_all ? NULL : self->features, is_all ? 0 : self->n_chosen, err);
}

status_t capture_target_open(struct capture_target **out, struct model_cache *models,
                             const struct model *model, const json_t *spec, struct error *err)
{
    struct capture_target *self = calloc(1, sizeof *self);
    if (!self) return error_set(err, ST_NO_MEMORY, "capture target");
    self->models = models;
    self->model = model;
    status_t status = parse_units(spec, &self->kind, err);
    if (status == ST_OK) status = open_hook(self, spec, err);
    if (status == ST_OK) status = choose_features(self, spec, err);
    if (status == ST_OK) status = open_chosen_encoder(self, err);
    if (status != ST_OK) {
        capture_target_close(&self);
        return status;
    }
    *out = self;
    return ST_OK;
}

void capture_target_close(struct capture_target **target)
{
    struct capture_target *self = *target;
    if (!self) return;
    encoder_destroy(&self->encoder);
    if (self->dictionary) model_cache_release_dictionary(self->models, self->dictionary);
    free(self->features);
    free(self->slot_of);
    free(self->rows.row_start);
    free(self->rows.feature);
    free(self->rows.value);
    free(self->norms);
    free(self);
    *target = NULL;
}

struct hook_point capture_target_hook(const struct capture_target *target)
{
    return target->hook;
}

struct describe_target capture_target_describe(const struct capture_target *target)
{
    return (struct describe_target){.n_features = target->n_features,
                                    .is_signed = target->kind == TARGET_SIGNED};
}

uint32_t capture_target_n_slots(const struct capture_target *target)
{
    return (uint32_t)(target->n_chosen * (target->kind == TARGET_SIGNED ? 2 : 1));
}

status_t capture_target_slot_unit(const struct capture_target *self, uint32_t slot,
                                  struct slot_unit *out, struct error *err)
{
    const uint32_t n_signs = self->kind == TARGET_SIGNED ? 2 : 1;
    if (slot >= capture_target_n_slots(self))
        return error_set(err, ST_BAD_INPUT, "slot %u of %u", (unsigned)slot,
                         (unsigned)capture_target_n_slots(self));
    *out = (struct slot_unit){.dictionary = self->dictionary,
                              .is_head = self->kind == TARGET_HEADS,
                              .number =
                                  self->features ? self->features[slot / n_signs] : slot / n_signs,
                              .sign = slot % n_signs ? -1.0f : 1.0f};
    return ST_OK;
}

status_t capture_target_select(struct capture_target *self, const uint32_t *slots, size_t n_slots,
                               struct error *err)
{
    for (size_t i = 0; i < n_slots; i++)
        if (slots[i] >= capture_target_n_slots(self))
            return error_set(err, ST_BAD_INPUT, "slot %u of %u", (unsigned)slots[i],
                             (unsigned)capture_target_n_slots(self));
    if (self->kind != TARGET_DICTIONARY) return ST_OK;
    uint32_t *features = malloc((n_slots + 1) * sizeof *features);
    if (!features) return error_set(err, ST_NO_MEMORY, "%zu slots", n_slots);
    for (size_t i = 0; i < n_slots; i++)
        features[i] = self->features ? self->features[slots[i]] : slots[i];
    const status_t status = open_encoder(self, features, n_slots, err);
    free(features);
    return status;
}

/* --- dense kinds --------------------------------------------------------------------------- */

static status_t grow_rows(struct capture_target *self, size_t n_rows, size_t n_entries,
                          struct error *err)
{
    if (n_rows + 1 > self->row_capacity) {
        free(self->rows.row_start);
        self->rows.row_start = malloc((n_rows + 1) * sizeof *self->rows.row_start);
        self->row_capacity = self->rows.row_start ? n_rows + 1 : 0;
    }
    if (n_entries > self->entry_capacity) {
        free(self->rows.feature);
        free(self->rows.value);
        self->rows.feature = malloc(n_entries * sizeof *self->rows.feature);
        self->rows.value = malloc(n_entries * sizeof *self->rows.value);
        self->entry_capacity = self->rows.feature && self->rows.value ? n_entries : 0;
    }
    return self->row_capacity && (self->entry_capacity || n_entries == 0)
               ? ST_OK
               : error_set(err, ST_NO_MEMORY, "activations of %zu tokens", n_rows);
}

static status_t gather_units(struct capture_target *self, const float *values, size_t n_tokens,
                             size_t n_units, struct error *err)
{
    const uint32_t n_signs = self->kind == TARGET_SIGNED ? 2 : 1;
    struct sparse_rows *rows = &self->rows;
    size_t n = 0;
    rows->n_rows = n_tokens;
    for (size_t t = 0; t < n_tokens; t++) {
        rows->row_start[t] = n;
        for (size_t i = 0; i < n_units; i++) {
            const float value = values[t * n_units + i];
            if (!isfinite(value))
                return error_set(err, ST_BAD_INPUT, "token %zu: unit %zu is not finite", t, i);
            if (value == 0.0f || self->slot_of[i] == UINT32_MAX) continue;
            rows->feature[n] = self->slot_of[i] * n_signs + (value < 0.0f ? 1u : 0u);
            rows->value[n++] = fabsf(value);
        }
    }
    rows->row_start[n_tokens] = n;
    return ST_OK;
}

static status_t read_heads(struct capture_target *self, struct forward *forward, const float *acts,
                           size_t n_tokens, struct error *err)
{
    float *norms = realloc(self->norms, (n_tokens * self->n_features + 1) * sizeof *norms);
    if (!norms) return error_set(err, ST_NO_MEMORY, "head norms");
    self->norms = norms;
    status_t status = forward_head_norms(forward, self->hook.layer, acts, n_tokens, norms, err);
    return status == ST_OK ? gather_units(self, norms, n_tokens, self->n_features, err) : status;
}

static void to_slots(struct capture_target *self, struct sparse_rows *rows)
{
    if (self->n_chosen == self->n_features) return;
    for (size_t i = 0; i < rows->row_start[rows->n_rows]; i++)
        rows->feature[i] = self->slot_of[rows->feature[i]];
}

bool capture_target_is_on_device(const struct capture_target *target)
{
    return target->kind == TARGET_DICTIONARY;
}

status_t capture_target_read_device(struct capture_target *self, const float *acts, size_t n_tokens,
                                    struct sparse_rows *out, struct error *err)
{
    const status_t status = encoder_run_device(self->encoder, acts, n_tokens, out, err);
    if (status == ST_OK) to_slots(self, out);
    return status;
}

bool capture_target_digests(const struct capture_target *target)
{
    return target->is_whole &&
           backend_supports(dictionary_backend(target->dictionary), BACKEND_DIGEST);
}

status_t capture_target_digest(struct capture_target *self, const float *acts,
                               const struct digest_params *params, struct digest *out,
                               struct error *err)
{
    return encoder_digest_device(self->encoder, acts, params, out, err);
}

status_t capture_target_output_scales(struct capture_target *self, const float *acts,
                                      size_t n_tokens, float *out, struct error *err)
{
    return encoder_output_scales(self->encoder, acts, n_tokens, out, err);
}

status_t capture_target_read(struct capture_target *self, struct forward *forward,
                             const float *acts, size_t n_tokens, struct sparse_rows *out,
                             struct error *err)
{
    if (self->kind == TARGET_DICTIONARY) {
        const status_t status = encoder_run(self->encoder, acts, n_tokens, out, err);
        if (status == ST_OK) to_slots(self, out);
        return status;
    }
    status_t status = grow_rows(self, n_tokens, n_tokens * self->n_features, err);
    if (status == ST_OK)
        status = self->kind == TARGET_HEADS ? read_heads(self, forward, acts, n_tokens, err)
                                            : gather_units(self, acts, n_tokens, self->width, err);
    if (status == ST_OK) *out = self->rows;
    return status;
}
