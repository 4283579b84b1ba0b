# SPDX-License-Identifier: Apache-2.0
"""The machine's memory, seen from outside: QEMU's monitor."""

import hashlib
import json
import socket


class Memory:
    """Of a machine that was started with arguments()."""

    def __init__(self, path):
        self.path = path
        self.dump = path.with_suffix(".mem")

    def arguments(self):
        """What QEMU is started with."""
        return ["-qmp", f"unix:{self.path},server=on,wait=off"]

    def _command(self, pipe, name, **arguments):
        pipe.write(json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n")
        pipe.flush()
        while True:
            answer = json.loads(pipe.readline())
            assert "error" not in answer, answer
            if "return" in answer:
                return

    def read(self, spans):
        """{name: bytes} of {name: (pa, size)}."""
        found = {}
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(self.path))
            sock.settimeout(60)
            with sock.makefile("rwb") as pipe:
                pipe.readline()
                self._command(pipe, "qmp_capabilities")
                for name, (pa, size) in spans.items():
                    self._command(pipe, "pmemsave", val=pa, size=size, filename=str(self.dump))
                    found[name] = self.dump.read_bytes()
                    assert len(found[name]) == size
        self.dump.unlink()
        return found

    def digests(self, spans):
        """{name: SHA-256} of {name: (pa, size)}."""
        found = self.read(spans)
        for name, data in found.items():
            assert any(data), f"{name} is empty"
        return {name: hashlib.sha256(data).hexdigest() for name, data in found.items()}
