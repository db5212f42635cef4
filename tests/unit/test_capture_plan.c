#include "coordinator/plan/capture_plan.h"

#include "common/hash.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BOS = 1000, EOS = 1001, FIRST_TOKEN = 10 };

static const struct capture_plan_params base = {.packing = SWEEP_PACKING_NONE,
                                                .rows_per_unit = 4,
                                                .context_tokens = 16,
                                                .min_window_tokens = 3,
                                                .bos_token = BOS,
                                                .eos_token = EOS,
                                                .splits = {50, 20, 30},
                                                .seed = 3};

/* `n` documents of 1 to 60 tokens; token j of document i is FIRST_TOKEN + (i * 61 + j) % 900, so
 * that all contents differ. The last n_ood are two corpora of their own. */
static struct token_corpus *make_corpus(size_t n, size_t n_ood)
{
    struct token_corpus *corpus = NULL;
    struct error err = {.status = ST_OK};
    cr_assert_eq(token_corpus_create(&corpus, "/tmp", &err), ST_OK);
    for (size_t i = 0; i < n; i++) {
        uint32_t tokens[60];
        char id[32];
        const uint32_t in_ood = i >= n - n_ood;
        const uint32_t corpus_index = in_ood ? (i >= n - n_ood / 2 ? 2 : 1) : 0;
        const size_t n_tokens = i * 37 % 60 + 1;
        for (size_t j = 0; j < n_tokens; j++)
            tokens[j] = FIRST_TOKEN + (uint32_t)((i * 61 + j * (i + 1)) % 900);
        (void)snprintf(id, sizeof id, "document-%zu", i);
        cr_assert_eq(token_corpus_add(corpus, corpus_index, id, tokens, n_tokens, &err), ST_OK);
    }
    return corpus;
}

static struct capture_plan *make_plan(const struct token_corpus *corpus,
                                      const struct capture_plan_params *params)
{
    struct capture_plan *plan = NULL;
    struct error err = {.status = ST_OK};
    cr_assert_eq(capture_plan_create(&plan, corpus, params, &err), ST_OK, "%s", err.text);
    return plan;
}

/* Every unit is valid, of one split in order, and its rows hold the documents' tokens, padding
 * and separators and nothing else. Adds up the tokens seen of every document. */
static void check_unit(const struct capture_plan *plan, const struct token_corpus *corpus,
                       const struct capture_plan_params *params, const struct capture_unit *unit,
                       uint32_t *n_seen)
{
    const uint32_t context = params->context_tokens;
    struct error err = {.status = ST_OK};
    bool *is_text = calloc((size_t)params->rows_per_unit * context, sizeof *is_text);
    cr_assert_eq(capture_unit_check(unit, &err), ST_OK, "%s", err.text);
    cr_assert(unit->n_segments > 0 && unit->n_rows == params->rows_per_unit);
    for (uint32_t s = 0; s < unit->n_segments; s++) {
        const struct capture_segment *segment = &unit->segments[s];
        const size_t at = (size_t)segment->row * context + segment->start;
        uint32_t want[64];
        cr_assert_eq(segment->document_offset, n_seen[segment->document_index], "gap or repeat");
        cr_assert_eq(token_corpus_read(corpus, segment->document_index, segment->document_offset,
                                       segment->length, want, &err),
                     ST_OK);
        cr_expect_eq(memcmp(unit->tokens + at, want, segment->length * sizeof *want), 0);
        for (uint32_t i = 0; i < segment->length; i++) is_text[at + i] = true;
        n_seen[segment->document_index] += segment->length;
        if (segment->start > 0) /* something stands between it and what is before */
            cr_expect_eq(unit->tokens[at - 1], params->bos_token != EVIDENCE_NO_TOKEN ? BOS : EOS);
        else
            cr_expect_eq(params->bos_token, EVIDENCE_NO_TOKEN);
        cr_expect_eq(token_corpus_document(corpus, segment->document_index).corpus_index,
                     capture_plan_unit_corpus(plan, unit->unit_number));
    }
    for (size_t i = 0; i < (size_t)params->rows_per_unit * context; i++)
        if (!is_text[i])
            cr_expect(unit->tokens[i] == 0 || unit->tokens[i] == BOS || unit->tokens[i] == EOS);
    free(is_text);
}

