#!/usr/bin/env python3
"""A stand-in for an OpenAI-compatible provider, for tests. Standard library only.

It speaks HTTP/1.1 on loopback, answers POST .../chat/completions deterministically, enforces rate
limits the way providers do, misbehaves on request, and writes down everything that reached it.

    llm_server.py [--port 0] [--log FILE] [--faults FILE.json] [--responder FILE.py]
                  [--latency SECONDS] [--rpm N --itpm N --otpm N --tpm N] [--burst-seconds S]
                  [--window bucket|sliding] [--no-refund] [--failures-free] [--key KEY]
                  [--slots N] [--tls CERT.pem KEY.pem] [--count-actual] [--log-bodies]
                  [--batch-seconds S] [--batch-enqueued-tokens N]     (llm_batches.py)

The first line on stdout is the port. GET /stats tells counters as JSON.

Tokens: prompt = ceil(bytes of all message contents / 4) + 8 per message; completion =
ceil(bytes of the content / 4), at most max_tokens. At admission a request costs its prompt tokens
and max_tokens of output; with refunds the unused output comes back when the answer is done. A
request over a limit gets 429 (with --count-actual output counts when it is done, and a request is over the
limit when the output limit is used up) and counts as a violation.

--slots N answers N requests at once and lets the others wait, as a self-hosted model does.

Content: --responder names a Python file with `reply(body) -> str | {"content", "logprobs",
"finish_reason"}`; without one it is a JSON object that depends on the body alone.

Log: one JSON object a line. {"event": "received", "n", "t", "hash"} when a request was read,
{"event": "answered", "n", "t", "hash", "status", "tokens_in", "tokens_out", "fault"} before the
answer is written: these tokens are what this provider would bill. `hash` is the SHA-256 of the
body, so that a test can count how often a call was sent; --log-bodies adds the body itself as "body".

Faults: a JSON list of rules; the first that matches a request is applied.
    {"when": {"from": 0, "to": 5, "every": 7, "match": "regex on the body", "first_of_hash": 2,
              "after_seconds": 3, "before_seconds": 6},
     "do": "status" | "html" | "half" | "half_keep" | "close" | "hang" | "slow" | "usage" |
           "prose" | "error_200" | "no_choices" | "empty" | "redirect" | "huge",
     "status": 429, "retry_after": 2 | "date" | text, "headers": {...}, "seconds": 1.5,
     "usage": anything, "body": text}
`from`, `to` count requests from 0; `first_of_hash: k` matches the first k sends of each body.
"""
import argparse
import asyncio
import collections
import email.utils
import hashlib
import importlib.util
import json
import math
import re
import ssl
import sys
import time

from llm_batches import Batches


def tokens_of(text):
    return math.ceil(len(text.encode("utf-8", "surrogatepass")) / 4)


def prompt_tokens(body):
    total = 0
    for message in body.get("messages", []):
        content = message.get("content") or ""
        total += tokens_of(content if isinstance(content, str) else json.dumps(content)) + 8
    return total


class Bucket:
    """A level that refills continuously, never above `burst_seconds` of its rate."""

    def __init__(self, per_minute, burst_seconds):
        self.rate = per_minute / 60
        self.depth = max(self.rate * burst_seconds, 1)
        self.level = self.depth
        self.at = time.monotonic()

    def refill(self):
        now = time.monotonic()
        self.level = min(self.depth, self.level + (now - self.at) * self.rate)
        self.at = now

    def room(self, n):
        self.refill()
        return self.level >= n - 1e-9

    def take(self, n):
        self.refill()
        self.level = min(self.depth, self.level - n)

    def remaining(self):
        self.refill()
        return max(0, int(self.level))

    def wait_seconds(self, n):
        return max(0.0, (n - self.level) / self.rate)


class Window:
    """What was taken in the last 60 seconds."""

    def __init__(self, per_minute, _burst_seconds):
        self.cap = per_minute
        self.taken = collections.deque()
        self.sum = 0

    def expire(self):
        horizon = time.monotonic() - 60
        while self.taken and self.taken[0][0] <= horizon:
            self.sum -= self.taken.popleft()[1]

    def room(self, n):
        self.expire()
        return self.sum + n <= self.cap

    def take(self, n):
        self.taken.append((time.monotonic(), n))
        self.sum += n

    def remaining(self):
        self.expire()
        return max(0, self.cap - self.sum)

    def wait_seconds(self, _n):
        return max(0.0, self.taken[0][0] + 60 - time.monotonic()) if self.taken else 0.0


