#define _GNU_SOURCE /* getopt_long */
#include "coordinator/cli/arguments.h"

#include "coordinator/cli/help_text.h"

#include "common/config.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum kind { FLAG, TEXT, TEXTS, COUNT, NUMBER, SECONDS };

struct definition {
    const char *name;
    char letter; /* 0: none */
    enum kind kind;
    size_t offset;
    const char *argument; /* NULL for flags */
    const char *help;
    const char *choices; /* "a|b|c" or NULL */
    int64_t low, high;   /* counts */
};
#define AT(member) offsetof(struct cli_arguments, member)

static const struct definition definitions[CLI_N_OPTIONS] = {
    [CLI_HELP] = {.name = "help", .letter = 'h', .offset = AT(help), .help = "this text"},
    [CLI_ENDPOINT] = {"endpoint", 0, TEXT, AT(endpoint), "ADDRESS",
                      "the coordinator: ipc:///path or tcp://host:port (INTERP_ENDPOINT; else "
                      "the local cluster)",
                      NULL, 0, 0},
    [CLI_STATE] = {"state", 0, TEXT, AT(state), "DIR",
                   "state directory of the local cluster (INTERP_STATE; else "
                   "~/.local/state/interp)",
                   NULL, 0, 0},
    [CLI_KEY] = {"key", 0, TEXT, AT(key), "FILE",
                 "your secret key, for a coordinator on tcp with keys (INTERP_KEY)", NULL, 0, 0},
    [CLI_SERVER_KEY] = {"server-key", 0, TEXT, AT(server_key), "FILE",
                        "that coordinator's public key (INTERP_SERVER_KEY)", NULL, 0, 0},
    [CLI_ROLE] = {"role", 0, TEXT, AT(role), "ROLE",
                  "what the key may: work, ask for everything, or only look (default: none, for a "
                  "coordinator's own key)",
                  "worker|operator|viewer", 0, 0},
    [CLI_DIR] = {"dir", 0, TEXT, AT(dir), "DIR", "where the files are (default: here)", NULL, 0, 0},
    [CLI_LISTEN] = {"listen", 0, TEXT, AT(listen), "ADDRESS",
                    "where other machines connect too: tcp://10.0.0.5:7600, with the next two",
                    NULL, 0, 0},
    [CLI_LISTEN_KEY] = {"listen-key", 0, TEXT, AT(listen_key), "FILE",
                        "the coordinator's secret key there", NULL, 0, 0},
    [CLI_ALLOW] = {"allow", 0, TEXT, AT(allow), "DIR",
                   "the public keys (.pub, each with a role) that may connect there", NULL, 0, 0},
    [CLI_TIMEOUT] = {"timeout", 0, SECONDS, AT(timeout_s), "S",
                     "seconds (or 5m, 2h): for an answer (10); of wait, up, probe, steer, --wait: "
                     "for the whole",
                     NULL, 0, 0},
    [CLI_OUTPUT] = {"output", 'o', TEXT, AT(output), "FORMAT", "output format", NULL, 0, 0},
    [CLI_NO_HEADERS] = {.name = "no-headers",
                        .offset = AT(no_headers),
                        .help = "leave out the heading of a table"},
    [CLI_DRY_RUN] = {.name = "dry-run",
                     .offset = AT(dry_run),
                     .help = "check the file, print plan and estimate, send nothing"},
    [CLI_WAIT] = {.name = "wait",
                  .letter = 'W',
                  .offset = AT(wait),
                  .help = "wait until the sweep has ended; exit 0 only if it finished"},
    [CLI_QUIET] = {.name = "quiet",
                   .letter = 'q',
                   .offset = AT(quiet),
                   .help = "print ids only, no progress"},
    [CLI_CLIENT_KEY] = {"client-key", 0, TEXT, AT(client_key), "KEY",
                        "the same key never submits twice (default: random)", NULL, 0, 0},
    [CLI_WATCH] = {.name = "watch",
                   .letter = 'w',
                   .offset = AT(watch),
                   .help = "show it again and again until the sweep has ended"},
    [CLI_INTERVAL] = {"interval", 'i', SECONDS, AT(interval_s), "S",
                      "seconds between two looks (1)", NULL, 0, 0},
    [CLI_STATUS] = {"status", 0, TEXT, AT(status), "LIST",
                    "only features with these statuses: open,token,dense,position,insufficient,"
                    "dead",
                    NULL, 0, 0},
    [CLI_TYPE] = {"type", 0, TEXT, AT(type), "LIST",
                  "only features of these types: concrete,syntactic,abstract,polysemantic", NULL, 0,
                  0},
    [CLI_MIN_SCORE] = {"min-score", 0, NUMBER, AT(min_score), "X",
                       "only labels whose score is at least X", NULL, 0, 0},
    [CLI_BUDGET] = {"budget", 0, NUMBER, AT(budget), "DOLLARS",
                    "go on with this budget, what is spent included", NULL, 0, 0},
    [CLI_SORT_BY] = {"sort-by", 0, TEXT, AT(sort_by), "KEY", "order of the rows", "feature|score",
                     0, 0},
    [CLI_LIMIT] = {"limit", 'n', COUNT, AT(limit), "N",
                   "at most N rows; of audit-sample: labels to rate (50)", NULL, 0,
                   INT64_C(1) << 40},
    [CLI_TARGET] = {"target", 0, COUNT, AT(target), "N",
                    "which target of the sweep, counted from 0", NULL, 0, 65535},
    [CLI_WORKERS] = {"workers", 0, COUNT, AT(workers), "N",
                     "workers (default: one per core, or per GPU with --backend cuda)", NULL, 0,
                     256},
    [CLI_GATEWAYS] = {"gateways", 0, COUNT, AT(gateways), "N",
                      "gateways (default: 1 with --providers, else 0)", NULL, 0, 64},
    [CLI_PROVIDERS] = {"providers", 0, TEXT, AT(providers), "FILE",
                       "LLM providers (default: providers.yaml in the state directory, if any)",
                       NULL, 0, 0},
    [CLI_CONFIG] = {"config", 0, TEXT, AT(config), "FILE",
                    "cluster.yaml; options win over it (default: the one in the state directory, "
                    "if any)",
                    NULL, 0, 0},
    [CLI_PORT] = {"port", 0, COUNT, AT(port), "PORT",
                  "port of the page on 127.0.0.1 (default 0: one that is free)", NULL, 0, 65535},
    [CLI_DURABILITY] = {"durability", 0, TEXT, AT(durability), "MODE",
                        "when Redis' log reaches the disk (everysec)", "memory|everysec|fsync", 0,
                        0},
    [CLI_LOG] = {"log", 0, TEXT, AT(log), "LEVEL", "what the processes log (info)",
                 "debug|info|warn|error", 0, 0},
    [CLI_BACKEND] = {"backend", 0, TEXT, AT(backend), "NAME",
                     "what workers compute on: cpu, cuda (a worker a GPU), auto (GPUs if there are "
                     "any), emu; default: INTERP_BACKEND, or cpu",
                     NULL, 0, 0},
    [CLI_MODEL] = {"model", 0, TEXT, AT(model), "DIR",
                   "a model's directory in place of a sweep (with --hook)", NULL, 0, 0},
    [CLI_HOOK] = {"hook", 0, TEXT, AT(hook), "NAME",
                  "hook point of --model, such as blocks.6.hook_resid_pre", NULL, 0, 0},
    [CLI_DICTIONARY] = {"dictionary", 0, TEXT, AT(dictionary), "DIR",
                        "the dictionary whose feature it is", NULL, 0, 0},
    [CLI_UNITS] = {"units", 0, TEXT, AT(units), "KIND",
                   "units of the hook point in place of a dictionary's features",
                   "neurons|residual|heads", 0, 0},
    [CLI_FOREGROUND] = {.name = "foreground",
                        .offset = AT(foreground),
                        .help = "stay; Ctrl-C stops the cluster"},
    [CLI_SHEET] = {"sheet", 0, TEXT, AT(sheet), "FILE",
                   "write a blinded sheet for raters, and its key beside it", NULL, 0, 0},
    [CLI_READ] = {"read", 0, TEXTS, AT(read), "FILE",
                  "read a filled-in sheet; again for each further rater", NULL, 0, 0},
    [CLI_SHEET_KEY] =
        {"sheet-key", 0, TEXT, AT(sheet_key), "FILE",
         "the key of the sheet (default: FILE.key.json for --sheet or --read FILE.csv)", NULL, 0,
         0},
    [CLI_SEED] = {"seed", 0, COUNT, AT(seed), "N", "of the draw (0)", NULL, 0, INT64_MAX},
    [CLI_DECOYS] = {"decoys", 0, COUNT, AT(decoys), "N",
                    "labels of other features to slip in (one for every four labels)", NULL, 0,
                    100000},
    [CLI_FORCE] = {.name = "force",
                   .offset = AT(force),
                   .help = "overwrite files that are there already"},
    [CLI_CAPTURES_MAX_GIB] = {"captures-max-gib", 0, NUMBER, AT(captures_max_gib), "N",
                              "evidence kept on disk; what no running sweep uses goes first "
                              "(0: no limit)",
                              NULL, 0, 0},
    [CLI_RAW] = {.name = "raw",
                 .offset = AT(raw),
                 .help = "every prompt and reply of the session, word for word"},
    [CLI_CALL] = {"call", 0, TEXT, AT(call), "ID",
                  "one call of the session, word for word (the first digits will do)", NULL, 0, 0},
    [CLI_FORMAT] = {"format", 0, TEXT, AT(export_format), "FORMAT", "whose files are written",
                    "jsonl|delphi|neuronpedia", 0, 0},
    [CLI_NORM_SCALING_FACTOR] = {"norm-scaling-factor", 0, NUMBER, AT(norm_scaling_factor), "X",
                                 "of a --dictionary that has it not folded in, as in a sweep file",
                                 NULL, 0, 0},
    [CLI_PROMPT] = {"prompt", 0, TEXT, AT(prompt), "TEXT", "what the model is to continue", NULL, 0,
                    0},
    [CLI_TOKENS] = {"tokens", 0, COUNT, AT(tokens), "N", "length of a continuation (32)", NULL, 0,
                    256},
    [CLI_ABLATE] = {"ablate", 0, TEXTS, AT(ablate), "FEATURE",
                    "set its activation to 0; again for each further one", NULL, 0, 0},
    [CLI_TEMPERATURE] = {"temperature", 0, NUMBER, AT(temperature), "T",
                         "draw tokens at this temperature (0: always the likeliest)", NULL, 0, 0},
    [CLI_SAMPLES] = {"samples", 0, COUNT, AT(samples), "N",
                     "continuations of each kind, at a --temperature (1)", NULL, 1, 16},
    [CLI_WHERE] = {"where", 0, TEXT, AT(where), "WHICH",
                   "tokens that are changed: of prompt and continuation (all), the prompt's last, "
                   "or that and the new ones",
                   "all|last|new", 0, 0},
    [CLI_DOT] = {.name = "dot", .offset = AT(dot), .help = "the drawing, for Graphviz"},
};

