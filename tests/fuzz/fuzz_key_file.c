/* Any bytes as a key file: whatever is taken has a name that is a file name and keys that decode.
 * Built with -fsanitize=fuzzer. */
#include "common/key_file.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct key key;
    struct error err = {0};
    unsigned char bytes[PUBLIC_KEY_BYTES];
    if (key_parse((const char *)data, size, &key, &err) != ST_OK) {
        if (err.status != ST_BAD_INPUT || !err.text[0]) abort();
        return 0;
    }
    if (!key.name[0] || strpbrk(key.name, "/:\n ") || key.name[0] == '.') abort();
    if ((unsigned)key.role >= KEY_N_ROLES || !zmq_z85_decode(bytes, key.public_text)) abort();
    if (key.secret_text[0] && !zmq_z85_decode(bytes, key.secret_text)) abort();
    return 0;
}
