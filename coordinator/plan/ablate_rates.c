#include "coordinator/plan/ablate_rates.h"

#include "common/file.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILE_BYTES = 8 << 20, KEY_SIZE = 4200 };
static const char file_name[] = "ablate-rates.json";

static const char *key_of(const struct sweep_spec *spec, char out[KEY_SIZE])
{
    (void)snprintf(out, KEY_SIZE, "%s %s", sweep_compute_name(spec->compute), spec->model);
    return out;
}

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

double ablate_rate_read(const char *data_directory, const struct sweep_spec *spec)
{
    char key[KEY_SIZE];
    char *path = file_join(data_directory, file_name);
    json_t *rates = path ? read_rates(path) : NULL;
    const double rate = json_number_value(json_object_get(rates, key_of(spec, key)));
    json_decref(rates);
    free(path);
    return isfinite(rate) && rate > 0.0 ? rate : 0.0;
}

static status_t write_rates(const char *path, const json_t *rates, struct error *err)
{
    char *text = json_dumps(rates, JSON_INDENT(1) | JSON_SORT_KEYS | JSON_REAL_PRECISION(6));
    if (!text) return error_set(err, ST_NO_MEMORY, "%s", path);
    const status_t status = file_write_atomic(path, text, strlen(text), err);
    free(text);
    return status;
}

status_t ablate_rate_note(const char *data_directory, const struct sweep_spec *spec,
                          double tokens_per_second, struct error *err)
{
    char key[KEY_SIZE];
    if (!isfinite(tokens_per_second) || tokens_per_second <= 0.0)
        return error_set(err, ST_BAD_INPUT, "a rate of %g", tokens_per_second);
    char *path = file_join(data_directory, file_name);
    json_t *rates = path ? read_rates(path) : NULL;
    if (rates && json_object_size(rates) >= ABLATE_RATES_MAX) (void)json_object_clear(rates);
    status_t status =
        rates && json_object_set_new(rates, key_of(spec, key), json_real(tokens_per_second)) == 0
            ? ST_OK
            : error_set(err, ST_NO_MEMORY, "%s", file_name);
    if (status == ST_OK) status = write_rates(path, rates, err);
    json_decref(rates);
    free(path);
    return status;
}