static const char *const format_names[CLI_N_FORMATS] = {"table", "wide", "json", "jsonl", "csv"};

const char *cli_format_name(enum cli_format format)
{
    return (unsigned)format < CLI_N_FORMATS ? format_names[format] : "?";
}

status_t cli_parse_count(const char *text, const char *what, int64_t low, int64_t high,
                         int64_t *out, struct error *err)
{
    char *end;
    errno = 0;
    const long long value = strtoll(text, &end, 10);
    if (end == text || *end || errno || value < low || value > high || text[0] == ' ')
        return error_set(err, ST_BAD_INPUT, "%s \"%s\": a number from %lld to %lld", what, text,
                         (long long)low, (long long)high);
    *out = value;
    return ST_OK;
}

static status_t parse_number(const char *text, const char *what, double *out, struct error *err)
{
    char *end;
    const double value = strtod(text, &end);
    if (end == text || *end || !isfinite(value))
        return error_set(err, ST_BAD_INPUT, "%s \"%s\": a number", what, text);
    *out = value;
    return ST_OK;
}

status_t cli_parse_seconds(const char *text, const char *what, double *out, struct error *err)
{
    char *end;
    const double value = strtod(text, &end);
    double unit = 1;
    if (end != text && (*end == 's' || *end == 'm' || *end == 'h') && !end[1]) {
        unit = *end == 'm' ? 60 : *end == 'h' ? 3600 : 1;
        end++;
    }
    if (end == text || *end || !(value > 0) || value * unit > 1e8)
        return error_set(err, ST_BAD_INPUT, "%s \"%s\": seconds above 0, such as 30, 0.5, 5m or 2h",
                         what, text);
    *out = value * unit;
    return ST_OK;
}

