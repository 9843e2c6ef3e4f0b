"""Record batches as a producer makes them (and as it should not), and what is in those that a broker returns."""

import struct
import zlib

HEAD = ">qiibI"  # base offset, length, leader epoch, magic, CRC-32C of what follows
BODY = ">hiqqqhii"  # attributes, last offset delta, first and last time, producer id, epoch, sequence, count
HEAD_BYTES, BODY_BYTES = struct.calcsize(HEAD), struct.calcsize(BODY)
LOG_APPEND_TIME, TRANSACTIONAL, CONTROL = 8, 16, 32


def _crc_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


CRC_TABLE = _crc_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def signed(value):
    """A varint in zigzag."""
    value = value << 1 ^ value >> 63
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def record(key, value, delta, time_delta=0):
    def sized(data):
        return signed(-1) if data is None else signed(len(data)) + data
    body = b"\0" + signed(time_delta) + signed(delta) + sized(key) + sized(value) + signed(0)
    return signed(len(body)) + body


def batch(*values, key=None, time=1_000_000, base_offset=0, attributes=0, producer=(-1, -1, -1), magic=2, count=None,
          last_delta=None, crc_change=0, length_change=0, body=None):
    """A batch with a record for each value. count, last_delta and a change of CRC or length make it a bad one."""
    if body is None:
        body = b"".join(record(key, value, i, i) for i, value in enumerate(values))
    count = len(values) if count is None else count
    last_delta = len(values) - 1 if last_delta is None else last_delta
    rest = struct.pack(BODY, attributes, last_delta, time, time + max(len(values) - 1, 0), *producer, count) + body
    length = HEAD_BYTES - 12 + len(rest) + length_change
    return struct.pack(HEAD, base_offset, length, -1, magic, crc32c(rest) ^ crc_change) + rest


def old_message(value, magic):
    """A message as they were before batches: magic 0 or 1."""
    body = struct.pack(">bb", magic, 0) + (struct.pack(">q", 1_000_000) if magic else b"")
    body += struct.pack(">i", -1) + struct.pack(">i", len(value)) + value
    return struct.pack(">qiI", 0, len(body) + 4, zlib.crc32(body)) + body


class _Records:
    """Reads the records of a batch that is not compressed."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def varint(self):
        value, shift = 0, 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value >> 1 ^ -(value & 1)
            shift += 7

    def sized(self):
        length = self.varint()
        if length < 0:
            return None
        self.at += length
        return self.data[self.at - length:self.at].decode(errors="replace")

    def next(self):
        end = self.varint() + self.at
        self.at += 1  # attributes
        time_delta, delta, key, value = self.varint(), self.varint(), self.sized(), self.sized()
        self.at = end
        return {"Offset": delta, "Timestamp": time_delta, "Key": key, "Value": value}


def read(data):
    """Whole batches, and how many bytes of another follow them: what a consumer sees of an answer's records."""
    batches, at = [], 0
    while len(data) - at >= HEAD_BYTES + BODY_BYTES:
        base, length, epoch, magic, crc = struct.unpack_from(HEAD, data, at)
        if at + 12 + length > len(data):
            break
        rest = data[at + HEAD_BYTES:at + 12 + length]
        attributes, last_delta, first, last, producer, producer_epoch, sequence, count = struct.unpack_from(BODY, rest)
        reader = _Records(rest[BODY_BYTES:])
        records = [reader.next() for _ in range(count)] if attributes & 7 == 0 else []
        for one in records:
            one["Offset"] += base
            one["Timestamp"] += first
        batches.append({"BaseOffset": base, "LastOffset": base + last_delta, "LeaderEpoch": epoch, "Magic": magic,
                        "CrcIsRight": crc == crc32c(rest), "Attributes": attributes, "BaseTimestamp": first,
                        "MaxTimestamp": last, "ProducerId": producer, "ProducerEpoch": producer_epoch,
                        "BaseSequence": sequence, "Records": records})
        at += 12 + length
    return batches, len(data) - at
