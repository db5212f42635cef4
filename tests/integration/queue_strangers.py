#!/usr/bin/env python3
"""Strangers on the wire: garbage at the coordinator's and at the worker's socket, peers that break
the grammar or speak another version. Nothing is harmed, each is told why. SEED=n repeats a run."""
import os
import pathlib
import random
import signal
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import zmtp
from cluster import check, check_store_is_clean, run, say, wait_until

N_TO_VERSION = len(zmtp.pack({"v": 1}))
SEED = int(os.environ.get("SEED", "0")) or random.randrange(1, 1 << 30)


def noop(n_units=1000, **keys):
    return "kind: noop\nname: q\nn_units: %d\n" % n_units + \
        "".join("%s: %s\n" % item for item in keys.items())


def resident_bytes(process):
    return int(pathlib.Path("/proc/%d/statm" % process.pid).read_text().split()[1]) * 4096


def noise(rng, path):
    """Bytes that are no ZMTP, and connections that break off in the handshake."""
    for n in (0, 1, 10, 63, 64, 65, 4096):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(path)
        try:
            connection.sendall(rng.choice([rng.randbytes(n), zmtp.GREETING[:n], b"GET / HTTP/1.1"]))
        except BrokenPipeError:
            pass
        connection.close()


def bad_frames(rng):
    good = zmtp.message("HELLO", **zmtp.HELLO)
    yield [b""]
    yield [rng.randbytes(1)]
    yield [rng.randbytes(70000)]  # over the cap of a header
    yield [b"\xdd\xff\xff\xff\xff"]  # an array of four billion
    yield [b"\xdf\xff\xff\xff\xff" + bytes(100)]
    yield [b"\x91" * 60000]  # very deep
    yield [good, b"bulk", b"more", b"and more"]
    yield [zmtp.pack([1, 2])]
    yield [zmtp.pack({"v": 1})]
    yield [zmtp.message("NONSENSE")]
    yield [zmtp.message("HELLO", name="x")]
    yield [zmtp.message("HELLO", **{**zmtp.HELLO, "name": ""})]
    yield [zmtp.message("HELLO", **{**zmtp.HELLO, "name": "n" * 5000})]
    yield [zmtp.message("HELLO", **{**zmtp.HELLO, "pid": "text"})]
    yield [zmtp.message("REQUEST", id=1, name="status"), b"{not json"]
    yield [zmtp.message("REQUEST", id=1, name="x" * 127), b""]
    yield [zmtp.message("WELCOME", epoch=1, heartbeat_ms=1, store="unix:/x")]
    for _ in range(30):
        cut = rng.randrange(N_TO_VERSION, len(good))  # another version is another matter
        yield [good[:cut]]
        yield [good[:cut] + rng.randbytes(5) + good[cut:]]


def garbage_at_the_coordinator_does_no_harm(cluster):
    rng = random.Random(SEED)
    cluster.up(workers=1)
    path = str(cluster.home / "c.sock")
    sweep = cluster.submit(noop(300, unit_ms=10))
    before, memory = cluster.metrics(), resident_bytes(cluster.processes["coordinator"])
    noise(rng, path)
    held = [socket.socket(socket.AF_UNIX) for _ in range(3)]
    for connection in held:
        connection.connect(path)  # and never a word
    n_sent = 0
    for frames in bad_frames(rng):
        stranger = zmtp.dial(path)
        stranger.send(*frames)
        if n_sent % 3 == 0:
            stranger.receive()  # it is told something; the others do not listen
        stranger.close()
        n_sent += 1
    cluster.wait(sweep)
    after = cluster.metrics()
    refused = after["interp_protocol_errors_total"] - before["interp_protocol_errors_total"]
    say("%d bad messages, %d refused" % (n_sent, refused))
    check(refused >= n_sent * 0.8, "refusals are counted")
    check(after["interp_unit_failures_total"] == 0, "no unit suffered")
    grown = resident_bytes(cluster.processes["coordinator"]) - memory
    check(grown < 64 << 20, "memory grew by %d bytes" % grown)
    for connection in held:
        connection.close()
    check_store_is_clean(cluster)


