/* Rates that estimates are made of: what they are of, and where they are kept. */
#include "coordinator/plan/ablate_rates.h"

#include "common/buffer.h"
#include "common/file.h"
#include "tests/unit/file_tree.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char file_name[] = "ablate-rates.json";
static char directory[FILE_TREE_ROOT_SIZE], file_path[128];

static void make_directory(void)
{
    file_tree_make(directory);
    (void)snprintf(file_path, sizeof file_path, "%s/%s", directory, file_name);
}

static void remove_directory(void)
{
    file_tree_remove(directory);
}

TestSuite(ablate_rates, .init = make_directory, .fini = remove_directory);

static struct ablate_rate rate_on(const char *backend, double tokens_per_second, int64_t unix_ms)
{
    struct ablate_rate rate = {
        .thread_tokens_per_second = tokens_per_second, .n_threads = 2, .noted_unix_ms = unix_ms};
    (void)snprintf(rate.backend, sizeof rate.backend, "%s", backend);
    (void)snprintf(rate.isa, sizeof rate.isa, "%s", strcmp(backend, "cpu") == 0 ? "avx2" : "sm_90");
    return rate;
}

static void note(const struct sweep_spec *spec, const struct ablate_rate *rate)
{
    struct error err = {.status = ST_OK};
    cr_assert_eq(ablate_rate_note(directory, spec, rate, &err), ST_OK, "%s", err.text);
}

/* Of the last entry that counts; 0: none. */
static double read_rate(const struct sweep_spec *spec)
{
    struct ablate_rate rate;
    const bool is_there = ablate_rate_read(directory, spec, &rate);
    cr_expect_eq(is_there, rate.n_threads > 0);
    return rate.thread_tokens_per_second;
}

Test(ablate_rates, are_of_the_seconds_that_workers_computed_for)
{
    struct ablate_work work = {.n_variants = 310, .n_units = 10, .n_prompt_tokens = 200};
    cr_expect_eq(ablate_work_rate(&work), 0.0, "nothing was timed: it was all there before");
    work.n_units_timed = 10;
    work.worker_seconds = 31.0;
    cr_expect_float_eq(ablate_work_rate(&work), 2000.0, 1e-9);
    work.n_units_timed = 5; /* the rest in an earlier life, with its seconds */
    work.worker_seconds = 15.5;
    cr_expect_float_eq(ablate_work_rate(&work), 2000.0, 1e-9);
    work.n_units_timed = 12; /* two ran twice */
    work.worker_seconds = 37.2;
    cr_expect_float_eq(ablate_work_rate(&work), 2000.0, 1e-9);
    work.worker_seconds = 0.0;
    cr_expect_eq(ablate_work_rate(&work), 0.0);
    cr_expect_eq(ablate_work_rate(&(struct ablate_work){.worker_seconds = 1.0}), 0.0);
}

Test(ablate_rates, are_kept_by_model_format_backend_and_device)
{
    char model[] = "/models/a", other[] = "/models/b";
    struct sweep_spec spec = {.model = model};
    const struct ablate_rate cpu = rate_on("cpu", 1234.5, 1000), cuda = rate_on("cuda", 9e6, 2000);
    const struct ablate_rate faster = rate_on("cpu", 2000.0, 3000);
    struct ablate_rate got;
    cr_expect_eq(read_rate(&spec), 0.0, "no file");
    note(&spec, &cpu);
    cr_expect_float_eq(read_rate(&spec), 1234.5, 1e-9);
    note(&spec, &cuda);
    cr_assert(ablate_rate_read(directory, &spec, &got));
    cr_expect_float_eq(got.thread_tokens_per_second, 9e6, 1e-3, "the last one");
    cr_expect_str_eq(got.backend, "cuda");
    cr_expect_str_eq(got.isa, "sm_90");
    cr_expect_eq(got.n_threads, 2);
    note(&spec, &faster);
    cr_expect_float_eq(read_rate(&spec), 2000.0, 1e-9);
    spec.compute = SWEEP_COMPUTE_BF16X3;
    cr_expect_eq(read_rate(&spec), 0.0, "another number format");
    spec = (struct sweep_spec){.model = other};
    cr_expect_eq(read_rate(&spec), 0.0, "another model");
}

