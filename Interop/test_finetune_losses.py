"""Losses of random embeddings and their gradients, ours against sentence-transformers.

Needs the program ettin-probe, whose folder is named by ETTIN_BIN_DIR. The originals are called through a model that gives
back the embeddings it is asked about, and so is a guide; what a recipe says is turned into their arguments.
"""

import json
import os
import subprocess

import pytest
import torch
from sentence_transformers import util
from sentence_transformers.sentence_transformer import losses
from sentence_transformers.sentence_transformer.losses import SiameseDistanceMetric, TripletDistanceMetric
from transformers import ModernBertConfig, ModernBertModel, PreTrainedTokenizerBase

PROBE = os.path.join(os.environ.get("ETTIN_BIN_DIR", ".build/release"), "ettin-probe")
ROWS, WIDTH = 7, 6
MNRL, CACHED = "MultipleNegativesRankingLoss", "CachedMultipleNegativesRankingLoss"
GIST, CACHED_GIST = "GISTEmbedLoss", "CachedGISTEmbedLoss"
ALL = ["query_to_doc", "query_to_query", "doc_to_query", "doc_to_doc"]


class SharedTokenizer(PreTrainedTokenizerBase):
    """As both models have the same, the guide reads what the model reads."""

    def __init__(self):
        pass

    def get_vocab(self):
        return {}


class StandIn(torch.nn.Module):
    """Gives one of the tensors that the features of a column are."""

    tokenizer = SharedTokenizer()
    max_seq_length = 512
    device = torch.device("cpu")

    def __init__(self, key, width):
        super().__init__()
        self.key, self.width = key, width

    def __getitem__(self, index):
        return self

    def get_embedding_dimension(self):
        return self.width

    def forward(self, features, **options):
        return {"sentence_embedding": features[self.key]}


class Probe:
    def __init__(self, *arguments):
        command = [PROBE, *arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(timeout=60) == 0


@pytest.fixture(scope="module")
def probe():
    probe = Probe("losses")
    yield probe
    probe.close()


METRICS = {"TripletLoss": TripletDistanceMetric, "ContrastiveLoss": SiameseDistanceMetric}
METRICS["OnlineContrastiveLoss"] = SiameseDistanceMetric


def original(recipe, model, guide):
    """The original's loss of what a recipe says."""
    recipe = {"type": recipe} if isinstance(recipe, str) else dict(recipe)
    kind = recipe.pop("type")
    for key, value in recipe.items():
        if key == "similarity_fct":
            recipe[key] = getattr(util, value)
        elif key == "distance_metric":
            recipe[key] = getattr(METRICS[kind], value)
        elif key in ("loss_fct", "cos_score_transformation"):
            recipe[key] = getattr(torch.nn, value)()
        elif key == "loss":
            recipe[key] = original(value, model, guide)
        elif key == "guide":
            recipe[key] = guide
    return getattr(losses, kind)(model, **recipe)


def both(probe, recipe, columns=2, labels=None, width=WIDTH, rows=ROWS, seed=0, embeddings=None, guide=None):
    """The loss and the gradients of ours and of the original."""
    generator = torch.Generator().manual_seed(seed)
    if embeddings is None:
        # Rows of a pair are similar, as those of a model become.
        base = torch.randn(rows, width, generator=generator)
        embeddings = [base + torch.randn(rows, width, generator=generator) * 0.8 for _ in range(columns)]
    guide = guide or [torch.randn(len(embeddings[0]), 4, generator=generator) for _ in embeddings]
    request = {"loss": recipe, "embeddings": [column.tolist() for column in embeddings], "labels": labels}
    ours = probe(**request, guide=[column.tolist() for column in guide])
    leaves = [column.clone().requires_grad_() for column in embeddings]
    features = [{"own": leaf, "guide": known} for leaf, known in zip(leaves, guide)]
    loss = original(recipe, StandIn("own", embeddings[0].shape[1]), StandIn("guide", 4))
    value = loss(features, None if labels is None else torch.tensor(labels))
    value.backward()
    return ours, (value.item(), [leaf.grad for leaf in leaves])


def check(probe, recipe, *arguments, tolerance=1e-5, **options):
    ours, (value, gradients) = both(probe, recipe, *arguments, **options)
    assert "error" not in ours, ours["error"]
    for key in ("loss", "value"):
        assert ours[key] == pytest.approx(value, rel=tolerance, abs=tolerance), key
    largest = max(gradient.abs().max().item() for gradient in gradients if gradient is not None)
    for number, gradient in enumerate(gradients):
        found = torch.tensor(ours["gradients"][number])
        expected = torch.zeros_like(found) if gradient is None else gradient
        assert (found - expected).abs().max().item() <= tolerance * max(largest, 1), f"gradients of column {number}"


def reals(rows=ROWS, low=-1.0, high=1.0, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(rows, generator=generator) * (high - low) + low).tolist()


def lists(count, rows=ROWS, seed=2):
    return (torch.randn(rows, count, generator=torch.Generator().manual_seed(seed)) * 3).tolist()


CLASSES = [1, 0, 0, 1, 1, 0, 1]


@pytest.mark.parametrize("columns", [2, 3, 4])
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"scale": 3.5},
        {"similarity_fct": "dot_score", "scale": 1},
        {"similarity_fct": "euclidean_sim", "scale": 2},
        {"similarity_fct": "manhattan_sim", "scale": 0.5},
        {"directions": ["query_to_doc", "doc_to_query"], "partition_mode": "per_direction"},
        {"directions": ["query_to_doc", "query_to_query"]},
        {"directions": ["doc_to_doc", "query_to_doc"]},
        {"directions": ALL},
        *({"hardness_mode": mode, "hardness_strength": 5} for mode in ("in_batch_negatives", "hard_negatives")),
        {"hardness_mode": "all_negatives", "hardness_strength": 2.5, "directions": ALL},
        {"hardness_mode": "all_negatives"},
    ],
    ids=str,
)
def test_multiple_negatives(probe, columns, arguments):
    check(probe, {"type": MNRL, **arguments}, columns)
    for size in (3, 100):
        check(probe, {"type": CACHED, **arguments, "mini_batch_size": size}, columns)


