#include "coordinator/http/page_assets.h"

#include <string.h>

#define ASSET(file)                                                                               \
    extern const char embed_coordinator_http_page_##file[];                                       \
    extern const size_t embed_coordinator_http_page_##file##_size
ASSET(index_html);
ASSET(style_css);
ASSET(app_js);

static const char html[] = "text/html; charset=utf-8", css[] = "text/css; charset=utf-8",
                  script[] = "text/javascript; charset=utf-8";

#define BYTES(file)                                                                               \
    embed_coordinator_http_page_##file, &embed_coordinator_http_page_##file##_size
static const struct page_asset assets[] = {
    {"index.html", html, BYTES(index_html)},
    {"style.css", css, BYTES(style_css)},
    {"app.js", script, BYTES(app_js)},
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
