"""BLAKE3's hash of 32 bytes, from its specification (O'Connor, Aumasson, Neves, Wilcox-O'Hearn)."""

import struct

INITIAL = [
    0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A,
    0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19,
]  # fmt: skip
PERMUTATION = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8]
COLUMNS_AND_DIAGONALS = [
    (0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
    (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14),
]  # fmt: skip
CHUNK_START, CHUNK_END, PARENT, ROOT = 1, 2, 4, 8
BLOCK_BYTES, CHUNK_BYTES = 64, 1024
MASK = 0xFFFFFFFF


def rotated(word, bits):
    return (word >> bits | word << (32 - bits)) & MASK


def mixed(v, a, b, c, d, x, y):
    """The quarter round G."""
    for word, first, second in ((x, 16, 12), (y, 8, 7)):
        v[a] = (v[a] + v[b] + word) & MASK
        v[d] = rotated(v[d] ^ v[a], first)
        v[c] = (v[c] + v[d]) & MASK
        v[b] = rotated(v[b] ^ v[c], second)


def compressed(chaining, block, counter, flags):
    """The next chaining value: 8 words."""
    v = [*chaining, *INITIAL[:4], counter & MASK, counter >> 32, len(block), flags]
    words = struct.unpack("<16I", block.ljust(BLOCK_BYTES, b"\0"))
    for _ in range(7):
        for i, places in enumerate(COLUMNS_AND_DIAGONALS):
            mixed(v, *places, words[2 * i], words[2 * i + 1])
        words = [words[i] for i in PERMUTATION]
    return [v[i] ^ v[i + 8] for i in range(8)]


def chunk_value(data, number, root):
    """Chaining value of chunk `number`, at most 1,024 bytes; `root` is a flag or 0."""
    chaining = INITIAL
    starts = range(0, max(len(data), 1), BLOCK_BYTES)
    for start in starts:
        flags = CHUNK_START if start == 0 else 0
        if start == starts[-1]:
            flags |= CHUNK_END | root
        block = data[start : start + BLOCK_BYTES]
        chaining = compressed(chaining, block, number, flags)
    return chaining


def tree_value(data, first_chunk, root):
    """Chaining value of a tree whose left part has the largest power of two of chunks."""
    chunks = -(-len(data) // CHUNK_BYTES)
    if chunks <= 1:
        return chunk_value(data, first_chunk, root)
    left = 1 << (chunks - 1).bit_length() - 1
    cut = left * CHUNK_BYTES
    both = tree_value(data[:cut], first_chunk, 0)
    both += tree_value(data[cut:], first_chunk + left, 0)
    return compressed(INITIAL, struct.pack("<16I", *both), 0, PARENT | root)


def blake3(data):
    """The hash of these bytes."""
    return struct.pack("<8I", *tree_value(data, 0, ROOT))
