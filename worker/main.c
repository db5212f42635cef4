/* interp-worker: `interp-worker [--connect ...]` serves a coordinator; the other subcommands look
 * inside models and measure, and need neither coordinator nor Redis. */
#include "worker/activations_command.h"
#include "worker/bench_command.h"
#include "worker/devices_command.h"
#include "worker/head_scores_command.h"
#include "worker/inspect_command.h"
#include "worker/known_model_command.h"
#include "worker/link/serve.h"
#include "worker/paper/paper_command.h"
#include "worker/prompts_command.h"
#include "worker/selftest/selftest_command.h"
#include "worker/tokenize_command.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct subcommand {
    const char *name, *help;
    int (*run)(int argc, char **argv); /* argv[0] is the subcommand's name */
};

static const struct subcommand SUBCOMMANDS[] = {
    {"inspect", "family, shapes, hook points and memory of a model", inspect_command},
    {"devices", "the devices of a backend, a line each", devices_command},
    {"tokenize", "token ids of lines of text, and back", tokenize_command},
    {"activations", "activations of a text at hook points", activations_command},
    {"known-model", "write a model whose circuit is known", known_model_command},
    {"head-scores", "which heads are previous-token, duplicate-token, induction heads",
     head_scores_command},
    {"prompts", "a prompt set for circuits, in token ids", prompts_command},
    {"bench", "speed of forward pass and encode on this machine", bench_command},
    {"paper", "what a device's data sheet allows, kernel by kernel", paper_command},
    {"selftest", "every operation of a backend against the CPU, with its speed", selftest_command},
};

/* "--selftest" and "--bench" stand for subcommands: a GPU's owner knows them by these names. */
static const char *name_of(const char *argument)
{
    if (strcmp(argument, "--selftest") == 0) return "selftest";
    return strcmp(argument, "--bench") == 0 ? "paper" : argument;
}

/* What runs without a subcommand: the serving worker. */
static int (*const SERVE)(int argc, char **argv) = worker_serve_command;

static void print_help(void)
{
    worker_serve_print_help();
    (void)puts("\nWithout a coordinator: interp-worker SUBCOMMAND [--help]");
    for (size_t i = 0; i < sizeof SUBCOMMANDS / sizeof SUBCOMMANDS[0]; i++)
        (void)printf("  %-12s %s\n", SUBCOMMANDS[i].name, SUBCOMMANDS[i].help);
    (void)puts("--selftest stands for selftest, and --bench for paper.");
}

static bool is_help(const char *argument)
{
    return strcmp(argument, "help") == 0 || strcmp(argument, "--help") == 0 ||
           strcmp(argument, "-h") == 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && is_help(argv[1])) {
        print_help();
        return 0;
    }
    const char *name = argc > 1 ? name_of(argv[1]) : "-";
    if (name[0] == '-') return SERVE(argc, argv);
    for (size_t i = 0; i < sizeof SUBCOMMANDS / sizeof SUBCOMMANDS[0]; i++) {
        if (strcmp(name, SUBCOMMANDS[i].name) == 0) return SUBCOMMANDS[i].run(argc - 1, argv + 1);
    }
    (void)fprintf(stderr, "interp-worker: unknown subcommand '%s' (interp-worker --help)\n",
                  argv[1]);
    return 2;
}
