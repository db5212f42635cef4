/* Any bytes as a user's prompt set: refused in one line, or lines that the coordinator reads. */
#include "coordinator/circuit/prompt_set.h"
#include "worker/prompts/user_prompts.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A few words, in the shape of GPT-2. */
static const char TOKENIZER[] =
    "{\"added_tokens\": [{\"id\": 0, \"content\": \"<bos>\", \"single_word\": false, "
    "\"lstrip\": false, \"rstrip\": false, \"normalized\": false, \"special\": true}], "
    "\"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false}, "
    "\"decoder\": {\"type\": \"ByteLevel\"}, \"model\": {\"type\": \"BPE\", \"vocab\": "
    "{\"<bos>\": 0, \"a\": 1, \"b\": 2, \"\xc4\xa0\": 3, \"\xc4\xa0"
    "a\": 4, \"ab\": 5, \"\xc3\xa9\": 6}, \"merges\": [\"\xc4\xa0 a\", \"a b\"]}}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tokenizer *opened; /* read-only, kept over runs */
    struct error err = {0};
    struct prompt_set set;
    struct buffer out;
    if (!opened && tokenizer_parse(&opened, TOKENIZER, sizeof TOKENIZER - 1, NULL) != ST_OK)
        abort();
    const struct prompt_tokenizer tokenizer = {
        .tokenizer = opened, .n_vocab = 7, .n_positions = 64, .bos = {size % 2, 0}};
    buffer_init(&out, PROMPTS_MAX_RESULT_BYTES);
    if (user_prompts_tokenize(&tokenizer, "file", (const char *)data, size, &out, &err) == ST_OK) {
        const status_t status =
            prompt_set_parse(&set, "made", (const char *)out.bytes, out.n_bytes, 7, NULL);
        if (status == ST_OK) prompt_set_fini(&set);
    } else if (out.n_bytes != 0 || err.text[0] == 0) {
        abort();
    }
    buffer_fini(&out);
    return 0;
}
