#!/usr/bin/env python3
"""Devices that are full, too small or fail under a worker (the host emulator's): batches are
halved, the worker retires, the CPU takes over where it may; and whatever a sweep then finds is byte
for byte what it finds on a device that has room.

Run: BUILD=build/release tests/integration/emulated_devices.py
"""
# asan: no
# ubsan: no
# timeout: 900
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import BUILD, SLOWDOWN, check, label_sweep, run

WANT = {}  # the sweep on a device with room: filled by the first test


def start_worker(cluster, name, *options, **environment):
    cluster.start(name, [BUILD / "interp-worker", "--connect", cluster.endpoint, "--name", name,
                         *options], env=os.environ | environment)


def begin(cluster):
    cluster.start_redis()
    cluster.start_coordinator()


def sweep_of(cluster):
    return cluster.submit(label_sweep("devices", 1600, 12, "scoring: {null_pairs: 0}"))


def finish(cluster, sweep):
    cluster.wait(sweep, seconds=300)
    return cluster.canonical(sweep)


def a_device_with_room_halves_nothing(cluster):
    begin(cluster)
    start_worker(cluster, "w1", "--backend", "emu")
    WANT.update(finish(cluster, sweep_of(cluster)))
    log = cluster.log("w1")
    check(" device isa=" in log and "total_bytes=4294967296" in log, "the device is named")
    check(" memory_plan model=" in log and "all layers there" in log, "the plan is shown")
    check("batch_halved" not in log, "there was room")
    check("device_threads" in log and "n_threads=2 why=\"one has the device" in log, "for two passes")


def one_thread_finds_the_same(cluster):
    begin(cluster)
    start_worker(cluster, "w1", "--backend", "emu", "--threads", "1")
    check(finish(cluster, sweep_of(cluster)) == WANT, "the same bytes")
    check("device_threads" not in cluster.log("w1"), "what is asked for is not chosen")


def a_streamed_model_has_one_thread(cluster):
    begin(cluster)
    start_worker(cluster, "w1", "--backend", "emu", INTERP_EMU_MEMORY_MIB="26")
    check(finish(cluster, sweep_of(cluster)) == WANT, "the same bytes")
    log = cluster.log("w1")
    check("layers streamed" in log and
          "n_threads=1 why=\"its layers are streamed\"" in log, log[-2000:])


def halves_and_finds_the_same(cluster, n_threads, mib, taken_mib):
    """Planned with all of it, and then another process takes the rest in the middle of a pass."""
    begin(cluster)
    start_worker(cluster, "w1", "--backend", "emu", INTERP_EMU_MEMORY_MIB=str(mib),
                 INTERP_EMU_TAKEN="embed_kernel:5:%d" % taken_mib)
    got = finish(cluster, sweep_of(cluster))
    log = cluster.log("w1")
    check(log.count("device_threads") and "n_threads=%d" % n_threads in log, log[-2000:])
    check("batch_halved" in log, "the batch was halved: " + log[-2000:])
    check(" bytes on the device, " in log, "with the numbers")
    check(got == WANT, "the same bytes")


def a_full_device_halves_the_batch_and_finds_the_same(cluster):
    halves_and_finds_the_same(cluster, 1, 40, 14)


def two_threads_on_a_full_device_halve_and_find_the_same(cluster):
    halves_and_finds_the_same(cluster, 2, 160, 105)


def a_device_too_small_fails_the_task_with_the_numbers_and_the_worker_lives(cluster):
    """Planned to fit, full in every pass, halved to the last, and still full."""
    begin(cluster)
    start_worker(cluster, "w1", "--backend", "emu", INTERP_EMU_MEMORY_MIB="64",
                 INTERP_EMU_FULL="embed_kernel:5")
    sweep = sweep_of(cluster)
    cluster.wait(sweep, "failed", seconds=300)
    log, reason = cluster.log("w1"), cluster.status(sweep)["reason"]
    check(log.count("batch_halved") >= 2, "it was halved before: " + log[-2000:])
    for words in ("device full after taking less ", " sequences of ", " bytes on the device, ",
                  " are free"):
        check(words in reason, "the sweep says '%s': %s" % (words, reason))
    check(cluster.is_running("w1"), "the worker lives: " + log[-1500:])
    cluster.wait(cluster.submit("kind: noop\nname: after\nn_units: 5\npayload_bytes: 10\n"))


