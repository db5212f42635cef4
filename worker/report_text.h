/* Text of reports for people: lines that a terminal shows whole, and numbers with a prefix. Memory
 * is in binary units (MiB), what moves or is computed in decimal ones (GB/s, TFLOP/s), as data
 * sheets have it. No state; any thread. */
#ifndef WORKER_REPORT_TEXT_H
#define WORKER_REPORT_TEXT_H

#include <stddef.h>
#include <stdio.h>

enum { REPORT_TEXT_COLUMNS = 80, REPORT_NUMBER_SIZE = 32 };

/* Write `text` and a newline where `column` columns of the line are taken; lines after it begin
 * behind `indent` spaces. Runs of white space are one; a word wider than a line stands alone. */
void report_text_wrap(FILE *to, const char *text, size_t column, size_t indent);

/* Three digits, a decimal prefix and the unit: "9.96 GB", "0.33 FLOP"; below a thousandth "0 B". A
 * count has the unit behind a space: "316 k tokens". Returns `out`. */
const char *report_text_amount(double value, const char *unit, char out[REPORT_NUMBER_SIZE]);
const char *report_text_count(double value, const char *unit, char out[REPORT_NUMBER_SIZE]);

/* Bytes of memory: "0.5 KiB", "13.7 MiB", "80.0 GiB". Returns `out`. */
const char *report_text_memory(double n_bytes, char out[REPORT_NUMBER_SIZE]);

#endif
