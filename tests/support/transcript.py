"""A recorded sweep: tests/golden/transcripts/. Standard library only.

As a responder of llm_server.py it answers a recorded request with the recorded reply, and any
other request with a text that is no answer.
"""
import gzip
import json
import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tests" / "golden" / "transcripts"
SWEEP = FOLDER / "smollm2-labels.yaml"
CALLS = FOLDER / "smollm2-labels.jsonl.gz"
RESULTS = FOLDER / "smollm2-results.jsonl"
TABLE = FOLDER / "smollm2-labels.txt"
PROMPTS = FOLDER / "prompts"  # as they were when it was recorded
PROVIDER = {"name": "smollm2", "model": "SmolLM2-135M-Instruct-Q4_1", "family": "smollm",
            "max_in_flight": 2, "timeout_seconds": 600, "structured_output": "json_schema"}

# Activations differ in their last bits from one instruction set to another, so the worker takes one
# that machines of the last ten years have.
INSTRUCTION_SET = "avx2"
os.environ["INTERP_CPU_ISA"] = INSTRUCTION_SET

replies = {}


def key(request):
    return json.dumps(request, sort_keys=True)


def calls():
    with gzip.open(CALLS, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def reply(body):
    if not replies:
        replies.update((key(call["request"]), call["reply"]["choices"][0]) for call in calls())
    return dict(replies.get(key(body), {"content": "this was not recorded"}))


def results(cluster, sweep):
    """results.jsonl, with paths from the repository's root on."""
    return cluster.canonical(sweep)["results.jsonl"].replace(b"%s/" % bytes(ROOT), b"")


def write_providers(path, base_url):
    keys = dict(PROVIDER, base_url=base_url)
    path.write_text("providers:\n  - " + "\n    ".join("%s: %s" % item for item in keys.items()) +
                    "\n")
    return path
