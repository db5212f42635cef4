/* audit-sample: do people agree with a sweep's labels? Writes a blinded sheet, or reads filled-in
 * ones back. Reading needs no coordinator: the key says what the sheet was drawn from. */
#include "common/quantity.h"
#include "coordinator/cli/audit_population.h"
#include "coordinator/cli/audit_report.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/document.h"
#include "coordinator/cli/status_text.h"

#include "common/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEFAULT_ITEMS = 50, ITEMS_PER_DECOY = 4, SHEET_MAX_BYTES = 64 * 1024 * 1024 };

/* --- writing a sheet ----------------------------------------------------------------------- */

struct sample {
    struct client *client;
    const char *sweep;
    struct audit_draw_params params;
    struct audit_population population;
    struct audit_pick *picks; /* [n_picks], owned; in the order of the sheet */
    size_t n_picks;
    struct audit_key key;
    struct buffer sheet;
};

static status_t check_absent(const char *path, bool is_forced, struct error *err)
{
    struct stat info;
    if (lstat(path, &info) != 0)
        return errno == ENOENT ? ST_OK : error_set(err, ST_IO, "%s: %s", path, strerror(errno));
    if (is_forced) return ST_OK;
    return error_set(err, ST_CONFLICT, "%s is there already: --force overwrites it", path);
}

static status_t draw_sample(struct sample *self, int64_t target, struct error *err)
{
    status_t status =
        audit_population_read(&self->population, self->client, self->sweep, target, err);
    if (status == ST_OK)
        status = audit_draw(self->population.labels, self->population.n, &self->params,
                            &self->picks, &self->n_picks, err);
    if (status != ST_OK) return status;
    if (strlen(self->sweep) >= sizeof self->key.sweep)
        return error_set(err, ST_TOO_LARGE, "the sweep's id is too long");
    self->key = (struct audit_key){.seed = self->params.seed,
                                   .target = target,
                                   .is_of_supported = self->population.is_of_supported,
                                   .n_population = self->population.n};
    memcpy(self->key.sweep, self->sweep, strlen(self->sweep) + 1);
    return audit_key_fill(&self->key, self->population.labels, self->picks, self->n_picks, err);
}

static status_t fill_sheet(struct sample *self, struct error *err)
{
    status_t status = audit_sheet_append_heading(&self->sheet, err);
    for (size_t i = 0; i < self->n_picks && status == ST_OK; i++) {
        const struct audit_label *labels = self->population.labels;
        json_t *record = NULL;
        status = audit_population_record(&labels[self->picks[i].evidence], self->client,
                                         self->sweep, &record, err);
        if (status == ST_OK)
            status = audit_sheet_append_item(&self->sheet, self->key.items[i].id,
                                             labels[self->picks[i].description].text, record, err);
        json_decref(record);
    }
    return status;
}

/* The key first: a sheet without its key would be lost work. */
static status_t write_files(const struct sample *self, const char *sheet, const char *key,
                            struct error *err)
{
    status_t status = audit_key_write(&self->key, key, err);
    if (status != ST_OK) return status;
    status = file_write_atomic(sheet, self->sheet.bytes, self->sheet.n_bytes, err);
    if (status != ST_OK) (void)unlink(key);
    return status;
}

static status_t print_written(const struct cli *cli, const struct cli_arguments *arguments,
                              const struct sample *self, const char *key, struct error *err)
{
    const size_t n_decoys = self->key.n_decoys, n_labels = self->key.n_items - n_decoys;
    const char *of = self->key.is_of_supported ? "supported" : "scored";
    char size[QUANTITY_SIZE];
    if (arguments->format == CLI_FORMAT_JSON) {
        json_t *answer =
            json_pack("{s:s, s:I, s:s, s:s, s:{s:s, s:I}, s:I, s:I}", "sweep", self->sweep, "seed",
                      (json_int_t)self->key.seed, "sheet", arguments->sheet, "key", key,
                      "population", "of", of, "size", (json_int_t)self->key.n_population,
                      "n_labels", (json_int_t)n_labels, "n_decoys", (json_int_t)n_decoys);
        const status_t status = answer ? document_print(cli->out, "AuditSample", answer, err)
                                       : error_set(err, ST_BAD_INPUT, "a file name is not UTF-8");
        json_decref(answer);
        return status;
    }
    (void)fprintf(cli->out,
                  "%s: %zu of the %s %s labels of %s, and %zu decoys among them\n"
                  "%s: which item is what; raters must not see it\n\n",
                  arguments->sheet, n_labels, quantity_count((double)self->key.n_population, size),
                  of, self->sweep, n_decoys, key);
    if (!self->key.is_of_supported)
        (void)fprintf(cli->out, "No null model ran, so no label is believed: drawn from all that "
                                "were scored.\n");
    (void)fprintf(cli->out,
                  "Raters put yes, no or unsure under `fits`: does the description fit the tokens "
                  "in [brackets]?\nThen: interpctl audit-sample %s --read %s\n",
                  self->sweep, arguments->sheet);
    return ST_OK;
}

