"""The batch API of the stand-in provider (llm_server.py): files, batches, results.

    POST /v1/files          multipart with purpose=batch        GET /v1/files/ID/content
    POST /v1/batches        {"input_file_id", "metadata", ...}  GET /v1/batches[/ID][?limit, after]
    POST /v1/batches/ID/cancel

A batch is done after --batch-seconds. Its lines are logged like requests: "received" when the batch
is created, "answered" when it is done, with the tokens that are billed (nothing for a line that was
not run) and the batch's number as "batch". --batch-enqueued-tokens refuses a batch whose input
tokens do not fit beside those of the unfinished ones, as providers do.

Faults are rules of the same list, with "batch": the number of the batch or of the upload from 0, or
"any":  {"batch": 0, "do": "upload_500" | "create_400" | "create_500" | "create_close" (made, and the
connection is cut) | "fail" (validation) | "expire" (half of it is not run) | "hang" (until it is
cancelled) | "omit" (a result is missing) | "refuse" (every third line gets HTTP 500) | "garble"}
"""
import hashlib
import json
import time


class Batches:
    def __init__(self, server, seconds, enqueued_tokens):
        self.server, self.seconds, self.enqueued_tokens = server, seconds, enqueued_tokens
        self.files, self.batches = {}, {}
        self.n_uploads = 0

    def fault(self, number):
        for rule in self.server.faults.rules:
            if rule.get("batch") in (number, "any"):
                return rule["do"]
        return None

    async def handle(self, writer, method, path, body):
        """True or False as one_request() does; None if the path is none of ours."""
        path, _, query = path.partition("?")
        if "/files" not in path and "/batches" not in path:
            return None
        self.advance()
        parts = path.split("/v1/", 1)[-1].split("/")
        if method == "POST" and parts == ["files"]:
            return await self.upload(writer, body)
        if method == "GET" and parts[0] == "files" and parts[-1] == "content":
            return await self.server.write(writer, 200, self.files[parts[1]])
        if method == "POST" and parts == ["batches"]:
            return await self.create(writer, json.loads(body))
        if method == "GET" and parts == ["batches"]:
            return await self.say(writer, self.page(query))
        batch = self.batches.get(parts[1])
        if not batch:
            return await self.server.write(writer, 404, b'{"error": {"message": "no such batch"}}')
        if parts[-1] == "cancel":
            batch["due"], batch["ends"] = time.monotonic(), "cancelled"
            self.advance()
        return await self.say(writer, self.shown(batch))

    async def say(self, writer, value):
        return await self.server.write(writer, 200, json.dumps(value).encode())

    # ---- files --------------------------------------------------------------------------
    async def upload(self, writer, body):
        number, self.n_uploads = self.n_uploads, self.n_uploads + 1
        self.server.stats["uploads"] += 1
        if self.fault(number) == "upload_500":
            return await self.server.write(writer, 500, b'{"error": {"message": "no disk"}}')
        boundary = body.split(b"\r\n", 1)[0]
        parts = body.split(boundary)
        file = next(part for part in parts if b'name="file"' in part)
        assert any(b'name="purpose"\r\n\r\nbatch' in part for part in parts), "no purpose"
        name = "file-%d" % len(self.files)
        self.files[name] = file.split(b"\r\n\r\n", 1)[1].rstrip(b"\r\n") + b"\n"
        return await self.say(writer, {"id": name, "object": "file", "purpose": "batch"})

    def add_file(self, lines):
        name = "file-%d" % len(self.files)
        self.files[name] = "".join(json.dumps(line) + "\n" for line in lines).encode()
        return name

    # ---- batches ------------------------------------------------------------------------
    def enqueued(self):
        return sum(batch["n_in"] for batch in self.batches.values() if batch["status"] ==
                   "in_progress")

    async def create(self, writer, request):
        number = len(self.batches)
        fault = self.fault(number)
        if fault in ("create_400", "create_500"):
            self.server.stats[fault] += 1
            return await self.server.write(writer, int(fault[-3:]),
                                           b'{"error": {"message": "not like this"}}')
        lines = [json.loads(line) for line in self.files[request["input_file_id"]].splitlines()]
        assert len({line["custom_id"] for line in lines}) == len(lines), "a custom_id twice"
        batch = {"id": "batch_%d" % number, "number": number, "status": "in_progress",
                 "ends": "completed", "due": time.monotonic() + self.seconds,
                 "metadata": request.get("metadata"), "lines": lines, "fault": fault,
                 "n_in": sum(self.server.prompt_tokens(line["body"]) for line in lines)}
        if fault == "hang":
            batch["due"] = float("inf")
        if fault == "fail" or (self.enqueued_tokens and
                               self.enqueued() + batch["n_in"] > self.enqueued_tokens):
            self.refuse(batch, fault)
        else:
            self.server.stats["batches"] += 1
            self.server.stats["batched_calls"] += len(lines)
            for line in lines:
                self.note(batch, "received", line)
            self.server.stats["peak_enqueued_tokens"] = max(
                self.server.stats["peak_enqueued_tokens"], self.enqueued() + batch["n_in"])
        self.batches[batch["id"]] = batch
        if fault == "create_close":
            return False
        return await self.say(writer, self.shown(batch))

    def refuse(self, batch, fault):
        code = "invalid_json_line" if fault == "fail" else "token_limit_exceeded"
        self.server.stats["refused_" + code] += 1
        batch.update(status="failed", problem={"data": [{"code": code, "message": "refused: " + code}]})

    def note(self, batch, event, line, **more):
        text = json.dumps(line["body"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        self.server.note(event=event, n=-1, t=time.time(), batch=batch["number"],
                         hash=hashlib.sha256(text.encode()).hexdigest(), **more)

    def advance(self):
        for batch in self.batches.values():
            if batch["status"] == "in_progress" and time.monotonic() >= batch["due"]:
                self.finish(batch)

    def finish(self, batch):
        """Answer the lines that this batch gets to, and write its result files."""
        output, errors = [], []
        fault = batch["fault"]
        for i, line in enumerate(batch["lines"]):
            if batch["ends"] == "cancelled" or (fault == "expire" and i % 2):
                errors.append({"custom_id": line["custom_id"], "response": None, "error": {
                    "code": "batch_expired", "message": "This request could not be executed."}})
                self.note(batch, "answered", line, status=0, tokens_in=0, tokens_out=0,
                          fault="expired")
            elif fault == "refuse" and i % 3 == 0:
                errors.append({"custom_id": line["custom_id"], "error": None, "response": {
                    "status_code": 500, "body": {"error": {"message": "overloaded"}}}})
                self.note(batch, "answered", line, status=500, tokens_in=0, tokens_out=0,
                          fault="refused")
            else:
                text, n_in, n_out = self.server.envelope(line["body"], {})
                self.note(batch, "answered", line, status=200, tokens_in=n_in, tokens_out=n_out,
                          fault=None)
                self.server.stats["tokens_in"] += n_in
                self.server.stats["tokens_out"] += n_out
                if fault == "omit" and i == 0:
                    continue
                output.append({"id": "r%d" % i, "custom_id": line["custom_id"], "error": None,
                               "response": {"status_code": 200, "body": json.loads(text)}})
        batch["status"] = "expired" if fault == "expire" else batch["ends"]
        batch["output"] = self.add_file(reversed(output)) if output else None
        batch["errors"] = self.add_file(errors) if errors else None
        if fault == "garble":
            self.files[batch["output"]] = b"{half\n[]\n" + self.files[batch["output"]]
        batch["counts"] = {"total": len(batch["lines"]), "completed": len(output),
                           "failed": len(errors)}

    def shown(self, batch):
        return {"id": batch["id"], "object": "batch", "endpoint": "/v1/chat/completions",
                "status": batch["status"], "metadata": batch["metadata"],
                "output_file_id": batch.get("output"), "error_file_id": batch.get("errors"),
                "errors": batch.get("problem"), "request_counts": batch.get("counts")}

    def page(self, query):
        """Newest first; two a page, so that readers have to turn it."""
        names = list(reversed(self.batches))
        after = dict(part.split("=") for part in query.split("&") if part).get("after")
        names = names[names.index(after) + 1:] if after else names
        return {"object": "list", "data": [self.shown(self.batches[name]) for name in names[:2]],
                "has_more": len(names) > 2}
