/* From what a provider understands of response_format (providers.yaml) to what a request asks. */
#ifndef COORDINATOR_SWEEP_PROVIDER_FORMAT_H
#define COORDINATOR_SWEEP_PROVIDER_FORMAT_H

#include "coordinator/gateway/provider_config.h"
#include "coordinator/session/prompt_request.h"

static inline enum prompt_format provider_prompt_format(const struct provider *provider)
{
    static const enum prompt_format formats[] = {
        [STRUCTURED_NONE] = PROMPT_FORMAT_TEXT,
        [STRUCTURED_JSON_OBJECT] = PROMPT_FORMAT_JSON_OBJECT,
        [STRUCTURED_JSON_SCHEMA] = PROMPT_FORMAT_JSON_SCHEMA,
    };
    return formats[provider->structured_output];
}

#endif
