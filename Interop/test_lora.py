"""Low-rank adapters beside PEFT: files both ways, steps of training from the same adapter, merging, and every command.

Needs the programs ettin and ettin-probe, whose folder is named by ETTIN_BIN_DIR. Models are random and small.
"""

import json
import os
import random
import subprocess
import tempfile

import pytest
import torch
from descendants import ETTIN
from finetune_runs import Place
from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer
from test_adapters import KINDS, configuration, probe
from transformers import (
    AutoTokenizer, ModernBertDecoderForCausalLM, ModernBertForMaskedLM, ModernBertForSequenceClassification,
    ModernBertForTokenClassification, ModernBertModel)

PLAIN = {"encoder": ["Wqkv", "Wo", "Wi"], "decoder": ["q_proj", "k_proj", "v_proj", "Wo", "Wi"]}
OPTIONS = {
    "plain": dict(r=4, lora_alpha=8),
    "rslora": dict(r=4, lora_alpha=8, use_rslora=True),
    "dora": dict(r=4, lora_alpha=8, use_dora=True),
    "all-linear": dict(r=2, lora_alpha=6, target_modules="all-linear"),
    "expression": dict(r=2, lora_alpha=6, target_modules=r".*layers\.[02]\.mlp\.W[io]"),
    "patterns": dict(r=2, lora_alpha=4, rank_pattern={"Wi": 3, r"layers\.1\.attn\.Wo": 5}, alpha_pattern={"mlp.Wo": 9}),
    "layers": dict(r=2, lora_alpha=4, layers_to_transform=[1, 3], exclude_modules=["mlp.Wo"]),
    "modules": dict(r=2, lora_alpha=4, modules_to_save=["final_norm", "head", "layers.1.mlp"]),
    "dora, all-linear": dict(r=2, lora_alpha=4, use_dora=True, target_modules="all-linear", modules_to_save=["attn_norm"]),
}


def base(kind, folder, **options):
    torch.manual_seed(1)
    made = ModernBertForMaskedLM if kind == "encoder" else ModernBertDecoderForCausalLM
    made(configuration(kind, **options)).save_pretrained(folder)
    return made.from_pretrained(folder)