class Limits:
    def __init__(self, args):
        kind = Bucket if args.window == "bucket" else Window
        self.dims = {}
        for name in ("rpm", "itpm", "otpm", "tpm"):
            cap = getattr(args, name)
            if cap:
                self.dims[name] = kind(cap, args.burst_seconds)
        self.caps = {name: getattr(args, name) for name in self.dims}
        self.refund = not args.no_refund
        self.failures_free = args.failures_free
        self.count_actual = args.count_actual

    @staticmethod
    def needs(n_in, n_out):
        return {"rpm": 1, "itpm": n_in, "otpm": n_out, "tpm": n_in + n_out}

    def admit(self, n_in, n_out):
        """None if admitted, else (dimension, seconds to wait)."""
        n_out = 0 if self.count_actual else n_out
        needs = self.needs(n_in, n_out)
        for name, dim in self.dims.items():
            if not dim.room(needs[name]):
                if not self.failures_free and "rpm" in self.dims:
                    self.dims["rpm"].take(1)
                return name, dim.wait_seconds(needs[name])
        for name, dim in self.dims.items():
            dim.take(needs[name])
        return None

    def done(self, n_max, n_out):
        """The answer is complete: n_out of n_max tokens were written."""
        if self.count_actual:
            unused_out = -n_out
        elif self.refund:
            unused_out = n_max - n_out
        else:
            return
        for name in ("otpm", "tpm"):
            if name in self.dims:
                self.dims[name].take(-unused_out)

    def headers(self):
        lines = {}
        for name, word in (("rpm", "requests"), ("tpm", "tokens")):
            if name in self.dims:
                lines["x-ratelimit-limit-" + word] = self.caps[name]
                lines["x-ratelimit-remaining-" + word] = self.dims[name].remaining()
                lines["x-ratelimit-reset-" + word] = "6m0s"
        return lines


class Faults:
    def __init__(self, path):
        self.rules = json.load(open(path)) if path else []
        self.started = time.monotonic()

    def pick(self, n, sends_of_hash, text):
        age = time.monotonic() - self.started
        for rule in self.rules:
            if "batch" in rule:
                continue
            when = rule.get("when", {})
            if n < when.get("from", 0) or n >= when.get("to", math.inf):
                continue
            if "every" in when and n % when["every"] != 0:
                continue
            if sends_of_hash > when.get("first_of_hash", math.inf):
                continue
            if age < when.get("after_seconds", 0) or age >= when.get("before_seconds", math.inf):
                continue
            if "match" in when and not re.search(when["match"], text):
                continue
            return rule
        return None


def default_reply(body):
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return json.dumps({"label": "label " + digest[:8], "answer": int(digest[:4], 16) % 2})


