"""Writes Sources/EttinTokenizer/UnicodeTables.swift by asking the `tokenizers` library about every code point.

Which code points are letters, numbers, white space or word characters, and how text is composed, must be what that
library's regex engines and normaliser think, whatever Unicode version they carry. Usage:

    python Interop/generate_unicode_tables.py > Sources/EttinTokenizer/UnicodeTables.swift
"""

import tokenizers
import unicodedata
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
NFC = normalizers.NFC().normalize_str
NFD = normalizers.NFD().normalize_str
HANGUL = range(0xAC00, 0xAC00 + 11172)


def split_classes():
    """Letters, numbers and white space, by how the ByteLevel pattern cuts around the character."""
    split = pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str
    classes = {"letters": [], "numbers": [], "spaces": []}
    for code in CODE_POINTS:
        character = chr(code)
        spans = [span for _, span in split("a" + character + "1")]
        if spans == [(0, 2), (2, 3)]:
            classes["letters"].append(code)
        elif spans == [(0, 1), (1, 3)]:
            # A space joins neither; a number joins the number behind it, and so does U+0020.
            if code == 0x20:
                classes["spaces"].append(code)
            else:
                classes["numbers"].append(code)
        else:
            assert spans == [(0, 1), (1, 2), (2, 3)], (hex(code), spans)
            if len(split("!" + character)) == 2:
                classes["spaces"].append(code)
    return classes


def strip_and_word_classes():
    """What lstrip swallows, and what makes single_word refuse a match."""
    tokenizer = Tokenizer(models.BPE(vocab={"a": 0}, merges=[]))
    tokenizer.add_tokens(
        [
            AddedToken("<l>", lstrip=True, normalized=False),
            AddedToken("<w>", single_word=True, normalized=False),
        ]
    )
    word_id = tokenizer.token_to_id("<w>")
    stripped = [c for c in CODE_POINTS if len(tokenizer.encode("a" + chr(c) + "<l>").tokens[-1]) > 3]
    words = [c for c in CODE_POINTS if tokenizer.encode(chr(c) + "<w>").ids[-1:] != [word_id]]
    return stripped, words


def combining_classes():
    """Canonical combining classes, by the order in which NFD puts two marks; only their order matters."""
    lowest, highest = "\u0334", "\u0345"  # classes 1 and 240

    def reorders(mark):
        above_lowest = NFD(mark + lowest) == lowest + mark and mark != lowest
        return above_lowest or (NFD(highest + mark) == mark + highest and mark != highest)

    references = {}
    for code in CODE_POINTS:
        value = unicodedata.combining(chr(code))
        # Python may know marks that are newer than the library's data; those do not reorder there.
        if value and value not in references and NFD(chr(code)) == chr(code) and reorders(chr(code)):
            references[value] = chr(code)
    result = {}
    for code in CODE_POINTS:
        mark = chr(code)
        decomposed = NFD(mark)
        if decomposed != mark:
            continue
        if not reorders(mark):
            continue
        matching = [
            value
            for value, reference in references.items()
            if NFD(mark + reference) == mark + reference and NFD(reference + mark) == reference + mark
        ]
        assert len(matching) == 1, (hex(code), matching)
        result[code] = matching[0]
    return result


def decompositions():
    return {c: NFD(chr(c)) for c in CODE_POINTS if c not in HANGUL and NFD(chr(c)) != chr(c)}


def compositions(decomposed):
    result = {}
    for code, sequence in decomposed.items():
        if NFC(sequence) != chr(code):
            continue
        first, last = NFC(sequence[:-1]), sequence[-1]
        assert len(first) == 1 and NFC(first + last) == chr(code), hex(code)
        result[ord(first), ord(last)] = code
    return result


def base36(number):
    digits = ""
    while number or not digits:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits


def ranges(codes):
    """Start and end (exclusive) of each run, in increasing order."""
    result = []
    for code in sorted(codes):
        if result and result[-1][1] == code:
            result[-1][1] = code + 1
        else:
            result.append([code, code + 1])
    return result


def emit(name, documentation, numbers):
    words = [base36(number) for number in numbers]
    print(f"    /// {documentation}")
    print(f'    static let {name}: StaticString = """')
    line = ""
    for word in words:
        if len(line) + len(word) + 1 > 108:
            print("        " + line)
            line = ""
        line += (" " if line else "") + word
    if line:
        print("        " + line)
    print('        """')


def emit_ranges(name, documentation, codes):
    """Each run as (gap since the end of the run before, length)."""
    numbers, end = [], 0
    for start, stop in ranges(codes):
        numbers += [start - end, stop - start]
        end = stop
    emit(name, documentation + ": (gap, length) of each run.", numbers)


def main():
    classes = split_classes()
    stripped, words = strip_and_word_classes()
    assert stripped == classes["spaces"], "one white space table no longer serves both engines"
    marks = combining_classes()
    decomposed = decompositions()
    composed = compositions(decomposed)
    seconds = {second for _, second in composed}
    jamo = set(range(0x1161, 0x1176)) | set(range(0x11A8, 0x11C3))
    unstable = {c for c in CODE_POINTS if NFC(chr(c)) != chr(c)} | set(marks) | seconds | jamo

    print("// Generated by Interop/generate_unicode_tables.py; do not edit.")
    print(f"// Probed from tokenizers {tokenizers.__version__}, all {len(CODE_POINTS)} code points.\n")
    print("/// Unicode data as the original tokenizer library sees it: base-36 numbers separated by white space.")
    print("enum UnicodeTables {")
    emit_ranges("letters", "Letters of the split pattern", classes["letters"])
    print()
    emit_ranges("numbers", "Numbers of the split pattern", classes["numbers"])
    print()
    emit_ranges("spaces", "White space of the split pattern and of stripping added tokens", classes["spaces"])
    print()
    emit_ranges("words", "Characters next to which a whole-word added token does not match", words)
    print()
    emit_ranges("unstable", "Characters that NFC may change or reorder, or that may join one before them", unstable)
    print()
    numbers, end = [], 0
    for start, stop in ranges(marks):
        for code in range(start, stop):
            if numbers and code == end and numbers[-1] == marks[code]:
                numbers[-2] += 1
            else:
                numbers += [code - end, 1, marks[code]]
            end = code + 1
    emit("combiningClasses", "Canonical combining classes: (gap, length, class) of each run.", numbers)
    print()
    numbers, last = [], 0
    for code in sorted(decomposed):
        numbers += [code - last, len(decomposed[code])] + [ord(c) for c in decomposed[code]]
        last = code
    emit("decompositions", "Full canonical decompositions: (gap, length, code points…).", numbers)
    print()
    numbers, last = [], 0
    for (first, second), code in sorted(composed.items()):
        numbers += [first - last, second, code]
        last = first
    emit("compositions", "Canonical compositions by first code point: (gap, second, result).", numbers)
    print("}")


if __name__ == "__main__":
    main()
