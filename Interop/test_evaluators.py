"""Evaluators beside those of sentence-transformers, and retrieval beside trec_eval.

Needs the programs ettin and ettin-probe, whose folder is named by ETTIN_BIN_DIR.
"""

import csv
import json
import os
import random
import subprocess
from pathlib import Path

import datasets
import numpy
import pytest
import pytrec_eval
from descendants import WIDTH, checkpoint, ettin, json_lines, randomise, refusal
from sentence_transformers import CrossEncoder, SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.cross_encoder.evaluation import (
    CrossEncoderNanoBEIREvaluator,
    CrossEncoderRerankingEvaluator,
)
from sentence_transformers.sentence_transformer.evaluation import (
    BinaryClassificationEvaluator,
    EmbeddingSimilarityEvaluator,
    InformationRetrievalEvaluator,
    NanoBEIREvaluator,
    RerankingEvaluator,
    SequentialEvaluator,
    TripletEvaluator,
)
from sentence_transformers.sentence_transformer.modules import Pooling
from sentence_transformers.util.similarity import SimilarityFunction

PROBE = os.path.join(os.environ.get("ETTIN_BIN_DIR", ".build/release"), "ettin-probe")
SHARED = os.environ.get("ETTIN_SHARED")
FUNCTIONS = ["cosine", "dot", "euclidean", "manhattan"]
PROMPTS = {"query": "query: ", "document": "passage: "}
WORDS = (
    "sea ship fox dog cat letter morning river stone bridge winter summer answer question house garden music night "
    "paper window captain island forest mountain train station market bread water fire"
).split()


def texts(count, seed, longest=14):
    """Sentences of common words, some of which say the same."""
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(1, longest))) + "." for _ in range(count)]


@pytest.fixture(scope="module")
def model(small_tokenizer, tmp_path_factory):
    """An embedder with prompts, and the original that read it."""
    folder = tmp_path_factory.mktemp("evaluators")
    checkpoint(folder / "base", small_tokenizer, "ForMaskedLM")
    modules = [Transformer(str(folder / "base")), Pooling(WIDTH, pooling_mode="mean")]
    SentenceTransformer(modules=modules, device="cpu", prompts=PROMPTS).eval().save_pretrained(str(folder / "model"))
    original = SentenceTransformer(str(folder / "model"), device="cpu")
    original.folder = folder / "model"
    return original


