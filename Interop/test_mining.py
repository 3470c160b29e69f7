"""Hard negatives: sentence-transformers' `mine_hard_negatives` beside `ettin mine-negatives`, row by row.

Needs the program ettin, whose folder is named by ETTIN_BIN_DIR.
"""

import json
import random
import re

import numpy
import pytest
import torch
from datasets import Dataset
from descendants import WIDTH, checkpoint, close, json_lines, randomise, refusal, run, word_piece
from sentence_transformers import CrossEncoder, SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Pooling, StaticEmbedding
from sentence_transformers.util import mine_hard_negatives

NAME = "mining: scores, largest difference"
WORDS = (
    "sea ship letter fox dog king river stone winter morning house garden bread silver night road forest song "
    "teacher window market bridge cloud candle horse mountain answer question story village"
).split()
FORMATS = ["triplet", "n-tuple", "labeled-pair", "labeled-list"]
SETTINGS = [
    {},
    {"range_min": 2, "num_negatives": 4},
    {"range_max": 12, "num_negatives": 5, "absolute_margin": 0.0},
    {"absolute_margin": 0.1, "range_min": 1},
    {"relative_margin": 0.05, "num_negatives": 1},
    {"max_score": 0.4, "min_score": 0.1, "num_negatives": 6},
    {"min_score": 0.3, "range_max": 40},
    {"absolute_margin": 0.02, "relative_margin": 0.1, "max_score": 0.9},
    {"sampling_strategy": "random", "range_max": 30},
    {"sampling_strategy": "random", "num_negatives": 7, "relative_margin": 0.05, "range_min": 1},
    {"sampling_strategy": "random", "num_negatives": 3, "max_score": 0.05, "range_max": 60},
    # More candidates than there are texts.
    {"range_max": 400, "num_negatives": 20},
]