def a_lying_worker_changes_nothing(cluster):
    """It says HELLO properly and then reports units that it never had."""
    cluster.up(workers=0)
    sweep = cluster.submit(noop(50))
    liar = zmtp.dial(cluster.home / "c.sock")
    liar.send(zmtp.message("HELLO", **zmtp.HELLO))
    check(zmtp.unpack(liar.receive()[0])["t"] == "WELCOME", "welcome")
    wait_until(lambda: cluster.workers().get("stranger", {}).get("n_leases"), "it has a lease")
    kinds = [zmtp.unpack(liar.receive()[0]) for _ in range(2)]
    check([kind["t"] for kind in kinds] == ["SPEC", "LEASE"], kinds)
    settled = {"task": sweep + "/noop", "n_stored": 1, "n_duplicate": 0, "seconds": 0.1}
    for low, high in ((0, 10 ** 9), (5, 2), (2 ** 63, 2 ** 63 + 1)):
        liar.send(zmtp.message("SETTLED", lease=kinds[1]["lease"], ranges=[low, high], **settled))
    liar.send(zmtp.message("FAILED", lease=1, task=sweep + "/noop", unit=10 ** 12, status=14,
                           text="x"))
    liar.send(zmtp.message("FAILED", lease=1, task="no-such/task", unit=1, status=14, text="x"))
    liar.send(zmtp.message("SETTLED", lease=77, ranges=[0, 1], **{**settled, "seconds": -1.0}))
    while zmtp.unpack(liar.receive()[0])["t"] != "REFUSED":  # it is told
        pass
    liar.close()
    wait_until(lambda: "stranger" not in cluster.workers(), "it is gone")
    cluster.start_worker("w1")
    cluster.wait(sweep)
    check(cluster.is_running("coordinator"), "the coordinator lives")
    check_store_is_clean(cluster)


def another_version_is_refused_by_name(cluster):
    cluster.up(workers=0)
    other = zmtp.dial(cluster.home / "c.sock")
    other.send(zmtp.message("HELLO", version=2, **zmtp.HELLO))
    answer = zmtp.unpack(other.receive()[0])
    check(answer["t"] == "REFUSED" and "version 2" in answer["text"] and "1" in answer["text"],
          answer)
    other.close()
    for version in (1, 2):  # a coordinator that refuses us, one that we cannot even read
        listener = zmtp.Listener(cluster.home / ("fake%d.sock" % version))
        name = "w%d" % version
        process = cluster.start(name, [os.path.join(os.environ.get("BUILD", "build/release"),
                                                    "interp-worker"), "--connect",
                                       "ipc://%s" % (cluster.home / ("fake%d.sock" % version)),
                                       "--name", name])
        fake = listener.accept()
        check(zmtp.unpack(fake.receive()[0])["t"] == "HELLO", "HELLO")
        fake.send(zmtp.message("REFUSED", version=version, status=12,
                               text="protocol version 2 is spoken here"))
        check(process.wait(timeout=20) == 4, "exit code 4: %s" % process.returncode)
        lines = [line for line in cluster.log(name).splitlines() if " error " in line]
        check(lines and "version 2" in lines[-1], "%s: %s" % (name, lines))
        fake.close()
        listener.close()


def garbage_at_the_worker_does_no_harm(cluster):
    rng = random.Random(SEED)
    listener = zmtp.Listener(cluster.home / "c.sock")
    cluster.start_redis()
    cluster.start_worker("w1")
    fake = listener.accept()
    check(zmtp.unpack(fake.receive()[0])["t"] == "HELLO", "HELLO")
    fake.send(zmtp.message("WELCOME", epoch=1, heartbeat_ms=100, store=cluster.store_url))
    for _ in range(300):
        fake.send(rng.randbytes(rng.randrange(1, 2000)))
    for frames in bad_frames(rng):
        fake.send(*frames)
    fake.send(zmtp.message("LEASE", lease=1, epoch=1, task="x/y", low=5, high=2), b"")
    fake.send(zmtp.message("LEASE", lease=2, epoch=1, task="x/y", low=0, high=3), rng.randbytes(50))
    fake.send(zmtp.message("SPEC", task="x/y"), b"{\"kind\": 7")
    fake.send(zmtp.message("LEASE", lease=3, epoch=1, task="x/y", low=0, high=1),
              b"\x01\x00\x00\x00" + bytes(8))
    fake.send(zmtp.message("REVOKE", lease=12345))
    failed = []
    while len(failed) < 4:
        said = zmtp.unpack(fake.receive()[0])
        if said["t"] == "FAILED":
            failed.append((said["lease"], said["unit"]))
    check(failed[:3] == [(2, 0), (2, 1), (2, 2)] and failed[3] == (3, 0), failed)
    check(cluster.is_running("w1"), "it lives")
    fake.close()
    listener.close()
    os.unlink(cluster.home / "c.sock")
    cluster.start_coordinator()  # the real one, at the same address
    cluster.wait(cluster.submit(noop(100)))
    check(cluster.kill("w1", signal.SIGTERM) == 0, "and leaves in good order")
    check_store_is_clean(cluster)


if __name__ == "__main__":
    print("SEED=%d" % SEED)
    run([garbage_at_the_coordinator_does_no_harm, a_lying_worker_changes_nothing,
         another_version_is_refused_by_name, garbage_at_the_worker_does_no_harm])
