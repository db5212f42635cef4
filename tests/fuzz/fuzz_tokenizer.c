/* Any bytes as a tokenizer.json and as a text.
 *
 * A file that is accepted must encode and decode; text through the golden tokenizers must come
 * back: byte-level decode(encode(text)) is the text with ill-formed UTF-8 replaced. Run in the
 * repository's root. Seeds: the tokenizer.json files of tests/golden. */
#include "worker/model/tokenizer.h"
#include "worker/model/utf8.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_OUT_BYTES = 64 << 20 };

static void require(int holds)
{
    if (!holds) abort();
}

static const char *const golden_names[] = {"gpt2",       "llama3",           "llama2-added",
                                           "gpt2-added", "metaspace-always", "qwen2-nfc"};
enum { N_GOLDEN = 6, N_ROUND_TRIP = 2 }; /* the first two give back every text */

static const struct tokenizer *golden(size_t index)
{
    static struct tokenizer *opened[N_GOLDEN];
    char path[128];
    struct error err = {0};
    if (opened[index]) return opened[index];
    (void)snprintf(path, sizeof path, "tests/golden/tokenizers/%s", golden_names[index]);
    if (tokenizer_open(&opened[index], path, &err) != ST_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        abort();
    }
    return opened[index];
}

static void expect_text(const char *text, size_t n_bytes, const struct buffer *got)
{
    struct buffer want;
    buffer_init(&want, MAX_OUT_BYTES);
    require(utf8_repair(text, n_bytes, &want, NULL) == ST_OK);
    require(want.n_bytes == got->n_bytes);
    require(want.n_bytes == 0 || memcmp(want.bytes, got->bytes, want.n_bytes) == 0);
    buffer_fini(&want);
}

static void there_and_back(const struct tokenizer *tokenizer, const char *text, size_t n_bytes,
                           int gives_back)
{
    struct token_list ids = {0};
    struct buffer decoded;
    struct error err = {0};
    buffer_init(&decoded, MAX_OUT_BYTES);
    if (tokenizer_encode(tokenizer, text, n_bytes, false, &ids, &err) == ST_OK) {
        for (size_t i = 0; i < ids.n_ids; i++)
            require(ids.ids[i] < tokenizer_vocab_size(tokenizer));
        require(tokenizer_decode(tokenizer, ids.ids, ids.n_ids, &decoded, &err) == ST_OK);
        const char *got = decoded.n_bytes ? (const char *)decoded.bytes : "";
        require(utf8_valid_prefix(got, decoded.n_bytes) == decoded.n_bytes);
        if (gives_back) expect_text(text, n_bytes, &decoded);
    } else {
        require(err.text[0] != '\0');
    }
    buffer_fini(&decoded);
    token_list_fini(&ids);
}

static void parse_file(const uint8_t *data, size_t size)
{
    static const char sample[] = "ab  a1.b <s>\xf0\x9f\x98\x80 e\xcc\x81\xff don't\n\n x";
    struct error err = {0};
    struct tokenizer *tokenizer = NULL;
    if (tokenizer_parse(&tokenizer, (const char *)data, size, &err) == ST_OK)
        there_and_back(tokenizer, sample, sizeof sample - 1, 0);
    else
        require(err.text[0] != '\0' && tokenizer == NULL);
    tokenizer_close(&tokenizer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    if (data[0] == '{') {
        parse_file(data, size);
        return 0;
    }
    const size_t index = data[0] % N_GOLDEN;
    char *text = malloc(size); /* exact, so that an overrun is seen */
    require(text != NULL);
    memcpy(text, data + 1, size - 1);
    there_and_back(golden(index), text, size - 1, index < N_ROUND_TRIP);
    free(text);
    return 0;
}
