"""label_responder.py whose explainer names the one word that is highlighted most often: right about
a meaning of one word, wrong by the others about a feature of several."""
import collections
import json
import re

import label_responder


def explain(text):
    examples = text.split("In these texts the feature does not fire")[0]
    counts = collections.Counter(token.strip().lower()
                                 for token in re.findall(r"<<(.+?)>>", examples))
    return {"label": 'the word "%s"' % counts.most_common(1)[0][0], "type": "concrete"}


def reply(body):
    text = body["messages"][-1]["content"]
    is_judged = "Description of the feature:" in text
    return json.dumps(label_responder.judge(text) if is_judged else explain(text))
