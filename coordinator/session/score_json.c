#include "coordinator/session/score_json.h"

json_t *score_value_json(struct score_value value)
{
    return value.is_defined ? json_real(value.value) : json_null();
}
