#include "worker/paper/paper_report.h"

#include <jansson.h>
#include <stdio.h>

static const char *bound_name(enum launch_bound bound)
{
    switch (bound) {
    case BOUND_MEMORY: return "memory";
    case BOUND_MATH: return "math";
    case BOUND_LINK: return "link";
    }
    return "?";
}

static const struct launch_cost *cost_of(const struct paper_report *r, unsigned kind)
{
    return &r->counted->counts.costs.of[kind];
}

static double launches_seconds(const struct paper_report *r)
{
    double seconds = 0;
    for (unsigned k = 0; k < LAUNCH_N; k++)
        seconds += launch_cost_time((enum launch_kind)k, cost_of(r, k), r->peaks).seconds;
    return seconds;
}

/* The weights' way over the link, under the launches, where the device has no room for them all. */
static double stream_seconds(const struct paper_report *r)
{
    return r->counted->counts.streamed_bytes / r->peaks->link_bytes_per_s;
}

double paper_report_limit(const struct paper_report *r)
{
    if (!r->peaks || !r->counted->n_tokens) return 0;
    const double launches = launches_seconds(r), stream = stream_seconds(r);
    return (double)r->counted->n_tokens / (launches > stream ? launches : stream);
}

/* What the products' multiplications and additions alone would allow. */
static double products_limit(const struct paper_report *r)
{
    double seconds = 0;
    if (!r->peaks || !r->counted->n_tokens) return 0;
    for (unsigned k = LAUNCH_PRODUCT_F32; k <= LAUNCH_PRODUCT_TF32; k++)
        seconds += cost_of(r, k)->flops / r->peaks->flops_per_s[launch_info_of(k)->unit];
    return (double)r->counted->n_tokens / seconds;
}

/* Work of a capture goes to and fro between device and host: a thread alone has one of them wait.
 * Two threads keep both busy until the device, which they share, is full. 0: not known. */
static double threads_limit(const struct paper_report *r, size_t n_threads)
{
    const double device = paper_report_limit(r), host = r->plan->evidence_tokens_per_s;
    if (r->plan->work != WORK_CAPTURE || !r->plan->n_features || !(device > 0)) return 0;
    const double alternating = (double)n_threads / (1 / device + 1 / host);
    return n_threads > 1 && alternating > device ? device : alternating;
}

/* A model that is streamed has one (worker/README.md). */
static double pair_limit(const struct paper_report *r)
{
    return !r->peaks || stream_seconds(r) > 0 ? 0 : threads_limit(r, 2);
}

static void print_threads(const struct paper_report *r)
{
    const double one = threads_limit(r, 1), two = pair_limit(r);
    if (!(one > 0)) return;
    (void)printf("  with evidence on the host, %.4g tokens/s a thread: one thread %.4g",
                 r->plan->evidence_tokens_per_s, one);
    if (two > 0) (void)printf(", two on the device %.4g", two);
    (void)puts(" tokens/s");
}

/* Every head and every MLP. */
static size_t n_variants_of(const struct paper_plan *plan)
{
    return plan->config->n_layers * (plan->config->n_heads + 1);
}

static void print_work(const struct paper_report *r)
{
    const struct paper_plan *p = r->plan;
    const struct model_config *c = p->config;
    char hook[HOOK_NAME_SIZE];
    switch (p->work) {
    case WORK_CAPTURE:
        (void)printf("%s to %s, %zu x %zu tokens", r->model, hook_point_name(p->hook, hook),
                     p->n_rows, p->n_ctx);
        break;
    case WORK_ABLATE:
        (void)printf("%s, every head and MLP ablated in %zu prompts of %zu tokens: %zu variants, "
                     "KL and 2 answers of each",
                     r->model, p->n_rows, p->n_ctx, n_variants_of(p));
        break;
    case WORK_ATTRIBUTE:
    case WORK_EDGES:
        (void)printf("%s, scores of all %s by derivatives, %zu pairs of prompts of %zu tokens",
                     r->model, p->work == WORK_EDGES ? "edges" : "nodes", p->n_rows, p->n_ctx);
        break;
    case WORK_N: break;
    }
    (void)printf(", %s", compute_name(p->compute));
    if (p->work == WORK_CAPTURE && p->n_features)
        (void)printf("; dictionary %zu x %zu%s, %g candidates a token, of which %g fire",
                     hook_point_width(p->hook, c), p->n_features, p->k ? " (topk)" : "",
                     p->candidates_per_token, p->fired_per_token);
    (void)putchar('\n');
}

