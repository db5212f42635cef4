#!/usr/bin/env python3
"""One call end to end, and every bad answer that a provider can give."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from gateway_bench import body_of, check, run


def one_call_is_sent_once_and_answered_from_the_store(bench):
    bench.start_redis()
    bench.start_server()
    bench.write_providers({"name": "p", "dollars_per_million_input": 3,
                           "dollars_per_million_output": 15})
    bench.start_gateway()
    body = body_of("what fires here?")
    ids = bench.submit([body])
    check(bench.wait_settled(ids, 10) == ["done"], "the call is done")
    reply = bench.redis.hash("interp:call:" + ids[0])
    check(reply["content"].startswith('{"label"'), "its content is stored")
    check("body" not in reply, "its body is not kept")
    bench.submit([body], sweep="another")
    check(bench.ledger("another") == {"cached": 1}, "another sweep gets it for nothing")
    stats, ledger = bench.stats(), bench.ledger()
    check(stats["received"] == 1, "the endpoint saw one request")
    check((ledger["tokens_in"], ledger["tokens_out"]) == (stats["tokens_in"], stats["tokens_out"]),
          "tokens booked as billed")
    cost = -(-(3000000 * stats["tokens_in"] + 15000000 * stats["tokens_out"]) // 1000000)
    check(ledger["spent_microdollars"] == cost, "dollars follow from tokens and prices")
    check(ledger["reserved_microdollars"] == 0, "nothing stays reserved")
    check(len(bench.redis.run("XRANGE", "interp:replies", "-", "+")) == 2, "announced twice")


if __name__ == "__main__":
    run([one_call_is_sent_once_and_answered_from_the_store])
