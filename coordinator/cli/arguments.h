/* Arguments of interpctl: one table says what each option is, and drives parsing, help and
 * shell completion. An option means the same in every command that takes it.
 *
 * Text points into argv or the environment and is not copied. Stateless except for getopt;
 * one thread. */
#ifndef COORDINATOR_CLI_ARGUMENTS_H
#define COORDINATOR_CLI_ARGUMENTS_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum cli_option {
    CLI_HELP,
    CLI_ENDPOINT,
    CLI_STATE,
    CLI_TIMEOUT,
    CLI_OUTPUT,
    CLI_NO_HEADERS,
    CLI_DRY_RUN,
    CLI_WAIT,
    CLI_QUIET,
    CLI_CLIENT_KEY,
    CLI_WATCH,
    CLI_INTERVAL,
    CLI_STATUS,
    CLI_TYPE,
    CLI_MIN_SCORE,
    CLI_SORT_BY,
    CLI_LIMIT,
    CLI_TARGET,
    CLI_WORKERS,
    CLI_GATEWAYS,
    CLI_PROVIDERS,
    CLI_CONFIG,
    CLI_PORT,
    CLI_DURABILITY,
    CLI_LOG,
    CLI_BACKEND,
    CLI_FOREGROUND,
    CLI_BUDGET,
    CLI_MODEL,
    CLI_HOOK,
    CLI_DICTIONARY,
    CLI_UNITS,
    CLI_KEY,
    CLI_SERVER_KEY,
    CLI_ROLE,
    CLI_DIR,
    CLI_LISTEN,
    CLI_LISTEN_KEY,
    CLI_ALLOW,
    CLI_SHEET,
    CLI_READ,
    CLI_SHEET_KEY,
    CLI_SEED,
    CLI_DECOYS,
    CLI_FORCE,
    CLI_CAPTURES_MAX_GIB,
    CLI_NORM_SCALING_FACTOR,
    CLI_PROMPT,
    CLI_TOKENS,
    CLI_ABLATE,
    CLI_TEMPERATURE,
    CLI_SAMPLES,
    CLI_WHERE,
    CLI_DOT,
    CLI_RAW,
    CLI_CALL,
    CLI_FORMAT,
    CLI_N_OPTIONS
};
#define CLI_BIT(option) (UINT64_C(1) << (option))
#define CLI_COMMON_OPTIONS                                                                         \
    (CLI_BIT(CLI_HELP) | CLI_BIT(CLI_ENDPOINT) | CLI_BIT(CLI_STATE) | CLI_BIT(CLI_TIMEOUT) |       \
     CLI_BIT(CLI_KEY) | CLI_BIT(CLI_SERVER_KEY))

enum cli_format {
    CLI_FORMAT_TABLE,
    CLI_FORMAT_WIDE,
    CLI_FORMAT_JSON,
    CLI_FORMAT_JSONL,
    CLI_FORMAT_CSV,
    CLI_N_FORMATS
};
#define CLI_FORMAT_BIT(format) (1u << (format))

enum { CLI_MAX_POSITIONAL = 66 }; /* probe: SWEEP FEATURE and 64 texts */
enum { CLI_MAX_LIST = 16 };

/* Of an option that may be given several times. */
struct cli_text_list {
    const char *items[CLI_MAX_LIST];
    size_t n;
};

struct cli_arguments {
    bool help, no_headers, dry_run, wait, quiet, watch, foreground, force, raw, dot;
    const char *endpoint, *state, *output, *client_key, *status, *type, *sort_by, *providers;
    const char *config, *durability, *log, *backend, *model, *hook, *dictionary, *units;
    const char *key, *server_key, *role, *dir, *listen, *listen_key, *allow;
    const char *sheet, *sheet_key, *call, *export_format;
    const char *prompt, *where;
    struct cli_text_list read, ablate;
    double timeout_s, interval_s, min_score, budget;              /* NAN: not given */
    double captures_max_gib, norm_scaling_factor, temperature;    /* NAN: not given */
    int64_t limit, target, workers, gateways, port, seed, decoys; /* -1: not given */
    int64_t tokens, samples;                                      /* -1: not given */
    enum cli_format format;                                       /* of `output` */
    const char *positional[CLI_MAX_POSITIONAL];
    size_t n_positional;
};

/* What a command accepts. */
struct cli_accepts {
    uint64_t options;
    unsigned formats;
    size_t n_min, n_max;
    const char *positional; /* for the message: "SWEEP FEATURE" */
};

/* Parse argv[1..argc) (argv[0] is skipped). Errors: ST_BAD_INPUT, naming the argument and the
 * nearest valid option. With --help given, nothing else is required. */
MUST_CHECK status_t cli_arguments_parse(struct cli_arguments *out,
                                        const struct cli_accepts *accepts, int argc, char **argv,
                                        struct error *err);

/* How many words of argv from argv[1] on are options that every command takes, with their values:
 * `interpctl --state DIR list`. --help is none of them: without a command it is one. */
size_t cli_arguments_leading(int argc, char **argv);

/* What each option in `options` is, for usage texts of so many columns. */
void cli_arguments_help(FILE *out, uint64_t options, unsigned formats, size_t width);
/* "--wait" ...; NULL-terminated names of the options in the mask go to names[CLI_N_OPTIONS + 1],
 * without dashes. Returns how many. */
size_t cli_arguments_names(uint64_t options, const char *names[CLI_N_OPTIONS + 1]);
const char *cli_format_name(enum cli_format format);

/* A whole decimal number in [low, high]. Errors: ST_BAD_INPUT naming `what`. */
MUST_CHECK status_t cli_parse_count(const char *text, const char *what, int64_t low, int64_t high,
                                    int64_t *out, struct error *err);
/* Seconds: "30", "0.5", "30s", "5m", "2h". */
MUST_CHECK status_t cli_parse_seconds(const char *text, const char *what, double *out,
                                      struct error *err);

#endif
