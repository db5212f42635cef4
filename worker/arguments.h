/* Command-line options of interp-worker's subcommands, by one table per command: names, where
 * each value goes, help. Any thread; no state. */
#ifndef WORKER_ARGUMENTS_H
#define WORKER_ARGUMENTS_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>

enum { ARGUMENTS_MAX_LIST = 64 };

/* Texts of an option that takes several values ("--hook A B C", or the option repeated). */
struct argument_list {
    const char *items[ARGUMENTS_MAX_LIST]; /* borrowed from argv */
    size_t n_items;
};

/* Exactly one target is set. Without a name it is the positional argument. */
struct argument {
    const char *name;  /* "--hook", "-o", or NULL: positional */
    const char *value; /* what the value is called in the help: "NAME" */
    const char *help;
    bool *flag;
    const char **text;
    size_t *count; /* a positive integer */
    double *number;
    struct argument_list *list;
    bool is_required;
};

/* Fill the targets from argv[1..]. An option with a list takes words up to the next option, or up
 * to "--"; where a required positional argument is missing then and one list alone took several
 * words at once, the last of them is that argument ("--dictionary D MODEL"). Errors: ST_BAD_INPUT
 * names the option. "--help" or "-h" sets *is_help and nothing is checked then. */
MUST_CHECK status_t arguments_parse(const struct argument *table, size_t n_arguments, int argc,
                                    char **argv, bool *is_help, struct error *err);

/* Print "usage: interp-worker COMMAND ...", the summary and every argument to stdout, in 80
 * columns. */
void arguments_print_help(const char *command, const char *summary, const struct argument *table,
                          size_t n_arguments);

#endif
