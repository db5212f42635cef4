/* Dictionaries against what SAELens computes with them (tests/golden/dictionaries, made by
 * make_dictionaries.py), from the model's tokens to the firing features, and every refusal. */
#include "common/file.h"
#include "worker/model/dictionary.h"
#include "worker/model/encoder.h"
#include "worker/model/safetensors.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char FOLDER[] = "tests/golden/dictionaries";
enum { PATH_SIZE = 512 };
static const double TOLERANCE = 1e-4; /* of the largest value of the tensor */

static json_t *read_cases(void)
{
    char path[PATH_SIZE];
    json_error_t where;
    (void)snprintf(path, sizeof path, "%s/cases.json", FOLDER);
    json_t *root = json_load_file(path, 0, &where);
    cr_assert(root, "%s: %s", path, where.text);
    return root;
}

/* A tensor of an expected.safetensors as new f32 memory. */
static float *read_floats(const struct safetensors *file, const char *name, size_t *n)
{
    struct error err = {0};
    const struct tensor_view *view = safetensors_find(file, name);
    cr_assert(view, "%s", name);
    *n = tensor_n_values(view);
    float *values = malloc(*n * sizeof *values);
    cr_assert(values);
    cr_assert_eq(tensor_to_f32(view, values, *n, &err), ST_OK, "%s", err.text);
    return values;
}

struct fixture {
    struct backend *backend;
    struct dictionary *dictionary;
    struct safetensors *expected;
    float *x, *acts; /* [n_tokens, d_in], [n_tokens, n_features] */
    size_t n_tokens;
    struct error err;
};

static void open_case(struct fixture *f, const char *name, const json_t *spec)
{
    char path[PATH_SIZE];
    size_t n;
    *f = (struct fixture){.backend = NULL};
    cr_assert_eq(backend_open_cpu(&f->backend, &f->err), ST_OK);
    (void)snprintf(path, sizeof path, "%s/%s", FOLDER, name);
    const struct dictionary_params params = {
        .directory = path,
        .backend = f->backend,
        .norm_scaling_factor = json_number_value(json_object_get(spec, "norm_scaling_factor"))};
    cr_assert_eq(dictionary_open(&f->dictionary, &params, &f->err), ST_OK, "%s", f->err.text);
    (void)snprintf(path, sizeof path, "%s/%s/expected.safetensors", FOLDER, name);
    cr_assert_eq(safetensors_open(&f->expected, path, &f->err), ST_OK, "%s", f->err.text);
    f->x = read_floats(f->expected, "x", &n);
    f->n_tokens = n / dictionary_config(f->dictionary)->d_in;
    f->acts = read_floats(f->expected, "feature_acts", &n);
    cr_assert_eq(n, f->n_tokens * dictionary_config(f->dictionary)->n_features);
}

static void close_case(struct fixture *f)
{
    free(f->x);
    free(f->acts);
    safetensors_close(&f->expected);
    dictionary_close(&f->dictionary);
    backend_close(&f->backend);
}

/* The same set of firing features, values within the tolerance. */
static void expect_acts(const struct fixture *f, const struct sparse_rows *rows, const char *name)
{
    const size_t n = dictionary_config(f->dictionary)->n_features;
    double largest = 0, worst = 0;
    size_t n_wanted = 0, n_common = 0;
    for (size_t i = 0; i < f->n_tokens * n; i++) {
        largest = fmax(largest, (double)f->acts[i]);
        n_wanted += f->acts[i] > 0;
    }
    cr_assert_eq(rows->n_rows, f->n_tokens);
    for (size_t t = 0; t < f->n_tokens; t++) {
        for (size_t i = rows->row_start[t]; i < rows->row_start[t + 1]; i++) {
            const float want = f->acts[t * n + rows->feature[i]];
            n_common += want > 0;
            worst = fmax(worst, fabs((double)want - (double)rows->value[i]));
        }
    }
    cr_expect(n_wanted > f->n_tokens, "%s: %zu activations", name, n_wanted);
    cr_expect(n_common == n_wanted && rows->row_start[f->n_tokens] == n_wanted,
              "%s: %zu of %zu activations, %zu in all", name, n_common, n_wanted,
              rows->row_start[f->n_tokens]);
    cr_expect(worst <= TOLERANCE * largest, "%s: off by %.2e of %.2e", name, worst, largest);
}

static void check_case(const char *name, const json_t *spec, enum screen screen)
{
    struct fixture f;
    struct encoder *encoder;
    struct sparse_rows rows;
    open_case(&f, name, spec);
    const struct encoder_params params = {.dictionary = f.dictionary, .screen = screen};
    cr_assert_eq(encoder_create(&encoder, &params, &f.err), ST_OK, "%s", f.err.text);
    cr_assert_eq(encoder_run(encoder, f.x, f.n_tokens, &rows, &f.err), ST_OK, "%s: %s", name,
                 f.err.text);
    expect_acts(&f, &rows, name);
    cr_expect_str_eq(dictionary_config(f.dictionary)->hook_name,
                     json_string_value(json_object_get(spec, "hook")));
    encoder_destroy(&encoder);
    close_case(&f);
}

