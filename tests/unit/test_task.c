/* The two tables of legal moves, move by move. */
#include "common/task.h"

#include <criterion/criterion.h>
#include <string.h>

enum { NO = -1 };

Test(task, units_move_as_the_drawing_says)
{
    static const int want[UNIT_N_STATES][UNIT_N_EVENTS] = {
        [UNIT_READY] = {UNIT_LEASED, UNIT_DONE, NO, UNIT_DEAD, NO, UNIT_CANCELLED},
        [UNIT_LEASED] = {UNIT_LEASED, UNIT_DONE, UNIT_READY, UNIT_DEAD, NO, UNIT_CANCELLED},
        [UNIT_DONE] = {NO, NO, NO, NO, NO, NO},
        [UNIT_DEAD] = {NO, UNIT_DONE, NO, NO, UNIT_READY, UNIT_CANCELLED},
        [UNIT_CANCELLED] = {NO, NO, NO, NO, NO, NO},
    };
    for (unsigned state = 0; state < UNIT_N_STATES; state++)
        for (unsigned event = 0; event < UNIT_N_EVENTS; event++) {
            uint8_t now = (uint8_t)state;
            const bool moved = unit_transition(&now, (enum unit_event)event);
            cr_expect_eq(moved, want[state][event] != NO, "%u %u", state, event);
            cr_expect_eq(now, moved ? want[state][event] : (int)state, "%u %u", state, event);
        }
}

Test(task, sweeps_move_as_the_table_says)
{
    static const int want[SWEEP_N_STATES][SWEEP_N_EVENTS] = {
        [SWEEP_QUEUED] = {SWEEP_RUNNING, SWEEP_PAUSED, NO, NO, SWEEP_FAILED, NO, SWEEP_CANCELLED},
        [SWEEP_RUNNING] = {NO, SWEEP_PAUSED, NO, SWEEP_FINISHED, SWEEP_FAILED, NO, SWEEP_CANCELLED},
        [SWEEP_PAUSED] = {NO, NO, SWEEP_RUNNING, NO, SWEEP_FAILED, NO, SWEEP_CANCELLED},
        [SWEEP_FINISHED] = {NO, NO, NO, NO, NO, NO, NO},
        [SWEEP_FAILED] = {NO, NO, NO, NO, NO, SWEEP_QUEUED, SWEEP_CANCELLED},
        [SWEEP_CANCELLED] = {NO, NO, NO, NO, NO, NO, NO},
    };
    for (unsigned state = 0; state < SWEEP_N_STATES; state++)
        for (unsigned event = 0; event < SWEEP_N_EVENTS; event++) {
            enum sweep_state now = (enum sweep_state)state;
            const bool moved = sweep_transition(&now, (enum sweep_event)event);
            cr_expect_eq(moved, want[state][event] != NO, "%u %u", state, event);
            cr_expect_eq((int)now, moved ? want[state][event] : (int)state, "%u %u", state, event);
        }
}

Test(task, only_finished_and_cancelled_are_over_for_good)
{
    for (unsigned i = 0; i < SWEEP_N_STATES; i++) {
        const enum sweep_state state = (enum sweep_state)i;
        bool has_move = false;
        for (unsigned event = 0; event < SWEEP_N_EVENTS; event++) {
            enum sweep_state now = state;
            has_move = has_move || sweep_transition(&now, (enum sweep_event)event);
        }
        cr_expect_eq(sweep_state_is_over(state), !has_move);
        cr_expect_eq(sweep_state_is_final(state), !has_move || state == SWEEP_FAILED);
    }
}

Test(task, names_read_back_and_strangers_are_refused_by_name)
{
    struct error err = {0};
    for (unsigned i = 0; i < SWEEP_N_STATES; i++) {
        enum sweep_state state;
        cr_assert_eq(sweep_state_parse(sweep_state_name((enum sweep_state)i), &state, &err), ST_OK);
        cr_expect_eq((unsigned)state, i);
    }
    for (unsigned i = 0; i < TASK_N_KINDS; i++) {
        enum task_kind kind;
        cr_assert_eq(task_kind_parse(task_kind_name((enum task_kind)i), &kind, &err), ST_OK);
        cr_expect_eq((unsigned)kind, i);
    }
    enum task_kind kind = TASK_NOOP;
    cr_expect_eq(task_kind_parse("dance", &kind, &err), ST_UNSUPPORTED);
    cr_expect(strstr(err.text, "dance"), "%s", err.text);
    cr_expect_str_eq(task_kind_name((enum task_kind)77), "?");
    cr_expect_str_eq(unit_state_name((enum unit_state)77), "?");
    cr_expect_str_eq(sweep_state_name((enum sweep_state)77), "?");
}
