/* Inside the capture plan: shared by capture_plan.c and capture_leaks.c alone. */
#ifndef COORDINATOR_PLAN_CAPTURE_PLAN_PARTS_H
#define COORDINATOR_PLAN_CAPTURE_PLAN_PARTS_H

#include "coordinator/plan/capture_plan.h"

struct planned_unit {
    uint64_t first_segment;
    uint32_t n_segments;
    uint8_t side;
};

struct capture_plan {
    const struct token_corpus *corpus; /* borrowed */
    struct capture_plan_params params;
    uint32_t separator;         /* before every segment that does not begin its row; or NO_TOKEN */
    struct planned_unit *units; /* [n_units] */
    size_t n_units, unit_capacity;
    struct capture_segment *segments; /* [n_segments], by unit */
    size_t n_segments, segment_capacity;
    struct capture_plan_stats stats;
};

#endif
