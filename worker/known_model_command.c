#include "worker/known_model_command.h"

#include "worker/arguments.h"
#include "worker/known/known_model.h"
#include "worker/report_text.h"

#include <stdio.h>

static const char SUMMARY[] =
    "Write a model whose circuit is known: an HF checkpoint, its truth, prompts.";

struct options {
    const char *kind, *rope, *out;
    size_t seed, size, n_prompts;
};

static status_t read_options(struct options *o, int argc, char **argv, bool *is_help,
                             struct error *err)
{
    const struct argument table[] = {
        {.value = "KIND", .help = "one of those below", .text = &o->kind, .is_required = true},
        {.name = "--seed",
         .value = "N",
         .help = "heads, directions, noise and prompts follow it (1)",
         .count = &o->seed},
        {.name = "--size",
         .value = "N",
         .help = "tokens of the vocabulary, 16 to 128 (32)",
         .count = &o->size},
        {.name = "--rope",
         .value = "NAME",
         .help = "Llama kinds: half (as HF has it) or interleaved",
         .text = &o->rope},
        {.name = "--prompts",
         .value = "N",
         .help = "search prompts, and as many held-out ones (128)",
         .count = &o->n_prompts},
        {.name = "-o",
         .value = "DIR",
         .help = "the directory to make",
         .text = &o->out,
         .is_required = true},
    };
    const size_t n = sizeof table / sizeof table[0];
    const status_t status = arguments_parse(table, n, argc, argv, is_help, err);
    if (!*is_help) return status;
    size_t n_kinds;
    const struct known_kind *kinds = known_kinds(&n_kinds);
    arguments_print_help("known-model KIND", SUMMARY, table, n);
    for (size_t i = 0; i < n_kinds; i++) {
        const int column = printf("  %-24s ", kinds[i].name);
        report_text_wrap(stdout, kinds[i].summary, column > 0 ? (size_t)column : 0, 27);
    }
    return status;
}

int known_model_command(int argc, char **argv)
{
    bool is_help = false;
    struct error err = {0};
    struct options o = {.seed = 1, .size = 32, .n_prompts = 128};
    status_t status = read_options(&o, argc, argv, &is_help, &err);
    if (status == ST_OK && !is_help) {
        const struct known_params params = {
            .kind = o.kind, .seed = o.seed, .size = o.size, .rope = o.rope};
        status = known_model_write(&params, o.n_prompts, o.out, &err);
    }
    if (status != ST_OK) (void)fprintf(stderr, "interp-worker known-model: %s\n", err.text);
    return status_exit_code(status);
}
