#!/usr/bin/env python3
"""What a coordinator finds in the store when it starts: sweeps it cannot read, the kind of worker that
a sweep began on; and one that was deposed writes nothing."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import Cluster, check, check_store_is_clean, label_sweep, run, wait_until

SWEEP = label_sweep("stored", 60000, 100, "scoring: {null_pairs: 100, bootstrap_resamples: 100}")


def noop(n_units, **keys):
    return "kind: noop\nname: q\nn_units: %d\n" % n_units + \
        "".join("%s: %s\n" % item for item in keys.items())


def restart(cluster):
    if cluster.is_running("coordinator"):
        cluster.kill("coordinator")
    cluster.start_coordinator()


def replace(cluster, sweep, field, value):
    """Set a field of the stored sweep; what it was."""
    key = "interp:sweep:" + sweep
    before = cluster.redis.run("HGET", key, field)
    cluster.redis.run("HSET", key, field, value)
    return before


def a_sweep_that_cannot_be_read_is_shown_and_kept(cluster):
    cluster.up(workers=1)
    other = cluster.submit(noop(200, unit_ms=10))
    sweep = cluster.submit(SWEEP)
    cluster.wait_phase(sweep, "capture-explain", "capture-rest")
    cluster.kill("coordinator")
    spec = replace(cluster, sweep, "spec", '{"kind":"label","from_the_future":1}')
    stored = cluster.redis.run("HGETALL", "interp:sweep:" + sweep)
    restart(cluster)
    now = cluster.status(sweep)
    check(now["state"] == "failed" and "from_the_future" in now["reason"], str(now["reason"]))
    check(now["sweep_kind"] is None and now["name"] == "stored", str(now))
    check(sweep in cluster.ctl("list") and "from_the_future" in cluster.ctl("status", sweep), "shown")
    for move in ("retry", "resume"):
        _, err = cluster.ctl_both(move, sweep, code=None)
        check("from_the_future" in err, "%s: %s" % (move, err))
    cluster.wait(other)
    check(cluster.redis.run("HGETALL", "interp:sweep:" + sweep) == stored, "left as it was")
    cluster.kill("coordinator")
    replace(cluster, sweep, "spec", spec)
    restart(cluster)
    cluster.wait(sweep)
    check_store_is_clean(cluster)
    mine = cluster.canonical(sweep)
    with Cluster() as undisturbed:
        undisturbed.up()
        same = undisturbed.submit(SWEEP)
        undisturbed.wait(same)
        check(undisturbed.canonical(same) == mine, "the same results")


def a_sweep_that_cannot_be_read_can_be_cancelled(cluster):
    cluster.up(workers=1)
    sweep = cluster.submit(SWEEP)
    finished = cluster.submit(noop(10))
    cluster.wait(finished)
    cluster.wait_phase(sweep, "capture-explain", "capture-rest")
    cluster.kill("coordinator")
    replace(cluster, sweep, "state", "on hold")
    replace(cluster, finished, "spec", "}{")
    restart(cluster)
    check("on hold" in cluster.status(sweep)["reason"], "the state is the trouble")
    check(cluster.status(finished)["state"] == "finished", "what is over stays so")
    cluster.ctl("cancel", sweep)
    check(cluster.status(sweep)["state"] == "cancelled", "cancelled")
    check_store_is_clean(cluster)


def a_sweep_goes_on_where_it_began_or_waits(cluster):
    cluster.up(workers=1)
    sweep = cluster.submit(SWEEP)
    cluster.wait_phase(sweep, "capture-explain")
    wait_until(lambda: cluster.status(sweep)["backend"], "it has a kind")
    worker = cluster.workers()["w1"]
    now = cluster.status(sweep)
    check((now["backend"], now["isa"]) == (worker["backend"], worker["isa"]), str(now))
    cluster.kill("coordinator")
    isa = replace(cluster, sweep, "isa", "another one")
    restart(cluster)
    cluster.wait_phase(sweep, "capture-explain")
    wait_until(lambda: cluster.status(sweep)["phases"], "the task")
    wait_until(lambda: cluster.workers()["w1"]["state"] == "idle", "nothing for this worker")
    phase = cluster.status(sweep)["phases"][0]
    check(phase["leased"] == 0 and phase["ready"] > 0, str(phase))
    check("another one" in cluster.ctl("status", sweep), "status says what it waits for")
    cluster.kill("coordinator")
    replace(cluster, sweep, "isa", isa)
    restart(cluster)
    cluster.wait(sweep)
    again = cluster.submit(SWEEP.replace("name: stored", "name: again"))
    cluster.wait(again)
    check(cluster.status(again)["isa"] == isa, "evidence from disk says where it is from")
    check(cluster.log("coordinator").count("capture-rest") > 0, "phases are logged")
    check_store_is_clean(cluster)


def a_coordinator_that_was_replaced_writes_nothing_more(cluster):
    cluster.up(workers=1)
    sweep = cluster.submit(noop(1000, unit_ms=30))
    wait_until(lambda: cluster.status(sweep)["n_units_done"] > 3, "it runs")
    before = cluster.redis.run("HGETALL", "interp:sweep:" + sweep)
    cluster.redis.run("SET", "interp:leader", "somebody-else")
    _, err = cluster.ctl_both("cancel", sweep, "--timeout", "3", code=None)
    check(cluster.processes["coordinator"].wait(timeout=20) == 5, "exit code: conflict")
    check(cluster.redis.run("HGETALL", "interp:sweep:" + sweep) == before, "nothing was written")
    check(cluster.redis.run("EXISTS", "interp:{%s/noop}:open" % sweep) == 1, "nor removed")
    cluster.redis.run("DEL", "interp:leader")
    restart(cluster)
    cluster.ctl("cancel", sweep)
    check_store_is_clean(cluster)


if __name__ == "__main__":
    run([a_sweep_that_cannot_be_read_is_shown_and_kept,
         a_sweep_that_cannot_be_read_can_be_cancelled,
         a_sweep_goes_on_where_it_began_or_waits,
         a_coordinator_that_was_replaced_writes_nothing_more])
