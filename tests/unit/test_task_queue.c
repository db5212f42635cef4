/* Who is next: priority, fair shares, kinds of workers; and the tasks themselves. */
#include "coordinator/queue/task_queue.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct error err;
static const struct task_fit plain = {"cpu", "plain"}, wide = {"cpu", "wide"};

static struct task *make(const char *id, struct fair_share *share, size_t n_units)
{
    static const struct task_ops none = {0};
    const struct task_params params = {.id = id,
                                       .kind = TASK_NOOP,
                                       .n_units = n_units,
                                       .spec_json = "{}",
                                       .ops = &none,
                                       .share = share};
    struct task *task;
    cr_assert_eq(task_create(&task, &params, &err), ST_OK, "%s", err.text);
    return task;
}

static struct task_queue *make_queue(void)
{
    struct task_queue *queue;
    cr_assert_eq(task_queue_create(&queue, &err), ST_OK);
    return queue;
}

/* Lease one unit of the next task, one second of work; its name. */
static const char *serve(struct task_queue *queue)
{
    size_t low, high;
    struct task *task = task_queue_next(queue, &plain);
    if (!task) return "";
    cr_assert(unit_table_take(task->units, 1, &low, &high));
    task_charge(task, 1.0, 1);
    return task->id;
}

Test(task_queue, serves_the_higher_priority_first)
{
    struct task_queue *queue = make_queue();
    struct fair_share low = {.priority = 1, .weight = 1}, high = {.priority = 5, .weight = 1};
    struct task *a = make("a", &low, 2), *b = make("b", &high, 2);
    cr_assert_eq(task_queue_add(queue, a, &err), ST_OK);
    cr_assert_eq(task_queue_add(queue, b, &err), ST_OK);
    const char *const want[] = {"b", "b", "a", "a", ""};
    for (size_t i = 0; i < 5; i++) cr_expect_str_eq(serve(queue), want[i]);
    task_destroy(&a);
    task_destroy(&b);
    task_queue_destroy(&queue);
}

Test(task_queue, shares_time_by_weight)
{
    struct task_queue *queue = make_queue();
    struct fair_share one = {.weight = 1}, three = {.weight = 3};
    struct task *a = make("a", &one, 1000), *b = make("b", &three, 1000);
    cr_assert_eq(task_queue_add(queue, a, &err), ST_OK);
    cr_assert_eq(task_queue_add(queue, b, &err), ST_OK);
    int n_a = 0;
    for (int i = 0; i < 400; i++) n_a += strcmp(serve(queue), "a") == 0;
    cr_expect(n_a >= 99 && n_a <= 101, "%d of 400", n_a);
    task_destroy(&a);
    task_destroy(&b);
    task_queue_destroy(&queue);
}

Test(task_queue, who_comes_late_cannot_claim_the_past)
{
    struct task_queue *queue = make_queue();
    struct fair_share first = {.weight = 1}, late = {.weight = 1};
    struct task *a = make("a", &first, 1000), *b = make("b", &late, 1000);
    cr_assert_eq(task_queue_add(queue, a, &err), ST_OK);
    for (int i = 0; i < 100; i++) (void)serve(queue);
    cr_assert_eq(task_queue_add(queue, b, &err), ST_OK);
    int n_b = 0;
    for (int i = 0; i < 20; i++) n_b += strcmp(serve(queue), "b") == 0;
    cr_expect(n_b >= 9 && n_b <= 11, "%d of 20", n_b);
    task_destroy(&a);
    task_destroy(&b);
    task_queue_destroy(&queue);
}

/* A sweep's tasks follow one another; between two of them its queue is empty for a moment. */
Test(task_queue, who_ran_alone_is_not_punished_for_it)
{
    struct task_queue *queue = make_queue();
    struct fair_share first = {.weight = 1}, late = {.weight = 1};
    struct task *a = make("a1", &first, 1000), *b = make("b", &late, 1000);
    cr_assert_eq(task_queue_add(queue, a, &err), ST_OK);
    for (int i = 0; i < 100; i++) (void)serve(queue);
    task_queue_remove(queue, a);
    cr_assert_eq(task_queue_add(queue, b, &err), ST_OK);
    struct task *next = make("a2", &first, 1000);
    cr_assert_eq(task_queue_add(queue, next, &err), ST_OK);
    int n_a = 0;
    for (int i = 0; i < 20; i++) n_a += strcmp(serve(queue), "a2") == 0;
    cr_expect(n_a >= 9 && n_a <= 11, "%d of 20", n_a);
    task_destroy(&a);
    task_destroy(&b);
    task_destroy(&next);
    task_queue_destroy(&queue);
}

