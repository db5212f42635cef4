"""An explainer as label_responder.py has it, and a judge that always says the same: CONSTANT_ANSWER,
0 or 1, to every text. For llm_server.py."""
import json
import os
import re

import label_responder

ANSWER = int(os.environ["CONSTANT_ANSWER"])


def reply(body):
    text = body["messages"][-1]["content"]
    if "Description of the feature:" not in text:
        return label_responder.reply(body)
    return json.dumps({"answers": [ANSWER] * len(re.findall(r"^Text \d+: ", text, re.M))})
