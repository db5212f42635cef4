#include "coordinator/circuit/proposal_reply.h"

#include "coordinator/session/prompt_reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NAME_BYTES = 200 };

void proposals_fini(struct proposals *proposals)
{
    free(proposals->items);
    *proposals = (struct proposals){.n = 0};
}

/* One clean line of at most PROPOSAL_ROLE_SIZE - 1 bytes, cut between characters. */
static void read_role(const json_t *role, char out[PROPOSAL_ROLE_SIZE])
{
    char clean[PROMPT_MAX_LABEL_BYTES + 1];
    out[0] = '\0';
    if (!json_is_string(role)) return;
    size_t n = prompt_label_clean(json_string_value(role), json_string_length(role), clean);
    if (n >= PROPOSAL_ROLE_SIZE) n = PROPOSAL_ROLE_SIZE - 1;
    while (n > 0 && ((unsigned char)clean[n] & 0xC0) == 0x80) n--; /* not inside a character */
    memcpy(out, clean, n);
    out[n] = '\0';
}

static bool read_entry(const json_t *entry, struct proposal *out)
{
    const bool is_object = json_is_object(entry);
    const json_t *name = is_object ? json_object_get(entry, "component") : entry;
    struct error ignored = {.status = ST_OK};
    if (!json_is_string(name) || json_string_length(name) > MAX_NAME_BYTES) return false;
    memset(&out->component, 0, sizeof out->component);
    if (component_parse(json_string_value(name), json_string_length(name), &out->component,
                        &ignored) != ST_OK)
        return false;
    read_role(is_object ? json_object_get(entry, "role") : NULL, out->role);
    return true;
}

static bool is_there(const struct proposals *proposals, const struct component *component)
{
    for (size_t i = 0; i < proposals->n; i++)
        if (component_equal(&proposals->items[i].component, component)) return true;
    return false;
}

static void read_list(const json_t *list, struct proposals *out)
{
    const size_t n = json_array_size(list);
    for (size_t i = 0; i < n && i < PROPOSALS_MAX; i++) {
        struct proposal *next = &out->items[out->n];
        if (!read_entry(json_array_get(list, i), next))
            out->n_unreadable++;
        else if (is_there(out, &next->component))
            out->n_repeated++;
        else
            out->n++;
    }
    out->n_beyond = n > PROPOSALS_MAX ? n - PROPOSALS_MAX : 0;
}

status_t proposal_reply_read(const char *reply, size_t n_bytes, struct proposals *out,
                             struct error *err)
{
    json_t *object = NULL;
    *out = (struct proposals){.n = 0};
    status_t status =
        prompt_reply_object(reply, n_bytes, "proposals", &object, &out->is_repaired, err);
    if (status != ST_OK) {
        *out = (struct proposals){.n = 0};
        return status;
    }
    const json_t *list = json_object_get(object, "proposals");
    out->items = calloc(PROPOSALS_MAX, sizeof *out->items);
    if (!json_is_array(list))
        status = error_set(err, ST_BAD_INPUT, "reply: \"proposals\" is no list");
    else if (!out->items)
        status = error_set(err, ST_NO_MEMORY, "proposals");
    else
        read_list(list, out);
    json_decref(object);
    if (status != ST_OK) proposals_fini(out);
    return status;
}
