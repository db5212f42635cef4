#!/usr/bin/env python3
"""interp-worker's own help, its exit codes and its list of devices, as people and scripts meet them.

Standard library only. Run: BUILD=build/release tests/integration/worker_usage.py
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import BUILD, check, run

WORKER = str(BUILD / "interp-worker")
MODEL = pathlib.Path(__file__).resolve().parents[1] / "golden/models/gpt2-tied"
SUBCOMMANDS = ("inspect", "devices", "tokenize", "activations", "known-model", "head-scores",
               "prompts", "bench", "paper", "selftest")
COLUMNS = 100


def worker(*arguments, **environment):
    return subprocess.run([WORKER, *map(str, arguments)], env=os.environ | environment,
                          capture_output=True, text=True, timeout=120, check=False)


def help_is_printed_and_fits(_cluster):
    for words in (("--help",), ("-h",), ("help",), ("--connect", "tcp://127.0.0.1:1", "--help"),
                  *((name, "--help") for name in (*SUBCOMMANDS, "--selftest", "--bench"))):
        done = worker(*words)
        check(done.returncode == 0 and not done.stderr and "usage: interp-worker" in done.stdout,
              f"{words}: {done.returncode}: {done.stderr}")
        wide = [line for line in done.stdout.splitlines() if len(line) > COLUMNS]
        check(not wide, f"{words}: {wide}")
    told = worker("--help").stdout
    check(all(f"\n  {name} " in told for name in SUBCOMMANDS) and "--connect" in told, told)


def a_version_is_printed(_cluster):
    done = worker("--version")
    check(done.returncode == 0 and done.stdout.startswith("interp-worker 0.") and
          "wire protocol " in done.stdout and not done.stderr, done.stdout + done.stderr)


def bad_usage_is_2_in_one_line(_cluster):
    for words, says in (((), "--connect is missing"), (("--fast",), "unknown option --fast"),
                        (("--connect",), "--connect needs a value"),
                        (("--connect", "x", "y"), 'unknown argument "y"'),
                        (("dance",), "unknown subcommand 'dance'"),
                        (("devices", "-o", "yaml"), "-o 'yaml' is not table or json"),
                        (("devices", "--backend", "cpu"), "--backend names the CPU"),
                        (("devices", "--backend", "gpu"), "backend 'gpu' is not"),
                        (("inspect", MODEL, "--backend", "gpu"), "backend 'gpu' is not"),
                        (("--selftest", "--backend", "cuda:"), "backend 'cuda:' is not"),
                        (("--bench", "gpt2", "--dry-run", "--device", "b2"), "device 'b2' is none"),
                        (("--connect", "tcp://127.0.0.1:1", "--backend", "gpu"),
                         "backend 'gpu' is not")):
        done = worker(*words)
        check(done.returncode == 2 and says in done.stderr and done.stderr.count("\n") == 1,
              f"{words}: {done.returncode}: {done.stderr}")


def a_backend_that_cannot_be_had_is_3_everywhere(_cluster):
    commands = (("devices",), ("inspect", MODEL), ("--selftest", "--short"),
                ("--bench", MODEL, "--seconds", "0.01"), ("bench", "--model", MODEL),
                ("--connect", "tcp://127.0.0.1:1"))
    for environment, backend, says in (
            ({"INTERP_PLUGIN_DIR": "/nonexistent"}, "cuda", "'make cuda' builds it"),
            ({"INTERP_PLUGIN_DIR": "/nonexistent"}, "emu", "'make emulator' builds it"),
            ({"INTERP_EMU_DRIVER": "0"}, "emu", "this machine has no NVIDIA driver"),
            ({}, "emu:1", "backend emu:1: this machine has 1 device, emu:0"),
            ({"INTERP_EMU_DEVICES": "2"}, "emu:GPU-abcd", "0 of the 2 devices here")):
        for words in commands:
            if words == ("devices",) and ":" in backend:
                continue  # lists them all
            done = worker(*words, "--backend", backend, **environment)
            check(done.returncode == 3 and says in done.stderr and done.stderr.count("\n") == 1,
                  f"{words} {backend}: {done.returncode}: {done.stderr}")


def what_does_not_fit_is_1(_cluster):
    done = worker("inspect", MODEL, "--backend", "emu", "--device-memory", "1KiB")
    check(done.returncode == 1 and "does not fit" in done.stderr and done.stderr.count("\n") == 1,
          f"{done.returncode}: {done.stderr}")


def devices_are_a_table_or_json(_cluster):
    for words, environment in ((("--backend", "emu"), {}), ((), {"INTERP_BACKEND": "emu"}),
                               ((), {"INTERP_BACKEND": "emu:1"})):
        environment["INTERP_EMU_DEVICES"] = "2"
        environment["INTERP_EMU_MEMORY_MIB"] = "512"
        done = worker("devices", *words, **environment)
        rows = [line.split() for line in done.stdout.splitlines()]
        check(done.returncode == 0 and not done.stderr, done.stderr)
        check(rows[0] == ["DEVICE", "UUID", "PCI", "MEMORY", "NAME"] and
              [row[0] for row in rows[1:]] == ["emu:0", "emu:1"], done.stdout)
        check(rows[1][3:5] == ["0.5", "GiB"], done.stdout)
        places = json.loads(worker("devices", *words, "-o", "json", **environment).stdout)
        check([p["device"] for p in places] == ["emu:0", "emu:1"] and
              [p["uuid"] for p in places] == [row[1] for row in rows[1:]] and
              places[0]["total_bytes"] == 512 << 20 and places[0]["pci"] and places[0]["name"],
              places)


def a_selftest_says_why_it_tests_the_cpu(_cluster):
    nowhere = {"INTERP_PLUGIN_DIR": "/nonexistent"}
    said = worker("--selftest", "--short", "--backend", "auto", **nowhere).stdout.splitlines()
    check(said[0].startswith("tested   cpu") and said[1].startswith("because  no device: ") and
          "/nonexistent/libinterp_cuda.so" in said[1], said[:3])
    for backend, why in (("auto", "there is no /nonexistent/libinterp_cuda.so"), ("cpu", None)):
        told = json.loads(worker("--selftest", "--short", "-o", "json", "--backend", backend,
                                 **nowhere).stdout)
        check(why in told["why_cpu"] if why else told["why_cpu"] is None, told["why_cpu"])


def a_toolkit_that_is_named_is_used_or_refused(_cluster):
    done = subprocess.run(["scripts/cuda-check"], env=os.environ | {"CUDA_HOME": "/nonexistent"},
                          capture_output=True, text=True, timeout=60, check=False)
    check(done.returncode == 1 and done.stderr.count("\n") == 1 and
          "CUDA_HOME=/nonexistent has no bin/nvcc" in done.stderr and
          done.stdout == "0 passed, 1 failed, 0 skipped\n", done.stdout + done.stderr)


def a_toolkit_of_either_layout_is_linked_with(_cluster):
    """NVIDIA's packages have lib64 alone, its wheels lib; cuBLAS is that of the toolkit."""
    for folder, cublas in (("lib64", "libcublas.so.12"), ("lib", "libcublas.so.13")):
        with tempfile.TemporaryDirectory() as home:
            place = pathlib.Path(home, folder)
            place.mkdir()
            for name in ("libcudart_static.a", cublas, cublas + ".9.1.4"):
                (place / name).touch()
            clean = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL")}
            done = subprocess.run(["make", "-n", f"BUILD={home}/build", f"CUDA_HOME={home}", "cuda"],
                                  env=clean, capture_output=True, text=True, timeout=60, check=False)
            wanted = f" {place}/libcudart_static.a {place}/{cublas} -Wl,-rpath,{place} "
            check(done.returncode == 0 and wanted in done.stdout, done.stderr or done.stdout[-500:])


if __name__ == "__main__":
    run([help_is_printed_and_fits, a_version_is_printed, bad_usage_is_2_in_one_line,
         a_backend_that_cannot_be_had_is_3_everywhere, what_does_not_fit_is_1,
         devices_are_a_table_or_json, a_selftest_says_why_it_tests_the_cpu,
         a_toolkit_that_is_named_is_used_or_refused, a_toolkit_of_either_layout_is_linked_with])