class Server:
    prompt_tokens = staticmethod(prompt_tokens)

    def __init__(self, args):
        self.args = args
        self.limits = Limits(args)
        self.faults = Faults(args.faults)
        self.log = open(args.log, "a", buffering=1) if args.log else None
        self.reply = default_reply
        if args.responder:
            spec = importlib.util.spec_from_file_location("responder", args.responder)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            self.reply = module.reply
        self.n = 0
        self.in_flight = 0
        self.slots = asyncio.Semaphore(args.slots) if args.slots else None
        self.sends = collections.Counter()
        self.stats = collections.Counter()
        self.peak_in_flight = 0
        self.first_t = self.last_t = None
        self.batches = Batches(self, args.batch_seconds, args.batch_enqueued_tokens)

    def note(self, **fields):
        if self.log:
            self.log.write(json.dumps(fields) + "\n")

    def stats_json(self):
        return json.dumps({
            **self.stats, "received": self.n, "distinct": len(self.sends),
            "sent_more_than_once": sum(1 for c in self.sends.values() if c > 1),
            "in_flight": self.in_flight, "peak_in_flight": self.peak_in_flight,
            "seconds": (self.last_t or 0) - (self.first_t or 0)}).encode()

    # ---- HTTP ---------------------------------------------------------------------------
    async def serve(self, reader, writer):
        try:
            while await self.one_request(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    async def one_request(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        lines = head.split("\r\n")
        method, path, _ = lines[0].split(" ", 2)
        headers = {k.strip().lower(): v.strip() for k, _, v in
                   (line.partition(":") for line in lines[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        if method == "GET" and path.startswith("/stats"):
            return await self.write(writer, 200, self.stats_json())
        known = method == "POST" and path.endswith("/chat/completions")
        if self.args.key and headers.get("authorization") != "Bearer " + self.args.key:
            self.stats["status_401"] += 1
            return await self.write(writer, 401, b'{"error": {"message": "bad API key", '
                                                 b'"code": "invalid_api_key"}}')
        if not known:
            done = await self.batches.handle(writer, method, path, body)
            if done is not None:
                return done
            return await self.write(writer, 404, b'{"error": {"message": "no such path"}}')
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        try:
            return await self.complete(writer, body)
        finally:
            self.in_flight -= 1

    async def write(self, writer, status, body, headers=None, cut=None, close=False):
        lines = ["HTTP/1.1 %d X" % status, "Content-Length: %d" % len(body)]
        sent = {"Content-Type": "application/json", **(headers or {})}
        lines += ["%s: %s" % item for item in sent.items()]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() +
                     (body if cut is None else body[:cut]))
        await writer.drain()
        return not close

    # ---- a completion -------------------------------------------------------------------
    async def complete(self, writer, raw):
        n, self.n = self.n, self.n + 1
        digest = hashlib.sha256(raw).hexdigest()
        self.sends[digest] += 1
        now = time.monotonic()
        self.first_t = self.first_t or now
        self.last_t = now
        more = {"body": raw.decode("utf-8", "replace")} if self.args.log_bodies else {}
        self.note(event="received", n=n, t=time.time(), hash=digest, **more)
        try:
            body = json.loads(raw)
        except ValueError:
            return await self.refuse(writer, n, digest, 400, "body is not JSON")
        n_in, n_max = prompt_tokens(body), int(body.get("max_tokens", 16))
        refused = self.limits.admit(n_in, n_max)
        if refused:
            self.stats["violations"] += 1
            self.stats["violations_" + refused[0]] += 1
            return await self.refuse(writer, n, digest, 429, "over " + refused[0],
                                     {"Retry-After": "%d" % math.ceil(refused[1])})
        rule = self.faults.pick(n, self.sends[digest], raw.decode("utf-8", "replace"))
        if rule:
            done = await self.misbehave(writer, n, digest, body, rule)
            if done is not None:
                self.limits.done(n_max, 0)
                return done
        return await self.answer(writer, n, digest, body, rule or {})

    async def refuse(self, writer, n, digest, status, message, headers=None):
        self.stats["status_%d" % status] += 1
        self.note(event="answered", n=n, t=time.time(), hash=digest, status=status, tokens_in=0,
                  tokens_out=0, fault=message)
        text = json.dumps({"error": {"message": message, "type": "test", "code": "test"}})
        return await self.write(writer, status, text.encode(),
                                {**self.limits.headers(), **(headers or {})})

    def envelope(self, body, rule):
        reply = self.reply(body)
        if isinstance(reply, str):
            reply = {"content": reply}
        if rule.get("do") == "prose":
            reply["content"] = "Sure! Here is what I think about it, at length and without JSON."
        n_max = int(body.get("max_tokens", 16))
        n_out = min(tokens_of(reply["content"]), n_max)
        choice = {"index": 0, "message": {"role": "assistant", "content": reply["content"]},
                  "finish_reason": reply.get("finish_reason", "stop")}
        if reply.get("logprobs"):
            choice["logprobs"] = reply["logprobs"]
        n_in = prompt_tokens(body)
        answer = {"id": "cmpl-%d" % self.n, "object": "chat.completion",
                  "model": body.get("model", "none"), "choices": [choice],
                  "usage": {"prompt_tokens": n_in, "completion_tokens": n_out,
                            "total_tokens": n_in + n_out}}
        if rule.get("do") == "usage":
            answer["usage"] = rule.get("usage")
        if rule.get("do") == "no_choices":
            answer["choices"] = []
        return json.dumps(answer).encode(), n_in, n_out

    async def answer(self, writer, n, digest, body, rule):
        seconds = rule.get("seconds", self.args.latency)
        if self.slots:
            async with self.slots:
                await asyncio.sleep(seconds)
        else:
            await asyncio.sleep(seconds)
        text, n_in, n_out = self.envelope(body, rule)
        self.limits.done(int(body.get("max_tokens", 16)), n_out)
        self.stats["status_200"] += 1
        self.stats["tokens_in"] += n_in
        self.stats["tokens_out"] += n_out
        self.note(event="answered", n=n, t=time.time(), hash=digest, status=200, tokens_in=n_in,
                  tokens_out=n_out, fault=rule.get("do"))
        return await self.write(writer, 200, text, self.limits.headers())

    async def misbehave(self, writer, n, digest, body, rule):
        """The faulty answer, or None if the ordinary one follows (altered by the rule)."""
        do = rule["do"]
        self.stats["fault_" + do] += 1
        if do == "status":
            headers = dict(rule.get("headers", {}))
            after = rule.get("retry_after")
            if after == "date":
                headers["Retry-After"] = email.utils.formatdate(time.time() + 2, usegmt=True)
            elif after is not None:
                headers["Retry-After"] = str(after)
            return await self.refuse(writer, n, digest, rule["status"],
                                     rule.get("body", "injected"), headers)
        if do in ("html", "error_200", "empty", "huge", "redirect"):
            text = {"html": b"<!DOCTYPE html><html><body>Captive portal</body></html>",
                    "error_200": b'{"error": {"message": "upstream is gone", "code": 502}}',
                    "empty": b"", "huge": b" " * (6 << 20), "redirect": b""}[do]
            status = 302 if do == "redirect" else 200
            self.note(event="answered", n=n, t=time.time(), hash=digest, status=status,
                      tokens_in=0, tokens_out=0, fault=do)
            return await self.write(writer, status, text, {"Content-Type": "text/html",
                                                           "Location": "/elsewhere"})
        if do in ("close", "hang"):
            self.note(event="answered", n=n, t=time.time(), hash=digest, status=0, tokens_in=0,
                      tokens_out=0, fault=do)
            if do == "hang":
                await asyncio.sleep(rule.get("seconds", 3600))
            return False
        if do in ("half", "half_keep"):
            text, n_in, n_out = self.envelope(body, rule)
            self.note(event="answered", n=n, t=time.time(), hash=digest, status=200,
                      tokens_in=n_in, tokens_out=n_out, fault=do)
            if do == "half_keep":  # a whole HTTP answer that holds half a JSON text
                return await self.write(writer, 200, text[:len(text) // 2])
            return await self.write(writer, 200, text, cut=len(text) // 2, close=True)
        return None


async def main(args):
    server = Server(args)
    tls = None
    if args.tls:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*args.tls)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", args.port, limit=8 << 20,
                                          backlog=1024, ssl=tls)
    print(listener.sockets[0].getsockname()[1], flush=True)
    async with listener:
        await listener.serve_forever()


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log")
    parser.add_argument("--faults")
    parser.add_argument("--responder")
    parser.add_argument("--latency", type=float, default=0.0)
    for name in ("rpm", "itpm", "otpm", "tpm"):
        parser.add_argument("--" + name, type=int, default=0)
    parser.add_argument("--burst-seconds", type=float, default=10.0)
    parser.add_argument("--window", choices=("bucket", "sliding"), default="bucket")
    parser.add_argument("--no-refund", action="store_true")
    parser.add_argument("--failures-free", action="store_true")
    parser.add_argument("--count-actual", action="store_true")
    parser.add_argument("--key")
    parser.add_argument("--slots", type=int, default=0)
    parser.add_argument("--tls", nargs=2)
    parser.add_argument("--log-bodies", action="store_true")
    parser.add_argument("--batch-seconds", type=float, default=1.0)
    parser.add_argument("--batch-enqueued-tokens", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    try:
        asyncio.run(main(parse()))
    except KeyboardInterrupt:
        sys.exit(0)
