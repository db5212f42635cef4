#!/usr/bin/env python3
"""Two coordinators on one Redis: one leads, the other stands by and takes over. And Redis itself
away: at the start, later, and with the last second of its log lost."""
import pathlib
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import SLOWDOWN, check, check_store_is_clean, run, say, wait_until


def noop(n_units=1000, **keys):
    return "kind: noop\nname: q\nn_units: %d\n" % n_units + \
        "".join("%s: %s\n" % item for item in keys.items())


def leads(cluster, name):
    return " ready " in cluster.log(name)


def start_standby(cluster, name):
    cluster.start_coordinator(name, wait=False)
    wait_until(lambda: " standby " in cluster.log(name), "%s stands by" % name)


def a_standby_takes_over(cluster):
    cluster.up(workers=2)
    start_standby(cluster, "second")
    sweep = cluster.submit(noop(400, unit_ms=30, payload_bytes=10))
    wait_until(lambda: cluster.status(sweep)["n_units_done"] > 20, "it runs")
    check(not leads(cluster, "second"), "one leads")
    began = time.monotonic()
    cluster.kill("coordinator")
    wait_until(lambda: leads(cluster, "second"), "the second leads", 15, 0.01)
    took = time.monotonic() - began
    say("taken over %.1f s after kill -9" % took)
    check(took < 5 * SLOWDOWN, "within a few seconds")
    wait_until(lambda: cluster.status(sweep)["n_units_done"] > 20, "it knows what was done")
    start_standby(cluster, "third")
    began = time.monotonic()
    check(cluster.kill("second", signal.SIGTERM) == 0, "a good end")
    wait_until(lambda: leads(cluster, "third"), "the third leads", 15, 0.01)
    took = time.monotonic() - began
    say("taken over %.1f s after SIGTERM" % took)
    check(took < 2 * SLOWDOWN, "leadership was given back")
    cluster.wait(sweep)
    check(cluster.json("dead")["total"] == 0, "nobody is blamed")
    check(int(cluster.redis.run("GET", "interp:epoch")) == 3, "three leaders")
    check_store_is_clean(cluster)


def a_leader_that_slept_steps_down(cluster):
    """It must not disturb the one that took over: not its store, not its socket."""
    cluster.up(workers=1)
    start_standby(cluster, "second")
    sweep = cluster.submit(noop(300, unit_ms=30))
    cluster.send_signal("coordinator", signal.SIGSTOP)
    wait_until(lambda: leads(cluster, "second"), "the second leads", 15)
    wait_until(lambda: cluster.workers().get("w1"), "the worker found it", 40)
    cluster.send_signal("coordinator", signal.SIGCONT)
    check(cluster.processes["coordinator"].wait(timeout=20) == 5, "exit code: conflict")
    check("another coordinator leads" in cluster.log("coordinator"), "it says why")
    check((cluster.home / "c.sock").exists(), "the address is the second's now")
    cluster.wait(sweep)
    check_store_is_clean(cluster)


def redis_away_at_the_start_is_waited_for(cluster):
    cluster.start_coordinator(wait=False)
    cluster.start_worker("w1")
    wait_until(lambda: "store_away" in cluster.log("coordinator"), "it says so")
    began = time.monotonic()
    _, err = cluster.ctl_both("list", "--timeout", "1", code=None)
    check(err.count("\n") == 1 and time.monotonic() - began < 5, err)
    check(cluster.log("coordinator").count("store_away") == 1, "once")
    check(cluster.is_running("coordinator") and cluster.is_running("w1"), "they wait")
    cluster.start_redis()
    wait_until(lambda: leads(cluster, "coordinator"), "it leads")
    cluster.wait(cluster.submit(noop(100)))
    check_store_is_clean(cluster)


def redis_goes_and_comes_back(cluster):
    cluster.up(workers=2)
    sweep = cluster.submit(noop(600, unit_ms=20, payload_bytes=100))
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGKILL):
        done = cluster.status(sweep)["n_units_done"]
        wait_until(lambda: cluster.status(sweep)["n_units_done"] > done + 10, "it runs")
        cluster.kill("redis", number)
        wait_until(lambda: not cluster.store_is_up(), "noticed")
        check(cluster.is_running("coordinator"), "it waits")
        cluster.start_redis()
    _, err = cluster.ctl_both("wait", sweep, "--timeout", "40")
    cluster.wait(sweep)
    check(cluster.json("dead")["total"] == 0, "no unit failed for it")
    log = cluster.log("coordinator")
    check(log.count("store_away") == log.count("store_back") == 3, "one line each way")
    check_store_is_clean(cluster)


def redis_away_for_longer_than_a_leader_lease(cluster):
    cluster.up(workers=1)
    sweep = cluster.submit(noop(200, unit_ms=20))
    wait_until(lambda: cluster.status(sweep)["n_units_done"] > 5, "it runs")
    cluster.kill("redis")
    gone = time.monotonic()
    began = time.monotonic()
    _, err = cluster.ctl_both("submit", "-", "--timeout", "1", stdin=noop(5), code=None)
    check("Redis" in err and err.count("\n") <= 3, err)
    wait_until(lambda: time.monotonic() - gone > 4, "the lease ran out")
    check(cluster.is_running("coordinator"), "it waits")
    cluster.start_redis()
    cluster.wait(sweep)
    wait_until(lambda: time.monotonic() - began > 7, "two renewals later")
    check(cluster.is_running("coordinator"), "it still leads")
    check(cluster.log("coordinator").count(" ready ") == 1, "and never stopped")
    check_store_is_clean(cluster)


def an_open_task_that_redis_forgot_is_opened_again(cluster):
    """As a crash that loses the last second does: the key that lets results in is gone."""
    cluster.up(workers=1)
    sweep = cluster.submit(noop(300, unit_ms=20))
    wait_until(lambda: cluster.status(sweep)["n_units_done"] > 5, "it runs")
    cluster.redis.run("DEL", "interp:{%s/noop}:open" % sweep)
    cluster.redis.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    cluster.wait(sweep)
    check(cluster.json("dead")["total"] == 0, "nobody's failure")
    check_store_is_clean(cluster)


if __name__ == "__main__":
    run([a_standby_takes_over, a_leader_that_slept_steps_down,
         redis_away_at_the_start_is_waited_for, redis_goes_and_comes_back,
         redis_away_for_longer_than_a_leader_lease,
         an_open_task_that_redis_forgot_is_opened_again])
