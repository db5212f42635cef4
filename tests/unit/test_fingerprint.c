/* What a model is by content, and the cache that must notice when it was written again. */
#include "worker/model/fingerprint.h"

#include "common/file.h"
#include "worker/tasks/model_cache.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[64];
static struct error err;

static void set_up(void)
{
    (void)snprintf(directory, sizeof directory, "/tmp/fingerprint-XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
}

static void tear_down(void)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", directory);
    cr_expect_eq(system(command), 0);
}

TestSuite(fingerprint, .init = set_up, .fini = tear_down, .timeout = 60);

static void put(const char *name, const char *bytes)
{
    char *path = file_join(directory, name);
    cr_assert_eq(file_write_atomic(path, bytes, strlen(bytes), &err), ST_OK, "%s", err.text);
    free(path);
}

static const char *hex(void)
{
    static char text[2][HASH_HEX_SIZE];
    static int turn;
    turn = !turn;
    error_clear(&err);
    cr_assert_eq(fingerprint_compute(directory, text[turn], &err), ST_OK, "%s", err.text);
    return text[turn];
}

Test(fingerprint, is_the_hash_of_names_sizes_and_contents_in_order)
{
    char want[HASH_HEX_SIZE];
    static const char all[] = "config.json\0\2\0\0\0\0\0\0\0{}m.safetensors\0\3\0\0\0\0\0\0\0abc";
    put("m.safetensors", "abc");
    put("config.json", "{}");
    cr_expect_str_eq(hex(), hash_sha256_hex(all, sizeof all - 1, want));
}

Test(fingerprint, changes_with_every_part_and_with_nothing_else)
{
    put("config.json", "{}");
    put("tokenizer.json", "{}");
    put("model-00001.safetensors", "abc");
    const char *before = hex();
    put("README.md", "words");
    put("optimizer.pt", "x");
    cr_expect_str_eq(hex(), before);
    static const char *const parts[] = {"config.json",
                                        "tokenizer.json",
                                        "cfg.json",
                                        "model-00001.safetensors",
                                        "model-00002.safetensors",
                                        "model.safetensors.index.json"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        before = hex();
        put(parts[i], "abd");
        cr_expect_str_neq(hex(), before, "%s", parts[i]);
    }
}

Test(fingerprint, of_a_huge_file_reads_size_and_both_ends)
{
    enum { MIB = 1 << 20 };
    char *path = file_join(directory, "m.safetensors");
    FILE *file = fopen(path, "w");
    const long middle = 600L * MIB, size = 1100L * MIB; /* sparse: no disk */
    cr_assert(file && ftruncate(fileno(file), size) == 0);
    char first[HASH_HEX_SIZE];
    (void)snprintf(first, sizeof first, "%s", hex());
    cr_assert(fseek(file, middle, SEEK_SET) == 0 && fputc('x', file) == 'x' && !fflush(file));
    cr_expect_str_eq(hex(), first, "the middle is not read");
    cr_assert(fseek(file, size - 1, SEEK_SET) == 0 && fputc('x', file) == 'x' && !fflush(file));
    cr_expect_str_neq(hex(), first);
    cr_assert(ftruncate(fileno(file), size + 1) == 0);
    cr_expect_str_neq(hex(), first);
    cr_expect_eq(fclose(file), 0);
    free(path);
}

Test(fingerprint, a_place_without_a_model_is_named)
{
    char text[HASH_HEX_SIZE];
    cr_expect_eq(fingerprint_compute(directory, text, &err), ST_NOT_FOUND);
    cr_expect(strstr(err.text, directory), "%s", err.text);
    error_clear(&err);
    cr_expect_eq(fingerprint_compute("/nowhere", text, &err), ST_NOT_FOUND);
}

/* --- the cache ------------------------------------------------------------------------------- */

static struct model_cache *make_cache(struct backend **backend)
{
    struct model_cache *cache;
    cr_assert_eq(backend_open_cpu(backend, &err), ST_OK, "%s", err.text);
    cr_assert_eq(model_cache_create(&cache, *backend, &err), ST_OK);
    return cache;
}

static void copy_dictionary(const char *from)
{
    char command[256];
    (void)snprintf(command, sizeof command, "cp %s/* '%s'/", from, directory);
    cr_assert_eq(system(command), 0);
}

Test(fingerprint, the_cache_shares_what_is_open_and_opens_what_was_written_again)
{
    struct backend *backend;
    struct model_cache *cache = make_cache(&backend);
    struct dictionary *first, *second, *third;
    copy_dictionary("config/demo/sae");
    cr_assert_eq(model_cache_dictionary(cache, directory, 0, &first, &err), ST_OK, "%s", err.text);
    cr_assert_eq(model_cache_dictionary(cache, directory, 0, &second, &err), ST_OK);
    cr_expect_eq(first, second);
    char *path = file_join(directory, "cfg.json"), *bytes;
    size_t n;
    cr_assert_eq(file_read(path, 1 << 20, &bytes, &n, &err), ST_OK);
    cr_assert_eq(file_write_atomic(path, bytes, n, &err), ST_OK); /* another inode and time */
    cr_assert_eq(model_cache_dictionary(cache, directory, 0, &third, &err), ST_OK, "%s", err.text);
    cr_expect_neq(third, first, "the old one may be another dictionary");
    model_cache_release_dictionary(cache, first);
    model_cache_release_dictionary(cache, second);
    model_cache_release_dictionary(cache, third);
    model_cache_destroy(&cache);
    backend_close(&backend);
    free(bytes);
    free(path);
}

Test(fingerprint, the_cache_tells_another_model_from_the_planned_one)
{
    struct backend *backend;
    struct model_cache *cache = make_cache(&backend);
    char planned[HASH_HEX_SIZE], again[HASH_HEX_SIZE];
    put("config.json", "{}");
    cr_assert_eq(model_cache_fingerprint(cache, directory, planned, &err), ST_OK);
    cr_expect_str_eq(planned, hex());
    cr_expect_eq(model_cache_check_fingerprint(cache, directory, planned, &err), ST_OK);
    cr_expect_eq(model_cache_check_fingerprint(cache, directory, "", &err), ST_OK);
    put("config.json", "[]");
    cr_expect_eq(model_cache_check_fingerprint(cache, directory, planned, &err), ST_BAD_INPUT);
    cr_expect(strstr(err.text, directory), "%s", err.text);
    cr_assert_eq(model_cache_fingerprint(cache, directory, again, &err), ST_OK);
    cr_expect_str_neq(again, planned);
    model_cache_destroy(&cache);
    backend_close(&backend);
}
