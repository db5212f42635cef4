"""A dictionary whose features are directions that a known model was built of, for the induction model
of the GPT-2 family (worker/known): what a search through features must find is then known.

    0 .. V - 1       "the token before this one was t": what the previous-token head writes
    V .. 2 V - 1     decoys: the same detectors, so they fire exactly as often and as strongly, but
                     what they stand for in the stream is a direction that nobody reads

Standard library only; SAELens layout, encoder relu(x W_enc), no biases."""
import json
import math

from safetensors_file import Tensors, pack, write_tensors


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


def previous_directions(model, head):
    """[V][d_model]: what head `head` of layer 0 writes where the token before was t."""
    shape = json.loads((model / "circuit.json").read_text())["model"]
    width, d_head = shape["d_model"], shape["d_head"]
    rows = Tensors(model / "model.safetensors").values("transformer.h.0.attn.c_proj.weight")
    row = lambda i: list(rows[i * width:(i + 1) * width])
    return [row(head * d_head + t) for t in range(shape["n_vocab"])]


def unread_directions(model, known, n):
    """n orthonormal ones outside `known`, the tokens and the positions."""
    tensors = Tensors(model / "model.safetensors")
    width = tensors.shape("transformer.wte.weight")[1]
    basis = [list(row) for row in known]
    for name in ("transformer.wte.weight", "transformer.wpe.weight"):
        rows = tensors.values(name)
        basis += [list(rows[i * width:(i + 1) * width]) for i in range(tensors.shape(name)[0])]
    basis = orthonormal(basis)
    first = len(basis)
    for i in range(width):
        if len(basis) == first + n:
            break
        basis += orthonormal([[float(i == k) for k in range(width)]], basis)
    assert len(basis) == first + n, "the stream has no room for %d more directions" % n
    return basis[first:]


def orthonormal(rows, before=()):
    """Gram and Schmidt, twice; rows within the span of others are left out."""
    kept = []
    for row in rows:
        row = list(row)
        for _ in range(2):
            for one in list(before) + kept:
                share = dot(row, one)
                row = [x - share * y for x, y in zip(row, one)]
        length = math.sqrt(dot(row, row))
        if length > 1e-4:
            kept.append([x / length for x in row])
    return kept


def write_known_dictionary(model, head, folder, n_decoys=8):
    """The dictionary of the model's stream in front of layer 1, into `folder`. Returns the number of
    features that are directions of the model; decoys follow."""
    known = previous_directions(model, head)
    n, width = len(known), len(known[0])
    lengths = [math.sqrt(dot(row, row)) or 1.0 for row in known]
    detectors = [[x / length for x in row] for row, length in zip(known, lengths)]
    detectors += detectors[1:1 + n_decoys]
    written = [[x / length for x in row] for row, length in zip(known, lengths)]
    written += unread_directions(model, known, n_decoys)
    folder.mkdir(parents=True)
    (folder / "cfg.json").write_text(json.dumps({
        "architecture": "standard", "d_in": width, "d_sae": len(written), "dtype": "float32",
        "activation_fn": "relu", "apply_b_dec_to_input": False, "normalize_activations": "none",
        "hook_name": "blocks.1.hook_resid_pre", "device": "cpu"}))
    floats = lambda shape, values: (shape, pack("F32", values))
    write_tensors(folder / "sae_weights.safetensors", {
        "W_enc": floats([width, len(written)], [detectors[f][i] for i in range(width)
                                                for f in range(len(written))]),
        "W_dec": floats([len(written), width], [x for row in written for x in row]),
        "b_enc": floats([len(written)], [0.0] * len(written)),
        "b_dec": floats([width], [0.0] * width)}, "F32")
    return n


def prompts_of_few_words(model, first_words, n, rng):
    """Pairs as worker/known makes them, but the word that is said twice is one of `first_words`, so
    only its features can matter: [{"clean", "corrupted", "answer", "distractor", "template"}]."""
    n_vocab = json.loads((model / "circuit.json").read_text())["model"]["n_vocab"]
    pairs, seen = [], set()
    while len(pairs) < n:
        word = first_words[len(pairs) % len(first_words)]
        others = [t for t in range(1, n_vocab) if t not in first_words]
        rng.shuffle(others)
        at = 1 + rng.randrange(n_vocab - 8)
        context = others[:n_vocab - 6]
        clean = [0] + context[:at - 1] + [word] + context[at - 1:] + [word]
        if tuple(clean) in seen:
            continue
        seen.add(tuple(clean))
        corrupted = list(clean)
        corrupted[at] = others[n_vocab - 6]
        distractor = clean[at + 2] if at + 2 < len(clean) - 1 else clean[1]
        pairs.append({"clean": clean, "corrupted": corrupted, "answer": clean[at + 1],
                      "distractor": distractor, "template": "first_at_%d" % at})
    return pairs
