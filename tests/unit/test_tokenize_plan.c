#include "coordinator/plan/tokenize_plan.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One token per byte, plus 100: enough of a tokenizer to follow documents through. */
static status_t put(struct tokenize_collector *collector, const struct tokenize_batch *batch,
                    struct error *err)
{
    uint32_t n_tokens[TOKENIZE_BATCH_DOCUMENTS];
    size_t n_all = 0;
    for (size_t i = 0; i < batch->n_documents; i++) {
        n_tokens[i] = (uint32_t)batch->n_bytes[i];
        n_all += batch->n_bytes[i];
    }
    uint32_t *tokens = malloc((n_all + 1) * sizeof *tokens);
    cr_assert_not_null(tokens);
    for (size_t i = 0; i < n_all; i++) tokens[i] = (unsigned char)batch->bytes[i] + 100u;
    const status_t status = tokenize_collector_put(collector, batch->index, n_tokens,
                                                   batch->n_documents, tokens, n_all, err);
    free(tokens);
    return status;
}

static struct tokenize_batch make_batch(uint64_t index, uint32_t corpus_index,
                                        const char *const ids[], const char *bytes,
                                        const size_t *n_bytes, size_t n_documents)
{
    return (struct tokenize_batch){.index = index,
                                   .corpus_index = corpus_index,
                                   .n_documents = n_documents,
                                   .ids = ids,
                                   .bytes = bytes,
                                   .n_bytes = n_bytes};
}

Test(tokenize_plan, results_in_any_order_and_twice_give_the_corpus_in_order)
{
    static const char *const ids[3][2] = {{"a", "b"}, {"c", "d"}, {"e", "f"}};
    static const size_t n_bytes[] = {2, 3};
    static const unsigned orders[][4] = {{0, 1, 2, 0}, {2, 1, 0, 1}, {1, 1, 2, 0}, {2, 2, 0, 1}};
    const uint64_t no_limit[] = {0};
    for (size_t o = 0; o < sizeof orders / sizeof orders[0]; o++) {
        struct tokenize_collector *collector = NULL;
        struct token_corpus *corpus = NULL;
        struct error err = {.status = ST_OK};
        struct tokenize_batch batches[3];
        cr_assert_eq(tokenize_collector_create(&collector, "/tmp", no_limit, 1, &err), ST_OK);
        for (unsigned i = 0; i < 3; i++) {
            batches[i] = make_batch(i, 0, ids[i], "abcde", n_bytes, 2);
            cr_assert_eq(tokenize_collector_expect(collector, &batches[i], &err), ST_OK);
        }
        cr_expect_eq(tokenize_collector_take(collector, &corpus, &err), ST_CONFLICT);
        error_clear(&err);
        for (unsigned i = 0; i < 4; i++)
            cr_assert_eq(put(collector, &batches[orders[o][i]], &err), ST_OK, "%s", err.text);
        cr_expect_eq(tokenize_collector_n_pending(collector), 0);
        cr_assert_eq(tokenize_collector_take(collector, &corpus, &err), ST_OK, "%s", err.text);
        cr_assert_eq(token_corpus_n_documents(corpus), 6);
        for (size_t d = 0; d < 6; d++) {
            cr_expect_str_eq(token_corpus_document(corpus, d).id, ids[d / 2][d % 2]);
            cr_expect_eq(token_corpus_document(corpus, d).n_tokens, n_bytes[d % 2]);
        }
        token_corpus_destroy(&corpus);
        tokenize_collector_destroy(&collector);
    }
}

Test(tokenize_plan, max_tokens_cuts_whole_documents_whatever_was_read_ahead)
{
    static const char *const ids[3][2] = {{"a", "b"}, {"c", "d"}, {"x", "y"}};
    static const size_t n_bytes[] = {2, 3};
    const uint64_t max_tokens[] = {8, 0};
    for (unsigned n_ahead = 1; n_ahead < 3; n_ahead++) {
        struct tokenize_collector *collector = NULL;
        struct token_corpus *corpus = NULL;
        struct error err = {.status = ST_OK};
        cr_assert_eq(tokenize_collector_create(&collector, "/tmp", max_tokens, 2, &err), ST_OK);
        for (unsigned i = 0; i <= n_ahead + 1; i++) {
            const bool is_ood = i == n_ahead + 1;
            const struct tokenize_batch batch =
                make_batch(i, is_ood, is_ood ? ids[2] : ids[i % 2], "abcde", n_bytes, 2);
            cr_assert_eq(tokenize_collector_expect(collector, &batch, &err), ST_OK);
            cr_assert_eq(put(collector, &batch, &err), ST_OK, "%s", err.text);
        }
        cr_expect(tokenize_collector_is_full(collector, 0));
        cr_expect_not(tokenize_collector_is_full(collector, 1));
        cr_assert_eq(tokenize_collector_take(collector, &corpus, &err), ST_OK);
        cr_assert_eq(token_corpus_n_documents(corpus), 5, "a b c, then x y");
        cr_expect_str_eq(token_corpus_document(corpus, 2).id, "c");
        cr_expect_str_eq(token_corpus_document(corpus, 3).id, "x");
        cr_expect_eq(token_corpus_document(corpus, 3).corpus_index, 1);
        token_corpus_destroy(&corpus);
        tokenize_collector_destroy(&collector);
    }
}

