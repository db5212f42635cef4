#include "coordinator/intake/corpus.h"

#include "common/buffer.h"
#include "common/hash.h"
#include "coordinator/intake/corpus_files.h"
#include "coordinator/intake/corpus_line.h"
#include "coordinator/intake/delimited.h"
#include "coordinator/intake/document_text.h"
#include "coordinator/intake/id_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PLACE_SIZE = CORPUS_MAX_ID_BYTES + 32 };

struct corpus {
    const struct sweep_source *source; /* borrowed */
    struct corpus_files files;
    size_t file_index;         /* of the open file, or the next to open */
    struct delimited *reader;  /* NULL between files */
    enum corpus_format format; /* of the open file; never CORPUS_FORMAT_AUTO */
    uint64_t n_in_file;        /* lines, or documents of plain text, read so far */
    struct buffer paragraph;   /* blank_line: the document being gathered */
    struct corpus_line line;
    char id[PLACE_SIZE];
    struct id_set ids;
    struct corpus_stats stats;
};

static bool has_suffix(const char *name, size_t n_name, const char *suffix)
{
    const size_t n = strlen(suffix);
    return n_name >= n && memcmp(name + n_name - n, suffix, n) == 0;
}

static enum corpus_format format_of(const char *name)
{
    size_t n = strlen(name);
    if (has_suffix(name, n, ".gz")) n -= 3;
    if (has_suffix(name, n, ".zst")) n -= 4;
    if (has_suffix(name, n, ".tokens") || has_suffix(name, n, ".tokens.jsonl"))
        return CORPUS_FORMAT_TOKENS;
    if (has_suffix(name, n, ".jsonl") || has_suffix(name, n, ".ndjson")) return CORPUS_FORMAT_JSONL;
    return CORPUS_FORMAT_TEXT;
}

status_t corpus_open(struct corpus **out, const struct sweep_source *source, struct error *err)
{
    struct corpus *corpus = calloc(1, sizeof *corpus);
    status_t status;
    if (!corpus) return error_set(err, ST_NO_MEMORY, "corpus %s", source->path);
    corpus->source = source;
    buffer_init(&corpus->paragraph, CORPUS_MAX_DOCUMENT_BYTES);
    status = corpus_files_init(&corpus->files, source->path, err);
    if (status == ST_OK)
        *out = corpus;
    else
        corpus_close(&corpus);
    return status;
}

void corpus_close(struct corpus **corpus)
{
    if (!corpus || !*corpus) return;
    delimited_close(&(*corpus)->reader);
    corpus_files_fini(&(*corpus)->files);
    corpus_line_fini(&(*corpus)->line);
    buffer_fini(&(*corpus)->paragraph);
    id_set_fini(&(*corpus)->ids);
    free(*corpus);
    *corpus = NULL;
}

struct corpus_stats corpus_stats(const struct corpus *corpus)
{
    return corpus->stats;
}

static const char *file_name(const struct corpus *corpus)
{
    return corpus->files.files[corpus->file_index].name;
}

static status_t open_next_file(struct corpus *corpus, struct error *err)
{
    const struct corpus_file *file = &corpus->files.files[corpus->file_index];
    status_t status;
    if (strlen(file->name) > CORPUS_MAX_ID_BYTES)
        return error_set(err, ST_TOO_LARGE, "%.80s...: name longer than %d bytes", file->name,
                         CORPUS_MAX_ID_BYTES);
    status = document_text_check(file->name, strlen(file->name), "corpus", "a file's name", err);
    if (status != ST_OK) return status;
    corpus->format = corpus->source->format != CORPUS_FORMAT_AUTO ? corpus->source->format
                                                                  : format_of(file->name);
    corpus->n_in_file = 0;
    return delimited_open(&corpus->reader, file->path, CORPUS_MAX_DOCUMENT_BYTES, err);
}

/* A run of the open file; the place of it is "FILE:N", which corpus->id holds from here on. */
static status_t next_run(struct corpus *corpus, const char *delimiter, const char **bytes,
                         size_t *n_bytes, bool *has_run, struct error *err)
{
    status_t status;
    (void)snprintf(corpus->id, sizeof corpus->id, "%s:%llu", file_name(corpus),
                   (unsigned long long)corpus->n_in_file + 1);
    status =
        delimited_next(corpus->reader, delimiter, strlen(delimiter), bytes, n_bytes, has_run, err);
    if (status == ST_TOO_LARGE) return error_wrap(err, "%s", corpus->id);
    if (status == ST_OK && *has_run) corpus->n_in_file++;
    return status;
}

/* --- plain text ------------------------------------------------------------------------- */

static status_t append_line(struct buffer *paragraph, const char *bytes, size_t n_bytes,
                            const char *place, struct error *err)
{
    status_t status = ST_OK;
    if (paragraph->n_bytes) status = buffer_append(paragraph, "\n", 1, err);
    if (status == ST_OK) status = buffer_append(paragraph, bytes, n_bytes, err);
    return status == ST_OK ? ST_OK : error_wrap(err, "%s", place);
}

