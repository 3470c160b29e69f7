"""Tiny training runs, for the checks of training."""

import array
import json
import os
import random
import struct
import subprocess
import time

ETTIN = os.path.abspath(os.path.join(os.environ.get("ETTIN_BIN_DIR", ".build/release"), "ettin"))
KINDS = ["encoder", "decoder"]

RECIPE = """
seed: 5
data_local: ../data
tokenizer_name: ../tokenizer
max_seq_len: 64
mlm_probability: MASKED
model:
  name: NAME
  model_config:
    vocab_size: tokenizer
    init_method: full_megatron
    num_hidden_layers: 2
    hidden_size: 64
    intermediate_size: 96
    num_attention_heads: 2
    sliding_window: 32
    global_attn_every_n_layers: 2
    attn_out_dropout_prob: 0.1
train_loader:
  name: text
  dataset:
    local: ${data_local}
    split: train
    max_seq_len: ${max_seq_len}
    mlm_probability: ${mlm_probability}
    shuffle: true
    shuffle_seed: 7
    streaming: false
  drop_last: true
  num_workers: 1
  batch_size_warmup_min_size: 4
  batch_size_warmup_tokens: 40_000tok
eval_loader:
  name: text
  dataset: {local: "${data_local}", split: validation, max_seq_len: "${max_seq_len}", mlm_probability: EVAL,
    shuffle: false, streaming: false}
  drop_last: false
scheduler: {name: warmup_stable_decay, t_warmup: 0.1dur, t_decay: 0.2dur, alpha_f: 0.02}
optimizer: {name: decoupled_stableadamw, lr: 3e-3, betas: [0.9, 0.98], eps: 1e-6, weight_decay: 3e-4,
  filter_bias_norm_wd: true, log_grad_norm: true}
algorithms: {ema: {half_life: 20ba}}
rules: {batch_size_warmup: intended}
max_duration: 300ba
eval_interval: 50ba
global_train_batch_size: 8
device_train_microbatch_size: 3
precision: amp_bf16
progress_bar: false
log_to_console: false
save_folder: run
save_interval: 20ba
save_num_checkpoints_to_keep: 3
autoresume: true
"""


