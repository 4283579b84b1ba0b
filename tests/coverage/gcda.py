# SPDX-License-Identifier: Apache-2.0
"""gcov's data files from counters that were read out of a machine's memory.

gcc leaves a .gcno beside each object, which names each function and its checksums; an array
__gcov0.FUNCTION has its counters. That is all that a .gcda takes (gcc's gcov-io.h), in the layout
of gcc 12 to 14: lengths count bytes, strings are not padded, a header has a checksum.
"""

import struct

TAG_FUNCTION, TAG_ARCS, TAG_SUMMARY = 0x01000000, 0x01a10000, 0xa1000000
VERSIONS = range(12, 15)


class Failure(Exception):
    """A file is not what it should be."""


class Notes:
    """A .gcno: its version and stamp, and (ident, line checksum, cfg checksum) by function."""

    def __init__(self, path):
        self.path = path
        self.data = path.read_bytes()
        if self.data[:4] != b"oncg":
            raise Failure(f"{path}: no notes of gcc for this machine's order of bytes")
        letters = self.data[7:3:-1].decode("latin-1")       # "B22*": 12.2
        self.version = (ord(letters[0]) - ord("A")) * 10 + int(letters[1])
        if self.version not in VERSIONS:
            raise Failure(f"{path}: of gcc {self.version}; known are {VERSIONS[0]} to "
                          f"{VERSIONS[-1]}")
        self.functions = dict(self._functions())

    def _string(self, at):
        length, = struct.unpack_from("<I", self.data, at)
        text = self.data[at + 4:at + 4 + length]
        return text.rstrip(b"\0").decode(), at + 4 + length

    def _functions(self):
        at = self._string(16)[1] + 4        # behind the folder and a flag
        while at + 8 <= len(self.data):
            tag, length = struct.unpack_from("<II", self.data, at)
            if tag == 0:
                return
            if tag == TAG_FUNCTION:
                sums = struct.unpack_from("<III", self.data, at + 8)
                yield self._string(at + 20)[0], sums
            at += 8 + length

    def write(self, path, counters):
        """Writes the .gcda of {function: [counts]}; a function without counters was not linked."""
        unknown = counters.keys() - self.functions.keys()
        if unknown:
            raise Failure(f"{self.path}: has no {', '.join(sorted(unknown))}; built anew?")
        out = [b"adcg", self.data[4:12], struct.pack("<I", 0),
               struct.pack("<IIII", TAG_SUMMARY, 8, 1, 0)]
        for name, sums in self.functions.items():
            if name in counters:
                counts = counters[name]
                out.append(struct.pack("<IIIII", TAG_FUNCTION, 12, *sums))
                out.append(struct.pack(f"<II{len(counts)}Q", TAG_ARCS, 8 * len(counts), *counts))
        path.write_bytes(b"".join(out))
