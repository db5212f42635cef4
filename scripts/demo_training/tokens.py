"""The tokenizer (byte-level BPE as in GPT-2) and the token streams, cached as .npy."""
import hashlib
import json

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

END = "<|endoftext|>"
END_ID = 0
VOCABULARY = 4096


def train_tokenizer(documents, folder, context):
    """Learns VOCABULARY pieces and writes tokenizer.json and tokenizer_config.json."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=[END],
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                  show_progress=False)
    tokenizer.train_from_iterator((text for _, text in documents), trainer)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": END, "eos_token": END,
              "unk_token": END, "add_prefix_space": False, "model_max_length": context,
              "clean_up_tokenization_spaces": False}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    return tokenizer


def stream(tokenizer, documents):
    """All documents as one stream of uint16 ids, END after each."""
    ids = []
    for start in range(0, len(documents), 2000):
        batch = [text for _, text in documents[start:start + 2000]]
        for encoding in tokenizer.encode_batch(batch, add_special_tokens=False):
            ids.extend(encoding.ids)
            ids.append(END_ID)
    return np.asarray(ids, dtype=np.uint16)


def cached_stream(folder, name, tokenizer, documents):
    """The stream of `documents`, kept in a file named after what it was made from."""
    digest = hashlib.blake2b(tokenizer.to_str().encode(), digest_size=8)
    for _, text in documents:
        digest.update(text.encode() + b"\0")
    path = folder / f"{name}-{digest.hexdigest()}.npy"
    if not path.exists():
        np.save(path, stream(tokenizer, documents))
    return np.load(path)


class Rows:
    """Draws training rows of `context` + 1 tokens, END first.

    A share of the rows is one natural segment over and over: the model can only predict the later
    copies by looking back, which is what makes an induction head worth having.
    """

    def __init__(self, tokens, context, seed):
        self.tokens, self.context = tokens, context
        self.random = np.random.default_rng(seed)

    def repeated(self):
        low, high = ((4, 43) if self.random.random() < 0.75 else (43, self.context // 2 - 1))
        size = int(self.random.integers(low, high))
        start = int(self.random.integers(0, len(self.tokens) - size))
        return np.resize(self.tokens[start:start + size], self.context)

    def natural(self):
        start = int(self.random.integers(0, len(self.tokens) - self.context))
        return self.tokens[start:start + self.context]

    def batch(self, rows, repeated_share):
        """int64 [rows, context + 1]"""
        out = np.full((rows, self.context + 1), END_ID, dtype=np.int64)
        for row in out:
            row[1:] = self.repeated() if self.random.random() < repeated_share else self.natural()
        return out
