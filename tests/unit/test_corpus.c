#include "coordinator/intake/corpus.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

/* --- a directory of its own for every test ----------------------------------------------- */

static char directory[64];

static void make_directory(void)
{
    (void)snprintf(directory, sizeof directory, "/tmp/interp-corpus-XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
}

static void remove_directory(void)
{
    char command[96];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", directory);
    cr_expect_eq(system(command), 0);
}

TestSuite(corpus, .init = make_directory, .fini = remove_directory);

static const char *path_of(const char *name)
{
    static char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static void write_bytes(const char *name, const void *bytes, size_t n_bytes)
{
    FILE *file = fopen(path_of(name), "wb");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(bytes, 1, n_bytes, file), n_bytes);
    cr_assert_eq(fclose(file), 0);
}

static void write_text(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text));
}

/* Every document as "id=text|" or "id=1,2|"; stops at an error. */
static status_t read_all(const struct sweep_source *source, struct corpus_stats *stats, char *out,
                         size_t size, struct error *err)
{
    struct corpus *corpus = NULL;
    struct corpus_document document;
    bool has_document = true;
    size_t used = 0;
    status_t status = corpus_open(&corpus, source, err);
    out[0] = '\0';
    while (status == ST_OK && has_document) {
        status = corpus_next(corpus, &document, &has_document, err);
        if (status != ST_OK || !has_document) break;
        used += (size_t)snprintf(out + used, size - used, "%s=", document.id);
        for (size_t i = 0; i < document.n_tokens; i++)
            used +=
                (size_t)snprintf(out + used, size - used, "%s%u", i ? "," : "", document.tokens[i]);
        used += (size_t)snprintf(out + used, size - used, "%.*s|", (int)document.n_text_bytes,
                                 document.text ? document.text : "");
    }
    if (corpus && stats) *stats = corpus_stats(corpus);
    corpus_close(&corpus);
    return status;
}

static void expect_documents(struct sweep_source source, const char *name, const char *want)
{
    char path[256], got[4096];
    struct error err = {.status = ST_OK};
    (void)snprintf(path, sizeof path, "%s", path_of(name));
    source.path = path;
    cr_expect_eq(read_all(&source, NULL, got, sizeof got, &err), ST_OK, "%s", err.text);
    cr_expect_str_eq(got, want);
}

static void expect_error(struct sweep_source source, const char *name, status_t status,
                         const char *text)
{
    char path[256], got[4096];
    struct error err = {.status = ST_OK};
    (void)snprintf(path, sizeof path, "%s", path_of(name));
    source.path = path;
    cr_expect_eq(read_all(&source, NULL, got, sizeof got, &err), status, "%s", err.text);
    cr_expect_not_null(strstr(err.text, text), "'%s' is not in '%s'", text, err.text);
}

static const struct sweep_source by_suffix = {.format = CORPUS_FORMAT_AUTO};

Test(corpus, jsonl_ids_are_given_or_file_and_line)
{
    write_text("a.jsonl", "{\"id\": \"x\", \"text\": \"one\"}\n\n{\"text\": \"two\\n\\u00e9\"}\r\n"
                          "{\"id\": 7, \"text\": \"three\", \"other\": [1]}");
    expect_documents(by_suffix, "a.jsonl", "x=one|a.jsonl:3=two\né|7=three|");
}

Test(corpus, text_is_cut_by_file_blank_line_or_separator)
{
    write_text("a.txt", "\n \nfirst\nline two\n\t\n\nsecond\r\n\r\nthird");
    expect_documents((struct sweep_source){.document = CORPUS_DOCUMENT_BLANK_LINE}, "a.txt",
                     "a.txt:1=first\nline two|a.txt:2=second\r|a.txt:3=third|");
    write_text("b.txt", "one<|end|>two <|end<|end|> \n<|end|>three");
    expect_documents((struct sweep_source){.document = CORPUS_DOCUMENT_SEPARATOR,
                                           .separator = (char[]){"<|end|>"}},
                     "b.txt", "b.txt:1=one|b.txt:2=two <|end|b.txt:4=three|");
    write_text("c.txt", "\xEF\xBB\xBFwhole\n\nfile\n");
    expect_documents(by_suffix, "c.txt", "c.txt:1=whole\n\nfile\n|");
}

Test(corpus, token_documents_keep_their_ids)
{
    write_text("a.tokens", "{\"tokens\": [1, 2, 50256]}\n{\"id\": \"e\", \"tokens\": []}\n"
                           "{\"id\": \"z\", \"tokens\": [0]}\n");
    expect_documents(by_suffix, "a.tokens", "a.tokens:1=1,2,50256|z=0|");
}