static void check_plan(const struct token_corpus *corpus, const struct capture_plan_params *params)
{
    struct capture_plan *plan = make_plan(corpus, params);
    const size_t n_documents = token_corpus_n_documents(corpus);
    uint32_t *n_seen = calloc(n_documents, sizeof *n_seen);
    uint32_t *tokens =
        malloc((size_t)params->rows_per_unit * params->context_tokens * sizeof *tokens);
    uint64_t n_short = 0, low, high, n_leaks = 99;
    struct error err = {.status = ST_OK};
    for (unsigned split = 0; split < EVIDENCE_N_SPLITS; split++) {
        capture_plan_range(plan, (enum evidence_split)split, &low, &high);
        for (uint64_t i = low; i < high; i++) {
            struct capture_unit unit;
            cr_assert_eq(capture_plan_unit(plan, i, tokens, &unit, &err), ST_OK);
            cr_expect_eq(unit.split, (enum evidence_split)split);
            cr_expect_eq(unit.unit_number, i);
            check_unit(plan, corpus, params, &unit, n_seen);
        }
    }
    cr_expect_eq(high, capture_plan_n_units(plan), "the ranges cover all units");
    for (size_t i = 0; i < n_documents; i++) {
        const uint32_t n_left = token_corpus_document(corpus, i).n_tokens - n_seen[i];
        cr_expect_lt(n_left, params->min_window_tokens, "document %zu", i);
        n_short += n_left;
    }
    cr_expect_eq(n_short, capture_plan_stats(plan).n_short_tokens);
    cr_assert_eq(capture_plan_count_leaks(plan, &n_leaks, &err), ST_OK);
    cr_expect_eq(n_leaks, 0);
    free(tokens);
    free(n_seen);
    capture_plan_destroy(&plan);
    cr_expect_null(plan);
}

Test(capture_plan, units_hold_every_document_once_in_order_of_split)
{
    struct token_corpus *corpus = make_corpus(200, 20);
    struct capture_plan_params params = base;
    for (unsigned packing = 0; packing < 2; packing++)
        for (unsigned has_bos = 0; has_bos < 2; has_bos++) {
            params.packing = packing ? SWEEP_PACKING_CONCATENATE : SWEEP_PACKING_NONE;
            params.bos_token = has_bos ? BOS : EVIDENCE_NO_TOKEN;
            check_plan(corpus, &params);
        }
    token_corpus_destroy(&corpus);
}

Test(capture_plan, concatenate_needs_fewer_rows_than_none)
{
    struct token_corpus *corpus = make_corpus(200, 0);
    struct capture_plan_params params = base;
    struct capture_plan *none = make_plan(corpus, &params), *packed;
    params.packing = SWEEP_PACKING_CONCATENATE;
    packed = make_plan(corpus, &params);
    cr_expect_lt(capture_plan_stats(packed).n_rows[EVIDENCE_EXPLAIN],
                 capture_plan_stats(none).n_rows[EVIDENCE_EXPLAIN]);
    capture_plan_destroy(&none);
    capture_plan_destroy(&packed);
    token_corpus_destroy(&corpus);
}

