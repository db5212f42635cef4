#!/usr/bin/env python3
"""What a real language model answered, once recorded, gives the same results again: every recorded
call is made, no other, and the result records are equal byte for byte.

UPDATE_GOLDEN=1 rewrites the records when their form has changed. When the requests have changed the
transcript must be recorded again (tests/golden/transcripts/README.md)."""
import json
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import transcript
from cluster import ROOT, check, check_store_is_clean, run, say


def sent(cluster):
    return {line["body"] for line in cluster.llm_log() if line["event"] == "received"}


def replay(cluster, name):
    recording = transcript.Recording(name)
    calls = recording.calls()
    cluster.start_llm("--log-bodies", "--responder", ROOT / "tests/support/transcript.py")
    cluster.providers = transcript.write_providers(
        cluster.home / "replay.yaml", "http://127.0.0.1:%d/v1" % cluster.llm_port)
    cluster.start_redis()
    cluster.start_coordinator(prompts=recording.prompts)
    cluster.start_worker("w1")
    cluster.start_gateway()
    sweep = cluster.ctl("submit", recording.sweep, "--quiet").strip()
    cluster.wait(sweep, seconds=240)
    asked = {transcript.key(json.loads(body)) for body in sent(cluster)}
    recorded = {transcript.key(call["request"]) for call in calls}
    say("%d calls recorded, %d asked, %d of them recorded" % (len(calls), len(asked),
                                                             len(asked & recorded)))
    check(asked == recorded, "other requests than the recorded ones: record the transcript again")
    check(cluster.llm_stats()["received"] == len(recorded), "each was sent once")
    results = transcript.results(cluster, sweep)
    if os.environ.get("UPDATE_GOLDEN"):
        recording.results.write_bytes(results)
    check(results == recording.results.read_bytes(), "the records differ")
    check_store_is_clean(cluster)


def a_recorded_sweep_gives_its_results_again(cluster):
    replay(cluster, "smollm2-labels")


def recorded_sessions_give_their_results_again(cluster):
    """Agentic: labels, experiments on the model and what they led to, of planted features."""
    replay(cluster, "smollm2-agentic")


def has_instruction_set():
    words = pathlib.Path("/proc/cpuinfo").read_text().split()
    return transcript.INSTRUCTION_SET in words


if __name__ == "__main__":
    if not has_instruction_set():
        print("the records were made on a CPU with %s" % transcript.INSTRUCTION_SET)
        sys.exit(77)
    run([a_recorded_sweep_gives_its_results_again,
         recorded_sessions_give_their_results_again])
