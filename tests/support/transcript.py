"""Recorded sweeps: tests/golden/transcripts/. Standard library only.

As a responder of llm_server.py it answers a recorded request with the recorded reply, and any
other request with a text that is no answer.
"""
import gzip
import json
import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tests" / "golden" / "transcripts"
NAMES = ("smollm2-labels", "smollm2-agentic")
PROVIDER = {"name": "smollm2", "model": "SmolLM2-135M-Instruct-Q4_1", "family": "smollm",
            "max_in_flight": 2, "timeout_seconds": 600, "structured_output": "json_schema"}

# Activations differ in their last bits from one instruction set to another, so the worker takes one
# that machines of the last ten years have.
INSTRUCTION_SET = "avx2"
os.environ["INTERP_CPU_ISA"] = INSTRUCTION_SET

replies = {}


class Recording:
    def __init__(self, name):
        self.name = name
        self.sweep = FOLDER / (name + ".yaml")
        self.path = FOLDER / (name + ".jsonl.gz")
        self.results = FOLDER / (name + "-results.jsonl")
        self.table = FOLDER / (name + ".txt")
        self.prompts = FOLDER / (name + "-prompts")  # as they were when it was recorded

    def calls(self):
        with gzip.open(self.path, "rt", encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]


def key(request):
    return json.dumps(request, sort_keys=True)


def reply(body):
    if not replies:
        for name in NAMES:
            replies.update((key(call["request"]), call["reply"]["choices"][0])
                           for call in Recording(name).calls())
    return dict(replies.get(key(body), {"content": "this was not recorded"}))


def results(cluster, sweep):
    """results.jsonl, with paths from the repository's root on."""
    return cluster.canonical(sweep)["results.jsonl"].replace(b"%s/" % bytes(ROOT), b"")


def write_providers(path, base_url):
    keys = dict(PROVIDER, base_url=base_url)
    path.write_text("providers:\n  - " + "\n    ".join("%s: %s" % item for item in keys.items()) +
                    "\n")
    return path
