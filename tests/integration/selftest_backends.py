#!/usr/bin/env python3
"""`interp-worker --selftest` on the CPU and on the emulated CUDA backend, and what a plugin that
computes wrongly meets: a report that names the operation, and a worker that refuses it.

Standard library only. Run: BUILD=build/release tests/integration/selftest_backends.py
"""
# timeout: 300
import json
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import BUILD, check, run

WORKER = str(BUILD / "interp-worker")
MODEL = pathlib.Path(__file__).resolve().parents[1] / "golden/models/gpt2-tied"
OPERATIONS = ("copy", "matmul", "embed", "norm", "add", "activate", "rotate", "attend",
              "head_norms", "edit", "diverge", "sparse_encode", "sparse_tally", "pass to a hook",
              "logits", "encode and top 5", "ablation of heads")


def selftest(*arguments, **environment):
    return subprocess.run([WORKER, "--selftest", *arguments], env=os.environ | environment,
                          capture_output=True, text=True, timeout=250, check=False)


def planted(operation):
    return {"INTERP_PLUGIN_DIR": str(BUILD / "planted"), "INTERP_PLANTED_OP": operation}


def every_backend_passes(_cluster):
    for backend, arithmetic in (("cpu", ""), ("emu", ""), ("emu", "device")):
        done = selftest("--backend", backend, "-o", "json", INTERP_EMU_ARITHMETIC=arithmetic)
        report = json.loads(done.stdout)
        bad = [row for row in report["rows"] if row["verdict"] == "fail"]
        check(done.returncode == 0 and report["passed"] and not bad, f"{backend}: {bad}")
        tested = {row["op"] for row in report["rows"] if row["verdict"] == "pass"}
        check(tested >= set(OPERATIONS), f"{backend}: not tested: {set(OPERATIONS) - tested}")
        check(report["n_passed"] + report["n_absent"] == len(report["rows"]), "counts")
        for row in report["rows"]:
            # a last bit that a device rounds otherwise has moved a tf32 pass by a fifth of its error
            check(row["verdict"] == "absent" or row["error"] <= 0.8 * row["tolerance"], str(row))
        check(any(row["seconds"] for row in report["rows"]), f"{backend}: nothing was timed")


def text_says_the_same(_cluster):
    done = selftest("--short")
    lines = done.stdout.splitlines()
    check(done.returncode == 0 and lines[0].startswith("tested   cpu"), done.stdout[:300])
    check(any(line.startswith("pass   attend: grouped heads ") for line in lines), done.stdout)
    check(max(map(len, lines)) <= 100, max(lines, key=len))
    rows = [line for line in lines if line.startswith("pass ")]
    check(len({len(line) for line in rows}) == 1, "a column is ragged")
    check(any("0 failed" in line for line in lines[-4:]), done.stdout[-300:])


def a_wrong_operation_is_in_the_report(_cluster):
    done = selftest("--backend", "emu", "-o", "json", **planted("attend"))
    report = json.loads(done.stdout)
    failed = {row["op"] for row in report["rows"] if row["verdict"] == "fail"}
    check(done.returncode == 1 and not report["passed"], f"exit {done.returncode}")
    check("attend" in failed and "pass to a hook" in failed, str(failed))
    check(not failed & {"norm", "matmul", "sparse_encode"}, str(failed))
    done = selftest("--backend", "emu", "--short", **planted("norm"))
    wrong = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
    check(done.returncode == 1 and len(wrong) == 3 and all("norm" in line for line in wrong),
          done.stdout)


def a_worker_refuses_it_in_one_line(cluster):
    command = [WORKER, "activations", MODEL, "--tokens", MODEL / "tokens.jsonl", "--hook",
               "logits", "-o", cluster.home / "out.safetensors", "--backend", "emu"]
    for operation, words in (("rotate", "computes wrongly: rotate"),
                             ("sparse_encode", "computes wrongly: sparse_encode (plain, f32)")):
        done = subprocess.run(command, env=os.environ | planted(operation), capture_output=True,
                              text=True, timeout=60, check=False)
        lines = done.stderr.splitlines()
        check(done.returncode == 3 and len(lines) == 1 and words in lines[0],
              f"{operation}: exit {done.returncode}: {done.stderr}")
    done = subprocess.run(command, env=os.environ | planted("none"), capture_output=True, text=True,
                          timeout=60, check=False)
    check(done.returncode == 0, done.stderr)


