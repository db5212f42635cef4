#include "worker/arguments.h"

#include "worker/report_text.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HELP_COLUMN = 27, HELP_SIZE = 256 };

static const char *label(const struct argument *a)
{
    return a->name ? a->name : a->value;
}

static status_t take_count(const struct argument *a, const char *text, struct error *err)
{
    char *end;
    errno = 0;
    const unsigned long long value = strtoull(text, &end, 10);
    if (errno || *end || end == text || text[0] == '-' || !value || value > (1ull << 40))
        return error_set(err, ST_BAD_INPUT, "%s '%s' is not a positive integer", label(a), text);
    *a->count = (size_t)value;
    return ST_OK;
}

static status_t take_number(const struct argument *a, const char *text, struct error *err)
{
    char *end;
    const double value = strtod(text, &end);
    if (*end || end == text || !isfinite(value))
        return error_set(err, ST_BAD_INPUT, "%s '%s' is not a number", label(a), text);
    *a->number = value;
    return ST_OK;
}

static status_t take_value(const struct argument *a, const char *text, struct error *err)
{
    if (a->count) return take_count(a, text, err);
    if (a->number) return take_number(a, text, err);
    if (a->list) {
        if (a->list->n_items == ARGUMENTS_MAX_LIST)
            return error_set(err, ST_TOO_LARGE, "%s: more than %d values", label(a),
                             ARGUMENTS_MAX_LIST);
        a->list->items[a->list->n_items++] = text;
        return ST_OK;
    }
    if (*a->text) return error_set(err, ST_BAD_INPUT, "%s is given twice: %s", label(a), text);
    *a->text = text;
    return ST_OK;
}

/* The table's entry for an option, or its positional one where `name` is NULL. */
static const struct argument *find(const struct argument *table, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (name ? table[i].name && strcmp(name, table[i].name) == 0 : !table[i].name)
            return &table[i];
    }
    return NULL;
}

static bool is_option(const char *text)
{
    return text[0] == '-' && text[1] != '\0';
}

static status_t check_required(const struct argument *table, size_t n, struct error *err)
{
    for (size_t i = 0; i < n; i++) {
        const struct argument *a = &table[i];
        if (!a->is_required) continue;
        if ((a->text && !*a->text) || (a->list && !a->list->n_items))
            return error_set(err, ST_BAD_INPUT, "%s is missing (--help shows the usage)", label(a));
    }
    return ST_OK;
}

/* Values of option argv[at]; *at moves to its last word. */
static status_t take_option(const struct argument *a, int argc, char **argv, int *at,
                            struct error *err)
{
    if (a->flag) {
        *a->flag = true;
        return ST_OK;
    }
    if (*at + 1 >= argc)
        return error_set(err, ST_BAD_INPUT, "%s needs a value (%s)", label(a), a->value);
    status_t status = take_value(a, argv[++*at], err);
    while (status == ST_OK && a->list && *at + 1 < argc && !is_option(argv[*at + 1]))
        status = take_value(a, argv[++*at], err);
    return status;
}

/* Lists that took two words and more at once: the last of one may have been meant for the
 * positional argument. */
struct greedy {
    size_t n;
    struct argument_list *list; /* the last of them, while its last word is the list's last */
};

static void note_list(struct greedy *greedy, const struct argument *a, size_t n_words)
{
    if (!a->list) return;
    if (greedy->list == a->list) greedy->list = NULL; /* repeated: which word is not known */
    if (n_words < 2) return;
    greedy->n++;
    greedy->list = a->list;
}

/* A required positional argument that nothing else can be: "--dictionary D MODEL". */
static status_t give_positional(const struct argument *table, size_t n, const struct greedy *greedy,
                                struct error *err)
{
    const struct argument *a = find(table, n, NULL);
    if (!a || !a->is_required || !a->text || *a->text || greedy->n != 1 || !greedy->list)
        return ST_OK;
    return take_value(a, greedy->list->items[--greedy->list->n_items], err);
}

status_t arguments_parse(const struct argument *table, size_t n_arguments, int argc, char **argv,
                         bool *is_help, struct error *err)
{
    struct greedy greedy = {.n = 0};
    status_t status = ST_OK;
    *is_help = false;
    for (int i = 1; i < argc && status == ST_OK; i++) {
        const int first = i;
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            *is_help = true;
            return ST_OK;
        }
        if (strcmp(argv[i], "--") == 0) continue; /* the end of a list */
        const struct argument *a = find(table, n_arguments, is_option(argv[i]) ? argv[i] : NULL);
        if (!a) return error_set(err, ST_BAD_INPUT, "unknown argument %s", argv[i]);
        status = a->name ? take_option(a, argc, argv, &i, err) : take_value(a, argv[i], err);
        if (a->name) note_list(&greedy, a, (size_t)(i - first));
    }
    if (status == ST_OK) status = give_positional(table, n_arguments, &greedy, err);
    return status == ST_OK ? check_required(table, n_arguments, err) : status;
}

void arguments_print_help(const char *command, const char *summary, const struct argument *table,
                          size_t n_arguments)
{
    (void)printf("usage: interp-worker %s [options]\n", command);
    report_text_wrap(stdout, summary, 0, 0);
    for (size_t i = 0; i < n_arguments; i++) {
        char left[64], right[HELP_SIZE];
        (void)snprintf(left, sizeof left, "%s%s%s%s", table[i].name ? table[i].name : "",
                       table[i].name && table[i].value ? " " : "",
                       table[i].value ? table[i].value : "", table[i].list ? "..." : "");
        (void)snprintf(right, sizeof right, "%s%s", table[i].help,
                       table[i].is_required ? " (required)" : "");
        const int n = printf("  %-*s ", HELP_COLUMN - 3, left);
        report_text_wrap(stdout, right, n > 0 ? (size_t)n : 0, HELP_COLUMN);
    }
}
