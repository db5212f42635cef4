/* Labels of other tools, read by the definitions of their formats. */
#include "coordinator/sweep/label_formats.h"

#include "common/file.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[32];

static void begin(void)
{
    (void)snprintf(directory, sizeof directory, "/tmp/interp-formats-XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
}

static void end(void)
{
    char command[64];
    (void)snprintf(command, sizeof command, "rm -r %s", directory);
    cr_assert_eq(system(command), 0); /* NOLINT(cert-env33-c): a path of this test's own */
}

static void put(const char *name, const char *text)
{
    char *path = file_join(directory, name);
    cr_assert_eq(file_write_atomic(path, text, strlen(text), NULL), ST_OK);
    free(path);
}

/* The lines, or the error, of `name` in the directory ("": itself). */
static const char *read_as(const char *name, enum sweep_labels_format format, size_t n_targets)
{
    static char text[4096];
    static struct sweep_target targets[2];
    char path[64];
    struct buffer out;
    struct error err = {0};
    targets[0].hook = (char[]){"blocks.3.hook_resid_pre"};
    targets[1].hook = (char[]){"blocks.6.hook_resid_pre"};
    (void)snprintf(path, sizeof path, "%s%s%s", directory, *name ? "/" : "", name);
    const struct sweep_spec spec = {
        .labels = path, .labels_format = format, .targets = targets, .n_targets = n_targets};
    buffer_init(&out, sizeof text);
    const status_t status = label_formats_read(&spec, &out, &err);
    (void)snprintf(text, sizeof text, "%s",
                   status != ST_OK ? err.text
                   : out.n_bytes   ? buffer_text(&out)
                                   : "");
    buffer_fini(&out);
    return text;
}

#define NP(layer, index, text, time)                                                               \
    "{\"layer\":\"" layer "\",\"index\":\"" index "\",\"description\":\"" text                     \
    "\",\"createdAt\":\"" time "\"}\n"

Test(label_formats, of_several_explanations_the_newest_counts, .init = begin, .fini = end)
{
    put("batch-0.jsonl", NP("6-res-jb", "9", "old", "2024-01-01") NP("6-res-jb", "4", "four", ""));
    put("batch-1.jsonl",
        NP("6-res-jb", "9", "new", "2025-01-01") NP("6-res-jb", "9", "mid", "2024-06-01"));
    put("notes.txt", "not a batch");
    static const char want[] = "{\"feature\":4,\"target\":0,\"label\":\"four\"}\n"
                               "{\"feature\":9,\"target\":0,\"label\":\"new\"}\n";
    cr_expect_str_eq(read_as("", SWEEP_LABELS_AUTO, 1), want);
    cr_expect(strstr(read_as("batch-1.jsonl", SWEEP_LABELS_AUTO, 1), "\"new\""), "a file alone");
    cr_expect(strstr(read_as("", SWEEP_LABELS_NEURONPEDIA, 2), "\"target\":1"), "by its layer");
}

Test(label_formats, delphi_keeps_a_json_text_a_file, .init = begin, .fini = end)
{
    put("layers.6_latent12.txt", "\"days, \\u2014 of \\\"weeks\\\"\"");
    put("layers.6_latent3.json", "\"three\"");
    put("run_config.json", "{}");
    cr_expect_str_eq(
        read_as("", SWEEP_LABELS_AUTO, 1),
        "{\"feature\":3,\"target\":0,\"label\":\"three\"}\n{\"feature\":12,\"target\":0,"
        "\"label\":\"days, \u2014 of \\\"weeks\\\"\"}\n");
    cr_expect(strstr(read_as("", SWEEP_LABELS_AUTO, 2), "\"layers.6\" is the hook point of no"));
    put("blocks.6.hook_resid_pre_latent3.txt", "\"x\"");
    cr_expect(strstr(read_as("", SWEEP_LABELS_DELPHI, 1), "the sweep has one target"));
}

Test(label_formats, our_own_lines_pass_as_they_are, .init = begin, .fini = end)
{
    static const char lines[] = "{\"feature\": 7, \"label\": \"x\"}\nnot json\n";
    put("mine.jsonl", lines);
    cr_expect_str_eq(read_as("mine.jsonl", SWEEP_LABELS_AUTO, 1), lines);
}

Test(label_formats, what_is_wrong_is_named_by_file_and_line, .init = begin, .fini = end)
{
    static const struct {
        const char *name, *text, *want;
    } cases[] = {
        {"batch-0.jsonl", NP("3-x", "1", "a", "") "{\"layer\":\"3-x\",\"index\":\"1\"}\n",
         "batch-0.jsonl:2: \"description\" must be a text"},
        {"batch-0.jsonl", "{\"layer\":\"3-x\",\"index\":\"-1\",\"description\":\"a\"}",
         ":1: \"index\" must be the number of a feature"},
        {"batch-0.jsonl", "{\"index\":\"1\",\"description\":\"a\"}", ":1: \"layer\" must be"},
        {"batch-0.jsonl", NP("3-x", "1", "a", "") NP("4-x", "1", "a", ""), "the sweep has one"},
        {"batch-0.jsonl", "[]\n", ":1: not a JSON object"},
        {"batch-0.jsonl", "", "holds no label"},
        {"h_latent1.txt", "plain words", "an explanation is a JSON text"},
        {"readme.md", "", "neither batch-N.jsonl(.gz) of Neuronpedia nor"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *path = file_join(directory, cases[i].name);
        put(cases[i].name, cases[i].text);
        const char *got = read_as("", SWEEP_LABELS_AUTO, 1);
        cr_expect(strstr(got, cases[i].want), "case %zu: %s", i, got);
        (void)unlink(path);
        free(path);
    }
    cr_expect(strstr(read_as("absent", SWEEP_LABELS_AUTO, 1), "No such file"));
    put("one.txt", "\"x\"");
    cr_expect(strstr(read_as("one.txt", SWEEP_LABELS_DELPHI, 1), "in a directory"));
}
