"""Messages to bytes and back, by their descriptions, and a connection that carries them."""

import base64
import socket
import struct

import descriptions

INTEGERS = {"int8": ">b", "int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I", "int64": ">q", "float64": ">d",
            "bool": ">?"}
NO_ID = "A" * 22  # the uuid of which all bits are 0
TIMEOUT_S = 10


def encode_unsigned(value):
    """A varint without a sign."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class Writer:
    def __init__(self, version, flexible):
        self.version, self.flexible = version, flexible

    def fields(self, fields, values, where):
        present = [field for field in fields if self.version in field.versions]
        for name in values:
            if name not in (field.name for field in present):
                raise ValueError(f"{where} has no field {name} in version {self.version}")
        tagged = [field for field in present if field.tag is not None]
        plain = [field for field in present if field.tag is None]
        out = b"".join(self.value(field, values.get(field.name, field.initial())) for field in plain)
        if not self.flexible:
            return out
        given = sorted((field.tag, self.value(field, values[field.name])) for field in tagged if field.name in values)
        return out + encode_unsigned(len(given)) + b"".join(
            encode_unsigned(tag) + encode_unsigned(len(value)) + value for tag, value in given)

    def value(self, field, value):
        if field.type.startswith("[]"):
            if value is None:
                return self.length(None, ">i")
            return self.length(len(value), ">i") + b"".join(self.value(field.element, one) for one in value)
        if field.fields:
            if self.version in field.nullable:
                return b"\xff" if value is None else b"\1" + self.fields(field.fields, value, field.name)
            return self.fields(field.fields, value, field.name)
        if field.type in INTEGERS:
            return struct.pack(INTEGERS[field.type], value)
        if field.type == "uuid":
            return base64.urlsafe_b64decode((value or NO_ID) + "==")
        data = value.encode() if isinstance(value, str) else value
        length = self.length(None if data is None else len(data), ">h" if field.type == "string" else ">i")
        return length + (data or b"")

    def length(self, length, form):
        if self.flexible:
            return encode_unsigned(0 if length is None else length + 1)
        return struct.pack(form, -1 if length is None else length)


class Reader:
    def __init__(self, data, version, flexible):
        self.data, self.at, self.version, self.flexible = data, 0, version, flexible

    def take(self, count):
        if count > len(self.data) - self.at:
            raise ValueError(f"{count} bytes wanted, {len(self.data) - self.at} are left")
        self.at += count
        return self.data[self.at - count:self.at]

    def unsigned(self):
        value, shift = 0, 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def number(self, kind):
        return struct.unpack(INTEGERS[kind], self.take(struct.calcsize(INTEGERS[kind])))[0]

    def fields(self, fields):
        present = [field for field in fields if self.version in field.versions]
        values = {field.name: self.value(field) for field in present if field.tag is None}
        tagged = {field.tag: field for field in present if field.tag is not None}
        values.update((field.name, field.initial()) for field in tagged.values())
        if self.flexible:
            for _ in range(self.unsigned()):
                tag, end = self.unsigned(), self.unsigned() + self.at
                if tag in tagged:
                    values[tagged[tag].name] = self.value(tagged[tag])
                else:
                    values[f"Tag{tag}"] = self.take(end - self.at).hex()
        return values

    def value(self, field):
        if field.type.startswith("[]"):
            length = self.length("int32")
            return None if length is None else [self.value(field.element) for _ in range(length)]
        if field.fields:
            if self.version in field.nullable and self.number("int8") < 0:
                return None
            return self.fields(field.fields)
        if field.type in INTEGERS:
            return self.number(field.type)
        if field.type == "uuid":
            return base64.urlsafe_b64encode(self.take(16)).decode().rstrip("=")
        length = self.length("int16" if field.type == "string" else "int32")
        if length is None:
            return None
        return self.take(length).decode() if field.type == "string" else self.take(length)

    def length(self, kind):
        length = self.unsigned() - 1 if self.flexible else self.number(kind)
        return None if length < 0 else length


class Connection:
    """Requests that are answered in their order; each wait ends after TIMEOUT_S."""
    messages = descriptions.read()

    def __init__(self, address, client_id="beside"):
        host, port = address.rsplit(":", 1)
        self.client_id = client_id
        self.socket = socket.create_connection((host, int(port)), timeout=TIMEOUT_S)
        self.correlation = 0

    def close(self):
        self.socket.close()

    def send(self, api, version, fields):
        request = self.messages[f"{api}Request"]
        flexible = version in request.flexible
        self.send_bytes(request.api, version, Writer(version, flexible).fields(request.fields, fields, api), flexible)

    def send_bytes(self, key, version, body, flexible=False):
        """A request whose body may be anything."""
        self.correlation += 1
        client_id = self.client_id.encode()
        head = struct.pack(">hhih", key, version, self.correlation, len(client_id)) + client_id
        frame = head + (b"\0" if flexible else b"") + body
        self.socket.sendall(struct.pack(">i", len(frame)) + frame)

    def receive(self, api, version):
        """The answer to the oldest request that has none yet; its version may be another one than the request's."""
        frame = self._receive_exactly(struct.unpack(">i", self._receive_exactly(4))[0])
        message = self.messages[f"{api}Response"]
        reader = Reader(frame, version, version in message.flexible)
        reader.take(4)
        # An answer to ApiVersions has a header that every client can read.
        if reader.flexible and api != "ApiVersions" and reader.unsigned() != 0:
            raise ValueError("the answer's header has tagged fields")
        answer = reader.fields(message.fields)
        if reader.at != len(frame):
            raise ValueError(f"{len(frame) - reader.at} bytes after the end of the answer: {frame.hex()}")
        return answer

    def _receive_exactly(self, count):
        data = bytearray()
        while len(data) < count:
            part = self.socket.recv(count - len(data))
            if not part:
                raise ConnectionResetError("the broker has closed the connection")
            data += part
        return bytes(data)
