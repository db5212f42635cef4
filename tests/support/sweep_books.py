"""What a sweep paid for: the endpoint's log (--log-bodies) against Redis, `interpctl status` and
`interpctl cost`. Calls go to the two providers of Cluster.write_providers()."""
import collections
import contextlib
import json
import re
import signal

from cluster import check, wait_until
from gateway_bench import call_id

PROVIDERS = {"explainer-1": "stand-in", "judge-1": "stand-in-judge"}


def sends_of(cluster):
    """[(line number, call id)] of every request that reached the endpoint."""
    sends = []
    for number, line in enumerate(cluster.llm_log()):
        if line["event"] == "received":
            body = json.loads(line["body"])
            sends.append((number, call_id(PROVIDERS[body["model"]], body)))
    return sends


def stored_now(cluster):
    """Ids of the calls whose reply is stored."""
    redis = cluster.redis
    keys = redis.run("KEYS", "interp:call:*")
    for key in keys:
        redis.send("HGET", key, "state")
    return {key.split(":")[-1] for key in keys if redis.read() == "done"}


def in_flight_now(cluster):
    names = set()
    for provider in PROVIDERS.values():
        names |= {key.split("#")[0]
                  for key in cluster.redis.run("HKEYS", "interp:reservation:{%s}" % provider)}
    return names


@contextlib.contextmanager
def gateways_stopped(cluster):
    """While the gateways stand still (SIGSTOP): (lines in the endpoint's log, ids stored, ids in
    flight). Those that live go on behind it."""
    names = [name for name in cluster.processes if re.fullmatch(r"g\d+", name)]
    for name in names:
        cluster.send_signal(name, signal.SIGSTOP)
    n_lines = sum(line.startswith("{") for line in cluster.log("llm").splitlines())
    yield n_lines, stored_now(cluster), in_flight_now(cluster)
    for name in names:
        if cluster.is_running(name):
            cluster.send_signal(name, signal.SIGCONT)


def uncertain_of(cluster):
    return {key: json.loads(value)
            for key, value in cluster.redis.hash("interp:uncertain").items()}


def check_books(cluster, sweep, kills=()):
    """`kills`: what gateways_stopped() told at each."""
    wait_until(lambda: all(cluster.redis.run("ZCARD", "interp:held:{%s}" % name) == 0
                           for name in PROVIDERS.values()), "nothing is in flight", 40)
    sends = sends_of(cluster)
    n_sends = collections.Counter(name for _, name in sends)
    listed, late, still_open = (collections.Counter() for _ in range(3))
    for key, entry in uncertain_of(cluster).items():
        name = key.split("#")[0]
        listed[name] += 1
        (still_open if entry["state"] == "open" else late)[name] += 1
        check(entry["sweep"] == sweep, "listed with its sweep")
    for n_lines, stored, _ in kills:
        again = stored & {name for number, name in sends if number >= n_lines}
        check(not again, "%d stored calls were sent again" % len(again))
    in_flight = set().union(*(names for _, _, names in kills)) if kills else set()
    twice = {name for name, n in n_sends.items() if n > 1}
    check(twice <= in_flight, "%d sent twice were not in flight at a kill" %
          len(twice - in_flight))
    check(all(n_sends[name] - 1 <= listed[name] for name in twice), "each is listed as uncertain")
    check_money(cluster, sweep, n_sends, late, still_open)
    return len(twice)


def check_money(cluster, sweep, n_sends, late, still_open):
    billed, tokens = collections.Counter(), {}
    call_of = {line["hash"]: call_id(PROVIDERS[json.loads(line["body"])["model"]],
                                     json.loads(line["body"]))
               for line in cluster.llm_log() if line["event"] == "received"}
    for line in cluster.llm_log():
        if line["event"] == "answered" and line["status"] == 200:
            billed[call_of[line["hash"]]] += 1
            tokens[call_of[line["hash"]]] = (line["tokens_in"], line["tokens_out"])
    status = cluster.status(sweep)
    check(status["calls"]["uncertain"] == sum(still_open.values()), "status shows the uncertain")
    check(status["calls"]["done"] == len(n_sends) + sum(late.values()), "every call is counted")
    check(status["spend"]["reserved_dollars"] == 0, "nothing stays reserved")
    entries = [entry for entry in uncertain_of(cluster).values() if entry["state"] == "open"]
    for i, name in enumerate(("tokens_in", "tokens_out")):
        booked = sum(tokens[call][i] * (1 + late[call]) for call in n_sends)
        check(status["spend"][name] == booked, "%s booked: %d, billed for the stored replies: %d" %
              (name, status["spend"][name], booked))
        extra = sum(tokens[call][i] * n for call, n in billed.items()) - booked
        worst = sum(entry[name] for entry in entries)
        check(0 <= extra <= worst, "%s billed beyond that: %d, uncertain: %d" % (name, extra, worst))
    worst = sum(entry["microdollars"] for entry in entries)
    check(abs(status["spend"]["uncertain_dollars"] * 1e6 - worst) < 1, "worst case is booked")
    check_cost(cluster, sweep, status)


def check_cost(cluster, sweep, status):
    """`interpctl cost`: the providers' books add up to the sweep's, and the uncertain are listed."""
    cost = cluster.json("cost", sweep)
    check({one["provider"] for one in cost["providers"]} == set(PROVIDERS.values()), "both were paid")
    for name, whole in (("calls", status["calls"]["done"]), ("dollars", status["spend"]["dollars"]),
                        ("tokens_in", status["spend"]["tokens_in"]),
                        ("tokens_out", status["spend"]["tokens_out"])):
        check(abs(sum(one[name] for one in cost["providers"]) - whole) < 1e-9, "%s add up" % name)
        check(abs(cost["together"][name] - whole) < 1e-9, "%s together" % name)
    check(len(cost["uncertain"]) == len(uncertain_of(cluster)), "every uncertain call is listed")
    check(cost["budget_dollars"] > 0, "with the budget")
    text = cluster.ctl("cost", sweep)
    check("stand-in-judge" in text and "$%.2f" % cost["budget_dollars"] in text,
          "and for people: %s" % text)
