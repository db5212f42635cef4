#!/usr/bin/env python3
"""`interpctl up` for real: start, submit, kill -9 of every kind of process, down, up again.

usage: cli_cluster.py [BUILD_DIRECTORY]   (default: $BUILD or build/release)
Everything lives in a temporary state directory; nothing listens beyond loopback."""
# tsan: yes
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else
                     os.environ.get("BUILD", ROOT / "build/release")).resolve()
NOOP = "kind: noop\nname: cli\nn_units: {n}\npayload_bytes: {bytes}\n"
N_CHECKS = 0


def check(truth, what):
    global N_CHECKS
    N_CHECKS += 1
    if not truth:
        raise AssertionError(what)


class Cluster:
    def __init__(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="interp-cli-"))
        self.state = self.home / "state"
        self.environment = dict(os.environ, INTERP_STATE=str(self.state), NO_COLOR="1")
        self.environment.pop("INTERP_ENDPOINT", None)

    def start(self, *words, **more):
        return subprocess.Popen([BUILD / "interpctl", *words], text=True, env=self.environment,
                                cwd=self.home, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                **more)

    def run(self, *words, code=0, stdin=None):
        process = self.start(*words, stdin=subprocess.PIPE if stdin else subprocess.DEVNULL)
        out, err = process.communicate(stdin, timeout=120)
        if code is not None:
            check(process.returncode == code,
                  f"interpctl {' '.join(words)}: exit {process.returncode}, not {code}\n{out}{err}")
        return out, err

    def json(self, *words):
        return json.loads(self.run(*words, "-o", "json")[0])

    def pid(self, name):
        return int((self.state / "run" / f"{name}.pid").read_text().split()[0])

    def up(self, *words):
        return self.run("up", "--workers", "2", "--timeout", "60", *words)

    def close(self):
        self.run("down", code=None)
        shutil.rmtree(self.home)


def wait_until(truth, what, seconds=30):
    until = time.monotonic() + seconds
    while not truth():
        check(time.monotonic() < until, f"after {seconds} s still not: {what}")
        time.sleep(0.05)


def is_there(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().split(") ")[-1][0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):  # the latter: it ended between open and read
        return False


def submit(cluster, n=1000, payload=0, *words):
    text = NOOP.format(n=n, bytes=payload)
    return cluster.run("submit", "-", "--quiet", *words, stdin=text)[0].strip()


# --- tests ---------------------------------------------------------------------------------


def up_says_where_it_is_and_down_leaves_nothing(cluster):
    out, err = cluster.up()
    check(f"ipc://{cluster.state}/coordinator.sock" in out and "http://127.0.0.1:" in out, out)
    check("redis" in err and "coordinator" in err and "2 workers" in err, err)
    check("already running" in cluster.up()[1], "a second up says so")
    names = ["supervisor", "redis", "coordinator", "worker-1", "worker-2"]
    pids = [cluster.pid(name) for name in names]
    check(all(map(is_there, pids)), "all run")
    checks = {row["check"]: row["result"] for row in cluster.json("doctor")["checks"]}
    check(checks["redis"] == checks["worker-2"] == "ok", checks)
    told = cluster.json("down")
    check(told == {"apiVersion": "interp/v1", "kind": "Stop", "state": str(cluster.state),
                   "n_stopped": 4}, told)
    check(not any(map(is_there, pids)), "none is left")
    left = [path.name for path in (cluster.state / "run").iterdir()]
    check(left == ["lock"], left)
    check("nothing is running" in cluster.run("down")[1], "a second down says so")
    cluster.run("list", code=4)


def a_sweep_is_submitted_once_and_waited_for(cluster):
    cluster.up()
    sweep = submit(cluster, 5000, 16, "--client-key", "one")
    check(submit(cluster, 5000, 16, "--client-key", "one") == sweep, "the same key, the same sweep")
    out, err = cluster.run("wait", sweep)
    check(out == "" and "finished" in err, err)
    document = cluster.json("status", sweep)
    check(document["apiVersion"] == "interp/v1" and document["kind"] == "Sweep", document)
    check(document["state"] == "finished" and document["n_units_done"] == 5000, document)
    check([row["id"] for row in cluster.json("list")["sweeps"]] == [sweep], "one sweep")
    check(cluster.run("list", "-q")[0] == sweep + "\n", "ids only")
    check(len(cluster.json("workers")["workers"]) == 2, "two workers")
    cluster.run("status", "nothing-7", code=3)
    cluster.run("cancel", sweep, code=5)
    check(cluster.json("dead")["total"] == 0, "nothing died")
    check("units" in cluster.run("top")[0], "top prints once when it is no terminal")
    cluster.run("submit", "-", code=2, stdin="kind: noop\nname: x\nunits: 3\n")


def whatever_is_killed_comes_back(cluster):
    cluster.up()
    for name in ["worker-1", "coordinator", "redis"]:
        sweep = submit(cluster, 150000)
        pid = cluster.pid(name)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: cluster.pid(name) != pid and is_there(cluster.pid(name)), f"{name} back")
        cluster.run("wait", sweep, "--timeout", "100")
        check(cluster.json("status", sweep)["n_units_done"] == 150000, f"{name}: all units done")
    checks = {row["check"]: row["detail"] for row in cluster.json("doctor")["checks"]}
    check("started again 1 times" in checks["worker-1"], checks)


