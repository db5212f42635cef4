"""What the tests of HTTP and page share: Redis, coordinator and a worker in one directory.

Unix sockets and one loopback port chosen by the system; everything is ended by process id.
"""
import json
import os
import pathlib
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / "build" / "release")).resolve()
N_CHECKS = 0

# Text that would run, load or draw something if any of it were taken for markup.
HOSTILE = ('<img src=x onerror="document.title=\'taken\'"> <script>document.title="taken"</script> '
           '</td></table><style>*{display:none}</style> &lt;b&gt; '
           '<a href="javascript:alert(1)">go</a> ')
PLAIN = ("The river rose in the night and the bridge was gone by morning.",
         "A cat sat under the old table and watched the rain.",
         "Nobody in the village could say who had built the tower.")


def check(truth, what):
    global N_CHECKS
    N_CHECKS += 1
    if not truth:
        raise AssertionError(what)


def wait(what, seconds, done):
    end = time.monotonic() + seconds
    while True:
        got = done()
        if got:
            return got
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.05)


class Cluster:
    def __init__(self):
        self.holder = tempfile.TemporaryDirectory(prefix="interp-http-")
        self.path = pathlib.Path(self.holder.name)
        self.processes = {}

    def __enter__(self):
        return self

    def __exit__(self, failure, *_exc):
        for process in reversed(list(self.processes.values())):
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if failure:
            for log in sorted(self.path.glob("*.log")):
                print(f"--- {log.name}\n" + log.read_text(errors="replace")[-3000:])
        self.holder.cleanup()

    def start(self, name, *command):
        with open(self.path / (name + ".log"), "ab") as log:
            self.processes[name] = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def end(self, name):
        process = self.processes.pop(name)
        process.terminate()
        return process.wait(timeout=20)

    def start_redis(self):
        self.start("redis", "redis-server", "--port", "0", "--unixsocket", self.path / "r.sock",
                   "--dir", self.path, "--save", "", "--appendonly", "yes")
        wait("redis", 10, (self.path / "r.sock").exists)

    def start_coordinator(self, listen="127.0.0.1:0"):
        address = self.path / "data" / "http-address"
        address.unlink(missing_ok=True)
        self.start("coordinator", BUILD / "interp-coordinator", "--store",
                   f"unix:{self.path}/r.sock", "--endpoint", self.endpoint, "--data",
                   self.path / "data", "--http", listen)
        wait("the page's address", 15, address.exists)
        self.address = address.read_text()

    def start_worker(self):
        self.start("worker", BUILD / "interp-worker", "--connect", self.endpoint)
        wait("a worker", 15, lambda: self.json("/api/v1/workers")["workers"])

    @property
    def endpoint(self):
        return f"ipc://{self.path}/c.sock"

    def submit(self, text, name):
        path = self.path / (name + ".yaml")
        path.write_text(text)
        done = subprocess.run([BUILD / "interpctl", "submit", "--quiet", "--endpoint",
                               self.endpoint, path], capture_output=True, text=True, timeout=60)
        check(done.returncode == 0, done.stderr)
        return done.stdout.strip()

    def submit_labels(self, name="hostile", n_documents=120, more=""):
        """A label sweep whose corpus is full of markup; its features need no dictionary. `more` is
        further YAML."""
        with open(self.path / "corpus.jsonl", "w") as corpus:
            for i in range(n_documents):
                text = (HOSTILE + PLAIN[i % 3] + " ") * 2 + f"number {i}"
                corpus.write(json.dumps({"id": f"<i>doc-{i}</i>", "text": text}) + "\n")
        return self.submit(f"kind: label\nname: {name}\nmodel: {ROOT}/config/demo/model\n"
                           f"corpus:\n  path: {self.path}/corpus.jsonl\n"
                           "targets:\n  - hook: blocks.2.hook_resid_pre\n    units: residual\n"
                           "    features: 0-31\n" + more, name)

    def get(self, path, headers=None, method="GET"):
        """(status, headers, body text)."""
        request = urllib.request.Request(self.address + path, headers=headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as problem:
            return problem.code, problem.headers, problem.read().decode()

    def json(self, path, want=200):
        status, headers, body = self.get(path)
        check(status == want, f"{path}: {status} {body[:300]}")
        check(headers["Content-Type"] == "application/json", path)
        return json.loads(body)

    def wait_finished(self, sweep, seconds=150):
        def is_over():
            state = self.json(f"/api/v1/sweeps/{sweep}")
            check(state["state"] in ("queued", "running", "finished"), f"{state}")
            return state["state"] == "finished" and state
        return wait(f"{sweep} finished", seconds, is_over)
