#include "coordinator/http/page_assets.h"

#include <string.h>

#define ASSET(file)                                                                                \
    extern const char embed_coordinator_http_page_##file[];                                        \
    extern const size_t embed_coordinator_http_page_##file##_size
ASSET(index_html);
ASSET(style_css);
ASSET(icon_svg);
ASSET(agreement_js);
ASSET(app_js);
ASSET(chart_js);
ASSET(circuit_js);
ASSET(dom_js);
ASSET(elements_js);
ASSET(evidence_js);
ASSET(feed_js);
ASSET(format_js);
ASSET(history_js);
ASSET(kinds_js);
ASSET(label_feed_js);
ASSET(result_table_js);
ASSET(rounds_js);
ASSET(router_js);
ASSET(scores_js);
ASSET(store_js);
ASSET(sweep_list_js);
ASSET(view_dead_js);
ASSET(view_feature_js);
ASSET(view_overview_js);
ASSET(view_sweep_js);
ASSET(view_workers_js);
ASSET(worker_table_js);

static const char html[] = "text/html; charset=utf-8", css[] = "text/css; charset=utf-8",
                  svg[] = "image/svg+xml", script[] = "text/javascript; charset=utf-8";

#define BYTES(file) embed_coordinator_http_page_##file, &embed_coordinator_http_page_##file##_size
static const struct page_asset assets[] = {
    {"index.html", html, BYTES(index_html)},
    {"style.css", css, BYTES(style_css)},
    {"icon.svg", svg, BYTES(icon_svg)},
    {"agreement.js", script, BYTES(agreement_js)},
    {"app.js", script, BYTES(app_js)},
    {"chart.js", script, BYTES(chart_js)},
    {"circuit.js", script, BYTES(circuit_js)},
    {"dom.js", script, BYTES(dom_js)},
    {"elements.js", script, BYTES(elements_js)},
    {"evidence.js", script, BYTES(evidence_js)},
    {"feed.js", script, BYTES(feed_js)},
    {"format.js", script, BYTES(format_js)},
    {"history.js", script, BYTES(history_js)},
    {"kinds.js", script, BYTES(kinds_js)},
    {"label_feed.js", script, BYTES(label_feed_js)},
    {"result_table.js", script, BYTES(result_table_js)},
    {"rounds.js", script, BYTES(rounds_js)},
    {"router.js", script, BYTES(router_js)},
    {"scores.js", script, BYTES(scores_js)},
    {"store.js", script, BYTES(store_js)},
    {"sweep_list.js", script, BYTES(sweep_list_js)},
    {"view_dead.js", script, BYTES(view_dead_js)},
    {"view_feature.js", script, BYTES(view_feature_js)},
    {"view_overview.js", script, BYTES(view_overview_js)},
    {"view_sweep.js", script, BYTES(view_sweep_js)},
    {"view_workers.js", script, BYTES(view_workers_js)},
    {"worker_table.js", script, BYTES(worker_table_js)},
};

const struct page_asset *page_asset_at(size_t index)
{
    return index < sizeof assets / sizeof assets[0] ? &assets[index] : NULL;
}

const struct page_asset *page_asset_find(const char *name)
{
    const struct page_asset *asset;
    for (size_t i = 0; (asset = page_asset_at(i)); i++)
        if (strcmp(asset->name, name) == 0) return asset;
    return NULL;
}
