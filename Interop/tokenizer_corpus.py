"""Texts that a tokenizer can get wrong, the same on every run: over 20 MB, made by code and from real data."""

import json
import os
import random
import unicodedata
from pathlib import Path

SPACES = [0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x20, 0x85, 0xA0, 0x1680, 0x2003, 0x2028, 0x202F, 0x3000, 0x1C, 0x180E, 0x200B]
SCRIPTS = [
    (0x0041, 0x005B), (0x00C0, 0x0250), (0x0370, 0x0400), (0x0400, 0x0530), (0x0590, 0x0600), (0x0600, 0x0700),
    (0x0900, 0x0980), (0x0980, 0x0A00), (0x0B80, 0x0C00), (0x0E00, 0x0E80), (0x0F00, 0x1000), (0x1000, 0x10A0),
    (0x10A0, 0x1100), (0x1100, 0x1200), (0x1200, 0x1380), (0x1780, 0x1800), (0x1E00, 0x1F00), (0x1F00, 0x2000),
    (0x2000, 0x2070), (0x2070, 0x2200), (0x3040, 0x3100), (0x4E00, 0x9FA0), (0xAC00, 0xD7A4), (0xF900, 0xFB00),
    (0xFB00, 0xFE00), (0xFF00, 0xFFF0), (0x10330, 0x10350), (0x11080, 0x110D0), (0x1D400, 0x1D800), (0x1F300, 0x1FB00),
    (0x20000, 0x20100), (0x2F800, 0x2FA20),
]
EMOJI = [
    "\U0001f600", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f1e9\U0001f1ea", "\u2764\ufe0f", "1\ufe0f\u20e3",
    "\U0001f44b\U0001f3fd", "\U0001f3f4\U000e0067\U000e0062\U000e007f",
]
WORDS = (
    "the of and to in is was for that with on as by at from his her they we you not have had this which or one all "
    "would there their what out about up into has more can some time could people other than then now only its may "
    "don't I'll we've they're it's he'd I'm isn't 's 't"
).split()


def marks():
    return [c for c in range(0x110000) if not 0xD800 <= c < 0xE000 and unicodedata.combining(chr(c))]


def decomposing():
    def canonical(code):
        text = unicodedata.decomposition(chr(code))
        return text and not text.startswith("<")

    return [c for c in range(0x110000) if not 0xD800 <= c < 0xE000 and canonical(c)]


