"""Bit fields of codec headers."""

from __future__ import annotations


class BitReader:
    """Reads big-endian bit fields and Exp-Golomb codes (H.264 section 9.1). Past the end it raises
    IndexError.
    """

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = len(data) * 8

    def u(self, width: int) -> int:
        """Unsigned integer of ``width`` bits."""
        self.skip(width)
        return self._value >> self._left & ((1 << width) - 1)

    def skip(self, width: int) -> None:
        self._left -= width
        if self._left < 0:
            raise IndexError("the header ends early")

    def ue(self) -> int:
        """Unsigned Exp-Golomb code."""
        zeros = 0
        while not self.u(1):
            zeros += 1
            if zeros > 32:
                raise IndexError("no Exp-Golomb code is as long")
        return (1 << zeros) - 1 + self.u(zeros)

    def se(self) -> int:
        """Signed Exp-Golomb code."""
        code = self.ue()
        return (code + 1) // 2 if code & 1 else -(code // 2)
