#include "worker/paper/paper_options.h"

#include <math.h>
#include <string.h>

static const char SUMMARY[] =
    "Bytes and operations of every kernel launch of a capture (pass to a hook point, encode), of\n"
    "ablations or of an attribution, the least time that the device's data sheet allows for them,\n"
    "and tokens a second; without --dry-run also what the device at hand does. MODEL-SHAPE: gpt2,\n"
    "gpt2-xl, llama-2-70b, or an HF directory (with --dry-run its config.json is enough; to\n"
    "measure, gpt2 is made up). \"--\" ends a list of values.";

/* Candidates: performance.md 3b, a dictionary of 16,384 features of which 49 fire on a token. */
enum {
    ROWS = 8,
    CAPTURE_CTX = 1024,
    SHORT_CTX = 16,
    LONG_CTX = 128,
    FEATURES = 16384,
    WINDOWS = 3
};
static const double CANDIDATES = 58, FIRED = 49;
/* The 200th unit of a sweep of such a dictionary, with zstd: worker/README.md. */
static const double EVIDENCE = 563e3;

/* What is read as text first. */
struct texts {
    const char *format;
    struct argument_list works;
};

static status_t parse(struct paper_options *o, struct texts *texts, int argc, char **argv,
                      bool *is_help, struct error *err)
{
    const struct argument table[] = {
        {.value = "MODEL-SHAPE", .help = "all three without one", .list = &o->shapes},
        {.name = "--dry-run", .help = "count only; needs no device", .flag = &o->is_dry},
        {.name = "--work",
         .value = "NAME",
         .help = "capture (default), ablate, attribute, edges",
         .list = &texts->works},
        {.name = "--device",
         .value = "NAME",
         .help = "h100 (default of --dry-run), h100-pcie, h200, a100, a100-pcie, b200, "
                 "l40s, rtx-a6000, rtx-4090",
         .text = &o->device},
        {.name = "--hook",
         .value = "NAME",
         .help = "of a capture (the last layer's end)",
         .text = &o->hook},
        {.name = "--compute",
         .value = "NAME",
         .help = "f32, bf16x3, bf16, tf32",
         .list = &o->computes},
        {.name = "--rows", .value = "N", .help = "rows, or prompts (8)", .count = &o->n_rows},
        {.name = "--ctx",
         .value = "N",
         .help = "tokens of a row (capture 1024; others 16, then 128)",
         .count = &o->n_ctx},
        {.name = "--features",
         .value = "N",
         .help = "of a dictionary, counted (16384)",
         .count = &o->n_features},
        {.name = "--topk", .value = "N", .help = "of a topk dictionary, counted", .count = &o->k},
        {.name = "--candidates",
         .value = "X",
         .help = "a token, computed exactly, counted (58)",
         .number = &o->candidates},
        {.name = "--fired",
         .value = "X",
         .help = "a token, of the candidates, counted (49)",
         .number = &o->fired},
        {.name = "--evidence",
         .value = "X",
         .help = "tokens/s of which a host thread makes the bytes of a result "
                 "(563000: 'interp-worker bench --what evidence', worker/README.md)",
         .number = &o->evidence},
        {.name = "--backend",
         .value = "NAME",
         .help = "measured: cpu (default), cuda, cuda:N, auto or emu",
         .text = &o->backend},
        {.name = "--dictionary",
         .value = "DIR",
         .help = "measured with an HF directory: SAELens directory",
         .text = &o->dictionary},
        {.name = "--seconds", .value = "S", .help = "of one window (1)", .number = &o->seconds},
        {.name = "--windows",
         .value = "N",
         .help = "of which the best counts (3)",
         .count = &o->n_windows},
        {.name = "-o", .value = "FORMAT", .help = "text (default) or json", .text = &texts->format},
    };
    const size_t n = sizeof table / sizeof table[0];
    const status_t status = arguments_parse(table, n, argc, argv, is_help, err);
    if (*is_help) arguments_print_help("--bench", SUMMARY, table, n);
    return status;
}

static status_t read_texts(struct paper_options *o, const struct texts *texts, struct error *err)
{
    status_t status = ST_OK;
    o->is_json = texts->format && strcmp(texts->format, "json") == 0;
    if (texts->format && !o->is_json && strcmp(texts->format, "text") != 0)
        return error_set(err, ST_BAD_INPUT, "-o '%s' is not text or json", texts->format);
    if (texts->works.n_items > WORK_N)
        return error_set(err, ST_BAD_INPUT, "--work: %zu values of %d", texts->works.n_items,
                         WORK_N);
    for (size_t i = 0; i < texts->works.n_items && status == ST_OK; i++)
        status = paper_work_parse(texts->works.items[i], &o->works[i], err);
    o->n_works = texts->works.n_items ? texts->works.n_items : 1; /* 0 is a capture */
    return status;
}

