#include "common/log.h"

#include "common/clock.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 2048 };

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static struct {
    const char *program;
    enum log_level level;
    int fd;
} sink = {"interp", LOG_INFO, 2};

struct line {
    char text[LINE_MAX_BYTES];
    size_t used;
};

static void put(struct line *line, const char *text)
{
    while (*text && line->used < sizeof line->text - 1) line->text[line->used++] = *text++;
}

static int needs_quotes(const char *text)
{
    if (!*text) return 1;
    for (; *text; text++)
        if ((unsigned char)*text <= 0x20 || *text == '"' || *text == '\\' || *text == '=' ||
            *text == 0x7f)
            return 1;
    return 0;
}

static void put_value(struct line *line, const char *text)
{
    if (!needs_quotes(text)) {
        put(line, text);
        return;
    }
    put(line, "\"");
    for (; *text; text++) {
        char piece[8];
        const unsigned char byte = (unsigned char)*text;
        if (byte == '"' || byte == '\\')
            (void)snprintf(piece, sizeof piece, "\\%c", byte);
        else if (byte < 0x20 || byte == 0x7f)
            (void)snprintf(piece, sizeof piece, "\\x%02x", byte);
        else
            (void)snprintf(piece, sizeof piece, "%c", byte);
        put(line, piece);
    }
    put(line, "\"");
}

void log_init(const char *program, enum log_level level, int fd)
{
    sink.program = program;
    sink.level = level;
    sink.fd = fd;
}

void log_write(enum log_level level, const char *event, const struct log_field *fields,
               unsigned n_fields)
{
    if (level < sink.level) return;
    struct line line = {.used = 0};
    char stamp[CLOCK_RFC3339_SIZE];
    put(&line, clock_format_rfc3339(clock_unix_ms(clock_system()), stamp));
    put(&line, " ");
    put(&line, level_names[level]);
    put(&line, " ");
    put(&line, sink.program);
    put(&line, " ");
    put(&line, event);
    for (unsigned i = 0; i < n_fields; i++) {
        put(&line, " ");
        put(&line, fields[i].key);
        put(&line, "=");
        char number[24];
        (void)snprintf(number, sizeof number, "%lld", (long long)fields[i].number);
        put_value(&line, fields[i].text ? fields[i].text : number);
    }
    line.text[line.used++] = '\n';
    if (write(sink.fd, line.text, line.used) < 0) return; /* nowhere left to complain */
}

int log_level_parse(const char *name)
{
    for (int i = 0; i < 4; i++)
        if (strcmp(name, level_names[i]) == 0) return i;
    return -1;
}
