"""Tokenizers of every type that is read, trained with the `tokenizers` library on the data at hand."""

import json
import os
from pathlib import Path

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from double_array import characters_map

BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
WORDS = (
    "the of and to in is was for that with on as by at from his her they we you not have had this which or one all "
    "don't we'll they've it's caf\u00e9 na\u00efve \u00fcber stra\u00dfe Katze \u043a\u043e\u0448\u043a\u0430 \u65e5\u672c\u8a9e \ud55c\uad6d\uc5b4 \u0e44\u0e17\u0e22 123 4567"
).split()
LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
    r"\s+(?!\S)|\s+"
)
QWEN_2 = LLAMA_3.replace(r"\p{N}{1,3}", r"\p{N}")
QWEN_3_5 = QWEN_2.replace(r"\p{L}+", r"[\p{L}\p{M}]+")
GPT_2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
CL100K = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|"
    r"\s+(?!\S)|\s"
)
O200K = "|".join(
    [
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    ]
)
SPACED = "\u2581"


def training_texts(limit=200_000):
    """Prose and texts of many scripts, the same on every run."""
    texts, size = [" ".join(WORDS[i:] + WORDS[:i]) for i in range(len(WORDS))] * 3, 0
    shared = os.environ.get("ETTIN_SHARED")
    if shared:
        data = Path(shared) / "data"
        for name in ["corpus/english_novels/validation.jsonl", "corpus/english_novels/train.jsonl"]:
            with (data / name).open(encoding="utf-8") as novels:
                for line in novels:
                    text = json.loads(line)["text"][:4000]
                    texts.append(text)
                    size += len(text)
                    if size > limit:
                        break
        texts += [json.loads(line)["text"] for line in (data / "tokenizer/golden.jsonl").open(encoding="utf-8")]
    texts += ["".join(chr(c) + "\u0301 " for c in range(start, start + 60)) for start in range(0x370, 0x600, 60)]
    return texts


def added(*contents, **flags):
    return [AddedToken(content, **flags) for content in contents]


def gemma():
    """One word per text; blanks become U+2581 before a cut at blanks that never comes; bytes as a last resort."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", SPACED)
    # Trained with words, used without, as the published one.
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    specials = added("<pad>", "<eos>", "<bos>", "<unk>", "<mask>", special=True, normalized=False)
    runs = ["\n\n", "\n\n\n", "\t\t", SPACED * 2, SPACED * 3, SPACED * 4]
    trainer = trainers.BpeTrainer(
        vocab_size=6000, special_tokens=specials + added(*runs[:3], special=False, normalized=False),
        show_progress=False, limit_alphabet=400,
    )
    tokenizer.train_from_iterator(training_texts(), trainer)
    file = json.loads(tokenizer.to_str())
    vocabulary = file["model"]["vocab"]
    for token in BYTES + [SPACED * 2, SPACED * 3, SPACED * 4]:
        vocabulary.setdefault(token, len(vocabulary))
    if SPACED in vocabulary:
        file["model"]["merges"] += [[SPACED, SPACED], [SPACED * 2, SPACED], [SPACED * 2, SPACED * 2]]
    tokenizer = Tokenizer.from_str(json.dumps(file))
    tokenizer.add_tokens(added(*runs, special=False, normalized=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A <eos>",
        pair="<bos> $A <eos> $B:1 <eos>:1",
        special_tokens=[(t, tokenizer.token_to_id(t)) for t in ["<bos>", "<eos>"]],
    )
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(SPACED, " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    return tokenizer


def llama_2():
    """A blank in front of the text, none but byte tokens for rare characters; the decoder strips the blank."""
    tokenizer = gemma()
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(SPACED), normalizers.Replace(" ", SPACED)])
    tokenizer.pre_tokenizer = None
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(SPACED, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return tokenizer


def bert(lowercase=True, strip_accents=None, prefix="##"):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", continuing_subword_prefix=prefix))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase, strip_accents=strip_accents)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(
        vocab_size=5000, special_tokens=specials, show_progress=False, limit_alphabet=500,
        continuing_subword_prefix=prefix,
    )
    tokenizer.train_from_iterator(training_texts(), trainer)
    tokenizer.post_processor = processors.BertProcessing(
        ("[SEP]", tokenizer.token_to_id("[SEP]")), ("[CLS]", tokenizer.token_to_id("[CLS]"))
    )
    tokenizer.decoder = decoders.WordPiece(prefix=prefix)
    return tokenizer


def unigram(byte_fallback=False, scheme="always", split=True, normalizer=None, size=5000):
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=True)
    trainer = trainers.UnigramTrainer(
        vocab_size=size, special_tokens=["<unk>", "<s>", "</s>", "<pad>", "<mask>"], unk_token="<unk>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(training_texts(80_000), trainer)
    file = json.loads(tokenizer.to_str())
    vocabulary = file["model"]["vocab"]
    if byte_fallback:
        file["model"]["byte_fallback"] = True
        # Rare characters leave the vocabulary, so that bytes are needed.
        known = {token for token, _ in vocabulary}
        vocabulary[:] = vocabulary[: len(vocabulary) * 3 // 4]
        vocabulary += [[token, 0.0] for token in BYTES if token not in known]
    # Equal scores make ties.
    for position in range(100, len(vocabulary), 7):
        vocabulary[position][1] = vocabulary[position - 1][1]
    tokenizer = Tokenizer.from_str(json.dumps(file))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=split)
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", tokenizer.token_to_id("</s>")), ("<s>", tokenizer.token_to_id("<s>")), trim_offsets=True,
        add_prefix_space=scheme != "never",
    )
    tokenizer.decoder = decoders.Metaspace(prepend_scheme=scheme)
    if byte_fallback:
        tokenizer.decoder = decoders.Sequence(
            [decoders.ByteFallback(), decoders.Metaspace(prepend_scheme=scheme), decoders.Fuse()]
        )
    return tokenizer


def precompiled():
    """A map in the manner of SentencePiece: compatibility forms, control characters, sequences with marks."""
    normalize = normalizers.NFKC().normalize_str
    entries = {"\r\n": " ", "\r": " ", "\n": " ", "\t": " ", "\u200b": "", "\x7f": ""}
    codes = [*range(0xA0, 0x250), *range(0x1E00, 0x2000), *range(0x2000, 0x2C00), *range(0xFB00, 0xFB50),
             *range(0xFF00, 0xFFF0), *range(0x3300, 0x3400)]
    for code in codes:
        character = chr(code)
        normal = normalize(character)
        if normal != character:
            entries[character] = normal
            composed = normalizers.NFD().normalize_str(character)
            if len(composed) == 2:
                entries[composed] = normal
    return normalizers.Precompiled(characters_map(entries))


def t5_normalizer():
    return normalizers.Sequence(
        [precompiled(), normalizers.Replace(Regex(" {2,}"), " "), normalizers.Strip(left=False, right=True)]
    )


def sentencepiece_bpe():
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    trainer = trainers.BpeTrainer(
        vocab_size=5000, special_tokens=["<unk>", "<s>", "</s>", "<mask>"], show_progress=False, limit_alphabet=300
    )
    tokenizer.train_from_iterator(training_texts(), trainer)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="first")
    return tokenizer


def bytes_with(pattern, ignore_merges=False, normalizer=None, prefix=False, before=()):
    """BPE of bytes with a pattern of its own."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    tokenizer.normalizer = normalizer
    split = [pre_tokenizers.Split(Regex(pattern), "isolated")] if pattern else []
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=not pattern)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*before, *split, byte_level])
    trainer = trainers.BpeTrainer(
        vocab_size=6000, special_tokens=["<|endoftext|>", "[MASK]"], show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    tokenizer.train_from_iterator(training_texts(), trainer)
    if ignore_merges:
        file = json.loads(tokenizer.to_str())
        # Tokens that no merge makes.
        for token in ["\u0120elephants", "elephants", "\u0120\u0120\u0120x"]:
            file["model"]["vocab"].setdefault(token, len(file["model"]["vocab"]))
        tokenizer = Tokenizer.from_str(json.dumps(file))
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer


def lowercased(normalized):
    """ModernBERT's type in lower case, as mxbai-edge-colbert has it, with query and document marks."""
    tokenizer = bytes_with(None, normalizer=normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()]))
    tokenizer.add_tokens(added("[Q] ", "[D] ", "Caf\u00e9", special=False, normalized=normalized))
    return tokenizer