Test(capture_plan, rows_are_laid_out_as_the_header_draws_them)
{
    struct token_corpus *corpus = NULL;
    struct capture_plan_params params = base;
    struct capture_unit unit;
    struct error err = {.status = ST_OK};
    const uint32_t a[] = {11, 12, 13, 14, 15}, b[] = {21, 22, 23, 24};
    static const struct {
        enum sweep_packing packing;
        uint32_t bos_token, n_segments, last_offset, want[16];
    } cases[] = {
        {SWEEP_PACKING_NONE, BOS, 2, 0, {BOS, 11, 12, 13, 14, 15, 0, 0, BOS, 21, 22, 23, 24}},
        {SWEEP_PACKING_NONE,
         EVIDENCE_NO_TOKEN,
         2,
         0,
         {11, 12, 13, 14, 15, 0, 0, 0, 21, 22, 23, 24}},
        /* one place would be left for b: no window, so b begins a row */
        {SWEEP_PACKING_CONCATENATE,
         BOS,
         2,
         0,
         {BOS, 11, 12, 13, 14, 15, 0, 0, BOS, 21, 22, 23, 24}},
        /* two tokens of b fit, two go on in the next row */
        {SWEEP_PACKING_CONCATENATE,
         EVIDENCE_NO_TOKEN,
         3,
         2,
         {11, 12, 13, 14, 15, EOS, 21, 22, 23, 24}},
    };
    uint32_t tokens[16];
    params.context_tokens = 8;
    params.rows_per_unit = 2;
    params.min_window_tokens = 2;
    params.splits = (struct sweep_splits){100, 0, 0};
    cr_assert_eq(token_corpus_create(&corpus, "/tmp", &err), ST_OK);
    cr_assert_eq(token_corpus_add(corpus, 0, "a", a, 5, &err), ST_OK);
    cr_assert_eq(token_corpus_add(corpus, 0, "b", b, 4, &err), ST_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        params.packing = cases[i].packing;
        params.bos_token = cases[i].bos_token;
        struct capture_plan *plan = make_plan(corpus, &params);
        cr_assert_eq(capture_plan_unit(plan, 0, tokens, &unit, NULL), ST_OK);
        cr_expect_eq(memcmp(tokens, cases[i].want, sizeof tokens), 0, "case %zu", i);
        cr_assert_eq(unit.n_segments, cases[i].n_segments, "case %zu", i);
        cr_expect_eq(unit.segments[unit.n_segments - 1].document_offset, cases[i].last_offset);
        capture_plan_destroy(&plan);
    }
    token_corpus_destroy(&corpus);
}

Test(capture_plan, a_document_longer_than_a_row_goes_on_in_the_next)
{
    struct token_corpus *corpus = NULL;
    struct capture_plan_params params = base;
    struct capture_unit unit;
    struct error err = {.status = ST_OK};
    uint32_t document[40], tokens[64];
    for (uint32_t i = 0; i < 40; i++) document[i] = 100 + i;
    params.splits = (struct sweep_splits){100, 0, 0};
    cr_assert_eq(token_corpus_create(&corpus, "/tmp", &err), ST_OK);
    cr_assert_eq(token_corpus_add(corpus, 0, "long", document, 32, &err), ST_OK);
    struct capture_plan *plan = make_plan(corpus, &params);
    cr_assert_eq(capture_plan_unit(plan, 0, tokens, &unit, NULL), ST_OK);
    cr_expect_eq(unit.n_segments, 2, "15 + 15 tokens, and a tail of 2 that is no window");
    cr_expect_eq(unit.segments[1].document_offset, 15);
    cr_expect_eq(tokens[16], BOS);
    cr_expect_eq(tokens[17], 115);
    cr_expect_eq(capture_plan_stats(plan).n_short_tokens, 2);
    cr_expect_eq(capture_plan_stats(plan).n_short_documents, 0);
    capture_plan_destroy(&plan);
    token_corpus_destroy(&corpus);
}

