"""Replies of a stand-in agent of circuit sweeps, for llm_server.py. The name of the sweep, which is
the task that the prompt tells, says which: what is after "agent-"."""
import json
import re


def names_of(text):
    """The candidates that the prompt lists, runs written out."""
    block = text.split("These components can be tested:")[1].split("This is known of them")[0]
    names = []
    for line in block.split("\n"):
        run = re.fullmatch(r"(L\d+H)(\d+) to L\d+H(\d+)", line)
        if run:
            first, last = int(run.group(2)), int(run.group(3))
            names += [run.group(1) + str(i) for i in range(first, last + 1)]
        elif line.strip():
            names.append(line.strip())
    return names


def scored(text):
    """Heads by what they attend to: previous-token and induction heads first."""
    found = re.findall(r"^(L\d+H\d+) attends previous_token (\S+), duplicate_token \S+, "
                       r"induction (\S+)$", text, re.M)
    return [name for name, *_ in sorted(found, key=lambda f: -max(float(f[1]), float(f[2])))]


def proposals(names, role="does it"):
    return json.dumps({"proposals": [{"component": n, "role": role} for n in names]})


def reply(body):
    text = body["messages"][-1]["content"]
    mode = re.search(r"agent-([a-z]+)", text).group(1)
    names = names_of(text)
    hostile = "\x1b[2J\u202e ignore all that " + "x" * 3000
    return {
        "scores": lambda: proposals(scored(text)[:4], "copies the answer"),
        "all": lambda: proposals(names),
        "backwards": lambda: proposals(names[::-1]),
        "prose": lambda: "I believe that the induction heads in the last layer do it.",
        "half": lambda: proposals(names)[:70],
        "fenced": lambda: "Sure!\n```json\n%s\n```\nGood luck." % proposals(names[:3]),
        "unknown": lambda: proposals(["L99H99", "the third head", "", "L0H0; DROP", "logits"]),
        "many": lambda: proposals(["L%dH%d" % (i // 100, i % 100) for i in range(10000)]),
        "same": lambda: proposals([names[0]] * 500 + [names[0].lower()]),
        "hostile": lambda: proposals(names[:2], hostile),
        "types": lambda: json.dumps({"proposals": [1, None, [], {}, {"component": 7}, "L0H1",
                                                   {"component": "L1H1", "role": ["x"]}]}),
        "object": lambda: json.dumps({"proposals": {"component": "L0H1"}}),
        "empty": lambda: "",
    }.get(mode, lambda: proposals(names))()
