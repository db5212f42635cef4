/* The unit table against a plain model: random operations, everything compared after each. */
#include "coordinator/queue/unit_table.h"

#include "common/hash.h"

#include <criterion/criterion.h>
#include <string.h>

enum { N = 40 };
static const struct unit_limits limits = {3, 2};

struct model {
    enum unit_state state[N];
    bool is_stored[N];
    unsigned n_errors[N], n_deaths[N];
};

static struct error err;

static struct unit_table *make(size_t n)
{
    struct unit_table *table = NULL;
    cr_assert_eq(unit_table_create(&table, n, &err), ST_OK, "%s", err.text);
    return table;
}

static void compare(const struct unit_table *table, const struct model *model, int round)
{
    size_t counts[UNIT_N_STATES] = {0};
    for (size_t i = 0; i < N; i++) {
        counts[model->state[i]]++;
        cr_assert_eq(unit_table_state(table, i), model->state[i], "unit %zu, round %d", i, round);
    }
    for (unsigned s = 0; s < UNIT_N_STATES; s++)
        cr_assert_eq(unit_table_count(table, (enum unit_state)s), counts[s], "round %d", round);
    cr_assert_eq(unit_table_is_complete(table), counts[UNIT_DONE] == N);
    cr_assert_eq(unit_table_is_settled(table), counts[UNIT_READY] + counts[UNIT_LEASED] == 0);
}

static void model_take(struct unit_table *table, struct model *model, size_t max_units)
{
    size_t low = 0, high, got_low = 99, got_high = 99;
    while (low < N && model->state[low] != UNIT_READY) low++;
    for (high = low; high < N && high - low < max_units && model->state[high] == UNIT_READY;) {
        if (model->n_deaths[high] && high > low) break;
        if (model->n_deaths[high++]) break;
    }
    cr_assert_eq(unit_table_take(table, max_units, &got_low, &got_high), high > low);
    if (high > low) cr_assert(got_low == low && got_high == high);
    for (size_t i = low; i < high; i++) model->state[i] = UNIT_LEASED;
}

static void model_fail(struct unit_table *table, struct model *model, size_t i, bool is_death)
{
    model->is_stored[i] = false;
    if (is_death ? model->n_deaths[i] < 15 : model->n_errors[i] < 15)
        (*(is_death ? &model->n_deaths[i] : &model->n_errors[i]))++;
    const bool is_exhausted =
        model->n_errors[i] >= limits.max_attempts || model->n_deaths[i] >= limits.max_kills;
    if (is_exhausted && (model->state[i] == UNIT_READY || model->state[i] == UNIT_LEASED))
        model->state[i] = UNIT_DEAD;
    else if (model->state[i] == UNIT_LEASED)
        model->state[i] = UNIT_READY;
    cr_assert_eq(unit_table_fail(table, i, is_death ? UNIT_BLAME_DEATH : UNIT_BLAME_ERROR, &limits),
                 model->state[i]);
}

static void model_retry(struct unit_table *table, struct model *model)
{
    size_t n = 0;
    for (size_t i = 0; i < N; i++) {
        if (model->state[i] != UNIT_DEAD) continue;
        model->state[i] = model->is_stored[i] ? UNIT_LEASED : UNIT_READY;
        model->n_errors[i] = model->n_deaths[i] = 0;
        n++;
    }
    cr_assert_eq(unit_table_retry_dead(table), n);
}

static void one_move(struct unit_table *table, struct model *model, uint64_t random)
{
    const size_t i = (size_t)(random >> 8) % N;
    const bool is_open = model->state[i] == UNIT_READY || model->state[i] == UNIT_LEASED ||
                         model->state[i] == UNIT_DEAD;
    switch (random % 16) {
    case 0:
    case 1:
    case 2:
    case 3: model_take(table, model, (size_t)(random >> 16) % 9); break;
    case 4:
    case 5:
        cr_assert_eq(unit_table_settle(table, i), is_open);
        model->is_stored[i] = false;
        if (is_open) model->state[i] = UNIT_DONE;
        break;
    case 6:
    case 7:
    case 8:
        unit_table_return(table, i);
        if (model->state[i] == UNIT_LEASED && !model->is_stored[i]) model->state[i] = UNIT_READY;
        break;
    case 9: model_fail(table, model, i, true); break;
    case 10:
    case 11: model_fail(table, model, i, false); break;
    case 12: model_retry(table, model); break;
    case 13:
        cr_assert_eq(unit_table_claim(table, i), model->state[i] == UNIT_READY);
        if (model->state[i] == UNIT_READY) model->state[i] = UNIT_LEASED;
        break;
    default:
        cr_assert_eq(unit_table_note_stored(table, i), is_open && !model->is_stored[i]);
        if (model->state[i] == UNIT_READY) model->state[i] = UNIT_LEASED; /* never both */
        model->is_stored[i] = is_open;
        break;
    }
}

