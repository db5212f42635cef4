#!/usr/bin/env python3
"""One call end to end, and every bad answer that a provider can give."""
import pathlib
import subprocess
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


# What the provider does to the first send of a call -> is that send perhaps charged?
TRANSIENT = {
    "status-500": ({"do": "status", "status": 500}, False),
    "status-503-wait": ({"do": "status", "status": 503, "retry_after": 1}, False),
    "status-408": ({"do": "status", "status": 408}, False),
    "status-429-seconds": ({"do": "status", "status": 429, "retry_after": 1}, False),
    "status-429-date": ({"do": "status", "status": 429, "retry_after": "date"}, False),
    "status-429-bare": ({"do": "status", "status": 429}, False),
    "status-529": ({"do": "status", "status": 529}, False),
    "web-page": ({"do": "html"}, False),
    "error-in-200": ({"do": "error_200"}, False),
    "half-a-body": ({"do": "half"}, True),
    "half-a-json": ({"do": "half_keep"}, True),
    "no-choices": ({"do": "no_choices"}, True),
    "empty": ({"do": "empty"}, True),
    "closed": ({"do": "close"}, True),
    "hanging": ({"do": "hang", "seconds": 30}, True),
}


def a_bad_answer_is_tried_again_and_booked_for_what_it_may_cost(bench):
    bench.start_redis()
    bench.start_server(faults=[{"when": {"match": "case " + name + " ", "first_of_hash": 1}, **rule}
                               for name, (rule, _) in TRANSIENT.items()])
    bench.write_providers({"name": "p", "timeout_seconds": 2, "dollars_per_million_input": 3,
                           "dollars_per_million_output": 15})
    bench.start_gateway()
    bodies = {name: body_of("case %s ." % name) for name in TRANSIENT}
    ids = dict(zip(bodies, bench.submit(bodies.values())))
    states = bench.wait_settled(list(ids.values()), 60)
    check(states == ["done"] * len(ids), "all %d kinds of bad answer end well" % len(ids))
    listed = {key.split("#")[0] for key in bench.uncertain()}
    for name, (_, perhaps_charged) in TRANSIENT.items():
        check((ids[name] in listed) == perhaps_charged,
              "%s: %s" % (name, "listed as uncertain" if perhaps_charged else "not charged"))
    sends = {}
    for line in bench.log():
        if line["event"] == "received":
            sends[line["hash"]] = sends.get(line["hash"], 0) + 1
    check(sorted(sends.values()) == [2] * len(ids), "each was sent exactly twice")
    ledger = bench.ledger()
    billed = [l for l in bench.log() if l["event"] == "answered" and l["status"] == 200 and
              not l["fault"]]
    check(ledger["tokens_in"] == sum(l["tokens_in"] for l in billed), "input tokens balance")
    check(ledger["tokens_out"] == sum(l["tokens_out"] for l in billed), "output tokens balance")
    check(ledger["reserved_microdollars"] == 0, "nothing stays reserved")
    check(ledger["uncertain_microdollars"] ==
          sum(u["microdollars"] for u in bench.uncertain().values()),
          "the uncertain sum is that of the list")


