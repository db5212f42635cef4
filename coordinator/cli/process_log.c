#include "coordinator/cli/process_log.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { LINE_BYTES = 2304 }; /* common/log.h writes no longer ones */

void process_log_last_line(const struct cluster_paths *paths, const char *name, char *out,
                           size_t cap)
{
    char relative[64], path[CLUSTER_PATH_SIZE], line[LINE_BYTES];
    (void)snprintf(relative, sizeof relative, "logs/%s.log", name);
    (void)snprintf(out, cap, "(nothing logged)");
    FILE *file = fopen(cluster_path(paths, relative, path), "re");
    if (!file) return;
    if (fseek(file, -(long)sizeof line * 2, SEEK_END) != 0) rewind(file);
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        if (*line) (void)snprintf(out, cap, "%s", line);
    }
    (void)fclose(file); /* read-only */
}

/* The value that begins here, in quotes or a word, as common/log.c writes it; in place. */
static void unquote(char *out, const char *value)
{
    const bool is_quoted = *value == '"';
    if (is_quoted) value++;
    while (*value && *value != (is_quoted ? '"' : ' ')) {
        if (is_quoted && value[0] == '\\' && (value[1] == '"' || value[1] == '\\')) value++;
        *out++ = *value++;
    }
    *out = '\0';
}

void process_log_reason(const struct cluster_paths *paths, const char *name, char *out, size_t cap)
{
    static const char key[] = " error=";
    char line[LINE_BYTES];
    process_log_last_line(paths, name, line, sizeof line);
    const char *error = strstr(line, key);
    if (error) unquote(line, error + sizeof key - 1);
    (void)snprintf(out, cap, "%s", line);
}
