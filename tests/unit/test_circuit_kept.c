/* The circuits and prompts that users bring, kept under their hash. */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include "coordinator/sweep/circuit_kept.h"

#include "common/file.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char text[] = "[\"L0H1\", \"L1H1\"]\n";

/* A data directory, and a file of the user's in it. */
struct place {
    char directory[64], file[96], kept[192], hash[HASH_HEX_SIZE];
    struct sweep_spec spec;
};

static void write_file(const char *path, const char *bytes)
{
    cr_assert_eq(file_write_atomic(path, bytes, strlen(bytes), NULL), ST_OK);
}

static void make_place(struct place *place)
{
    *place = (struct place){.directory = "/tmp/interp-kept-XXXXXX",
                            .spec = {.kind = SWEEP_KIND_CIRCUIT, .circuit = place->file}};
    cr_assert_not_null(mkdtemp(place->directory));
    (void)snprintf(place->file, sizeof place->file, "%s/mine.json", place->directory);
    write_file(place->file, text);
    hash_sha256_hex(text, sizeof text - 1, place->hash);
    (void)snprintf(place->kept, sizeof place->kept, "%s/circuits/%s", place->directory,
                   place->hash);
}

static void remove_place(struct place *place)
{
    char command[128];
    free(place->spec.circuit_sha256);
    free(place->spec.task.prompts_sha256);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", place->directory);
    cr_expect_eq(system(command), 0);
}

Test(circuit_kept, the_file_of_the_user_is_needed_once)
{
    struct place place;
    struct circuit circuit;
    make_place(&place);
    cr_assert_eq(circuit_kept_take(&place.spec, place.directory, NULL), ST_OK);
    cr_expect_str_eq(place.spec.circuit_sha256, place.hash);
    cr_assert_eq(unlink(place.file), 0);
    cr_assert_eq(circuit_kept_read(&place.spec, place.directory, &circuit, NULL), ST_OK);
    cr_expect_eq(circuit.n_nodes, 2);
    circuit_fini(&circuit);
    cr_expect_eq(circuit_kept_take(&place.spec, place.directory, NULL), ST_OK, "a spec again");
    remove_place(&place);
}

Test(circuit_kept, another_file_than_the_spec_names_is_refused)
{
    struct place place;
    struct error err = {.status = ST_OK};
    make_place(&place);
    place.spec.circuit_sha256 = strdup(place.hash);
    write_file(place.file, "[\"L0H0\"]\n");
    cr_expect_eq(circuit_kept_take(&place.spec, place.directory, &err), ST_BAD_INPUT);
    cr_expect(strstr(err.text, "mine.json: its SHA-256 is ") &&
                  strstr(err.text, "circuit_sha256 says "),
              "%s", err.text);
    cr_expect_neq(access(place.kept, F_OK), 0, "nothing is kept");
    remove_place(&place);
}

Test(circuit_kept, what_is_no_circuit_or_was_changed_is_said)
{
    struct place place;
    struct circuit circuit;
    struct error err = {.status = ST_OK};
    make_place(&place);
    write_file(place.file, "[\"nonsense\"]\n");
    cr_expect_eq(circuit_kept_take(&place.spec, place.directory, &err), ST_BAD_INPUT);
    cr_expect(strstr(err.text, "mine.json") && strstr(err.text, "nonsense"), "%s", err.text);
    cr_expect(place.spec.circuit_sha256 == NULL);
    write_file(place.file, text);
    cr_assert_eq(circuit_kept_take(&place.spec, place.directory, NULL), ST_OK);
    write_file(place.kept, "[\"L0H0\"]\n");
    error_clear(&err);
    cr_expect_eq(circuit_kept_read(&place.spec, place.directory, &circuit, &err), ST_CORRUPT);
    cr_expect(strstr(err.text, "its hash is not its name"), "%s", err.text);
    remove_place(&place);
}

Test(circuit_kept, a_sweep_that_brings_none_keeps_none)
{
    struct place place;
    make_place(&place);
    place.spec.circuit = NULL;
    cr_expect_eq(circuit_kept_take(&place.spec, place.directory, NULL), ST_OK);
    place.spec.kind = SWEEP_KIND_NOOP;
    cr_expect_eq(circuit_kept_take(&place.spec, place.directory, NULL), ST_OK);
    cr_expect(place.spec.circuit_sha256 == NULL);
    remove_place(&place);
}

/* The same file as prompts of a task. */
static void bring_prompts(struct place *place)
{
    place->spec.circuit = NULL;
    place->spec.task.prompts = place->file;
    (void)snprintf(place->kept, sizeof place->kept, "%s/prompts/%s", place->directory, place->hash);
}

Test(circuit_kept, prompts_are_those_that_were_accepted)
{
    struct place place;
    char *read = NULL;
    size_t n_bytes = 0;
    make_place(&place);
    bring_prompts(&place);
    cr_assert_eq(circuit_kept_take(&place.spec, place.directory, NULL), ST_OK);
    cr_expect_str_eq(place.spec.task.prompts_sha256, place.hash);
    cr_expect(place.spec.circuit_sha256 == NULL);
    write_file(place.file, "other prompts\n");
    cr_assert_eq(circuit_kept_prompts(&place.spec, place.directory, &read, &n_bytes, NULL), ST_OK);
    cr_expect_eq(n_bytes, sizeof text - 1);
    cr_expect_str_eq(read, text);
    free(read);
    cr_expect_eq(circuit_kept_take(&place.spec, place.directory, NULL), ST_OK, "a spec again");
    remove_place(&place);
}

Test(circuit_kept, prompts_that_are_not_those_are_refused)
{
    struct place place;
    struct error err = {.status = ST_OK};
    char *read = NULL;
    size_t n_bytes = 0;
    make_place(&place);
    bring_prompts(&place);
    cr_expect_eq(circuit_kept_prompts(&place.spec, place.directory, &read, &n_bytes, &err),
                 ST_CORRUPT, "accepted before hashes were kept");
    cr_expect(strstr(err.text, "accepted without its hash"), "%s", err.text);
    place.spec.task.prompts_sha256 = strdup(place.hash);
    write_file(place.file, "other prompts\n");
    error_clear(&err);
    cr_expect_eq(circuit_kept_take(&place.spec, place.directory, &err), ST_BAD_INPUT);
    cr_expect(strstr(err.text, "task.prompts_sha256 says "), "%s", err.text);
    cr_assert_eq(unlink(place.file), 0);
    error_clear(&err);
    cr_expect_eq(circuit_kept_take(&place.spec, place.directory, &err), ST_NOT_FOUND);
    cr_expect(strstr(err.text, "mine.json"), "%s", err.text);
    remove_place(&place);
}

static bool is_named_by(const void *context, const char *hash)
{
    return circuit_kept_names(context, hash);
}

Test(circuit_kept, what_no_sweep_brings_any_more_goes)
{
    struct place place;
    size_t n_removed = 0;
    make_place(&place);
    place.spec.task.prompts = place.file; /* both, of the same bytes */
    cr_assert_eq(circuit_kept_take(&place.spec, place.directory, NULL), ST_OK);
    cr_assert_eq(circuit_kept_clean(place.directory, is_named_by, &place.spec, &n_removed, NULL),
                 ST_OK);
    cr_expect_eq(n_removed, 0);
    const struct sweep_spec other = {.kind = SWEEP_KIND_CIRCUIT};
    cr_assert_eq(circuit_kept_clean(place.directory, is_named_by, &other, &n_removed, NULL), ST_OK);
    cr_expect_eq(n_removed, 2);
    cr_expect_neq(access(place.kept, F_OK), 0);
    remove_place(&place);
}
