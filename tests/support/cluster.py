"""A cluster in a temporary directory, for tests: Redis, coordinators, workers, gateways and the
stand-in provider, each a process of this test, each killed by its own process id.

    with Cluster() as cluster:
        cluster.up(workers=2)
        sweep = cluster.submit(yaml)
        cluster.wait(sweep)

Unix sockets only, but for the provider, which listens on loopback on a port chosen at run time.
KEEP=1 keeps the directory. Standard library only.
"""
import atexit
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

from gateway_bench import Redis, RedisError
from small_dictionary import write_small_dictionary

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / "build" / "release")).resolve()
PROGRAMS = ("interpctl", "interp-coordinator", "interp-worker", "interp-gateway")
DEMO = ROOT / "config" / "demo"
SLOWDOWN = int(os.environ.get("TEST_SLOWDOWN", "1"))
SHARED = pathlib.Path(tempfile.mkdtemp(prefix="interp-"))  # the same paths in every cluster
atexit.register(shutil.rmtree, SHARED, ignore_errors=True)
BEGAN = time.monotonic()
N_CHECKS = 0


def check(truth, what):
    global N_CHECKS
    N_CHECKS += 1
    if not truth:
        raise AssertionError(what)


def say(text):
    print("  %6.1f  %s" % (time.monotonic() - BEGAN, text), flush=True)


def wait_until(truth, what, seconds=30, step=0.02):
    """The first true value of truth(); AssertionError after so many seconds."""
    until = time.monotonic() + seconds * SLOWDOWN
    while True:
        value = truth()
        if value:
            return value
        check(time.monotonic() < until, "after %g s still not: %s" % (seconds * SLOWDOWN, what))
        time.sleep(step)


def small_dictionary(name="sae", **changes):
    """512 features of the demo's dictionary, at a path that is the same for every cluster."""
    folder = SHARED / name
    if not folder.exists():
        write_small_dictionary(DEMO / "sae", folder, **changes)
    return folder


def label_sweep(name, max_tokens=60000, sample=200, more=""):
    """A sweep over the small dictionary; `more` is further YAML."""
    return """
kind: label
name: %s
model: %s
corpus:
  path: %s
  bos: true
  context_tokens: 128
  max_tokens: %d
targets:
  - hook: blocks.2.hook_resid_pre
    dictionary: %s
    sample: %d
%s
""" % (name, DEMO / "model", DEMO / "corpus/demo.jsonl.gz", max_tokens, small_dictionary(), sample,
       more)