Test(unit_table, does_what_a_plain_model_does)
{
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct unit_table *table = make(N);
        struct model model = {.state = {UNIT_READY}};
        for (int round = 0; round < 400; round++) {
            one_move(table, &model, hash_mix64(seed * 1000003 + (uint64_t)round));
            compare(table, &model, round);
        }
        unit_table_destroy(&table);
    }
}

Test(unit_table, hands_out_the_lowest_run_first)
{
    struct unit_table *table = make(10);
    size_t low, high;
    cr_assert(unit_table_take(table, 4, &low, &high));
    cr_expect(low == 0 && high == 4);
    unit_table_return(table, 1);
    cr_assert(unit_table_take(table, 4, &low, &high));
    cr_expect(low == 1 && high == 2);
    cr_assert(unit_table_take(table, 100, &low, &high));
    cr_expect(low == 4 && high == 10);
    cr_expect_not(unit_table_take(table, 1, &low, &high));
    cr_expect_not(unit_table_take(table, 0, &low, &high));
    unit_table_destroy(&table);
}

Test(unit_table, a_unit_that_was_running_at_a_death_goes_out_alone)
{
    struct unit_table *table = make(5);
    size_t low, high;
    cr_assert(unit_table_take(table, 5, &low, &high));
    (void)unit_table_fail(table, 2, UNIT_BLAME_DEATH, &limits);
    for (size_t i = 0; i < 5; i++) unit_table_return(table, i);
    cr_assert(unit_table_take(table, 5, &low, &high));
    cr_expect(low == 0 && high == 2);
    cr_assert(unit_table_take(table, 5, &low, &high));
    cr_expect(low == 2 && high == 3);
    cr_expect_eq(unit_table_fail(table, 2, UNIT_BLAME_DEATH, &limits), UNIT_DEAD);
    unit_table_destroy(&table);
}

Test(unit_table, what_is_stored_stays_until_it_is_read)
{
    struct unit_table *table = make(2);
    size_t low, high;
    cr_expect(unit_table_note_stored(table, 0));
    cr_expect_not(unit_table_note_stored(table, 0), "once");
    cr_assert(unit_table_take(table, 2, &low, &high));
    cr_expect(low == 1 && high == 2, "not handed out");
    unit_table_return(table, 0);
    cr_expect_eq(unit_table_state(table, 0), UNIT_LEASED, "no lease's end takes it back");
    cr_expect_eq(unit_table_fail(table, 0, UNIT_BLAME_ERROR, &limits), UNIT_READY);
    cr_expect(unit_table_note_stored(table, 0), "a bad result may come again");
    unit_table_destroy(&table);
}

Test(unit_table, has_a_cap_and_no_units_are_complete)
{
    struct unit_table *table = NULL;
    cr_expect_eq(unit_table_create(&table, (size_t)UNIT_TABLE_MAX_UNITS + 1, &err), ST_TOO_LARGE);
    cr_expect_null(table);
    table = make(0);
    cr_expect(unit_table_is_complete(table) && unit_table_is_settled(table));
    unit_table_destroy(&table);
    unit_table_destroy(&table);
}

Test(unit_table, cancelling_leaves_only_what_is_done)
{
    struct unit_table *table = make(3);
    cr_assert(unit_table_settle(table, 1));
    unit_table_cancel(table);
    cr_expect_eq(unit_table_count(table, UNIT_CANCELLED), 2);
    cr_expect_eq(unit_table_state(table, 1), UNIT_DONE);
    cr_expect_not(unit_table_settle(table, 0));
    unit_table_destroy(&table);
}
