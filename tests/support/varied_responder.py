"""Replies of 20 to 180 tokens, about 100 in the mean, each length decided by the request alone."""
import hashlib
import json


def reply(body):
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).digest()
    return "word" * (20 + int.from_bytes(digest[:2], "big") * 161 // 65536)