def sentences(count, seed):
    """Different texts, of which no two have the same words."""
    generator = random.Random(seed)
    found = {}
    while len(found) < count:
        words = generator.sample(WORDS, generator.randint(3, 9))
        found.setdefault(tuple(sorted(words)), " ".join(words))
    return list(found.values())


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Pairs, of which some share their anchor and some come twice, and a corpus with some of the positives in it."""
    folder = tmp_path_factory.mktemp("mining")
    anchors, documents = sentences(24, seed=1), sentences(120, seed=2)
    generator = random.Random(3)
    rows = [{"query": anchor, "answer": generator.choice(documents[:40])} for anchor in anchors]
    rows += [{"query": generator.choice(anchors), "answer": generator.choice(documents[:40])} for _ in range(12)]
    rows += [rows[2], rows[30]]
    return {
        "rows": rows, "corpus": documents[20:],
        "file": json_lines(folder / "pairs.jsonl", rows),
        "corpus_file": json_lines(folder / "corpus.jsonl", [{"text": text} for text in documents[20:]]),
    }


@pytest.fixture(scope="module")
def static(tmp_path_factory):
    folder = tmp_path_factory.mktemp("static") / "model"
    module = StaticEmbedding(word_piece(), embedding_dim=24)
    randomise(module, seed=5)
    SentenceTransformer(modules=[module], device="cpu").save_pretrained(str(folder))
    return folder


@pytest.fixture(scope="module")
def dense(small_tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dense") / "model"
    checkpoint(folder.parent / "base", small_tokenizer)
    modules = [Transformer(str(folder.parent / "base")), Pooling(WIDTH, pooling_mode="mean")]
    model = SentenceTransformer(modules=modules, prompts={"query": "query: ", "document": "", "web": "on the web: "},
                                device="cpu")
    model.eval().save_pretrained(str(folder))
    return folder


@pytest.fixture(scope="module")
def scorer(small_tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("scorer") / "model"
    checkpoint(folder, small_tokenizer, "ForSequenceClassification", num_labels=1, spread=2.0)
    return folder


def mine(data, model, tmp_path, corpus=True, scorer=None, seed=42, **options):
    """The rows of the original and ours, and what ours said."""
    theirs = dict(options)
    if corpus:
        theirs["corpus"] = data["corpus"]
    if scorer:
        theirs["cross_encoder"] = CrossEncoder(str(scorer), device="cpu")
    original = SentenceTransformer(str(model), device="cpu")
    random.seed(seed)
    expected = mine_hard_negatives(Dataset.from_list(data["rows"]), original, verbose=False, **theirs)
    flags = ["--seed", seed]
    if corpus:
        flags += ["--corpus", data["corpus_file"]]
    if scorer:
        flags += ["--cross-encoder", scorer]
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        flags += [flag] if value is True else [flag, value]
    done = run("mine-negatives", model, "--dataset", data["file"], *flags, "--output", tmp_path / "out.jsonl", "--json")
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    return expected, found, done


def same(expected, found, measured):
    """Texts and labels are equal, scores nearly so."""
    assert len(found) == len(expected)
    for theirs, ours in zip(expected, found, strict=True):
        assert list(ours) == list(theirs)
        for name in ["score", "scores"]:
            if name in theirs:
                measured(NAME, close(ours.pop(name), theirs.pop(name)))
        assert ours == theirs


@pytest.mark.sampled(20)
@pytest.mark.parametrize("settings", range(len(SETTINGS)))
@pytest.mark.parametrize("output_format", FORMATS)
@pytest.mark.parametrize("kind", ["static", "dense"])
@pytest.mark.parametrize("output_scores", [True, False])
def test_every_option(data, static, dense, tmp_path, kind, settings, output_format, output_scores, measured):
    options = SETTINGS[settings] | {"output_format": output_format}
    if output_scores:
        options["output_scores"] = True
    model = {"static": static, "dense": dense}[kind]
    expected, found, _ = mine(data, model, tmp_path, corpus=settings % 3 > 0, **options)
    same(expected, found, measured)


@pytest.mark.parametrize("settings", [{"num_negatives": 9}, {"range_max": 6, "num_negatives": 4, "range_min": 1}])
def test_positives_among_the_candidates(data, dense, tmp_path, settings, measured):
    expected, found, done = mine(data, dense, tmp_path, include_positives=True, output_scores=True, **settings)
    same(expected, found, measured)
    assert "--include-positives writes n-tuples" in done.stderr


@pytest.mark.parametrize("options", [
    {"relative_margin": 0.05}, {"absolute_margin": 0.0, "output_format": "labeled-pair", "num_negatives": 2},
    {"min_score": -0.5, "max_score": 0.7, "output_format": "labeled-list"},
    {"min_score": -0.5, "output_format": "n-tuple", "range_max": 20, "sampling_strategy": "random"}, {},
])
def test_a_cross_encoder(data, static, scorer, tmp_path, options, measured):
    expected, found, done = mine(data, static, tmp_path, scorer=scorer, output_scores=True, **options)
    same(expected, found, measured)
    assert ("--cross-encoder has no effect" in done.stderr) == (not options)


@pytest.mark.parametrize("similarity", ["dot", "euclidean", "manhattan"])
def test_other_similarities(data, dense, tmp_path, similarity, measured):
    folder = tmp_path / "model"
    model = SentenceTransformer(str(dense), device="cpu", similarity_fn_name=similarity)
    model.save_pretrained(str(folder))
    for options in [{}, {"relative_margin": 0.1, "range_max": 50, "output_format": "labeled-list"}]:
        expected, found, _ = mine(data, folder, tmp_path, output_scores=True, **options)
        same(expected, found, measured)


@pytest.mark.parametrize("options", [
    {"query_prompt": "ask: ", "corpus_prompt": "text: "}, {"query_prompt_name": "web"},
    {"corpus_prompt_name": "web", "query_prompt": "x "},
])
def test_prompts(data, dense, tmp_path, options, measured):
    expected, found, _ = mine(data, dense, tmp_path, output_scores=True, **options)
    same(expected, found, measured)


def test_deprecated_names(data, static, tmp_path, measured):
    for options in [{"margin": 0.05}, {"output_format": "n-tuple-scores"}]:
        expected, found, done = mine(data, static, tmp_path, **options)
        same(expected, found, measured)
        assert "is deprecated" in done.stderr
    model = SentenceTransformer(str(static), device="cpu")
    expected = mine_hard_negatives(Dataset.from_list(data["rows"]), model, as_triplets=False, verbose=False)
    found = run("mine-negatives", static, "--dataset", data["file"], "--no-as-triplets").stdout.splitlines()
    same(expected, [json.loads(line) for line in found], measured)


def test_columns_by_name(data, static, tmp_path, measured):
    rows = [{"id": str(index), "answer": row["answer"], "query": row["query"]}
            for index, row in enumerate(data["rows"])]
    model = SentenceTransformer(str(static), device="cpu")
    names = {"anchor_column_name": "query", "positive_column_name": "answer"}
    expected = mine_hard_negatives(Dataset.from_list(rows), model, verbose=False, **names)
    flags = ["--anchor-column-name", "query", "--positive-column-name", "answer"]
    done = run("mine-negatives", static, "--dataset", json_lines(tmp_path / "rows.jsonl", rows), *flags)
    same(expected, [json.loads(line) for line in done.stdout.splitlines()], measured)


def test_names_on_the_hub(static, server, client):
    """Sets without a conversion, or with half of one, are read by their card and the names of their files."""
    rows = "".join(json.dumps({"query": text, "answer": other}) + "\n" for text, other in
                   zip(sentences(40, seed=4), sentences(40, seed=5)))
    first, second = ("".join(part).encode() for part in (rows.splitlines(True)[:9], rows.splitlines(True)[9:]))
    plain = {"train.jsonl": first, "extra.jsonl": second, "notes.txt": b"no rows", "config.json": b"{}"}
    server.add("owner/plain", plain, kind="datasets")
    card = (
        b"---\nconfigs:\n- {config_name: all, data_files: 'files/*.jsonl'}\n"
        b"- {config_name: hard, default: true, data_files: [{split: train, path: files/x.jsonl}]}\n---\n"
    )
    carded = {"README.md": card, "files/x.jsonl": first, "files/y.jsonl": second}
    server.add("owner/carded", carded, kind="datasets")
    half = server.add("owner/half", carded, kind="datasets")
    half.converts["refs/convert/parquet"] = half.commit({"hard/partial-train/0000.parquet": b"half"}, branch="scratch")
    del half.branches["scratch"]
    flags = ["--num-negatives", "1", "--range-max", "5", "--output-format", "triplet"]

    def mined(name):
        return len(client.ok("mine-negatives", static, "--dataset", name, *flags).splitlines())

    counts = {name: mined(f"owner/{name}") for name in ("plain", "carded", "carded:all", "carded:hard:train", "half")}
    assert counts == {"plain": 9, "carded": 9, "carded:all": 40, "carded:hard:train": 9, "half": 9}
    error = client.fails("mine-negatives", static, "--dataset", "owner/carded:easy", *flags)
    assert 'has no split "easy"; expected one of "train"' in error


@pytest.mark.parametrize("options", [
    {"relative_margin": 0.05, "max_score": 0.6, "num_negatives": 5}, {"output_format": "n-tuple", "num_negatives": 30},
    {"output_format": "labeled-pair", "min_score": 0.2, "range_min": 1},
    {"output_format": "labeled-list", "absolute_margin": 0.1, "relative_margin": 0.05},
])
def test_statistics(data, static, tmp_path, options, capsys):
    """The table and the counts that the original prints, on standard error here."""
    model = SentenceTransformer(str(static), device="cpu")
    mine_hard_negatives(Dataset.from_list(data["rows"]), model, **options)
    printed = capsys.readouterr().out
    _, _, done = mine(data, static, tmp_path, corpus=False, **options)
    names = ["Count", "Mean", "Median", "Std", "Min", "25%", "50%", "75%", "Max"]

    def table(text):
        rows = [line.replace("∞", "inf").split() for line in text.splitlines()]
        return [list(map(float, row[1:])) for name in names for row in rows if row and row[0] == name]

    expected, found = table(printed), table(done.stderr)
    assert len(found) == len(names)
    for theirs, ours in zip(expected, found, strict=True):
        numpy.testing.assert_allclose(ours, theirs, atol=1.1e-4)

    def skipped(text):
        return re.findall(r"kipped ([\d,]+) potential negatives \(([\d.]+%)\) due to the (\w+) of ([\d.]*\d)", text)

    assert skipped(done.stderr) == skipped(printed)
    missing = re.findall(r"for ([\d,]+) samples \(([\d.]+%)\)", printed)
    assert re.findall(r"for ([\d,]+) samples \(([\d.]+%)\)", done.stderr) == missing


def test_kept_embeddings_are_those_of_the_original(data, dense, tmp_path, measured):
    cache = tmp_path / "cache"
    first = run("mine-negatives", dense, "--dataset", data["file"], "--cache-folder", cache, "--output-scores")
    [corpus] = cache.glob("corpus_embeddings_*.npy")
    [queries] = cache.glob("query_embeddings_*.npy")
    model = SentenceTransformer(str(dense), device="cpu")
    for path, encode, column in [(queries, model.encode_query, "query"), (corpus, model.encode_document, "answer")]:
        texts = list(dict.fromkeys(row[column] for row in data["rows"]))
        theirs = encode(texts, normalize_embeddings=True)
        measured("mining: embeddings, largest difference", close(numpy.load(path), theirs))
    again = run("mine-negatives", dense, "--dataset", data["file"], "--cache-folder", cache, "--output-scores")
    assert again.stdout == first.stdout


def test_refusals(data, static, dense, scorer, tmp_path):
    def refused(*flags, model=static, dataset=data["file"], code=1):
        return refusal("mine-negatives", model, "--dataset", dataset, *flags, code=code)

    said = refused("--range-min", 7, "--range-max", 7)
    assert "--range-min: is 7; expected less than --range-max, which is 7" in said
    assert "--num-negatives: is 0; expected 1" in refused("--num-negatives", 0)
    assert "column \"nowhere\"" in refused("--anchor-column-name", "nowhere")
    assert "expected a reranker" in refused("--cross-encoder", dense, "--max-score", 1)
    empty = json_lines(tmp_path / "empty.jsonl", [{"query": "a", "answer": "b"}, {"query": "a", "answer": ""}])
    assert "empty.jsonl: line 2: column \"answer\" is empty; expected a text" in refused(dataset=empty)
    assert "--margin and --absolute-margin" in refused("--margin", 0, "--absolute-margin", 0, code=64)
    csv = ["--output", tmp_path / "rows.csv", "--output-scores"]
    assert "expected an --output ending in .jsonl" in refused(*csv, code=64)
    assert not (tmp_path / "rows.csv").exists()
    assert "expected" in refused(model=scorer)
