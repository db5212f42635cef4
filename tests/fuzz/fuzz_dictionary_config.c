/* cfg.json of a dictionary: any bytes give a config within its limits or one line that names the
 * source. */
#include "worker/model/dictionary_config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    struct dictionary_config config;
    struct error err = {0};
    const status_t status =
        dictionary_config_parse(&config, (const char *)bytes, n_bytes, "cfg.json", &err);
    if (status != ST_OK) {
        if (!strstr(err.text, "cfg.json")) abort();
        return 0;
    }
    if (!config.d_in || !config.n_features || config.k > config.n_features) abort();
    if ((config.architecture == DICTIONARY_TOPK) != (config.k > 0)) abort();
    if (strlen(config.hook_name) >= DICTIONARY_TEXT_SIZE) abort();
    return 0;
}
