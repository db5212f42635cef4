#include "common/neighbours.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { K = EVIDENCE_NEIGHBOURS, N_ALL = 40 };

static const struct neighbours_unit ASKED = {.target = 1, .first = 10, .n_slots = 3};

static void make(struct neighbour of[3 * K])
{
    for (uint32_t i = 0; i < 3 * K; i++)
        of[i] = (struct neighbour){20 + i % K, 1.0f - (float)(i % K) / 16.0f};
    of[K + 3].cosine = of[K + 2].cosine;                        /* equal ones by slot */
    of[3 * K - 1] = (struct neighbour){EVIDENCE_NO_SLOT, 0.0f}; /* fewer than K */
}

static status_t round_trip(const struct neighbour *of, struct neighbour *got)
{
    struct buffer bytes;
    buffer_init(&bytes, NEIGHBOURS_MAX_BYTES);
    cr_assert_eq(neighbours_answer_encode(of, 3, &bytes, NULL), ST_OK);
    const status_t status =
        neighbours_answer_decode(bytes.bytes, bytes.n_bytes, &ASKED, N_ALL, got, NULL);
    buffer_fini(&bytes);
    return status;
}

Test(neighbours, a_unit_comes_back_and_no_part_of_it_does)
{
    struct neighbours_unit got;
    struct buffer bytes;
    buffer_init(&bytes, 64);
    cr_assert_eq(neighbours_unit_encode(&ASKED, &bytes, NULL), ST_OK);
    for (size_t n = 0; n < bytes.n_bytes; n++)
        cr_expect_eq(neighbours_unit_decode(bytes.bytes, n, &got, NULL), ST_CORRUPT);
    cr_assert_eq(neighbours_unit_decode(bytes.bytes, bytes.n_bytes, &got, NULL), ST_OK);
    cr_expect_eq(got.target, 1);
    cr_expect_eq(got.first, 10);
    cr_expect_eq(got.n_slots, 3);
    memset((unsigned char *)bytes.bytes + 8, 0, 4);
    cr_expect_eq(neighbours_unit_decode(bytes.bytes, bytes.n_bytes, &got, NULL), ST_CORRUPT);
    buffer_fini(&bytes);
}

Test(neighbours, an_answer_comes_back_and_no_part_of_it_does)
{
    struct neighbour of[3 * K], got[3 * K];
    struct buffer bytes;
    make(of);
    cr_assert_eq(round_trip(of, got), ST_OK);
    cr_expect_arr_eq(got, of, sizeof of);
    buffer_init(&bytes, NEIGHBOURS_MAX_BYTES);
    cr_assert_eq(neighbours_answer_encode(of, 3, &bytes, NULL), ST_OK);
    for (size_t n = 0; n < bytes.n_bytes; n++)
        cr_expect_eq(neighbours_answer_decode(bytes.bytes, n, &ASKED, N_ALL, got, NULL),
                     ST_CORRUPT);
    buffer_fini(&bytes);
}

/* One change a line. */
/* clang-format off */
static void behind_the_last(struct neighbour *of) { of[2].slot = N_ALL; }
static void itself(struct neighbour *of) { of[K].slot = 11; }
static void rising(struct neighbour *of) { of[1].cosine = 0.1f; }
static void twice(struct neighbour *of) { of[K + 3].slot = of[K + 2].slot; }
static void above_one(struct neighbour *of) { of[0].cosine = 1.5f; }
static void of_zero(struct neighbour *of) { of[K - 1].cosine = 0; }
static void not_a_number(struct neighbour *of) { of[0].cosine = NAN; }
static void a_hole(struct neighbour *of) { of[4] = (struct neighbour){EVIDENCE_NO_SLOT, 0}; }
static void nobody_near(struct neighbour *of) { of[3 * K - 1].cosine = 0.5f; }
/* clang-format on */

Test(neighbours, answers_that_make_no_sense_are_refused)
{
    static const struct {
        const char *name;
        void (*change)(struct neighbour *of);
    } cases[] = {{"a slot behind the last", behind_the_last},
                 {"a slot beside itself", itself},
                 {"a nearer one later", rising},
                 {"the same one twice", twice},
                 {"a cosine above one", above_one},
                 {"a cosine of zero", of_zero},
                 {"a cosine that is none", not_a_number},
                 {"somebody after nobody", a_hole},
                 {"nobody at a cosine", nobody_near}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct neighbour of[3 * K], got[3 * K];
        make(of);
        cases[i].change(of);
        cr_expect_eq(round_trip(of, got), ST_CORRUPT, "%s", cases[i].name);
    }
}