Test(capture_plan, equal_plans_have_equal_keys)
{
    struct token_corpus *corpus = make_corpus(100, 0), *other = make_corpus(101, 0);
    struct capture_plan_params params = base;
    struct capture_plan *a = make_plan(corpus, &params), *b = make_plan(corpus, &params);
    cr_expect_eq(capture_plan_key(a), capture_plan_key(b));
    capture_plan_destroy(&b);
    b = make_plan(other, &params);
    cr_expect_neq(capture_plan_key(a), capture_plan_key(b));
    capture_plan_destroy(&b);
    params.seed++;
    b = make_plan(corpus, &params);
    cr_expect_neq(capture_plan_key(a), capture_plan_key(b));
    capture_plan_destroy(&a);
    capture_plan_destroy(&b);
    token_corpus_destroy(&corpus);
    token_corpus_destroy(&other);
}

Test(capture_plan, what_cannot_be_planned_is_refused_by_name)
{
    struct token_corpus *corpus = make_corpus(100, 0), *tiny = make_corpus(2, 0);
    struct capture_plan_params no_separator = base, no_room = base;
    struct capture_plan *plan = NULL;
    struct error err = {.status = ST_OK};
    no_separator.packing = SWEEP_PACKING_CONCATENATE;
    no_separator.bos_token = no_separator.eos_token = EVIDENCE_NO_TOKEN;
    cr_expect_eq(capture_plan_create(&plan, corpus, &no_separator, &err), ST_BAD_INPUT);
    cr_expect_not_null(strstr(err.text, "needs BOS or EOS"), "%s", err.text);
    error_clear(&err);
    no_room.context_tokens = 3;
    cr_expect_eq(capture_plan_create(&plan, corpus, &no_room, &err), ST_BAD_INPUT);
    cr_expect_str_eq(err.text, "a context of 3 tokens has no room for a window of 3 behind BOS");
    error_clear(&err);
    cr_expect_eq(capture_plan_create(&plan, tiny, &base, &err), ST_BAD_INPUT);
    cr_expect_not_null(strstr(err.text, "the corpus is too small"), "%s", err.text);
    cr_expect_null(plan);
    token_corpus_destroy(&corpus);
    token_corpus_destroy(&tiny);
}

