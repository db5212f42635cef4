#include "worker/paper/paper_report.h"

#include "worker/report_text.h"

#include <jansson.h>
#include <stdio.h>

enum { LINE_SIZE = 768, INDENT = 2 };

/* Under the head. */
static void print_line(const char *line)
{
    (void)printf("%*s", INDENT, "");
    report_text_wrap(stdout, line, INDENT, INDENT);
}

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
    char line[LINE_SIZE], number[3][REPORT_NUMBER_SIZE];
    if (!(one > 0)) return;
    (void)snprintf(line, sizeof line, "with evidence on the host, %s a thread: one thread %s%s%s",
                   report_text_count(r->plan->evidence_tokens_per_s, "tokens/s", number[0]),
                   report_text_count(one, "tokens/s", number[1]),
                   two > 0 ? ", two on the device " : "",
                   two > 0 ? report_text_count(two, "tokens/s", number[2]) : "");
    print_line(line);
}

/* Every head and every MLP. */
static size_t n_variants_of(const struct paper_plan *plan)
{
    return plan->config->n_layers * (plan->config->n_heads + 1);
}

/* What it is that is counted. */
static void describe_work(const struct paper_report *r, char out[LINE_SIZE])
{
    const struct paper_plan *p = r->plan;
    const char *compute = compute_name(p->compute);
    char hook[HOOK_NAME_SIZE];
    int n = 0;
    switch (p->work) {
    case WORK_CAPTURE:
        n = snprintf(out, LINE_SIZE, "%s to %s, %zu x %zu tokens, %s", r->model,
                     hook_point_name(p->hook, hook), p->n_rows, p->n_ctx, compute);
        break;
    case WORK_ABLATE:
        n = snprintf(out, LINE_SIZE,
                     "%s, every head and MLP ablated in %zu prompts of %zu tokens: %zu variants, "
                     "KL and 2 answers of each, %s",
                     r->model, p->n_rows, p->n_ctx, n_variants_of(p), compute);
        break;
    case WORK_ATTRIBUTE:
    case WORK_EDGES:
        n = snprintf(out, LINE_SIZE,
                     "%s, scores of all %s by derivatives, %zu pairs of prompts of %zu tokens, %s",
                     r->model, p->work == WORK_EDGES ? "edges" : "nodes", p->n_rows, p->n_ctx,
                     compute);
        break;
    case WORK_N: break;
    }
    if (p->work == WORK_CAPTURE && p->n_features && n > 0 && n < LINE_SIZE)
        (void)snprintf(out + n, LINE_SIZE - (size_t)n,
                       "; dictionary %zu x %zu%s, %g candidates a token, of which %g fire",
                       hook_point_width(p->hook, p->config), p->n_features, p->k ? " (topk)" : "",
                       p->candidates_per_token, p->fired_per_token);
}

static void print_head(const struct paper_report *r)
{
    char line[LINE_SIZE], weights[REPORT_NUMBER_SIZE];
    describe_work(r, line);
    report_text_wrap(stdout, line, 0, INDENT);
    if (r->peaks) {
        (void)snprintf(line, sizeof line,
                       "%s: %.3g TB/s, bf16 %.4g, f32 %.3g TFLOP/s, link %.3g GB/s (%s)",
                       r->peaks->name, r->peaks->bytes_per_s * 1e-12,
                       r->peaks->flops_per_s[MATH_BF16_TENSOR] * 1e-12,
                       r->peaks->flops_per_s[MATH_F32] * 1e-12, r->peaks->link_bytes_per_s * 1e-9,
                       r->peaks->source);
        report_text_wrap(stdout, line, 0, INDENT);
    } else if (r->is_cpu) {
        (void)puts("no limits: the launches that are counted are the CUDA backend's (--device)");
    } else {
        (void)puts("no limits: there is no data sheet of this device here (--device)");
    }
    if (!r->refusal)
        (void)printf("weights %s\n", report_text_memory(r->counted->weight_bytes, weights));
}

