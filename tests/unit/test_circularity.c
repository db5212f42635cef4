#include "coordinator/plan/circularity.h"

#include <criterion/criterion.h>
#include <string.h>

#define SWEEP                                                                                      \
    "kind: label\nname: s\nmodel: /m\ncorpus: {path: /c.jsonl}\n"                                  \
    "targets: [{hook: blocks.0.hook_resid_pre, dictionary: /d}]\n"

/* Names as the configuration has them: not constant. */
static char alpha[] = "alpha", alpha_again[] = "Alpha", beta[] = "beta";
static char a[] = "a", twin[] = "twin", b[] = "b", gamma_family[] = "gamma";
static char b_or_a[] = "b_or_a", c_or_b[] = "c_or_b", c_or_lost[] = "c_or_lost", lost[] = "lost";
static struct provider list[] = {
    {.name = a, .family = alpha},
    {.name = twin, .family = alpha_again},
    {.name = b, .family = beta},
    {.name = b_or_a, .family = beta, .fallback = a},
    {.name = c_or_b, .family = gamma_family, .fallback = b_or_a},
    {.name = c_or_lost, .family = gamma_family, .fallback = lost},
};
static const struct provider_config providers = {.providers = list,
                                                 .n_providers = sizeof list / sizeof list[0]};

static status_t check(const char *more, const struct provider_config *config, struct error *err)
{
    char yaml[1024];
    struct sweep_spec *spec = NULL;
    (void)snprintf(yaml, sizeof yaml, "%s%s\n", SWEEP, more);
    const struct sweep_text text = {yaml, strlen(yaml), "s.yaml", NULL};
    cr_assert_eq(sweep_spec_parse(&spec, &text, err), ST_OK, "%s", err->text);
    const status_t status = circularity_check(spec, config, err);
    sweep_spec_free(&spec);
    return status;
}

Test(circularity, one_family_is_refused_by_name)
{
    static const char *const refused[] = {"explainer: a\njudge: a",
                                          "explainer: a\njudge: twin",
                                          "explainer: a\njudge: twin\nmode: agentic",
                                          "explainer: a\njudge: a\ncontrol: permuted",
                                          "explainer: a\njudge: b\njudges: [c_or_lost, twin]",
                                          "explainer: a\njudge: b\njudges: [b_or_a]",
                                          "explainer: a\njudge: a\ncontrol: random_weights"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct error err = {0};
        cr_expect_eq(check(refused[i], &providers, &err), ST_BAD_INPUT, "%s", refused[i]);
        cr_expect(strstr(err.text, "one family") && strstr(err.text, "allow_same_family: true"),
                  "%s", err.text);
    }
}

Test(circularity, a_fallback_of_the_others_family_is_refused_by_name)
{
    static const struct {
        const char *more, *want;
    } cases[] = {
        {"explainer: a\njudge: b_or_a", "its fallback a and the explainer a are of one family"},
        {"explainer: b_or_a\njudge: twin",
         "judge: twin and the explainer's fallback a are of one family"},
        {"explainer: b\njudge: c_or_b", "its fallback b_or_a and the explainer b "},
        {"explainer: b_or_a\njudge: c_or_b", "its fallback b_or_a and the explainer b_or_a "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {0};
        cr_expect_eq(check(cases[i].more, &providers, &err), ST_BAD_INPUT, "%s", cases[i].more);
        cr_expect(strstr(err.text, cases[i].want), "%s: %s", cases[i].more, err.text);
    }
}

Test(circularity, two_families_or_less_than_two_models_are_not)
{
    static const char *const allowed[] = {"explainer: a\njudge: b",
                                          "explainer: b\njudge: a\njudges: [twin]",
                                          "explainer: lexical\njudge: lexical",
                                          "explainer: lexical\njudge: a",
                                          "explainer: a\njudge: a\nallow_same_family: true",
                                          "explainer: a\njudge: a\ncontrol: random_judge",
                                          "explainer: a\njudge: a\nmode: score_only\nlabels: /l",
                                          "explainer: a\njudge: c_or_lost",
                                          "explainer: a\njudge: c_or_b",
                                          "explainer: a\njudge: b_or_a\nallow_same_family: true",
                                          "explainer: a\njudge: nobody"};
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++) {
        struct error err = {0};
        cr_expect_eq(check(allowed[i], &providers, &err), ST_OK, "%s: %s", allowed[i], err.text);
    }
    struct error err = {0};
    cr_expect_eq(check("explainer: a\njudge: a", NULL, &err), ST_OK, "no providers are known");
}
