/* Any bytes as a corpus file, in every format: documents that keep what corpus.h promises, or
 * one error. The first byte chooses format and document unit; the rest is the file, held in
 * memory. Built with -fsanitize=fuzzer. */
#define _GNU_SOURCE /* memfd_create */
#include "coordinator/intake/corpus.h"
#include "coordinator/session/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t n_bytes)
{
    for (size_t at = 0; at < n_bytes;) {
        const size_t n = utf8_decode(text + at, n_bytes - at, NULL);
        if (n == 0 || text[at] == '\0') abort();
        at += n;
    }
}

static void read_all(const struct sweep_source *source)
{
    struct corpus *corpus = NULL;
    struct corpus_document document;
    bool has_document = true;
    struct error err = {.status = ST_OK};
    uint64_t n = 0;
    status_t status = corpus_open(&corpus, source, &err);
    while (status == ST_OK && has_document) {
        status = corpus_next(corpus, &document, &has_document, &err);
        if (status != ST_OK || !has_document) break;
        if (document.index != n++ || !document.id[0]) abort();
        if ((document.text == NULL) == (document.tokens == NULL)) abort();
        if (document.text) check_text(document.text, document.n_text_bytes);
    }
    if (status != ST_OK && err.text[0] == '\0') abort();
    if (status == ST_OK && corpus_stats(corpus).n_documents != n) abort();
    corpus_close(&corpus);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    const int fd = memfd_create("corpus", 0);
    if (fd < 0 || size == 0) {
        if (fd >= 0) (void)close(fd);
        return 0;
    }
    if (write(fd, data + 1, size - 1) != (ssize_t)(size - 1)) abort();
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    read_all(
        &(struct sweep_source){.path = path,
                               .format = (enum corpus_format)(CORPUS_FORMAT_JSONL + data[0] % 3),
                               .document = (enum corpus_document_unit)(data[0] / 3 % 3),
                               .separator = (char[]){"--"}});
    (void)close(fd);
    return 0;
}