static void print_head(const struct paper_report *r)
{
    print_work(r);
    if (r->peaks)
        (void)printf("%s: %.3g TB/s, bf16 %.4g, f32 %.3g TFLOP/s, link %.3g GB/s (%s)\n",
                     r->peaks->name, r->peaks->bytes_per_s * 1e-12,
                     r->peaks->flops_per_s[MATH_BF16_TENSOR] * 1e-12,
                     r->peaks->flops_per_s[MATH_F32] * 1e-12, r->peaks->link_bytes_per_s * 1e-9,
                     r->peaks->source);
    else
        (void)printf("device: its peaks are unknown, so are limits\n");
    if (!r->refusal) (void)printf("weights %.3g GB\n", r->counted->weight_bytes * 1e-9);
}

static void print_launch(const struct paper_report *r, enum launch_kind kind, double all_s)
{
    const struct launch_cost *cost = cost_of(r, kind);
    if (!cost->n_launches) return;
    (void)printf("  %-22s %9zu %11.4g %11.4g", launch_info_of(kind)->name, cost->n_launches,
                 cost->n_bytes * 1e-9, cost->flops * 1e-9);
    if (r->peaks) {
        const struct launch_time time = launch_cost_time(kind, cost, r->peaks);
        (void)printf(" %12.1f  %-6s %6.1f %%", time.seconds * 1e6, bound_name(time.bound),
                     100 * time.seconds / all_s);
    }
    (void)putchar('\n');
}

static void print_limits(const struct paper_report *r)
{
    if (r->peaks) {
        (void)printf("  at most %.4g %s/s if every launch reads from device memory (a cache that\n"
                     "  keeps weights between row blocks can beat that); the products' math alone\n"
                     "  would allow %.4g\n",
                     paper_report_limit(r),
                     r->plan->work == WORK_ABLATE ? "variant-tokens" : "tokens", products_limit(r));
        if (stream_seconds(r) > 0)
            (void)printf("  the weights do not fit %.3g GB: %.4g GB are streamed, %.3g s of link "
                         "beside %.3g s of launches\n",
                         r->peaks->memory_bytes * 1e-9, r->counted->counts.streamed_bytes * 1e-9,
                         stream_seconds(r), launches_seconds(r));
        print_threads(r);
    }
    if (r->measured_tokens_per_s > 0) {
        (void)printf("  measured %.4g tokens/s", r->measured_tokens_per_s);
        if (r->plan->work == WORK_CAPTURE && r->plan->n_features)
            (void)printf(", with a running top %zu of every feature", r->plan->tally_k);
        if (r->peaks)
            (void)printf(": %.1f %% of that",
                         100 * r->measured_tokens_per_s / paper_report_limit(r));
        (void)putchar('\n');
    }
}

void paper_report_print_table(const struct paper_report *r)
{
    const double all_s = r->peaks ? launches_seconds(r) : 0;
    print_head(r);
    if (r->refusal) {
        (void)printf("  cannot be done there: %s\n\n", r->refusal);
        return;
    }
    (void)printf("  %-22s %9s %11s %11s%s\n", "kernel", "launches", "GB", "GFLOP",
                 r->peaks ? "     least us  bound   share" : "");
    for (unsigned k = 0; k < LAUNCH_N; k++) print_launch(r, (enum launch_kind)k, all_s);
    print_limits(r);
    (void)puts("  below the roofline by design:");
    for (unsigned k = 0; k < LAUNCH_N; k++) {
        const struct launch_info *info = launch_info_of((enum launch_kind)k);
        if (cost_of(r, k)->n_launches && info->why_below)
            (void)printf("    %s: %s\n", info->name, info->why_below);
    }
    (void)putchar('\n');
}

