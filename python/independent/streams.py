"""Named random streams: ChaCha with 8 rounds, keyed like naschain-core's `Stream`.

The key is seed, purpose, epoch and index, 8 bytes each, little-endian; the nonce is 0, and the
64-bit counter starts at 0.
"""

import struct

PURPOSES = {
    "split": b"split   ",
    "weights": b"weights ",
    "shuffle": b"shuffle ",
    "augmentation": b"augment ",
    "drop-path": b"droppath",
    "simulation": b"simulate",
}
CONSTANTS = struct.unpack("<4I", b"expand 32-byte k")
COLUMNS_AND_DIAGONALS = [
    (0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
    (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14),
]  # fmt: skip
MASK = 0xFFFFFFFF


def rotated(word, bits):
    return (word << bits | word >> (32 - bits)) & MASK


def quarter_round(v, a, b, c, d):
    for first, second in ((16, 12), (8, 7)):
        v[a] = (v[a] + v[b]) & MASK
        v[d] = rotated(v[d] ^ v[a], first)
        v[c] = (v[c] + v[d]) & MASK
        v[b] = rotated(v[b] ^ v[c], second)


def chacha8_block(key, counter):
    """A block as 8 numbers of 64 bits."""
    start = [*CONSTANTS, *key, counter & MASK, counter >> 32, 0, 0]
    v = start[:]
    for _ in range(4):
        for places in COLUMNS_AND_DIAGONALS:
            quarter_round(v, *places)
    words = [(a + b) & MASK for a, b in zip(v, start)]
    return [low | high << 32 for low, high in zip(words[::2], words[1::2])]


class Stream:
    """The stream of a seed for a purpose, an epoch and an index."""

    def __init__(self, seed, purpose, epoch, index):
        key = struct.pack("<Q8sQQ", seed, PURPOSES[purpose], epoch, index)
        self.key = struct.unpack("<8I", key)
        self.numbers = self._numbers()

    def _numbers(self):
        counter = 0
        while True:
            yield from chacha8_block(self.key, counter)
            counter += 1

    def below(self, bound):
        """An integer below `bound` (Lemire 2019, with rejection)."""
        while True:
            product = next(self.numbers) * bound
            if product % 2**64 >= 2**64 % bound:
                return product >> 64

    def between(self, least, most):
        return least + self.below(most - least + 1)

    def unit_f32(self):
        """A multiple of 2^-24 in [0, 1)."""
        return (next(self.numbers) >> 40) * 2.0**-24

    def unit_f64(self):
        """A multiple of 2^-53 in [0, 1)."""
        return (next(self.numbers) >> 11) * 2.0**-53

    def shuffle(self, items):
        """Fisher-Yates, from the last item to the first."""
        for last in reversed(range(1, len(items))):
            other = self.below(last + 1)
            items[last], items[other] = items[other], items[last]
