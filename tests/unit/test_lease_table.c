/* The lease table against a plain list: random grants, ends and adoptions. */
#include "coordinator/queue/lease_table.h"

#include "common/hash.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct error err;
/* Never looked into by the table. */
static char some_task, some_worker;

static struct lease_table *make(uint64_t epoch)
{
    struct lease_table *table;
    cr_assert_eq(lease_table_create(&table, epoch, &err), ST_OK);
    return table;
}

static struct lease sample(size_t low)
{
    return (struct lease){.task = (struct task *)(void *)&some_task,
                          .worker = (struct worker *)(void *)&some_worker,
                          .low = low,
                          .high = low + 1};
}

static struct lease *grant(struct lease_table *table, size_t low)
{
    const struct lease wanted = sample(low);
    struct lease *lease = NULL;
    cr_assert_eq(lease_table_grant(table, &wanted, &lease, &err), ST_OK, "%s", err.text);
    return lease;
}

Test(lease_table, finds_a_lease_by_its_id_until_it_ends)
{
    struct lease_table *table = make(7);
    struct lease *lease = grant(table, 3);
    const uint64_t id = lease->id;
    cr_expect_eq(id >> 40, 7);
    cr_expect_eq(lease_table_find(table, id), lease);
    cr_expect_eq(lease->low, 3);
    lease_table_end(table, lease);
    cr_expect_null(lease_table_find(table, id));
    cr_expect_null(lease_table_find(table, 0));
    struct lease *next = grant(table, 4); /* the same slot */
    cr_expect_neq(next->id, id);
    cr_expect_null(lease_table_find(table, id), "a late word finds no stranger");
    lease_table_destroy(&table);
    cr_expect_null(table);
}

struct known {
    uint64_t id;
    size_t low;
};

static void compare(struct lease_table *table, const struct known *known, size_t n)
{
    size_t n_seen = 0;
    cr_assert_eq(lease_table_count(table), n);
    for (struct lease *l = NULL; (l = lease_table_next(table, l));) n_seen++;
    cr_assert_eq(n_seen, n);
    for (size_t i = 0; i < n; i++) {
        const struct lease *lease = lease_table_find(table, known[i].id);
        cr_assert_not_null(lease);
        cr_assert_eq(lease->low, known[i].low);
    }
}

Test(lease_table, does_what_a_plain_list_does)
{
    enum { MOST = 64 };
    struct lease_table *table = make(2);
    struct known known[MOST], ended[MOST];
    size_t n = 0, n_ended = 0;
    for (uint64_t round = 0; round < 20000; round++) {
        const uint64_t random = hash_mix64(round);
        const bool adopts = random % 8 == 0 && n_ended;
        if (n < MOST && (n == 0 || random % 2)) {
            struct lease back = sample((size_t)round), *lease;
            if (adopts) back.id = ended[random / 64 % n_ended].id;
            lease = adopts ? lease_table_adopt(table, &back) : grant(table, (size_t)round);
            if (lease) known[n++] = (struct known){lease->id, (size_t)round};
        } else {
            const size_t i = (size_t)(random / 16) % n;
            ended[n_ended < MOST ? n_ended++ : (size_t)(random / 1024) % MOST] = known[i];
            lease_table_end(table, lease_table_find(table, known[i].id));
            known[i] = known[--n];
        }
        compare(table, known, n);
    }
    lease_table_destroy(&table);
}

Test(lease_table, keeps_the_id_of_what_is_adopted_and_refuses_a_taken_slot)
{
    struct lease_table *table = make(9);
    struct lease old = sample(5);
    old.id = (uint64_t)8 << 40 | 77u << 16 | 3;
    cr_assert_not_null(lease_table_adopt(table, &old));
    cr_expect_not_null(lease_table_find(table, old.id));
    cr_expect_null(lease_table_adopt(table, &old), "twice");
    for (size_t i = 0; i < 10; i++) cr_expect_neq(grant(table, i)->id & 0xffff, 3);
    lease_table_end(table, lease_table_find(table, old.id));
    cr_expect_eq(lease_table_count(table), 10);
    lease_table_destroy(&table);
}

Test(lease_table, is_busy_when_every_slot_is_out_and_not_after_one_came_back)
{
    struct lease_table *table = make(1);
    struct lease *lease = NULL, *last = NULL;
    const struct lease wanted = sample(0);
    for (size_t i = 0; i < LEASE_TABLE_MAX; i++) last = grant(table, i);
    cr_expect_eq(lease_table_grant(table, &wanted, &lease, &err), ST_BUSY);
    lease_table_end(table, last);
    error_clear(&err);
    cr_expect_eq(lease_table_grant(table, &wanted, &lease, &err), ST_OK);
    lease_table_destroy(&table);
}

Test(lease_table, ending_the_one_at_hand_does_not_upset_a_walk)
{
    struct lease_table *table = make(1);
    size_t n = 0;
    for (size_t i = 0; i < 10; i++) (void)grant(table, i);
    for (struct lease *l = NULL; (l = lease_table_next(table, l)); n++) lease_table_end(table, l);
    cr_expect_eq(n, 10);
    cr_expect_null(lease_table_next(table, NULL));
    lease_table_destroy(&table);
}