def a_dead_supervisors_processes_are_adopted(cluster):
    cluster.up()
    names = ["redis", "coordinator", "worker-1", "worker-2"]
    pids = [cluster.pid(name) for name in names]
    os.kill(cluster.pid("supervisor"), signal.SIGKILL)
    wait_until(lambda: not is_there(cluster.pid("supervisor")), "the supervisor is dead")
    check("adopts them" in cluster.run("doctor")[0], "doctor says so")
    cluster.up()
    check([cluster.pid(name) for name in names] == pids, "the same processes")
    os.kill(cluster.pid("worker-2"), signal.SIGKILL)
    wait_until(lambda: cluster.pid("worker-2") != pids[3], "the new supervisor restarts them")
    os.kill(cluster.pid("supervisor"), signal.SIGKILL)
    wait_until(lambda: not is_there(cluster.pid("supervisor")), "the supervisor is dead")
    pids = [cluster.pid(name) for name in names]
    cluster.run("down")
    check(not any(map(is_there, pids)), "down needs no supervisor")


def everything_killed_at_once_is_recovered_by_up(cluster):
    cluster.up()
    sweep = submit(cluster, 5000)
    cluster.run("wait", sweep)
    time.sleep(1.2)  # appendfsync everysec: what is older than a second is on the disk
    names = ["supervisor", "worker-1", "worker-2", "coordinator", "redis"]
    for name in names:
        os.kill(cluster.pid(name), signal.SIGKILL)
    wait_until(lambda: not any(is_there(cluster.pid(name)) for name in names), "all are dead")
    cluster.up()
    check(cluster.json("status", sweep)["state"] == "finished", "the sweep is still there")


def a_process_file_of_somebody_else_is_not_obeyed(cluster):
    cluster.up()
    cluster.run("down")
    bystander = subprocess.Popen(["sleep", "60"])
    for text in (f"{bystander.pid} 1 /bin/sleep\n", f"{bystander.pid} 99 {BUILD}/interp-worker\n"):
        (cluster.state / "run/worker-1.pid").write_text(text)
        (cluster.state / "run/supervisor.pid").write_text(text)
        cluster.run("down")
        check(bystander.poll() is None, "a stranger with this number was not hit")
    cluster.up()
    check(bystander.poll() is None and cluster.pid("worker-1") != bystander.pid, "and not adopted")
    bystander.kill()
    bystander.wait()


def ctrl_c_detaches_from_a_sweep(cluster):
    cluster.run("up", "--workers", "0")
    sweep = submit(cluster, 10)
    waiting = cluster.start("wait", sweep)
    check("running" in waiting.stderr.readline(), "it waits")
    waiting.send_signal(signal.SIGINT)
    _, err = waiting.communicate(timeout=20)
    check(waiting.returncode == 130 and "goes on" in err, f"{waiting.returncode}: {err}")
    cluster.run("wait", sweep, "--timeout", "0.3", code=124)
    check(cluster.json("status", sweep)["state"] == "running", "it goes on")
    check(cluster.run("pause", sweep)[0] == f"{sweep} paused\n", "paused")
    check(cluster.run("resume", sweep)[0] == f"{sweep} running\n", "resumed")
    check(cluster.run("cancel", sweep)[0] == f"{sweep} cancelled\n", "cancelled")
    cluster.run("wait", sweep, code=1)


