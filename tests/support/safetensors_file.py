"""safetensors files, read and written. Standard library only; little-endian machines."""
import array
import json
import struct

CODES = {"F16": "e", "F32": "f", "I32": "i", "I64": "q"}  # of struct


def pack(dtype, values):
    """The bytes of numbers."""
    return struct.pack("<%d%s" % (len(values), CODES[dtype]), *values)


def unpack(dtype, data):
    """The numbers of bytes, as an array; half floats as the floats that they are."""
    code = CODES[dtype]
    if code == "e":
        return array.array("f", struct.unpack("<%de" % (len(data) // 2), data))
    return array.array(code, data)


class Tensors:
    """The tensors of one file; their data is read when it is asked for."""

    def __init__(self, path):
        self.path = path
        with open(path, "rb") as file:
            self.header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
            self.start = file.tell()
        self.header.pop("__metadata__", None)

    def names(self):
        return list(self.header)

    def shape(self, name):
        return self.header[name]["shape"]

    def dtype(self, name):
        return self.header[name]["dtype"]

    def place(self, name):
        """Where its data begins in the file, and how many bytes there are."""
        low, high = self.header[name]["data_offsets"]
        return self.start + low, high - low

    def data(self, name):
        at, n_bytes = self.place(name)
        with open(self.path, "rb") as file:
            file.seek(at)
            return file.read(n_bytes)

    def values(self, name):
        return unpack(self.dtype(name), self.data(name))


def read_tensors(path, dtype):
    """name -> (shape, bytes), of a file whose tensors are all of one type."""
    tensors = Tensors(path)
    for name in tensors.names():
        assert tensors.dtype(name) == dtype, "%s: %s is %s" % (path, name, tensors.dtype(name))
    return {name: (tensors.shape(name), tensors.data(name)) for name in tensors.names()}


def write_tensors(path, tensors, dtype):
    """The same, written: name -> (shape, bytes)."""
    header, at = {}, 0
    for name, (shape, data) in sorted(tensors.items()):
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, (_, data) in sorted(tensors.items()):
            file.write(data)