@pytest.mark.parametrize("kind", ["MultipleNegativesSymmetricRankingLoss", "CachedMultipleNegativesSymmetricRankingLoss"])
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_symmetric_aliases(probe, kind):
    for columns in (2, 3):
        check(probe, {"type": kind, "scale": 7}, columns)


@pytest.mark.parametrize("similarity", ["pairwise_cos_sim", "pairwise_dot_score", "pairwise_euclidean_sim",
                                        "pairwise_manhattan_sim", "pairwise_angle_sim"])  # fmt: skip
def test_cosent(probe, similarity):
    for labels in (reals(), CLASSES, [1.0] * ROWS, [0.5, 0.5, 0.1, 0.9, 0.1, 0.5, -2.0]):
        check(probe, {"type": "CoSENTLoss", "similarity_fct": similarity, "scale": 4}, 2, labels, tolerance=3e-5)
    check(probe, "CoSENTLoss", 2, [0.3], rows=1)


@pytest.mark.parametrize("width", [5, 6])
def test_angle(probe, width):
    check(probe, "AnglELoss", 2, reals(), width=width)
    check(probe, "AnglELoss", 2, CLASSES, width=width)
    for columns in (3, 4):
        check(probe, {"type": "AnglELoss", "scale": 5}, columns, width=width)
        check(probe, "AnglELoss", columns, reals(low=0), width=width)


@pytest.mark.parametrize("function", ["MSELoss", "L1Loss"])
@pytest.mark.parametrize("transformation", ["Identity", "ReLU", "Sigmoid", "Tanh"])
def test_cosine_similarity(probe, function, transformation):
    recipe = {"type": "CosineSimilarityLoss", "loss_fct": function, "cos_score_transformation": transformation}
    check(probe, recipe, 2, reals())
    check(probe, recipe, 2, CLASSES)


@pytest.mark.parametrize("similarity", ["pairwise_dot_score", "pairwise_cos_sim", "pairwise_euclidean_sim"])
def test_distillation(probe, similarity):
    margin = {"type": "MarginMSELoss", "similarity_fct": similarity}
    check(probe, margin, 3, reals())
    check(probe, margin, 3, lists(1))
    for columns in (3, 4, 5):
        check(probe, margin, columns, lists(columns - 2))
        check(probe, margin, columns, lists(columns - 1))
        check(probe, {"type": "DistillKLDivLoss", "similarity_fct": similarity}, columns, lists(columns - 1))
    temperatures = {"temperature": 2, "student_temperature": 0.5, "teacher_temperature": 3}
    for keys in (["temperature"], ["temperature", "student_temperature"], ["teacher_temperature"], list(temperatures)):
        recipe = {"type": "DistillKLDivLoss", **{key: temperatures[key] for key in keys}}
        check(probe, recipe, 4, lists(3))


