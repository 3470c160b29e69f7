"""Dense embedders: folders that sentence-transformers 6 has just written, through `ettin embed`.

Needs the program ettin, whose folder is named by ETTIN_BIN_DIR.
"""

import numpy
import pytest
import torch
from descendants import TEXTS, WIDTH, checkpoint, close, embeddings, ettin, kind, randomise, word_piece
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Router, Transformer
from sentence_transformers.sentence_transformer.modules import LayerNorm, Pooling, StaticEmbedding
from sentence_transformers.util import quantize_embeddings

MODES = ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]
NAME = "descendants: dense embeddings, largest difference"


@pytest.fixture(scope="module")
def base(small_tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dense") / "base"
    checkpoint(folder, small_tokenizer, "ForMaskedLM")
    return folder


def save(folder, modules, **options):
    """The folder of a chain of modules with random weights, and the original that read it again."""
    for index, module in enumerate(modules):
        if not isinstance(module, (Transformer, Router)):
            randomise(module, seed=20 + index)
    SentenceTransformer(modules=modules, device="cpu", **options).eval().save_pretrained(str(folder))
    return SentenceTransformer(str(folder), device="cpu")


def pooled(base, mode, **options):
    return [Transformer(str(base)), Pooling(WIDTH, pooling_mode=mode, **options)]


@pytest.mark.parametrize("mode", [*MODES, ["cls", "max", "mean"], ["lasttoken", "weightedmean"], MODES])
def test_every_pooling(base, tmp_path, mode, measured):
    model = save(tmp_path / "made", pooled(base, mode))
    theirs = model.encode(TEXTS)
    measured(NAME, close(embeddings(tmp_path / "made", *TEXTS, "--truncate"), theirs))
    # The same pooling by an option, on a folder that names none.
    flag = mode if isinstance(mode, str) else ",".join(mode)
    measured(NAME, close(embeddings(base, *TEXTS, "--truncate", "--pooling", flag), theirs))


def test_a_plain_folder_gets_the_mean_and_a_decoder_the_last_token(base, small_tokenizer, tmp_path, measured):
    checkpoint(tmp_path / "decoder", small_tokenizer, "ForCausalLM", decoder=True)
    for folder in [base, tmp_path / "decoder"]:
        theirs = SentenceTransformer(str(folder), device="cpu").encode(TEXTS)
        measured(NAME, close(embeddings(folder, *TEXTS, "--truncate"), theirs))
    assert kind(base) == "masked-lm" and kind(tmp_path / "decoder") == "causal-lm"


@pytest.mark.sampled(3)
@pytest.mark.parametrize("activation", [torch.nn.Tanh, torch.nn.GELU, torch.nn.ReLU, torch.nn.Identity, torch.nn.SiLU])
@pytest.mark.parametrize("out_features", [WIDTH, 24])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_chains_of_modules(base, tmp_path, activation, out_features, residual, bias, measured):
    modules = [
        *pooled(base, "mean"), LayerNorm(WIDTH),
        Dense(WIDTH, out_features, bias=bias, activation_function=activation(), use_residual=residual),
        Dense(out_features, 8, bias=not bias, activation_function=torch.nn.Tanh()), Normalize(),
    ]
    model = save(tmp_path / "made", modules)
    measured(NAME, close(embeddings(tmp_path / "made", *TEXTS, "--truncate"), model.encode(TEXTS)))
    assert kind(tmp_path / "made") == "embedding"


def test_a_projection_before_pooling(base, tmp_path, measured):
    key = "token_embeddings"
    dense = Dense(WIDTH, 12, module_input_name=key, module_output_name=key, activation_function=torch.nn.Tanh())
    model = save(tmp_path / "made", [Transformer(str(base)), dense, Pooling(12, pooling_mode="max")])
    measured(NAME, close(embeddings(tmp_path / "made", *TEXTS, "--truncate"), model.encode(TEXTS)))


@pytest.mark.parametrize("include_prompt", [True, False])
def test_prompts(base, tmp_path, include_prompt, measured):
    prompts = {"query": "search_query: ", "document": "doc:", "classification": "classification: "}
    modules = pooled(base, ["mean", "cls", "weightedmean", "lasttoken"], include_prompt=include_prompt)
    model = save(tmp_path / "made", modules, prompts=prompts, default_prompt_name="classification")
    texts = [*TEXTS, "  blanks around the text  "]
    for flags, theirs in [
        ([], model.encode(texts)),
        (["--task", "query"], model.encode_query(texts)),
        (["--task", "document"], model.encode_document(texts)),
        (["--prompt-name", "document"], model.encode(texts, prompt_name="document")),
        (["--prompt", "A: "], model.encode(texts, prompt="A: ")),
        (["--prompt", ""], model.encode(texts, prompt="")),
        # Longer than the context: of each text, the last special token is left.
        (["--prompt", "A letter came. " * 100], model.encode(texts, prompt="A letter came. " * 100)),
    ]:
        measured(NAME, close(embeddings(tmp_path / "made", *texts, "--truncate", *flags), theirs))


def test_truncated_widths(base, tmp_path, measured):
    model = save(tmp_path / "made", pooled(base, "mean"), truncate_dim=10)
    for flags, options in [
        ([], {}), (["--truncate-dim", 5], {"truncate_dim": 5}), (["--normalize"], {"normalize_embeddings": True}),
        (["--truncate-dim", 5, "--normalize"], {"truncate_dim": 5, "normalize_embeddings": True}),
    ]:
        theirs = model.encode(TEXTS, **options)
        ours = embeddings(tmp_path / "made", *TEXTS, "--truncate", *flags)
        assert ours.shape == theirs.shape
        measured(NAME, close(ours, theirs))


@pytest.mark.parametrize("precision, calibrated", [
    ("int8", False), ("uint8", False), ("int8", True), ("uint8", True), ("binary", False), ("ubinary", False)])
def test_precisions(base, tmp_path, precision, calibrated):
    model = save(tmp_path / "made", [*pooled(base, "mean"), Normalize()])
    texts = [f"{text} {number}" for number in range(20) for text in TEXTS[:-1] if text]
    (tmp_path / "calibration.txt").write_text("\n".join(texts) + "\n")
    flags = ["--truncate", "--precision", precision]
    if calibrated:
        flags += ["--calibration", tmp_path / "calibration.txt"]
    values = model.encode(TEXTS)
    known = model.encode(texts) if calibrated else values
    theirs = quantize_embeddings(values, precision, calibration_embeddings=known if calibrated else None)
    ours = embeddings(tmp_path / "made", *TEXTS, *flags)
    assert ours.shape == theirs.shape
    if precision.endswith("int8"):
        # A value at the edge of a bucket may fall to either side of it; so may the least and the greatest.
        low, high = known.min(0), known.max(0)
        place = (values - low) / ((high - low) / 255)
        edge = numpy.abs(place - numpy.round(place)) < 0.02
        difference = numpy.abs(ours - theirs.astype("float64"))
        assert difference.max() <= 1 and not difference[~edge].any()
    else:
        numpy.testing.assert_array_equal(ours, theirs)
    ettin("embed", tmp_path / "made", *TEXTS, *flags, "--output", tmp_path / "made.npy")
    stored = numpy.load(tmp_path / "made.npy")
    assert stored.dtype == theirs.dtype
    numpy.testing.assert_array_equal(stored, ours)


def test_static_embeddings(tmp_path, measured):
    model = save(tmp_path / "made", [StaticEmbedding(word_piece(), embedding_dim=WIDTH), Normalize()])
    measured(NAME, close(embeddings(tmp_path / "made", *TEXTS), model.encode(TEXTS)))
    assert kind(tmp_path / "made") == "embedding"


@pytest.mark.parametrize("direction", ["left", "right"])
def test_static_embeddings_that_truncate(tmp_path, direction, measured):
    tokenizer = word_piece()
    tokenizer.enable_truncation(max_length=6, direction=direction)
    model = save(tmp_path / "made", [StaticEmbedding(tokenizer, embedding_dim=WIDTH)])
    measured(NAME, close(embeddings(tmp_path / "made", *TEXTS, "--truncate"), model.encode(TEXTS)))


def test_a_router_with_a_side_for_queries_and_one_for_documents(base, tmp_path, measured):
    static = randomise(StaticEmbedding(word_piece(), embedding_dim=WIDTH), seed=31)
    router = Router.for_query_document(query_modules=[static], document_modules=pooled(base, "cls"))
    model = save(tmp_path / "made", [router, Normalize()], prompts={"query": "q: "})
    for task, theirs in [("query", model.encode_query(TEXTS)), ("document", model.encode_document(TEXTS))]:
        measured(NAME, close(embeddings(tmp_path / "made", *TEXTS, "--truncate", "--task", task), theirs))
    # Without a task, both take the route that the folder names as its default.
    measured(NAME, close(embeddings(tmp_path / "made", *TEXTS, "--truncate"), model.encode(TEXTS)))
    assert kind(tmp_path / "made") == "embedding"


@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
def test_other_types_stay_near_float32(base, tmp_path, dtype, measured):
    model = save(tmp_path / "made", [*pooled(base, "mean"), Normalize()])
    ours = embeddings(tmp_path / "made", *TEXTS, "--truncate", "--dtype", dtype)
    cosines = (ours * model.encode(TEXTS)).sum(1) / numpy.linalg.norm(ours, axis=1)
    measured(f"descendants: 1 - cosine of {dtype} to the original's float32", 1 - float(cosines.min()))
    assert cosines.min() > 0.99