class Corpus:
    """Generators of texts; each takes its own random numbers, so that adding one does not change the others."""

    def __init__(self, added_tokens, scale=1.0):
        self.added = added_tokens
        self.scale = scale
        self.marks = marks()
        self.decomposing = decomposing()

    def texts(self):
        yield from self.real_data()
        yield from self.code()
        yield from self.scripts()
        yield from self.combining()
        yield from self.soup()
        yield from self.white_space()
        yield from self.added_everywhere()
        yield from self.every_code_point()
        yield from self.long_words()
        yield from self.random_bytes()

    def count(self, number):
        return max(1, int(number * self.scale))

    def real_data(self):
        shared = os.environ.get("ETTIN_SHARED")
        if not shared:
            return
        data = Path(shared) / "data"
        for line in (data / "tokenizer/golden.jsonl").open(encoding="utf-8"):
            yield json.loads(line)["text"]
        with (data / "corpus/english_novels/train.jsonl").open(encoding="utf-8") as novels:
            for number, line in enumerate(novels):
                if number < self.count(1200):
                    yield json.loads(line)["text"]
        yield (data / "corpus/wikitext2/valid.txt").read_text(encoding="utf-8")
        for name in ["instruct/self_instruct_human_427.jsonl", "pairs/boolq_triplets.jsonl"]:
            yield from (data / name).open(encoding="utf-8", newline="")

    def code(self):
        rng = random.Random(1)
        for _ in range(self.count(700)):
            lines = []
            for _ in range(rng.randrange(10, 80)):
                indent = rng.choice([" " * 4, " " * 2, "\t", " " * 8]) * rng.randrange(0, 7)
                name = "".join(rng.choice("abcdefxyz_ABC019") for _ in range(rng.randrange(1, 14)))
                line = rng.choice(["{0} = {1}[{2}]", "if ({0} != {1}) {{", "def {0}(self, {1}={2}):", "// {0}", "{0}->{1};"])
                lines.append(indent + line.format(name, rng.choice(WORDS), rng.randrange(10 ** rng.randrange(1, 12))))
            yield rng.choice(["\n", "\r\n"]).join(lines)

    def scripts(self):
        rng = random.Random(2)
        for _ in range(self.count(2500)):
            parts = []
            for _ in range(rng.randrange(3, 40)):
                low, high = rng.choice(SCRIPTS)
                parts.append("".join(chr(rng.randrange(low, high)) for _ in range(rng.randrange(1, 12))))
            yield rng.choice([" ", " ", "", "\u3000", ", "]).join(parts)

    def combining(self):
        rng = random.Random(3)
        for _ in range(self.count(20000)):
            text = ""
            for _ in range(rng.randrange(1, 12)):
                kind = rng.randrange(5)
                if kind == 0:
                    text += chr(rng.choice(self.decomposing))
                elif kind == 1:
                    text += chr(rng.randrange(0x1100, 0x1200)) + chr(rng.randrange(0x1161, 0x11C3))
                elif kind == 2:
                    text += chr(rng.randrange(0xAC00, 0xD7A4)) + chr(rng.randrange(0x11A7, 0x11C4))
                else:
                    text += rng.choice("aeiouAEcnsy \u0391\u03b9\u0915\u30ab")
                text += "".join(chr(rng.choice(self.marks)) for _ in range(rng.choice([0, 0, 1, 1, 2, 3, 6])))
            yield text

    def soup(self):
        rng = random.Random(4)

        def piece():
            kind = rng.randrange(11)
            if kind < 3:
                return chr(rng.randrange(0x20, 0x7F))
            if kind == 3:
                return chr(rng.choice(SPACES))
            if kind == 4:
                return chr(rng.choice(self.marks))
            if kind == 5:
                return rng.choice(self.added)
            if kind == 6:
                return rng.choice(EMOJI)
            if kind == 7:
                return rng.choice(WORDS)
            if kind == 8:
                return chr(rng.randrange(0, 0x20))
            if kind == 9:
                code = rng.randrange(0x110000)
                return chr(code) if not 0xD800 <= code < 0xE000 else "?"
            return chr(rng.randrange(0x3000))

        for _ in range(self.count(30000)):
            yield "".join(piece() for _ in range(rng.randrange(1, 40)))

    def white_space(self):
        rng = random.Random(5)
        for length in list(range(0, 80)) + [200, 1000, 5000]:
            yield "x" + " " * length + "y"
            yield " " * length
            yield "\n" * length + "z"
            yield "".join(chr(rng.choice(SPACES)) for _ in range(length))
            yield "a" + "".join(rng.choice([" ", "\t", "\n"]) for _ in range(length)) + "[MASK]"

    def added_everywhere(self):
        for token in self.added:
            for before in ["", " ", "  ", "a", "\n", "\u3000", "\u0301", "9", "_", "<", "[", "|"]:
                for after in ["", " ", "b", "\u0301", "  c", token, "]", "|"]:
                    yield before + token + after
            for cut in range(1, len(token)):
                yield "x" + token[:cut] + " " + token[cut:] + token[:cut]

    def every_code_point(self):
        block = []
        for code in range(0x110000):
            if 0xD800 <= code < 0xE000:
                continue
            block.append(f"a{chr(code)} {chr(code)}1{chr(code)}")
            if len(block) == 256:
                yield "".join(block)
                block = []
        yield "".join(block)

    def long_words(self):
        rng = random.Random(6)
        for length in [16, 17, 63, 64, 65, 95, 96, 97, 98, 255, 256, 257, 1000, 20000]:
            for alphabet in ["a", "ab", "aeiouthnsr", "\u4e00\u4e8c\u4e09", "01", "!?=-", "\u0430\u0435\u043e"]:
                for _ in range(3):
                    yield "".join(rng.choice(alphabet) for _ in range(length))

    def random_bytes(self):
        rng = random.Random(7)
        for _ in range(self.count(6000)):
            yield rng.randbytes(rng.randrange(0, 120))
        for _ in range(self.count(6000)):
            data = bytearray("".join(rng.choice(WORDS + EMOJI + ["\u00e9", "\ud55c", " "]) for _ in range(20)).encode())
            for _ in range(rng.randrange(1, 6)):
                data[rng.randrange(len(data))] = rng.randrange(0x80, 0x100)
            yield bytes(data)
