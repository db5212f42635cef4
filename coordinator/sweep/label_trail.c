/* The calls of sessions on their way into the archive (call_archive.h), and out of it. */
#include "coordinator/sweep/label_scoring_parts.h"

#include <stdlib.h>
#include <string.h>

enum { LINES_MAX_BYTES = 64 << 20 };

status_t label_trail_begin(struct label_scoring *scoring, struct error *err)
{
    const struct sweep *sweep = scoring->run->sweep;
    if (!sweep_spec_uses_provider(sweep->spec)) return ST_OK;
    char *path = sweep_path(sweep, "calls.zst");
    const status_t status = path ? call_archive_create(&scoring->archive, path, err)
                                 : error_set(err, ST_NO_MEMORY, "calls");
    free(path);
    return status;
}

static const char *ask_name(enum session_ask_kind kind)
{
    switch (kind) {
    case ASK_LABEL: return "label";
    case ASK_DESIGN: return "experiments";
    case ASK_JUDGE: return "judge";
    case ASK_SIMULATE: return "simulate";
    case ASK_MEANING_LABEL: return "meaning label";
    case ASK_MEANING_JUDGE: return "meaning judge";
    case ASK_CHOICE: return "choice";
    case ASK_GENERATE:
    case ASK_PROBE: break;
    }
    return "probe";
}

static const char *sheet_name(enum session_sheet sheet)
{
    static const char *const names[SESSION_N_SHEETS] = {"explain", "validate",    "test",
                                                        "ood",     "first round", "last round"};
    return names[sheet];
}

/* Everything about an ask but its body. NULL without memory. */
static json_t *describe(const struct label_session *session, uint32_t index,
                        const struct call *call)
{
    const struct session_ask *ask = &session->asks[index];
    const bool is_of_test = session->stage != SESSION_HYPOTHESISE &&
                            session->stage != SESSION_DESIGN && session->stage != SESSION_VALIDATE;
    json_t *line =
        json_pack("{s:s s:o s:I s:s s:s}", "ask", ask_name(ask->kind), "round",
                  is_of_test ? json_null() : json_integer((json_int_t)session->rounds.n), "prompt",
                  (json_int_t)ask->index, "call", call->id, "provider", call->provider);
    if (line && ask->kind == ASK_JUDGE) {
        (void)json_object_set_new(line, "sheet", json_string(sheet_name(ask->sheet)));
        (void)json_object_set_new(line, "score", json_string(case_score_name(ask->score)));
        (void)json_object_set_new(line, "judge", json_integer(ask->judge));
    }
    if (line && (ask->kind == ASK_MEANING_LABEL || ask->kind == ASK_MEANING_JUDGE))
        (void)json_object_set_new(line, "meaning", json_integer((json_int_t)ask->meaning + 1));
    return line;
}

/* The body is JSON already: it is put behind the rest as it is sent. */
static status_t append_line(const struct label_session *session, uint32_t index,
                            const struct call *call, struct buffer *lines, struct error *err)
{
    json_t *line = describe(session, index, call);
    char *text = line ? json_dumps(line, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(line);
    if (!text) return error_set(err, ST_NO_MEMORY, "calls");
    status_t status = buffer_append(lines, text, strlen(text) - 1, err); /* without its brace */
    if (status == ST_OK) status = buffer_append_text(lines, ",\"body\":", err);
    if (status == ST_OK) status = buffer_append(lines, call->body, call->n_body_bytes, err);
    free(text);
    return status == ST_OK ? buffer_append_text(lines, "}\n", err) : status;
}

/* A session of the intervention score is about a label that is there already. */
static size_t slot_of(const struct label_scoring *scoring, const struct open_session *open)
{
    return open->session.intervention ? scoring->steered[open->index] : open->index;
}

status_t label_trail_keep(struct label_scoring *scoring, const struct open_session *open,
                          struct error *err)
{
    struct buffer lines;
    status_t status = ST_OK;
    const bool is_asked_again = open->is_awaited;
    if (!scoring->archive || open->session.is_foreign || open->n_calls == 0 || is_asked_again)
        return ST_OK;
    buffer_init(&lines, LINES_MAX_BYTES);
    for (size_t i = 0; i < open->n_calls && status == ST_OK; i++)
        status = append_line(&open->session, open->call_asks[i], &open->calls[i], &lines, err);
    if (status == ST_OK)
        call_archive_append(scoring->archive, slot_of(scoring, open), lines.bytes, lines.n_bytes);
    buffer_fini(&lines);
    return status == ST_TOO_LARGE ? ST_OK : status; /* too much to be kept */
}

status_t label_trail_save(struct label_scoring *scoring, struct error *err)
{
    char *path = scoring->archive ? sweep_path(scoring->run->sweep, "calls.index") : NULL;
    if (!scoring->archive) return ST_OK;
    const status_t status = path ? call_archive_save_index(scoring->archive, path, err)
                                 : error_set(err, ST_NO_MEMORY, "calls");
    free(path);
    return status;
}

status_t label_scoring_trail(const struct sweep *sweep, size_t index, struct buffer *out,
                             struct error *err)
{
    const struct label_run *run = sweep->engine;
    if (run && run->scoring && run->scoring->archive)
        return call_archive_read(run->scoring->archive, index, out, err);
    char *path = sweep_path(sweep, "calls.zst"), *index_path = sweep_path(sweep, "calls.index");
    const status_t status = path && index_path
                                ? call_archive_read_saved(path, index_path, index, out, err)
                                : error_set(err, ST_NO_MEMORY, "calls");
    free(path);
    free(index_path);
    return status;
}