def in_the_foreground_it_ends_with_its_terminal(cluster):
    for number, code in ((signal.SIGINT, 0), (signal.SIGTERM, 0), (signal.SIGKILL, -9)):
        process = cluster.start("up", "--foreground", "--workers", "1")
        check("endpoint" in process.stdout.readline(), "it is up")
        pids = [cluster.pid(name) for name in ("supervisor", "redis", "coordinator", "worker-1")]
        process.send_signal(number)
        process.communicate(timeout=60)
        check(process.returncode == code, f"{number}: exit {process.returncode}")
        wait_until(lambda: not any(map(is_there, pids)), f"all gone after {number}")


def a_drained_worker_leaves_for_good(cluster):
    cluster.up()
    pid = cluster.pid("worker-1")
    cluster.run("drain", "worker-1")
    wait_until(lambda: not is_there(pid), "it left")
    wait_until(lambda: len(cluster.json("workers")["workers"]) == 1, "one is left")
    sweep = submit(cluster, 100)
    cluster.run("wait", sweep)
    check(not (is_there(cluster.pid("worker-1"))), "it is not started again")
    cluster.run("drain", "worker-9", code=3)


def bad_input_is_named(cluster):
    deep = cluster.home / ("x" * 90) / "state"
    _, err = cluster.run("up", "--state", str(deep), code=2)
    check("107" in err and "--state" in err, err)
    _, err = cluster.run("up", "--providers", "nowhere.yaml", code=3)
    check("nowhere.yaml" in err, err)
    keyless = ("  - {name: %s, base_url: https://127.0.0.1:1/v1, model: m, family: f, "
               "api_key_env: NOBODYS_KEY}\n")
    (cluster.home / "k.yaml").write_text("providers:\n" + keyless % "big")
    _, err = cluster.run("up", "--providers", "k.yaml", code=2)
    check("provider big: environment variable NOBODYS_KEY is not set" in err, err)
    (cluster.home / "p.yaml").write_text("providers:\n  - nam: x\n")
    _, err = cluster.run("up", "--providers", "p.yaml", code=2)
    check("p.yaml:2" in err and "nam" in err, err)
    (cluster.home / "c.yaml").write_text("worker: 3\n")
    _, err = cluster.run("up", "--config", "c.yaml", code=2)
    check("c.yaml:1" in err and "workers" in err, err)
    check(not (cluster.state / "redis.sock").exists(), "nothing was started")
    (cluster.home / "c.yaml").write_text(f"workers: 1\nstate: {cluster.home}/other\n")
    out, _ = cluster.run("up", "--config", "c.yaml")
    check(f"{cluster.home}/other/coordinator.sock" in out, "the file's state directory")
    cluster.run("down", "--state", str(cluster.home / "other"))
    (cluster.home / "k.yaml").write_text("providers:\n" + keyless % "big" +
                                         "  - {name: own, base_url: http://127.0.0.1:1, model: m, "
                                         "family: f}\n")
    _, err = cluster.up("--providers", "k.yaml")
    check("warning: provider big: environment variable NOBODYS_KEY is not set: nobody asks it" in
          err and "warning: provider own" not in err, err)
    cluster.run("down")


def completion_is_a_script_that_bash_takes(cluster):
    script = cluster.run("completion", "bash")[0] + """
COMP_WORDS=(interpctl stat); COMP_CWORD=1; _interpctl; echo "${COMPREPLY[*]}"
COMP_WORDS=(interpctl submit --dr); COMP_CWORD=2; _interpctl; echo "${COMPREPLY[*]}"
"""
    done = subprocess.run(["bash", "-u", "-c", script], text=True, capture_output=True, check=True)
    check(done.stdout == "status\n--dry-run\n", done.stdout + done.stderr)


TESTS = [value for name, value in list(globals().items())
         if callable(value) and getattr(value, "__code__", None) and
         value.__code__.co_varnames[:1] == ("cluster",) and value.__module__ == "__main__" and
         name not in ("submit",)]


def main():
    started = time.monotonic()
    for test in TESTS:
        cluster = Cluster()
        try:
            test(cluster)
        except BaseException:
            for log in sorted((cluster.state / "logs").glob("*.log")):
                print(f"--- {log.name}\n" + "\n".join(log.read_text().splitlines()[-12:]),
                      file=sys.stderr)
            print(f"FAILED {test.__name__}", file=sys.stderr)
            raise
        finally:
            cluster.close()
        print(f"ok     {test.__name__}")
    print(f"{len(TESTS)} tests, {N_CHECKS} checks, {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    main()
