"""Writes Sources/EttinTokenizer/UnicodeTables.swift by asking the `tokenizers` library about every code point.

Which code points are letters, numbers, white space or word characters, and how text is composed, must be what that
library's regex engines and normaliser think, whatever Unicode version they carry. Usage:

    python Interop/generate_unicode_tables.py > Sources/EttinTokenizer/UnicodeTables.swift
"""

import struct

import tokenizers
import unicodedata
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

from double_array import characters_map

CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
NFC = normalizers.NFC().normalize_str
NFD = normalizers.NFD().normalize_str
NFKD = normalizers.NFKD().normalize_str
HANGUL = range(0xAC00, 0xAC00 + 11172)
EVERYTHING = "".join(map(chr, CODE_POINTS))
CATEGORIES = (
    "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co Cs Cn"
).split()


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


def matching(pattern):
    """The code points that a regular expression for one character matches."""
    pieces = pre_tokenizers.Split(Regex(pattern), "removed", invert=True).pre_tokenize_str(EVERYTHING)
    return [CODE_POINTS[i] for _, (start, end) in pieces for i in range(start, end)]


def categories():
    """Runs of one general category, surrogates among them, as (length, index in CATEGORIES)."""
    category = {}
    for index, name in enumerate(CATEGORIES):
        for code in matching(r"\p{" + name + "}") if name != "Cs" else range(0xD800, 0xE000):
            assert code not in category
            category[code] = index
    runs = []
    for code in range(0x110000):
        if runs and runs[-1][1] == category[code]:
            runs[-1][0] += 1
        else:
            runs.append([1, category[code]])
    return runs


def isolated(pre_tokenizer):
    """The code points that a pre-tokenizer cuts out of letters."""
    split = pre_tokenizer.pre_tokenize_str
    return [c for c in CODE_POINTS if len(split("a" + chr(c) + "a")) != 1]


def lowercase():
    """Runs of (start, count, step, difference) of characters with one lower case character."""
    lower = normalizers.Lowercase().normalize_str
    assert lower("\u0130") == "i\u0307"
    pairs = [(c, ord(lower(chr(c)))) for c in CODE_POINTS if len(lower(chr(c))) == 1 and lower(chr(c)) != chr(c)]
    runs = []
    for code, lowered in pairs:
        last = runs[-1] if runs else None
        if last and last[3] == lowered - code:
            step = code - (last[0] + (last[1] - 1) * last[2])
            if (last[1] == 1 and step <= 2) or step == last[2]:
                last[1:3] = [last[1] + 1, step]
                continue
        runs.append([code, 1, 1, lowered - code])
    return runs


def cleaned():
    """What BERT's normaliser removes, and what it makes a space."""
    clean = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=False
    ).normalize_str
    results = {c: clean("a" + chr(c) + "a") for c in CODE_POINTS}
    removed = [c for c, text in results.items() if text == "aa"]
    spaces = [c for c, text in results.items() if text == "a a"]
    assert all(text in ("aa", "a a", "a" + chr(c) + "a") for c, text in results.items())
    return removed, spaces


def chinese():
    spaced = normalizers.BertNormalizer(
        clean_text=False, handle_chinese_chars=True, strip_accents=False, lowercase=False
    ).normalize_str
    return [c for c in CODE_POINTS if spaced(chr(c)) != chr(c)]


def nmt():
    """What the Nmt normaliser removes, and what it makes a space."""
    normalize = normalizers.Nmt().normalize_str
    results = {c: normalize("a" + chr(c) + "a") for c in CODE_POINTS}
    assert all(text in ("aa", "a a", "a" + chr(c) + "a") for c, text in results.items())
    return [c for c, text in results.items() if text == "aa"], [c for c, text in results.items() if text == "a a"]


def accents():
    """Marks that StripAccents and BERT's normaliser remove, decomposed or not; the two differ."""
    plain = normalizers.StripAccents().normalize_str
    bert = normalizers.BertNormalizer(
        clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False
    ).normalize_str
    return [c for c in CODE_POINTS if plain(chr(c)) == ""], [c for c in CODE_POINTS if bert(chr(c)) == ""]


