#include "common/quantity.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static char *unknown(char out[QUANTITY_SIZE])
{
    memcpy(out, "-", 2);
    return out;
}

char *quantity_seconds(double seconds, char out[QUANTITY_SIZE])
{
    if (!isfinite(seconds) || seconds < 0 || seconds > 1e12) return unknown(out);
    if (seconds < 9.95) {
        (void)snprintf(out, QUANTITY_SIZE, "%.1f s", seconds);
        return out;
    }
    const long long whole = (long long)(seconds + 0.5);
    if (whole < 60)
        (void)snprintf(out, QUANTITY_SIZE, "%lld s", whole);
    else if (whole < 3600)
        (void)snprintf(out, QUANTITY_SIZE, "%lld min %02lld s", whole / 60, whole % 60);
    else
        (void)snprintf(out, QUANTITY_SIZE, "%lld h %02lld min", whole / 3600, whole / 60 % 60);
    return out;
}

char *quantity_bytes(double n_bytes, char out[QUANTITY_SIZE])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    size_t unit = 0;
    if (!isfinite(n_bytes) || n_bytes < 0) return unknown(out);
    while (n_bytes >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
        n_bytes /= 1024;
        unit++;
    }
    (void)snprintf(out, QUANTITY_SIZE, unit && n_bytes < 99.5 ? "%.1f %s" : "%.0f %s", n_bytes,
                   units[unit]);
    return out;
}

char *quantity_count(double n, char out[QUANTITY_SIZE])
{
    if (!isfinite(n) || fabs(n) >= 1e18) return unknown(out);
    char digits[QUANTITY_SIZE];
    (void)snprintf(digits, sizeof digits, "%.0f", fabs(n));
    const size_t n_digits = strlen(digits);
    size_t used = 0;
    if (n < 0) out[used++] = '-';
    for (size_t i = 0; i < n_digits; i++) {
        if (i && (n_digits - i) % 3 == 0) out[used++] = ',';
        out[used++] = digits[i];
    }
    out[used] = '\0';
    return out;
}

char *quantity_dollars(double dollars, char out[QUANTITY_SIZE])
{
    if (!isfinite(dollars)) return unknown(out);
    const double size = fabs(dollars);
    (void)snprintf(out, QUANTITY_SIZE, size > 0 && size < 0.995 ? "$%.4f" : "$%.2f", dollars);
    return out;
}

char *quantity_percent(double share, char out[QUANTITY_SIZE])
{
    if (!isfinite(share)) return unknown(out);
    /* 100 % is said of what is complete, and of nothing less. */
    const double percent = share >= 1 ? 100 : floor(share * 100);
    (void)snprintf(out, QUANTITY_SIZE, "%.0f %%", percent);
    return out;
}

char *quantity_score(double score, char out[QUANTITY_SIZE])
{
    if (!isfinite(score)) return unknown(out);
    (void)snprintf(out, QUANTITY_SIZE, "%.2f", score);
    return out;
}