/* Work that has neither a hook point of its own nor an encode would be counted as if these were not
 * there. */
static status_t check_of_capture(const struct paper_options *o, struct error *err)
{
    const struct {
        const char *name;
        bool is_given;
    } options[] = {{"--hook", o->hook},
                   {"--dictionary", o->dictionary},
                   {"--features", o->n_features},
                   {"--topk", o->k},
                   {"--candidates", !isnan(o->candidates)},
                   {"--fired", !isnan(o->fired)},
                   {"--evidence", !isnan(o->evidence)}};
    for (size_t i = 0; i < o->n_works; i++)
        if (o->works[i] == WORK_CAPTURE) return ST_OK;
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        if (options[i].is_given)
            return error_set(err, ST_BAD_INPUT,
                             "%s is of a capture, which --work does not name: %s is counted over "
                             "the whole model and encodes nothing",
                             options[i].name, paper_work_name(o->works[0]));
    return ST_OK;
}

/* A count needs no device, and what is measured is a dictionary as it is. */
static status_t check_of_measuring(const struct paper_options *o, struct error *err)
{
    const struct {
        const char *name;
        bool is_given, is_dry; /* of a dry run alone, or of a measurement alone */
    } options[] = {{"--backend", o->backend, false},
                   {"--dictionary", o->dictionary, false},
                   {"--seconds", !isnan(o->seconds), false},
                   {"--windows", o->n_windows, false},
                   {"--features", o->n_features, true},
                   {"--topk", o->k, true},
                   {"--candidates", !isnan(o->candidates), true},
                   {"--fired", !isnan(o->fired), true}};
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        if (!options[i].is_given || options[i].is_dry == o->is_dry) continue;
        return error_set(err, ST_BAD_INPUT, "%s is %s", options[i].name,
                         o->is_dry ? "of a measurement: --dry-run counts and measures nothing"
                                   : "of --dry-run: a measurement takes it from its dictionary "
                                     "(--dictionary)");
    }
    return ST_OK;
}

static status_t check_numbers(struct paper_options *o, struct error *err)
{
    if (isnan(o->candidates)) o->candidates = CANDIDATES;
    if (!(o->candidates >= 0))
        return error_set(err, ST_BAD_INPUT, "--candidates %g is below 0", o->candidates);
    if (isnan(o->evidence)) o->evidence = EVIDENCE;
    if (!(o->evidence > 0))
        return error_set(err, ST_BAD_INPUT, "--evidence %g is not above 0", o->evidence);
    if (isnan(o->fired)) o->fired = fmin(FIRED, o->candidates);
    if (!(o->fired >= 0 && o->fired <= o->candidates))
        return error_set(err, ST_BAD_INPUT, "--fired %g is not 0 .. %g, the candidates", o->fired,
                         o->candidates);
    return ST_OK;
}

static void fill_defaults(struct paper_options *o)
{
    static const char *const SHAPES[] = {"gpt2", "gpt2-xl", "llama-2-70b"};
    static const char *const COMPUTES[] = {"f32", "bf16x3", "bf16"};
    for (size_t i = 0; !o->shapes.n_items && i < 3; i++) o->shapes.items[i] = SHAPES[i];
    if (!o->shapes.n_items) o->shapes.n_items = o->is_dry ? 3 : 1;
    for (size_t i = 0; !o->computes.n_items && i < 3; i++) o->computes.items[i] = COMPUTES[i];
    if (!o->computes.n_items) o->computes.n_items = 3;
    if (!o->n_features) o->n_features = FEATURES;
    if (!o->n_windows) o->n_windows = WINDOWS;
    if (isnan(o->seconds)) o->seconds = 1;
    o->is_most_ctx = !o->n_ctx;
}

status_t paper_options_read(struct paper_options *out, int argc, char **argv, bool *is_help,
                            struct error *err)
{
    struct texts texts = {.format = NULL};
    *out = (struct paper_options){.n_rows = ROWS,
                                  .candidates = NAN, /* not given */
                                  .fired = NAN,      /* not given */
                                  .evidence = NAN,   /* not given */
                                  .seconds = NAN};   /* not given */
    status_t status = parse(out, &texts, argc, argv, is_help, err);
    if (status != ST_OK || *is_help) return status;
    status = read_texts(out, &texts, err);
    if (status == ST_OK) status = check_of_capture(out, err);
    if (status == ST_OK) status = check_of_measuring(out, err);
    if (status == ST_OK) status = check_numbers(out, err);
    if (status == ST_OK) fill_defaults(out);
    return status;
}

struct paper_contexts paper_options_contexts(const struct paper_options *o, enum paper_work work)
{
    if (o->n_ctx) return (struct paper_contexts){{o->n_ctx}, 1};
    if (work == WORK_CAPTURE) return (struct paper_contexts){{CAPTURE_CTX}, 1};
    return (struct paper_contexts){{SHORT_CTX, LONG_CTX}, 2};
}