/* Is `word` one of "a|b|c"? */
static bool is_choice(const char *choices, const char *word)
{
    const size_t n = strlen(word);
    for (const char *at = choices; n && at; at = strchr(at, '|'), at = at ? at + 1 : NULL)
        if (strncmp(at, word, n) == 0 && (at[n] == '|' || !at[n])) return true;
    return false;
}

static status_t append(struct cli_text_list *list, const char *text, const char *what,
                       struct error *err)
{
    if (list->n == CLI_MAX_LIST)
        return error_set(err, ST_BAD_INPUT, "%s: more than %d times", what, CLI_MAX_LIST);
    list->items[list->n++] = text;
    return ST_OK;
}

static status_t store(const struct definition *definition, const char *text,
                      struct cli_arguments *out, struct error *err)
{
    char *member = (char *)out + definition->offset;
    char what[40];
    (void)snprintf(what, sizeof what, "--%s", definition->name);
    switch (definition->kind) {
    case FLAG: memcpy(member, &(bool){true}, sizeof(bool)); return ST_OK;
    case TEXT:
        if (!*text) return error_set(err, ST_BAD_INPUT, "%s: empty", what);
        if (definition->choices && !is_choice(definition->choices, text))
            return error_set(err, ST_BAD_INPUT, "%s \"%s\": one of %s", what, text,
                             definition->choices);
        memcpy(member, &text, sizeof text);
        return ST_OK;
    case TEXTS:
        if (!*text) return error_set(err, ST_BAD_INPUT, "%s: empty", what);
        return append((struct cli_text_list *)(void *)member, text, what, err);
    case COUNT:
        return cli_parse_count(text, what, definition->low, definition->high,
                               (int64_t *)(void *)member, err);
    case NUMBER: return parse_number(text, what, (double *)(void *)member, err);
    case SECONDS: return cli_parse_seconds(text, what, (double *)(void *)member, err);
    }
    return error_set(err, ST_INTERNAL, "%s: no such kind of option", what);
}