def test_teacher_that_is_sure_of_itself(probe):
    labels = [[300.0, 0.0, -50.0]] * ROWS
    check(probe, "DistillKLDivLoss", 4, labels)


@pytest.mark.parametrize("metric", ["COSINE", "EUCLIDEAN", "MANHATTAN"])
@pytest.mark.parametrize("margin", [5, 0.2])
def test_triplet(probe, metric, margin):
    check(probe, {"type": "TripletLoss", "distance_metric": metric, "triplet_margin": margin}, 3)


@pytest.mark.parametrize("metric", ["EUCLIDEAN", "MANHATTAN", "COSINE_DISTANCE"])
@pytest.mark.parametrize("margin", [0.5, 2])
def test_contrastive(probe, metric, margin):
    for labels in (CLASSES, [float(label) for label in CLASSES]):
        for averages in (True, False):
            recipe = {"type": "ContrastiveLoss", "distance_metric": metric, "margin": margin, "size_average": averages}
            check(probe, recipe, 2, labels)
    for seed in range(3):
        for labels in (CLASSES, [0] * ROWS, [1] * ROWS):
            recipe = {"type": "OnlineContrastiveLoss", "distance_metric": metric, "margin": margin}
            check(probe, recipe, 2, labels, seed=seed)


def test_embeddings_of_a_teacher(probe):
    for columns in (1, 2, 3):
        check(probe, "MSELoss", columns, lists(WIDTH))
    # One teacher's embedding for each column, which a recipe's labels give end to end.
    labels = lists(2 * WIDTH)
    ours, (value, gradients) = both(probe, "MSELoss", 2, torch.tensor(labels).reshape(ROWS, 2, WIDTH).tolist())
    assert "error" in ours  # Lists of lists are those of a recipe alone.
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(ROWS, WIDTH, generator=generator)
    columns = [base + torch.randn(ROWS, WIDTH, generator=generator) * 0.8 for _ in range(2)]
    flat = probe(loss="MSELoss", embeddings=[column.tolist() for column in columns], labels=labels)
    assert flat["loss"] == pytest.approx(value, rel=1e-5)
    assert torch.allclose(torch.tensor(flat["gradients"]), torch.stack(gradients), atol=1e-6)


GUIDED = [
    {},
    {"temperature": 0.2},
    {"margin": 0.1},
    {"margin": -0.3, "contrast_anchors": False},
    {"margin_strategy": "relative", "margin": 0.2, "contrast_positives": False},
    {"contrast_anchors": False, "contrast_positives": False},
]


@pytest.mark.parametrize("arguments", GUIDED, ids=str)
def test_guided(probe, arguments):
    for seed in range(3):
        for columns in (2, 3):
            check(probe, {"type": GIST, "guide": "guide", **arguments}, columns, seed=seed, tolerance=3e-5)
        for columns in (2, 3, 4):
            recipe = {"type": CACHED_GIST, "guide": "guide", "mini_batch_size": 3, **arguments}
            check(probe, recipe, columns, seed=seed, tolerance=3e-5)


def test_texts_that_occur_twice_are_no_nearer_to_a_guide_than_themselves(probe):
    """Of equal texts in a batch none is masked for being a little more similar than itself."""
    generator = torch.Generator().manual_seed(5)
    guide = [torch.randn(12, 384, generator=generator) for _ in range(2)]
    for row in range(6, 12):
        guide[1][row] = guide[1][row - 6]
        guide[0][row] = guide[0][row - 6]
    embeddings = [torch.randn(12, 8, generator=generator) for _ in range(2)]
    for kind in (GIST, CACHED_GIST):
        recipe = {"type": kind, "guide": "guide", "temperature": 0.2}
        check(probe, recipe, embeddings=embeddings, guide=guide, tolerance=3e-5)


