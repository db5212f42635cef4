#include "coordinator/cli/audit_report.h"

#include "coordinator/session/agreement.h"
#include "coordinator/session/score_json.h"
#include "coordinator/session/wilson.h"

#include <stdlib.h>

struct tally {
    uint64_t n[AUDIT_N_ANSWERS];
};

/* --- counting ------------------------------------------------------------------------------ */

static struct tally count_answers(const struct audit_key *key, const enum audit_answer *answers,
                                  bool of_decoys)
{
    struct tally tally = {{0}};
    for (size_t i = 0; i < key->n_items; i++)
        if (key->items[i].is_decoy == of_decoys) tally.n[answers[i]]++;
    return tally;
}

/* One rater who says yes where all do, and nothing where one of them says nothing. */
static void merge_answers(const struct audit_rating *ratings, size_t n_ratings, size_t n_items,
                          enum audit_answer *out)
{
    for (size_t i = 0; i < n_items; i++) {
        bool is_no = false, is_unsure = false, is_blank = false;
        for (size_t k = 0; k < n_ratings; k++) {
            is_no |= ratings[k].answers[i] == AUDIT_NO;
            is_unsure |= ratings[k].answers[i] == AUDIT_UNSURE;
            is_blank |= ratings[k].answers[i] == AUDIT_BLANK;
        }
        out[i] = is_blank ? AUDIT_BLANK : is_no ? AUDIT_NO : is_unsure ? AUDIT_UNSURE : AUDIT_YES;
    }
}

/* --- JSON ---------------------------------------------------------------------------------- */

/* Every builder returns a new reference or NULL; json_pack() takes "o" values over and fails on
 * NULL, so one check at the end is enough. */

static json_t *tally_json(const struct tally *tally, uint64_t n_population)
{
    const uint64_t n_answered = tally->n[AUDIT_YES] + tally->n[AUDIT_NO] + tally->n[AUDIT_UNSURE];
    const struct wilson accepted =
        wilson_interval(tally->n[AUDIT_YES], n_answered, n_population, WILSON_Z_95);
    return json_pack("{s:I, s:I, s:I, s:I, s:o, s:o}", "yes", (json_int_t)tally->n[AUDIT_YES], "no",
                     (json_int_t)tally->n[AUDIT_NO], "unsure", (json_int_t)tally->n[AUDIT_UNSURE],
                     "unanswered", (json_int_t)tally->n[AUDIT_BLANK], "accepted",
                     accepted.is_defined ? json_real(accepted.share) : json_null(), "interval",
                     accepted.is_defined ? json_pack("[f, f]", accepted.low, accepted.high)
                                         : json_null());
}

/* Takes `name` over; NULL: without a name. */
static json_t *rater_json(const struct audit_key *key, const enum audit_answer *answers,
                          const char *name)
{
    const struct tally labels = count_answers(key, answers, false);
    const struct tally decoys = count_answers(key, answers, true);
    json_t *rater = json_pack("{s:o, s:o}", "labels", tally_json(&labels, key->n_population),
                              "decoys", tally_json(&decoys, 0));
    if (rater && name && json_object_set_new(rater, "sheet", json_string(name)) != 0) {
        json_decref(rater);
        return NULL;
    }
    return rater;
}

static json_t *raters_json(const struct audit_key *key, const struct audit_rating *ratings,
                           size_t n_ratings)
{
    json_t *all = json_array();
    for (size_t i = 0; all && i < n_ratings; i++)
        if (json_array_append_new(all, rater_json(key, ratings[i].answers, ratings[i].name)) != 0) {
            json_decref(all);
            return NULL;
        }
    return all;
}

/* --- agreement ----------------------------------------------------------------------------- */

static void fill_judgements(const struct audit_rating *rating, size_t n_items,
                            struct judgement *out)
{
    for (size_t i = 0; i < n_items; i++) {
        const enum audit_answer answer = rating->answers[i];
        out[i] = (struct judgement){.document_key = i, /* every item was drawn by itself */
                                    .answer = answer == AUDIT_YES  ? ANSWER_FIRES
                                              : answer == AUDIT_NO ? ANSWER_SILENT
                                                                   : ANSWER_FAILED};
    }
}

