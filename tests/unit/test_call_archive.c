#include "coordinator/sweep/call_archive.h"

#include "common/file.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char directory[] = "/tmp/interp-archive-XXXXXX";
static char path[64], index_path[64];

static void begin(void)
{
    cr_assert_not_null(mkdtemp(directory));
    (void)snprintf(path, sizeof path, "%s/calls.zst", directory);
    (void)snprintf(index_path, sizeof index_path, "%s/calls.index", directory);
}

static void end(void)
{
    (void)unlink(path);
    (void)unlink(index_path);
    (void)rmdir(directory);
}

/* Two records that come in turn. */
static struct call_archive *filled(void)
{
    struct call_archive *archive = NULL;
    struct error err = {0};
    cr_assert_eq(call_archive_create(&archive, path, &err), ST_OK, "%s", err.text);
    call_archive_append(archive, 7, "a\nb\n", 4);
    call_archive_append(archive, 3, "x\n", 2);
    call_archive_append(archive, 7, "c\n", 2);
    return archive;
}

static status_t read_saved(uint64_t record, struct buffer *out)
{
    struct error err = {0};
    return call_archive_read_saved(path, index_path, record, out, &err);
}

Test(call_archive, a_record_has_its_lines_in_the_order_they_came, .init = begin, .fini = end)
{
    struct call_archive *archive = filled();
    struct buffer text;
    struct error err = {0};
    buffer_init(&text, 100);
    cr_expect_eq(call_archive_read(archive, 7, &text, &err), ST_OK, "%s", err.text);
    cr_expect_str_eq(buffer_text(&text), "a\nb\nc\n");
    cr_expect_eq(call_archive_read(archive, 8, &text, &err), ST_NOT_FOUND);
    cr_assert_eq(call_archive_save_index(archive, index_path, &err), ST_OK, "%s", err.text);
    call_archive_destroy(&archive);
    text.n_bytes = 0;
    cr_expect_eq(read_saved(7, &text), ST_OK);
    cr_expect_str_eq(buffer_text(&text), "a\nb\nc\n");
    cr_expect_eq(read_saved(8, &text), ST_NOT_FOUND);
    buffer_fini(&text);
}

Test(call_archive, a_damaged_file_is_said_to_be_one, .init = begin, .fini = end)
{
    struct call_archive *archive = filled();
    struct buffer text;
    struct error err = {0};
    buffer_init(&text, 100);
    cr_assert_eq(call_archive_save_index(archive, index_path, &err), ST_OK);
    call_archive_destroy(&archive);
    const int fd = open(path, O_WRONLY);
    cr_assert_eq(pwrite(fd, "????", 4, 0), 4);
    cr_expect_eq(read_saved(7, &text), ST_CORRUPT, "its first frame is no frame");
    cr_assert_eq(ftruncate(fd, 10), 0);
    cr_expect_eq(read_saved(3, &text), ST_IO, "cut");
    (void)close(fd);
    cr_assert_eq(file_write_atomic(index_path, "7 0\n", 4, &err), ST_OK);
    cr_expect_eq(read_saved(7, &text), ST_CORRUPT, "an index line of two numbers");
    (void)unlink(path);
    cr_assert_eq(file_write_atomic(index_path, "7 0 9\n", 6, &err), ST_OK);
    cr_expect_eq(read_saved(7, &text), ST_NOT_FOUND, "the index alone");
    buffer_fini(&text);
}

Test(call_archive, begun_again_it_is_empty, .init = begin, .fini = end)
{
    struct call_archive *archive = filled();
    struct buffer text;
    struct error err = {0};
    buffer_init(&text, 100);
    call_archive_destroy(&archive);
    cr_assert_eq(call_archive_create(&archive, path, &err), ST_OK);
    cr_expect_eq(call_archive_read(archive, 7, &text, &err), ST_NOT_FOUND);
    call_archive_destroy(&archive);
    cr_expect_eq(call_archive_create(&archive, "/nonexistent/calls.zst", &err), ST_IO);
    buffer_fini(&text);
}
