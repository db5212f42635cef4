/* The parts of steering. Private to worker/tasks/steering*.c. */
#ifndef WORKER_TASKS_STEERING_PARTS_H
#define WORKER_TASKS_STEERING_PARTS_H

#include "worker/tasks/steering.h"

struct steering_change {
    struct slot_unit unit;
    enum intervention_kind kind;
    uint32_t slot;
    float value;
    float *direction; /* [width], owned; NULL: no dictionary */
};

/* The interventions on one target. */
struct target_steering {
    struct steering *all;
    struct capture_target *target;
    size_t width, d_head;
    bool has_set; /* activations must be read */
    size_t n;
    struct steering_change changes[GENERATE_MAX_INTERVENTIONS];
    float *directions; /* device [n, width], of a dictionary; NULL until an edit there needs them */
};

struct steering {
    const struct steering_span *spans;
    size_t n_targets;
    struct target_steering targets[GENERATE_MAX_INTERVENTIONS];
    struct forward_edit edits[GENERATE_MAX_INTERVENTIONS]; /* [n_targets] */
    struct steering_change *first;                         /* of the first intervention */
    float *acts; /* [n_acts] values of the tokens to be changed, packed */
    size_t n_acts;
    float *scratch; /* [widest] */
    /* of edits on the device: */
    struct backend *backend;
    struct edit *edit_list; /* [n_edit_list] */
    size_t n_edit_list;
    float *gathered; /* device [n_gathered]: values of the tokens to be changed */
    size_t n_gathered;
    float *one; /* device: 1 */
};

/* Activation of a slot at a token of the rows; 0 where it is silent, or nothing was read. */
float steering_activation(const struct sparse_rows *rows, size_t token, uint32_t slot);

/* --- steering_device.c --- */

/* A forward_change_fn of a struct target_steering. */
status_t steering_change_place(void *context, const struct forward_place *place, struct error *err);
void steering_device_destroy(struct steering *steering);

#endif
