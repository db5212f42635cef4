"""The names known here: models, and SAELens dictionaries with what their cfg.json leaves out.

Settings that a dictionary needs but that its published cfg.json does not have (SAELens keeps
them in a registry of its own) are `overrides`: they are merged into the fetched cfg.json and the
published file is kept beside it as cfg.published.json.
"""

import re
from dataclasses import dataclass, field

from .failure import NOT_FOUND, Failure

DONE_FILE = "fetched.json"  # says where the folder came from; its presence means complete


@dataclass
class Source:
    name: str
    kind: str  # "wheel", "model" or "dictionary"
    repository: str = ""  # OWNER/NAME on the hub
    folder: str = ""  # of a dictionary, as the user named it
    path: str = ""  # of a dictionary, inside the repository
    overrides: dict = field(default_factory=dict)


MODELS = {
    "gpt2": "openai-community/gpt2",
    "gpt2-medium": "openai-community/gpt2-medium",
    "gpt2-large": "openai-community/gpt2-large",
    "gpt2-xl": "openai-community/gpt2-xl",
    "smollm2-135m": "HuggingFaceTB/SmolLM2-135M",
    "llama-3-8b-instruct": "meta-llama/Meta-Llama-3-8B-Instruct",
    "llama-2-7b": "meta-llama/Llama-2-7b-hf",
}

# Trained on a residual stream that is centred over d_model (TransformerLens' default then).
CENTRED = {"model_from_pretrained_kwargs": {"center_writing_weights": True}}

# release: (repository, folder pattern, path template, overrides)
DICTIONARIES = {
    "gpt2-res-jb": ("jbloom/GPT2-Small-SAEs-Reformatted",
                    r"blocks\.(\d+)\.hook_resid_(pre|post)", "{folder}", CENTRED),
    "gpt2-res-jb-feature-splitting": (
        "jbloom/GPT2-Small-Feature-Splitting-Experiment-Layer-8",
        r"blocks\.8\.hook_resid_pre_(\d+)", "{folder}", CENTRED),
    "gpt2-attn-out-v5-32k": ("jbloom/GPT2-Small-OAI-v5-32k-attn-out-SAEs",
                             r"blocks\.(\d+)\.hook_attn_out", "v5_32k_layer_{0}", {}),
    "gpt2-mlp-out-v5-32k": ("jbloom/GPT2-Small-OAI-v5-32k-mlp-out-SAEs",
                            r"blocks\.(\d+)\.hook_mlp_out", "v5_32k_layer_{0}", {}),
    "gpt2-resid-mid-v5-32k": ("jbloom/GPT2-Small-OAI-v5-32k-resid-mid-SAEs",
                              r"blocks\.(\d+)\.hook_resid_mid", "v5_32k_layer_{0}", {}),
    "gpt2-resid-post-v5-32k": ("jbloom/GPT2-Small-OAI-v5-32k-resid-post-SAEs",
                               r"blocks\.(\d+)\.hook_resid_post", "v5_32k_layer_{0}.pt", {}),
    "llama-3-8b-it-res-jh": ("Juliushanhanhan/llama-3-8b-it-res",
                             r"blocks\.25\.hook_resid_post", "{folder}", {}),
}


def names():
    yield "smollm2"
    yield from MODELS
    for release, (_, pattern, _, _) in DICTIONARIES.items():
        folder = pattern.replace(r"\.", ".").replace(r"(\d+)", "N")
        yield f"{release}:{folder}"
    yield "OWNER/NAME"
    yield "OWNER/NAME:FOLDER"


def find(name):
    """The source that a name stands for. Raises Failure(NOT_FOUND)."""
    if name == "smollm2":
        return Source("smollm2", "wheel")
    if name in MODELS:
        return Source(name, "model", repository=MODELS[name])
    release, colon, folder = name.partition(":")
    if release in DICTIONARIES:
        return find_dictionary(release, folder)
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", release):
        raise Failure(NOT_FOUND, f"{name}: no such model or dictionary; --list prints the names")
    if colon and (not folder or folder.startswith("/") or ".." in folder.split("/")):
        raise Failure(NOT_FOUND, f"{name}: not a folder of a repository")
    kind = "dictionary" if colon else "model"
    return Source(release.replace("/", "--"), kind, repository=release, folder=folder, path=folder)


def find_dictionary(release, folder):
    repository, pattern, template, overrides = DICTIONARIES[release]
    match = re.fullmatch(pattern, folder)
    if not match:
        wanted = pattern.replace("\\.", ".").replace(r"(\d+)", "N")
        raise Failure(NOT_FOUND, f"{release}:{folder}: {release} has dictionaries named {wanted}")
    path = template.format(*match.groups(), folder=folder)
    return Source(release, "dictionary", repository=repository, folder=folder, path=path,
                  overrides=overrides)
