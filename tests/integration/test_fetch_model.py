#!/usr/bin/env python3
"""scripts/fetch-model against a small hub on loopback: resume, checksums, exit codes.

The hub answers as the real one does (revision, tree with checksums, resolve with a redirect to
another host for large files, Range) and can be told to break connections or to send wrong bytes.
No network beyond loopback; the standard library only.
"""

import hashlib
import http.server
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
WEIGHTS = bytes(i * 7 % 251 for i in range(300_000))
REPOSITORY = {
    "config.json": b'{"model_type": "llama"}',
    "tokenizer.json": b'{"model": {}}',
    "README.md": b"not fetched",
    "pytorch_model.bin": b"not fetched",
    "model.safetensors.index.json": json.dumps(
        {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}).encode(),
    "model-1.safetensors": WEIGHTS,
    "model-2.safetensors": WEIGHTS[::-1],
    "blocks.6.hook_resid_pre/cfg.json": b'{"d_in": 768, "d_sae": 4, "hook_point": "x"}',
    "blocks.6.hook_resid_pre/sae_weights.safetensors": WEIGHTS[:1000],
    "blocks.6.hook_resid_pre/sparsity.safetensors": WEIGHTS[:100],
}


def entry_of(path, content):
    entry = {"type": "file", "path": path, "size": len(content),
             "oid": hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()}
    if path.endswith(".safetensors"):
        entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content)}
    return entry


