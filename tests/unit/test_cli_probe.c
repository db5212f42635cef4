/* `interpctl probe` in one process: what it asks, that it asks until it is done, what it shows. */
#include "coordinator/cli/commands.h"
#include "tests/unit/cli_ran.h"

#include <criterion/criterion.h>
#include <string.h>

#define ALL_OPTIONS (~UINT64_C(0) >> (64 - CLI_N_OPTIONS))
static const struct cli_command commands[] = {{"probe", NULL, "[SWEEP] FEATURE TEXT...", "",
                                               ALL_OPTIONS, (1u << CLI_N_FORMATS) - 1, 2,
                                               CLI_MAX_POSITIONAL, false, probe_command},
                                              {.name = NULL}};

struct world {
    int n_pending, n_workers;
    bool has_threshold;
    json_t *asked; /* of the last request */
    int n_asked;
};

static json_t *probe(const char *const *tokens, const double *values, size_t n, const char *fires)
{
    json_t *list = json_array(), *activations = json_array();
    double max = 0;
    for (size_t i = 0; i < n; i++) {
        (void)json_array_append_new(list, json_string(tokens[i]));
        (void)json_array_append_new(activations, json_real(values[i]));
        max = values[i] > max ? values[i] : max;
    }
    json_t *verdict = fires ? json_boolean(fires[0] == 'y') : json_null();
    return json_pack("{s:n, s:b, s:o, s:o, s:f, s:o}", "error", "is_cut", n == 1, "tokens", list,
                     "activations", activations, "max", max, "fires", verdict);
}

static json_t *done(const struct world *world)
{
    static const char *const cat[] = {"The", " cat", " s\x1b[2J", "at"}, *const dog[] = {"dog"};
    static const double cat_values[] = {0, 2.5, 0.25, 0}, dog_values[] = {0};
    return json_pack("{s:s, s:s, s:s, s:i, s:o, s:[o, o, {s:s}]}", "state", "done", "hook_point",
                     "blocks.2.hook_resid_pre", "dictionary", "sae", "feature", 7, "fire_threshold",
                     world->has_threshold ? json_real(0.5) : json_null(), "probes",
                     probe(cat, cat_values, 4, world->has_threshold ? "y" : NULL),
                     probe(dog, dog_values, 1, world->has_threshold ? "n" : NULL), "error",
                     "empty after tokenization");
}

static status_t answer(void *context, const char *operation, const json_t *arguments,
                       json_t **result, char *error)
{
    struct world *world = context;
    (void)error;
    cr_assert_str_eq(operation, "probe");
    json_decref(world->asked);
    world->asked = json_deep_copy(arguments);
    world->n_asked++;
    *result = world->n_pending-- > 0 ? json_pack("{s:s, s:i, s:n}", "state", "pending", "n_workers",
                                                 world->n_workers, "wants")
                                     : done(world);
    return ST_OK;
}

static struct cli_ran run(struct world *world, const char *const *words)
{
    struct cli_router router = {.answer = answer, .context = world};
    cli_router_start(&router, NULL);
    const struct cli_ran ran = cli_ran(commands, &router, 0, words);
    cli_router_stop(&router);
    return ran;
}
#define RUN(world, ...) run((world), (const char *const[]){"probe", __VA_ARGS__, NULL})

static void forget(struct cli_ran *ran, struct world *world)
{
    cli_ran_forget(ran);
    json_decref(world->asked);
}

Test(cli_probe, asks_until_it_is_done_and_marks_what_fires)
{
    struct world world = {.n_pending = 3, .n_workers = 1, .has_threshold = true};
    struct cli_ran ran = RUN(&world, "demo-1", "7", "The cat", "dog", "");
    cr_expect_eq(ran.code, 2, "an empty argument is a mistake: %s", ran.err);
    forget(&ran, &world);
    world = (struct world){.n_pending = 3, .n_workers = 1, .has_threshold = true};
    ran = RUN(&world, "demo-1", "7", "The cat", "dog", " ");
    cr_expect_eq(ran.code, 0, "%s", ran.err);
    cr_expect_eq(world.n_asked, 4);
    cr_expect(strstr(ran.out, "feature 7 of blocks.2.hook_resid_pre, sae; fires above 0.5\n"), "%s",
              ran.out);
    cr_expect(strstr(ran.out, "     2.5  fires  The[ cat] s"), "%s", ran.out);
    cr_expect(strstr(ran.out, "\" cat\" 2.5, \" s"), "every value above 0: %s", ran.out);
    cr_expect(strstr(ran.out, "     MAX         TEXT\n"), "%s", ran.out);
    cr_expect(strstr(ran.out, "       0  silent dog ... (cut at the context)\n"), "%s", ran.out);
    cr_expect(strstr(ran.out, "       -  error  empty after tokenization\n"), "%s", ran.out);
    cr_expect_null(strchr(ran.out, '\x1b'), "a token's control characters stay out");
    forget(&ran, &world);
}

