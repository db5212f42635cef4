#include "coordinator/circuit/search_limits.h"

#include <stdio.h>

enum { N_LIMITS = 3, LINE_SIZE = 192 };

static bool is_cut(const struct pair_count *pairs)
{
    return pairs->n_tested < pairs->n;
}

/* How many sentences there are; lines [N_LIMITS]. */
static size_t write_lines(const struct circuit_search_result *found, char lines[][LINE_SIZE])
{
    const struct node_search_pairs *pairs = &found->pairs;
    size_t n = 0;
    if (found->is_truncated)
        (void)snprintf(
            lines[n++], LINE_SIZE,
            "the search ended at max_variants, after %zu: what comes behind them was not "
            "measured",
            found->n_variants);
    if (is_cut(&pairs->others))
        (void)snprintf(
            lines[n++], LINE_SIZE,
            "%zu of %zu pairs of components that nothing else had found were tested, those of "
            "the largest effects",
            pairs->others.n_tested, pairs->others.n);
    if (is_cut(&pairs->chosen))
        (void)snprintf(lines[n++], LINE_SIZE,
                       "%zu of %zu pairs of members were tested for being one class, those of the "
                       "largest effects",
                       pairs->chosen.n_tested, pairs->chosen.n);
    return n;
}

json_t *search_limits_json(const struct circuit_search_result *found)
{
    char lines[N_LIMITS][LINE_SIZE];
    const size_t n = write_lines(found, lines);
    json_t *limits = json_array();
    for (size_t i = 0; i < n && limits; i++)
        if (json_array_append_new(limits, json_string(lines[i])) != 0) {
            json_decref(limits);
            limits = NULL;
        }
    return limits;
}

static json_t *json_pairs(const struct pair_count *pairs)
{
    return json_pack("{s:I, s:I}", "n_tested", (json_int_t)pairs->n_tested, "n",
                     (json_int_t)pairs->n);
}

json_t *search_pairs_json(const struct circuit_search_result *found)
{
    const struct node_search_pairs *pairs = &found->pairs;
    if (pairs->others.n + pairs->chosen.n == 0) return json_null();
    return json_pack("{s:o, s:o}", "others", json_pairs(&pairs->others), "chosen",
                     json_pairs(&pairs->chosen));
}

status_t search_limits_text(const struct circuit_search_result *found, struct buffer *out,
                            struct error *err)
{
    char lines[N_LIMITS][LINE_SIZE];
    const size_t n = write_lines(found, lines);
    status_t status = n ? buffer_append_text(out, "\nnot looked at\n", err) : ST_OK;
    for (size_t i = 0; i < n && status == ST_OK; i++)
        status = buffer_printf(out, err, "  - %s\n", lines[i]);
    return status;
}