def ettin(*arguments, cwd=None, code=0, **options):
    result = subprocess.run(
        [ETTIN, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=300, **options
    )
    assert result.returncode == code, result.stderr
    return result.stdout if code == 0 else result.stderr


def words(seed, count):
    """Lines of made words, the same for a seed."""
    rng = random.Random(seed)
    syllables = ["".join((rng.choice("bcdfglmnprst"), rng.choice("aeiou"))) for _ in range(40)]
    known = ["".join(rng.choices(syllables, k=rng.randint(1, 4))) for _ in range(700)]
    weights = [1 / (rank + 1) for rank in range(len(known))]
    return [" ".join(rng.choices(known, weights, k=rng.randint(3, 60))) for _ in range(count)]


def data_set(lines, tokenizer, folder, *options):
    folder.parent.mkdir(parents=True, exist_ok=True)
    text = folder.parent / f"{folder.name}.txt"
    text.write_text("\n".join(lines) + "\n")
    ettin("data", "tokenize", text, "--separator", r"\n", "--tokenizer", tokenizer, "-o", folder, *options)


def make_place(path):
    """A tokenizer, a data set of 1500 samples and the recipes of a pair."""
    lines = words(3, 1500)
    (path / "corpus.txt").write_text("\n".join(lines))
    ettin("tokenizer", "train", path / "corpus.txt", "--vocab-size", 1000, "-o", path / "tokenizer")
    data_set(lines, path / "tokenizer", path / "data/train")
    data_set(words(3, 1540)[1500:], path / "tokenizer", path / "data/validation")
    for kind, name, masked, held_out in [("encoder", "flex_bert", 0.3, 0.15), ("decoder", "flex_gpt", 0, 0)]:
        text = RECIPE.replace("NAME", name).replace("MASKED", str(masked)).replace("EVAL", str(held_out))
        (path / f"{kind}.yaml").write_text(text)
    return path


class Run:
    """One run, or a pair in lockstep, in a folder of its own: paths in recipes are relative, so that files compare."""

    def __init__(self, place, name, *overrides, kinds=KINDS, threads=1):
        self.place, self.folder, self.kinds = place, place / name, kinds
        self.folder.mkdir()
        lockstep = ["--lockstep", f"../{kinds[1]}.yaml"] if len(kinds) == 2 else []
        self.command = ["pretrain", f"../{kinds[0]}.yaml", *lockstep, "--threads", threads, *overrides]

    @property
    def folders(self):
        run = self.folder / "run"
        return [run / kind for kind in self.kinds] if len(self.kinds) == 2 else [run]

    def to_the_end(self, *overrides, code=0, **options):
        return ettin(*self.command, *overrides, cwd=self.folder, code=code, **options)

    def begin(self, *overrides):
        return subprocess.Popen(
            [ETTIN, *map(str, self.command), *overrides], cwd=self.folder, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )

    def batches(self):
        """Batches in the log; the last line may be about to be written."""
        try:
            return (self.folders[-1] / "ledger.jsonl").read_bytes().count(b"\n")
        except FileNotFoundError:
            return 0

    def event_files(self, index):
        """One for each process that got so far."""
        return len(list(self.folders[index].glob("tensorboard/*")))

    def is_saving(self):
        return any(name.startswith(".step") for folder in self.folders for name in os.listdir(folder))

    def leftovers(self):
        return [path for path in self.folder.rglob("*") if path.name.endswith(".tmp")]

    def checkpoints(self, index=0):
        folders = [path for path in self.folders[index].glob("step*") if path.is_dir()]
        return sorted((path.name for path in folders), key=lambda name: int(name[4:]))


def wait(process, condition, timeout=60):
    end = time.monotonic() + timeout
    while not condition():
        assert process.poll() is None, f"it ended before: {process.communicate()[1]}"
        assert time.monotonic() < end
        time.sleep(0.001)


def state(checkpoint):
    """The state of training without the time that it took."""
    value = json.loads((checkpoint / "trainer_state.json").read_text())
    del value["clock"]["seconds"], value["previous"]["seconds"]
    return value


def metrics(folder, *others):
    """The log without what depends on the machine."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    kept = [
        {key: value for key, value in line.items()
         if not key.startswith(("time/seconds", "throughput/", "memory/", *others))}
        for line in lines
    ]
    assert any("loss/train/total" in line for line in kept)
    return kept


def description(folder):
    value = json.loads((folder / "run.json").read_text())
    for key in ("max_duration", "autoresume"):
        value["recipe"].pop(key, None)
    value["recipe"]["train_loader"].pop("num_workers")
    return value


def weights(checkpoint):
    """Tensors of model.safetensors that are float32."""
    content = (checkpoint / "model.safetensors").read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8:8 + size])
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            yield name, array.array("f", content[8 + size + begin:8 + size + end])


def expect_same_checkpoint(first, second):
    names = sorted(path.name for path in first.iterdir())
    assert names == sorted(path.name for path in second.iterdir())
    assert {"model.safetensors", "optimizer.safetensors", "trainer_state.json", "config.json"} <= set(names)
    for name in names:
        if name != "trainer_state.json":
            assert (first / name).read_bytes() == (second / name).read_bytes(), name
    assert state(first) == state(second)


def expect_same_run(first, second):
    """Every file of two runs, but for times."""
    names = {path.name for path in first.iterdir()}
    assert names == {path.name for path in second.iterdir()}
    assert (first / "ledger.jsonl").read_bytes() == (second / "ledger.jsonl").read_bytes()
    assert metrics(first) == metrics(second)
    assert description(first) == description(second)
    assert os.readlink(first / "latest") == os.readlink(second / "latest")
    checkpoints = [name for name in names if name.startswith("step")]
    assert checkpoints
    for name in checkpoints:
        expect_same_checkpoint(first / name, second / name)
    for path in (first / "ema").iterdir():
        assert path.read_bytes() == (second / "ema" / path.name).read_bytes(), path.name
