"""scripted_agent.py, and a judge for the intervention score (CHOICE in the environment):

  right     the label that quotes the last word of the beginning, where a planted feature fires
  random    by a hash of the request
  constant  always the first
  prose     words in place of a number
"""
import json
import os
import re

from scripted_agent import reply as answer_others
from scripted_agent import share


def choose(text):
    labels = re.findall(r"^Label (\d+): (.*)$", text, re.M)
    last = re.search(r"^Beginning: (.*)$", text, re.M).group(1).split()[-1].lower()
    mode = os.environ.get("CHOICE", "right")
    if mode == "prose":
        return "I cannot see any difference that a label would explain."
    if mode == "random":
        return json.dumps({"answer": 1 + int(share(text) * len(labels))})
    fitting = [number for number, label in labels if '"%s"' % last in label.lower()]
    return json.dumps({"answer": int(fitting[0]) if mode == "right" and fitting else 1})


def reply(body):
    text = body["messages"][-1]["content"]
    return choose(text) if "Continuation A:" in text else answer_others(body)
