#!/usr/bin/env python3
"""Keeps a transcript: passes requests on to an OpenAI-compatible server and writes down what was
asked and answered, one JSON object a line: {"request", "status", "seconds", "reply"}, where `reply`
has the content and finish reason of every choice and the usage. Loopback only; standard library
only.

    recording_proxy.py UPSTREAM_BASE_URL TRANSCRIPT.jsonl     prints its own base URL
"""
import http.server
import json
import sys
import threading
import time
import urllib.error
import urllib.request

upstream, path = sys.argv[1], sys.argv[2]
lock = threading.Lock()


class Proxy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        request = urllib.request.Request(upstream + self.path.removeprefix("/v1"), data=body,
                                         headers={"Content-Type": "application/json"})
        began = time.monotonic()
        try:
            with urllib.request.urlopen(request, timeout=600) as answer:
                status, reply = answer.status, answer.read()
        except urllib.error.HTTPError as problem:
            status, reply = problem.code, problem.read()
        self.keep(json.loads(body), status, json.loads(reply), time.monotonic() - began)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def keep(self, request, status, answer, seconds):
        choices = [{"content": choice["message"]["content"],
                    "finish_reason": choice["finish_reason"]}
                   for choice in answer.get("choices", [])]
        line = {"request": request, "status": status, "seconds": round(seconds, 2),
                "reply": {"choices": choices, "usage": answer.get("usage")}}
        with lock, open(path, "a", encoding="utf-8") as out:
            out.write(json.dumps(line, ensure_ascii=False) + "\n")

    def log_message(self, *arguments):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
print("http://127.0.0.1:%d/v1" % server.server_port, flush=True)
server.serve_forever()
