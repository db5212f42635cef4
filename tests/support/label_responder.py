"""Replies of a stand-in explainer and judge that really read the prompt, for llm_server.py.

The explainer names the highlighted tokens that recur; the judge answers 1 where one of the words
quoted in the label occurs (detection) or is highlighted (fuzzing). Deterministic, so that sweeps
can be compared byte for byte, and right often enough that scores differ from chance.
"""
import collections
import json
import re


def explain(text):
    examples = text.split("In these texts the feature does not fire")[0]
    counts = collections.Counter(token.strip().lower()
                                 for token in re.findall(r"<<(.+?)>>", examples))
    words = [word for word, _ in counts.most_common(4) if word and '"' not in word]
    label = "the words " + ", ".join('"%s"' % word for word in words) if words else "nothing"
    return {"label": label, "type": "concrete"}


def judge(text):
    words = re.findall(r'"(.+?)"', text.split("Description of the feature:")[1].split("\n")[0])
    lines = re.findall(r"^Text \d+: (.*)$", text, re.M)
    is_fuzzing = "highlighted tokens fit" in text
    answers = []
    for line in lines:
        place = " ".join(re.findall(r"<<(.+?)>>", line)) if is_fuzzing else line
        answers.append(int(any(word in place.lower() for word in words)))
    return {"answers": answers}


def reply(body):
    text = body["messages"][-1]["content"]
    return json.dumps(judge(text) if "Description of the feature:" in text else explain(text))
