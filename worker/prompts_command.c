#include "worker/prompts_command.h"

#include "common/file.h"
#include "worker/arguments.h"
#include "worker/model/model_config.h"
#include "worker/prompts/prompt_generator.h"
#include "worker/prompts/user_prompts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char SUMMARY[] = "A prompt set in token ids, by a generator or from a file of texts.";

struct options {
    const char *model, *generator, *file, *bos, *corruption;
    size_t n_prompts, n_tokens, seed;
};

static status_t read_options(struct options *o, int argc, char **argv, bool *is_help,
                             struct error *err)
{
    const struct argument table[] = {
        {.name = "--model",
         .value = "DIR",
         .help = "an HF directory",
         .text = &o->model,
         .is_required = true},
        {.name = "--generator",
         .value = "NAME",
         .help = "induction, ioi, greater_than, gendered_pronoun, subject_verb",
         .text = &o->generator},
        {.name = "--file",
         .value = "FILE",
         .help = "JSON lines of your own instead (worker/prompts/README.md)",
         .text = &o->file},
        {.name = "-n", .value = "N", .help = "prompts (100)", .count = &o->n_prompts},
        {.name = "--tokens",
         .value = "N",
         .help = "induction: tokens of a prompt (24)",
         .count = &o->n_tokens},
        {.name = "--corruption",
         .value = "NAME",
         .help = "ioi: s2_io_flip or abc (s2_io_flip)",
         .text = &o->corruption},
        {.name = "--bos", .value = "WORD", .help = "auto, true or false (auto)", .text = &o->bos},
        {.name = "--seed", .value = "N", .help = "equal seeds, equal bytes (1)", .count = &o->seed},
    };
    const size_t n = sizeof table / sizeof table[0];
    const status_t status = arguments_parse(table, n, argc, argv, is_help, err);
    if (*is_help) arguments_print_help("prompts", SUMMARY, table, n);
    if (status != ST_OK || *is_help || !o->generator != !o->file) return status;
    return error_set(err, ST_BAD_INPUT, "either --generator or --file is needed");
}

static status_t generate(const struct options *o, const struct prompt_tokenizer *tokenizer,
                         struct buffer *out, struct error *err)
{
    struct prompt_request request = {.corruption = o->corruption,
                                     .n_prompts = o->n_prompts,
                                     .n_tokens = o->n_tokens,
                                     .seed = o->seed};
    const status_t status = prompt_generator_parse(o->generator, &request.generator, err);
    return status == ST_OK ? prompt_generator_run(&request, tokenizer, out, err) : status;
}

static status_t read_file(const struct options *o, const struct prompt_tokenizer *tokenizer,
                          struct buffer *out, struct error *err)
{
    char *text = NULL;
    size_t n_bytes = 0;
    status_t status = file_read(o->file, PROMPTS_MAX_FILE_BYTES, &text, &n_bytes, err);
    if (status == ST_OK)
        status = user_prompts_tokenize(tokenizer, o->file, text, n_bytes, out, err);
    free(text);
    return status;
}

static status_t run(const struct options *o, struct error *err)
{
    struct model_config config;
    struct tokenizer *opened = NULL;
    struct buffer out;
    buffer_init(&out, PROMPTS_MAX_RESULT_BYTES);
    status_t status = model_config_read(&config, o->model, err);
    if (status == ST_OK) status = tokenizer_open(&opened, o->model, err);
    struct prompt_tokenizer tokenizer = {.tokenizer = opened};
    if (status == ST_OK) {
        tokenizer.n_vocab = config.n_vocab;
        tokenizer.n_positions = config.n_positions;
        status = bos_choose(&tokenizer.bos, opened, o->bos ? o->bos : "auto", o->model, err);
    }
    if (status == ST_OK)
        status = o->file ? read_file(o, &tokenizer, &out, err) : generate(o, &tokenizer, &out, err);
    if (status == ST_OK &&
        (fwrite(out.bytes, 1, out.n_bytes, stdout) != out.n_bytes || fflush(stdout) != 0))
        status = error_set(err, ST_IO, "write output: %s", strerror(errno));
    tokenizer_close(&opened);
    buffer_fini(&out);
    return status;
}

int prompts_command(int argc, char **argv)
{
    bool is_help = false;
    struct error err = {0};
    struct options o = {.n_prompts = 100, .n_tokens = 24, .seed = 1};
    status_t status = read_options(&o, argc, argv, &is_help, &err);
    if (status == ST_OK && !is_help) status = run(&o, &err);
    if (status != ST_OK) (void)fprintf(stderr, "interp-worker prompts: %s\n", err.text);
    return status_exit_code(status);
}
