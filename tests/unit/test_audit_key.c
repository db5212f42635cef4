#include "coordinator/cli/audit_key.h"

#include "common/file.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct audit_label labels[] = {
    {.feature = 10, .target = 0},
    {.feature = 11, .target = 0},
    {.feature = 10, .target = 1},
};
static const struct audit_pick picks[] = {{2, 2}, {1, 0}, {0, 0}};
enum { N_PICKS = sizeof picks / sizeof picks[0] };

static struct audit_key made(uint64_t seed)
{
    struct audit_key key = {
        .sweep = "demo-1", .seed = seed, .target = -1, .is_of_supported = true, .n_population = 3};
    cr_assert_eq(audit_key_fill(&key, labels, picks, N_PICKS, NULL), ST_OK);
    return key;
}

Test(audit_key, ids_are_of_the_sheet_and_tell_nothing)
{
    struct audit_key key = made(1), other = made(2);
    cr_expect_eq(key.n_items, 3);
    cr_expect_eq(key.n_decoys, 1);
    cr_expect_str_eq(key.items[0].id + 5, "-001");
    cr_expect_str_eq(key.items[2].id + 5, "-003");
    cr_expect_eq(strspn(key.items[0].id, "bcdfghjklmnpqrst"), 5);
    cr_expect_eq(strncmp(key.items[0].id, key.items[1].id, 6), 0, "one name for all items");
    cr_expect_eq(audit_key_find(&key, key.items[1].id), 1);
    for (size_t i = 0; i < N_PICKS; i++)
        cr_expect_eq(audit_key_find(&key, other.items[i].id), 3, "another sheet's items");
    audit_key_fini(&key);
    audit_key_fini(&other);
}

Test(audit_key, stands_beside_its_sheet)
{
    static const char *const cases[][2] = {{"rating.csv", "rating.key.json"},
                                           {"a.csv/rating.csv", "a.csv/rating.key.json"},
                                           {"rating", "rating.key.json"},
                                           {".csv", ".csv.key.json"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *path = audit_key_path(cases[i][0]);
        cr_expect_str_eq(path, cases[i][1]);
        free(path);
    }
}

Test(audit_key, comes_back_as_it_was_written)
{
    char path[] = "/tmp/interp-test-key-XXXXXX";
    struct audit_key key = made(UINT64_C(1) << 62), got = {.n_items = 0};
    const int fd = mkstemp(path);
    cr_assert(fd >= 0);
    (void)close(fd);
    cr_assert_eq(audit_key_write(&key, path, NULL), ST_OK);
    cr_assert_eq(audit_key_read(&got, path, NULL), ST_OK);
    (void)unlink(path);
    cr_expect_str_eq(got.sweep, "demo-1");
    cr_expect_eq(got.seed, key.seed);
    cr_expect(got.target == -1 && got.is_of_supported && got.n_population == 3);
    cr_assert(got.n_items == 3 && got.n_decoys == 1);
    for (size_t i = 0; i < N_PICKS; i++) {
        const struct audit_item *a = &key.items[i], *b = &got.items[i];
        cr_expect_str_eq(a->id, b->id);
        cr_expect(a->feature == b->feature && a->target == b->target &&
                  a->described_feature == b->described_feature &&
                  a->described_target == b->described_target && a->is_decoy == b->is_decoy);
    }
    audit_key_fini(&key);
    audit_key_fini(&got);
}

#define ITEM(id)                                                                                   \
    "{\"item\": \"" id "\", \"feature\": 1, \"target\": 0, \"is_decoy\": false, "                  \
    "\"described_feature\": 1, \"described_target\": 0}"
#define KEY(population, size, items)                                                               \
    "{\"kind\": \"AuditKey\", \"sweep\": \"s\", \"seed\": 0, \"target\": null, \"population\": "   \
    "\"" population "\", \"population_size\": " size ", \"items\": [" items "]}"

Test(audit_key, refuses_what_is_no_key)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "key"},
        {"{\"kind\": \"Sweep\"}", "not the key of a rating sheet"},
        {"[1, 2]", "not the key of a rating sheet"},
        {KEY("supported", "2", ""), "missing or wrong"},
        {KEY("all", "2", ITEM("a")), "missing or wrong"},
        {KEY("supported", "-2", ITEM("a")), "missing or wrong"},
        {KEY("supported", "2", ITEM("a") ", " ITEM("a")), "item a stands there twice"},
        {KEY("supported", "2", ITEM("a") ", {}"), "item 2 is not readable"},
        {KEY("supported", "2", ITEM("a-name-that-is-too-long")), "item 1 is not readable"},
        {KEY("supported", "1", ITEM("a") ", " ITEM("b")), "more labels than the population has"},
    };
    char path[] = "/tmp/interp-test-key-XXXXXX";
    const int fd = mkstemp(path);
    cr_assert(fd >= 0);
    (void)close(fd);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct audit_key got = {.n_items = 77};
        struct error err = {0};
        cr_assert_eq(file_write_atomic(path, cases[i].text, strlen(cases[i].text), NULL), ST_OK);
        cr_expect_eq(audit_key_read(&got, path, &err), ST_BAD_INPUT, "case %zu", i);
        cr_expect(strstr(err.text, cases[i].says), "case %zu: %s", i, err.text);
        cr_expect_eq(got.n_items, 77, "untouched");
    }
    (void)unlink(path);
}
