#include "worker/model/safetensors.h"
#include "worker/model/safetensors_writer.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[64];

static void make_directory(void)
{
    (void)snprintf(directory, sizeof directory, "/tmp/test-safetensors.XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
}

static size_t count_files(void)
{
    size_t n = 0;
    DIR *listing = opendir(directory);
    cr_assert_not_null(listing);
    for (const struct dirent *entry; (entry = readdir(listing));) n += entry->d_name[0] != '.';
    (void)closedir(listing);
    return n;
}

static void remove_directory(void)
{
    char path[160];
    (void)snprintf(path, sizeof path, "%s/out.safetensors", directory);
    (void)unlink(path);
    cr_expect_eq(rmdir(directory), 0, "nothing else is left");
}

static void out_path(char path[160])
{
    (void)snprintf(path, 160, "%s/out.safetensors", directory);
}

TestSuite(safetensors_writer, .init = make_directory, .fini = remove_directory);

Test(safetensors_writer, what_is_written_is_read_back)
{
    char path[160];
    struct error err = {0};
    struct safetensors *read = NULL;
    const unsigned char flags[3] = {1, 0, 1};
    const float matrix[6] = {1, -2, 3, -4, 5, -6};
    const struct tensor_view tensors[] = {{"flags \"q\" \xc3\xa9", TENSOR_BOOL, 1, {3}, flags, 3},
                                          {"matrix", TENSOR_F32, 2, {2, 3}, matrix, sizeof matrix},
                                          {"empty", TENSOR_F64, 2, {0, 4}, NULL, 0},
                                          {"scalar", TENSOR_F32, 0, {0}, matrix + 1, 4}};
    out_path(path);
    cr_assert_eq(safetensors_write(path, tensors, 4, &err), ST_OK, "%s", err.text);
    cr_assert_eq(safetensors_open(&read, directory, &err), ST_OK, "%s", err.text);
    cr_expect_eq(safetensors_count(read), 4u);
    for (size_t i = 0; i < 4; i++) {
        const struct tensor_view *got = safetensors_find(read, tensors[i].name);
        cr_assert_not_null(got, "%s", tensors[i].name);
        cr_expect_eq(got->dtype, tensors[i].dtype);
        cr_expect_eq(got->n_dims, tensors[i].n_dims);
        cr_expect_eq(memcmp(got->shape, tensors[i].shape, got->n_dims * sizeof got->shape[0]), 0);
        cr_expect_eq(got->n_bytes, tensors[i].n_bytes);
        if (got->n_bytes) cr_expect_eq(memcmp(got->data, tensors[i].data, got->n_bytes), 0);
        cr_expect_eq((uintptr_t)got->data % tensor_dtype_bytes(got->dtype), 0u, "aligned");
    }
    safetensors_close(&read);
}

Test(safetensors_writer, interleaved_pieces_land_in_their_tensors)
{
    char path[160];
    struct error err = {0};
    struct safetensors *read = NULL;
    struct safetensors_writer *writer = NULL;
    const struct tensor_view shapes[2] = {
        {.name = "z", .dtype = TENSOR_U8, .n_dims = 1, .shape = {100}},
        {.name = "a", .dtype = TENSOR_I16, .n_dims = 1, .shape = {100}}};
    out_path(path);
    cr_assert_eq(safetensors_writer_open(&writer, path, shapes, 2, &err), ST_OK, "%s", err.text);
    for (unsigned char i = 0; i < 100; i++) {
        const int16_t wide = (int16_t)(-i);
        cr_assert_eq(safetensors_writer_append(writer, 0, &i, 1, &err), ST_OK);
        cr_assert_eq(safetensors_writer_append(writer, 1, &wide, 2, &err), ST_OK);
    }
    cr_expect_neq(access(path, F_OK), 0, "not visible before it is complete");
    cr_assert_eq(safetensors_writer_finish(&writer, &err), ST_OK, "%s", err.text);
    cr_expect_null(writer);
    cr_assert_eq(safetensors_open(&read, path, &err), ST_OK, "%s", err.text);
    for (int i = 0; i < 100; i++) {
        cr_expect_eq(((const unsigned char *)safetensors_find(read, "z")->data)[i], i);
        cr_expect_eq(((const int16_t *)safetensors_find(read, "a")->data)[i], -i);
    }
    safetensors_close(&read);
}

Test(safetensors_writer, an_incomplete_file_never_appears)
{
    char path[160];
    struct error err = {0};
    struct safetensors_writer *writer = NULL;
    const struct tensor_view shape = {
        .name = "half", .dtype = TENSOR_F32, .n_dims = 1, .shape = {2}};
    out_path(path);
    cr_assert_eq(safetensors_writer_open(&writer, path, &shape, 1, &err), ST_OK);
    cr_assert_eq(safetensors_writer_append(writer, 0, "1234", 4, &err), ST_OK);
    cr_expect_eq(safetensors_writer_append(writer, 0, "12345", 5, &err), ST_BAD_INPUT);
    cr_expect(strstr(err.text, "half"), "%s", err.text);
    error_clear(&err);
    cr_expect_eq(safetensors_writer_append(writer, 1, "1", 1, &err), ST_BAD_INPUT);
    error_clear(&err);
    cr_expect_eq(safetensors_writer_finish(&writer, &err), ST_BAD_INPUT);
    cr_expect(strstr(err.text, "half") && strstr(err.text, "4 of 8"), "%s", err.text);
    cr_expect_null(writer);
    cr_expect_eq(count_files(), 0u);
}

Test(safetensors_writer, bad_names_and_places_are_refused)
{
    char path[160];
    struct error err = {0};
    const float one = 1;
    struct tensor_view twice[2] = {{"a", TENSOR_F32, 0, {0}, &one, 4},
                                   {"a", TENSOR_F32, 0, {0}, &one, 4}};
    out_path(path);
    cr_expect_eq(safetensors_write(path, twice, 2, &err), ST_BAD_INPUT);
    cr_expect(strstr(err.text, "'a'"), "%s", err.text);
    twice[0].name = "\xff";
    error_clear(&err);
    cr_expect_eq(safetensors_write(path, twice, 1, &err), ST_BAD_INPUT);
    twice[0].name = "";
    error_clear(&err);
    cr_expect_eq(safetensors_write(path, twice, 1, &err), ST_BAD_INPUT);
    error_clear(&err);
    cr_expect_eq(safetensors_write("/no/such/place/x", twice + 1, 1, &err), ST_IO);
    cr_expect_eq(count_files(), 0u);
}