Test(corpus, a_directory_is_read_in_order_of_name)
{
    cr_assert_eq(mkdir(path_of("sub"), 0755), 0);
    write_text("b.txt", "bee");
    write_text("a.txt", "ay");
    write_text(".hidden", "no");
    write_text("sub/c.jsonl", "{\"text\": \"see\"}\n");
    expect_documents(by_suffix, "", "a.txt:1=ay|b.txt:1=bee|sub/c.jsonl:1=see|");
}

static size_t gzip_bytes(const char *text, unsigned char *out, size_t room)
{
    z_stream stream = {0};
    cr_assert_eq(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    unsigned char copy[256];
    memcpy(copy, text, strlen(text));
    stream.next_in = copy;
    stream.avail_in = (uInt)strlen(text);
    stream.next_out = out;
    stream.avail_out = (uInt)room;
    cr_assert_eq(deflate(&stream, Z_FINISH), Z_STREAM_END);
    cr_assert_eq(deflateEnd(&stream), Z_OK);
    return room - stream.avail_out;
}

Test(corpus, gzip_and_zstd_are_opened_member_by_member)
{
    unsigned char bytes[1024];
    size_t n = gzip_bytes("{\"text\": \"one\"}\n{\"te", bytes, sizeof bytes);
    n += gzip_bytes("xt\": \"two\"}\n", bytes + n, sizeof bytes - n);
    write_bytes("a.jsonl.gz", bytes, n);
    expect_documents(by_suffix, "a.jsonl.gz", "a.jsonl.gz:1=one|a.jsonl.gz:2=two|");
    n = ZSTD_compress(bytes, sizeof bytes, "alpha ", 6, 3);
    n += ZSTD_compress(bytes + n, sizeof bytes - n, "beta", 4, 3);
    write_bytes("b.txt.zst", bytes, n);
    expect_documents(by_suffix, "b.txt.zst", "b.txt.zst:1=alpha beta|");
}

Test(corpus, every_truncation_of_compressed_data_is_an_error)
{
    unsigned char gzip[512], zstd[512];
    const char *text = "a document that is long enough to be compressed, compressed, compressed";
    const size_t n_gzip = gzip_bytes(text, gzip, sizeof gzip);
    const size_t n_zstd = ZSTD_compress(zstd, sizeof zstd, text, strlen(text), 3);
    for (size_t n = 4; n < n_gzip; n++) {
        write_bytes("t.gz", gzip, n);
        expect_error(by_suffix, "t.gz", ST_CORRUPT, "t.gz: compressed data is cut off");
    }
    for (size_t n = 4; n < n_zstd; n++) {
        write_bytes("t.zst", zstd, n);
        expect_error(by_suffix, "t.zst", ST_CORRUPT, "t.zst: compressed data is cut off");
    }
    gzip[n_gzip - 5] ^= 1; /* the checksum */
    write_bytes("t.gz", gzip, n_gzip);
    expect_error(by_suffix, "t.gz", ST_CORRUPT, "damaged gzip data");
}

Test(corpus, bad_content_is_named_by_document_and_byte)
{
    static const struct {
        const char *name, *bytes;
        size_t n;
        const char *text;
    } cases[] = {
        {"a.txt", "ab\xff", 3, "document a.txt:1: not UTF-8 at byte 2 of the document (0xff)"},
        {"b.txt", "12345678\xc3(", 10, "document b.txt:1: not UTF-8 at byte 8 of the document"},
        {"c.txt",
         "\x7f"
         "ELF\0\1",
         6, "document c.txt:1: binary: NUL at byte 4 of the document"},
        {"d.jsonl", "{\"text\": \"a\"}\n{\"text\": \"\xc0\xaf\"}", 28,
         "d.jsonl:2: not UTF-8 at byte 10 of the line (0xc0)"},
        {"e.jsonl", "{\"text\": \"a\"}\n{\"text\": a}\n", 26, "e.jsonl:2: not JSON at byte "},
        {"f.jsonl", "[1]\n", 4, "f.jsonl:1: a JSON object is wanted in every line"},
        {"g.jsonl", "{\"txt\": \"a\"}\n", 13, "g.jsonl:1: no \"text\" in this line"},
        {"h.jsonl", "{\"tokens\": [1]}\n", 16,
         "h.jsonl:1: no \"text\" in this line but \"tokens\": set format: tokens"},
        {"i.jsonl", "{\"text\":\"a\",\"id\":\"x\"}\n{\"text\":\"b\",\"id\":\"x\"}\n", 44,
         "i.jsonl:2: id 'x' was used before"},
        {"j.jsonl", "{\"text\": \"a\", \"id\": [1]}", 24, "j.jsonl:1: \"id\" is neither"},
        {"k.tokens", "{\"tokens\": [1, -1]}", 19, "k.tokens:1: \"tokens\"[1] is no token id"},
        {"l.tokens", "{\"tokens\": [1.5]}", 17, "l.tokens:1: \"tokens\"[0] is no token id"},
        {"m.jsonl", "{\"text\": \"\\ud800\"}", 18, "m.jsonl:1: not JSON"},
        {"n.jsonl", "{\"text\": \"a\", \"text\": \"b\"}", 26, "n.jsonl:1: not JSON"},
        {"o.txt", "", 0, "o.txt: no document with text in it"},
        {"p.jsonl", "{\"text\": \" \\n\"}\n", 16, "p.jsonl: no document with text in it"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_bytes(cases[i].name, cases[i].bytes, cases[i].n);
        expect_error(by_suffix, cases[i].name, ST_BAD_INPUT, cases[i].text);
    }
}

Test(corpus, missing_and_odd_paths_are_named)
{
    expect_error(by_suffix, "nowhere.txt", ST_NOT_FOUND, "nowhere.txt: No such file");
    cr_assert_eq(mkdir(path_of("empty"), 0755), 0);
    expect_error(by_suffix, "empty", ST_BAD_INPUT, "no file in this directory");
}

Test(corpus, a_line_that_is_too_long_is_refused_by_name)
{
    const size_t n = CORPUS_MAX_DOCUMENT_BYTES + 64;
    char *bytes = malloc(n);
    cr_assert_not_null(bytes);
    memset(bytes, 'x', n);
    memcpy(bytes, "{\"text\":\"a\"}\n", 13);
    write_bytes("long.jsonl", bytes, n);
    free(bytes);
    expect_error(by_suffix, "long.jsonl", ST_TOO_LARGE, "long.jsonl:2: longer than 16777216 bytes");
}

Test(corpus, lines_across_buffer_borders_arrive_whole)
{
    struct error err = {.status = ST_OK};
    struct corpus *corpus = NULL;
    struct corpus_document document;
    bool has_document;
    FILE *file = fopen(path_of("many.txt"), "wb");
    char path[256];
    const struct sweep_source source = {
        .path = path, .document = CORPUS_DOCUMENT_SEPARATOR, .separator = (char[]){"=-="}};
    for (unsigned i = 0; i < 3000; i++)
        (void)fprintf(file, "%u:%*s=-=", i, (int)(i * 7 % 997) + 1, "=-x");
    (void)fclose(file);
    (void)snprintf(path, sizeof path, "%s", path_of("many.txt"));
    cr_assert_eq(corpus_open(&corpus, &source, &err), ST_OK);
    for (unsigned i = 0; i < 3000; i++) {
        char want[1100];
        const int n = snprintf(want, sizeof want, "%u:%*s", i, (int)(i * 7 % 997) + 1, "=-x");
        cr_assert_eq(corpus_next(corpus, &document, &has_document, &err), ST_OK, "%s", err.text);
        cr_assert(has_document);
        cr_assert_eq(document.n_text_bytes, (size_t)n, "document %u", i);
        cr_assert_eq(memcmp(document.text, want, (size_t)n), 0, "document %u", i);
    }
    cr_assert_eq(corpus_next(corpus, &document, &has_document, &err), ST_OK);
    cr_expect_not(has_document);
    corpus_close(&corpus);
}

Test(corpus, statistics_count_documents_and_name_the_content)
{
    struct error err = {.status = ST_OK};
    struct corpus_stats one, two;
    char path[256], out[256];
    const struct sweep_source source = {.path = path};
    (void)snprintf(path, sizeof path, "%s", path_of("s.jsonl"));
    write_text("s.jsonl", "{\"text\":\"ab\"}\n{\"text\":\"\"}\n{\"text\":\"cde\"}\n");
    cr_assert_eq(read_all(&source, &one, out, sizeof out, &err), ST_OK);
    cr_expect_eq(one.n_documents, 2);
    cr_expect_eq(one.n_empty, 1);
    cr_expect_eq(one.n_text_bytes, 5);
    cr_assert_eq(read_all(&source, &two, out, sizeof out, &err), ST_OK);
    cr_expect_eq(one.content_key, two.content_key);
    write_text("s.jsonl", "{\"text\":\"ab\"}\n{\"text\":\"\"}\n{\"text\":\"cdf\"}\n");
    cr_assert_eq(read_all(&source, &two, out, sizeof out, &err), ST_OK);
    cr_expect_neq(one.content_key, two.content_key);
}