static status_t parse_format(const struct cli_accepts *accepts, struct cli_arguments *out,
                             struct error *err)
{
    out->format = CLI_FORMAT_TABLE;
    while (accepts->formats && !(accepts->formats & CLI_FORMAT_BIT(out->format))) out->format++;
    if (!out->output) return ST_OK;
    char allowed[64] = "";
    size_t used = 0;
    for (enum cli_format i = 0; i < CLI_N_FORMATS; i++) {
        if (!(accepts->formats & CLI_FORMAT_BIT(i))) continue;
        if (strcmp(out->output, format_names[i]) == 0) {
            out->format = i;
            return ST_OK;
        }
        used += (size_t)snprintf(allowed + used, sizeof allowed - used, "%s%s", used ? ", " : "",
                                 format_names[i]);
    }
    return error_set(err, ST_BAD_INPUT, "-o \"%s\": one of %s", out->output, allowed);
}

/* getopt's arrays for the options in `mask`. val = option number + 1000, so that letters differ. */
enum { OPTION_BASE = 1000, OPTION_COLUMN = 25 };
static void fill_getopt(uint64_t mask, struct option longs[CLI_N_OPTIONS + 1],
                        char shorts[2 * CLI_N_OPTIONS + 2])
{
    size_t n_long = 0, n_short = 0;
    shorts[n_short++] = ':'; /* a missing argument is told from an unknown option */
    for (int i = 0; i < CLI_N_OPTIONS; i++) {
        if (!(mask & CLI_BIT(i))) continue;
        const struct definition *definition = &definitions[i];
        longs[n_long++] = (struct option){
            definition->name, definition->kind == FLAG ? no_argument : required_argument, NULL,
            OPTION_BASE + i};
        if (!definition->letter) continue;
        shorts[n_short++] = definition->letter;
        if (definition->kind != FLAG) shorts[n_short++] = ':';
    }
    longs[n_long] = (struct option){0};
    shorts[n_short] = '\0';
}

size_t cli_arguments_names(uint64_t options, const char *names[CLI_N_OPTIONS + 1])
{
    size_t n = 0;
    for (int i = 0; i < CLI_N_OPTIONS; i++)
        if (options & CLI_BIT(i)) names[n++] = definitions[i].name;
    names[n] = NULL;
    return n;
}

size_t cli_arguments_leading(int argc, char **argv)
{
    const char *names[CLI_N_OPTIONS + 1];
    int at = 1;
    (void)cli_arguments_names(CLI_COMMON_OPTIONS & ~CLI_BIT(CLI_HELP), names);
    while (at < argc && strncmp(argv[at], "--", 2) == 0) {
        const char *word = argv[at] + 2;
        const size_t n = strcspn(word, "=");
        size_t i = 0;
        while (names[i] && (strlen(names[i]) != n || memcmp(names[i], word, n) != 0)) i++;
        if (!names[i] || (!word[n] && at + 1 == argc)) break;
        at += word[n] ? 1 : 2;
    }
    return argc > 1 ? (size_t)at - 1 : 0;
}

static status_t unknown_option(uint64_t mask, const char *word, struct error *err)
{
    const char *names[CLI_N_OPTIONS + 1];
    (void)cli_arguments_names(mask, names);
    char bare[64];
    (void)snprintf(bare, sizeof bare, "%s", word + strspn(word, "-"));
    bare[strcspn(bare, "=")] = '\0';
    const char *near = config_nearest(bare, names);
    return near ? error_set(err, ST_BAD_INPUT, "unknown option %s: did you mean --%s?", word, near)
                : error_set(err, ST_BAD_INPUT, "unknown option %s", word);
}

