/* Has the explainer answered with its own question? A weak model gives back a placeholder, the
 * label of a worked example or a sentence of the instructions. Such a text is no label: it would
 * be judged and paid for, and stand in a table as if it said something of the feature.
 *
 * Words are compared, not bytes: ASCII letters in lower case, punctuation and spacing left out.
 * Refused is a label that
 *   holds no word at all ("...", "--");
 *   is one of the answer's own key or type names ("label", "polysemantic");
 *   equals the value of a "label" key that stands in the template;
 *   is PROMPT_ECHO_RUN_WORDS or more words that stand in the template in this order (the last may
 *   be cut short, as a reply at its limit is).
 * Shorter runs are let through, since a template and a true label may share a few words. Text
 * that fields bring into the prompt does not count: a label may quote its examples. Pure. */
#ifndef COORDINATOR_SESSION_PROMPT_ECHO_H
#define COORDINATOR_SESSION_PROMPT_ECHO_H

#include "coordinator/session/prompt_template.h"

enum { PROMPT_ECHO_RUN_WORDS = 5 };

/* What is wrong with the label, as the end of a sentence ("repeats ..."); NULL if nothing is.
 * `label` is valid UTF-8; `asked` is the template of its prompt, NULL: not known. */
const char *prompt_echo_find(const char *label, const struct prompt_template *asked);

#endif
