"""Just enough ZMTP 3.0 and msgpack to play a stranger on the wire: a DEALER that talks to the
coordinator, a ROUTER that a worker talks to. Standard library only."""
import socket
import struct

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(16) + b"\x00" + bytes(31)


def pack(value):
    """msgpack of None, bool, int >= 0, float, str, bytes, list, dict."""
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return bytes([value]) if value < 128 else b"\xcf" + struct.pack(">Q", value)
    if isinstance(value, float):
        return b"\xcb" + struct.pack(">d", value)
    if isinstance(value, str):
        data = value.encode()
        return b"\xda" + struct.pack(">H", len(data)) + data
    if isinstance(value, bytes):
        return b"\xc6" + struct.pack(">I", len(value)) + value
    if isinstance(value, list):
        return b"\xdc" + struct.pack(">H", len(value)) + b"".join(map(pack, value))
    body = b"".join(pack(key) + pack(item) for key, item in value.items())
    return b"\xde" + struct.pack(">H", len(value)) + body


def unpack(data):
    """The value that pack() or msgpack-c wrote; only what the protocol uses."""
    value, rest = unpack_one(data)
    assert not rest
    return value


def unpack_one(data):
    tag = data[0]
    if tag < 0x80:
        return tag, data[1:]
    if 0xa0 <= tag < 0xc0:
        n, data = tag & 31, data[1:]
    elif tag in (0xd9, 0xda):
        width = 1 if tag == 0xd9 else 2
        n, data = int.from_bytes(data[1:1 + width], "big"), data[1 + width:]
    elif 0xcc <= tag <= 0xcf:
        width = 1 << (tag - 0xcc)
        return int.from_bytes(data[1:1 + width], "big"), data[1 + width:]
    elif tag == 0xcb:
        return struct.unpack(">d", data[1:9])[0], data[9:]
    elif 0x80 <= tag < 0x90 or tag == 0xde:
        n, data = (tag & 15, data[1:]) if tag < 0x90 else \
            (int.from_bytes(data[1:3], "big"), data[3:])
        result = {}
        for _ in range(n):
            key, data = unpack_one(data)
            result[key], data = unpack_one(data)
        return result, data
    elif 0x90 <= tag < 0xa0 or tag == 0xdc:
        n, data = (tag & 15, data[1:]) if tag < 0xa0 else \
            (int.from_bytes(data[1:3], "big"), data[3:])
        items = []
        for _ in range(n):
            item, data = unpack_one(data)
            items.append(item)
        return items, data
    else:
        raise ValueError("msgpack tag %x" % tag)
    return data[:n].decode(), data[n:]


def message(type_name, version=1, **fields):
    """The header frame of a protocol message."""
    return pack({"v": version, "t": type_name, **fields})


HELLO = {"name": "stranger", "pid": 1, "host": "h", "backend": "cpu", "isa": "x", "n_threads": 1,
         "memory_bytes": 1, "code_version": "0", "n_held": 0, "ranges": []}


class Peer:
    """One connection after the handshake."""

    def __init__(self, connection, socket_type):
        self.socket = connection
        self.socket.settimeout(20)
        self.socket.sendall(GREETING)
        self.read(64)
        ready = b"\x05READY\x0bSocket-Type" + struct.pack(">I", len(socket_type)) + socket_type
        ready += b"\x08Identity" + bytes(4)
        self.socket.sendall(b"\x04" + bytes([len(ready)]) + ready)
        self.read_frame()  # its READY

    def read(self, n):
        data = b""
        while len(data) < n:
            more = self.socket.recv(n - len(data))
            if not more:
                raise ConnectionError("closed")
            data += more
        return data

    def read_frame(self):
        flags = self.read(1)[0]
        n = struct.unpack(">Q", self.read(8))[0] if flags & 2 else self.read(1)[0]
        return flags, self.read(n)

    def receive(self):
        """The frames of the next message."""
        frames = []
        while True:
            flags, data = self.read_frame()
            if flags & 4:
                continue  # a command, such as PING
            frames.append(data)
            if not flags & 1:
                return frames

    def send(self, *frames):
        data = b""
        for i, frame in enumerate(frames):
            more = 1 if i + 1 < len(frames) else 0
            data += bytes([more | 2]) + struct.pack(">Q", len(frame)) + frame
        self.socket.sendall(data)

    def close(self):
        self.socket.close()


def dial(path):
    """A DEALER at the coordinator's unix socket."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(path))
    return Peer(connection, b"DEALER")


class Listener:
    """A ROUTER's address, for workers to connect to."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen(4)
        self.socket.settimeout(20)

    def accept(self):
        return Peer(self.socket.accept()[0], b"ROUTER")

    def close(self):
        self.socket.close()
