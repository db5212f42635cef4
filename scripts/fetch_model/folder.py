"""A folder that appears under its name only when it is complete.

Downloads lie in `DIR.part` (kept when a run stops, so that the next goes on); a conversion also
works there. The last step renames it to `DIR`.
"""

import hashlib
import json
import os
import shutil

from .catalogue import DONE_FILE


def part_folder(folder):
    part = folder.with_name(folder.name + ".part")
    part.mkdir(parents=True, exist_ok=True)
    return part


def complete(part, folder, facts):
    """Write where it came from (`facts`, JSON) and give the folder its name."""
    (part / DONE_FILE).write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n")
    os.rename(part, folder)


def discard(part):
    shutil.rmtree(part, ignore_errors=True)


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def git_blob_sha1_of(path):
    """The name that git gives to a file's content."""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size)
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
