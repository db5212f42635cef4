/* The canonical body of a call and the id that names it. See call.h. */
#include "common/buffer.h"
#include "coordinator/gateway/call.h"
#include "coordinator/gateway/provider_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool call_name_is_valid(const char *name)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789_.-";
    const size_t length = strspn(name, allowed);
    return length > 0 && length <= CALL_NAME_MAX && name[length] == '\0';
}

static status_t read_max_tokens(const json_t *body, uint64_t *out, struct error *err)
{
    const json_t *limit = json_object_get(body, "max_completion_tokens");
    if (!limit) limit = json_object_get(body, "max_tokens");
    const json_int_t value = json_integer_value(limit);
    if (!json_is_integer(limit) || value < 1 || value > CALL_OUTPUT_MAX)
        return error_set(err, ST_BAD_INPUT, "call: max_tokens must be a whole number, 1 to %d",
                         CALL_OUTPUT_MAX);
    *out = (uint64_t)value;
    return ST_OK;
}

static status_t check_body(const json_t *body, struct error *err)
{
    const json_t *model = json_object_get(body, "model");
    const json_t *choices = json_object_get(body, "n");
    if (!json_is_object(body)) return error_set(err, ST_BAD_INPUT, "call: body is no JSON object");
    if (!json_is_string(model) || json_string_length(model) == 0)
        return error_set(err, ST_BAD_INPUT, "call: body names no model");
    if (json_array_size(json_object_get(body, "messages")) == 0)
        return error_set(err, ST_BAD_INPUT, "call: body has no messages");
    if (json_is_true(json_object_get(body, "stream")))
        return error_set(err, ST_UNSUPPORTED, "call: stream is not supported");
    if (choices && json_integer_value(choices) != 1)
        return error_set(err, ST_UNSUPPORTED, "call: n must be 1");
    return ST_OK;
}

/* The id covers the provider too: two providers may serve different models by one name. */
static status_t name_call(struct call *call, const char *model, struct error *err)
{
    struct buffer text;
    buffer_init(&text, CALL_BODY_MAX + 4096);
    status_t status = buffer_printf(&text, err, "call 1\n%s\n%s\n", call->provider, model);
    if (status == ST_OK) status = buffer_append(&text, call->body, call->n_body_bytes, err);
    if (status == ST_OK) hash_sha256_hex(text.bytes, text.n_bytes, call->id);
    buffer_fini(&text);
    return status;
}

status_t call_prepare(struct call *out, const char *provider, const json_t *body, struct error *err)
{
    struct call call = {.n_body_bytes = 0};
    if (!call_name_is_valid(provider))
        return error_set(err, ST_BAD_INPUT, "provider name '%.80s' is not valid", provider);
    (void)snprintf(call.provider, sizeof call.provider, "%s", provider);
    status_t status = check_body(body, err);
    if (status == ST_OK) status = read_max_tokens(body, &call.max_tokens, err);
    if (status != ST_OK) return status;
    call.body = json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS);
    if (!call.body) return error_set(err, ST_NO_MEMORY, "call body");
    call.n_body_bytes = strlen(call.body);
    if (call.n_body_bytes > CALL_BODY_MAX)
        status = error_set(err, ST_TOO_LARGE, "call: body of %zu bytes, at most %d",
                           call.n_body_bytes, CALL_BODY_MAX);
    if (status == ST_OK)
        status = name_call(&call, json_string_value(json_object_get(body, "model")), err);
    if (status != ST_OK) {
        free(call.body);
        return status;
    }
    *out = call;
    return ST_OK;
}

status_t call_prepare_text(struct call *out, const struct provider *provider, const char *body,
                           size_t n_bytes, struct error *err)
{
    json_error_t why;
    status_t status = ST_OK;
    json_t *parsed = json_loadb(body, n_bytes, JSON_REJECT_DUPLICATES, &why);
    if (!parsed) return error_set(err, ST_BAD_INPUT, "call: body is not JSON: %s", why.text);
    if (json_is_object(parsed) && !json_object_get(parsed, "model") &&
        json_object_set_new(parsed, "model", json_string(provider->model)) != 0)
        status = error_set(err, ST_NO_MEMORY, "call body");
    if (status == ST_OK) status = call_prepare(out, provider->name, parsed, err);
    json_decref(parsed);
    return status;
}

void call_fini(struct call *call)
{
    free(call->body);
    *call = (struct call){.body = NULL};
}
