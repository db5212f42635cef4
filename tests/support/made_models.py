"""Known models (worker/known) as folders, each made once; `with folder:` takes them away in the end."""
import json
import os
import pathlib
import subprocess
import tempfile

WORKER = pathlib.Path(os.environ["BUILD"]) / "interp-worker"
folder = tempfile.TemporaryDirectory(prefix="interp-known-")
HOME = pathlib.Path(folder.name)  # for other files of a test too


def known(kind):
    """The folder of a model of size 24: a checkpoint, 40 prompts, and its true circuit."""
    path = HOME / kind
    if not path.exists():
        subprocess.run([WORKER, "known-model", kind, "--seed", "7", "--size", "24", "--prompts",
                        "40", "-o", path], check=True, stdout=subprocess.DEVNULL)
    return path


def truth(model):
    return json.loads((model / "circuit.json").read_text())
