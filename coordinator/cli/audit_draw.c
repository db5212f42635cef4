#include "coordinator/cli/audit_draw.h"

#include "common/size.h"
#include "coordinator/session/draw.h"

#include <math.h>
#include <stdlib.h>
#include <strings.h>

enum { STREAM_SAMPLE, STREAM_SHUFFLE };

struct drawing {
    const struct audit_label *labels;
    size_t n_labels;
    uint32_t *order; /* [n_labels], shuffled: the first are the items */
    bool *is_shown;  /* [n_labels]: its text stands in the sheet */
    struct audit_pick *picks;
    size_t n_picks;
};

/* --- descriptions of decoys ---------------------------------------------------------------- */

/* How far two features are apart in how often they fire: a ratio, either way round. */
static double distance(const struct audit_label *a, const struct audit_label *b)
{
    if (a->density > 0 && b->density > 0) return fabs(log(a->density) - log(b->density));
    return a->density == b->density ? 0 : INFINITY;
}

/* Does label `a` suit the evidence of `of` better than `b`? One that stands in the sheet already
 * suits worse, then the one that fires less alike. */
static bool suits_better(const struct drawing *self, size_t of, size_t a, size_t b)
{
    if (self->is_shown[a] != self->is_shown[b]) return self->is_shown[b];
    return distance(&self->labels[of], &self->labels[a]) <
           distance(&self->labels[of], &self->labels[b]);
}

/* The label to show with the evidence of `of`; n_labels if every other one says the same. */
static size_t choose_description(const struct drawing *self, size_t of)
{
    size_t best = self->n_labels;
    for (size_t i = 0; i < self->n_labels; i++) {
        if (i == of || strcasecmp(self->labels[i].text, self->labels[of].text) == 0) continue;
        if (best == self->n_labels || suits_better(self, of, i, best)) best = i;
    }
    return best;
}

/* --- drawing ------------------------------------------------------------------------------- */

static void add_pick(struct drawing *self, size_t evidence, size_t description)
{
    self->picks[self->n_picks++] = (struct audit_pick){(uint32_t)evidence, (uint32_t)description};
    self->is_shown[description] = true;
}

/* Whose windows decoy `i` shows: those drawn behind the items, then the items again. */
static uint32_t decoy_evidence(const struct drawing *self, size_t n_items, size_t i)
{
    const size_t at = n_items + i; /* each at most n_labels */
    return self->order[at < self->n_labels ? at : at - self->n_labels];
}

/* The labels of the decoys' own features count as shown: they must describe no other decoy, or
 * the sheet would hold a false description that is true elsewhere in it. */
static void add_decoys(struct drawing *self, size_t n_items, size_t n_decoys)
{
    for (size_t i = 0; i < n_decoys; i++) self->is_shown[decoy_evidence(self, n_items, i)] = true;
    for (size_t i = 0; i < n_decoys; i++) {
        const size_t of = decoy_evidence(self, n_items, i);
        const size_t description = choose_description(self, of);
        if (description < self->n_labels) add_pick(self, of, description);
    }
}

static void shuffle_picks(struct drawing *self, struct draw *draw)
{
    for (size_t i = self->n_picks; i > 1; i--) {
        const size_t j = draw_below(draw, (uint32_t)i);
        const struct audit_pick swapped = self->picks[i - 1];
        self->picks[i - 1] = self->picks[j];
        self->picks[j] = swapped;
    }
}

static void draw_all(struct drawing *self, const struct audit_draw_params *params)
{
    const size_t n = self->n_labels;
    const size_t n_items = params->n_items < n ? params->n_items : n;
    const size_t n_decoys = params->n_decoys < n ? params->n_decoys : n;
    struct draw sample = draw_stream(params->seed, DRAW_AUDIT, STREAM_SAMPLE);
    struct draw shuffle = draw_stream(params->seed, DRAW_AUDIT, STREAM_SHUFFLE);
    /* Fisher-Yates from the front: the first k are the same however many are wanted */
    for (size_t i = 0; i < n; i++) self->order[i] = (uint32_t)i;
    for (size_t i = 0; i + 1 < n; i++) {
        const size_t j = i + draw_below(&sample, (uint32_t)(n - i));
        const uint32_t swapped = self->order[i];
        self->order[i] = self->order[j];
        self->order[j] = swapped;
    }
    for (size_t i = 0; i < n_items; i++) add_pick(self, self->order[i], self->order[i]);
    add_decoys(self, n_items, n_decoys);
    shuffle_picks(self, &shuffle);
}

status_t audit_draw(const struct audit_label *labels, size_t n_labels,
                    const struct audit_draw_params *params, struct audit_pick **out, size_t *n_out,
                    struct error *err)
{
    size_t n_bytes;
    if (n_labels > UINT32_MAX / 2 || !size_mul(2 * n_labels + 1, sizeof **out, &n_bytes))
        return error_set(err, ST_TOO_LARGE, "a sample of %zu labels", n_labels);
    struct drawing self = {.labels = labels,
                           .n_labels = n_labels,
                           .order = calloc(n_labels + 1, sizeof *self.order),
                           .is_shown = calloc(n_labels + 1, sizeof *self.is_shown),
                           .picks = malloc(n_bytes)};
    status_t status = ST_OK;
    if (self.order && self.is_shown && self.picks) {
        draw_all(&self, params);
        *out = self.picks;
        *n_out = self.n_picks;
        self.picks = NULL; /* the caller's */
    } else {
        status = error_set(err, ST_NO_MEMORY, "a sample of %zu labels", n_labels);
    }
    free(self.order);
    free(self.is_shown);
    free(self.picks);
    return status;
}