static int find_letter(uint64_t mask, int letter)
{
    for (int i = 0; i < CLI_N_OPTIONS; i++)
        if ((mask & CLI_BIT(i)) && definitions[i].letter == letter) return i;
    return -1;
}

static status_t take_positional(const struct cli_accepts *accepts, int argc, char **argv,
                                struct cli_arguments *out, struct error *err)
{
    const size_t n_max = accepts->n_max < CLI_MAX_POSITIONAL ? accepts->n_max : CLI_MAX_POSITIONAL;
    for (int i = optind; i < argc; i++) {
        if (out->n_positional == n_max)
            return error_set(err, ST_BAD_INPUT, "unexpected argument \"%s\"", argv[i]);
        if (!argv[i][0]) return error_set(err, ST_BAD_INPUT, "an argument is empty");
        out->positional[out->n_positional++] = argv[i];
    }
    if (out->n_positional < accepts->n_min && !out->help)
        return error_set(err, ST_BAD_INPUT, "an argument is missing: %s", accepts->positional);
    return ST_OK;
}

static status_t take_options(uint64_t mask, int argc, char **argv, struct cli_arguments *out,
                             struct error *err)
{
    struct option longs[CLI_N_OPTIONS + 1];
    char shorts[2 * CLI_N_OPTIONS + 2];
    fill_getopt(mask, longs, shorts);
    opterr = 0;
    optind = 0; /* glibc: start again, also after an argv of another command */
    int got;
    while ((got = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        if (got == ':') return error_set(err, ST_BAD_INPUT, "%s needs a value", argv[optind - 1]);
        if (got == '?') {
            const char letter[3] = {'-', (char)optopt, 0};
            const bool is_short = optopt && optopt < OPTION_BASE;
            if (optopt >= OPTION_BASE)
                return error_set(err, ST_BAD_INPUT, "--%s takes no value",
                                 definitions[optopt - OPTION_BASE].name);
            return unknown_option(mask, is_short ? letter : argv[optind - 1], err);
        }
        const int index = got >= OPTION_BASE ? got - OPTION_BASE : find_letter(mask, got);
        const status_t status = store(&definitions[index], optarg, out, err);
        if (status != ST_OK) return status;
    }
    return ST_OK;
}

status_t cli_arguments_parse(struct cli_arguments *out, const struct cli_accepts *accepts, int argc,
                             char **argv, struct error *err)
{
    *out = (struct cli_arguments){.timeout_s = NAN,
                                  .interval_s = NAN,
                                  .min_score = NAN,
                                  .budget = NAN,
                                  .captures_max_gib = NAN,
                                  .norm_scaling_factor = NAN,
                                  .temperature = NAN,
                                  .limit = -1,
                                  .target = -1,
                                  .workers = -1,
                                  .gateways = -1,
                                  .port = -1,
                                  .seed = -1,
                                  .decoys = -1,
                                  .tokens = -1,
                                  .samples = -1};
    status_t status = take_options(accepts->options, argc, argv, out, err);
    if (status == ST_OK) status = take_positional(accepts, argc, argv, out, err);
    if (status == ST_OK) status = parse_format(accepts, out, err);
    return status;
}

static void format_choices(unsigned formats, char *out, size_t cap)
{
    size_t used = 0;
    out[0] = '\0';
    for (enum cli_format i = 0; i < CLI_N_FORMATS; i++)
        if (formats & CLI_FORMAT_BIT(i))
            used += (size_t)snprintf(out + used, cap - used, "%s%s", used ? "|" : ": ",
                                     format_names[i]);
}

void cli_arguments_help(FILE *out, uint64_t options, unsigned formats, size_t width)
{
    for (int i = 0; i < CLI_N_OPTIONS; i++) {
        if (!(options & CLI_BIT(i))) continue;
        const struct definition *definition = &definitions[i];
        char name[40], choices[128] = "", text[512];
        (void)snprintf(name, sizeof name, "%c%c%s--%s%s%s", definition->letter ? '-' : ' ',
                       definition->letter ? definition->letter : ' ',
                       definition->letter ? ", " : "  ", definition->name,
                       definition->argument ? " " : "",
                       definition->argument ? definition->argument : "");
        if (i == CLI_OUTPUT) format_choices(formats, choices, sizeof choices);
        if (definition->choices)
            (void)snprintf(choices, sizeof choices, ": %s", definition->choices);
        (void)snprintf(text, sizeof text, "%s%s", definition->help, choices);
        help_text_row(out, name, text, OPTION_COLUMN, width);
    }
}
