#include "coordinator/session/prompt_template.h"

#include "common/file.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum section { SECTION_SYSTEM, SECTION_USER, N_SECTIONS };
static const char *const SECTION_NAMES[N_SECTIONS] = {"@system", "@user"};

struct prompt_template {
    char *name;
    char *text; /* the whole file, NUL-terminated */
    struct {
        const char *begin;
        size_t n_bytes;
    } sections[N_SECTIONS];
    char hash[HASH_HEX_SIZE];
    char fields[PROMPT_MAX_FIELDS][PROMPT_MAX_FIELD_NAME]; /* names used, in order */
    size_t n_fields;
};

/* --- sections --------------------------------------------------------------------------- */

static size_t line_length(const char *text)
{
    return strcspn(text, "\n");
}

static bool is_section_line(const char *line, size_t n_line, enum section *section)
{
    for (unsigned s = 0; s < N_SECTIONS; s++) {
        if (n_line != strlen(SECTION_NAMES[s]) || memcmp(line, SECTION_NAMES[s], n_line) != 0)
            continue;
        *section = (enum section)s;
        return true;
    }
    return false;
}

/* The section ends before `end`, without the line breaks at its end. */
static void close_section(struct prompt_template *made, enum section section, const char *end)
{
    const char *begin = made->sections[section].begin;
    while (end > begin && end[-1] == '\n') end--;
    made->sections[section].n_bytes = (size_t)(end - begin);
}

static status_t read_sections(struct prompt_template *made, struct error *err)
{
    enum section open = N_SECTIONS;
    unsigned line_number = 1;
    for (const char *line = made->text; *line; line_number++) {
        const size_t n_line = line_length(line);
        enum section section;
        const char *next = line + n_line + (line[n_line] == '\n');
        if (is_section_line(line, n_line, &section)) {
            if (made->sections[section].begin)
                return error_set(err, ST_BAD_INPUT, "%s:%u: a second %s", made->name, line_number,
                                 SECTION_NAMES[section]);
            if (open != N_SECTIONS) close_section(made, open, line);
            open = section;
            made->sections[section].begin = next;
        } else if (*line == '@') {
            return error_set(err, ST_BAD_INPUT, "%s:%u: unknown section '%.*s' (@system, @user)",
                             made->name, line_number, n_line > 40 ? 40 : (int)n_line, line);
        } else if (open == N_SECTIONS && n_line > 0 && *line != '#') {
            return error_set(err, ST_BAD_INPUT,
                             "%s:%u: text before the first section (@system or @user)", made->name,
                             line_number);
        }
        line = next;
    }
    if (open != N_SECTIONS) close_section(made, open, made->text + strlen(made->text));
    if (!made->sections[SECTION_USER].begin)
        return error_set(err, ST_BAD_INPUT, "%s: no @user section", made->name);
    return ST_OK;
}

/* --- fields ----------------------------------------------------------------------------- */

static unsigned line_of(const struct prompt_template *made, const char *at)
{
    unsigned line = 1;
    for (const char *p = made->text; p < at; p++) line += *p == '\n';
    return line;
}

/* A field opens at text[0..2) = "{{": its name's length, 0 if it is not well formed. */
static size_t field_name_length(const char *text, size_t n_bytes)
{
    size_t n = 0;
    while (2 + n < n_bytes && n < PROMPT_MAX_FIELD_NAME &&
           ((text[2 + n] >= 'a' && text[2 + n] <= 'z') || text[2 + n] == '_' ||
            (text[2 + n] >= '0' && text[2 + n] <= '9')))
        n++;
    const bool is_closed = 4 + n <= n_bytes && text[2 + n] == '}' && text[3 + n] == '}';
    return is_closed && n < PROMPT_MAX_FIELD_NAME ? n : 0;
}

static const char *find_field(const char *text, size_t n_bytes)
{
    for (size_t i = 0; i + 1 < n_bytes; i++)
        if (text[i] == '{' && text[i + 1] == '{') return text + i;
    return NULL;
}

static bool names_equal(const char *name, const char *text, size_t n_text)
{
    return strlen(name) == n_text && memcmp(name, text, n_text) == 0;
}

static status_t note_field(struct prompt_template *made, const char *name, size_t n_name,
                           struct error *err)
{
    for (size_t i = 0; i < made->n_fields; i++)
        if (names_equal(made->fields[i], name, n_name)) return ST_OK;
    if (made->n_fields == PROMPT_MAX_FIELDS)
        return error_set(err, ST_TOO_LARGE, "%s: more than %d fields", made->name,
                         PROMPT_MAX_FIELDS);
    memcpy(made->fields[made->n_fields], name, n_name); /* n_name < PROMPT_MAX_FIELD_NAME */
    made->n_fields++;
    return ST_OK;
}

static status_t read_fields(struct prompt_template *made, struct error *err)
{
    for (unsigned s = 0; s < N_SECTIONS; s++) {
        const char *text = made->sections[s].begin;
        size_t n_left = made->sections[s].n_bytes;
        const char *field;
        while (text && (field = find_field(text, n_left)) != NULL) {
            n_left -= (size_t)(field - text);
            const size_t n_name = field_name_length(field, n_left);
            if (n_name == 0)
                return error_set(err, ST_BAD_INPUT, "%s:%u: '{{' without a field name and '}}'",
                                 made->name, line_of(made, field));
            const status_t status = note_field(made, field + 2, n_name, err);
            if (status != ST_OK) return status;
            text = field + n_name + 4;
            n_left -= n_name + 4;
        }
    }
    return ST_OK;
}

