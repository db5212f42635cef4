#include "coordinator/session/draw.h"
#include "coordinator/session/lexical_spellings.h"

#include <criterion/criterion.h>
#include <string.h>

Test(lexical_spellings, equal_text_has_one_id_through_all_growth)
{
    struct lexical_spellings all = {.arena = NULL};
    enum { N = 5000 };
    static uint32_t letters[N][6], ids[N];
    struct draw draw = {2};
    for (size_t i = 0; i < N; i++) {
        for (size_t k = 0; k < 6; k++) letters[i][k] = 'a' + draw_below(&draw, 4);
        cr_assert_eq(lexical_spellings_add(&all, letters[i], 6, &ids[i], NULL), ST_OK);
    }
    for (size_t i = 0; i < N; i++) {
        uint32_t again;
        size_t n_bytes;
        cr_assert_eq(lexical_spellings_add(&all, letters[i], 6, &again, NULL), ST_OK);
        cr_assert_eq(again, ids[i]);
        const char *text = lexical_spellings_text(&all, ids[i], &n_bytes);
        cr_assert_eq(n_bytes, 6);
        for (size_t k = 0; k < 6; k++) cr_assert_eq((uint32_t)text[k], letters[i][k]);
    }
    cr_expect_leq(all.n_spellings, 4096, "4^6 texts are possible");
    lexical_spellings_fini(&all);
    lexical_spellings_fini(&all);
}

Test(lexical_spellings, holds_utf8_and_refuses_what_is_too_long)
{
    struct lexical_spellings all = {.arena = NULL};
    static const uint32_t cafe[] = {'c', 'a', 'f', 0xE9};
    static const uint32_t many[LEXICAL_MAX_CHARACTERS + 1] = {'x'};
    uint32_t id = 77;
    size_t n_bytes;
    cr_assert_eq(lexical_spellings_add(&all, cafe, 4, &id, NULL), ST_OK);
    cr_expect_eq(id, 0);
    cr_expect(memcmp(lexical_spellings_text(&all, 0, &n_bytes), "caf\xC3\xA9", 5) == 0);
    cr_expect_eq(n_bytes, 5);
    cr_expect_eq(lexical_spellings_add(&all, many, LEXICAL_MAX_CHARACTERS + 1, &id, NULL),
                 ST_TOO_LARGE);
    (void)lexical_spellings_text(&all, 9, &n_bytes);
    cr_expect_eq(n_bytes, 0);
    lexical_spellings_fini(&all);
}
