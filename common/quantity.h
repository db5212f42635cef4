/* Numbers as people read them. Each writes into out[QUANTITY_SIZE] and returns it; a value that
 * is not known (NAN) is "-". Any thread. */
#ifndef COMMON_QUANTITY_H
#define COMMON_QUANTITY_H

enum { QUANTITY_SIZE = 40 };

char *quantity_seconds(double seconds, char out[QUANTITY_SIZE]); /* "12 s", "3 min 20 s" */
char *quantity_bytes(double n_bytes, char out[QUANTITY_SIZE]);   /* "812 B", "1.5 GiB" */
char *quantity_count(double n, char out[QUANTITY_SIZE]);         /* "16,384" */
char *quantity_dollars(double dollars, char out[QUANTITY_SIZE]); /* "$0.0123", "$12.50" */
char *quantity_percent(double share, char out[QUANTITY_SIZE]);   /* 0.431 -> "43 %" */
char *quantity_score(double score, char out[QUANTITY_SIZE]);     /* "0.93" */

#endif
