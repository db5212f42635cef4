"""The Python packages that a conversion needs, in an environment of its own if they are missing."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from .failure import FAILED, UNREACHABLE, Failure

MARK = "FETCH_MODEL_ENVIRONMENT"  # set in the second run, so that there is never a third


def cache_folder():
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "interp"


def require(*packages):
    """Return if `packages` can be imported; else run this program again where they can be."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if not missing:
        return
    if os.environ.get(MARK):
        raise Failure(FAILED, f"{sys.prefix}: still without {', '.join(missing)}; remove it "
                              "and run this again")
    python = make(packages)
    sys.stdout.flush()
    os.execve(python, [str(python), *sys.argv], {**os.environ, MARK: "1"})


def make(packages):
    """A virtual environment in the cache folder with `packages`; its Python."""
    folder = cache_folder() / "fetch-model"
    python = folder / "bin/python"
    if not python.exists():
        made = subprocess.run([sys.executable, "-m", "venv", folder], capture_output=True,
                              text=True, check=False)
        if made.returncode != 0:
            raise Failure(FAILED, f"cannot make {folder}; on Debian: apt-get install python3-venv")
    run_pip(python, ["install", "--quiet", *packages], f"install {' '.join(packages)}")
    return python


def run_pip(python, arguments, what):
    """Run pip; a failure is UNREACHABLE, since pip does not say which kind it was."""
    done = subprocess.run([python, "-m", "pip", "--disable-pip-version-check", *arguments],
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")]
        reason = lines[-1].removeprefix("ERROR:").strip() if lines else "pip failed"
        raise Failure(UNREACHABLE, f"cannot {what} from the Python package index: {reason}")