/* One of each backend: a note replaces the last one of its own kind alone. */
Test(ablate_rates, do_not_replace_those_of_another_backend)
{
    char model[] = "/models/a", *text = NULL;
    const struct sweep_spec spec = {.model = model};
    const struct ablate_rate first = rate_on("cpu", 1.0, 1), second = rate_on("cuda", 2.0, 2),
                             third = rate_on("cpu", 3.0, 3);
    note(&spec, &first);
    note(&spec, &second);
    note(&spec, &third);
    cr_assert_eq(file_read(file_path, 1 << 16, &text, NULL, NULL), ST_OK);
    cr_expect(strstr(text, "\"f32 cpu avx2 /models/a\"") &&
                  strstr(text, "\"f32 cuda sm_90 /models/a\""),
              "%s", text);
    cr_expect(strstr(text, "\"noted_unix_ms\": 3") && !strstr(text, "\"noted_unix_ms\": 1"));
    free(text);
}

Test(ablate_rates, what_is_no_rate_is_refused)
{
    char model[] = "/models/a";
    const struct sweep_spec spec = {.model = model};
    struct ablate_rate wrong[4];
    for (int i = 0; i < 4; i++) wrong[i] = rate_on("cpu", 5.0, 1);
    wrong[0].thread_tokens_per_second = 0.0;
    wrong[1].thread_tokens_per_second = INFINITY;
    wrong[2].n_threads = 0;
    wrong[3].backend[0] = '\0';
    for (int i = 0; i < 4; i++)
        cr_expect_eq(ablate_rate_note(directory, &spec, &wrong[i], NULL), ST_BAD_INPUT, "%d", i);
    cr_expect_eq(access(file_path, F_OK), -1, "nothing was written");
}

/* Broken, of an earlier format, with entries that nobody can use: as if there were none. */
Test(ablate_rates, a_file_that_cannot_be_used_is_written_anew)
{
    static const char *const texts[] = {
        "[broken", "[]", "{\"f32 /models/a\": 1234.5}",
        "{\"f32 cpu avx2 /models/a\": {\"model\": \"/models/a\", \"compute\": \"f32\", "
        "\"backend\": \"cpu\", \"isa\": \"avx2\", \"thread_tokens_per_second\": -1, "
        "\"n_threads\": 1, \"noted_unix_ms\": 1}}"};
    char model[] = "/models/a";
    const struct sweep_spec spec = {.model = model};
    const struct ablate_rate rate = rate_on("cpu", 2.0, 1);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        file_tree_write(directory, file_name, texts[i]);
        cr_expect_eq(read_rate(&spec), 0.0, "%s", texts[i]);
        note(&spec, &rate);
        cr_expect_eq(read_rate(&spec), 2.0, "%s", texts[i]);
    }
}

Test(ablate_rates, a_full_file_begins_anew)
{
    char model[32], first[] = "/models/0", last[] = "/models/1000";
    struct sweep_spec spec = {.model = model};
    const struct ablate_rate rate = rate_on("cpu", 2.0, 1);
    struct buffer text;
    buffer_init(&text, 1 << 20);
    cr_assert_eq(buffer_append_text(&text, "{", NULL), ST_OK);
    for (int i = 0; i < ABLATE_RATES_MAX; i++)
        cr_assert_eq(buffer_printf(&text, NULL,
                                   "%s\"f32 cpu avx2 /models/%d\": {\"model\": \"/models/%d\", "
                                   "\"compute\": \"f32\", \"backend\": \"cpu\", \"isa\": "
                                   "\"avx2\", \"thread_tokens_per_second\": 1.5, \"n_threads\": 1, "
                                   "\"noted_unix_ms\": 1}",
                                   i ? "," : "", i, i),
                     ST_OK);
    cr_assert_eq(buffer_append_text(&text, "}", NULL), ST_OK);
    file_tree_write(directory, file_name, buffer_text(&text));
    (void)snprintf(model, sizeof model, "%s", first);
    note(&spec, &rate);
    cr_expect_eq(read_rate(&spec), 2.0, "there is no more of it for that");
    (void)snprintf(model, sizeof model, "/models/7");
    cr_expect_eq(read_rate(&spec), 1.5, "the others stayed");
    (void)snprintf(model, sizeof model, "%s", last);
    note(&spec, &rate);
    cr_expect_eq(read_rate(&spec), 2.0);
    (void)snprintf(model, sizeof model, "%s", first);
    cr_expect_eq(read_rate(&spec), 0.0);
    buffer_fini(&text);
}