Test(task_queue, passes_over_what_is_paused_broken_pinned_elsewhere_or_handed_out)
{
    struct task_queue *queue = make_queue();
    struct fair_share share = {.weight = 1};
    struct task *task = make("t", &share, 1);
    cr_assert_eq(task_queue_add(queue, task, &err), ST_OK);
    task->is_pinned = true;
    cr_expect_eq(task_queue_next(queue, &plain), task, "nobody has it yet");
    task_pin(task, &wide);
    task_pin(task, &plain);
    cr_expect_str_eq(task->isa, "wide", "the first stays");
    cr_expect_null(task_queue_next(queue, &plain));
    cr_expect_eq(task_queue_next(queue, &wide), task);
    share.pin = (struct worker_pin){"cpu", "plain"};
    cr_expect_null(task_queue_next(queue, &wide), "its sweep has another kind");
    share.pin = (struct worker_pin){"cpu", "wide"};
    share.backend = "cuda";
    cr_expect_null(task_queue_next(queue, &wide), "its sweep has to run elsewhere");
    share.backend = "cpu";
    cr_expect_eq(task_queue_next(queue, &wide), task);
    share.is_paused = true;
    cr_expect_null(task_queue_next(queue, &wide));
    cr_expect(task_fits_worker(task, &wide), "what runs goes on");
    share.is_paused = false;
    (void)error_set(&task->failure, ST_CORRUPT, "broken");
    cr_expect_null(task_queue_next(queue, &wide));
    error_clear(&task->failure);
    size_t low, high;
    cr_assert(unit_table_take(task->units, 1, &low, &high));
    cr_expect_null(task_queue_next(queue, &wide));
    task_destroy(&task);
    task_queue_destroy(&queue);
}

Test(task_queue, finds_by_id_and_is_busy_when_full)
{
    enum { MOST = 4096 };
    static struct task *tasks[MOST];
    struct task_queue *queue = make_queue();
    struct fair_share share = {.weight = 1};
    for (size_t i = 0; i < MOST; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "t%zu", i);
        tasks[i] = make(id, &share, 0);
        cr_assert_eq(task_queue_add(queue, tasks[i], &err), ST_OK);
    }
    struct task *more = make("more", &share, 0);
    cr_expect_eq(task_queue_add(queue, more, &err), ST_BUSY);
    cr_expect_eq(task_queue_find(queue, "t77"), tasks[77]);
    cr_expect_null(task_queue_find(queue, "more"));
    task_queue_remove(queue, tasks[0]);
    task_queue_remove(queue, more); /* was never there */
    cr_expect_eq(task_queue_at(queue, 0), tasks[1]);
    cr_expect_null(task_queue_at(queue, MOST - 1));
    for (size_t i = 0; i < MOST; i++) task_destroy(&tasks[i]);
    task_destroy(&more);
    task_queue_destroy(&queue);
}

Test(task_queue, a_task_keeps_its_last_errors_and_its_measured_speed)
{
    struct fair_share share = {.weight = 2};
    struct task *task = make("t", &share, 10);
    for (int i = 0; i < 3 * TASK_ERRORS_KEPT; i++) {
        struct task_error error = {.low = (size_t)i, .high = (size_t)i + 1};
        (void)snprintf(error.text, sizeof error.text, "error %d", i);
        task_note_error(task, &error);
    }
    cr_expect_eq(task->n_errors, 3 * TASK_ERRORS_KEPT);
    cr_expect_eq(task->errors[TASK_ERRORS_KEPT - 1].low, 3 * TASK_ERRORS_KEPT - 1);
    cr_expect_eq(task->errors[0].low, 2 * TASK_ERRORS_KEPT);
    task_charge(task, 4.0, 2);
    cr_expect_eq(task->seconds_per_unit, 2.0);
    cr_expect_eq(share.pass, 2.0, "seconds over weight");
    task_charge(task, 4.0, 1);
    cr_expect_float_eq(task->seconds_per_unit, 2.6, 1e-12);
    task_charge(task, 9.0, 0);
    cr_expect_eq(share.pass, 4.0, "no units, no time");
    cr_expect_eq(task->n_units_timed, 3);
    cr_expect_eq(task->worker_seconds, 8.0);
    task_destroy(&task);
    task_destroy(&task);
}