@pytest.fixture(scope="module")
def reranker(small_tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluators") / "reranker"
    checkpoint(folder, small_tokenizer, "ForSequenceClassification", num_labels=1)
    original = CrossEncoder(str(folder), device="cpu")
    randomise(original.model.classifier, seed=5)
    original.save_pretrained(str(folder))
    return CrossEncoder(str(folder), device="cpu"), folder


def ours(folder, evaluator, **request):
    request = {"model": str(folder), "evaluator": evaluator, **request}
    done = subprocess.run(
        [PROBE, "evaluate"], input=json.dumps(request) + "\n", capture_output=True, text=True, timeout=300, check=True
    )
    answer = json.loads(done.stdout)
    assert "error" not in answer, answer
    return answer


def compare(original, model, folder, recipe, tmp_path, measured, **request):
    """Compares the metrics, their order, the primary metric and the tables of two evaluations of ours with theirs."""
    theirs_folder, ours_folder = tmp_path / "theirs", tmp_path / "ours"
    for epoch, step in [(-1, -1), (0.5, 20)]:
        theirs = original(model, output_path=str(theirs_folder), epoch=epoch, steps=step)
        answer = ours(folder, recipe, output=str(ours_folder), epoch=epoch, step=step, **request)
        assert answer["order"] == list(theirs)
        assert answer["primary"] == original.primary_metric
        # Relative above 1, as the original computes in float32.
        largest = max(abs(answer["metrics"][key] - value) / max(1, abs(value)) for key, value in theirs.items())
        assert largest <= 1e-6, [
            (key, answer["metrics"][key], value) for key, value in theirs.items()
            if abs(answer["metrics"][key] - value) > 1e-6 * max(1, abs(value))]
        measured("evaluators: metrics, largest difference", largest)
    names = sorted(path.name for path in theirs_folder.iterdir())
    assert names == sorted(path.name for path in ours_folder.iterdir())
    for name in names:
        assert_equal_files(ours_folder / name, theirs_folder / name)


def assert_equal_files(ours, theirs):
    if ours.suffix == ".jsonl":
        pairs = zip(ours.read_text().splitlines(), theirs.read_text().splitlines(), strict=True)
        for left, right in [(json.loads(left), json.loads(right)) for left, right in pairs]:
            ids = [[hit["corpus_id"] for hit in line["results"]] for line in (left, right)]
            scores = [[hit["score"] for hit in line["results"]] for line in (left, right)]
            assert left["query_id"] == right["query_id"] and left["query"] == right["query"] and ids[0] == ids[1]
            numpy.testing.assert_allclose(scores[0], scores[1], atol=1e-5, rtol=1e-6)
        return
    assert ours.read_bytes().count(b"\r\n") == theirs.read_bytes().count(b"\r\n")
    ours, theirs = [list(csv.reader(path.open(newline=""))) for path in (ours, theirs)]
    assert len(ours) == len(theirs) == 3 and ours[0] == theirs[0]
    for left, right in zip(ours[1:], theirs[1:]):
        assert left[:2] == right[:2]
        numpy.testing.assert_allclose([float(x) for x in left], [float(x) for x in right], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("functions", [None, FUNCTIONS])
def test_triplets(model, tmp_path, measured, functions, training):
    anchors, positives, negatives = texts(60, 1), texts(60, 2), texts(60, 3)
    rows = [{"a": a, "p": p, "n": n} for a, p, n in zip(anchors, positives, negatives)]
    options = {"name": "dev", "margin": 0.01} | ({"similarity_fn_names": functions} if functions else {})
    recipe = {"type": "TripletEvaluator", "dataset": str(json_lines(tmp_path / "rows.jsonl", rows)), **options}
    original = TripletEvaluator(anchors, positives, negatives, **options)
    compare(original, model, model.folder, recipe, tmp_path, measured, training=training)


def retrieval_data(seed, queries=12, documents=150):
    """Queries, documents (some of them twice) and judgements."""
    draw = random.Random(seed)
    found = texts(documents, seed)
    found[7] = found[-9] = found[3]
    corpus = {f"d{number}": text for number, text in enumerate(found)}
    questions = {f"q{number}": text for number, text in enumerate(texts(queries, seed + 1, 6))}
    relevant = {query: set(draw.sample(sorted(corpus), draw.randint(1, 6))) for query in list(questions)[:-1]}
    relevant["q0"].add("not in the corpus")
    return questions, corpus, relevant


def beir(folder, queries, corpus, relevant, grade=lambda query, document: 1):
    (folder / "qrels").mkdir(parents=True)
    json_lines(folder / "queries.jsonl", [{"_id": key, "text": text} for key, text in queries.items()])
    json_lines(folder / "corpus.jsonl", [{"_id": key, "title": "", "text": text} for key, text in corpus.items()])
    lines = [
        f"{query}\t{document}\t{grade(query, document)}\n"
        for query, documents in relevant.items()
        for document in sorted(documents)
    ]
    (folder / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(lines))
    return folder


@pytest.mark.parametrize("options", [
    {},
    {"score_functions": FUNCTIONS, "truncate_dim": 7},
    {"ndcg_at_k": [3, 10], "map_at_k": [5, 100], "corpus_chunk_size": 40, "query_prompt": "Q ", "corpus_prompt": "D "},
    {"main_score_function": "cosine", "write_predictions": True},
])
def test_information_retrieval(model, tmp_path, measured, options):
    queries, corpus, relevant = retrieval_data(5)
    folder = beir(tmp_path / "beir", queries, corpus, relevant)
    theirs = dict(options)
    if "score_functions" in options:
        theirs["score_functions"] = {
            name: SimilarityFunction.to_similarity_fn(name) for name in options["score_functions"]
        }
    recipe = {"type": "InformationRetrievalEvaluator", "name": "toy", "dataset": str(folder), **options}
    original = InformationRetrievalEvaluator(queries, corpus, relevant, name="toy", **theirs)
    compare(original, model, model.folder, recipe, tmp_path, measured)


@pytest.mark.parametrize("options", [{}, {"similarity_fn_names": FUNCTIONS}, {"precision": "int8"}, {"precision": "ubinary"}])
def test_similarity_of_pairs(model, tmp_path, measured, options):
    ones, others = texts(80, 7), texts(80, 8)
    scores = [round(random.Random(row).random(), 1) for row in range(80)]
    rows = [{"score": score, "one": one, "other": other} for score, one, other in zip(scores, ones, others)]
    recipe = {"type": "EmbeddingSimilarityEvaluator", "name": "sts", **options}
    recipe["dataset"] = str(json_lines(tmp_path / "rows.jsonl", rows))
    original = EmbeddingSimilarityEvaluator(ones, others, scores, name="sts", **options)
    if "precision" in options:
        # Last bits of floats turn into whole steps now and then, and scores that are equal differ in the original's float32.
        theirs = original(model)
        found = ours(model.folder, recipe)["metrics"]
        assert all(abs(found[key] - value) < 2e-3 for key, value in theirs.items())
    else:
        compare(original, model, model.folder, recipe, tmp_path, measured)


@pytest.mark.parametrize("options", [{}, {"similarity_fn_names": FUNCTIONS, "truncate_dim": 12}])
def test_binary_classification(model, tmp_path, measured, options):
    ones, others = texts(90, 9), texts(90, 10)
    others[4], others[50] = ones[4], ones[50]
    labels = [random.Random(row).randint(0, 1) for row in range(90)]
    rows = [{"one": one, "other": other, "label": label} for one, other, label in zip(ones, others, labels)]
    recipe = {"type": "BinaryClassificationEvaluator", "name": "pairs", **options}
    recipe["dataset"] = str(json_lines(tmp_path / "rows.jsonl", rows))
    original = BinaryClassificationEvaluator(ones, others, labels, name="pairs", **options)
    compare(original, model, model.folder, recipe, tmp_path, measured)


def samples(seed, key, count=15):
    draw = random.Random(seed)
    pool = texts(60, seed)
    result = []
    for query in texts(count, seed + 1, 5):
        found = draw.sample(pool, 12)
        positive = found[:2] if key == "negative" else [found[0], pool[-1], found[5]][: draw.randint(1, 3)]
        positive = list(dict.fromkeys(positive))
        others = found[2:] if key == "negative" else found[1 if draw.random() < 0.3 else 0 :]
        result.append({"query": query, "positive": positive, key: others})
    return result


def test_reranking_by_embeddings(model, tmp_path, measured):
    rows = samples(11, "negative") + [{"query": "x", "positive": [], "negative": ["a"]}]
    recipe = {"type": "RerankingEvaluator", "name": "rr", "at_k": 4}
    recipe["dataset"] = str(json_lines(tmp_path / "rows.jsonl", rows))
    original = RerankingEvaluator(rows, name="rr", at_k=4)
    compare(original, model, model.folder, recipe, tmp_path, measured)


@pytest.mark.parametrize("always", [True, False])
@pytest.mark.parametrize("key", ["negative", "documents"])
def test_rerankers(reranker, tmp_path, measured, key, always):
    original, folder = reranker
    rows = samples(13, key)
    options = {"name": "dev", "always_rerank_positives": always}
    recipe = {"type": "CrossEncoderRerankingEvaluator", **options}
    recipe["dataset"] = str(json_lines(tmp_path / "rows.jsonl", rows))
    theirs = CrossEncoderRerankingEvaluator(rows, **options)
    theirs.primary_metric = f"dev_{theirs.primary_metric}"
    compare(theirs, original, folder, recipe, tmp_path, measured, reranker=True)


def nano_folder(folder, names):
    """NanoBEIR in the layout of the Hub, as JSON Lines, and its subsets as the originals load them."""
    subsets = {}
    for place, name in enumerate(names):
        queries, corpus, relevant = retrieval_data(20 + place, 6, 50)
        relevant["q0"].discard("not in the corpus")
        corpus["empty"] = ""
        draw = random.Random(place)
        subsets["queries", name] = [{"_id": key, "text": text} for key, text in queries.items()]
        subsets["corpus", name] = [{"_id": key, "text": text} for key, text in corpus.items()]
        lists = place == 0
        subsets["qrels", name] = [
            row
            for query, documents in relevant.items()
            for row in (
                [{"query-id": query, "corpus-id": sorted(documents)}]
                if lists
                else [{"query-id": query, "corpus-id": document} for document in sorted(documents)]
            )
        ]
        subsets["bm25", name] = [
            {"query-id": query, "corpus-ids": draw.sample(sorted(corpus), 40)} for query in relevant
        ]
    for (subset, name), rows in subsets.items():
        (folder / subset).mkdir(parents=True, exist_ok=True)
        json_lines(folder / subset / f"{name}-00000-of-00001.jsonl", rows)
    return subsets


def loading_from(subsets):
    return lambda self, subset, split, required_columns: datasets.Dataset.from_list(subsets[subset, split])


@pytest.mark.parametrize("options", [{}, {"truncate_dim": 9, "query_prompts": "Q ", "ndcg_at_k": [5, 10]}])
def test_nano_beir(model, tmp_path, measured, monkeypatch, options):
    subsets = nano_folder(tmp_path / "nano", ["NanoMSMARCO", "NanoNQ"])
    monkeypatch.setattr(NanoBEIREvaluator, "_load_dataset_subset_split", loading_from(subsets))
    original = NanoBEIREvaluator(["msmarco", "nq"], **options)
    recipe = {"type": "NanoBEIREvaluator", "dataset_names": ["msmarco", "nq"], "dataset_id": str(tmp_path / "nano")}
    compare(original, model, model.folder, {**recipe, **options}, tmp_path, measured)


def test_nano_beir_of_rerankers(reranker, tmp_path, measured, monkeypatch):
    original, folder = reranker
    subsets = nano_folder(tmp_path / "nano", ["NanoSciFact", "NanoFEVER"])
    monkeypatch.setattr(CrossEncoderNanoBEIREvaluator, "_load_dataset_subset_split", loading_from(subsets))
    names = ["scifact", "fever"]
    theirs = CrossEncoderNanoBEIREvaluator(names, rerank_k=20)
    theirs.primary_metric = f"{theirs.name}_{theirs.primary_metric}"
    recipe = {"type": "CrossEncoderNanoBEIREvaluator", "dataset_names": names, "rerank_k": 20}
    recipe["dataset_id"] = str(tmp_path / "nano")
    compare(theirs, original, folder, recipe, tmp_path, measured, reranker=True)


def test_one_after_the_other(model, tmp_path, measured):
    rows = [{"a": a, "p": p, "n": n} for a, p, n in zip(texts(20, 1), texts(20, 2), texts(20, 3))]
    path = str(json_lines(tmp_path / "rows.jsonl", rows))
    columns = [[row[key] for row in rows] for key in "apn"]
    original = SequentialEvaluator([TripletEvaluator(*columns, name="one"), TripletEvaluator(*columns, name="two", margin=0.2)])
    recipe = [
        {"type": "TripletEvaluator", "name": "one", "dataset": path},
        {"type": "TripletEvaluator", "name": "two", "dataset": path, "margin": 0.2},
    ]
    compare(original, model, model.folder, recipe, tmp_path, measured)


# MARK: - trec_eval

MEASURES = {"ndcg": "ndcg_cut", "map": "map_cut", "recall": "recall", "precision": "P", "hit_rate": "success"}
CUTOFFS = [1, 3, 5, 10, 20, 100, 1000]


def trec_eval(run, judgements):
    """The means of trec_eval over the queries with judgements, by our keys."""
    names = {f"{name}.{','.join(map(str, CUTOFFS))}" for name in MEASURES.values()}
    found = pytrec_eval.RelevanceEvaluator(judgements, names | {"recip_rank"}).evaluate(run)
    means = {
        f"{ours}@{k}": numpy.sum([values[f"{theirs}_{k}"] for values in found.values()]) / len(judgements)
        for ours, theirs in MEASURES.items()
        for k in CUTOFFS
    }
    # The reciprocal rank of what is beyond the cut-off is 0.
    for k in CUTOFFS:
        ranks = [values["recip_rank"] for values in found.values()]
        means[f"mrr@{k}"] = sum(rank if rank and 1 / rank <= k + 0.5 else 0 for rank in ranks) / len(judgements)
    return means


def read_run(path):
    run = {}
    for line in path.read_text().splitlines():
        query, _, document, rank, score, _ = line.split(" ")
        assert int(rank) == len(run.setdefault(query, {})) + 1
        run[query][document] = float(score)
    return run


def retrieval(*arguments):
    cutoffs = ",".join(map(str, CUTOFFS))
    return json.loads(ettin("evaluate", "retrieval", *arguments, "--k", cutoffs, "--json"))


def check_run(result, run, judgements, measured):
    theirs = trec_eval(run, judgements)
    assert set(result["metrics"]) == set(theirs)
    largest = max(abs(result["metrics"][key] - value) for key, value in theirs.items())
    assert largest <= 1e-6, {key: (result["metrics"][key], value) for key, value in theirs.items()}
    measured("evaluators: metrics beside trec_eval, largest difference", largest)


@pytest.mark.parametrize("similarity", FUNCTIONS)
def test_metrics_of_a_run_are_those_of_trec_eval(model, tmp_path, measured, similarity):
    queries, corpus, relevant = retrieval_data(31)
    grades = {query: {document: (len(document) + len(query)) % 4 - 1 for document in found} for query, found in relevant.items()}
    grades["q1"] = dict.fromkeys(grades["q1"], 0)
    folder = beir(tmp_path / "beir", queries, corpus, relevant, lambda query, document: grades[query][document])
    path = tmp_path / "run.txt"
    found = retrieval(model.folder, folder, "--run", path, "--similarity", similarity)
    assert found["queries"] == len(relevant) and found["documents"] == len(corpus)
    check_run(found["results"][0], read_run(path), grades, measured)
    # The ranking is that of the original's embeddings.
    vectors = [
        encode(list(found.values()), convert_to_tensor=True)
        for encode, found in [(model.encode_query, queries), (model.encode_document, corpus)]
    ]
    model.similarity_fn_name, before = similarity, model.similarity_fn_name
    scores = model.similarity(*vectors).numpy()
    model.similarity_fn_name = before
    for query, found in read_run(path).items():
        theirs = scores[list(queries).index(query)]
        numpy.testing.assert_allclose(
            [found[document] for document in corpus], theirs[: len(found)], atol=1e-5, rtol=1e-5
        )


def test_identical_ids_can_be_left_out(model, tmp_path):
    queries, corpus, relevant = retrieval_data(33)
    corpus |= {query: text for query, text in queries.items()}
    folder = beir(tmp_path / "beir", queries, corpus, relevant)
    for extra, expected in [([], True), (["--ignore-identical-ids"], False)]:
        path = tmp_path / "run.txt"
        retrieval(model.folder, folder, "--run", path, "--no-bm25", *extra)
        assert all((query in found) == expected for query, found in read_run(path).items())


@pytest.mark.skipif(not SHARED, reason="needs ../shared")
def test_cranfield(model, tmp_path, measured):
    folder = Path(SHARED) / "data/retrieval/cranfield"
    judgements = {}
    for line in (folder / "qrels/test.tsv").read_text().splitlines()[1:]:
        query, document, grade = line.split("\t")
        judgements.setdefault(query, {})[document] = int(grade)
    found = retrieval(model.folder, folder, "--run", tmp_path / "run.txt")
    check_run(found["results"][0], read_run(tmp_path / "run.txt"), judgements, measured)
    found = retrieval(folder, "--run", tmp_path / "bm25.txt")
    check_run(found["results"][0], read_run(tmp_path / "bm25.txt"), judgements, measured)
    # The reference of the collection, graded and binary.
    assert round(found["results"][0]["metrics"]["ndcg@10"], 3) == 0.315
    binary = {query: {document: 1 for document in grades} for query, grades in judgements.items()}
    assert round(trec_eval(read_run(tmp_path / "bm25.txt"), binary)["ndcg@10"], 3) == 0.333
    # The evaluator of training, by its own rules.
    corpus, queries = [
        {row["_id"]: f"{row.get('title', '')} {row['text']}".strip() for row in map(json.loads, path.open())}
        for path in (folder / "corpus.jsonl", folder / "queries.jsonl")
    ]
    original = InformationRetrievalEvaluator(queries, corpus, {key: set(value) for key, value in judgements.items()})
    recipe = {"type": "InformationRetrievalEvaluator", "dataset": str(folder)}
    compare(original, model, model.folder, recipe, tmp_path, measured)


def test_mistakes_are_named(model, tmp_path):
    queries, corpus, relevant = retrieval_data(35)
    folder = beir(tmp_path / "beir", queries, corpus, relevant)
    name = model.folder
    assert refusal("evaluate", "retrieval", name, folder, "--split", "dev").endswith(
        "is not there; expected a split of this folder: --split test"
    )
    (folder / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\tgood\n")
    assert "test.tsv: line 2 is \"q1\\td1\\tgood\"; expected" in refusal("evaluate", "retrieval", name, folder)
    (folder / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nnone\td1\t1\n")
    assert "judges none of the 12 queries" in refusal("evaluate", "retrieval", name, folder)
    refusal("evaluate", "retrieval", name, folder, "--k", "0", code=64)
    (folder / "corpus.jsonl").unlink()
    assert "corpus.jsonl is not there" in refusal("evaluate", "retrieval", name, folder, code=1)
