"""Files of the model hub: listing, download with resume, checksums.

The hub lists a repository's files with the SHA-256 of those in large-file storage and the git
blob SHA-1 of the others. Each file is written to NAME.part, continued by a Range request when
one is there, and renamed only after its checksum was right.
"""

import errno
import http.client
import json
import os
import shutil
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from . import folder as folders
from .failure import FAILED, NOT_FOUND, UNREACHABLE, Failure

MODEL_FILES = {"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
               "special_tokens_map.json"}
DICTIONARY_FILES = {"cfg.json", "sae_weights.safetensors", "sparsity.safetensors"}
TIMEOUT_S = 30
N_ATTEMPTS = 4


def endpoint():
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def token():
    if os.environ.get("HF_TOKEN"):
        return os.environ["HF_TOKEN"]
    path = Path(os.environ.get("HF_HOME") or Path.home() / ".cache/huggingface") / "token"
    return path.read_text().strip() if path.exists() else None


class DropTokenOnRedirect(urllib.request.HTTPRedirectHandler):
    """Large files are served by other hosts, which must not see the token."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        if request and urllib.parse.urlsplit(newurl).netloc != urllib.parse.urlsplit(
                req.full_url).netloc:
            request.headers.pop("Authorization", None)
        return request


OPENER = urllib.request.build_opener(DropTokenOnRedirect)


def open_url(url, what, first_byte=0):
    """The response to a GET. Raises Failure with the exit code of its kind."""
    request = urllib.request.Request(url, headers={"User-Agent": "interp-fetch-model"})
    if token():
        request.add_header("Authorization", f"Bearer {token()}")
    if first_byte:
        request.add_header("Range", f"bytes={first_byte}-")
    try:
        return OPENER.open(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            raise Failure(NOT_FOUND, f"{what}: HTTP {error.code}: it does not exist, or is gated "
                                     "and needs HF_TOKEN") from None
        if error.code == 404:
            raise Failure(NOT_FOUND, f"{what}: not found on {endpoint()}") from None
        raise Failure(UNREACHABLE if error.code >= 500 or error.code == 429 else FAILED,
                      f"{what}: HTTP {error.code} from {endpoint()}") from None
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise Failure(UNREACHABLE, f"cannot reach {endpoint()} for {what}: {reason}") from None


def get_json(url, what):
    with open_url(url, what) as response:
        try:
            return json.load(response), response.headers
        except ValueError:
            raise Failure(UNREACHABLE, f"{what}: {endpoint()} did not answer with JSON") from None


def list_files(source, revision):
    """The commit of `revision`, and {path: entry} of every file (below source.path, if set)."""
    api = f"{endpoint()}/api/models/{source.repository}"
    quoted = urllib.parse.quote(revision, safe="")
    commit = get_json(f"{api}/revision/{quoted}", source.repository)[0]["sha"]
    path = "/" + urllib.parse.quote(source.path) if source.path else ""
    url, files = f"{api}/tree/{commit}{path}?recursive=false", {}
    while url:
        entries, headers = get_json(url, f"{source.repository}{path}")
        files.update({entry["path"]: entry for entry in entries if entry["type"] == "file"})
        url = next_page(headers.get("Link", ""))
    return commit, files


def next_page(link):
    for part in link.split(","):
        if 'rel="next"' in part and "<" in part:
            return part[part.index("<") + 1:part.index(">")]
    return None


def has_right_checksum(path, entry):
    if path.stat().st_size != entry["size"]:
        return False
    if entry.get("lfs"):
        return folders.sha256_of(path) == entry["lfs"]["oid"]
    return folders.git_blob_sha1_of(path) == entry["oid"]


def say_progress(name, done, total, started):
    if not sys.stderr.isatty():
        return
    rate = done / max(time.monotonic() - started, 0.001) / 1e6
    print(f"\r{name}: {done / 1e6:.1f} of {total / 1e6:.1f} MB, {rate:.1f} MB/s  ", end="",
          file=sys.stderr, flush=True)


def append_body(response, file, entry, name):
    started, done = time.monotonic(), 0
    while block := response.read(1 << 20):
        file.write(block)
        done += len(block)
        say_progress(name, file.tell(), entry["size"], started)
    if sys.stderr.isatty():
        print(file=sys.stderr)


def continue_file(url, part, entry, name):
    """Fetch what `part` still lacks."""
    have = part.stat().st_size if part.exists() else 0
    if have >= entry["size"]:
        have = 0  # complete but wrong, or too long: from the start
    with open_url(url, name, first_byte=have) as response:
        mode = "ab" if have and response.status == 206 else "wb"
        with open(part, mode) as file:
            append_body(response, file, entry, name)


def try_file(url, part, entry, name, is_last):
    """Whether `part` has its full size after one more request. Only what may pass is swallowed."""
    try:
        continue_file(url, part, entry, name)
    except Failure as failure:
        if failure.exit_code != UNREACHABLE or is_last:
            raise
    except http.client.HTTPException:
        pass  # the connection broke
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise
    return part.exists() and part.stat().st_size >= entry["size"]


def fetch_file(source, commit, entry, target):
    """One file into `target`, checked. A connection that breaks is tried again from there."""
    if target.exists() and has_right_checksum(target, entry):
        return
    url = (f"{endpoint()}/{source.repository}/resolve/{commit}/"
           f"{urllib.parse.quote(entry['path'])}")
    part = target.with_name(target.name + ".part")
    for attempt in range(N_ATTEMPTS):
        if attempt:
            time.sleep(2 ** (attempt - 2))
        if try_file(url, part, entry, target.name, is_last=attempt == N_ATTEMPTS - 1):
            break
    else:
        raise Failure(UNREACHABLE, f"{target.name}: the connection broke {N_ATTEMPTS} times; run "
                                   "this again to go on")
    if not has_right_checksum(part, entry):
        part.unlink()
        raise Failure(FAILED, f"{target.name}: wrong checksum; the copy was removed")
    os.rename(part, target)


def wanted_model_files(source, files):
    """Names to fetch. Weights: the files of an index if there is one, else model.safetensors."""
    if "config.json" not in files:
        raise Failure(NOT_FOUND, f"{source.repository} has no config.json")
    wanted = sorted(MODEL_FILES & set(files))
    if "model.safetensors.index.json" in files:
        return wanted + ["model.safetensors.index.json"]
    if "model.safetensors" not in files:
        raise Failure(NOT_FOUND, f"{source.repository} has no safetensors files")
    return wanted + ["model.safetensors"]


def shards_of(index_path):
    weight_map = json.loads(index_path.read_text())["weight_map"]
    shards = sorted(set(weight_map.values()))
    if any("/" in shard or shard.startswith(".") for shard in shards):
        raise Failure(FAILED, f"{index_path.name} names a file outside its folder")
    return shards


def fetch_all(source, commit, files, names, part):
    for name in names:
        path = f"{source.path}/{name}" if source.path else name
        if path not in files:
            raise Failure(FAILED, f"{source.repository} does not have {path}")
        fetch_file(source, commit, files[path], part / name)


def apply_overrides(part, overrides):
    """Merge settings into cfg.json; the published file stays as cfg.published.json."""
    config = json.loads((part / "cfg.json").read_text())
    shutil.copyfile(part / "cfg.json", part / "cfg.published.json")
    target = config["metadata"] if isinstance(config.get("metadata"), dict) else config
    target.update(overrides)
    (part / "cfg.json").write_text(json.dumps(config, indent=2) + "\n")


def fetch(source, folder, revision):
    """A model or dictionary of the hub into `folder`."""
    commit, files = list_files(source, revision)
    part = folders.part_folder(folder)
    if source.kind == "model":
        names = wanted_model_files(source, files)
        fetch_all(source, commit, files, names, part)
        if "model.safetensors.index.json" in names:
            fetch_all(source, commit, files, shards_of(part / "model.safetensors.index.json"), part)
    else:
        names = sorted(n for n in DICTIONARY_FILES if f"{source.path}/{n}" in files)
        if not {"cfg.json", "sae_weights.safetensors"} <= set(names):
            raise Failure(NOT_FOUND, f"{source.repository}/{source.path} is not a SAELens folder")
        fetch_all(source, commit, files, names, part)
        if source.overrides:
            apply_overrides(part, source.overrides)
    folders.complete(part, folder, {"source": f"{endpoint()}/{source.repository}",
                                    "commit": commit, "path": source.path,
                                    "overrides": source.overrides})