class Cluster:
    def __init__(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="interp-"))
        self.data = self.home / "data"
        self.processes = {}  # name -> Popen, running or ended
        self.redis = None
        self.llm_port = None
        self.providers = None
        self.n_starts = 0

    def __enter__(self):
        return self

    def __exit__(self, kind, *_rest):
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
        for process in self.processes.values():
            process.wait()
            if process.stdout:
                process.stdout.close()
        if self.redis:
            self.redis.socket.close()
        if kind is not None:
            self.show_logs()
        if os.environ.get("KEEP"):
            say("kept %s" % self.home)
        else:
            shutil.rmtree(self.home, ignore_errors=True)

    def show_logs(self):
        for path in sorted(self.home.glob("*.log")):
            if path.name not in ("llm.log", "redis.log"):
                lines = path.read_text(errors="replace").splitlines()[-15:]
                print("--- %s\n%s" % (path.name, "\n".join(lines)), file=sys.stderr)

    # ---- processes ----------------------------------------------------------------------
    def start(self, name, command, **more):
        self.n_starts += 1
        with open(self.home / (name + ".log"), "ab") as log:
            self.processes[name] = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stderr=log,
                cwd=self.home, **{"stdout": log, **more})
        return self.processes[name]

    def send_signal(self, name, number):
        self.processes[name].send_signal(number)

    def kill(self, name, number=signal.SIGKILL, seconds=30):
        """Signal it, wait for its end; the exit code."""
        self.send_signal(name, number)
        return self.processes[name].wait(timeout=seconds * SLOWDOWN)

    def is_running(self, name):
        return name in self.processes and self.processes[name].poll() is None

    def log(self, name):
        path = self.home / (name + ".log")
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def store_url(self):
        return "unix:%s" % (self.home / "redis.sock")

    @property
    def endpoint(self):
        return "ipc://%s" % (self.home / "c.sock")

    def start_redis(self, fsync="everysec"):
        path = str(self.home / "redis.sock")
        self.start("redis", ["redis-server", "--port", "0", "--unixsocket", path, "--dir",
                             self.home, "--save", "", "--appendonly", "yes", "--appendfsync",
                             fsync, "--logfile", self.home / "redis.log"])

        def is_up():
            try:
                self.redis = Redis(path)
                return self.redis.run("PING") == "PONG"
            except (OSError, RedisError, ConnectionError):
                return False
        wait_until(is_up, "Redis answers")

    def start_coordinator(self, name="coordinator", wait=True, data=None, prompts=None, more=()):
        command = [BUILD / "interp-coordinator", "--store", self.store_url, "--endpoint",
                   self.endpoint, "--data", data or self.data, "--prompts",
                   prompts or ROOT / "config" / "prompts", "--http", "127.0.0.1:0", *more]
        if self.providers:
            command += ["--providers", self.providers]
        n_ready = self.log(name).count(" ready ")
        self.start(name, command)
        if wait:
            wait_until(lambda: self.log(name).count(" ready ") > n_ready or
                       not self.is_running(name), "the coordinator leads")
            check(self.is_running(name), "the coordinator ended: " + self.log(name)[-400:])

    def start_worker(self, name, *options):
        self.start(name, [BUILD / "interp-worker", "--connect", self.endpoint, "--name", name,
                          *options])

    def start_gateway(self, name="gateway"):
        self.start(name, [BUILD / "interp-gateway", "--redis", self.store_url, "--providers",
                          self.providers, "--journal", self.home / "journal", "--name", name])

    def start_llm(self, *options, faults=None):
        """The stand-in provider: an explainer and a judge that read their prompts. A restarted
        one keeps its port and its log."""
        command = [sys.executable, ROOT / "tests/support/llm_server.py", "--port",
                   self.llm_port or 0, "--log", self.home / "llm.log", "--responder",
                   ROOT / "tests/support/label_responder.py", *options]
        if faults is not None:
            (self.home / "faults.json").write_text(json.dumps(faults))
            command += ["--faults", self.home / "faults.json"]
        process = self.start("llm", command, stdout=subprocess.PIPE, text=True)
        self.llm_port = int(process.stdout.readline())
        self.write_providers()

    def write_providers(self, **changes):
        """Explainer and judge of two families, both at the stand-in."""
        self.providers = self.home / "providers.yaml"
        lines = ["providers:"]
        for name, model, family in (("stand-in", "explainer-1", "alpha"),
                                    ("stand-in-judge", "judge-1", "beta")):
            keys = {"name": name, "base_url": "http://127.0.0.1:%d/v1" % self.llm_port,
                    "model": model, "family": family, "max_in_flight": 8, "rpm": 60000,
                    "timeout_seconds": 5, "structured_output": "json_schema",
                    "dollars_per_million_input": 0.15, "dollars_per_million_output": 0.6,
                    **changes}
            for i, (key, value) in enumerate(keys.items()):
                lines.append("%s %s: %s" % ("   " if i else "  -", key, value))
        self.providers.write_text("\n".join(lines) + "\n")

    def up(self, workers=1, gateways=0):
        self.start_redis()
        self.start_coordinator()
        for i in range(workers):
            self.start_worker("w%d" % (i + 1))
        for i in range(gateways):
            self.start_gateway("g%d" % (i + 1))

    # ---- interpctl ----------------------------------------------------------------------
    def ctl(self, *words, code=0, stdin=None, seconds=90):
        """Standard output; AssertionError unless it ends with `code` (None: any)."""
        return self.ctl_both(*words, code=code, stdin=stdin, seconds=seconds)[0]

    def ctl_both(self, *words, code=0, stdin=None, seconds=90):
        done = subprocess.run([BUILD / "interpctl", *map(str, words)], input=stdin or "",
                              text=True, capture_output=True, timeout=seconds * SLOWDOWN,
                              cwd=self.home,
                              env=dict(os.environ, INTERP_ENDPOINT=self.endpoint, NO_COLOR="1"))
        if code is not None:
            check(done.returncode == code, "interpctl %s: exit %d, not %d\n%s%s" % (
                " ".join(map(str, words)), done.returncode, code, done.stdout, done.stderr))
        return done.stdout, done.stderr

    def json(self, *words):
        return json.loads(self.ctl(*words, "-o", "json"))

    def submit(self, yaml, *options):
        return self.ctl("submit", "-", "--quiet", *options, stdin=yaml).strip()

    def status(self, sweep):
        return self.json("status", sweep)

    def wait(self, sweep, state="finished", seconds=60):
        """Until the sweep is in `state`; any other final state is an error."""
        def is_there():
            now = self.status(sweep)
            if now["state"] == state:
                return now
            check(now["state"] not in ("finished", "failed", "cancelled"),
                  "%s is %s: %s" % (sweep, now["state"], now["reason"]))
            return None
        return wait_until(is_there, "%s is %s" % (sweep, state), seconds, step=0.1)

    def wait_phase(self, sweep, *phases, seconds=40):
        return wait_until(lambda: self.status(sweep)["phase"] in phases,
                          "%s in %s" % (sweep, phases), seconds)

    def workers(self):
        return {row["name"]: row for row in self.json("workers")["workers"]}

    def metrics(self):
        """The coordinator's numbers that have no label."""
        address = (self.data / "http-address").read_text()
        with urllib.request.urlopen(address.rstrip("/") + "/metrics") as answer:
            lines = answer.read().decode().splitlines()
        return {line.split()[0]: float(line.split()[1])
                for line in lines if line and line[0] != "#" and "{" not in line}

    def store_is_up(self):
        return self.metrics()["interp_store_up"] == 1

    # ---- what a sweep left --------------------------------------------------------------
    def canonical(self, sweep):
        folder = self.data / "sweeps" / sweep
        return {name: (folder / name).read_bytes() for name in ("results.jsonl", "summary.json")}

    def llm_stats(self):
        with urllib.request.urlopen("http://127.0.0.1:%d/stats" % self.llm_port) as answer:
            return json.load(answer)

    def llm_log(self):
        return [json.loads(line) for line in self.log("llm").splitlines()
                if line.startswith("{")]