static status_t add_agreement(json_t *all, const struct audit_key *key,
                              const struct audit_rating *a, const struct audit_rating *b,
                              struct error *err)
{
    const struct bootstrap_params params = {
        .n_resamples = BOOTSTRAP_RESAMPLES, .confidence = 0.95, .seed = key->seed};
    struct judgement *judgements = calloc(2 * key->n_items + 1, sizeof *judgements);
    struct agreement got;
    if (!judgements) return error_set(err, ST_NO_MEMORY, "agreement on %zu items", key->n_items);
    fill_judgements(a, key->n_items, judgements);
    fill_judgements(b, key->n_items, judgements + key->n_items);
    status_t status =
        agreement_cohen(judgements, judgements + key->n_items, key->n_items, &params, &got, err);
    free(judgements);
    if (status != ST_OK) return status;
    json_t *interval = got.interval.is_defined
                           ? json_pack("[f, f]", got.interval.low, got.interval.high)
                           : json_null();
    json_t *json = json_pack("{s:[s, s], s:o, s:o, s:o, s:I, s:I}", "sheets", a->name, b->name,
                             "kappa", score_value_json(got.kappa), "interval", interval, "same",
                             score_value_json(got.observed), "n_items", (json_int_t)got.n_windows,
                             "n_left_out", (json_int_t)got.n_left_out);
    return json_array_append_new(all, json) == 0
               ? ST_OK
               : error_set(err, ST_NO_MEMORY, "agreement of two sheets");
}

static status_t agreements(const struct audit_key *key, const struct audit_rating *ratings,
                           size_t n_ratings, json_t **out, struct error *err)
{
    json_t *all = json_array();
    status_t status = all ? ST_OK : error_set(err, ST_NO_MEMORY, "agreement");
    for (size_t i = 0; i < n_ratings; i++)
        for (size_t k = i + 1; k < n_ratings && status == ST_OK; k++)
            status = add_agreement(all, key, &ratings[i], &ratings[k], err);
    if (status == ST_OK)
        *out = all;
    else
        json_decref(all);
    return status;
}

/* --- the report ---------------------------------------------------------------------------- */

static json_t *all_raters_json(const struct audit_key *key, const struct audit_rating *ratings,
                               size_t n_ratings)
{
    if (n_ratings < 2) return json_null();
    enum audit_answer *merged = calloc(key->n_items + 1, sizeof *merged);
    if (!merged) return NULL;
    merge_answers(ratings, n_ratings, key->n_items, merged);
    json_t *json = rater_json(key, merged, NULL);
    free(merged);
    return json;
}

status_t audit_report_make(const struct audit_key *key, const struct audit_rating *ratings,
                           size_t n_ratings, json_t **out, struct error *err)
{
    json_t *agreement = NULL;
    const status_t status = agreements(key, ratings, n_ratings, &agreement, err);
    if (status != ST_OK) return status;
    json_t *report = json_pack(
        "{s:s, s:I, s:o, s:{s:s, s:I}, s:I, s:I, s:o, s:o, s:o}", "sweep", key->sweep, "seed",
        (json_int_t)key->seed, "target", key->target < 0 ? json_null() : json_integer(key->target),
        "population", "of", key->is_of_supported ? "supported" : "scored", "size",
        (json_int_t)key->n_population, "n_labels", (json_int_t)(key->n_items - key->n_decoys),
        "n_decoys", (json_int_t)key->n_decoys, "sheets", raters_json(key, ratings, n_ratings),
        "all_raters", all_raters_json(key, ratings, n_ratings), "agreement", agreement);
    if (!report)
        return error_set(err, ST_NO_MEMORY,
                         "report of an audit: no memory, or the name of a "
                         "sheet is not UTF-8");
    *out = report;
    return ST_OK;
}
