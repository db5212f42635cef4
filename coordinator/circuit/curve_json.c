#include "coordinator/circuit/curve_json.h"

#include "coordinator/session/score_json.h"

json_t *curve_json(const struct faithfulness_curve *curve, const struct curve_measures *measures)
{
    json_t *points = json_array();
    for (size_t k = 0; points && k < curve->n_points; k++) {
        json_t *point =
            json_pack("{s:f, s:I, s:o}", "fraction", measures->fractions[k], "n_items",
                      (json_int_t)measures->n_items[k], "f", score_value_json(curve->f[k]));
        if (json_array_append_new(points, point) != 0) {
            json_decref(points);
            return NULL;
        }
    }
    return json_pack("{s:s, s:o, s:o, s:o, s:o}", "order", curve_order_name(curve->order),
                     "undefined", curve->is_flat ? json_string("flat metric") : json_null(), "cpr",
                     score_value_json(curve->cpr), "cmd", score_value_json(curve->cmd), "points",
                     points);
}