def a_lost_device_retires_its_worker_and_the_sweep_goes_on(cluster):
    begin(cluster)
    start_worker(cluster, "w1", "--backend", "emu", INTERP_EMU_FAULT="embed_kernel:5")
    sweep = sweep_of(cluster)
    code = cluster.processes["w1"].wait(timeout=200 * SLOWDOWN)
    log = cluster.log("w1")
    lines = [line for line in log.splitlines() if "this worker retires" in line]
    check(code == 1 and len(lines) == 1, "exit %d: %s" % (code, log[-1500:]))
    check("illegal memory access" in lines[0], lines[0])
    start_worker(cluster, "w2", "--backend", "emu")
    check(finish(cluster, sweep) == WANT, "another worker finds the same bytes")


def auto_takes_the_cpu_for_a_model_that_does_not_fit(cluster):
    begin(cluster)
    (cluster.home / "plugins").mkdir()
    (cluster.home / "plugins/libinterp_cuda.so").symlink_to(BUILD / "libinterp_emu.so")
    start_worker(cluster, "w1", "--backend", "auto", "--device-memory", "8MiB",
                 INTERP_PLUGIN_DIR=str(cluster.home / "plugins"))
    sweep = sweep_of(cluster)
    cluster.wait(sweep, seconds=200)
    log = cluster.log("w1")
    check("device_too_small" in log and "even streamed" in log and "instead=cpu" in log, log[-2000:])
    check(cluster.status(sweep)["backend"] == "cpu", "the CPU computed it")
    check(cluster.is_running("w1"), "by the same process")


class Local:
    """A cluster of `interpctl up` on emulated devices."""

    def __init__(self, cluster, **environment):
        self.state = cluster.home / "state"
        self.environment = {key: value for key, value in os.environ.items()
                            if key != "INTERP_BACKEND"}
        self.environment |= {"INTERP_STATE": str(self.state)} | environment

    def ctl(self, *words, code=0):
        done = subprocess.run([BUILD / "interpctl", *words], env=self.environment, text=True,
                              capture_output=True, timeout=100 * SLOWDOWN, check=False)
        check(done.returncode == code, "%s: exit %d, %s" % (words[0], done.returncode, done.stderr))
        return done.stdout, done.stderr

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ctl("down")

    def process(self, name):
        """The supervisor's row."""
        status = json.loads((self.state / "run/status.json").read_text())
        return next(row for row in status["processes"] if row["name"] == name)

    def log(self, name):
        return (self.state / "logs" / (name + ".log")).read_text()


def wait_until(truth, what, seconds=60):
    until = time.monotonic() + seconds * SLOWDOWN
    while not truth():
        check(time.monotonic() < until, what)
        time.sleep(0.1)


def up_starts_a_worker_on_each_device(cluster):
    with Local(cluster, INTERP_EMU_DEVICES="2", INTERP_EMU_MEMORY_MIB="64") as local:
        local.ctl("up", "--timeout", "60", "--backend", "emu")
        check(len(json.loads(local.ctl("workers", "-o", "json")[0])["workers"]) == 2,
              "a worker a device")
        logs = [local.log("worker-%d" % i) for i in (1, 2)]
        for index, log in enumerate(logs):
            check(" index=%d uuid=GPU-" % index in log and "total_bytes=67108864" in log, log[-900:])
        check(" pci=0000:01:00.0 " in logs[0] and " pci=0000:02:00.0 " in logs[1], "each its own")
    for options, variables, words in (
            (["--backend", "emu"], {"INTERP_EMU_DRIVER": "11040"},
             "driver is too old: it knows CUDA 11.4"),
            (["--backend", "gpu"], {}, "backend 'gpu' (--backend) is not auto, cpu, cuda"),
            ([], {"INTERP_BACKEND": "GPU"}, "backend 'GPU' (INTERP_BACKEND) is not auto")):
        _, err = Local(cluster, **variables).ctl("up", *options, code=2)
        check(words in err and len(err.splitlines()) == 1, err)


