#include "coordinator/cli/audit_report.h"

#include "coordinator/cli/json_field.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define Y AUDIT_YES
#define N AUDIT_NO
#define U AUDIT_UNSURE
#define B AUDIT_BLANK

/* Eight labels of a population of 8 or more, then two decoys. */
enum { N_ITEMS = 10 };
static struct audit_item items[N_ITEMS] = {[8] = {.is_decoy = true}, [9] = {.is_decoy = true}};

static struct audit_key key_of(uint64_t n_population)
{
    return (struct audit_key){.sweep = "demo-1",
                              .seed = 5,
                              .target = -1,
                              .is_of_supported = true,
                              .n_population = n_population,
                              .items = items,
                              .n_items = N_ITEMS,
                              .n_decoys = 2};
}

static const enum audit_answer first[N_ITEMS] = {Y, Y, Y, Y, N, N, U, B, Y, N};
static const enum audit_answer second[N_ITEMS] = {Y, Y, Y, N, N, Y, Y, Y, N, N};

static json_t *report_of(size_t n_ratings, uint64_t n_population)
{
    const struct audit_rating ratings[] = {{"a.csv", first}, {"b.csv", second}};
    const struct audit_key key = key_of(n_population);
    json_t *report = NULL;
    cr_assert_eq(audit_report_make(&key, ratings, n_ratings, &report, NULL), ST_OK);
    return report;
}

static double bound(const json_t *of, size_t index)
{
    return json_number_value(json_array_get(json_field(of, "interval"), index));
}

Test(audit_report, counts_labels_and_decoys_apart)
{
    json_t *report = report_of(1, 1000000);
    const json_t *sheet = json_array_get(json_field(report, "sheets"), 0);
    cr_expect_eq(json_field_number(report, "n_labels"), 8);
    cr_expect_eq(json_field_number(report, "n_decoys"), 2);
    cr_expect_eq(json_field_number(sheet, "labels.yes"), 4);
    cr_expect_eq(json_field_number(sheet, "labels.no"), 2);
    cr_expect_eq(json_field_number(sheet, "labels.unsure"), 1);
    cr_expect_eq(json_field_number(sheet, "labels.unanswered"), 1);
    cr_expect_float_eq(json_field_number(sheet, "labels.accepted"), 4.0 / 7, 1e-12,
                       "an unsure one is not accepted, an unanswered one is left out");
    cr_expect_float_eq(bound(json_field(sheet, "labels"), 0), 0.2504590, 1e-6);
    cr_expect_float_eq(bound(json_field(sheet, "labels"), 1), 0.8417797, 1e-6);
    cr_expect_eq(json_field_number(sheet, "decoys.yes"), 1);
    cr_expect_eq(json_field_number(sheet, "decoys.accepted"), 0.5);
    cr_expect(json_is_null(json_object_get(report, "all_raters")));
    cr_expect_eq(json_array_size(json_field(report, "agreement")), 0);
    json_decref(report);
}

Test(audit_report, the_interval_is_of_the_population)
{
    json_t *small = report_of(2, 8);
    const json_t *complete = json_field(json_array_get(json_field(small, "sheets"), 1), "labels");
    cr_expect_float_eq(bound(complete, 0), 0.75, 1e-12, "all 8 were rated");
    cr_expect_float_eq(bound(complete, 1), 0.75, 1e-12);
    const json_t *decoys = json_field(json_array_get(json_field(small, "sheets"), 1), "decoys");
    cr_expect(bound(decoys, 1) > 0.6, "decoys are few of many");
    json_decref(small);
}

Test(audit_report, every_rater_must_accept)
{
    json_t *report = report_of(2, 1000);
    const json_t *all = json_field(report, "all_raters");
    cr_expect_eq(json_field_number(all, "labels.yes"), 3);
    cr_expect_eq(json_field_number(all, "labels.no"), 3);
    cr_expect_eq(json_field_number(all, "labels.unsure"), 1);
    cr_expect_eq(json_field_number(all, "labels.unanswered"), 1);
    cr_expect_eq(json_field_number(all, "decoys.yes"), 0);
    json_decref(report);
}

/* Both said yes or no to 8 items: yes-yes 3, no-no 2, yes-no 2, no-yes 1. Observed 5/8; expected
 * 5/8 4/8 + 3/8 4/8 = 1/2; kappa = (5/8 - 1/2) / (1/2) = 1/4. */
Test(audit_report, kappa_is_cohens_over_what_both_answered)
{
    json_t *report = report_of(2, 1000);
    const json_t *pair = json_array_get(json_field(report, "agreement"), 0);
    cr_expect_eq(json_array_size(json_field(report, "agreement")), 1);
    cr_expect_eq(json_field_number(pair, "n_items"), 8);
    cr_expect_eq(json_field_number(pair, "n_left_out"), 2);
    cr_expect_float_eq(json_field_number(pair, "same"), 0.625, 1e-12);
    cr_expect_float_eq(json_field_number(pair, "kappa"), 0.25, 1e-12);
    cr_expect(bound(pair, 0) < 0.25 && bound(pair, 1) > 0.25);
    json_decref(report);
}

Test(audit_report, nothing_answered_is_undefined_and_not_zero)
{
    static const enum audit_answer blank[N_ITEMS] = {B};
    const struct audit_rating ratings[] = {{"a.csv", blank}, {"b.csv", blank}};
    const struct audit_key key = key_of(8);
    json_t *report = NULL;
    cr_assert_eq(audit_report_make(&key, ratings, 2, &report, NULL), ST_OK);
    const json_t *labels = json_field(json_array_get(json_field(report, "sheets"), 0), "labels");
    cr_expect(json_is_null(json_object_get(labels, "accepted")));
    cr_expect(json_is_null(json_object_get(labels, "interval")));
    const json_t *pair = json_array_get(json_field(report, "agreement"), 0);
    cr_expect(json_is_null(json_object_get(pair, "kappa")));
    json_decref(report);
}

Test(audit_report, people_see_shares_intervals_and_kappa)
{
    char text[4096] = "";
    struct cli cli = {.out = fmemopen(text, sizeof text, "w")};
    const struct text_table_style style = {.has_heading = true};
    json_t *report = report_of(2, 1000);
    cr_assert_eq(audit_report_print(&cli, &style, report, NULL), ST_OK);
    (void)fclose(cli.out);
    json_decref(report);
    cr_expect(strstr(text, "demo-1: 8 of the 1,000 supported labels and 2 decoys, seed 5"), "%s",
              text);
    cr_expect(strstr(text, "4 of 7"), "%s", text);
    cr_expect(strstr(text, "57.1 %"), "%s", text);
    cr_expect(strstr(text, "every rater"), "%s", text);
    cr_expect(strstr(text, "a.csv   b.csv          0.250  "), "%s", text);
    cr_expect(strstr(text, "62.5 %      8\n"), "%s", text);
}