/* --- making ----------------------------------------------------------------------------- */

status_t prompt_template_parse(struct prompt_template **out, const char *name, const char *bytes,
                               size_t n_bytes, struct error *err)
{
    if (n_bytes > PROMPT_MAX_TEMPLATE_BYTES)
        return error_set(err, ST_TOO_LARGE, "%s: %zu bytes (at most %d)", name, n_bytes,
                         PROMPT_MAX_TEMPLATE_BYTES);
    if (memchr(bytes, '\0', n_bytes))
        return error_set(err, ST_BAD_INPUT, "%s: holds a NUL byte", name);
    struct prompt_template *made = calloc(1, sizeof *made);
    if (!made) return error_set(err, ST_NO_MEMORY, "%s", name);
    made->name = strdup(name);
    made->text = malloc(n_bytes + 1);
    status_t status = ST_OK;
    if (!made->name || !made->text) {
        status = error_set(err, ST_NO_MEMORY, "%s", name);
    } else {
        memcpy(made->text, bytes, n_bytes);
        made->text[n_bytes] = '\0';
        (void)hash_sha256_hex(bytes, n_bytes, made->hash);
        status = read_sections(made, err);
    }
    if (status == ST_OK) status = read_fields(made, err);
    if (status == ST_OK)
        *out = made;
    else
        prompt_template_destroy(&made);
    return status;
}

status_t prompt_template_load(struct prompt_template **out, const char *path, struct error *err)
{
    char *bytes = NULL;
    size_t n_bytes;
    status_t status = file_read(path, PROMPT_MAX_TEMPLATE_BYTES, &bytes, &n_bytes, err);
    if (status == ST_OK) status = prompt_template_parse(out, path, bytes, n_bytes, err);
    free(bytes);
    return status;
}

void prompt_template_destroy(struct prompt_template **template_)
{
    struct prompt_template *gone = *template_;
    if (!gone) return;
    free(gone->name);
    free(gone->text);
    free(gone);
    *template_ = NULL;
}

const char *prompt_template_hash(const struct prompt_template *template_)
{
    return template_->hash;
}

const char *prompt_template_text(const struct prompt_template *template_)
{
    const char *system = template_->sections[SECTION_SYSTEM].begin;
    const char *user = template_->sections[SECTION_USER].begin;
    return system && system < user ? system : user;
}

status_t prompt_template_check_fields(const struct prompt_template *template_,
                                      const char *const *names, size_t n_names, struct error *err)
{
    for (size_t f = 0; f < template_->n_fields; f++) {
        bool is_given = false;
        for (size_t i = 0; i < n_names; i++) is_given |= !strcmp(names[i], template_->fields[f]);
        if (!is_given)
            return error_set(err, ST_BAD_INPUT, "%s: unknown field {{%s}}", template_->name,
                             template_->fields[f]);
    }
    for (size_t i = 0; i < n_names; i++) {
        bool is_used = false;
        for (size_t f = 0; f < template_->n_fields; f++)
            is_used |= !strcmp(names[i], template_->fields[f]);
        if (!is_used)
            return error_set(err, ST_BAD_INPUT, "%s: the field {{%s}} is missing", template_->name,
                             names[i]);
    }
    return ST_OK;
}

static status_t fill_section(const struct prompt_template *template_, enum section section,
                             const struct prompt_field *fields, size_t n_fields, struct buffer *out,
                             struct error *err)
{
    const char *text = template_->sections[section].begin;
    size_t n_left = text ? template_->sections[section].n_bytes : 0;
    status_t status = ST_OK;
    while (n_left > 0 && status == ST_OK) {
        const char *field = find_field(text, n_left);
        const size_t n_plain = field ? (size_t)(field - text) : n_left;
        status = buffer_append(out, text, n_plain, err);
        text += n_plain;
        n_left -= n_plain;
        if (!field || status != ST_OK) continue;
        const size_t n_name = field_name_length(text, n_left);
        for (size_t i = 0; i < n_fields; i++) {
            if (!names_equal(fields[i].name, text + 2, n_name)) continue;
            status = buffer_append(out, fields[i].text, fields[i].n_bytes, err);
            break;
        }
        text += n_name + 4;
        n_left -= n_name + 4;
    }
    return status;
}

status_t prompt_template_fill(const struct prompt_template *template_,
                              const struct prompt_field *fields, size_t n_fields,
                              struct buffer *system, struct buffer *user, struct error *err)
{
    const char *names[PROMPT_MAX_FIELDS];
    if (n_fields > PROMPT_MAX_FIELDS)
        return error_set(err, ST_TOO_LARGE, "%s: %zu fields given", template_->name, n_fields);
    for (size_t i = 0; i < n_fields; i++) names[i] = fields[i].name;
    status_t status = prompt_template_check_fields(template_, names, n_fields, err);
    if (status == ST_OK)
        status = fill_section(template_, SECTION_SYSTEM, fields, n_fields, system, err);
    if (status == ST_OK)
        status = fill_section(template_, SECTION_USER, fields, n_fields, user, err);
    return status;
}
