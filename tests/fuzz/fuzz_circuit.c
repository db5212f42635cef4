/* Any bytes as a circuit file and as a prompt set: a circuit that comes back from its own JSON
 * unchanged and can be drawn and stood in for, prompts that keep what prompt_set.h promises, or
 * one error. Built with -fsanitize=fuzzer. */
#include "coordinator/circuit/circuit_dot.h"
#include "coordinator/circuit/circuit_file.h"
#include "coordinator/circuit/prompt_split.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct buffer written(const struct circuit *circuit)
{
    struct buffer out;
    buffer_init(&out, CIRCUIT_MAX_BYTES);
    if (circuit_write(circuit, &out, NULL) != ST_OK || !buffer_text(&out)) abort();
    return out;
}

static void read_circuit(const char *text, size_t n_bytes)
{
    static const struct model_shape shape = {.n_layers = 12, .n_heads = 12, .n_kv_heads = 12};
    struct circuit circuit, again;
    struct error err = {.status = ST_OK};
    struct buffer dot;
    if (circuit_file_parse(&circuit, "fuzz", text, n_bytes, &err) != ST_OK) {
        if (err.text[0] == '\0') abort();
        return;
    }
    struct buffer first = written(&circuit);
    if (circuit_file_parse(&again, "again", (const char *)first.bytes, first.n_bytes, NULL) !=
        ST_OK)
        abort();
    struct buffer second = written(&again);
    if (first.n_bytes != second.n_bytes || memcmp(first.bytes, second.bytes, first.n_bytes) != 0)
        abort();
    buffer_init(&dot, CIRCUIT_MAX_BYTES);
    if (circuit_dot_write(&circuit, NULL, &dot, NULL) != ST_OK) abort();
    (void)circuit_check(&circuit, &shape, "00", &err);
    buffer_fini(&dot);
    buffer_fini(&first);
    buffer_fini(&second);
    circuit_fini(&circuit);
    circuit_fini(&again);
}

static void check_prompt(const struct circuit_prompt *prompt)
{
    if (prompt->n_tokens == 0 || prompt->answer_position >= prompt->n_tokens) abort();
    if (prompt->n_answers == 0 || prompt->n_distractors == 0) abort();
    for (size_t i = 0; i < 2 * (size_t)prompt->n_tokens + prompt->n_answers; i++)
        if (prompt->ids[i] >= 1000) abort();
    for (size_t i = 0; i < prompt->n_positions; i++)
        if (prompt->positions[i].index >= prompt->n_tokens) abort();
}

static void read_prompts(const char *text, size_t n_bytes)
{
    struct prompt_split_params params = prompt_split_params_default(1);
    struct prompt_set set;
    struct error err = {.status = ST_OK};
    size_t n_in_part[PROMPT_N_PARTS];
    if (prompt_set_parse(&set, "fuzz", text, n_bytes, 1000, &err) != ST_OK) {
        if (err.text[0] == '\0') abort();
        return;
    }
    enum prompt_part *parts = calloc(set.n_prompts, sizeof *parts);
    if (!parts) abort();
    for (size_t i = 0; i < set.n_prompts; i++) check_prompt(&set.prompts[i]);
    for (int is_by_template = 0; is_by_template < 2; is_by_template++) {
        params.is_by_template = is_by_template;
        if (prompt_split(&set, &params, parts, n_in_part, NULL) != ST_OK) continue;
        for (int part = 0; part < PROMPT_N_PARTS; part++)
            if (n_in_part[part] == 0) abort();
    }
    free(parts);
    prompt_set_fini(&set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_circuit((const char *)data, size);
    read_prompts((const char *)data, size);
    return 0;
}
