#include "worker/head_scores_command.h"

#include "worker/arguments.h"
#include "worker/device.h"
#include "worker/model/model_config.h"
#include "worker/tasks/head_scores_runner.h"
#include "worker/tasks/model_cache.h"
#include "worker/token_rows.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char SUMMARY[] = "How much each head attends where known kinds of heads do.";

struct options {
    const char *directory, *tokens, *bos, *compute, *format;
    struct device_options device;
    size_t n_words, n_sequences, seed, n_top;
};

struct scoring {
    struct options options;
    struct model_config config;
    struct token_rows rows; /* of --tokens */
    struct backend *backend;
    struct device_notes notes;
    struct model_cache *models;
    struct head_scores scores;
};

/* --- options ------------------------------------------------------------------------------- */

static status_t check_options(const struct options *o, struct error *err)
{
    if (o->format && strcmp(o->format, "json") != 0 && strcmp(o->format, "table") != 0)
        return error_set(err, ST_BAD_INPUT, "-o '%s' is not table or json", o->format);
    if (o->n_sequences > HEAD_SCORES_MAX_SEQUENCES)
        return error_set(err, ST_BAD_INPUT, "-n %zu: at most %d sequences", o->n_sequences,
                         HEAD_SCORES_MAX_SEQUENCES);
    if (o->n_words > (HEAD_SCORES_MAX_TOKENS - 1) / 2)
        return error_set(err, ST_BAD_INPUT, "--words %zu: at most %d", o->n_words,
                         (HEAD_SCORES_MAX_TOKENS - 1) / 2);
    return ST_OK;
}

static status_t read_options(struct options *o, int argc, char **argv, bool *is_help,
                             struct error *err)
{
    const struct argument table[] = {
        {.value = "MODEL", .help = "HF directory", .text = &o->directory, .is_required = true},
        {.name = "--tokens",
         .value = "FILE",
         .help = "sequences of yours, one {\"tokens\": [ids]} a line; else random words twice",
         .text = &o->tokens},
        {.name = "--words",
         .value = "N",
         .help = "random words that are said twice (25)",
         .count = &o->n_words},
        {.name = "-n",
         .value = "N",
         .help = "sequences of random words (20)",
         .count = &o->n_sequences},
        {.name = "--seed", .value = "N", .help = "of the random words (1)", .count = &o->seed},
        {.name = "--bos",
         .value = "WORD",
         .help = "before random words: auto, true or false (auto)",
         .text = &o->bos},
        {.name = "--top",
         .value = "N",
         .help = "heads of each kind in the table (5)",
         .count = &o->n_top},
        {.name = "--compute",
         .value = "NAME",
         .help = "f32 (default), bf16x3, bf16 or tf32",
         .text = &o->compute},
        {.name = "--backend",
         .value = "NAME",
         .help = "cpu (default), cuda, cuda:N, cuda:UUID, auto or emu",
         .text = &o->device.backend},
        {.name = "--device-memory",
         .value = "SIZE",
         .help = "use no more of the device: bytes, or 6GiB, 512MiB",
         .text = &o->device.memory},
        {.name = "-o", .value = "FORMAT", .help = "table (default) or json", .text = &o->format},
    };
    const size_t n = sizeof table / sizeof table[0];
    const status_t status = arguments_parse(table, n, argc, argv, is_help, err);
    if (*is_help) arguments_print_help("head-scores MODEL", SUMMARY, table, n);
    return status == ST_OK && !*is_help ? check_options(o, err) : status;
}

/* --- scores -------------------------------------------------------------------------------- */

static status_t read_rows(struct scoring *s, struct error *err)
{
    const struct options *o = &s->options;
    const size_t n_most = s->config.n_positions < HEAD_SCORES_MAX_TOKENS ? s->config.n_positions
                                                                         : HEAD_SCORES_MAX_TOKENS;
    if (!o->tokens) return ST_OK;
    status_t status = token_rows_read_jsonl(&s->rows, o->tokens, s->config.n_vocab, n_most, err);
    if (status == ST_OK && s->rows.n_rows > HEAD_SCORES_MAX_SEQUENCES)
        status = error_set(err, ST_BAD_INPUT, "%s: %zu sequences, at most %d", o->tokens,
                           s->rows.n_rows, HEAD_SCORES_MAX_SEQUENCES);
    return status;
}

