"""Explainer and judges that are often right and sometimes wrong or unreadable, for llm_server.py.

What they do depends on the model's name and the prompt alone, so that a sweep is the same every
time. A judge quotes no example: one answer in six is turned round, one reply in ten is prose, half
JSON or too short a list. Simulated values are noisy; a judge whose name ends in "-logprobs" gives
log probabilities for its digits, one reply in eight without them, or with tokens that do not spell
it, and one in eight with a line too few.
"""
import hashlib
import json
import math
import random
import re

import label_responder

TOP = 15


def chance(body):
    text = json.dumps([body.get("model"), body["messages"]], sort_keys=True)
    return random.Random(hashlib.sha256(text.encode()).digest())


def judge(text, rng):
    answers = label_responder.judge(text)["answers"]
    answers = [1 - a if rng.random() < 1 / 6 else a for a in answers]
    reply = json.dumps({"answers": answers})
    if rng.random() >= 1 / 10:
        return rng.choice([reply, "```json\n%s\n```" % reply, "<think>{1}</think>" + reply])
    return rng.choice(["I would rather not say.", reply[:-3], json.dumps({"answers": answers[1:]}),
                       json.dumps({"answers": answers[:-1] + ["yes"]})])


# ---- simulation -------------------------------------------------------------------------------
def shown_tokens(text):
    """The tokens of a simulation's prompt, in either form."""
    shown = text.split("stands for a line break:\n", 1)[1]
    if "\n\nAnswer with JSON only" in shown:
        return json.loads(shown.split("\n\nAnswer with JSON only")[0])
    return shown.split("\n\nWrite these")[0].split("\n")


def value_of(token, words, rng):
    place = token.strip().lower()
    strong = bool(place) and any(place in word or word in place for word in words)
    return min(10, max(0, round(rng.gauss(7, 2) if strong else rng.gauss(-1, 1.5))))


def entry(token, logprob, top=()):
    return {"token": token, "logprob": logprob, "bytes": list(token.encode()),
            "top_logprobs": [{"token": t, "logprob": p, "bytes": list(t.encode())}
                             for t, p in top]}


def digits(value, rng):
    """The entries of a number: ten is one token or two."""
    weights = {str(v): math.exp(-abs(v - value) + rng.random()) for v in range(11)
               if abs(v - value) < 4}
    weights[" the"] = 0.2
    total = sum(weights.values())
    top = sorted(((t, math.log(w / total)) for t, w in weights.items()), key=lambda one: -one[1])
    if value == 10 and rng.random() < 0.5:
        return [entry("1", math.log(0.6), [("1", math.log(0.6)), ("9", math.log(0.3))]),
                entry("0", math.log(0.8), [("0", math.log(0.8)), ("\n", math.log(0.1))])]
    return [entry(str(value), dict(top)[str(value)], top[:TOP])]


def simulate_lines(tokens, values, rng):
    content = []
    for token, value in zip(tokens, values):
        said = token.strip(" ") if rng.random() < 0.2 else token
        content += [entry(said, -0.1), entry("\t", -0.1), *digits(value, rng), entry("\n", -0.1)]
    return content


def simulate(text, has_logprobs, rng):
    words = re.findall(r'"(.+?)"', text.split("Description of the feature:")[1].split("\n")[0])
    tokens = shown_tokens(text)
    values = [value_of(token, words, rng) for token in tokens]
    if rng.random() < 1 / 8:
        tokens, values = tokens[1:], values[1:]
    if not has_logprobs:
        rows = [{"token": t, "value": v} for t, v in zip(tokens, values)]
        return json.dumps({"activations": rows})
    content = simulate_lines(tokens, values, rng)
    reply = "".join(one["token"] for one in content)
    fate = rng.random()
    if fate < 1 / 16:
        return reply
    if fate < 1 / 8:
        content[0] = entry(content[0]["token"] + "x", -0.1)
    return {"content": reply, "logprobs": {"content": content}}


def reply(body):
    text, rng = body["messages"][-1]["content"], chance(body)
    if "tokens, of which the symbol" in text:
        return simulate(text, bool(body.get("logprobs")), rng)
    if "Description of the feature:" in text:
        return judge(text, rng)
    return label_responder.reply(body)
