#include "coordinator/circuit/circuit_edge.h"

#include <stdio.h>
#include <string.h>

enum { QUOTED_EDGE_BYTES = 120 };

static const char *const INPUT_NAMES[EDGE_N_INPUTS] = {
    [EDGE_Q] = "q", [EDGE_K] = "k", [EDGE_V] = "v", [EDGE_MLP] = "mlp", [EDGE_LOGITS] = "logits"};

const char *edge_input_name(enum edge_input input)
{
    return (unsigned)input < EDGE_N_INPUTS ? INPUT_NAMES[input] : "unknown";
}

int circuit_edge_compare(const struct circuit_edge *a, const struct circuit_edge *b)
{
    const int by_receiver = component_compare(&a->receiver, &b->receiver);
    if (by_receiver != 0) return by_receiver;
    if (a->input != b->input) return a->input < b->input ? -1 : 1;
    return component_compare(&a->sender, &b->sender);
}

int circuit_edge_compare_items(const void *a, const void *b)
{
    return circuit_edge_compare(a, b);
}

char *circuit_edge_name(const struct circuit_edge *edge, char out[EDGE_NAME_SIZE])
{
    char sender[COMPONENT_NAME_SIZE], receiver[COMPONENT_NAME_SIZE];
    struct component base = edge->receiver;
    const bool has_input = base.type == COMPONENT_HEAD;
    memset(base.position, 0, sizeof base.position);
    (void)snprintf(out, EDGE_NAME_SIZE, "%s->%s%s%s%s%s", component_name(&edge->sender, sender),
                   component_name(&base, receiver), has_input ? "." : "",
                   has_input ? edge_input_name(edge->input) : "",
                   edge->receiver.position[0] ? "@" : "", edge->receiver.position);
    return out;
}

/* --- making ------------------------------------------------------------------------------- */

static bool can_send(enum component_type type)
{
    return type != COMPONENT_LOGITS && type != COMPONENT_KEY_GROUP && type != COMPONENT_VALUE_GROUP;
}

/* Does the receiver have the input? *only: the one it has, where it has just one. */
static bool has_input(enum component_type type, enum edge_input input)
{
    switch (type) {
    case COMPONENT_HEAD: return input == EDGE_Q || input == EDGE_K || input == EDGE_V;
    case COMPONENT_KEY_GROUP: return input == EDGE_K;
    case COMPONENT_VALUE_GROUP: return input == EDGE_V;
    case COMPONENT_MLP: return input == EDGE_MLP;
    case COMPONENT_LOGITS: return input == EDGE_LOGITS;
    case COMPONENT_EMBED:
    case COMPONENT_POS_EMBED:
    case COMPONENT_NEURON:
    case COMPONENT_RESIDUAL:
    case COMPONENT_FEATURE:
    case COMPONENT_ERROR: break;
    }
    return false;
}

static int input_by_name(const char *name)
{
    for (int input = 0; input < EDGE_N_INPUTS; input++)
        if (strcmp(name, INPUT_NAMES[input]) == 0) return input;
    return -1;
}

/* The input that goes without saying; -1 where there is none or a choice. */
static int only_input(enum component_type type)
{
    int only = -1;
    if (type == COMPONENT_HEAD) return -1;
    for (int input = 0; input < EDGE_N_INPUTS; input++)
        if (has_input(type, (enum edge_input)input)) only = input;
    return only;
}

status_t circuit_edge_make(const struct component *sender, const struct component *receiver,
                           const char *input, struct circuit_edge *out, struct error *err)
{
    char name[COMPONENT_NAME_SIZE];
    const int found = input ? input_by_name(input) : only_input(receiver->type);
    if (!can_send(sender->type))
        return error_set(err, ST_BAD_INPUT, "%s sends no edge", component_name(sender, name));
    if (receiver->type != COMPONENT_HEAD && only_input(receiver->type) < 0)
        return error_set(err, ST_BAD_INPUT, "%s receives no edge", component_name(receiver, name));
    if (found < 0 && !input)
        return error_set(err, ST_BAD_INPUT, "%s: which input, q, k or v?",
                         component_name(receiver, name));
    if (found < 0 || !has_input(receiver->type, (enum edge_input)found))
        return error_set(err, ST_BAD_INPUT, "%s has no input \"%.20s\"",
                         component_name(receiver, name), input ? input : "");
    *out = (struct circuit_edge){*sender, *receiver, (enum edge_input)found};
    return ST_OK;
}

/* --- reading ------------------------------------------------------------------------------ */

struct span {
    const char *text;
    size_t n_bytes;
};

static struct span trimmed(const char *text, const char *end)
{
    while (text < end && (*text == ' ' || *text == '\t')) text++;
    while (end > text && (end[-1] == ' ' || end[-1] == '\t')) end--;
    return (struct span){text, (size_t)(end - text)};
}

