"""A small dictionary for tests that cannot wait for 16,384 features: the first of the demo's, with
fewer firing per token. Standard library only."""
import json

from safetensors_file import read_tensors, write_tensors


def first_columns(shape, data, n):
    row = 2 * shape[1]
    return [shape[0], n], b"".join(data[i:i + 2 * n] for i in range(0, len(data), row))


def first_rows(shape, data, n):
    return [n] + shape[1:], data[:len(data) // shape[0] * n]


def write_small_dictionary(source, folder, n_features=512, k=3, **changes):
    """`source` in SAELens format, cut down into `folder`; `changes` go into its cfg.json."""
    folder.mkdir(parents=True)
    tensors = read_tensors(source / "sae_weights.safetensors", "F16")
    tensors["W_enc"] = first_columns(*tensors["W_enc"], n_features)
    tensors["W_dec"] = first_rows(*tensors["W_dec"], n_features)
    tensors["b_enc"] = first_rows(*tensors["b_enc"], n_features)
    config = json.loads((source / "cfg.json").read_text())
    config.update({"d_sae": n_features, "k": k, **changes})
    (folder / "cfg.json").write_text(json.dumps(config))
    write_tensors(folder / "sae_weights.safetensors", tensors, "F16")
    return folder
