/* What raters' answers say of a sweep's labels.
 *
 *   labels   accepted / answered, with Wilson's 95 % interval for the population drawn from: a
 *            label that a rater is unsure of is not accepted; unanswered ones are left out
 *   decoys   the same of wrong labels: how lenient the rater is
 *   all      with several raters, what every one of them accepts, of items all of them answered
 *   kappa    Cohen's, of each two raters, over every item both said yes or no to, decoys included
 *
 * Pure; any thread. */
#ifndef COORDINATOR_CLI_AUDIT_REPORT_H
#define COORDINATOR_CLI_AUDIT_REPORT_H

#include "coordinator/cli/audit_sheet.h"
#include "coordinator/cli/cli.h"
#include "coordinator/cli/text_table.h"

struct audit_rating {
    const char *name;                 /* the sheet's file, as the user gave it */
    const enum audit_answer *answers; /* [key->n_items] */
};

/* The report as JSON, the caller's:
 *   sweep, seed, target (or null), population{of, size}, n_labels, n_decoys,
 *   sheets[{sheet, labels{...}, decoys{...}}], all_raters{labels{...}, decoys{...}} or null,
 *   agreement[{sheets[2], kappa, interval[2], same, n_items, n_left_out}]
 * labels and decoys: {yes, no, unsure, unanswered, accepted, interval[2]}; null where undefined.
 * Errors: ST_NO_MEMORY. */
MUST_CHECK status_t audit_report_make(const struct audit_key *key,
                                      const struct audit_rating *ratings, size_t n_ratings,
                                      json_t **out, struct error *err);

/* The same for people. */
MUST_CHECK status_t audit_report_print(const struct cli *cli, const struct text_table_style *style,
                                       const json_t *report, struct error *err);

#endif