static char lower_letter(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Cut `.k` or `<k>` off the end; the letter into input[2], or NULL if there is none. A K/V
 * group's own name ends in neither, a number does. */
static const char *cut_input(struct span *base, char input[2])
{
    const char *end = base->text + base->n_bytes;
    size_t n_cut = 0;
    if (base->n_bytes > 2 && end[-2] == '.')
        n_cut = 2;
    else if (base->n_bytes > 3 && end[-3] == '<' && end[-1] == '>')
        n_cut = 3;
    if (n_cut == 0) return NULL;
    const char letter = lower_letter(n_cut == 2 ? end[-1] : end[-2]);
    if (letter != 'q' && letter != 'k' && letter != 'v') return NULL;
    input[0] = letter;
    input[1] = '\0';
    base->n_bytes -= n_cut;
    return input;
}

/* RECEIVER[.INPUT][@POSITION] */
static status_t parse_receiver(struct span text, struct component *receiver, char input[2],
                               const char **given, struct error *err)
{
    char joined[COMPONENT_NAME_SIZE];
    const char *end = text.text + text.n_bytes;
    const char *at = text.n_bytes > 0 ? memchr(text.text, '@', text.n_bytes) : NULL;
    struct span base = {text.text, at ? (size_t)(at - text.text) : text.n_bytes};
    *given = cut_input(&base, input);
    const size_t n_position = at ? (size_t)(end - at) : 0;
    if (base.n_bytes + n_position >= sizeof joined)
        return error_set(err, ST_BAD_INPUT, "\"%.60s\" is no component", text.text);
    memcpy(joined, base.text, base.n_bytes);
    if (at) memcpy(joined + base.n_bytes, at, n_position);
    return component_parse(joined, base.n_bytes + n_position, receiver, err);
}

static const char *find_arrow(const char *text, size_t n_bytes)
{
    for (size_t i = 0; i + 1 < n_bytes; i++)
        if (text[i] == '-' && text[i + 1] == '>') return text + i;
    return NULL;
}

status_t circuit_edge_parse(const char *text, size_t n_bytes, struct circuit_edge *out,
                            struct error *err)
{
    const char *arrow = find_arrow(text, n_bytes), *given = NULL;
    char input[2];
    struct component sender, receiver;
    const int n_quoted = (int)(n_bytes < QUOTED_EDGE_BYTES ? n_bytes : QUOTED_EDGE_BYTES);
    if (!arrow)
        return error_set(err, ST_BAD_INPUT, "\"%.*s\" is no edge (SENDER->RECEIVER.INPUT)",
                         n_quoted, text);
    const struct span from = trimmed(text, arrow), to = trimmed(arrow + 2, text + n_bytes);
    status_t status = component_parse(from.text, from.n_bytes, &sender, err);
    if (status == ST_OK) status = parse_receiver(to, &receiver, input, &given, err);
    if (status == ST_OK) status = circuit_edge_make(&sender, &receiver, given, out, err);
    return status == ST_OK ? ST_OK : error_wrap(err, "edge \"%.*s\"", n_quoted, text);
}

/* --- flow --------------------------------------------------------------------------------- */

/* Six steps a layer: the stream enters (0), attention reads (1) and writes (2), the stream
 * between (3), the MLP reads (4) and writes (5); the stream that leaves is step 0 of the next. */
static uint64_t step_of_sender(const struct component *sender)
{
    static const uint64_t sites[COMPONENT_N_SITES] = {
        [SITE_RESID_PRE] = 0, [SITE_Z] = 2,       [SITE_ATTN_OUT] = 2,  [SITE_RESID_MID] = 3,
        [SITE_MLP_POST] = 5,  [SITE_MLP_OUT] = 5, [SITE_RESID_POST] = 6};
    const uint64_t start = 6 * (uint64_t)sender->layer;
    if (component_is_graph_end(sender)) return 0;
    if (sender->site != SITE_NONE) return start + sites[sender->site];
    return start + (sender->type == COMPONENT_HEAD ? 2 : 5);
}

static uint64_t step_of_receiver(const struct component *receiver, bool is_parallel)
{
    const uint64_t start = 6 * (uint64_t)receiver->layer;
    if (receiver->type == COMPONENT_LOGITS) return UINT64_MAX;
    return start + (receiver->type == COMPONENT_MLP && !is_parallel ? 4 : 1);
}

bool circuit_edge_is_legal(const struct circuit_edge *edge, bool is_parallel)
{
    return can_send(edge->sender.type) && has_input(edge->receiver.type, edge->input) &&
           step_of_sender(&edge->sender) < step_of_receiver(&edge->receiver, is_parallel);
}

status_t circuit_edge_check(const struct circuit_edge *edge, const struct model_shape *shape,
                            struct error *err)
{
    char name[EDGE_NAME_SIZE];
    status_t status = component_check(&edge->sender, shape, err);
    if (status == ST_OK) status = component_check(&edge->receiver, shape, err);
    if (status != ST_OK) return error_wrap(err, "edge %s", circuit_edge_name(edge, name));
    if (step_of_sender(&edge->sender) >= step_of_receiver(&edge->receiver, shape->is_parallel))
        return error_set(err, ST_BAD_INPUT, "edge %s: the sender is computed after the receiver",
                         circuit_edge_name(edge, name));
    return ST_OK;
}