def hopeless_calls_fail_with_their_reason(bench):
    bench.start_redis()
    bench.start_server(faults=[
        {"when": {"match": "case always-html"}, "do": "html"},
        {"when": {"match": "case bad-request"}, "do": "status", "status": 400,
         "body": "max_tokens is too large\u0007 for \u00e9"},
        {"when": {"match": "case too-large"}, "do": "huge"}])
    bench.write_providers({"name": "p"})
    bench.start_gateway()
    names = ["always-html", "bad-request", "too-large", "good"]
    ids = dict(zip(names, bench.submit([body_of("case " + n) for n in names])))
    states = bench.wait_settled(list(ids.values()), 90)
    check(states == ["failed", "failed", "failed", "done"], "they fail, a good one does not")
    reason = {n: bench.redis.hash("interp:call:" + ids[n]).get("reason", "") for n in names}
    check("HTTP 200" in reason["always-html"] and "web page" in reason["always-html"] and
          "6 attempts" in reason["always-html"], "a web page: " + reason["always-html"])
    check("HTTP 400" in reason["bad-request"] and "max_tokens is too large" in
          reason["bad-request"], "refused: " + reason["bad-request"])
    check("larger" in reason["too-large"], "too large: " + reason["too-large"])
    check(bench.ledger()["failed"] == 3, "the ledger counts them")
    announced = bench.redis.run("XRANGE", "interp:replies", "-", "+")
    check(sum(fields[3] == "failed" for _, fields in announced) == 3, "announced as failed")
    bench.submit([body_of("case bad-request")])
    check(bench.stats()["received"] == 6 + 1 + 1 + 1, "asking again does not send again")
    bench.forget()
    check(bench.redis.run("EXISTS", *("interp:call:" + ids[n] for n in names)) == 1,
          "forgetting the sweep removes the failed calls and keeps the reply")


ABSURD_USAGE = {
    "missing": None,
    "no-object": "many",
    "negative": {"prompt_tokens": -5, "completion_tokens": -1},
    "astronomic": {"prompt_tokens": 10 ** 15, "completion_tokens": 10 ** 15},
    "fractions": {"prompt_tokens": 1.5, "completion_tokens": 2.5},
    "nothing": {"prompt_tokens": 0, "completion_tokens": 0},
}


def absurd_usage_is_estimated_and_marked(bench):
    bench.start_redis()
    bench.start_server(faults=[{"when": {"match": "case " + name}, "do": "usage", "usage": usage}
                               for name, usage in ABSURD_USAGE.items()])
    bench.write_providers({"name": "p", "dollars_per_million_input": 3})
    bench.start_gateway()
    ids = dict(zip(ABSURD_USAGE, bench.submit([body_of("case " + n) for n in ABSURD_USAGE])))
    check(set(bench.wait_settled(list(ids.values()), 10)) == {"done"}, "the replies are kept")
    for name, id in ids.items():
        reply = bench.redis.hash("interp:call:" + id)
        n_in, n_out = int(reply["tokens_in"]), int(reply["tokens_out"])
        check(reply["is_estimated"] == "1" and 0 < n_in < 200 and 0 < n_out <= 64,
              "%s: estimated as %d + %d tokens" % (name, n_in, n_out))
    check(bench.ledger()["estimated_calls"] == len(ids), "the ledger counts estimates")


def a_wrong_key_opens_the_breaker_and_a_restart_with_the_right_one_goes_on(bench):
    bench.start_redis()
    bench.start_server("--key", "right-key-123456")
    bench.write_providers({"name": "p", "api_key_env": "TEST_LLM_KEY", "max_in_flight": 8})
    bench.start_gateway(env={"TEST_LLM_KEY": "wrong-key-654321"})
    ids = bench.submit([body_of("call %d" % i) for i in range(50)])
    limit = bench.wait_until(lambda: bench.redis.hash("interp:limit:{p}").get("breaker_reason"), 10)
    check("HTTP 401" in limit and "check the API key" in limit, "breaker: " + limit)
    bench.wait_until(lambda: bench.redis.run("ZCARD", "interp:held:{p}") == 0, 5)
    check(bench.stats()["status_401"] <= 8, "no more than the calls in flight were refused")
    check("failed" not in bench.states(ids), "no call failed: they wait")
    bench.kill("g1", 15)
    bench.start_gateway(env={"TEST_LLM_KEY": "right-key-123456"})
    check(set(bench.wait_settled(ids, 20)) == {"done"}, "all done with the right key")
    check("wrong-key" not in bench.gateway_log() and "right-key" not in bench.gateway_log(),
          "no key in the log")
    bench.kill("g1", 15)
    process = bench.start_gateway("g2")
    check(process.wait(10) == 2, "without the variable it says so and exits with 2")
    check("TEST_LLM_KEY is not set" in bench.gateway_log("g2"), "naming the variable")