static json_t *launch_json(const struct paper_report *r, enum launch_kind kind)
{
    const struct launch_cost *cost = cost_of(r, kind);
    const struct launch_info *info = launch_info_of(kind);
    json_t *out = json_pack("{s:s, s:I, s:f, s:f, s:s?}", "kernel", info->name, "launches",
                            (json_int_t)cost->n_launches, "bytes", cost->n_bytes, "flops",
                            cost->flops, "below_roofline_because", info->why_below);
    if (!r->peaks) return out;
    const struct launch_time time = launch_cost_time(kind, cost, r->peaks);
    (void)json_object_set_new(out, "least_seconds", json_real(time.seconds));
    (void)json_object_set_new(out, "bound", json_string(bound_name(time.bound)));
    return out;
}

/* A number, or null where it is not known (0). */
static json_t *known(double value)
{
    return value > 0 ? json_real(value) : json_null();
}

/* What it is about. */
static json_t *plan_json(const struct paper_report *r)
{
    const struct paper_plan *p = r->plan;
    const bool is_capture = p->work == WORK_CAPTURE;
    const size_t n_variants = n_variants_of(p);
    char hook[HOOK_NAME_SIZE] = "";
    if (is_capture) (void)hook_point_name(p->hook, hook);
    json_t *out = json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:s?, s:s?, s:s?}", "work", paper_work_name(p->work), "model",
        r->model, "compute", compute_name(p->compute), "rows", (json_int_t)p->n_rows, "ctx",
        (json_int_t)p->n_ctx, "hook", is_capture ? hook : NULL, "device",
        r->peaks ? r->peaks->name : NULL, "source", r->peaks ? r->peaks->source : NULL);
    if (out && p->work == WORK_ABLATE)
        (void)json_object_set_new(out, "variants", json_integer((json_int_t)n_variants));
    if (!out || !is_capture) return out;
    (void)json_object_set_new(out, "n_features", json_integer((json_int_t)p->n_features));
    (void)json_object_set_new(out, "k", json_integer((json_int_t)p->k));
    (void)json_object_set_new(out, "candidates_per_token", json_real(p->candidates_per_token));
    (void)json_object_set_new(out, "fired_per_token", json_real(p->fired_per_token));
    (void)json_object_set_new(out, "tally_k", json_integer((json_int_t)p->tally_k));
    return out;
}

/* What came of it. */
static json_t *counted_json(const struct paper_report *r)
{
    json_t *kernels = json_array();
    if (r->refusal) {
        json_decref(kernels);
        return json_pack("{s:s}", "refused", r->refusal);
    }
    for (unsigned k = 0; kernels && k < LAUNCH_N; k++)
        if (cost_of(r, k)->n_launches)
            (void)json_array_append_new(kernels, launch_json(r, (enum launch_kind)k));
    return json_pack("{s:I, s:f, s:f, s:o, s:o, s:o, s:o, s:o, s:o}", "tokens",
                     (json_int_t)r->counted->n_tokens, "weight_bytes", r->counted->weight_bytes,
                     "streamed_bytes", r->counted->counts.streamed_bytes, "limit_tokens_per_s",
                     known(paper_report_limit(r)), "products_limit_tokens_per_s",
                     known(products_limit(r)), "one_thread_tokens_per_s",
                     known(threads_limit(r, 1)), "two_threads_tokens_per_s", known(pair_limit(r)),
                     "measured_tokens_per_s", known(r->measured_tokens_per_s), "kernels", kernels);
}

status_t paper_report_print_json(const struct paper_report *r, struct error *err)
{
    json_t *line = plan_json(r), *counted = counted_json(r);
    const bool is_made = line && counted && json_object_update(line, counted) == 0 &&
                         json_dumpf(line, stdout, JSON_COMPACT) == 0;
    json_decref(line);
    json_decref(counted);
    if (!is_made) return error_set(err, ST_NO_MEMORY, "accounting");
    (void)putchar('\n');
    return ST_OK;
}
