/* What a probe or a generation is about: a target of a sweep, or of a model without one, as the
 * operation's arguments name it. Private to coordinator/api/. Texts are borrowed from the arguments
 * and the sweep: used at once. */
#ifndef COORDINATOR_API_SUBJECT_H
#define COORDINATOR_API_SUBJECT_H

#include "common/task.h"
#include "coordinator/api/operations.h"
#include "coordinator/queue/task_queue.h"

enum { API_MAX_FEATURES = 16 };

struct api_subject {
    const char *model, *model_fingerprint, *compute, *bos;
    const char *hook, *units, *dictionary, *dictionary_fingerprint; /* dictionary may be NULL */
    double norm_scaling_factor;                                     /* 0: none */
    uint64_t shuffle_seed;                                          /* 0: none */
    uint32_t n_rows, n_ctx; /* the batch shape of captures */
    struct sweep *sweep;    /* NULL: of a model */
    size_t target;          /* of the sweep */
    uint64_t n_features;    /* 0: not known */
    struct worker_pin pin;  /* what the sweep's captures ran on */
};

/* The names of arguments that api_subject_read() takes, for args_check(): of a sweep, of a model.
 * */
#define API_SUBJECT_OF_SWEEP "sweep", "target"
#define API_SUBJECT_OF_MODEL "model", "hook", "dictionary", "units", "norm_scaling_factor"

/* Errors: what in the arguments is wrong; ST_NOT_FOUND (a sweep, a target). */
MUST_CHECK status_t api_subject_read(struct api *api, const json_t *args, struct api_subject *out,
                                     struct error *err);
/* Errors: ST_NOT_FOUND (there are not so many). */
MUST_CHECK status_t api_subject_check_feature(const struct api_subject *subject, uint64_t feature,
                                              struct error *err);

/* Two features a unit: neurons and residual dimensions. */
bool api_subject_is_signed(const struct api_subject *subject);

/* The units that features are of. */
struct api_units {
    uint32_t numbers[API_MAX_FEATURES]; /* [n], ascending, distinct */
    size_t n;
};
/* features[n], n at most API_MAX_FEATURES. */
void api_units_of(const struct api_subject *subject, const uint64_t *features, size_t n,
                  struct api_units *out);
uint32_t api_units_n_slots(const struct api_subject *subject, const struct api_units *units);
/* The slot of a feature of one of the units. */
uint32_t api_units_slot(const struct api_subject *subject, const struct api_units *units,
                        uint64_t feature);

/* The spec of a task of that kind with these units as its one target; the caller frees it. NULL:
 * not valid UTF-8, or no memory. */
char *api_subject_spec(const struct api_subject *subject, enum task_kind kind,
                       const struct api_units *units);

/* The answer while the workers are at it. */
json_t *api_subject_pending(struct api *api, const struct api_subject *subject);

#endif
