"""Adapters on every linear layer, and embedding models that were trained and saved, ours against the originals.

Needs the program ettin-probe, whose folder is named by ETTIN_BIN_DIR. Models are random and small. PEFT's formula is
written out, so that a check does not depend on its releases.
"""

import json
import os
import random
import subprocess

import pytest
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import Dense, Normalize, Pooling, Transformer
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    ModernBertConfig,
    ModernBertDecoderConfig,
    ModernBertDecoderForCausalLM,
    ModernBertForMaskedLM,
    ModernBertModel,
    PreTrainedTokenizerFast,
)

PROBE = [os.path.join(os.environ.get("ETTIN_BIN_DIR", ".build/release"), "ettin-probe"), "adapters"]
KINDS = ["encoder", "decoder"]
HIDDEN, RANK, SCALE = 64, 4, 1.5


def probe(**request):
    line = json.dumps({key: str(value) if isinstance(value, os.PathLike) else value for key, value in request.items()})
    run = subprocess.run(PROBE, input=line + "\n", capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    answer = json.loads(run.stdout)
    assert "error" not in answer, answer
    return answer


def configuration(kind, **options):
    defaults = dict(
        vocab_size=200, hidden_size=HIDDEN, intermediate_size=96, num_hidden_layers=4, num_attention_heads=4,
        local_attention=16, max_position_embeddings=512, initializer_range=0.1, pad_token_id=3, bos_token_id=1,
        eos_token_id=2, cls_token_id=1, sep_token_id=2,
    )
    return (ModernBertConfig if kind == "encoder" else ModernBertDecoderConfig)(**(defaults | options))


# --- Adapters --------------------------------------------------------------------------------------------------------


class LowRank(torch.nn.Module):
    """A frozen linear layer with adapters, each on a range of the outputs."""

    def __init__(self, base, parts):
        super().__init__()
        self.base = base
        self.parts = parts

    def forward(self, x):
        additions = [(x @ a.T) @ b.T * SCALE for a, b in self.parts]
        return self.base(x) + torch.cat(additions, dim=-1)


def adapted(model):
    """Puts an adapter on every linear layer but the vocabulary; the matrices under our keys."""
    torch.manual_seed(3)
    matrices = {}

    def new(key, layer, height):
        a = torch.nn.Parameter(torch.randn(RANK, layer.in_features) * 0.1)
        b = torch.nn.Parameter(torch.randn(height, RANK) * 0.1)
        matrices[key + ".A"], matrices[key + ".B"] = a, b
        return a, b

    model.requires_grad_(False)
    for name, layer in list(model.named_modules()):
        if not isinstance(layer, torch.nn.Linear) or name == "decoder":
            continue
        path, last = name.rsplit(".", 1)
        if last == "Wqkv":
            parts = [new(f"{name}.lora.{part}", layer, layer.out_features // 3) for part in "qkv"]
        elif last in ("q_proj", "k_proj", "v_proj"):
            parts = [new(f"{path}.Wqkv.lora.{last[0]}", layer, layer.out_features)]
        else:
            parts = [new(name.replace("lm_head.", "head.") + ".lora", layer, layer.out_features)]
        setattr(model.get_submodule(path), last, LowRank(layer, parts))
    return matrices


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("recomputes", [False, True])
@pytest.mark.parametrize("tied", [True, False])
def test_only_adapters_have_gradients_and_those_are_the_originals(tmp_path, measured, kind, recomputes, tied):
    torch.manual_seed(1)
    made = ModernBertForMaskedLM if kind == "encoder" else ModernBertDecoderForCausalLM
    model = made(configuration(kind, tie_word_embeddings=tied))
    model.save_pretrained(tmp_path)
    matrices = adapted(model)
    # Four linear layers a block, one of them with three adapters, and the head's.
    assert len(matrices) == 2 * (4 * 6 + 1)
    save_file({key: value.detach() for key, value in matrices.items()}, tmp_path / "adapters.safetensors")

    rng = random.Random(0)
    rows = [[rng.randrange(4, 200) for _ in range(length)] for length in (70, 3, 41)]
    if kind == "encoder":
        labels = [[token if rng.random() < 0.4 else -100 for token in row] for row in rows]
    else:
        labels = rows
    length = max(map(len, rows))
    pad = lambda row, value: row + [value] * (length - len(row))
    if recomputes:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    model.train()
    mask = torch.tensor([pad([1] * len(row), 0) for row in rows])
    output = model(
        input_ids=torch.tensor([pad(row, 3) for row in rows]), attention_mask=mask,
        labels=torch.tensor([pad(row, -100) for row in labels]),
    )
    output.loss.backward()
    assert {name for name, p in model.named_parameters() if p.grad is not None and "parts" not in name} == set()

    request = dict(
        op="adapters", folder=tmp_path, weights=tmp_path / "adapters.safetensors", scale=SCALE, sequences=rows,
        labels=labels, recomputes=recomputes, output=tmp_path / "out.safetensors",
    )
    answer = probe(**request)
    ours = load_file(tmp_path / "out.safetensors")
    logits = {key: ours.pop(key) for key in ("logits", "logits.merged", "logits.packed")}
    assert abs(answer["loss"] - output.loss.item()) <= 1e-5
    assert ours.keys() == {"gradient." + key for key in matrices}
    for key, matrix in matrices.items():
        assert matrix.grad.abs().max() > 1e-4, key
        difference = (ours["gradient." + key] - matrix.grad).abs().max().item()
        measured("gradients of adapters, largest absolute difference", difference)
        assert difference <= 1e-5, key
    theirs = output.logits[mask.bool()].detach()
    for name, values in logits.items():
        difference = (values - theirs).abs().max().item()
        measured(f"{name} with adapters, largest absolute difference", difference)
        assert difference <= 1e-4

    probe(**request, precision="amp_bf16")
    half = load_file(tmp_path / "out.safetensors")
    for key, matrix in matrices.items():
        gradient = half["gradient." + key]
        assert gradient.dtype == torch.float32
        cosine = torch.nn.functional.cosine_similarity(gradient.flatten(), matrix.grad.flatten(), dim=0).item()
        measured("bfloat16 gradients of adapters, largest 1 - cosine", 1 - cosine)
        assert cosine >= 0.98, key


# --- Embedding models ------------------------------------------------------------------------------------------------

WORDS = "the a cat dog sat on mat sea was calm fox ran over under it and said".split()
TEXTS = ["the cat sat on the mat", "a fox", "the sea was calm and the dog ran over it", "it said"]


def plain_folder(folder):
    torch.manual_seed(2)
    ModernBertModel(configuration("encoder")).save_pretrained(folder)
    special = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate(special + WORDS)}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
    PreTrainedTokenizerFast(
        tokenizer_object=inner, unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]",
        mask_token="[MASK]", model_max_length=512,
    ).save_pretrained(folder)


def chains():
    width = 24
    return {
        "mean": lambda: [Pooling(HIDDEN, pooling_mode="mean")],
        "max-normalize": lambda: [Pooling(HIDDEN, pooling_mode="max"), Normalize()],
        "dense-normalize": lambda: [
            Pooling(HIDDEN, pooling_mode="weightedmean", include_prompt=False), Dense(HIDDEN, width), Normalize(),
        ],
        # Flags would put the first token's vector in front.
        "two-poolings-residual": lambda: [
            Pooling(HIDDEN, pooling_mode=["mean_sqrt_len_tokens", "cls"]),
            Dense(2 * HIDDEN, width, bias=False, activation_function=torch.nn.GELU(), use_residual=True),
            Dense(width, width, activation_function=torch.nn.Identity(), use_residual=True),
        ],
        "last": lambda: [Pooling(HIDDEN, pooling_mode="lasttoken")],
    }


@pytest.mark.parametrize("chain", chains())
@pytest.mark.parametrize("recomputes", [False, True])
def test_what_training_saves_is_read_with_the_same_embeddings(tmp_path, measured, chain, recomputes):
    plain_folder(tmp_path / "plain")
    torch.manual_seed(4)
    prompts = {"query": "the ", "document": ""}
    model = SentenceTransformer(
        modules=[Transformer(str(tmp_path / "plain"), max_seq_length=80), *chains()[chain]()], device="cpu",
        prompts=prompts, default_prompt_name="document", similarity_fn_name="dot",
    )
    model.save_pretrained(str(tmp_path / "theirs"))
    before = {path: path.read_bytes() for path in (tmp_path / "theirs").rglob("*") if path.is_file()}
    features = {key: value for key, value in model.tokenize(TEXTS).items() if isinstance(value, torch.Tensor)}
    rows = [
        ids[mask.bool()].tolist() for ids, mask in zip(features["input_ids"], features["attention_mask"])
    ]
    out = tmp_path / "ours"
    out.mkdir()
    answer = probe(
        op="embedding_step", folder=tmp_path / "theirs", sequences=rows, recomputes=recomputes, rate=1e-3, save=out,
        output=tmp_path / "out.safetensors",
    )
    assert before == {path: path.read_bytes() for path in (tmp_path / "theirs").rglob("*") if path.is_file()}
    result = load_file(tmp_path / "out.safetensors")

    model.train()
    loss = ((model(features)["sentence_embedding"] - 0.1) ** 2).mean()
    loss.backward()
    assert abs(answer["loss"] - loss.item()) <= 1e-5 * max(1, loss.item())
    theirs = {}
    for name, parameter in model.named_parameters():
        index, rest = name.split(".", 1)
        theirs[f"{index}.{rest.split('.', 1)[1] if index == '0' else rest}"] = parameter.grad
    assert result.keys() == {"gradient." + key for key in theirs} | {"embeddings"}
    for key, gradient in theirs.items():
        difference = (result["gradient." + key] - gradient).abs().max().item() / max(1, gradient.abs().max().item())
        measured("gradients of embedding models, largest difference", difference)
        assert difference <= 1e-5, key

    for file in (tmp_path / "theirs").glob("tokenizer*"):
        (out / file.name).write_bytes(file.read_bytes())
    loaded = SentenceTransformer(str(out), device="cpu")
    embeddings = loaded.encode(TEXTS, prompt="", convert_to_tensor=True)
    difference = (embeddings - result["embeddings"]).abs().max().item()
    measured("embeddings of a saved model in sentence-transformers, largest difference", difference)
    assert difference <= 1e-5
    assert (embeddings - model.eval().encode(TEXTS, prompt="", convert_to_tensor=True)).abs().max() > 1e-3
    assert [type(module).__name__ for module in loaded] == [type(module).__name__ for module in model]
    assert loaded.prompts == prompts and loaded.default_prompt_name == "document"
    assert loaded.similarity_fn_name == "dot" and loaded.max_seq_length == 80
    assert loaded[1].include_prompt == (chain != "dense-normalize")