Test(capture_plan, bos_follows_the_spec_and_the_model)
{
    static const struct {
        enum sweep_bos bos;
        uint32_t token;
        bool model_uses_bos;
        status_t status;
        uint32_t want;
    } cases[] = {
        {SWEEP_BOS_AUTO, 5, true, ST_OK, 5},
        {SWEEP_BOS_AUTO, 5, false, ST_OK, EVIDENCE_NO_TOKEN},
        {SWEEP_BOS_TRUE, 5, false, ST_OK, 5},
        {SWEEP_BOS_FALSE, 5, true, ST_OK, EVIDENCE_NO_TOKEN},
        {SWEEP_BOS_TRUE, EVIDENCE_NO_TOKEN, false, ST_BAD_INPUT, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sweep_spec spec = {.model = (char[]){"m"}, .corpus = {.bos = cases[i].bos}};
        struct capture_plan_params params;
        struct error err = {.status = ST_OK};
        cr_expect_eq(capture_plan_params_init(&params, &spec, cases[i].token, EOS,
                                              cases[i].model_uses_bos, &err),
                     cases[i].status, "case %zu", i);
        if (cases[i].status == ST_OK) cr_expect_eq(params.bos_token, cases[i].want, "case %zu", i);
    }
}

/* --- sides ------------------------------------------------------------------------------- */

Test(split, shares_are_near_the_percentages_and_follow_the_seed)
{
    const struct sweep_splits splits = {50, 20, 30};
    uint32_t n[3] = {0}, n_moved = 0;
    for (uint64_t i = 0; i < 20000; i++) {
        const uint64_t key = hash_name64(&i, sizeof i);
        const enum evidence_split split = split_of_key(key, &splits, 1);
        n[split]++;
        n_moved += split != split_of_key(key, &splits, 2);
    }
    cr_expect(abs((int)n[0] - 10000) < 300 && abs((int)n[1] - 4000) < 250, "%u %u %u", n[0], n[1],
              n[2]);
    cr_expect_gt(n_moved, 10000, "another seed is another split");
}

Test(split, equal_texts_share_a_side_and_ood_copies_are_dropped)
{
    struct token_corpus *corpus = NULL;
    struct split_counts counts;
    struct error err = {.status = ST_OK};
    const struct sweep_splits splits = {50, 20, 30};
    const uint32_t twin[] = {7, 8, 9}, once[] = {1}, ood[] = {2, 2};
    uint8_t side[64];
    char id[16];
    cr_assert_eq(token_corpus_create(&corpus, "/tmp", &err), ST_OK);
    for (unsigned i = 0; i < 20; i++) {
        (void)snprintf(id, sizeof id, "twin-%u", i);
        cr_assert_eq(token_corpus_add(corpus, 0, id, twin, 3, &err), ST_OK);
    }
    cr_assert_eq(token_corpus_add(corpus, 0, "once", once, 1, &err), ST_OK);
    cr_assert_eq(token_corpus_add(corpus, 1, "copy-of-once", once, 1, &err), ST_OK);
    cr_assert_eq(token_corpus_add(corpus, 1, "copy-of-twin", twin, 3, &err), ST_OK);
    cr_assert_eq(token_corpus_add(corpus, 1, "new-1", ood, 2, &err), ST_OK);
    cr_assert_eq(token_corpus_add(corpus, 1, "new-2", ood, 2, &err), ST_OK);
    cr_assert_eq(token_corpus_add(corpus, 2, "new-3", ood, 2, &err), ST_OK);
    cr_assert_eq(split_assign(corpus, &splits, 5, side, &counts, &err), ST_OK);
    for (unsigned i = 1; i < 20; i++) cr_expect_eq(side[i], side[0], "twin %u", i);
    cr_expect_eq(side[20], (uint8_t)split_of_key(hash_name64("once", 4), &splits, 5));
    cr_expect_eq(side[21], SPLIT_DROPPED);
    cr_expect_eq(side[22], SPLIT_DROPPED);
    cr_expect_eq(side[23], EVIDENCE_OOD);
    cr_expect_eq(side[24], EVIDENCE_OOD);
    cr_expect_eq(side[25], SPLIT_DROPPED, "an earlier corpus has it");
    cr_expect_eq(counts.n_duplicates, 19);
    cr_expect_eq(counts.n_ood_duplicates, 3);
    token_corpus_destroy(&corpus);
}

/* A leak made on purpose: a plan over one corpus, counted against a corpus in which a document
 * of another side has the same tokens. */
Test(split, the_leak_count_sees_a_leak)
{
    struct token_corpus *corpus = make_corpus(60, 0), *leaky = NULL;
    struct capture_plan *plan = make_plan(corpus, &base);
    const struct capture_plan_stats stats = capture_plan_stats(plan);
    uint64_t n_leaks = 0;
    struct error err = {.status = ST_OK};
    cr_assert_eq(capture_plan_count_leaks(plan, &n_leaks, &err), ST_OK);
    cr_expect_eq(n_leaks, 0);
    cr_assert_gt(stats.n_documents[EVIDENCE_EXPLAIN], 1);
    /* All documents with the same content: every one of them that was placed is a leak. */
    cr_assert_eq(token_corpus_create(&leaky, "/tmp", &err), ST_OK);
    for (size_t i = 0; i < 60; i++) {
        const uint32_t same[] = {5, 5, 5};
        cr_assert_eq(token_corpus_add(leaky, 0, token_corpus_document(corpus, i).id, same, 3, &err),
                     ST_OK);
    }
    cr_assert_eq(capture_plan_count_leaks_in(plan, leaky, &n_leaks, &err), ST_OK);
    cr_expect_eq(n_leaks, stats.n_documents[0] + stats.n_documents[1] + stats.n_documents[2]);
    capture_plan_destroy(&plan);
    token_corpus_destroy(&corpus);
    token_corpus_destroy(&leaky);
}
