#include "worker/model/byte_level.h"

#include <stdbool.h>

static bool stands_for_itself(uint32_t value)
{
    return (value >= 0x21 && value <= 0x7e) || (value >= 0xa1 && value <= 0xac) ||
           (value >= 0xae && value <= 0xff);
}

/* The others in rising order: 00-20, 7F-A0, AD. */
enum { N_LOW = 0x21, N_MIDDLE = 0xa1 - 0x7f, FIRST_SPELLING = 0x100 };

uint32_t byte_level_character(unsigned char byte)
{
    if (stands_for_itself(byte)) return byte;
    if (byte < N_LOW) return FIRST_SPELLING + byte;
    if (byte == 0xad) return FIRST_SPELLING + N_LOW + N_MIDDLE;
    return FIRST_SPELLING + N_LOW + (byte - 0x7fu);
}

int byte_level_byte(uint32_t codepoint)
{
    if (stands_for_itself(codepoint)) return (int)codepoint;
    if (codepoint < FIRST_SPELLING || codepoint > FIRST_SPELLING + N_LOW + N_MIDDLE) return -1;
    const uint32_t index = codepoint - FIRST_SPELLING;
    if (index < N_LOW) return (int)index;
    if (index < N_LOW + N_MIDDLE) return (int)(index - N_LOW + 0x7f);
    return 0xad;
}
