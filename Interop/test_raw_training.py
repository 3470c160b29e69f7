"""Training goes on from a raw checkpoint of the original training code: its weights, moments, clock and rates."""

import json

import pytest
import torch
from safetensors.torch import load_file

from test_conversion import KINDS, ettin, raw_checkpoint, run, trained  # noqa: F401 (a fixture)

RECIPE = """
seed: 5
data_local: data
tokenizer_name: TOKENIZER
max_seq_len: 32
mlm_probability: MASKED
model:
  name: NAME
  model_config: {vocab_size: 300, init_method: full_megatron, hidden_size: 32, intermediate_size: 48, num_hidden_layers: 4, num_attention_heads: 4,
    sliding_window: 16, global_attn_every_n_layers: 3, rotary_emb_base: 160000.0, local_attn_rotary_emb_base: 10000.0}
train_loader:
  name: text
  dataset: {local: "${data_local}", max_seq_len: "${max_seq_len}", shuffle: true, streaming: false, EXTRA}
  drop_last: true
scheduler: {name: constant_with_warmup, t_warmup: 0ba}
optimizer: {name: decoupled_stableadamw, lr: LR, betas: [0.9, 0.98], eps: 1e-6, weight_decay: 3e-4}
max_duration: 5ba
global_train_batch_size: 4
precision: fp32
save_interval: 1ba
save_folder: run
load_path: raw.pt
"""


@pytest.mark.parametrize("kind", KINDS)
def test_training_goes_on_from_a_raw_checkpoint(trained, tmp_path, kind):  # noqa: F811
    expected, saved, moments = raw_checkpoint(kind)
    torch.save(saved, tmp_path / "raw.pt")
    texts = [{"text": f"A cat {i} sits on a mat and sees {i * i} dogs run."} for i in range(160)]
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps(text) + "\n" for text in texts))
    ettin("data", "tokenize", tmp_path / "texts.jsonl", "--tokenizer", trained / "tokenizer", "-o", tmp_path / "data")
    recipe = RECIPE.replace("NAME", "flex_bert" if kind == "encoder" else "flex_gpt")
    recipe = recipe.replace("MASKED", "0.3" if kind == "encoder" else "0.0").replace("LR", "3e-3")
    extra = "" if kind == "encoder" else "use_decoder_attn_mask: true, suppress_masking: true"
    recipe = recipe.replace(", EXTRA", f", {extra}" if extra else "").replace("TOKENIZER", str(trained / "tokenizer"))
    for path in ("data", "run", "raw.pt"):
        recipe = recipe.replace(f": {path}\n", f": {tmp_path / path}\n")
    (tmp_path / "recipe.yaml").write_text(recipe)
    ettin("pretrain", tmp_path / "recipe.yaml")

    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert [line["time/batch"] for line in lines] == [4, 5]
    assert lines[0]["time/token"] > 3000
    state = json.loads((tmp_path / "run/step4/trainer_state.json").read_text())
    assert state["optimizer"]["steps"] == 4 and state["optimizer"]["reference_lr"] == 3e-3
    # One step moves weights by about the rate; the gradients before it were a hundred times those of a text, so that its
    # share in the moments is small.
    first, second = (0.9**4 - 0.9) / (0.9**4 - 1), (0.98**4 - 0.98) / (0.98**4 - 1)
    optimizer = load_file(tmp_path / "run/step4/optimizer.safetensors")
    for key, saved_moment in moments.items():
        for name, moment, decay in [
            ("exp_avg", saved_moment["exp_avg"], first), ("exp_avg_sq", saved_moment["exp_avg_sq"], second)
        ]:
            ours = optimizer[f"{name}.{key}"]
            assert (ours - decay * moment).abs().max() < 0.35 * moment.abs().max(), (name, key)
    weights = load_file(tmp_path / "run/step4/model.safetensors")
    for key, tensor in expected.items():
        assert (weights[key] - tensor).abs().max() < 0.02, key

    # A recipe for another optimizer is refused, or takes the weights alone.
    arguments = [tmp_path / "recipe.yaml", f"save_folder={tmp_path / 'other'}", "optimizer.name=adamw"]
    result = run("pretrain", *arguments)
    assert result.returncode == 1 and "optimizer.name: is adamw" in result.stderr
    ettin("pretrain", *arguments, "load_weights_only=true", "max_duration=1ba")
    assert json.loads((tmp_path / "other/step1/trainer_state.json").read_text())["optimizer"]["steps"] == 1