Test(tokenize_plan, results_that_do_not_fit_are_refused)
{
    static const char *const ids[] = {"a", "b"};
    static const size_t n_bytes[] = {2, 3};
    const uint64_t no_limit[] = {0};
    const uint32_t counts[] = {2, 4}, tokens[6] = {0};
    const struct tokenize_batch batch = make_batch(0, 0, ids, "abcde", n_bytes, 2);
    struct tokenize_collector *collector = NULL;
    struct error err = {.status = ST_OK};
    cr_assert_eq(tokenize_collector_create(&collector, "/tmp", no_limit, 1, &err), ST_OK);
    cr_assert_eq(tokenize_collector_expect(collector, &batch, &err), ST_OK);
    cr_expect_eq(tokenize_collector_put(collector, 0, counts, 2, tokens, 5, &err), ST_BAD_INPUT);
    error_clear(&err);
    cr_expect_eq(tokenize_collector_put(collector, 0, counts, 1, tokens, 2, &err), ST_BAD_INPUT);
    error_clear(&err);
    cr_expect_eq(tokenize_collector_put(collector, 1, counts, 2, tokens, 6, &err), ST_NOT_FOUND);
    error_clear(&err);
    cr_expect_eq(tokenize_collector_expect(collector, &batch, &err), ST_INTERNAL);
    tokenize_collector_destroy(&collector);
}

/* --- the reader -------------------------------------------------------------------------- */

static char path[2][64];

static void make_files(void)
{
    for (int i = 0; i < 2; i++) {
        (void)snprintf(path[i], sizeof path[i], "/tmp/interp-tokenize-XXXXXX");
        FILE *file = fdopen(mkstemp(path[i]), "wb");
        cr_assert_not_null(file);
        for (int d = 0; d < 1000; d++)
            (void)fprintf(file,
                          i ? "{\"id\":\"t%d\",\"tokens\":[%d,7]}\n"
                            : "{\"id\":\"d%d\",\"text\":\"%0*d\"}\n",
                          d, i ? d : 1000, 0);
        cr_assert_eq(fclose(file), 0);
    }
}

static void remove_files(void)
{
    (void)unlink(path[0]);
    (void)unlink(path[1]);
}

Test(tokenize_plan, batches_are_bounded_and_never_mix_corpora, .init = make_files,
     .fini = remove_files)
{
    const struct sweep_source sources[] = {
        {.path = path[0], .format = CORPUS_FORMAT_JSONL},
        {.name = (char[]){"news"}, .path = path[1], .format = CORPUS_FORMAT_TOKENS}};
    const uint64_t no_limit[] = {0, 0};
    struct tokenize_reader *reader = NULL;
    struct tokenize_collector *collector = NULL;
    struct token_corpus *corpus = NULL;
    struct tokenize_batch batch;
    bool has_batch = true;
    size_t n_text = 0;
    struct error err = {.status = ST_OK};
    cr_assert_eq(tokenize_reader_create(&reader, sources, 2, &err), ST_OK);
    cr_assert_eq(tokenize_collector_create(&collector, "/tmp", no_limit, 2, &err), ST_OK);
    for (uint64_t i = 0;; i++) {
        cr_assert_eq(tokenize_reader_next(reader, &batch, &has_batch, &err), ST_OK, "%s", err.text);
        if (!has_batch) break;
        cr_expect_eq(batch.index, i);
        cr_expect_eq(batch.has_tokens, batch.corpus_index == 1);
        cr_assert_eq(tokenize_collector_expect(collector, &batch, &err), ST_OK, "%s", err.text);
        if (batch.has_tokens) continue;
        cr_expect_leq(batch.n_documents, TOKENIZE_BATCH_BYTES / 1000);
        n_text += batch.n_documents;
        cr_assert_eq(put(collector, &batch, &err), ST_OK, "%s", err.text);
    }
    cr_expect_eq(n_text, 1000);
    cr_expect_eq(tokenize_reader_stats(reader, 0).n_text_bytes, 1000000);
    cr_assert_eq(tokenize_collector_take(collector, &corpus, &err), ST_OK, "%s", err.text);
    cr_expect_eq(token_corpus_n_documents(corpus), 2000);
    cr_expect_eq(token_corpus_n_tokens(corpus), 1000 * 1000 + 1000 * 2);
    cr_expect_str_eq(token_corpus_document(corpus, 1999).id, "news/t999");
    token_corpus_destroy(&corpus);
    tokenize_collector_destroy(&collector);
    tokenize_reader_destroy(&reader);
}

Test(tokenize_plan, a_skipped_corpus_is_left_at_once, .init = make_files, .fini = remove_files)
{
    const struct sweep_source sources[] = {{.path = path[0], .format = CORPUS_FORMAT_JSONL},
                                           {.path = path[1], .format = CORPUS_FORMAT_TOKENS}};
    struct tokenize_reader *reader = NULL;
    struct tokenize_batch batch;
    bool has_batch;
    struct error err = {.status = ST_OK};
    cr_assert_eq(tokenize_reader_create(&reader, sources, 2, &err), ST_OK);
    cr_assert_eq(tokenize_reader_next(reader, &batch, &has_batch, &err), ST_OK);
    tokenize_reader_skip(reader, 0);
    tokenize_reader_skip(reader, 0); /* no effect: it is behind us */
    cr_assert_eq(tokenize_reader_next(reader, &batch, &has_batch, &err), ST_OK, "%s", err.text);
    cr_expect(has_batch && batch.corpus_index == 1 && batch.index == 1);
    cr_expect_str_eq(batch.ids[0], "t0");
    tokenize_reader_destroy(&reader);
}