def redirects_and_forbidden_paths_are_not_followed(bench):
    for rule, words in (({"do": "redirect"}, "redirects are not followed"),
                        ({"do": "status", "status": 404}, "check base_url and model"),
                        ({"do": "status", "status": 403, "body": "no"}, "may not use")):
        name = "s%d" % len(bench.processes)
        if not bench.redis:
            bench.start_redis()
        bench.start_server(name=name, faults=[{"when": {"to": 1}, **rule}])
        bench.write_providers({"name": name})
        bench.start_gateway("g-" + name)
        ids = bench.submit([body_of("call")], provider=name)
        reason = bench.wait_until(
            lambda: bench.redis.hash("interp:limit:{%s}" % name).get("breaker_reason"), 10)
        check(words in reason, reason)
        check(bench.states(ids) == ["waiting"], "the call waits")
        bench.kill("g-" + name, 15)


def an_unreachable_provider_costs_nothing(bench):
    bench.start_redis()
    port = bench.start_server()
    bench.kill("server")
    bench.write_providers({"name": "p", "dollars_per_million_input": 3})
    bench.start_gateway()
    ids = bench.submit([body_of("call %d" % i) for i in range(30)])
    reason = bench.wait_until(
        lambda: bench.redis.hash("interp:limit:{p}").get("breaker_reason"), 20)
    check("not reachable" in reason, reason)
    bench.start_server(port=port)
    check(set(bench.wait_settled(ids, 30)) == {"done"}, "all done once it is up")
    check(bench.uncertain() == {}, "nothing is uncertain: nothing was sent")
    check(bench.stats()["received"] == 30, "each was sent once")


def certificates_are_verified(bench):
    cert, key = bench.path / "cert.pem", bench.path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-out", cert, "-keyout", key], check=True, stderr=subprocess.DEVNULL)
    bench.start_redis()
    bench.start_server("--tls", cert, key)
    bench.write_providers({"name": "p", "base_url": "https://127.0.0.1:%d/v1" % bench.port})
    bench.start_gateway()
    ids = bench.submit([body_of("call")])
    reason = bench.wait_until(
        lambda: bench.redis.hash("interp:limit:{p}").get("breaker_reason"), 10)
    check("check base_url and the certificate" in reason, reason)
    check(bench.states(ids) == ["waiting"] and bench.uncertain() == {}, "nothing was sent")
    bench.kill("g1", 15)
    bench.write_providers({"name": "p", "base_url": "https://127.0.0.1:%d/v1" % bench.port,
                           "ca_file": cert})
    bench.start_gateway()
    check(bench.wait_settled(ids, 10) == ["done"], "with the certificate known it is")


def a_failing_provider_has_a_fallback(bench):
    bench.start_redis()
    bench.start_server(faults=[{"when": {}, "do": "status", "status": 500}])
    bad = bench.port
    good = bench.start_server(name="server2")
    bench.write_providers({"name": "p", "base_url": "http://127.0.0.1:%d/v1" % bad,
                           "fallback": "q"},
                          {"name": "q", "model": "other-model"})
    bench.start_gateway()
    ids = bench.submit([body_of("call %d" % i) for i in range(40)])
    check(set(bench.wait_settled(ids, 60)) == {"done"}, "all done")
    replies = [bench.redis.hash("interp:call:" + i) for i in ids]
    check({r["served_by"] for r in replies} == {"q"}, "served by the fallback, and recorded so")
    check({r["model"] for r in replies} == {"other-model"}, "with its own model")
    check(bench.stats(good)["received"] == 40, "each once")


if __name__ == "__main__":
    run([one_call_is_sent_once_and_answered_from_the_store,
         a_bad_answer_is_tried_again_and_booked_for_what_it_may_cost,
         hopeless_calls_fail_with_their_reason,
         absurd_usage_is_estimated_and_marked,
         a_wrong_key_opens_the_breaker_and_a_restart_with_the_right_one_goes_on,
         redirects_and_forbidden_paths_are_not_followed,
         an_unreachable_provider_costs_nothing, certificates_are_verified,
         a_failing_provider_has_a_fallback])
