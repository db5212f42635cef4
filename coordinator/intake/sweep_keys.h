/* The tables of sweep files, one per kind, and what they share. Used by sweep_spec.c. */
#ifndef COORDINATOR_INTAKE_SWEEP_KEYS_H
#define COORDINATOR_INTAKE_SWEEP_KEYS_H

#include "common/config.h"

extern const struct config_schema sweep_label_schema; /* fills a struct sweep_spec */
extern const struct config_schema sweep_noop_schema;
extern const struct config_schema sweep_circuit_schema; /* circuit_keys.c */
extern const struct config_choice sweep_kind_choices[];
extern const struct config_choice sweep_bos_choices[], sweep_units_choices[];
extern const struct config_choice sweep_control_choices[], sweep_compute_choices[];
extern const struct config_choice sweep_durability_choices[], sweep_backend_choices[];

#define SWEEP_SEED_MAX 9e18 /* JSON integers are signed */

/* Keys of every kind. */
#define SWEEP_COMMON_KEYS                                                                          \
    CONFIG_KEY_(CONFIG_TYPE_CHOICE, struct sweep_spec, kind, .is_required = true,                  \
                .choices = sweep_kind_choices, .help = "what the sweep does"),                     \
        CONFIG_REQUIRED_TEXT(struct sweep_spec, name, "letters, digits, . _ - ; at most 64"),      \
        CONFIG_COUNT(struct sweep_spec, priority, 0, 9, "5", NULL,                                 \
                     "share of the workers beside other sweeps"),                                  \
        CONFIG_CHOICE(struct sweep_spec, durability, sweep_durability_choices, "everysec",         \
                      "what survives a crash of the store's machine; calls always do")

#endif
