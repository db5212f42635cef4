/* What a rating sheet's items are: the key that raters do not get.
 *
 * A JSON document (kind AuditKey) beside the sheet: rating.csv has rating.key.json. An item's id
 * tells nothing of it: five letters that name the sheet, equal for all of its items, and a number
 * in the sheet's shuffled order; so a key never reads another sheet's answers. One thread. */
#ifndef COORDINATOR_CLI_AUDIT_KEY_H
#define COORDINATOR_CLI_AUDIT_KEY_H

#include "common/error.h"
#include "coordinator/cli/audit_draw.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { AUDIT_ITEM_ID_SIZE = 16, AUDIT_MAX_ITEMS = 5000, AUDIT_SWEEP_SIZE = 256 };

struct audit_item {
    char id[AUDIT_ITEM_ID_SIZE];
    uint64_t feature; /* whose evidence is shown */
    uint32_t target;
    bool is_decoy;
    uint64_t described_feature; /* whose label is shown: another one for a decoy */
    uint32_t described_target;
};

struct audit_key {
    char sweep[AUDIT_SWEEP_SIZE];
    uint64_t seed;
    int64_t target;           /* the only one drawn from; -1: all of the sweep */
    bool is_of_supported;     /* drawn from believed labels; else from all that were scored */
    uint64_t n_population;    /* labels drawn from */
    struct audit_item *items; /* [n_items], owned */
    size_t n_items, n_decoys; /* decoys are among the items */
};

/* Fill items and their numbers from what was drawn; the other members are set already. Errors:
 * ST_NO_MEMORY, ST_TOO_LARGE (more than AUDIT_MAX_ITEMS). The caller calls audit_key_fini(). */
MUST_CHECK status_t audit_key_fill(struct audit_key *key, const struct audit_label *labels,
                                   const struct audit_pick *picks, size_t n_picks,
                                   struct error *err);
void audit_key_fini(struct audit_key *key); /* fine twice */

/* The index of the item, or n_items. */
size_t audit_key_find(const struct audit_key *key, const char *id);

/* "a/rating.csv" -> "a/rating.key.json"; the caller frees it. NULL without memory. */
char *audit_key_path(const char *sheet_path);

/* Errors: ST_IO, ST_NO_MEMORY. */
MUST_CHECK status_t audit_key_write(const struct audit_key *key, const char *path,
                                    struct error *err);
/* Errors: ST_NOT_FOUND, ST_IO, ST_TOO_LARGE, ST_BAD_INPUT (no key, or one that contradicts
 * itself); *out untouched. The caller calls audit_key_fini(). */
MUST_CHECK status_t audit_key_read(struct audit_key *out, const char *path, struct error *err);

#endif