@pytest.mark.parametrize(
    "inner, columns, labels",
    [
        (MNRL, 3, None),
        ({"type": MNRL, "directions": ALL, "similarity_fct": "dot_score"}, 2, None),
        ({"type": CACHED, "mini_batch_size": 3}, 2, None),
        ({"type": CACHED, "mini_batch_size": 2, "hardness_mode": "all_negatives", "hardness_strength": 3}, 4, None),
        ({"type": GIST, "guide": "guide", "temperature": 0.2}, 3, None),
        ({"type": CACHED_GIST, "guide": "guide", "temperature": 0.2, "mini_batch_size": 3}, 3, None),
        ("CoSENTLoss", 2, reals()),
        ("AnglELoss", 2, reals()),
        ("CosineSimilarityLoss", 2, reals()),
        ("MarginMSELoss", 4, lists(3)),
        ("DistillKLDivLoss", 4, lists(3)),
        ("TripletLoss", 3, None),
        ("ContrastiveLoss", 2, CLASSES),
        ("MSELoss", 2, lists(WIDTH)),
    ],
    ids=str,
)
def test_matryoshka(probe, inner, columns, labels):
    for sizes, weights in (([6, 3, 2], None), ([2, 6], [0.25, 1]), ([3], [2.0])):
        recipe = {"type": "MatryoshkaLoss", "loss": inner, "matryoshka_dims": sizes}
        if weights:
            recipe["matryoshka_weights"] = weights
        check(probe, recipe, columns, labels, tolerance=3e-5)


@pytest.mark.parametrize(
    "recipe, columns, labels, message",
    [
        ({"type": MNRL, "scale": 0}, 2, None, "above 0"),
        ({"type": MNRL, "directions": ["doc_to_doc"]}, 2, None, "query_to_doc"),
        ({"type": MNRL, "directions": ALL, "partition_mode": "per_direction"}, 2, None, "per_direction"),
        ({"type": MNRL, "hardness_strength": -1}, 2, None, "0 or more"),
        ("CoSENTLoss", 2, lists(2), "CoSENTLoss"),
        ("MarginMSELoss", 3, lists(3), "MarginMSELoss"),
        ("DistillKLDivLoss", 4, lists(2), "DistillKLDivLoss"),
        ("DistillKLDivLoss", 2, lists(1), "candidates"),
        ("TripletLoss", 2, None, "3 columns"),
        ({"type": "MatryoshkaLoss", "loss": MNRL, "matryoshka_dims": [7]}, 2, None, "1 to 6"),
        ({"type": "MatryoshkaLoss", "loss": MNRL, "matryoshka_dims": []}, 2, None, "matryoshka_dims"),
    ],
    ids=str,
)
def test_what_the_originals_refuse_is_refused(probe, recipe, columns, labels, message):
    embeddings = torch.randn(columns, ROWS, WIDTH, generator=torch.Generator().manual_seed(0))
    ours = probe(loss=recipe, embeddings=embeddings.tolist(), labels=labels)
    assert message in ours.get("error", ""), ours
    with pytest.raises((ValueError, RuntimeError)):
        loss = original(recipe, StandIn("own", WIDTH), StandIn("guide", 4))
        loss([{"own": column} for column in embeddings], None if labels is None else torch.tensor(labels))


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_where_a_batch_is_cut_changes_nothing(tmp_path, dropout):
    """With dropout everywhere, attention's weights among it, and the original's loss and norm without."""
    config = ModernBertConfig(
        vocab_size=200, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=2,
        local_attention=8, pad_token_id=0, bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2,
        attention_dropout=dropout, mlp_dropout=dropout, embedding_dropout=dropout,
    )  # fmt: skip
    torch.manual_seed(3)
    model = ModernBertModel(config)
    model.save_pretrained(tmp_path)
    generator = torch.Generator().manual_seed(4)
    lengths = torch.randint(1, 30, (3, 9), generator=generator)
    columns = [[torch.randint(3, 200, (int(n),), generator=generator).tolist() for n in row] for row in lengths]
    cuts = [{}, {"mini_batch_size": 1}, {"mini_batch_size": 4}, {"mini_batch_size": 100}, {"mini_batch_num_tokens": 40}]
    found = []
    for cut in cuts:
        steps = Probe("bench-finetune", "contrastive", str(tmp_path), "float32", "1")
        assert "step" in json.loads(steps.process.stdout.readline())["operations"]
        answer = steps(op="step", columns=columns, learning_rate=0, **cut)
        steps.close()
        found.append([answer["loss"], answer["grad_norm"]])
    for outcome in found[1:]:
        assert outcome == pytest.approx(found[0], rel=1e-6)
    if dropout == 0:
        def vector(text):
            return model(torch.tensor([text])).last_hidden_state[0].mean(0)

        vectors = [torch.stack([vector(text) for text in column]) for column in columns]
        loss = losses.MultipleNegativesRankingLoss(StandIn("own", 32))([{"own": column} for column in vectors], None)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1e9)
        assert found[0] == pytest.approx([loss.item(), norm.item()], rel=1e-4)
