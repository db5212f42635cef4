/* The tables of sweep files, one per kind. Used by sweep_spec.c alone. */
#ifndef COORDINATOR_INTAKE_SWEEP_KEYS_H
#define COORDINATOR_INTAKE_SWEEP_KEYS_H

#include "common/config.h"

extern const struct config_schema sweep_label_schema; /* fills a struct sweep_spec */
extern const struct config_schema sweep_noop_schema;  /* the same */
extern const struct config_choice sweep_kind_choices[];
extern const struct config_choice sweep_bos_choices[], sweep_units_choices[];
extern const struct config_choice sweep_control_choices[], sweep_compute_choices[];
extern const struct config_choice sweep_durability_choices[];

#endif
