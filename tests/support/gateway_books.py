"""The endpoint's log against Redis: who was sent what, how often, and whether the books balance."""
import collections
import hashlib

from gateway_bench import canonical, check


def hash_of(body):
    return hashlib.sha256(canonical(body).encode()).hexdigest()


def check_books(bench, ids, bodies):
    """The endpoint's log against Redis."""
    call_of = {hash_of(body): name for name, body in zip(ids, bodies)}
    sends, billed = collections.Counter(), collections.Counter()
    tokens = {}
    for line in bench.log():
        name = call_of[line["hash"]]
        if line["event"] == "received":
            sends[name] += 1
        elif line["fault"] in ("expired", "refused"):
            sends[name] -= 1  # a line of a batch that, by the provider's word, was not run
        elif line["status"] == 200:
            billed[name] += 1
            tokens[name] = (line["tokens_in"], line["tokens_out"])
    listed, open_sends, late = collections.Counter(), collections.Counter(), collections.Counter()
    for key, record in bench.uncertain().items():
        name = key.split("#")[0]
        listed[name] += 1
        (open_sends if record["state"] == "open" else late)[name] += 1
    twice = {name: n for name, n in sends.items() if n > 1}
    check(set(sends) == set(ids), "all %d calls reached the endpoint" % len(ids))
    check(all(listed[name] >= n - 1 for name, n in twice.items()),
          "%d calls were sent more than once, each such send is listed as uncertain" % len(twice))
    check(all(n - 1 - listed[name] <= 0 for name, n in billed.items()),
          "no call was billed twice without being listed")
    ledger = bench.ledger()
    for i, field in ((0, "tokens_in"), (1, "tokens_out")):
        booked = sum(tokens[name][i] * (1 + late[name]) for name in ids)
        check(ledger[field] == booked, "%s booked: %d, as billed for the stored replies" %
              (field, ledger[field]))
        extra = sum(tokens[name][i] * n for name, n in billed.items()) - booked
        worst = sum(r["tokens_in" if i == 0 else "tokens_out"]
                    for r in bench.uncertain().values() if r["state"] == "open")
        check(0 <= extra <= worst, "billed beyond that: %d, at most the %d of the uncertain" %
              (extra, worst))
    check(ledger["reserved_microdollars"] == 0, "nothing stays reserved")
    check(ledger["calls"] == len(ids) + sum(late.values()), "every paid call is counted once")
    check(ledger.get("uncertain_calls", 0) == sum(open_sends.values()), "uncertain calls counted")
    check(ledger.get("uncertain_microdollars", 0) ==
          sum(r["microdollars"] for r in bench.uncertain().values() if r["state"] == "open"),
          "uncertain dollars are those of the list")
    return twice