Test(cli_probe, without_a_threshold_it_gives_no_verdict)
{
    struct world world = {.has_threshold = false};
    struct cli_ran ran = RUN(&world, "demo-1", "7", "The cat");
    cr_expect_eq(ran.code, 0, "%s", ran.err);
    cr_expect(strstr(ran.out, "from which value on it fires is not known"), "%s", ran.out);
    cr_expect(strstr(ran.out, "     2.5  -      The[ cat s"), "%s", ran.out);
    forget(&ran, &world);
}

Test(cli_probe, asks_for_feature_and_texts_of_a_sweep)
{
    struct world world = {0};
    struct cli_ran ran = RUN(&world, "demo-1", "7", "--target", "2", "a", "b", "-o", "json");
    json_t *want = json_pack("{s:s, s:i, s:i, s:[s, s]}", "sweep", "demo-1", "feature", 7, "target",
                             2, "texts", "a", "b");
    cr_expect_eq(ran.code, 0, "%s", ran.err);
    cr_expect(json_equal(world.asked, want));
    cr_expect(strstr(ran.out, "\"kind\": \"Probes\""), "%s", ran.out);
    json_decref(want);
    forget(&ran, &world);
}

Test(cli_probe, asks_for_a_feature_of_a_model_by_absolute_paths)
{
    struct world world = {0};
    struct cli_ran ran = RUN(&world, "--model", "config/demo/model", "--hook",
                             "blocks.0.mlp.hook_post", "--units", "neurons", "7", "a");
    cr_expect_eq(ran.code, 0, "%s", ran.err);
    const char *model = json_string_value(json_object_get(world.asked, "model"));
    cr_assert(model);
    cr_expect_eq(model[0], '/');
    cr_expect(strstr(model, "/config/demo/model"));
    cr_expect_str_eq(json_string_value(json_object_get(world.asked, "units")), "neurons");
    cr_expect_null(json_object_get(world.asked, "sweep"));
    forget(&ran, &world);
}

Test(cli_probe, says_when_there_are_no_workers)
{
    struct world world = {.n_pending = 1 << 20};
    struct cli_ran ran = RUN(&world, "demo-1", "7", "a");
    cr_expect_eq(ran.code, 4);
    cr_expect(strstr(ran.err, "no worker is connected"), "%s", ran.err);
    forget(&ran, &world);
}

Test(cli_probe, gives_up_after_its_timeout)
{
    struct world world = {.n_pending = 1 << 20, .n_workers = 1};
    struct cli_ran ran = RUN(&world, "demo-1", "7", "a", "--timeout", "0.3");
    cr_expect_eq(ran.code, 124);
    cr_expect(strstr(ran.err, "no answer in 0.3 s"), "%s", ran.err);
    forget(&ran, &world);
}

Test(cli_probe, refuses_what_makes_no_sense_without_asking)
{
    static const struct {
        const char *words[8];
        int code;
        const char *want;
    } cases[] = {
        {{"demo-1", "many", "a"}, 2, "feature \"many\""},
        {{"demo-1", "7"}, 2, "no text to probe with"},
        {{"demo-1", "7", "a", "--hook", "x"}, 2, "go with --model"},
        {{"--model", "config/demo/model", "7", "a"}, 2, "--model needs --hook"},
        {{"--model", "config/demo/model", "--hook", "x", "7", "a"}, 2, "--dictionary or --units"},
        {{"--model", "/nowhere", "--hook", "x", "--units", "heads", "7", "a"}, 3, "/nowhere"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct world world = {0};
        const char *words[10] = {"probe"};
        for (size_t k = 0; k < 8; k++) words[k + 1] = cases[i].words[k];
        struct cli_ran ran = run(&world, words);
        cr_expect_eq(ran.code, cases[i].code, "%s: %d", cases[i].want, ran.code);
        cr_expect(strstr(ran.err, cases[i].want), "%s", ran.err);
        cr_expect_eq(world.n_asked, 0);
        forget(&ran, &world);
    }
}
