#include "tests/unit/cli_ran.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_WORDS = 20, WORD_SIZE = 256 };

struct cli_ran cli_ran(const struct cli_command *commands, const struct cli_router *router,
                       size_t width, const char *const *words)
{
    static const volatile sig_atomic_t none;
    struct cli_ran ran = {0};
    char storage[MAX_WORDS][WORD_SIZE], *argv[MAX_WORDS + 1];
    int argc = 0;
    (void)snprintf(storage[argc++], WORD_SIZE, "interpctl");
    for (; *words; words++) {
        cr_assert_lt(argc, MAX_WORDS - 2);
        (void)snprintf(storage[argc++], WORD_SIZE, "%s", *words);
    }
    if (router) {
        (void)snprintf(storage[argc++], WORD_SIZE, "--endpoint");
        (void)snprintf(storage[argc++], WORD_SIZE, "%s", router->endpoint);
    }
    for (int i = 0; i < argc; i++) argv[i] = storage[i];
    argv[argc] = NULL;
    struct cli cli = {
        .commands = commands, .clock = clock_system(), .interrupt = &none, .width = width};
    cli.out = open_memstream(&ran.out, &ran.n_out);
    cli.err = open_memstream(&ran.err, &ran.n_err);
    ran.code = cli_run(&cli, argc, argv);
    (void)fclose(cli.out);
    (void)fclose(cli.err);
    return ran;
}

void cli_ran_forget(struct cli_ran *ran)
{
    free(ran->out);
    free(ran->err);
}
