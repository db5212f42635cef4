#!/usr/bin/env python3
"""Calls that go through a batch API: collected, uploaded, followed, settled one by one at the batch
price; and every way in which that can go wrong, with the books of the endpoint against ours.

SEED=n repeats the kills."""
import os
import pathlib
import random
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from gateway_bench import body_of, check, run
from gateway_books import check_books

SEED = int(os.environ.get("SEED", "0")) or random.randrange(1, 1 << 30)
PRICES = {"dollars_per_million_input": 3, "dollars_per_million_output": 15}
QUICK = {"name": "p", "batch": True, "batch_wait_seconds": 0.4, "batch_poll_seconds": 0.2,
         "timeout_seconds": 5, **PRICES}


def start(bench, n_calls, *server_options, faults=None, gateways=("g1",), **provider):
    """Everything up and n calls submitted: (ids, bodies)."""
    bench.start_redis(durable=True)
    bench.start_server("--batch-seconds", 0.5, *server_options, faults=faults)
    bench.write_providers({**QUICK, **provider})
    bodies = [body_of("call %d" % i) for i in range(n_calls)]
    ids = bench.submit(bodies)
    for name in gateways:
        bench.start_gateway(name)
    return ids, bodies


def nothing_is_held(bench):
    bench.wait_until(lambda: bench.redis.run("ZCARD", "interp:held:{p}") == 0, 20)
    check(bench.redis.run("ZCARD", "interp:held:{p}") == 0, "nothing is reserved")