def a_serving_worker_refuses_it_too(_cluster):
    done = subprocess.run([WORKER, "--connect", "tcp://127.0.0.1:1", "--backend", "emu"],
                          env=os.environ | planted("matmul"), capture_output=True, text=True,
                          timeout=60, check=False)
    check(done.returncode == 3 and "computes wrongly: matmul" in done.stderr, done.stderr)


def a_plugin_of_another_version_is_refused_in_one_line(_cluster):
    for version in ("1", "2", "4294967295"):
        environment = os.environ | planted("none") | {"INTERP_PLANTED_ABI": version}
        words = f"/libinterp_emu.so has ABI version {version}, this program "
        for command in ([WORKER, "inspect", MODEL], [WORKER, "--selftest", "--short"],
                        [WORKER, "devices"],
                        [WORKER, "--connect", "tcp://127.0.0.1:1"]):
            done = subprocess.run([*command, "--backend", "emu"], env=environment,
                                  capture_output=True, text=True, timeout=60, check=False)
            lines = done.stderr.splitlines()
            check(done.returncode == 3 and len(lines) == 1 and words in lines[0],
                  f"{command[1:]}: exit {done.returncode}: {done.stderr}")


def the_cpu_stands_in_for_it_only_where_it_may(cluster):
    plugins = cluster.home / "plugins"
    plugins.mkdir()
    (plugins / "libinterp_cuda.so").symlink_to(BUILD / "planted/libinterp_emu.so")
    environment = os.environ | {"INTERP_PLUGIN_DIR": str(plugins), "INTERP_PLANTED_OP": "none",
                                "INTERP_PLANTED_ABI": "2"}
    words = "/libinterp_cuda.so has ABI version 2, this program "
    done = subprocess.run([WORKER, "inspect", MODEL, "--backend", "cuda"], env=environment,
                          capture_output=True, text=True, timeout=60, check=False)
    check(done.returncode == 3 and not done.stdout and words in done.stderr,
          f"asked for cuda: exit {done.returncode}: {done.stderr}")
    done = subprocess.run([WORKER, "inspect", MODEL, "--backend", "auto", "-o", "json"],
                          env=environment, capture_output=True, text=True, timeout=60, check=False)
    lines = done.stderr.splitlines()
    check(done.returncode == 0 and len(lines) == 1 and "on the CPU: " in lines[0] and
          words in lines[0], f"auto: exit {done.returncode}: {done.stderr}")
    check(json.loads(done.stdout)["backend"].startswith("cpu"), "the CPU is named")
    cluster.start_redis()
    cluster.start_coordinator()
    cluster.start("w1", [WORKER, "--connect", cluster.endpoint, "--name", "w1", "--backend", "auto"],
                  env=environment)
    sweep = cluster.submit("kind: noop\nname: abi\nn_units: 20\npayload_bytes: 10\n")
    cluster.wait(sweep, seconds=60)
    log = [line for line in cluster.log("w1").splitlines() if " no_device " in line]
    check(len(log) == 1 and words in log[0], cluster.log("w1")[-1500:])
    check('isa="cpu' in cluster.log("w1"), "the worker says what it computes on")


def bad_options_are_one_line(_cluster):
    for arguments, words in ((("-o", "yaml"), "-o 'yaml' is not text or json"),
                             (("--backend", "gpu"), "backend 'gpu' is not"),
                             (("--fast",), "unknown argument --fast")):
        done = selftest(*arguments)
        check(done.returncode == 2 and words in done.stderr and done.stderr.count("\n") == 1,
              f"{arguments}: {done.returncode}: {done.stderr}")


if __name__ == "__main__":
    run([bad_options_are_one_line, text_says_the_same, every_backend_passes,
         a_wrong_operation_is_in_the_report, a_worker_refuses_it_in_one_line,
         a_serving_worker_refuses_it_too, a_plugin_of_another_version_is_refused_in_one_line,
         the_cpu_stands_in_for_it_only_where_it_may])
