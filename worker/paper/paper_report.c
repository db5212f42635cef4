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

static double n_tokens_of(const struct paper_report *r)
{
    return (double)(r->plan->n_rows * r->plan->n_ctx);
}

static double launches_seconds(const struct paper_report *r)
{
    double seconds = 0;
    for (unsigned k = 0; k < LAUNCH_N; k++)
        seconds += launch_cost_time((enum launch_kind)k, &r->costs->of[k], r->peaks).seconds;
    return seconds;
}

/* The weights' way over the link, once a batch, where the device has no room for them all. */
static double stream_seconds(const struct paper_report *r)
{
    const double n_bytes = paper_plan_weight_bytes(r->plan);
    return n_bytes > r->peaks->memory_bytes ? n_bytes / r->peaks->link_bytes_per_s : 0;
}

double paper_report_limit(const struct paper_report *r)
{
    if (!r->peaks) return 0;
    const double launches = launches_seconds(r), stream = stream_seconds(r);
    return n_tokens_of(r) / (launches > stream ? launches : stream);
}

/* What the products' multiplications and additions alone would allow. */
static double products_limit(const struct paper_report *r)
{
    double seconds = 0;
    for (unsigned k = LAUNCH_PRODUCT_F32; k <= LAUNCH_PRODUCT_TF32; k++)
        seconds += r->costs->of[k].flops / r->peaks->flops_per_s[launch_info_of(k)->unit];
    return n_tokens_of(r) / seconds;
}

static void print_head(const struct paper_report *r)
{
    const struct paper_plan *p = r->plan;
    char hook[HOOK_NAME_SIZE];
    (void)printf("%s to %s, %zu x %zu tokens, %s", r->model, hook_point_name(p->hook, hook),
                 p->n_rows, p->n_ctx, compute_name(p->compute));
    if (p->n_features)
        (void)printf("; dictionary %zu x %zu%s, %g candidates a token, of which %g fire",
                     p->config->d_model, p->n_features, p->k ? " (topk)" : "",
                     p->candidates_per_token, p->fired_per_token);
    (void)printf("\nweights %.3g GB\n", paper_plan_weight_bytes(p) * 1e-9);
    if (r->peaks)
        (void)printf("%s: %.3g TB/s, bf16 %.4g, f32 %.3g TFLOP/s, link %.3g GB/s (%s)\n",
                     r->peaks->name, r->peaks->bytes_per_s * 1e-12,
                     r->peaks->flops_per_s[MATH_BF16_TENSOR] * 1e-12,
                     r->peaks->flops_per_s[MATH_F32] * 1e-12, r->peaks->link_bytes_per_s * 1e-9,
                     r->peaks->source);
    else
        (void)printf("device: its peaks are unknown, so are limits\n");
}

static void print_launch(const struct paper_report *r, enum launch_kind kind, double all_s)
{
    const struct launch_cost *cost = &r->costs->of[kind];
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
        (void)printf(
            "  at most %.4g tokens/s if every launch reads from device memory (a cache that\n"
            "  keeps weights between row blocks can beat that); the products' math alone\n"
            "  would allow %.4g\n",
            paper_report_limit(r), products_limit(r));
        if (stream_seconds(r) > 0)
            (void)printf("  the weights do not fit %.3g GB: streamed once a batch, %.3g s of link "
                         "beside %.3g s of launches\n",
                         r->peaks->memory_bytes * 1e-9, stream_seconds(r), launches_seconds(r));
    }
    if (r->measured_tokens_per_s > 0) {
        (void)printf("  measured %.4g tokens/s", r->measured_tokens_per_s);
        if (r->plan->n_features)
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
    (void)printf("  %-22s %9s %11s %11s%s\n", "kernel", "launches", "GB", "GFLOP",
                 r->peaks ? "     least us  bound   share" : "");
    for (unsigned k = 0; k < LAUNCH_N; k++) print_launch(r, (enum launch_kind)k, all_s);
    print_limits(r);
    (void)puts("  below the roofline by design:");
    for (unsigned k = 0; k < LAUNCH_N; k++) {
        const struct launch_info *info = launch_info_of((enum launch_kind)k);
        if (r->costs->of[k].n_launches && info->why_below)
            (void)printf("    %s: %s\n", info->name, info->why_below);
    }
    (void)putchar('\n');
}

static json_t *launch_json(const struct paper_report *r, enum launch_kind kind)
{
    const struct launch_cost *cost = &r->costs->of[kind];
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

status_t paper_report_print_json(const struct paper_report *r, struct error *err)
{
    const struct paper_plan *p = r->plan;
    char hook[HOOK_NAME_SIZE];
    json_t *kernels = json_array();
    for (unsigned k = 0; kernels && k < LAUNCH_N; k++)
        if (r->costs->of[k].n_launches)
            (void)json_array_append_new(kernels, launch_json(r, (enum launch_kind)k));
    json_t *line = json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:f, s:f, s:I, s:f, s:s?, s:s?, s:o, s:o, s:o, s:o}",
        "model", r->model, "hook", hook_point_name(p->hook, hook), "compute",
        compute_name(p->compute), "rows", (json_int_t)p->n_rows, "ctx", (json_int_t)p->n_ctx,
        "n_features", (json_int_t)p->n_features, "k", (json_int_t)p->k, "candidates_per_token",
        p->candidates_per_token, "fired_per_token", p->fired_per_token, "tally_k",
        (json_int_t)p->tally_k, "weight_bytes", paper_plan_weight_bytes(p), "device",
        r->peaks ? r->peaks->name : NULL, "source", r->peaks ? r->peaks->source : NULL,
        "limit_tokens_per_s", known(paper_report_limit(r)), "products_limit_tokens_per_s",
        known(r->peaks ? products_limit(r) : 0), "measured_tokens_per_s",
        known(r->measured_tokens_per_s), "kernels", kernels);
    if (!line || json_dumpf(line, stdout, JSON_COMPACT) != 0) {
        json_decref(line);
        return error_set(err, ST_NO_MEMORY, "accounting");
    }
    (void)putchar('\n');
    json_decref(line);
    return ST_OK;
}