static void print_launch(const struct paper_report *r, enum launch_kind kind, double all_s)
{
    const struct launch_cost *cost = cost_of(r, kind);
    char bytes[REPORT_NUMBER_SIZE], flops[REPORT_NUMBER_SIZE];
    if (!cost->n_launches) return;
    (void)printf("  %-21s %8zu %9s %10s", launch_info_of(kind)->name, cost->n_launches,
                 report_text_amount(cost->n_bytes, "B", bytes),
                 report_text_amount(cost->flops, "FLOP", flops));
    if (r->peaks) {
        const struct launch_time time = launch_cost_time(kind, cost, r->peaks);
        (void)printf(" %11.1f %-6s %5.1f %%", time.seconds * 1e6, bound_name(time.bound),
                     100 * time.seconds / all_s);
    }
    (void)putchar('\n');
}

static void print_streamed(const struct paper_report *r)
{
    char line[LINE_SIZE], memory[REPORT_NUMBER_SIZE], streamed[REPORT_NUMBER_SIZE];
    (void)snprintf(line, sizeof line,
                   "the weights do not fit %s: %s are streamed, %.3g s of link beside %.3g s of "
                   "launches",
                   report_text_memory(r->peaks->memory_bytes, memory),
                   report_text_memory(r->counted->counts.streamed_bytes, streamed),
                   stream_seconds(r), launches_seconds(r));
    print_line(line);
}

static void print_limits(const struct paper_report *r)
{
    const char *unit = r->plan->work == WORK_ABLATE ? "variant-tokens/s" : "tokens/s";
    char line[LINE_SIZE], limit[REPORT_NUMBER_SIZE], products[REPORT_NUMBER_SIZE];
    (void)snprintf(line, sizeof line,
                   "at most %s if every launch reads from device memory (a cache that keeps "
                   "weights between row blocks can beat that); the products' math alone would "
                   "allow %s",
                   report_text_count(paper_report_limit(r), unit, limit),
                   report_text_count(products_limit(r), unit, products));
    print_line(line);
    if (stream_seconds(r) > 0) print_streamed(r);
    print_threads(r);
}

static void print_measured(const struct paper_report *r)
{
    char line[LINE_SIZE], rate[REPORT_NUMBER_SIZE], tally[48] = "", share[48] = "";
    if (!(r->measured_tokens_per_s > 0)) return;
    if (r->plan->work == WORK_CAPTURE && r->plan->n_features)
        (void)snprintf(tally, sizeof tally, ", with a running top %zu of every feature",
                       r->plan->tally_k);
    if (r->peaks)
        (void)snprintf(share, sizeof share, ": %.1f %% of that",
                       100 * r->measured_tokens_per_s / paper_report_limit(r));
    (void)snprintf(line, sizeof line, "measured %s on %s%s%s",
                   report_text_count(r->measured_tokens_per_s, "tokens/s", rate),
                   r->measured_on ? r->measured_on : "this machine", tally, share);
    print_line(line);
}

static void print_launches(const struct paper_report *r)
{
    const double all_s = r->peaks ? launches_seconds(r) : 0;
    (void)printf("  %-21s %8s %9s %10s%s\n", "kernel", "launches", "bytes", "operations",
                 r->peaks ? "    least us bound    share" : "");
    for (unsigned k = 0; k < LAUNCH_N; k++) print_launch(r, (enum launch_kind)k, all_s);
}

static void print_reasons(const struct paper_report *r)
{
    (void)puts("  below the roofline by design:");
    for (unsigned k = 0; k < LAUNCH_N; k++) {
        const struct launch_info *info = launch_info_of((enum launch_kind)k);
        if (!cost_of(r, k)->n_launches || !info->why_below) continue;
        const int column = printf("    %s: ", info->name);
        report_text_wrap(stdout, info->why_below, column > 0 ? (size_t)column : 0, 3 * INDENT);
    }
}

void paper_report_print_table(const struct paper_report *r)
{
    print_head(r);
    if (r->refusal) {
        char line[LINE_SIZE];
        (void)snprintf(line, sizeof line, "cannot be done there: %s", r->refusal);
        print_line(line);
    } else {
        if (r->peaks || !r->is_cpu) print_launches(r);
        if (r->peaks) print_limits(r);
        print_measured(r);
        if (r->peaks) print_reasons(r);
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
