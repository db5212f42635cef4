/* The words that generators put into sentences, written for this project. Every table ends with
 * NULL; no word comes twice in one. Which of them a model can use is word_list.h's matter. */
#ifndef WORKER_PROMPTS_WORD_TABLES_H
#define WORKER_PROMPTS_WORD_TABLES_H

extern const char *const WORDS_MALE_NAMES[];
extern const char *const WORDS_FEMALE_NAMES[];
extern const char *const WORDS_NAMES[];      /* of either */
extern const char *const WORDS_PLACES[];     /* "went to the ..." */
extern const char *const WORDS_OBJECTS[];    /* "gave a ..." */
extern const char *const WORDS_EVENTS[];     /* "The ... lasted": of years */
extern const char *const WORDS_NOUN_FORMS[]; /* singular, plural, ...: who does something */
extern const char *const WORDS_VERB_FORMS[]; /* singular, plural, ... */

#endif
