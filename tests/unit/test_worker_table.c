#include "coordinator/dispatch/worker_table.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct worker_table *table;
static struct error err;

static void set_up(void)
{
    cr_assert_eq(worker_table_create(&table, &err), ST_OK);
}

static void tear_down(void)
{
    worker_table_destroy(&table);
}

TestSuite(worker_table, .init = set_up, .fini = tear_down);

static struct worker *add(const char *identity)
{
    struct worker *worker = NULL;
    cr_assert_eq(worker_table_add(table, identity, strlen(identity), &worker, &err), ST_OK);
    return worker;
}

Test(worker_table, finds_a_worker_by_identity_descriptor_and_name)
{
    struct worker *a = add("a"), *b = add("ab");
    (void)snprintf(b->name, sizeof b->name, "second");
    b->fd = 12;
    cr_expect_eq(worker_table_find(table, "a", 1), a);
    cr_expect_eq(worker_table_find(table, "ab", 2), b);
    cr_expect_null(worker_table_find(table, "b", 1));
    cr_expect_eq(worker_table_find_fd(table, 12), b);
    cr_expect_null(worker_table_find_fd(table, -1), "unknown is nobody's");
    cr_expect_eq(worker_table_find_name(table, "second"), b);
    cr_expect_eq(add("a"), a, "the same peer is the same record");
    cr_expect_eq(worker_table_count(table), 2);
}

Test(worker_table, records_stay_where_they_are_when_others_go)
{
    struct worker *a = add("a"), *b = add("b"), *c = add("c");
    worker_table_remove(table, b);
    cr_expect_eq(worker_table_count(table), 2);
    cr_expect_eq(worker_table_find(table, "a", 1), a);
    cr_expect_eq(worker_table_find(table, "c", 1), c);
    cr_expect_eq(worker_table_at(table, 1), c);
}

Test(worker_table, identities_have_a_cap_and_so_has_the_table)
{
    static char identity[TRANSPORT_IDENTITY_MAX + 1];
    struct worker *worker = NULL;
    cr_expect_eq(worker_table_add(table, identity, sizeof identity, &worker, &err), ST_PROTOCOL);
    for (int i = 0; i < 4096; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "w%d", i);
        (void)add(name);
    }
    error_clear(&err);
    cr_expect_eq(worker_table_add(table, "more", 4, &worker, &err), ST_BUSY);
}

Test(worker_table, remembers_the_last_specs_it_sent)
{
    struct worker *worker = add("a");
    char task[16];
    for (int i = 0; i <= WORKER_SPECS_KEPT; i++) {
        (void)snprintf(task, sizeof task, "t%d", i);
        cr_expect_not(worker_has_spec(worker, task));
        worker_note_spec(worker, task);
        cr_expect(worker_has_spec(worker, task));
    }
    cr_expect_not(worker_has_spec(worker, "t0"), "its own ring forgot it too");
    cr_expect(worker_has_spec(worker, "t1"));
}
