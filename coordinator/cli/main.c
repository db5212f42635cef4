/* interpctl: the user's one command. This file is the table of what it can do. */
#include "coordinator/cli/cli.h"
#include "coordinator/cli/commands.h"

#define F(format) CLI_FORMAT_BIT(CLI_FORMAT_##format)
#define O(option) CLI_BIT(CLI_##option)
enum { LISTS = F(TABLE) | F(WIDE) | F(JSON) | F(JSONL), ONES = F(TABLE) | F(JSON) };

static const struct cli_command commands[] = {
    {"submit", NULL, "FILE", "send a sweep file (- reads standard input)",
     O(DRY_RUN) | O(WAIT) | O(QUIET) | O(CLIENT_KEY) | O(PROVIDERS), ONES, 1, 1, false,
     submit_command},
    {"list", "ls", "", "all sweeps, newest first", O(QUIET), LISTS, 0, 0, false, list_command},
    {"status", "get", "SWEEP", "one sweep: how far, what it found and cost", O(WATCH) | O(INTERVAL),
     ONES | F(JSONL), 1, 1, false, status_command},
    {"results", NULL, "SWEEP", "labels and scores of its features",
     O(STATUS) | O(TYPE) | O(MIN_SCORE) | O(SORT_BY) | O(LIMIT), LISTS | F(CSV), 1, 1, false,
     results_command},
    {"show", NULL, "SWEEP FEATURE", "one feature: label, scores, evidence windows",
     O(TARGET) | O(LIMIT), ONES, 2, 2, false, show_command},
    {"trace", NULL, "SWEEP FEATURE", "its session: every label, and every text that was tried",
     O(TARGET) | O(RAW) | O(CALL), ONES, 2, 2, false, trace_command},
    {"audit-sample", NULL, "SWEEP", "a blinded sheet of its labels for people, and what they said",
     O(SHEET) | O(READ) | O(SHEET_KEY) | O(LIMIT) | O(SEED) | O(TARGET) | O(DECOYS) | O(FORCE),
     ONES, 1, 1, false, audit_sample_command},
    {"compare", NULL, "SWEEP SWEEP",
     "what changed from one sweep to another over the same features", O(LIMIT) | O(SEED),
     ONES | F(CSV), 2, 2, false, compare_command},
    {"export", NULL, "SWEEP", "its labels as files that other tools read", O(FORMAT) | O(DIR), ONES,
     1, 1, false, export_command},
    {"circuit", NULL, "SWEEP", "the circuit that it found, and whether to believe it", O(DOT), ONES,
     1, 1, false, circuit_command},
    {"verify-circuit", NULL, "FILE SWEEP.yaml",
     "judge a circuit of yours: --wait prints the verdict, exit 0 only if it holds",
     O(WAIT) | O(QUIET) | O(CLIENT_KEY) | O(DOT), ONES, 2, 2, false, verify_circuit_command},
    {"cost", NULL, "SWEEP", "its books: calls, tokens and dollars by provider", 0, ONES, 1, 1,
     false, cost_command},
    {"probe", NULL, "[SWEEP] FEATURE TEXT...",
     "what a feature does on texts of yours (- reads a text a line from standard input)",
     O(TARGET) | O(MODEL) | O(HOOK) | O(DICTIONARY) | O(UNITS) | O(NORM_SCALING_FACTOR), ONES, 2,
     CLI_MAX_POSITIONAL, false, probe_command},
    {"steer", NULL, "[SWEEP] FEATURE=VALUE... | FEATURE+=VALUE...",
     "a --prompt continued with features set to a value, or moved by one, beside the model's own",
     O(PROMPT) | O(ABLATE) | O(TOKENS) | O(WHERE) | O(TEMPERATURE) | O(SAMPLES) | O(SEED) |
         O(TARGET) | O(MODEL) | O(HOOK) | O(DICTIONARY) | O(UNITS) | O(NORM_SCALING_FACTOR),
     ONES, 0, 17, false, steer_command},
    {"wait", NULL, "SWEEP", "wait until it has ended; exit 0 only if it finished",
     O(QUIET) | O(INTERVAL), ONES, 1, 1, false, wait_command},
    {"cancel", NULL, "SWEEP", "end it and stop what runs for it", O(QUIET), ONES, 1, 1, false,
     cancel_command},
    {"pause", NULL, "SWEEP", "hand out no more of its work", O(QUIET), ONES, 1, 1, false,
     pause_command},
    {"resume", NULL, "SWEEP", "go on with a paused sweep", O(QUIET) | O(BUDGET), ONES, 1, 1, false,
     resume_command},
    {"retry", NULL, "SWEEP", "another life for its dead tasks, or for a failed sweep", O(QUIET),
     ONES, 1, 1, false, retry_command},
    {"workers", NULL, "", "who computes", 0, LISTS, 0, 0, false, workers_command},
    {"drain", NULL, "WORKER", "let it finish what it runs and leave", O(QUIET), ONES, 1, 1, false,
     drain_command},
    {"dead", NULL, "[SWEEP]", "tasks that were given up, with their errors", 0, LISTS, 0, 1, false,
     dead_command},
    {"captures", NULL, "", "evidence that is kept on disk", 0, LISTS, 0, 0, false,
     captures_command},
    {"top", NULL, "", "everything at a glance, refreshed", O(INTERVAL), ONES, 0, 0, false,
     top_command},
    {"up", NULL, "", "start a cluster on this machine",
     O(CONFIG) | O(WORKERS) | O(GATEWAYS) | O(PROVIDERS) | O(PORT) | O(DURABILITY) | O(LOG) |
         O(BACKEND) | O(FOREGROUND) | O(LISTEN) | O(LISTEN_KEY) | O(ALLOW) | O(CAPTURES_MAX_GIB),
     0, 0, 0, false, up_command},
    {"down", NULL, "", "stop the cluster that `up` started", 0, ONES, 0, 0, false, down_command},
    {"doctor", NULL, "", "check what a cluster on this machine needs", 0, ONES, 0, 0, false,
     doctor_command},
    {"selftest", NULL, "[KIND...]", "are circuits that are known by construction found here?",
     O(WORKERS) | O(QUIET), ONES, 0, 7, false, selftest_command},
    {"keys", NULL, "new|list [NAME]", "make a key for a worker or a person; list those here",
     O(ROLE) | O(DIR) | O(QUIET), ONES, 1, 2, false, keys_command},
    {"version", NULL, "", "the version of this program", 0, ONES, 0, 0, false, version_command},
    {"completion", NULL, "bash", "a script for the shell: source <(interpctl completion bash)", 0,
     0, 1, 1, false, completion_command},
    {"supervise", NULL, "", "what `up` leaves running: restarts what dies",
     O(WORKERS) | O(GATEWAYS) | O(PROVIDERS) | O(PORT) | O(DURABILITY) | O(LOG) | O(BACKEND) |
         O(LISTEN) | O(LISTEN_KEY) | O(ALLOW) | O(CAPTURES_MAX_GIB),
     0, 0, 0, true, supervise_command},
    {.name = NULL}};

int main(int argc, char **argv)
{
    struct cli cli;
    cli_init(&cli, commands);
    return cli_run(&cli, argc, argv);
}