def clusters():
    """Characters that join the one before them in a grapheme cluster, that no mark joins, and that join the next one.

    Probed by the Precompiled normaliser, which looks up clusters of up to five bytes; longer ones do not matter.
    """

    def normalizer(entries):
        return normalizers.Precompiled(characters_map(entries)).normalize_str

    letter = normalizer({"a": "b"})
    joining = [c for c in CODE_POINTS if letter("a" + chr(c)) == "b"]
    # A null character ends a lookup; it is a control character like the others below U+0020.
    candidates = [
        c for c in CODE_POINTS if 0 < c < 0x10000 and unicodedata.category(chr(c)) in ("Cc", "Cf", "Zl", "Zp", "Cn")
    ]
    separate, prepended = [0], []
    for start in range(0, len(candidates), 256):
        block = candidates[start : start + 256]
        apart = normalizer({chr(c): "x" for c in block})
        separate += [c for c in block if apart(chr(c) + "\u0301") != "x"]
        prepended += [c for c in block if apart(chr(c) + "a") == "x"]
    for c in [0x0D4E, 0x110BD, 0x110CD, 0x111C2, 0x111C3, 0x113D1, 0x1193F, 0x11941, 0x11A3A, *range(0x11A84, 0x11A8A),
              0x11D46, 0x11F02]:
        if normalizer({chr(c): "x"})(chr(c) + "a") == "x":
            prepended.append(c)
    return joining, separate, prepended


def compatibility(canonical):
    """Compatibility decompositions: (gap, count, length, code points…), for runs that map to runs."""
    numbers, last, open_run = [], 0, None
    for code in CODE_POINTS:
        text = NFKD(chr(code))
        if code in HANGUL or text == canonical.get(code, chr(code)):
            continue
        codes = [ord(c) for c in text]
        if open_run and len(codes) == 1 and open_run == (code, codes[0]):
            numbers[-3] += 1
        else:
            numbers += [code - last, 1, len(codes), *codes]
        open_run = (code + 1, codes[0] + 1) if len(codes) == 1 else None
        last = code
    return numbers


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
    print()
    emit(
        "compatibility",
        "Full compatibility decompositions that are not canonical: (gap, count, length, code points…) of runs.",
        compatibility(decomposed),
    )
    print()
    emit(
        "categories",
        "General categories of all code points in order, as the split patterns see them: (length, category).",
        [number for run in categories() for number in run],
    )
    print()
    emit_ranges("patternWords", r"Word characters of the split patterns, `\w`", matching(r"\w"))
    print()
    emit_ranges("punctuation", "Punctuation of the pre-tokenizers", isolated(pre_tokenizers.Punctuation()))
    bert = isolated(pre_tokenizers.BertPreTokenizer())
    spaces = isolated(pre_tokenizers.WhitespaceSplit())
    assert sorted(isolated(pre_tokenizers.Punctuation()) + spaces) == bert and spaces == stripped
    print()
    emit_ranges("numeric", "Characters that the Digits pre-tokenizer cuts out", isolated(pre_tokenizers.Digits()))
    print()
    numbers, last = [], 0
    for start, count, step, difference in lowercase():
        numbers += [start - last, count, step, difference * 2 if difference >= 0 else -difference * 2 - 1]
        last = start
    emit("lowercase", "Lower case: (gap, count, step, zigzag difference) of runs; U+0130 apart.", numbers)
    print()
    removed, cleaned_spaces = cleaned()
    emit_ranges("bertRemoved", "What BERT's cleaning removes", removed)
    print()
    emit_ranges("bertSpaces", "What BERT's cleaning makes a space", cleaned_spaces)
    print()
    emit_ranges("chinese", "What BERT's normaliser puts spaces around", chinese())
    print()
    plain, bert_accents = accents()
    emit_ranges("accents", "Marks that StripAccents removes", plain)
    print()
    emit_ranges("bertAccents", "Marks that BERT's normaliser removes", bert_accents)
    print()
    removed, nmt_spaces = nmt()
    emit_ranges("nmtRemoved", "What the Nmt normaliser removes", removed)
    print()
    emit_ranges("nmtSpaces", "What the Nmt normaliser makes a space", nmt_spaces)
    print()
    joining, separate, prepended = clusters()
    emit_ranges("clusterJoining", "Characters that continue a grapheme cluster", joining)
    print()
    emit_ranges("clusterSeparate", "Characters that are a grapheme cluster alone", separate)
    print()
    emit_ranges("clusterPrepended", "Characters that join the next one in a grapheme cluster", prepended)
    print("}")


if __name__ == "__main__":
    main()
