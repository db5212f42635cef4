/* config.json of a model: any bytes give a config whose sizes later code may multiply, or one line
 * that names the source. */
#include "worker/model/model_config.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    struct model_config config;
    struct error err = {0};
    const status_t status =
        model_config_parse(&config, (const char *)bytes, n_bytes, "config.json", &err);
    if (status != ST_OK) {
        if (!strstr(err.text, "config.json")) abort();
        return 0;
    }
    if (!config.n_layers || config.n_layers > MODEL_MAX_LAYERS || !config.d_model ||
        config.d_model > MODEL_MAX_WIDTH || !config.d_head || config.d_head > MODEL_MAX_WIDTH ||
        !config.n_kv_heads || config.n_heads % config.n_kv_heads || !config.d_mlp)
        abort();
    if (config.family->has_rotary && (config.d_head % 2 || !(config.rope.theta > 0))) abort();
    if (!(config.norm_eps > 0) || !isfinite(config.norm_eps)) abort();
    return 0;
}