def up_says_that_no_worker_can_start(cluster):
    with Local(cluster, INTERP_EMU_DEVICES="2") as local:
        _, err = local.ctl("up", "--workers", "1", "--backend", "emu:5", code=3)
        for words in ("the worker does not start: backend emu:5: this machine has 2 devices",
                      "interp-worker devices", "interpctl down"):
            check(words in err, err)
        log = local.log("supervisor")
        check(log.count(" started process=worker-1") == 1 and
              log.count(" stays_down process=worker-1") == 1, log)
        check("nothing is running" in local.ctl("down")[1], "what was started was stopped")


def a_worker_without_its_device_stays_down_and_is_told(cluster):
    """Its library is taken away: for half a minute that may be a device in reset."""
    plugins = cluster.home / "plugins"
    plugins.mkdir()
    (plugins / "libinterp_emu.so").symlink_to(BUILD / "libinterp_emu.so")
    with Local(cluster, INTERP_EMU_DEVICES="2", INTERP_PLUGIN_DIR=str(plugins)) as local:
        local.ctl("up", "--backend", "emu")
        (plugins / "libinterp_emu.so").unlink()
        os.kill(local.process("worker-2")["pid"], signal.SIGKILL)
        wait_until(lambda: local.process("worker-2")["state"] == "unusable", "it is given up")
        check(local.process("worker-2")["last_exit"] == 3, local.process("worker-2"))
        check(2 < local.process("worker-2")["n_restarts"] < 20, local.process("worker-2"))
        check(local.process("worker-1")["state"] == "running", "the other one goes on")
        check(local.log("supervisor").count(" stays_down process=worker-2") == 1, "logged once")
        why = "stays down: backend emu: there is no %s" % plugins
        _, err = local.ctl("up")
        check(err.count("worker-2 " + why) == 1 and err.count("what to do: ") == 1, err)
        checks = {row["check"]: row for row in
                  json.loads(local.ctl("doctor", "-o", "json")[0])["checks"]}
        check(why in checks["worker-2"]["detail"] and "interpctl up" in checks["worker-2"]["detail"],
              checks["worker-2"])
        check(checks["worker-2"]["result"] == "warning" and checks["worker-1"]["result"] == "ok",
              checks)


def a_worker_that_retires_is_started_again(cluster):
    with Local(cluster, INTERP_EMU_FAULT="embed_kernel:5") as local:
        local.ctl("up", "--backend", "emu")
        sweep = cluster.home / "sweep.yaml"
        sweep.write_text(label_sweep("devices", 1600, 12, "scoring: {null_pairs: 0}"))
        local.ctl("submit", str(sweep))
        wait_until(lambda: "this worker retires" in local.log("worker-1"), "its device was lost")
        wait_until(lambda: local.process("worker-1")["n_restarts"] > 0, "it is started again")
        check(local.process("worker-1")["state"] in ("running", "waiting"), "and not given up")
        check(local.log("supervisor").count(" exit=1 now=waiting") > 0, local.log("supervisor"))


if __name__ == "__main__":
    run([a_device_with_room_halves_nothing, one_thread_finds_the_same,
         a_streamed_model_has_one_thread, a_full_device_halves_the_batch_and_finds_the_same,
         two_threads_on_a_full_device_halve_and_find_the_same,
         a_device_too_small_fails_the_task_with_the_numbers_and_the_worker_lives,
         a_lost_device_retires_its_worker_and_the_sweep_goes_on,
         auto_takes_the_cpu_for_a_model_that_does_not_fit, up_starts_a_worker_on_each_device,
         up_says_that_no_worker_can_start, a_worker_without_its_device_stays_down_and_is_told,
         a_worker_that_retires_is_started_again])