# Key names that may be in Redis once every sweep has ended. Anything else is a leak.
ALLOWED_KEYS = (
    "interp:sweep:", "interp:sweeps", "interp:sweep_serial", "interp:client:",  # the records
    "interp:epoch", "interp:leader",                                            # who leads
    "interp:call:",       # stored replies, and nothing but those: checked by their state
    "interp:ledger:", "interp:uncertain", "interp:attempts",                    # the books
    "interp:replies", "interp:doorbell",                                        # capped streams
    "interp:gateway:", "interp:limit:", "interp:served:", "interp:unserved:",   # expire
)


def check_store_is_clean(cluster):
    """Nothing in Redis but records, stored replies and books."""
    redis = cluster.redis
    for key in redis.run("KEYS", "*"):
        is_told = key.endswith("}:closed") and redis.run("PTTL", key) > 0
        check(key.startswith(ALLOWED_KEYS) or is_told, "%s is left in Redis" % key)
        if key.startswith("interp:call:"):
            state = redis.run("HGET", key, "state")
            check(state == "done", "%s is left as %s" % (key, state))
        if key.startswith(("interp:gateway:", "interp:limit:", "interp:client:", "interp:served:",
                           "interp:unserved:")):
            check(redis.run("PTTL", key) > 0, "%s does not expire" % key)
    check(redis.run("SCARD", "interp:active") == 0, "no sweep is active")


def run(tests):
    """Run the test functions, or those named as arguments; each gets a cluster of its own."""
    missing = [name for name in PROGRAMS if not (BUILD / name).exists()]
    if missing:
        raise SystemExit("%s is missing in %s: build it first" % (", ".join(missing), BUILD))
    wanted = sys.argv[1:]
    for test in tests:
        if wanted and test.__name__ not in wanted:
            continue
        began = time.monotonic()
        print(test.__name__, flush=True)
        with Cluster() as cluster:
            test(cluster)
        print("  ok %.1f s" % (time.monotonic() - began), flush=True)
    print("%d checks, %.1f s" % (N_CHECKS, time.monotonic() - BEGAN))