class Hub(http.server.BaseHTTPRequestHandler):
    """State on the server object: `requests`, `n_breaks`, `wrong` (paths with wrong bytes)."""

    def do_GET(self):
        self.server.requests.append((self.path, dict(self.headers)))
        path = self.path.split("?")[0]
        for pattern, answer in (
                (r"/api/models/(\w+/[\w.-]+)/revision/main", self.send_revision),
                (rf"/api/models/\w+/[\w.-]+/tree/{COMMIT}(/.*)?", self.send_tree),
                (rf"/\w+/[\w.-]+/resolve/{COMMIT}/(.+)", self.send_file),
                (r"/storage/(.+)", self.send_stored)):
            match = re.fullmatch(pattern, path)
            if match:
                return answer(match.group(1))
        return self.send_error(404)

    def send_revision(self, repository):
        if repository.endswith("gone"):
            return self.send_error(404)
        if repository.endswith("gated"):
            return self.send_error(401)
        return self.send_json({"sha": COMMIT})

    def send_tree(self, folder):
        prefix = folder[1:] + "/" if folder else ""
        self.send_json([entry_of(path, content) for path, content in REPOSITORY.items()
                        if path.startswith(prefix) and "/" not in path[len(prefix):]])

    def send_file(self, path):
        if not path.endswith(".safetensors"):
            return self.send_bytes(REPOSITORY[path], path)
        self.send_response(302)
        self.send_header("Location", f"http://localhost:{self.server.server_port}/storage/{path}")
        self.send_header("Content-Length", "0")
        return self.end_headers()

    def send_stored(self, path):
        self.send_bytes(REPOSITORY[path], path)

    def send_json(self, document):
        self.send_bytes(json.dumps(document).encode(), "")

    def send_bytes(self, content, path):
        first = int(self.headers.get("Range", "bytes=0-")[6:-1])
        if path in self.server.wrong:
            content = bytes(len(content))
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(content) - first))
        self.end_headers()
        if path.endswith(".safetensors") and self.server.n_breaks > 0:
            self.server.n_breaks -= 1
            content = content[:first + (len(content) - first) // 3]
        self.wfile.write(content[first:])
        self.close_connection = True

    def log_message(self, *_):
        pass


class FetchModel(unittest.TestCase):
    def setUp(self):
        self.hub = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
        self.hub.requests, self.hub.n_breaks, self.hub.wrong = [], 0, set()
        threading.Thread(target=self.hub.serve_forever, daemon=True).start()
        self.addCleanup(self.hub.server_close)
        self.addCleanup(self.hub.shutdown)
        self.temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self.temporary.cleanup)
        self.out = Path(self.temporary.name) / "out"

    def fetch(self, name, endpoint=None, **environment):
        endpoint = endpoint or f"http://127.0.0.1:{self.hub.server_port}"
        return subprocess.run(
            [sys.executable, ROOT / "scripts/fetch-model", name, "--out", self.out],
            env={**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": self.temporary.name,
                 "HF_TOKEN": "", **environment},
            capture_output=True, text=True, timeout=60, check=False)

    def stored_requests(self):
        return [(path, headers) for path, headers in self.hub.requests if "/storage/" in path]

    def assert_fails(self, done, exit_code, *words):
        self.assertEqual(done.returncode, exit_code, done.stderr)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)
        self.assertFalse(self.out.exists())

    def test_a_model_of_several_files_arrives_whole(self):
        done = self.fetch("someone/model")
        self.assertEqual(done.returncode, 0, done.stderr)
        names = {path.name for path in self.out.iterdir()}
        self.assertEqual(names, {"config.json", "tokenizer.json", "fetched.json",
                                 "model.safetensors.index.json", "model-1.safetensors",
                                 "model-2.safetensors"})
        self.assertEqual((self.out / "model-2.safetensors").read_bytes(), WEIGHTS[::-1])
        self.assertEqual(json.loads((self.out / "fetched.json").read_text())["commit"], COMMIT)

    def test_a_broken_download_goes_on_where_it_was(self):
        self.hub.n_breaks = 2
        done = self.fetch("someone/model")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((self.out / "model-1.safetensors").read_bytes(), WEIGHTS)
        ranges = [headers.get("Range") for _, headers in self.stored_requests()]
        self.assertEqual(ranges, [None, "bytes=100000-", "bytes=166666-", None])

    def test_a_second_run_goes_on_and_keeps_complete_files(self):
        self.hub.n_breaks = 100
        self.assert_fails(self.fetch("someone/model"), 4, "model-1.safetensors")
        self.hub.n_breaks = 0
        del self.hub.requests[:]
        self.assertEqual(self.fetch("someone/model").returncode, 0)
        first = self.stored_requests()[0][1]["Range"]
        self.assertGreater(int(first[6:-1]), 200_000)
        self.assertFalse([path for path, _ in self.hub.requests if path.endswith("config.json")])

    def test_wrong_bytes_are_removed_and_named(self):
        self.hub.wrong = {"model-2.safetensors"}
        self.assert_fails(self.fetch("someone/model"), 1, "model-2.safetensors", "checksum")
        part = self.out.with_name("out.part")
        self.assertFalse((part / "model-2.safetensors").exists())
        self.assertFalse((part / "model-2.safetensors.part").exists())

    def test_wrong_bytes_of_a_small_file_are_named(self):
        self.hub.wrong = {"config.json"}
        self.assert_fails(self.fetch("someone/model"), 1, "config.json", "checksum")

    def test_a_dictionary_gets_the_settings_its_file_leaves_out(self):
        done = self.fetch("gpt2-res-jb:blocks.6.hook_resid_pre")
        self.assertEqual(done.returncode, 0, done.stderr)
        config = json.loads((self.out / "cfg.json").read_text())
        self.assertEqual(config["d_in"], 768)
        self.assertEqual(config["model_from_pretrained_kwargs"], {"center_writing_weights": True})
        published = (self.out / "cfg.published.json").read_bytes()
        self.assertEqual(published, REPOSITORY["blocks.6.hook_resid_pre/cfg.json"])
        self.assertTrue((self.out / "sparsity.safetensors").exists())

    def test_the_token_stays_with_the_hub(self):
        self.assertEqual(self.fetch("someone/model", HF_TOKEN="sesame").returncode, 0)
        seen = {path: headers.get("Authorization") for path, headers in self.hub.requests}
        self.assertEqual(seen["/api/models/someone/model/revision/main"], "Bearer sesame")
        self.assertIsNone(seen["/storage/model-1.safetensors"])

    def test_failures_have_their_exit_codes(self):
        closed = "http://127.0.0.1:1"
        for name, endpoint, exit_code, word in (
                ("nonsense", None, 3, "nonsense"),
                ("someone/gone", None, 3, "someone/gone"),
                ("someone/gated", None, 3, "HF_TOKEN"),
                ("gpt2-res-jb:blocks.6.attn.hook_z", None, 3, "hook_z"),
                ("someone/model:../../etc", None, 3, "../../etc"),
                ("someone/model:no.such.folder", None, 3, "no.such.folder"),
                ("gpt2", closed, 4, closed),
                ("gpt2", "http://nowhere.invalid", 4, "nowhere.invalid")):
            with self.subTest(name=name, endpoint=endpoint):
                self.assert_fails(self.fetch(name, endpoint), exit_code, word)

    def test_a_folder_of_somebody_else_is_left_alone(self):
        self.out.mkdir()
        (self.out / "mine").write_text("x")
        done = self.fetch("someone/model")
        self.assertEqual(done.returncode, 1)
        self.assertEqual([path.name for path in self.out.iterdir()], ["mine"])

    def test_a_second_fetch_of_the_same_is_no_work(self):
        self.assertEqual(self.fetch("someone/model").returncode, 0)
        del self.hub.requests[:]
        self.assertEqual(self.fetch("someone/model").returncode, 0)
        self.assertEqual(self.hub.requests, [])


if __name__ == "__main__":
    unittest.main(verbosity=1)