def randomised(model, seed=3):
    """Matrices that change something, and magnitudes that differ from the rows' lengths."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)
            elif "magnitude" in name:
                parameter.mul_(torch.empty_like(parameter).uniform_(0.8, 1.2))
    return model


def batch(kind, seed=0):
    rng = random.Random(seed)
    rows = [[rng.randrange(4, 200) for _ in range(length)] for length in (70, 3, 41)]
    labels = rows if kind == "decoder" else [[t if rng.random() < 0.4 else -100 for t in row] for row in rows]
    pad = lambda row, value: row + [value] * (70 - len(row))
    mask = torch.tensor([pad([1] * len(row), 0) for row in rows])
    return rows, labels, dict(
        input_ids=torch.tensor([pad(row, 3) for row in rows]), attention_mask=mask,
        labels=torch.tensor([pad(row, -100) for row in labels]))


def logits(model, features):
    model.eval()
    with torch.no_grad():
        return model(**{key: value for key, value in features.items() if key != "labels"}).logits[features["attention_mask"].bool()]


def steps(model, features, count, rate):
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=rate)
    losses = []
    for _ in range(count):
        model.train()
        loss = model(**features).loss
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return losses


def largest(one, other):
    return (one - other).abs().max().item()


def run(*words, fails=False):
    result = subprocess.run([ETTIN, *map(str, words)], capture_output=True, text=True, timeout=300)
    assert (result.returncode != 0) == fails, result.stderr
    return result.stderr if fails else result.stdout


# --- Steps, and files both ways ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("tied", [True, False])
def test_ten_steps_from_the_same_adapter_are_those_of_peft(tmp_path, measured, kind, name, tied):
    options = {"target_modules": PLAIN[kind]} | OPTIONS[name]
    model = base(kind, tmp_path / "base", tie_word_embeddings=tied)
    theirs = randomised(get_peft_model(model, LoraConfig(task_type="CAUSAL_LM" if kind == "decoder" else None, **options)))
    theirs.save_pretrained(tmp_path / "adapter")
    rows, labels, features = batch(kind)
    before = logits(theirs, features)
    losses = steps(theirs, features, 10, 5e-3)

    (tmp_path / "ours").mkdir()
    answer = probe(
        op="lora", folder=tmp_path / "base", adapter=tmp_path / "adapter", sequences=rows, labels=labels, steps=10, rate=5e-3,
        recomputes=name == "plain", save=tmp_path / "ours", output=tmp_path / "out.safetensors")
    out = load_file(tmp_path / "out.safetensors")
    assert "modules_to_save" in options or all(".lora." in key for key in answer["trained"])
    measured("LoRA: logits of PEFT's adapters, largest difference", difference := largest(out["logits.before"], before))
    assert difference <= 1e-4
    worst = max(abs(one - other) for one, other in zip(answer["losses"], losses))
    measured("LoRA: losses of ten steps, largest difference", worst)
    assert worst <= 1e-4, (answer["losses"], losses)
    assert losses[0] - losses[-1] > 0.02
    merged = largest(out["logits.merged"], out["logits.after"])
    measured("LoRA: merged and not, largest difference", merged)
    assert merged <= 1e-5 * max(1, out["logits.after"].abs().max().item())

    # What we saved, in PEFT, beside what PEFT would have saved.
    loaded = PeftModel.from_pretrained(type(model).from_pretrained(tmp_path / "base"), tmp_path / "ours")
    measured("LoRA: logits in PEFT of our adapters, largest difference", difference := largest(logits(loaded, features), out["logits.after"]))
    assert difference <= 1e-4
    theirs.save_pretrained(tmp_path / "trained")
    one, other = (load_file(tmp_path / folder / "adapter_model.safetensors") for folder in ("ours", "trained"))
    assert {key: value.shape for key, value in one.items()} == {key: value.shape for key, value in other.items()}
    ours, original = (PeftConfig.from_pretrained(tmp_path / folder).to_dict() for folder in ("ours", "trained"))
    for key in ("r", "lora_alpha", "use_rslora", "use_dora", "rank_pattern", "alpha_pattern", "task_type", "bias"):
        assert ours[key] == original[key], key

    # Loaded and merged by us, from either folder.
    for folder in ("ours", "trained"):
        probe(op="opened", adapter=tmp_path / folder, model="lm", sequences=rows, output=tmp_path / "merged.safetensors")
        difference = largest(load_file(tmp_path / "merged.safetensors")["output"], out["logits.after"])
        measured("LoRA: logits of opened adapters, largest difference", difference)
        assert difference <= 2e-4


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tied", [True, False])
def test_a_vocabulary_of_another_size_is_stored_and_read(tmp_path, kind, tied):
    model = base(kind, tmp_path / "base", tie_word_embeddings=tied)
    model.resize_token_embeddings(208)
    theirs = randomised(get_peft_model(model, LoraConfig(r=4, target_modules=PLAIN[kind])))
    theirs.save_pretrained(tmp_path / "adapter")
    stored = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    assert {"base_model.model.model.embeddings.tok_embeddings.weight", "base_model.model.decoder.bias"} <= stored.keys()
    rows, labels, features = batch(kind)
    rows = [[token if token != 7 else 205 for token in row] for row in rows]
    features["input_ids"][features["input_ids"] == 7] = 205
    before = logits(theirs, features)
    (tmp_path / "ours").mkdir()
    probe(
        op="lora", folder=tmp_path / "base", adapter=tmp_path / "adapter", sequences=rows, labels=labels, steps=1, rate=1e-3,
        save=tmp_path / "ours", output=tmp_path / "out.safetensors")
    out = load_file(tmp_path / "out.safetensors")
    assert largest(out["logits.before"], before) <= 1e-4
    one = load_file(tmp_path / "ours" / "adapter_model.safetensors")
    assert {key: value.shape for key, value in one.items()} == {key: value.shape for key, value in stored.items()}
    resized = type(model).from_pretrained(tmp_path / "base")
    resized.resize_token_embeddings(208)
    loaded = PeftModel.from_pretrained(resized, tmp_path / "ours")
    assert largest(logits(loaded, features), out["logits.after"]) <= 1e-4
    run("merge", tmp_path / "ours", "--output", tmp_path / "merged")
    merged = type(model).from_pretrained(tmp_path / "merged")
    assert merged.config.vocab_size == 208 and merged.config.tie_word_embeddings == tied
    assert largest(logits(merged, features), out["logits.after"]) <= 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_an_embedding_and_the_output_are_trained_as_one(tmp_path, kind):
    model = base(kind, tmp_path / "base")
    modules = ["tok_embeddings", "decoder"]
    theirs = randomised(get_peft_model(model, LoraConfig(r=4, target_modules=PLAIN[kind], modules_to_save=modules)))
    theirs.save_pretrained(tmp_path / "adapter")
    rows, labels, features = batch(kind)
    (tmp_path / "ours").mkdir()
    probe(
        op="lora", folder=tmp_path / "base", adapter=tmp_path / "adapter", sequences=rows, labels=labels, steps=2, rate=1e-2,
        save=tmp_path / "ours", output=tmp_path / "out.safetensors")
    out = load_file(tmp_path / "out.safetensors")
    loaded = PeftModel.from_pretrained(type(model).from_pretrained(tmp_path / "base"), tmp_path / "ours")
    assert largest(logits(loaded, features), out["logits.after"]) <= 1e-4
    # PEFT trains both apart, and what it stores is read so.
    steps(theirs, features, 2, 1e-2)
    theirs.save_pretrained(tmp_path / "apart")
    probe(op="opened", adapter=tmp_path / "apart", model="lm", sequences=rows, output=tmp_path / "merged.safetensors")
    assert largest(load_file(tmp_path / "merged.safetensors")["output"], logits(theirs, features)) <= 1e-4


@pytest.mark.parametrize("task", ["sequence", "token"])
def test_a_classifier_on_a_language_model_is_read_with_its_head(tmp_path, task):
    base("encoder", tmp_path / "base")
    made = ModernBertForSequenceClassification if task == "sequence" else ModernBertForTokenClassification
    torch.manual_seed(4)
    model = made.from_pretrained(tmp_path / "base", num_labels=5)
    config = LoraConfig(r=3, target_modules=["Wqkv"], task_type="SEQ_CLS" if task == "sequence" else "TOKEN_CLS")
    theirs = randomised(get_peft_model(model, config))
    theirs.save_pretrained(tmp_path / "adapter")
    rows, _, features = batch("encoder")
    probe(op="opened", adapter=tmp_path / "adapter", model=task, sequences=rows, output=tmp_path / "out.safetensors")
    with torch.no_grad():
        expected = theirs.eval()(input_ids=features["input_ids"], attention_mask=features["attention_mask"]).logits
    expected = expected if task == "sequence" else expected[features["attention_mask"].bool()]
    assert largest(load_file(tmp_path / "out.safetensors")["output"], expected) <= 1e-4


# --- Commands ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def place(tmp_path_factory, small_tokenizer):
    return Place(tmp_path_factory.mktemp("adapters"), small_tokenizer)


def vectors(folder, *texts):
    lines = [json.loads(line) for line in run("embed", folder, *texts, "--json").splitlines()]
    return torch.tensor([row["embedding"] for row in (lines if "embedding" in lines[0] else lines[0]["embeddings"])])


def test_what_sentence_transformers_saves_is_read(tmp_path, place):
    model = SentenceTransformer(str(place.folder / "encoder"), device="cpu")
    model.add_adapter(LoraConfig(r=4, target_modules=["Wqkv", "Wo"], task_type="FEATURE_EXTRACTION"))
    randomised(model).save_pretrained(str(tmp_path / "adapter"))
    texts = ["bado fegi lamo", "pu"]
    expected = model.encode(texts, convert_to_tensor=True)
    assert largest(vectors(tmp_path / "adapter", *texts), expected) <= 1e-5
    run("merge", tmp_path / "adapter", "-o", tmp_path / "merged")
    assert largest(SentenceTransformer(str(tmp_path / "merged"), device="cpu").encode(texts, convert_to_tensor=True), expected) <= 1e-5
    # An adapter of PEFT itself, which knows no modules.
    inner = get_peft_model(ModernBertModel.from_pretrained(place.folder / "encoder"), LoraConfig(r=4, target_modules=["Wi"]))
    randomised(inner).save_pretrained(tmp_path / "plain")
    features = AutoTokenizer.from_pretrained(place.folder / "encoder")(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        states = inner.eval()(**{key: features[key] for key in ("input_ids", "attention_mask")}).last_hidden_state
    mask = features["attention_mask"].unsqueeze(-1)
    assert largest(vectors(tmp_path / "plain", *texts), (states * mask).sum(1) / mask.sum(1)) <= 1e-5


def test_every_command_takes_an_adapter(tmp_path, place):
    torch.manual_seed(0)
    decoder = ModernBertDecoderForCausalLM.from_pretrained(place.folder / "decoder")
    randomised(get_peft_model(decoder, LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")), 5).save_pretrained(
        tmp_path / "adapter")
    words = ["bado fegi", "--max-new-tokens", "8", "--temperature", "0"]
    before = set(os.listdir(tempfile.gettempdir()))
    run("merge", tmp_path / "adapter", "--output", tmp_path / "merged")
    texts = [run("generate", folder, *words) for folder in (tmp_path / "adapter", tmp_path / "merged", place.folder / "decoder")]
    assert texts[0] == texts[1] != texts[2]
    assert not [name for name in set(os.listdir(tempfile.gettempdir())) - before if name.startswith("ettin-adapter")]
    # The base may lie beside the adapter, under the end of its name.
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = "/nowhere/decoder"
    (tmp_path / "adapter" / "adapter_config.json").write_text(json.dumps(config))
    assert "/nowhere/decoder" in run("generate", tmp_path / "adapter", *words, fails=True)
    os.symlink(place.folder / "decoder", tmp_path / "decoder")
    assert run("generate", tmp_path / "adapter", *words) == texts[0]
    error = run("merge", tmp_path / "adapter", "--base", place.folder / "encoder", "--output", tmp_path / "wrong", fails=True)
    assert "changes" in error and "has no such tensor" in error and str(place.folder / "encoder") in error
    assert not (tmp_path / "wrong").exists()


def test_runs_of_the_command_train_adapters(tmp_path, place):
    recipe = dict(
        model_name_or_path=place.folder / "encoder", train_dataset=place.folder / "train.jsonl",
        loss="MultipleNegativesRankingLoss", per_device_train_batch_size=8, max_steps=6, learning_rate=5e-3, use_peft=True,
        lora_r=4, lora_dropout=0, report_to="none", save_strategy="no", output_dir=tmp_path / "run")
    for kind in ("embedding", "sparse", "colbert", "reranker"):
        own = {"output_dir": tmp_path / kind}
        if kind == "sparse":
            own["loss"] = (
                "{type: SpladeLoss, loss: SparseMultipleNegativesRankingLoss, query_regularizer_weight: 5e-5, "
                "document_regularizer_weight: 3e-5}")
        if kind == "colbert":
            own |= dict(loss="Contrastive", document_length=60, query_length=16)
        if kind == "reranker":
            own |= dict(loss="BinaryCrossEntropyLoss", train_dataset=place.folder / "classes.jsonl")
        values = [f"{key}={str(value).lower() if value is True else value}" for key, value in (recipe | own).items()]
        run("finetune", kind, *values)
        final = tmp_path / kind / "final"
        assert {"adapter_config.json", "adapter_model.safetensors", "README.md", "tokenizer.json"} <= set(os.listdir(final))
        # With a config.json, transformers takes a folder for a whole model.
        assert not (final / "model.safetensors").exists() and not (final / "config.json").exists()
        run("merge", final, "--output", tmp_path / f"{kind}-merged")
    texts = ["bado fegi lamo", "pu"]
    ours = vectors(tmp_path / "embedding" / "final", *texts)
    assert largest(SentenceTransformer(str(tmp_path / "embedding" / "final"), device="cpu").encode(texts, convert_to_tensor=True), ours) <= 1e-5
    assert largest(vectors(tmp_path / "embedding-merged", *texts), ours) <= 1e-6
    assert largest(vectors(place.folder / "encoder", *texts), ours) > 1e-3
    scores = [run("rerank", folder, "bado", *texts, "--json") for folder in (tmp_path / "reranker" / "final", tmp_path / "reranker-merged")]
    assert scores[0] == scores[1]
