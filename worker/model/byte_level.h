/* GPT-2's spelling of bytes as printable characters: printable Latin-1 stands for itself, the
 * other 68 bytes for U+0100 onward in order. Pure, any thread. */
#ifndef WORKER_MODEL_BYTE_LEVEL_H
#define WORKER_MODEL_BYTE_LEVEL_H

#include <stdint.h>

/* The character that spells `byte`. */
uint32_t byte_level_character(unsigned char byte);

/* The byte that `codepoint` spells, -1 if it spells none. */
int byte_level_byte(uint32_t codepoint);

#endif
