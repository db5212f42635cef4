#include "coordinator/plan/ablate_rates.h"

#include "common/file.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILE_BYTES = 8 << 20, KEY_SIZE = 4300 };
static const char file_name[] = "ablate-rates.json";

double ablate_work_rate(const struct ablate_work *work)
{
    if (work->n_units == 0 || !(work->worker_seconds > 0.0)) return 0.0;
    const double variants_each = (double)work->n_variants / (double)work->n_units;
    const double rate =
        variants_each * (double)work->n_units_timed * work->n_prompt_tokens / work->worker_seconds;
    return isfinite(rate) && rate > 0.0 ? rate : 0.0;
}

/* --- the file ------------------------------------------------------------------------------ */

/* An object, empty where there is no such file; NULL without memory. */
static json_t *read_rates(const char *path)
{
    struct error ignored = {.status = ST_OK};
    char *text = NULL;
    json_t *rates = NULL;
    if (file_read(path, MAX_FILE_BYTES, &text, NULL, &ignored) == ST_OK)
        rates = json_loads(text, 0, NULL);
    free(text);
    if (json_is_object(rates)) return rates;
    json_decref(rates);
    return json_object();
}

static status_t write_rates(const char *path, const json_t *rates, struct error *err)
{
    char *text = json_dumps(rates, JSON_INDENT(1) | JSON_SORT_KEYS | JSON_REAL_PRECISION(6));
    if (!text) return error_set(err, ST_NO_MEMORY, "%s", path);
    const status_t status = file_write_atomic(path, text, strlen(text), err);
    free(text);
    return status;
}

/* --- one entry ----------------------------------------------------------------------------- */

static bool is_usable(const struct ablate_rate *rate)
{
    return isfinite(rate->thread_tokens_per_second) && rate->thread_tokens_per_second > 0.0 &&
           rate->n_threads > 0 && rate->backend[0] != '\0';
}

static json_t *json_rate(const struct sweep_spec *spec, const struct ablate_rate *rate)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:f, s:I, s:I}", "model", spec->model, "compute",
                     sweep_compute_name(spec->compute), "backend", rate->backend, "isa", rate->isa,
                     "thread_tokens_per_second", rate->thread_tokens_per_second, "n_threads",
                     (json_int_t)rate->n_threads, "noted_unix_ms", (json_int_t)rate->noted_unix_ms);
}

static bool has_text(const json_t *entry, const char *key, const char *want)
{
    const char *text = json_string_value(json_object_get(entry, key));
    return text && strcmp(text, want) == 0;
}

static void copy_text(const json_t *entry, const char *key, char *out, size_t size)
{
    const char *text = json_string_value(json_object_get(entry, key));
    (void)snprintf(out, size, "%s", text ? text : "");
}

/* False: the entry is of something else, or of another format of this file. */
static bool read_entry(const json_t *entry, const struct sweep_spec *spec, struct ablate_rate *out)
{
    const json_int_t n_threads = json_integer_value(json_object_get(entry, "n_threads"));
    if (!has_text(entry, "model", spec->model) ||
        !has_text(entry, "compute", sweep_compute_name(spec->compute)) || n_threads > UINT32_MAX)
        return false;
    *out = (struct ablate_rate){
        .thread_tokens_per_second =
            json_number_value(json_object_get(entry, "thread_tokens_per_second")),
        .n_threads = n_threads > 0 ? (uint32_t)n_threads : 0,
        .noted_unix_ms = json_integer_value(json_object_get(entry, "noted_unix_ms"))};
    copy_text(entry, "backend", out->backend, sizeof out->backend);
    copy_text(entry, "isa", out->isa, sizeof out->isa);
    return is_usable(out);
}

/* --- reading and noting -------------------------------------------------------------------- */

bool ablate_rate_read(const char *data_directory, const struct sweep_spec *spec,
                      struct ablate_rate *out)
{
    char *path = file_join(data_directory, file_name);
    json_t *rates = path ? read_rates(path) : NULL, *entry;
    const char *key;
    bool is_there = false;
    *out = (struct ablate_rate){.n_threads = 0};
    json_object_foreach(rates, key, entry)
    {
        struct ablate_rate found;
        if (!read_entry(entry, spec, &found)) continue;
        if (!is_there || found.noted_unix_ms > out->noted_unix_ms) *out = found;
        is_there = true;
    }
    json_decref(rates);
    free(path);
    return is_there;
}

static status_t set_entry(json_t *rates, const struct sweep_spec *spec,
                          const struct ablate_rate *rate, struct error *err)
{
    char key[KEY_SIZE];
    const int n = snprintf(key, sizeof key, "%s %s %s %s", sweep_compute_name(spec->compute),
                           rate->backend, rate->isa, spec->model);
    if (n < 0 || n >= KEY_SIZE)
        return error_set(err, ST_BAD_INPUT, "the path of a model, %zu bytes", strlen(spec->model));
    if (json_object_size(rates) >= ABLATE_RATES_MAX && !json_object_get(rates, key))
        (void)json_object_clear(rates);
    return json_object_set_new(rates, key, json_rate(spec, rate)) == 0
               ? ST_OK
               : error_set(err, ST_NO_MEMORY, "%s", file_name);
}

status_t ablate_rate_note(const char *data_directory, const struct sweep_spec *spec,
                          const struct ablate_rate *rate, struct error *err)
{
    if (!is_usable(rate))
        return error_set(err, ST_BAD_INPUT, "a rate of %g variant-tokens/s on %u threads of \"%s\"",
                         rate->thread_tokens_per_second, (unsigned)rate->n_threads, rate->backend);
    char *path = file_join(data_directory, file_name);
    json_t *rates = path ? read_rates(path) : NULL;
    status_t status =
        rates ? set_entry(rates, spec, rate, err) : error_set(err, ST_NO_MEMORY, "%s", file_name);
    if (status == ST_OK) status = write_rates(path, rates, err);
    json_decref(rates);
    free(path);
    return status;
}