/* What head_scores tasks are told (worker/tasks/head_scores_task.c). */
static json_t *make_spec(const struct scoring *s)
{
    const struct options *o = &s->options;
    const size_t n_ctx = o->tokens ? s->rows.n_ctx : 2 * o->n_words + 1;
    json_t *repeated = o->tokens
                           ? NULL
                           : json_pack("{s:I s:I s:s}", "n_words", (json_int_t)o->n_words, "seed",
                                       (json_int_t)o->seed, "bos", o->bos ? o->bos : "auto");
    return json_pack("{s:s s:s s:s s:I s:o*}", "model", o->directory, "fingerprint", "", "compute",
                     o->compute ? o->compute : "f32", "n_ctx", (json_int_t)(n_ctx < 2 ? 2 : n_ctx),
                     "repeated", repeated);
}

/* The sequences as one unit; ids are the caller's to free. */
static status_t make_unit(const struct scoring *s, struct head_scores_unit *unit, struct error *err)
{
    const struct token_rows *rows = &s->rows;
    size_t n_ids = 0;
    *unit = (struct head_scores_unit){.n = (uint32_t)s->options.n_sequences};
    if (!s->options.tokens) return ST_OK;
    *unit = (struct head_scores_unit){
        .n = (uint32_t)rows->n_rows, .is_listed = true, .lengths = rows->lengths};
    unit->ids = malloc(rows->n_rows * rows->n_ctx * sizeof *unit->ids);
    if (!unit->ids) return error_set(err, ST_NO_MEMORY, "%zu sequences", rows->n_rows);
    for (size_t i = 0; i < rows->n_rows; i++) {
        memcpy(unit->ids + n_ids, rows->tokens + i * rows->n_ctx,
               rows->lengths[i] * sizeof *unit->ids);
        n_ids += rows->lengths[i];
    }
    return ST_OK;
}

static status_t run_unit(struct scoring *s, struct head_scores_runner *runner, struct error *err)
{
    struct head_scores_unit unit;
    struct head_scores_result result = {.n = 0};
    status_t status = make_unit(s, &unit, err);
    if (status == ST_OK) status = head_scores_runner_run(runner, &unit, &result, err);
    free(unit.ids);
    if (status == ST_OK)
        status = head_scores_init(&s->scores, result.n_layers, result.n_heads, err);
    if (status == ST_OK) status = head_scores_add(&s->scores, &result, err);
    head_scores_result_fini(&result);
    return status;
}

static status_t open_device(struct scoring *s, struct error *err)
{
    const status_t status = device_open(&s->backend, &s->options.device, &s->notes, err);
    if (status == ST_OK && s->notes.why_cpu.status != ST_OK)
        (void)fprintf(stderr, "interp-worker head-scores: on the CPU: %s\n", s->notes.why_cpu.text);
    return status;
}

static status_t score(struct scoring *s, struct error *err)
{
    const struct options *o = &s->options;
    struct head_scores_runner *runner = NULL;
    _Atomic uint64_t ticks = 0;
    json_t *spec = NULL;
    status_t status = model_config_read(&s->config, o->directory, err);
    if (status == ST_OK) status = read_rows(s, err);
    if (status == ST_OK) status = open_device(s, err);
    if (status == ST_OK) status = model_cache_create(&s->models, s->backend, err);
    const struct task_environment environment = {s->models, &ticks};
    if (status == ST_OK && !(spec = make_spec(s)))
        status = error_set(err, ST_NO_MEMORY, "head scores");
    if (status == ST_OK) status = head_scores_runner_open(&runner, &environment, spec, err);
    if (status == ST_OK) status = run_unit(s, runner, err);
    head_scores_runner_close(&runner);
    json_decref(spec);
    return status;
}

/* --- output -------------------------------------------------------------------------------- */

static json_t *json_head(const struct head_scores *scores, uint32_t layer, uint32_t head)
{
    json_t *object = json_pack("{s:I s:I}", "layer", (json_int_t)layer, "head", (json_int_t)head);
    for (size_t p = 0; p < HEAD_N_PATTERNS; p++) {
        const struct head_score value = head_scores_of(scores, layer, head, (enum head_pattern)p);
        (void)json_object_set_new(object, head_pattern_name((enum head_pattern)p),
                                  value.is_defined
                                      ? json_pack("{s:f s:f s:f}", "mul", value.mul, "abs",
                                                  value.abs, "attention", value.attention)
                                      : json_null());
    }
    return object;
}

