"""Texts of the rows that time whole libraries, tokenizers included: natural lengths, cut at 512 tokens."""

import hashlib
import json
import random
import subprocess

from rows import SEED, VOCABULARY, Row, text_lengths

LONGEST = 512
BATCHINGS = ("batch:8", "batch:16", "batch:32", "batch:64")
LABELS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG", "B-MISC", "I-MISC"]


def generated_words(count, generator):
    """Made words, the first of them common as in natural text (Zipf's law)."""
    syllables = [onset + vowel for onset in "b d f g h j k l m n p r s t v w st tr pl".split() for vowel in "aeiou"]
    vocabulary = ["".join(generator.choices(syllables, k=generator.choice([1, 2, 2, 3, 3, 4]))) for _ in range(20_000)]
    return generator.choices(vocabulary, weights=[1 / rank for rank in range(1, len(vocabulary) + 1)], k=count)


def generated_texts(lengths, seed=SEED):
    """One text of so many words for each length, in sentences."""
    generator = random.Random(seed)
    texts = []
    for length in lengths:
        words = generated_words(length, generator)
        for index in range(0, length, 12):
            words[index] = words[index].capitalize()
            words[min(index + 11, length - 1)] += "."
        texts.append(" ".join(words))
    return texts


def chosen_texts(path, count):
    """Lines of ten words or more, at random."""
    lines = [line.strip() for line in open(path, encoding="utf-8") if len(line.split()) >= 10]
    if len(lines) < count:
        raise SystemExit(f"error: {path}: {len(lines)} lines of ten words or more; expected {count} or more")
    return random.Random(SEED).sample(lines, count)


def texts_of_rows(path=None, count=256):
    return chosen_texts(path, count) if path else generated_texts(text_lengths(count, mean=130))


def texts_folder(ettin, work, texts):
    """The folder of what belongs to some texts: the tokenizer that was trained on them, and models beside it."""
    folder = work / f"texts-{hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:8]}"
    if not (folder / "tokenizer").exists():
        folder.mkdir(exist_ok=True)
        (folder / "corpus.txt").write_text("\n".join(texts), encoding="utf-8")
        arguments = [folder / "corpus.txt", "--vocab-size", str(VOCABULARY), "--output", folder / "tokenizer"]
        subprocess.run([ettin, "tokenizer", "train", *arguments], check=True, stderr=subprocess.DEVNULL)
    return folder


def questions(texts):
    """The first words of texts."""
    return [" ".join(text.split()[:9]) for text in texts]


def row(name, title, task, size, unit, request, wanted, **options):
    options = {"batchings": BATCHINGS, "max_rounds": 3, "wanted": wanted} | options
    return Row(name, title, task, "encoder", size, {"op": task} | request, unit=unit, **options)


def text_rows(texts):
    """The rows, of which larger models have fewer texts."""

    def same(ratio):
        return {"float32": ("class", ratio), "bfloat16": ("class", ratio)}

    def pairs(count):
        asked = questions(texts[:8])
        return {"pairs": [[asked[index % 8], text] for index, text in enumerate(texts[:count])]}

    def documents(count):
        return {"texts": texts[:count]}

    cut = f"natural lengths, cut at {LONGEST}"
    return [
        row("rerank-17m", f"reranker 17M, 128 pairs, {cut}", "rerank", "17m", "pairs", pairs(128), same(2.0)),
        row("rerank-150m", f"reranker 150M, 32 pairs, {cut}", "rerank", "150m", "pairs", pairs(32), same(1.5)),
        row("late-17m", f"ColBERT 17M, 128 documents, {cut}", "late", "17m", "documents", documents(128), same(2.0)),
        row("late-150m", f"ColBERT 150M, 32 documents, {cut}", "late", "150m", "documents", documents(32), same(1.5)),
        row("sparse-17m", f"SPLADE 17M, 64 documents, {cut}", "sparse", "17m", "documents", documents(64), same(3.0),
            wanted_memory=0.25),
        row("tag-17m", f"tagger 17M, 128 texts, {cut}", "tag", "17m", "texts", documents(128), same(2.0)),
        row("maxsim-1000", "MaxSim, one query, 1,000 documents of 128 numbers a token", "maxsim", "1000", "documents",
            {"count": 1000}, {"float32": ("class", 3.0)}, batchings=("all",), repeat=5, max_rounds=1000),
    ]