static status_t write_sample(struct cli *cli, const struct cli_arguments *arguments,
                             struct error *err)
{
    const size_t n_items = arguments->limit < 0 ? DEFAULT_ITEMS : (size_t)arguments->limit;
    const size_t n_decoys = arguments->decoys < 0
                                ? (n_items + ITEMS_PER_DECOY - 1) / ITEMS_PER_DECOY
                                : (size_t)arguments->decoys;
    struct sample self = {
        .sweep = arguments->positional[0],
        .params = {arguments->seed < 0 ? 0 : (uint64_t)arguments->seed, n_items, n_decoys}};
    if (n_items == 0 || n_items > AUDIT_MAX_ITEMS || n_decoys > AUDIT_MAX_ITEMS - n_items)
        return error_set(err, ST_BAD_INPUT, "a sheet has 1 to %d items, decoys included",
                         AUDIT_MAX_ITEMS);
    char *key =
        arguments->sheet_key ? strdup(arguments->sheet_key) : audit_key_path(arguments->sheet);
    if (!key) return error_set(err, ST_NO_MEMORY, "a path");
    buffer_init(&self.sheet, SHEET_MAX_BYTES);
    status_t status = ST_OK;
    if (strcmp(key, arguments->sheet) == 0)
        status = error_set(err, ST_BAD_INPUT, "%s: sheet and key are two files", key);
    if (status == ST_OK) status = check_absent(arguments->sheet, arguments->force, err);
    if (status == ST_OK) status = check_absent(key, arguments->force, err);
    if (status == ST_OK) status = cli_connect(&self.client, cli, arguments, err);
    if (status == ST_OK) status = draw_sample(&self, arguments->target, err);
    if (status == ST_OK) status = fill_sheet(&self, err);
    if (status == ST_OK) status = write_files(&self, arguments->sheet, key, err);
    if (status == ST_OK) status = print_written(cli, arguments, &self, key, err);
    buffer_fini(&self.sheet);
    audit_key_fini(&self.key);
    free(self.picks);
    audit_population_fini(&self.population);
    client_close(&self.client);
    free(key);
    return status;
}

/* --- reading sheets ------------------------------------------------------------------------ */

/* The key that was given, else the one beside the first sheet that has one. */
static status_t find_key(const struct cli_arguments *arguments, char **out, struct error *err)
{
    if (arguments->sheet_key) {
        *out = strdup(arguments->sheet_key);
        return *out ? ST_OK : error_set(err, ST_NO_MEMORY, "a path");
    }
    for (size_t i = 0; i < arguments->read.n; i++) {
        char *path = audit_key_path(arguments->read.items[i]);
        if (!path) return error_set(err, ST_NO_MEMORY, "a path");
        if (access(path, F_OK) == 0) {
            *out = path;
            return ST_OK;
        }
        free(path);
    }
    return error_set(err, ST_NOT_FOUND, "no key beside %s: --sheet-key names it",
                     arguments->read.items[0]);
}

static status_t read_sheet(const struct audit_key *key, const char *path,
                           enum audit_answer *answers, struct error *err)
{
    char *bytes = NULL;
    size_t n_bytes = 0;
    status_t status = file_read(path, SHEET_MAX_BYTES, &bytes, &n_bytes, err);
    if (status == ST_OK) status = audit_sheet_read(key, path, bytes, n_bytes, answers, err);
    free(bytes);
    return status;
}

static status_t report_sheets(struct cli *cli, const struct cli_arguments *arguments,
                              const struct audit_key *key, struct error *err)
{
    struct audit_rating ratings[CLI_MAX_LIST];
    json_t *report = NULL;
    const size_t n = arguments->read.n;
    const struct text_table_style style = status_text_style(cli, arguments);
    enum audit_answer *answers = calloc(n * key->n_items + 1, sizeof *answers);
    if (!answers) return error_set(err, ST_NO_MEMORY, "answers to %zu items", key->n_items);
    status_t status = ST_OK;
    for (size_t i = 0; i < n && status == ST_OK; i++) {
        ratings[i] = (struct audit_rating){arguments->read.items[i], answers + i * key->n_items};
        status = read_sheet(key, arguments->read.items[i], answers + i * key->n_items, err);
    }
    if (status == ST_OK) status = audit_report_make(key, ratings, n, &report, err);
    if (status == ST_OK && arguments->format == CLI_FORMAT_JSON)
        status = document_print(cli->out, "Audit", report, err);
    else if (status == ST_OK)
        status = audit_report_print(cli, &style, report, err);
    json_decref(report);
    free(answers);
    return status;
}

static status_t read_sample(struct cli *cli, const struct cli_arguments *arguments,
                            struct error *err)
{
    struct audit_key key = {.n_items = 0};
    char *path = NULL;
    const char *sweep = arguments->positional[0];
    status_t status = find_key(arguments, &path, err);
    if (status == ST_OK) status = audit_key_read(&key, path, err);
    if (status == ST_OK && strcmp(key.sweep, sweep) != 0)
        status =
            error_set(err, ST_BAD_INPUT, "%s is of sweep %s, not of %s", path, key.sweep, sweep);
    if (status == ST_OK) status = report_sheets(cli, arguments, &key, err);
    audit_key_fini(&key);
    free(path);
    return status;
}

status_t audit_sample_command(struct cli *cli, const struct cli_arguments *arguments,
                              struct error *err)
{
    const bool is_reading = arguments->read.n > 0;
    if (is_reading == (arguments->sheet != NULL))
        return error_set(err, ST_BAD_INPUT,
                         "audit-sample: --sheet FILE writes one, --read FILE "
                         "reads one back: give one of them");
    if (is_reading && (arguments->limit >= 0 || arguments->seed >= 0 || arguments->decoys >= 0 ||
                       arguments->target >= 0 || arguments->force))
        return error_set(err, ST_BAD_INPUT,
                         "audit-sample: -n, --seed, --decoys, --target and --force are for "
                         "writing a sheet; what was drawn stands in its key");
    return is_reading ? read_sample(cli, arguments, err) : write_sample(cli, arguments, err);
}