static status_t print_json(const struct head_scores *scores, struct error *err)
{
    json_t *heads = json_array();
    for (uint32_t layer = 0; layer < scores->n_layers; layer++)
        for (uint32_t head = 0; head < scores->n_heads; head++)
            (void)json_array_append_new(heads, json_head(scores, layer, head));
    json_t *root =
        json_pack("{s:I s:o}", "n_sequences", (json_int_t)scores->n_sequences, "heads", heads);
    const int failed = !root || json_dumpf(root, stdout, JSON_INDENT(1) | JSON_SORT_KEYS) != 0;
    json_decref(root);
    (void)putchar('\n');
    return failed || fflush(stdout) != 0 ? error_set(err, ST_IO, "writing JSON") : ST_OK;
}

struct ranked_head {
    uint32_t layer, head;
    struct head_score score;
};

static int compare_ranked(const void *a, const void *b)
{
    const struct ranked_head *x = a, *y = b;
    if (x->score.attention != y->score.attention)
        return x->score.attention < y->score.attention ? 1 : -1;
    if (x->layer != y->layer) return x->layer < y->layer ? -1 : 1;
    return x->head < y->head ? -1 : x->head > y->head;
}

static void print_pattern(const struct scoring *s, enum head_pattern pattern,
                          struct ranked_head *ranked)
{
    const struct head_scores *scores = &s->scores;
    const size_t n = (size_t)scores->n_layers * scores->n_heads;
    const size_t n_top = s->options.n_top < n ? s->options.n_top : n;
    for (size_t i = 0; i < n; i++) {
        const uint32_t layer = (uint32_t)(i / scores->n_heads),
                       head = (uint32_t)(i % scores->n_heads);
        ranked[i] = (struct ranked_head){layer, head, head_scores_of(scores, layer, head, pattern)};
    }
    qsort(ranked, n, sizeof *ranked, compare_ranked);
    if (!ranked[0].score.is_defined) {
        (void)printf("%-16s no sequence has a place for it\n", head_pattern_name(pattern));
        return;
    }
    for (size_t i = 0; i < n_top; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "L%uH%u", ranked[i].layer, ranked[i].head);
        (void)printf("%-16s %-8s %9.4f %9.4f %9.4f\n", i ? "" : head_pattern_name(pattern), name,
                     ranked[i].score.attention, ranked[i].score.mul, ranked[i].score.abs);
    }
}

static status_t print_table(const struct scoring *s, struct error *err)
{
    const size_t n = (size_t)s->scores.n_layers * s->scores.n_heads;
    struct ranked_head *ranked = malloc(n * sizeof *ranked);
    if (!ranked) return error_set(err, ST_NO_MEMORY, "%zu heads", n);
    (void)printf("%-16s %-8s %9s %9s %9s   %llu sequences\n", "kind", "head", "attention", "mul",
                 "abs", (unsigned long long)s->scores.n_sequences);
    for (size_t p = 0; p < HEAD_N_PATTERNS; p++) print_pattern(s, (enum head_pattern)p, ranked);
    free(ranked);
    return ST_OK;
}

int head_scores_command(int argc, char **argv)
{
    bool is_help = false;
    struct error err = {0};
    struct scoring s = {.options = {.n_words = 25, .n_sequences = 20, .seed = 1, .n_top = 5},
                        .notes.place.node = NUMA_UNKNOWN};
    status_t status = read_options(&s.options, argc, argv, &is_help, &err);
    if (status == ST_OK && !is_help) {
        status = score(&s, &err);
        if (status == ST_OK)
            status = s.options.format && strcmp(s.options.format, "json") == 0
                         ? print_json(&s.scores, &err)
                         : print_table(&s, &err);
    }
    head_scores_fini(&s.scores);
    model_cache_destroy(&s.models);
    device_close(&s.backend, &s.notes);
    token_rows_fini(&s.rows);
    if (status != ST_OK) (void)fprintf(stderr, "interp-worker head-scores: %s\n", err.text);
    return status_exit_code(status);
}
