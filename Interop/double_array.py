"""Builds the character maps of the Precompiled normaliser: a double array from keys to null-terminated texts."""

import struct


def double_array(values):
    """The units of a trie over byte strings without zero bytes, as SentencePiece stores it."""
    units, bases = {0: 0}, set()

    def build(node, keys, depth):
        children = {}
        for key in keys:
            children.setdefault(key[depth] if depth < len(key) else 0, []).append(key)
        base = 1
        while base in bases or any(base ^ byte in units for byte in children):
            base += 1
        bases.add(base)
        offset = node ^ base
        assert offset < 1 << 21
        units[node] |= offset << 10 | (0 in children) << 8
        for byte in children:
            units[base ^ byte] = byte
        for byte, below in children.items():
            if byte == 0:
                units[base] = values[below[0]] | 1 << 31
            else:
                build(base ^ byte, below, depth + 1)

    build(0, sorted(values), 0)
    size = max(units) + 256 & ~255
    return [units.get(position, 0) for position in range(size)]


def characters_map(entries):
    """A map from texts to texts in the format of `precompiled_charsmap`."""
    blob, values = bytearray(), {}
    for text, replacement in entries.items():
        values[text.encode()] = len(blob)
        blob += replacement.encode() + b"\0"
    units = double_array(values)
    return struct.pack(f"<I{len(units)}I", 4 * len(units), *units) + bytes(blob)
