"""Replies of the stand-in provider for scripts/bench-llm: to our prompts as label_responder.py gives
them, to delphi's in the form that delphi reads."""
import re

import label_responder

FORM = re.compile(r"^Example \d+:", re.M)


def reply(body):
    text = body["messages"][-1]["content"]
    if text.startswith("Latent explanation:"):
        return "[%s]" % ",".join("%d" % (i % 2) for i, _ in enumerate(FORM.findall(text)))
    if text.startswith("\n") and "\nActivations: " in text:
        return "[EXPLANATION]: words in the middle of a text about anything at all"
    return label_responder.reply(body)
