"""What the gateway tests share: a Redis of their own, the stand-in provider, gateways, calls.

Everything lives in one temporary directory and is stopped by its process id. Standard library
only; the Redis client below speaks just enough RESP.
"""
import hashlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
LUA = ROOT / "coordinator" / "gateway"
GATEWAY = pathlib.Path(os.environ.get("BUILD", ROOT / "build" / "release")) / "interp-gateway"


class RedisError(Exception):
    pass


class Redis:
    """One connection over a unix socket."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(path)
        self.file = self.socket.makefile("rb")
        self.scripts = {}

    def send(self, *args):
        parts = [b"*%d\r\n" % len(args)]
        for arg in args:
            data = arg if isinstance(arg, bytes) else str(arg).encode()
            parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
        self.socket.sendall(b"".join(parts))

    def read(self):
        line = self.file.readline()
        if not line:
            raise ConnectionError("Redis closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            raise RedisError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            n = int(rest)
            return None if n < 0 else self.file.read(n + 2)[:-2].decode("utf-8", "replace")
        n = int(rest)
        return None if n < 0 else [self.read() for _ in range(n)]

    def run(self, *args):
        self.send(*args)
        return self.read()

    def many(self, commands):
        for start in range(0, len(commands), 500):
            batch = commands[start:start + 500]
            for command in batch:
                self.send(*command)
            for _ in batch:
                self.read()

    def hash(self, key):
        flat = self.run("HGETALL", key)
        return dict(zip(flat[::2], flat[1::2]))

    def script(self, name):
        if name not in self.scripts:
            source = (LUA / "prelude.lua").read_bytes() + (LUA / (name + ".lua")).read_bytes()
            self.scripts[name] = self.run("SCRIPT", "LOAD", source)
        return self.scripts[name]


def body_of(text, max_tokens=64, model="stand-in"):
    return {"model": model, "max_tokens": max_tokens, "temperature": 0,
            "messages": [{"role": "user", "content": text}]}


def canonical(body):
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def call_id(provider, body):
    """As call_body.c computes it."""
    text = "call 1\n%s\n%s\n%s" % (provider, body["model"], canonical(body))
    return hashlib.sha256(text.encode()).hexdigest()


class Bench:
    def __init__(self):
        self.holder = tempfile.TemporaryDirectory(prefix="gateway-test-")
        self.path = pathlib.Path(self.holder.name)
        self.processes = {}
        self.redis = None
        self.port = None

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
            process.wait()
        if os.environ.get("KEEP"):
            print("kept", self.path)
            self.holder._finalizer.detach()
        else:
            self.holder.cleanup()

    def start(self, name, command, **kwargs):
        self.processes[name] = subprocess.Popen(command, **kwargs)
        return self.processes[name]

    def kill(self, name, sig=signal.SIGKILL):
        process = self.processes[name]
        process.send_signal(sig)
        return process.wait(timeout=40)

    # ---- Redis --------------------------------------------------------------------------
    def start_redis(self, durable=False):
        path = str(self.path / "redis.sock")
        command = ["redis-server", "--port", "0", "--unixsocket", path, "--dir", str(self.path),
                   "--save", "", "--appendonly", "yes" if durable else "no",
                   "--appendfsync", "always", "--logfile", str(self.path / "redis.log")]
        self.start("redis", command)
        for _ in range(200):
            try:
                self.redis = Redis(path)
                if self.redis.run("PING") == "PONG":
                    return self.redis
            except (OSError, RedisError, ConnectionError):
                time.sleep(0.05)
        raise SystemExit("redis-server did not start")

    # ---- provider -----------------------------------------------------------------------
    def start_server(self, *options, name="server", faults=None, port=0):
        command = [sys.executable, str(ROOT / "tests/support/llm_server.py"), "--port", str(port),
                   "--log", str(self.path / (name + ".log")), *map(str, options)]
        if faults is not None:
            (self.path / (name + ".faults")).write_text(json.dumps(faults))
            command += ["--faults", str(self.path / (name + ".faults"))]
        process = self.start(name, command, stdout=subprocess.PIPE, text=True)
        self.port = int(process.stdout.readline())
        return self.port

    def stats(self, port=None):
        with urllib.request.urlopen("http://127.0.0.1:%d/stats" % (port or self.port)) as answer:
            return json.load(answer)

    def log(self, name="server"):
        path = self.path / (name + ".log")
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    # ---- gateways -----------------------------------------------------------------------
    def write_providers(self, *providers, **top):
        """Each provider is a dict of keys of providers.yaml."""
        lines = ["%s: %s" % item for item in top.items()] + ["providers:"]
        for provider in providers:
            full = {"base_url": "http://127.0.0.1:%d/v1" % self.port, "model": "stand-in",
                    "family": "none", "timeout_seconds": 10, **provider}
            for i, (key, value) in enumerate(full.items()):
                value = str(value).lower() if isinstance(value, bool) else value
                lines.append("%s %s: %s" % ("  -" if i == 0 else "   ", key, value))
        (self.path / "providers.yaml").write_text("\n".join(lines) + "\n")

    def start_gateway(self, name="g1", *options, env=None):
        command = [str(GATEWAY), "--redis", "unix:" + str(self.path / "redis.sock"),
                   "--providers", str(self.path / "providers.yaml"),
                   "--journal", str(self.path / "journal"), "--name", name, *options]
        log = open(self.path / (name + ".log"), "ab")
        return self.start(name, command, stderr=log, env={**os.environ, **(env or {})})

    def gateway_log(self, name="g1"):
        return (self.path / (name + ".log")).read_text()

    # ---- calls --------------------------------------------------------------------------
    def submit(self, bodies, provider="p", sweep="s", priority=5):
        sha = self.redis.script("submit")
        commands, ids = [], []
        for body in bodies:
            text, name = canonical(body), call_id(provider, body)
            ids.append(name)
            commands.append(("EVALSHA", sha, 1, "interp:call:" + name, name, provider, sweep,
                             priority, "test", text, len(text.encode()), body["max_tokens"]))
        self.redis.many(commands)
        return ids

    def states(self, ids):
        for name in ids:
            self.redis.send("HGET", "interp:call:" + name, "state")
        return [self.redis.read() for _ in ids]

    def wait_until(self, what, seconds, step=0.05):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            value = what()
            if value:
                return value
            time.sleep(step)
        return what()

    def wait_settled(self, ids, seconds):
        """Until every call is done or failed; returns the states."""
        def settled():
            states = self.states(ids)
            return states if all(s in ("done", "failed") for s in states) else None
        result = self.wait_until(settled, seconds)
        if not result:
            counts = {}
            for state in self.states(ids):
                counts[state] = counts.get(state, 0) + 1
            raise AssertionError("calls not settled after %g s: %s" % (seconds, counts))
        return result

    def ledger(self, sweep="s"):
        return {k: (v if not v.lstrip("-").isdigit() else int(v))
                for k, v in self.redis.hash("interp:ledger:" + sweep).items()}

    def uncertain(self):
        return {k: json.loads(v) for k, v in self.redis.hash("interp:uncertain").items()}

    def forget(self, sweep="s"):
        while self.redis.run("EVALSHA", self.redis.script("forget"), 0, sweep, 500):
            pass


def check(condition, text):
    if not condition:
        raise AssertionError(text)
    print("  ok  " + text, flush=True)


def run(tests):
    """Run the named test functions, or those given as arguments."""
    if not GATEWAY.exists():
        raise SystemExit("%s is missing: build it first" % GATEWAY)
    wanted = sys.argv[1:]
    for test in tests:
        if wanted and test.__name__ not in wanted:
            continue
        start = time.monotonic()
        print(test.__name__, flush=True)
        with Bench() as bench:
            try:
                test(bench)
            except BaseException:
                for name in bench.processes:
                    path = bench.path / (name + ".log")
                    if name not in ("server", "redis") and path.exists():
                        print("--- %s\n%s" % (name, path.read_text()[-3000:]))
                raise
        print("  %.1f s" % (time.monotonic() - start), flush=True)