def cut_in_front(**flags):
    """Only the first word begins with a blank, and added tokens cut texts in two after the normaliser, if any."""
    tokenizer = unigram(scheme="first", **flags)
    tokenizer.add_tokens(added("the", "\u65e5", " of", special=False, normalized=True))
    return tokenizer


def words_and_marks():
    tokenizer = bert()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


TYPES = {
    "gemma": gemma,
    "llama 2": llama_2,
    "bert uncased": bert,
    "bert cased": lambda: bert(lowercase=False),
    "bert cased without accents": lambda: bert(lowercase=False, strip_accents=True),
    "wordpiece without prefix": lambda: bert(prefix=""),
    "unigram": unigram,
    "unigram with bytes": lambda: unigram(byte_fallback=True, scheme="first"),
    "unigram in one word": lambda: unigram(scheme="never", split=False),
    "unigram precompiled": lambda: unigram(normalizer=t5_normalizer()),
    "unigram nmt, nfkc, lowercase": lambda: unigram(
        normalizer=normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Lowercase()]),
        scheme="first",
    ),
    "unigram nfkd, no accents": lambda: unigram(
        normalizer=normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents(), normalizers.Strip()]),
        scheme="first", byte_fallback=True,
    ),
    "unigram with normalized marks": lambda: cut_in_front(),
    "wordpiece of words and marks": words_and_marks,
    "sentencepiece bpe": sentencepiece_bpe,
    "llama 3": lambda: bytes_with(LLAMA_3, ignore_merges=True),
    "qwen 2": lambda: bytes_with(QWEN_2, normalizer=normalizers.NFC()),
    "qwen 3.5": lambda: bytes_with(QWEN_3_5, normalizer=normalizers.NFC()),
    "gpt-4o": lambda: bytes_with(O200K),
    "cl100k": lambda: bytes_with(CL100K),
    "gpt-2 as expression": lambda: bytes_with(GPT_2, prefix=True),
    "digits before bytes": lambda: bytes_with(
        None, before=[pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.Punctuation("contiguous")]
    ),
    "lowercase, normalized marks": lambda: lowercased(True),
    "lowercase, raw marks": lambda: lowercased(False),
}
