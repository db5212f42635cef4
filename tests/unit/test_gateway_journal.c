/* The journal: what is synced comes back, what is torn does not, what is over is deleted. */
#include "coordinator/gateway/journal.h"
#include "coordinator/gateway/journal_record.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[64];
static int64_t fake_ms;

static int64_t fake_ns(void *context)
{
    (void)context;
    return fake_ms * 1000000;
}
static int64_t fake_unix_ms(void *context)
{
    (void)context;
    return fake_ms;
}
static const struct clock fake_clock = {fake_ns, fake_unix_ms, NULL};

static void set_up(void)
{
    (void)snprintf(directory, sizeof directory, "/tmp/journal-test-XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    fake_ms = 1000;
}

static void tear_down(void)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", directory);
    cr_assert_eq(system(command), 0);
}

TestSuite(journal, .init = set_up, .fini = tear_down);

static struct journal *open_it(void)
{
    struct error err;
    struct journal *journal = NULL;
    error_clear(&err);
    cr_assert_eq(journal_open(&journal, directory, &fake_clock, &err), ST_OK, "%s", err.text);
    return journal;
}

static uint64_t append(struct journal *journal, enum journal_kind kind, const char *a,
                       const char *b)
{
    struct error err;
    uint64_t segment = 0;
    const char *const fields[] = {a, b};
    const size_t n_bytes[] = {strlen(a), strlen(b)};
    error_clear(&err);
    cr_assert_eq(journal_append(journal, kind, 2, fields, n_bytes, &segment, &err), ST_OK, "%s",
                 err.text);
    return segment;
}

static void sync_it(struct journal *journal)
{
    struct error err;
    error_clear(&err);
    cr_assert_eq(journal_sync(journal, &err), ST_OK, "%s", err.text);
}

static status_t write_down(void *context, const struct journal_record *record, struct error *err)
{
    char *text = context;
    (void)err;
    for (size_t i = 0; i < record->n_fields; i++)
        cr_expect_eq(strlen(record->fields[i]), record->n_bytes[i]);
    (void)snprintf(text + strlen(text), 2000 - strlen(text), "%d:%s,%s;", (int)record->kind,
                   record->fields[0], record->fields[1]);
    return ST_OK;
}

static size_t replay(struct journal *journal, char text[2000])
{
    struct error err;
    size_t n_torn = 0;
    error_clear(&err);
    text[0] = '\0';
    cr_assert_eq(journal_replay(journal, write_down, text, &n_torn, &err), ST_OK, "%s", err.text);
    return n_torn;
}

static void last_segment(char path[128])
{
    char pattern[96];
    glob_t found;
    (void)snprintf(pattern, sizeof pattern, "%s/segment.*", directory);
    cr_assert_eq(glob(pattern, 0, NULL, &found), 0);
    (void)snprintf(path, 128, "%s", found.gl_pathv[found.gl_pathc - 1]);
    globfree(&found);
}

Test(journal, gives_back_what_was_synced_after_a_restart)
{
    char text[2000];
    struct journal *journal = open_it();
    append(journal, JOURNAL_SEND, "call-1", "x");
    append(journal, JOURNAL_REPLY, "call-1", "");
    sync_it(journal);
    append(journal, JOURNAL_SEND, "never synced", "y");
    char id[JOURNAL_ID_SIZE];
    (void)snprintf(id, sizeof id, "%s", journal_id(journal));
    journal_close(&journal);
    journal = open_it();
    cr_expect_str_eq(journal_id(journal), id, "the journal keeps its name");
    cr_expect_eq(replay(journal, text), 0);
    cr_expect_str_eq(text, "1:call-1,x;2:call-1,;");
    append(journal, JOURNAL_SEND, "call-2", "z");
    cr_expect_eq(replay(journal, text), 0);
    cr_expect_str_eq(text, "1:call-1,x;2:call-1,;1:call-2,z;", "old and new segments, in order");
    journal_close(&journal);
}

Test(journal, stops_at_a_tear_wherever_it_is)
{
    char path[128], text[2000];
    struct stat info;
    struct journal *journal = open_it();
    append(journal, JOURNAL_SEND, "first", "1");
    sync_it(journal);
    last_segment(path);
    cr_assert_eq(stat(path, &info), 0);
    const off_t n_first = info.st_size;
    append(journal, JOURNAL_SEND, "second", "2");
    sync_it(journal);
    cr_assert_eq(stat(path, &info), 0);
    journal_close(&journal);
    for (off_t n = info.st_size - 1; n >= n_first; n--) {
        cr_assert_eq(truncate(path, n), 0);
        journal = open_it();
        cr_expect_eq(replay(journal, text), n > n_first ? 1u : 0u, "%ld bytes", (long)n);
        cr_expect_str_eq(text, "1:first,1;", "%ld bytes: %s", (long)n, text);
        journal_close(&journal);
    }
}