def calls_of_a_batch_provider_go_in_batches_at_half_the_price(bench):
    ids, bodies = start(bench, 500, batch_max_calls=200)
    check(set(bench.wait_settled(ids, 30)) == {"done"}, "500 calls are done")
    nothing_is_held(bench)
    stats, ledger = bench.stats(), bench.ledger()
    check(stats["received"] == 0 and stats["batched_calls"] == 500, "none was sent by itself")
    check(stats["batches"] == 3, "in three batches of at most 200")
    microdollars = 0
    for line in bench.log():
        if line["event"] == "answered":
            microdollars += -(-(1500000 * line["tokens_in"] + 7500000 * line["tokens_out"])
                              // 1000000)
    check(ledger["spent_microdollars"] == microdollars, "at half the price, to the microdollar")
    reply = bench.redis.hash("interp:call:" + ids[0])
    check(reply["content"].startswith('{"label"') and reply["served_by"] == "p", "replies are stored")
    check_books(bench, ids, bodies)
    check(bench.uncertain() == {}, "nothing is uncertain")
    bench.submit(bodies)
    time.sleep(1)
    check(bench.stats()["batched_calls"] == 500, "asked again: answered from the store")


def a_single_call_waits_for_others_and_then_goes(bench):
    began = time.monotonic()
    ids, _ = start(bench, 1, batch_wait_seconds=1.5)
    check(bench.wait_settled(ids, 20) == ["done"], "it is done")
    check(time.monotonic() - began >= 2, "after waiting 1.5 s for others and 0.5 s for the batch")
    check(bench.stats()["batches"] == 1, "in a batch of one")


def what_a_batch_did_not_run_is_sent_again(bench):
    ids, bodies = start(bench, 90, batch_max_calls=30, faults=[
        {"batch": 0, "do": "expire"}, {"batch": 1, "do": "refuse"}, {"batch": 2, "do": "garble"}])
    check(set(bench.wait_settled(ids, 40)) == {"done"}, "all done")
    nothing_is_held(bench)
    log = bench.log()
    n_not_run = sum(line["event"] == "answered" and line["status"] != 200 for line in log)
    check(n_not_run == 25, "15 expired and 10 were refused at first")
    check(sum(line["event"] == "received" for line in log) == 90 + 25, "only those went again")
    check(bench.uncertain() == {}, "none of them is uncertain: they cost nothing")
    check("batch_lines_unread" in bench.gateway_log(), "unreadable lines are logged")
    check_books(bench, ids, bodies)


def a_refused_batch_is_tried_again_and_a_hopeless_one_given_up(bench):
    ids, bodies = start(bench, 20, faults=[{"batch": 0, "do": "fail"}])
    check(set(bench.wait_settled(ids, 40)) == {"done"}, "after a failed validation: all done")
    check(bench.stats()["refused_invalid_json_line"] == 1, "one batch was refused")
    check_books(bench, ids, bodies)


def an_answer_that_is_missing_is_uncertain(bench):
    ids, bodies = start(bench, 10, faults=[{"batch": 0, "do": "omit"}])
    check(set(bench.wait_settled(ids, 40)) == {"done"}, "all done")
    nothing_is_held(bench)
    listed = bench.uncertain()
    check(len(listed) == 1, "the one without an answer is listed")
    check("do not tell" in list(listed.values())[0]["reason"], "with the reason")
    check_books(bench, ids, bodies)


def a_batch_whose_creation_was_not_acknowledged_is_found_and_not_made_twice(bench):
    ids, bodies = start(bench, 120, batch_max_calls=20, faults=[{"batch": 1, "do": "create_close"}])
    check(set(bench.wait_settled(ids, 40)) == {"done"}, "all done")
    check(bench.stats()["batches"] == 6 and bench.stats()["batched_calls"] == 120,
          "six batches, none twice")
    check("batch_found" in bench.gateway_log(), "it was found in the list, behind its first page")
    check(bench.uncertain() == {}, "nothing is uncertain")
    check_books(bench, ids, bodies)


def one_that_was_never_made_is_uncertain_after_three_looks(bench):
    ids, bodies = start(bench, 10, faults=[{"batch": 0, "do": "create_500"}])
    bench.wait_until(lambda: len(bench.uncertain()) == 10, 20)
    check(len(bench.uncertain()) == 10, "the ten calls are listed")
    check(bench.states(ids) != ["failed"] * 10, "and wait to be sent again")
    check(bench.stats().get("create_500") >= 1, "the endpoint refused to say")


def a_batch_that_hangs_is_cancelled_and_its_calls_go_again(bench):
    ids, bodies = start(bench, 10, batch_timeout_seconds=2, faults=[{"batch": 0, "do": "hang"}])
    check(set(bench.wait_settled(ids, 40)) == {"done"}, "all done")
    check("batch_cancelled" in bench.gateway_log(), "the first batch was cancelled")
    check(bench.uncertain() == {}, "its calls were not run, by the provider's word")
    check_books(bench, ids, bodies)


def enqueued_tokens_are_kept_below_their_limit(bench):
    ids, bodies = start(bench, 300, "--batch-enqueued-tokens", 1500, batch_max_calls=50,
                        batch_enqueued_tokens=1500, gateways=("g1", "g2"))
    check(set(bench.wait_settled(ids, 90)) == {"done"}, "all done")
    stats = bench.stats()
    check(stats.get("refused_token_limit_exceeded", 0) == 0, "no batch was over the limit")
    check(750 <= stats["peak_enqueued_tokens"] <= 1500, "at most %d tokens of 1500 were enqueued" %
          stats["peak_enqueued_tokens"])
    nothing_is_held(bench)
    check(bench.redis.run("EXISTS", "interp:enqueued:{p}") == 0, "the count is back at nothing")
    check_books(bench, ids, bodies)


def without_a_batch_api_the_fallback_answers_at_once(bench):
    bench.start_redis()
    bench.start_server(faults=[{"batch": "any", "do": "create_400"}])
    bench.write_providers({**QUICK, "fallback": "q"}, {"name": "q", **PRICES})
    ids = bench.submit([body_of("call %d" % i) for i in range(40)])
    bench.start_gateway()
    check(set(bench.wait_settled(ids, 40)) == {"done"}, "all done")
    check(bench.stats()["received"] == 40, "one by one, by the fallback")
    check(bench.uncertain() == {}, "a refused batch costs nothing")
    reason = bench.redis.hash("interp:limit:{p}").get("breaker_reason", "")
    check("of a batch" in reason and "HTTP 400" in reason, "breaker: " + reason)


def an_upload_that_fails_is_repeated_and_costs_nothing(bench):
    ids, bodies = start(bench, 10, faults=[{"batch": 0, "do": "upload_500"}])
    check(set(bench.wait_settled(ids, 40)) == {"done"}, "all done")
    check(bench.uncertain() == {} and bench.stats()["uploads"] == 2, "by the second upload")
    check_books(bench, ids, bodies)


def a_drained_gateway_leaves_its_batches_to_the_journal(bench):
    ids, bodies = start(bench, 60, "--batch-seconds", 3, batch_max_calls=40)
    bench.wait_until(lambda: bench.stats().get("batches", 0) == 1, 10)
    check(bench.kill("g1", 15) == 0, "SIGTERM ends it with code 0")
    time.sleep(0.3)
    bench.start_gateway()
    check(set(bench.wait_settled(ids, 30)) == {"done"}, "the next one goes on")
    check("batch_taken_up" in bench.gateway_log(), "with the batch of the former")
    check(bench.uncertain() == {}, "nothing is uncertain")
    check_books(bench, ids, bodies)


def gateways_and_redis_killed_at_random_moments(bench):
    rng = random.Random(SEED)
    print("  SEED=%d" % SEED)
    ids, bodies = start(bench, 3000, batch_max_calls=60, batch_wait_seconds=0.2,
                        batch_enqueued_tokens=6000, gateways=("g1", "g2"))
    n_kills = 0
    while bench.states(ids[-1:]) != ["done"] and n_kills < 40:
        time.sleep(rng.uniform(0.02, 0.5))
        victim = rng.choice(["g1", "g2", "g1", "g2", "redis"])
        bench.kill(victim)
        n_kills += 1
        if victim == "redis":
            bench.start_redis(durable=True)
        else:
            bench.start_gateway(victim)
    check(set(bench.wait_settled(ids, 90)) == {"done"}, "all done after %d kills" % n_kills)
    check(n_kills >= 8, "of at least 8")
    nothing_is_held(bench)
    check(bench.redis.run("EXISTS", "interp:enqueued:{p}") == 0, "no token is left enqueued")
    check_books(bench, ids, bodies)
    print("  %d batches, %d calls uncertain" % (bench.stats()["batches"], len(bench.uncertain())))


if __name__ == "__main__":
    run([calls_of_a_batch_provider_go_in_batches_at_half_the_price,
         a_single_call_waits_for_others_and_then_goes, what_a_batch_did_not_run_is_sent_again,
         a_refused_batch_is_tried_again_and_a_hopeless_one_given_up,
         an_answer_that_is_missing_is_uncertain,
         a_batch_whose_creation_was_not_acknowledged_is_found_and_not_made_twice,
         one_that_was_never_made_is_uncertain_after_three_looks,
         a_batch_that_hangs_is_cancelled_and_its_calls_go_again,
         enqueued_tokens_are_kept_below_their_limit,
         without_a_batch_api_the_fallback_answers_at_once,
         an_upload_that_fails_is_repeated_and_costs_nothing,
         a_drained_gateway_leaves_its_batches_to_the_journal,
         gateways_and_redis_killed_at_random_moments])