Test(dictionary, matches_saelens_for_every_architecture_and_normalisation)
{
    json_t *cases = read_cases();
    const char *name;
    json_t *spec;
    size_t n = 0;
    json_object_foreach(json_object_get(cases, "encode"), name, spec)
    {
        check_case(name, spec, SCREEN_AUTO);
        check_case(name, spec, SCREEN_NONE);
        n++;
    }
    cr_expect(n >= 20, "%zu cases", n);
    json_decref(cases);
}

/* As `grep -wE`: the pattern must stand as whole words. */
static bool has_words(const char *text, const char *pattern)
{
    char wrapped[256];
    regex_t regex;
    (void)snprintf(wrapped, sizeof wrapped, "(^|[^A-Za-z0-9_])(%s)([^A-Za-z0-9_]|$)", pattern);
    cr_assert_eq(regcomp(&regex, wrapped, REG_EXTENDED | REG_NOSUB), 0);
    const bool is_found = regexec(&regex, text, 0, NULL, 0) == 0;
    regfree(&regex);
    return is_found;
}

/* The error behind the directory's own name, which holds the words itself. */
static const char *behind_path(const char *text, const char *path)
{
    const char *at = strstr(text, path);
    for (const char *next = at; next; next = strstr(next + 1, path)) at = next;
    return at ? at + strlen(path) : text;
}

Test(dictionary, refuses_by_name_what_it_does_not_understand)
{
    json_t *cases = read_cases(), *pattern;
    struct backend *backend;
    struct error err = {0};
    const char *name;
    size_t n = 0;
    cr_assert_eq(backend_open_cpu(&backend, &err), ST_OK);
    json_object_foreach(json_object_get(cases, "refuse"), name, pattern)
    {
        char path[PATH_SIZE];
        struct dictionary *dictionary = NULL;
        (void)snprintf(path, sizeof path, "%s/refuse/%s", FOLDER, name);
        const struct dictionary_params params = {.directory = path, .backend = backend};
        error_clear(&err);
        cr_expect_neq(dictionary_open(&dictionary, &params, &err), ST_OK, "%s", name);
        cr_expect_null(dictionary);
        cr_expect(strstr(err.text, path), "%s: '%s' does not name it", name, err.text);
        cr_expect(has_words(behind_path(err.text, path), json_string_value(pattern)),
                  "%s: '%s' does not say '%s'", name, err.text, json_string_value(pattern));
        n++;
    }
    cr_expect(n >= 15, "%zu refusals", n);
    backend_close(&backend);
    json_decref(cases);
}

Test(dictionary, decoder_rows_rebuild_what_saelens_rebuilds)
{
    json_t *cases = read_cases();
    const char *const name = "standard-expected-unfolded";
    const json_t *spec = json_object_get(json_object_get(cases, "encode"), name);
    struct fixture f;
    size_t n;
    open_case(&f, name, spec);
    const struct dictionary_config *c = dictionary_config(f.dictionary);
    float *want = read_floats(f.expected, "reconstruction", &n);
    float *got = calloc(c->d_in, sizeof *got), *row = malloc(c->d_in * sizeof *row);
    memcpy(got, dictionary_input_bias(f.dictionary), c->d_in * sizeof *got);
    for (size_t i = 0; i < c->n_features; i++) {
        cr_assert_eq(dictionary_decoder_row(f.dictionary, i, row, &f.err), ST_OK);
        for (size_t j = 0; j < c->d_in; j++) got[j] += f.acts[i] * row[j];
    }
    for (size_t j = 0; j < c->d_in; j++)
        cr_expect(fabsf(got[j] - want[j]) < 1e-4f, "%zu: %g, not %g", j, (double)got[j],
                  (double)want[j]);
    cr_expect_eq(dictionary_decoder_row(f.dictionary, c->n_features, row, &f.err), ST_NOT_FOUND);
    free(want);
    free(got);
    free(row);
    close_case(&f);
    json_decref(cases);
}

Test(dictionary, a_factor_that_is_not_used_is_an_error)
{
    struct backend *backend;
    struct dictionary *dictionary = NULL;
    struct error err = {0};
    cr_assert_eq(backend_open_cpu(&backend, &err), ST_OK);
    const struct dictionary_params params = {.directory = "tests/golden/dictionaries/standard",
                                             .backend = backend,
                                             .norm_scaling_factor = 2};
    cr_expect_eq(dictionary_open(&dictionary, &params, &err), ST_BAD_INPUT);
    cr_expect(strstr(err.text, "norm_scaling_factor"), "%s", err.text);
    backend_close(&backend);
}