Test(journal, believes_no_flipped_bit)
{
    struct error err;
    struct buffer bytes;
    const char *const fields[] = {"provider", "call", ""};
    const size_t n_bytes[] = {8, 4, 0};
    error_clear(&err);
    buffer_init(&bytes, 1024);
    cr_assert_eq(journal_record_encode(&bytes, JOURNAL_REPLY, 3, fields, n_bytes, &err), ST_OK);
    for (size_t bit = 0; bit < 8 * bytes.n_bytes; bit++) {
        char copy[128];
        struct journal_record record;
        memcpy(copy, bytes.bytes, bytes.n_bytes);
        copy[bit / 8] = (char)(copy[bit / 8] ^ (1 << bit % 8));
        cr_expect_eq(journal_record_decode(copy, bytes.n_bytes, &record), 0, "bit %zu", bit);
    }
    struct journal_record record;
    cr_assert_eq(journal_record_decode((char *)bytes.bytes, bytes.n_bytes, &record), bytes.n_bytes);
    cr_expect_eq(record.n_fields, 3);
    cr_expect_str_eq(record.fields[0], "provider");
    cr_expect_str_eq(record.fields[2], "");
    buffer_fini(&bytes);
}

Test(journal, belongs_to_one_process)
{
    struct journal *journal = open_it();
    const pid_t child = fork(); /* the lock is per process */
    if (child == 0) {
        struct journal *second = NULL;
        struct error err;
        error_clear(&err);
        _exit(journal_open(&second, directory, &fake_clock, &err) == ST_BUSY ? 0 : 1);
    }
    int status = -1;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect_eq(status, 0);
    journal_close(&journal);
}

static size_t n_segments(void)
{
    char pattern[96];
    glob_t found;
    (void)snprintf(pattern, sizeof pattern, "%s/segment.*", directory);
    if (glob(pattern, 0, NULL, &found) != 0) return 0;
    const size_t n = found.gl_pathc;
    globfree(&found);
    return n;
}

Test(journal, deletes_a_segment_when_it_is_settled_and_old_enough_and_never_out_of_order)
{
    struct journal *journal = open_it();
    char *large = malloc(JOURNAL_SEGMENT_BYTES + 1);
    cr_assert_not_null(large);
    memset(large, 'x', JOURNAL_SEGMENT_BYTES);
    large[JOURNAL_SEGMENT_BYTES] = '\0';
    const uint64_t first = append(journal, JOURNAL_SEND, large, "1");
    const uint64_t second = append(journal, JOURNAL_REPLY, large, "2");
    const uint64_t third = append(journal, JOURNAL_SEND, "small", "3");
    sync_it(journal);
    cr_assert(first < second && second < third);
    cr_expect_eq(n_segments(), 3);
    journal_release(journal, second);
    fake_ms += JOURNAL_KEEP_MS + 1;
    journal_trim(journal);
    cr_expect_eq(n_segments(), 3, "the first is open: the second stays too");
    journal_release(journal, first);
    journal_trim(journal);
    cr_expect_eq(n_segments(), 3, "settled just now");
    fake_ms += JOURNAL_KEEP_MS;
    journal_trim(journal);
    cr_expect_eq(n_segments(), 1);
    journal_release(journal, third);
    fake_ms += JOURNAL_KEEP_MS;
    journal_trim(journal);
    cr_expect_eq(n_segments(), 1, "the one that is written to stays");
    free(large);
    journal_close(&journal);
}

Test(journal, refuses_a_damaged_id)
{
    char path[96];
    struct error err;
    struct journal *journal = open_it();
    journal_close(&journal);
    (void)snprintf(path, sizeof path, "%s/ID", directory);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    (void)fputs("nonsense", file);
    (void)fclose(file);
    error_clear(&err);
    cr_expect_eq(journal_open(&journal, directory, &fake_clock, &err), ST_CORRUPT);
    cr_expect_not_null(strstr(err.text, "move"), "it says what to do: %s", err.text);
}