/* Lines up to the next blank one, joined; *has_run false when the file is at its end. */
static status_t next_paragraph(struct corpus *corpus, struct corpus_document *out, bool *has_run,
                               struct error *err)
{
    const uint64_t number = corpus->n_in_file + 1; /* n_in_file counts paragraphs here */
    struct buffer *paragraph = &corpus->paragraph;
    status_t status = ST_OK;
    bool has_line = true;
    paragraph->n_bytes = 0;
    while (status == ST_OK) {
        const char *bytes;
        size_t n_bytes;
        corpus->n_in_file = number - 1;
        status = next_run(corpus, "\n", &bytes, &n_bytes, &has_line, err);
        if (status != ST_OK || !has_line) break;
        if (!document_text_is_blank(bytes, n_bytes))
            status = append_line(paragraph, bytes, n_bytes, corpus->id, err);
        else if (paragraph->n_bytes)
            break;
    }
    corpus->n_in_file = number;
    *has_run = paragraph->n_bytes > 0;
    out->text = (const char *)paragraph->bytes;
    out->n_text_bytes = paragraph->n_bytes;
    return status;
}

static status_t next_text(struct corpus *corpus, struct corpus_document *out, bool *has_run,
                          struct error *err)
{
    char place[PLACE_SIZE + 16];
    status_t status;
    if (corpus->source->document == CORPUS_DOCUMENT_BLANK_LINE)
        status = next_paragraph(corpus, out, has_run, err);
    else
        status = next_run(
            corpus,
            corpus->source->document == CORPUS_DOCUMENT_SEPARATOR ? corpus->source->separator : "",
            &out->text, &out->n_text_bytes, has_run, err);
    if (status != ST_OK || !*has_run) return status;
    (void)snprintf(place, sizeof place, "document %s", corpus->id);
    return document_text_check(out->text, out->n_text_bytes, place, "the document", err);
}

/* --- JSON lines ------------------------------------------------------------------------- */

static status_t next_line(struct corpus *corpus, struct corpus_document *out, bool *has_run,
                          struct error *err)
{
    const bool wants_tokens = corpus->format == CORPUS_FORMAT_TOKENS;
    const char *bytes;
    size_t n_bytes;
    status_t status = next_run(corpus, "\n", &bytes, &n_bytes, has_run, err);
    if (status != ST_OK || !*has_run) return status;
    out->text = "";
    if (document_text_is_blank(bytes, n_bytes)) return ST_OK; /* as an empty document */
    status = corpus_line_parse(&corpus->line, bytes, n_bytes, wants_tokens, corpus->id, err);
    if (status != ST_OK) return status;
    if (wants_tokens) {
        out->text = NULL;
        out->tokens = corpus->line.tokens;
        out->n_tokens = corpus->line.n_tokens;
    } else {
        out->text = corpus->line.text;
        out->n_text_bytes = corpus->line.n_text_bytes;
    }
    return ST_OK;
}

/* --- documents -------------------------------------------------------------------------- */

static bool is_empty(const struct corpus_document *document)
{
    return document->text ? document_text_is_blank(document->text, document->n_text_bytes)
                          : document->n_tokens == 0;
}

/* Give the document its id and number, refuse a repeated id, count it. */
static status_t admit(struct corpus *corpus, struct corpus_document *document, struct error *err)
{
    struct corpus_stats *stats = &corpus->stats;
    const bool has_own_id = corpus->format != CORPUS_FORMAT_TEXT && corpus->line.id[0];
    uint64_t id_number, content_number;
    bool is_new;
    status_t status;
    document->id = has_own_id ? corpus->line.id : corpus->id;
    id_number = hash_name64(document->id, strlen(document->id));
    status = id_set_add(&corpus->ids, id_number, &is_new, err);
    if (status != ST_OK) return status;
    if (!is_new)
        return error_set(err, ST_BAD_INPUT, "%s: id '%.80s' was used before", corpus->id,
                         document->id);
    if (stats->n_documents >= CORPUS_MAX_DOCUMENTS)
        return error_set(err, ST_TOO_LARGE, "%s: more than %d documents", corpus->source->path,
                         CORPUS_MAX_DOCUMENTS);
    content_number = document->text
                         ? hash_name64(document->text, document->n_text_bytes)
                         : hash_name64(document->tokens, document->n_tokens * sizeof(uint32_t));
    stats->content_key = hash_mix64(stats->content_key ^ id_number);
    stats->content_key = hash_mix64(stats->content_key ^ content_number);
    document->index = stats->n_documents++;
    stats->n_text_bytes += document->n_text_bytes;
    stats->n_tokens += document->n_tokens;
    return ST_OK;
}

/* The next document of the open file, empty ones included; *has_run false at the file's end. */
static status_t next_in_file(struct corpus *corpus, struct corpus_document *out, bool *has_run,
                             struct error *err)
{
    *out = (struct corpus_document){0};
    return corpus->format == CORPUS_FORMAT_TEXT ? next_text(corpus, out, has_run, err)
                                                : next_line(corpus, out, has_run, err);
}

status_t corpus_next(struct corpus *corpus, struct corpus_document *out, bool *has_document,
                     struct error *err)
{
    *has_document = false;
    while (corpus->file_index < corpus->files.n) {
        bool has_run = false;
        status_t status = ST_OK;
        if (!corpus->reader) status = open_next_file(corpus, err);
        if (status == ST_OK) status = next_in_file(corpus, out, &has_run, err);
        if (status != ST_OK) return status;
        if (!has_run) {
            delimited_close(&corpus->reader);
            corpus->file_index++;
        } else if (is_empty(out)) {
            corpus->stats.n_empty++;
        } else {
            *has_document = true;
            return admit(corpus, out, err);
        }
    }
    if (corpus->stats.n_documents == 0)
        return error_set(err, ST_BAD_INPUT, "corpus %s: no document with text in it",
                         corpus->source->path);
    return ST_OK;
}
