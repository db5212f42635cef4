#!/usr/bin/env python3
"""Keys: a coordinator on tcp with CURVE and an allow-list, workers and people with and without keys
that it knows. Real processes on a loopback port chosen at run time."""
# tsan: yes
import os
import pathlib
import random
import shutil
import signal
import socket
import stat
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import BUILD, check, run, wait_until
import zmtp


def noop(n_units=200, **keys):
    return "kind: noop\nname: q\nn_units: %d\n" % n_units + \
        "".join("%s: %s\n" % item for item in keys.items())


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Locked:
    """A cluster whose coordinator also listens on tcp with a key."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.keys = cluster.home / "keys"
        self.allow = cluster.home / "allow"
        self.keys.mkdir()
        self.allow.mkdir()
        self.tcp = "tcp://127.0.0.1:%d" % free_port()
        self.new("boss", None)
        for role in ("worker", "operator", "viewer"):
            self.new(role + "1", role)
            self.permit(role + "1")
        cluster.start_redis()
        self.start_coordinator()

    def start_coordinator(self):
        self.cluster.start_coordinator(more=("--endpoint", self.tcp, "--key",
                                             self.keys / "boss.key", "--allow", self.allow))

    def new(self, name, role):
        self.cluster.ctl("keys", "new", name, "--dir", self.keys,
                         *(("--role", role) if role else ()))

    def permit(self, name):
        shutil.copy(self.keys / (name + ".pub"), self.allow)

    def public(self, name):
        for line in (self.keys / (name + ".pub")).read_text().splitlines():
            if line.startswith("public "):
                return line.split()[1]
        raise AssertionError("no public key of " + name)

    def options(self, name, server="boss"):
        return ("--key", self.keys / (name + ".key"), "--server-key", self.keys / (server + ".pub"))

    def start_worker(self, name, *options):
        return self.cluster.start(name, [BUILD / "interp-worker", "--connect", self.tcp, "--name",
                                         name, *options])

    def ctl(self, key, *words, code=0, stdin=None):
        """interpctl over tcp with that key (None: without); stdout and stderr."""
        return self.cluster.ctl_both(*words, "--endpoint", self.tcp,
                                     *(self.options(key) if key else ()), code=code, stdin=stdin)

    def log(self, name="coordinator"):
        return self.cluster.log(name)


def worker_and_people_with_keys_work(cluster):
    locked = Locked(cluster)
    locked.start_worker("w1", *locked.options("worker1"))
    sweep = locked.ctl("operator1", "submit", "-", "--quiet", "--wait", stdin=noop())[0].strip()
    check("finished" in locked.ctl("viewer1", "list")[0], "the viewer sees it finished")
    check(cluster.status(sweep)["state"] == "finished", "so does the plain socket")
    check(cluster.workers()["w1"]["n_settled"] == 200, "w1 did it")
    accepted = [line for line in locked.log().splitlines() if " key_accepted " in line]
    check(any("key=worker1" in line and "role=worker" in line for line in accepted), accepted)


def the_environment_names_the_keys_too(cluster):
    locked = Locked(cluster)
    _, own, _, server = locked.options("viewer1")
    names = dict(os.environ, INTERP_KEY=str(own), INTERP_SERVER_KEY=str(server))
    for more, code in (((), 0), (("--key", locked.keys / "worker1.key"), 5)):  # options win
        done = subprocess.run([BUILD / "interpctl", "list", "--endpoint", locked.tcp,
                               *map(str, more)], env=names, capture_output=True, timeout=60)
        check(done.returncode == code, (more, done))


def a_restart_of_the_coordinator_loses_nothing(cluster):
    locked = Locked(cluster)
    for i in (1, 2):
        locked.start_worker("w%d" % i, *locked.options("worker1"))
    sweep = locked.ctl("operator1", "submit", "-", "--quiet", stdin=noop(400, unit_ms=10))[0].strip()
    wait_until(lambda: cluster.status(sweep)["n_units_done"] > 50, "some are done")
    cluster.kill("coordinator")
    locked.start_coordinator()
    check(cluster.wait(sweep)["n_units_done"] == 400, "all are done")
    check(cluster.is_running("w1") and cluster.is_running("w2"), "the workers came back")
    check(cluster.metrics()["interp_unit_failures_total"] == 0, "and no unit failed")


def garbage_at_a_curve_port_does_no_harm(cluster):
    """Noise, and handshakes that break off at every stage or go wrong."""
    locked = Locked(cluster)
    locked.start_worker("w1", *locked.options("worker1"))
    sweep = locked.ctl("operator1", "submit", "-", "--quiet", stdin=noop(200, unit_ms=10))[0].strip()
    rng = random.Random(7)
    greeting = b"\xff" + bytes(8) + b"\x7f\x03\x00CURVE" + bytes(15) + b"\x00" + bytes(31)
    hello = b"\x05HELLO\x01\x00" + bytes(72) + rng.randbytes(32 + 8 + 80)
    framed = b"\x04" + bytes([len(hello)]) + hello
    held = []
    for i in range(200):
        said = rng.choice([rng.randbytes(rng.randrange(200)), greeting[:rng.randrange(65)],
                           greeting + framed[:rng.randrange(len(framed))], greeting + framed,
                           greeting + rng.randbytes(300)])
        stranger = socket.create_connection(("127.0.0.1", int(locked.tcp.rsplit(":")[-1])))
        stranger.sendall(said)
        if i % 10:
            stranger.close()
        else:
            held.append(stranger)  # and never another word
    check(locked.ctl("viewer1", "list")[0], "people get answers meanwhile")
    check(cluster.wait(sweep)["n_units_done"] == 200, "the sweep is done")
    check(cluster.is_running("coordinator") and cluster.is_running("w1"), "both live")
    n_lines = len([line for line in locked.log().splitlines() if " handshake_failed " in line])
    check(1 <= n_lines <= 30, "%d lines about 200 bad handshakes" % n_lines)
    for stranger in held:
        stranger.close()


def roles_are_kept(cluster):
    locked = Locked(cluster)
    sweep = locked.ctl("operator1", "submit", "-", "--quiet", stdin=noop())[0].strip()
    for words in (("list",), ("status", sweep), ("workers",), ("dead",), ("results", sweep)):
        locked.ctl("viewer1", *words)
    for words in (("cancel", sweep), ("pause", sweep), ("retry", sweep), ("drain", "w1"),
                  ("submit", "-")):
        for key, role in (("viewer1", "viewer"), ("worker1", "worker")):
            problem = locked.ctl(key, *words, code=5, stdin=noop())[1]
            check('"%s" has the role %s' % (key, role) in problem and words[0] in problem, problem)
    problem = locked.ctl("worker1", "list", code=5)[1]
    check("may not list" in problem, problem)
    check(cluster.status(sweep)["state"] in ("queued", "running"), "nothing happened to it")
    check(len(cluster.json("list")["sweeps"]) == 1, "nothing was submitted")
    process = locked.start_worker("spy", *locked.options("operator1"))
    check(process.wait(timeout=20) != 0, "an operator's key does not work")
    check("only workers may work" in cluster.log("spy"), cluster.log("spy"))
    check(cluster.workers() == {}, "it never joined")
    locked.ctl("operator1", "cancel", sweep)


def unknown_keys_are_refused_and_named(cluster):
    locked = Locked(cluster)
    locked.new("mallory", "operator")
    problem = locked.ctl("mallory", "list", code=5)[1]
    check("does not allow the key" in problem and locked.public("mallory") in problem, problem)
    check(len(problem.splitlines()) == 1, problem)
    process = locked.start_worker("w9", *locked.options("mallory"))
    check(process.wait(timeout=20) == 5, "the worker leaves with 5: %s" % process.returncode)
    check("does not allow the key" in cluster.log("w9"), cluster.log("w9"))
    for _ in range(15):
        locked.ctl("mallory", "list", code=5)
    refused = [line for line in locked.log().splitlines() if " key_refused " in line]
    check(locked.public("mallory") in refused[0] and "address=127.0.0.1" in refused[0], refused)
    check(2 <= len(refused) <= 12, "17 refusals, %d lines" % len(refused))


def another_server_key_is_noticed(cluster):
    locked = Locked(cluster)
    locked.new("other", None)
    problem = cluster.ctl_both("list", "--endpoint", locked.tcp, "--timeout", "3",
                               *locked.options("viewer1", server="other"), code=4)[1]
    check("other.pub is not its key" in problem, problem)
    locked.start_worker("w1", *locked.options("worker1", server="other"))
    wait_until(lambda: "other.pub is not its key" in cluster.log("w1"), "the worker says so")
    check(cluster.is_running("w1"), "and tries again")
    check(cluster.workers() == {}, "in vain")
    check("made for another server key" in locked.log(), "the coordinator saw it")


def without_keys_nobody_gets_in(cluster):
    locked = Locked(cluster)
    problem = locked.ctl(None, "list", "--timeout", "3", code=4)[1]
    check("asks for a key" in problem, problem)
    stranger = socket.create_connection(("127.0.0.1", int(locked.tcp.rsplit(":")[-1])))
    stranger.settimeout(20)
    try:  # ZMTP 3.0 with the NULL mechanism: no READY comes back
        zmtp.Peer(stranger, b"DEALER")
        check(False, "the handshake ended well")
    except (ConnectionError, OSError):
        pass
    wait_until(lambda: "one side has keys" in locked.log(), "the coordinator saw it")
    check(cluster.json("list")["sweeps"] == [], "the plain unix socket works on")
    cluster.start_worker("w1", *locked.options("worker1"))  # keys are for tcp: not used on ipc
    wait_until(lambda: "w1" in cluster.workers(), "a worker on ipc")


def a_removed_key_is_refused_at_its_next_connection(cluster):
    locked = Locked(cluster)
    locked.start_worker("w1", *locked.options("worker1"))
    wait_until(lambda: "w1" in cluster.workers(), "w1 joined")
    sweep = locked.ctl("operator1", "submit", "-", "--quiet", stdin=noop(60, unit_ms=1000))[0]
    watcher = subprocess.Popen([BUILD / "interpctl", "wait", sweep.strip(), "--endpoint", locked.tcp,
                                *map(str, locked.options("viewer1"))], stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True)
    wait_until(lambda: locked.log().count(" key_accepted key=viewer1") == 1, "it watches")
    (locked.allow / "worker1.pub").unlink()
    (locked.allow / "viewer1.pub").unlink()
    locked.ctl("viewer1", "list", code=5)
    check(cluster.is_running("w1"), "a connection that stands is kept")
    cluster.kill("coordinator")
    locked.start_coordinator()
    check(cluster.processes["w1"].wait(timeout=30) == 5, "w1 had to connect again and may not")
    problem = watcher.communicate(timeout=60)[1]
    check(watcher.returncode == 5 and "does not allow the key" in problem, "so had the watcher")
    locked.permit("viewer1")  # and back again, without a restart
    locked.ctl("viewer1", "list")
    text = (locked.allow / "viewer1.pub").read_text()
    (locked.allow / "viewer1.pub").write_text(text.replace("role viewer", "role operator"))
    locked.ctl("viewer1", "submit", "-", "--quiet", stdin=noop())


def up_listens_with_keys(cluster):
    """The local cluster, with people on other machines."""
    locked = Locked.__new__(Locked)
    locked.cluster, locked.keys, locked.allow = cluster, cluster.home, cluster.home / "allow"
    locked.tcp = "tcp://127.0.0.1:%d" % free_port()
    locked.allow.mkdir()
    for name, role in (("boss", None), ("viewer1", "viewer"), ("worker1", "worker")):
        locked.new(name, role)
    locked.permit("viewer1")
    locked.permit("worker1")
    state = ("--state", cluster.home / "state")
    problem = cluster.ctl_both("up", *state, "--listen", locked.tcp, code=2)[1]
    check("--listen-key is missing" in problem, problem)
    (cluster.home / "cluster.yaml").write_text("listen: %s\nlisten_key: boss.key\nallow: allow\n"
                                               "workers: 1\n" % locked.tcp)
    try:
        said = cluster.ctl("up", *state, "--config", cluster.home / "cluster.yaml")
        check("listen    " + locked.tcp in said, said)
        locked.start_worker("far", *locked.options("worker1"))
        wait_until(lambda: "far" in locked.ctl("viewer1", "workers")[0], "a worker over tcp")
        check("worker-1" in locked.ctl("viewer1", "workers")[0], "and the local one")
        locked.ctl("viewer1", "drain", "far", code=5)
        cluster.kill("far", signal.SIGTERM)
    finally:
        cluster.ctl("down", *state)


def files_are_checked(cluster):
    cluster.start_redis()
    locked = Locked.__new__(Locked)
    locked.cluster, locked.keys, locked.allow = cluster, cluster.home, cluster.home / "allow"
    locked.tcp = "tcp://127.0.0.1:%d" % free_port()
    locked.allow.mkdir()
    locked.new("boss", None)
    locked.new("worker1", "worker")
    check(stat.S_IMODE((cluster.home / "worker1.key").stat().st_mode) == 0o600, "mode of the .key")
    secret = (cluster.home / "worker1.key").read_text()
    problem = cluster.ctl_both("keys", "new", "worker1", "--role", "viewer", code=5)[1]
    check("worker1.key" in problem and secret == (cluster.home / "worker1.key").read_text(),
          "no key is written over: " + problem)
    rows = cluster.json("keys", "list")["keys"]
    check([(row["name"], row["role"]) for row in rows] == [("boss", None), ("worker1", "worker")],
          rows)

    os.chmod(cluster.home / "worker1.key", 0o644)
    for key, server, what in (("worker1.key", "boss.pub", "chmod 600"),
                              ("boss.pub", "boss.pub", "holds no secret"),
                              ("boss.key", "boss.key", "holds a secret key"),
                              ("none.key", "boss.pub", "none.key")):
        done = subprocess.run([BUILD / "interp-worker", "--connect", locked.tcp, "--key", key,
                               "--server-key", server], cwd=cluster.home, text=True,
                              capture_output=True, timeout=60)
        check(done.returncode in (2, 3) and what in done.stderr, (key, done.stderr))
        check(secret.splitlines()[-1].split()[1] not in done.stderr, "no secret in a log")
    check("--server-key" in cluster.ctl_both("list", "--endpoint", locked.tcp, "--key",
                                             "boss.key", code=2)[1], "both are needed")

    def refused(*options):
        done = subprocess.run([BUILD / "interp-coordinator", "--store", cluster.store_url, "--data",
                               cluster.data, *map(str, options)], cwd=cluster.home, text=True,
                              capture_output=True, timeout=60)
        check(done.returncode == 2, (options, done.returncode, done.stderr))
        return done.stderr
    public = "tcp://0.0.0.0:%d" % free_port()
    check("--insecure" in refused("--endpoint", public), "other machines, no key")
    check("--allow" in refused("--endpoint", public, "--key", "boss.key"), "a key without a list")
    shutil.copy(cluster.home / "boss.pub", locked.allow)
    check("boss.pub has no line" in refused("--endpoint", locked.tcp, "--key", "boss.key",
                                            "--allow", "allow"), "a key without a role")


if __name__ == "__main__":
    run([worker_and_people_with_keys_work, the_environment_names_the_keys_too,
         a_restart_of_the_coordinator_loses_nothing, garbage_at_a_curve_port_does_no_harm,
         roles_are_kept, unknown_keys_are_refused_and_named, another_server_key_is_noticed, without_keys_nobody_gets_in,
         a_removed_key_is_refused_at_its_next_connection, up_listens_with_keys,
         files_are_checked])
