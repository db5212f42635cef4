#include "worker/tokenize_command.h"

#include "worker/arguments.h"
#include "worker/model/tokenizer.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const char SUMMARY[] = "Token ids of the lines of standard input, and back.";

struct options {
    const char *model;
    bool add_special, is_decode;
};

/* A line without its newline; *has_line is false at the end of the input. */
static status_t read_line(FILE *in, char **line, size_t *capacity, size_t *n_bytes, bool *has_line,
                          struct error *err)
{
    errno = 0;
    const ssize_t n = getline(line, capacity, in);
    *has_line = n >= 0;
    if (n < 0 && errno == ENOMEM) return error_set(err, ST_NO_MEMORY, "input line");
    if (n < 0 && !feof(in)) return error_set(err, ST_IO, "read input: %s", strerror(errno));
    if (n < 0) return ST_OK;
    *n_bytes = (size_t)n;
    if (*n_bytes > 0 && (*line)[*n_bytes - 1] == '\n') --*n_bytes;
    return ST_OK;
}

static status_t end_output(FILE *out, struct error *err)
{
    if (fflush(out) != 0 || ferror(out))
        return error_set(err, ST_IO, "write output: %s", strerror(errno));
    return ST_OK;
}

static void print_ids(const struct token_list *list, FILE *out)
{
    (void)fputc('[', out);
    for (size_t i = 0; i < list->n_ids; i++) (void)fprintf(out, i ? ", %u" : "%u", list->ids[i]);
    (void)fputs("]\n", out);
}

status_t tokenize_lines(const struct tokenizer *tokenizer, bool add_special, FILE *in, FILE *out,
                        struct error *err)
{
    char *line = NULL;
    size_t capacity = 0;
    size_t n_bytes = 0;
    bool has_line = true;
    struct token_list ids = {0};
    status_t status = ST_OK;
    for (size_t number = 1; status == ST_OK; number++) {
        status = read_line(in, &line, &capacity, &n_bytes, &has_line, err);
        if (status != ST_OK || !has_line) break;
        ids.n_ids = 0;
        status = tokenizer_encode(tokenizer, line, n_bytes, add_special, &ids, err);
        if (status == ST_OK)
            print_ids(&ids, out);
        else
            error_wrap(err, "line %zu", number);
        if (ferror(out)) break;
    }
    token_list_fini(&ids);
    free(line);
    return status == ST_OK ? end_output(out, err) : status;
}

static status_t parse_ids(const char *line, size_t n_bytes, struct token_list *ids,
                          struct error *err)
{
    json_error_t where;
    status_t status = ST_OK;
    json_t *array = json_loadb(line, n_bytes, 0, &where);
    if (!json_is_array(array)) status = error_set(err, ST_BAD_INPUT, "not a JSON array of ids");
    for (size_t i = 0; status == ST_OK && i < json_array_size(array); i++) {
        const json_t *value = json_array_get(array, i);
        const json_int_t id = json_is_integer(value) ? json_integer_value(value) : -1;
        const uint32_t token = (uint32_t)id;
        status = id < 0 || id > UINT32_MAX
                     ? error_set(err, ST_BAD_INPUT, "entry %zu is not a token id", i)
                     : token_list_append(ids, &token, 1, err);
    }
    json_decref(array);
    return status;
}

static status_t print_text(const struct tokenizer *tokenizer, const struct token_list *ids,
                           FILE *out, struct error *err)
{
    struct buffer text;
    buffer_init(&text, TOKENIZER_MAX_TEXT_BYTES);
    status_t status = tokenizer_decode(tokenizer, ids->ids, ids->n_ids, &text, err);
    if (status == ST_OK) {
        const char *bytes = text.n_bytes ? (const char *)text.bytes : "";
        json_t *string = json_stringn(bytes, text.n_bytes);
        if (!string || json_dumpf(string, out, JSON_ENCODE_ANY) != 0)
            status = error_set(err, ST_IO, "write the text of %zu tokens", ids->n_ids);
        json_decref(string);
        (void)fputc('\n', out);
    }
    buffer_fini(&text);
    return status;
}

status_t detokenize_lines(const struct tokenizer *tokenizer, FILE *in, FILE *out, struct error *err)
{
    char *line = NULL;
    size_t capacity = 0;
    size_t n_bytes = 0;
    bool has_line = true;
    struct token_list ids = {0};
    status_t status = ST_OK;
    for (size_t number = 1; status == ST_OK; number++) {
        status = read_line(in, &line, &capacity, &n_bytes, &has_line, err);
        if (status != ST_OK || !has_line) break;
        ids.n_ids = 0;
        status = parse_ids(line, n_bytes, &ids, err);
        if (status == ST_OK) status = print_text(tokenizer, &ids, out, err);
        if (status != ST_OK) error_wrap(err, "line %zu", number);
    }
    token_list_fini(&ids);
    free(line);
    return status == ST_OK ? end_output(out, err) : status;
}

static status_t read_options(struct options *options, int argc, char **argv, bool *is_help,
                             struct error *err)
{
    const struct argument table[] = {
        {.value = "MODEL",
         .help = "directory with tokenizer.json, or that file",
         .text = &options->model,
         .is_required = true},
        {.name = "--special",
         .help = "add the special tokens that the model puts around a text",
         .flag = &options->add_special},
        {.name = "--decode",
         .help = "lines are JSON arrays of ids; print each text as a JSON string",
         .flag = &options->is_decode},
    };
    const size_t n = sizeof table / sizeof table[0];
    const status_t status = arguments_parse(table, n, argc, argv, is_help, err);
    if (*is_help) arguments_print_help("tokenize MODEL", SUMMARY, table, n);
    return status;
}

static status_t run_on_stdin(const struct options *options, struct error *err)
{
    struct tokenizer *tokenizer = NULL;
    status_t status = tokenizer_open(&tokenizer, options->model, err);
    if (status == ST_OK && options->is_decode)
        status = detokenize_lines(tokenizer, stdin, stdout, err);
    else if (status == ST_OK)
        status = tokenize_lines(tokenizer, options->add_special, stdin, stdout, err);
    tokenizer_close(&tokenizer);
    return status;
}

int tokenize_command(int argc, char **argv)
{
    bool is_help = false;
    struct error err = {0};
    struct options options = {0};
    status_t status = read_options(&options, argc, argv, &is_help, &err);
    if (status == ST_OK && !is_help) status = run_on_stdin(&options, &err);
    if (status != ST_OK) (void)fprintf(stderr, "interp-worker tokenize: %s\n", err.text);
    return status_exit_code(status);
}
