/* The files of the page, carried inside the program (page/ beside this file). Immutable; any
 * thread. A new file needs a line in page_assets.c; a test compares the two lists. */
#ifndef COORDINATOR_HTTP_PAGE_ASSETS_H
#define COORDINATOR_HTTP_PAGE_ASSETS_H

#include <stddef.h>

struct page_asset {
    const char *name; /* "index.html", "app.js" */
    const char *content_type;
    const char *bytes; /* [*n_bytes] */
    const size_t *n_bytes;
};

/* NULL: no such file. */
const struct page_asset *page_asset_find(const char *name);
/* Asset number `index`; NULL past the last. */
const struct page_asset *page_asset_at(size_t index);

#endif
