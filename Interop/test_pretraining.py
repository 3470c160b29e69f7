"""Training by recipe: mistakes and what they cost; every kind of recipe of the repository on tiny data, with the rates
of its phase.

Needs the program ettin, whose folder is named by ETTIN_BIN_DIR, and nothing else than pytest.
"""

import json
import math
import os
import re
import shutil
from pathlib import Path

import pytest
from tiny_runs import KINDS, Run, ettin, make_place, state, wait, weights

RECIPES = Path(__file__).resolve().parent.parent / "Recipes"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return make_place(tmp_path_factory.mktemp("pretraining"))


def refused(run, *overrides, code=1):
    """The one line that a mistake is answered with."""
    errors = run.to_the_end(*overrides, code=code)
    [line] = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert errors.rstrip().endswith(line)
    return line


def content(folder):
    """Every file, folder and link below a folder, with the time of its last change."""

    def value(path):
        if path.is_symlink():
            return os.readlink(path)
        return path.read_bytes() if path.is_file() else None

    return {str(path.relative_to(folder)): (path.lstat().st_mtime_ns, value(path)) for path in folder.rglob("*")}


# --- Mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "overrides, code, message",
    [
        (["max_duraton=3ba"], 1, "max_duraton: is not a key of a recipe.*did you mean max_duration"),
        (["train_loader.dataset.shufle=true"], 1, "dataset.shufle: .*did you mean train_loader.dataset.shuffle"),
        (["optimizer.lr=quick"], 1, 'optimizer.lr: is "quick"; expected a number'),
        (["max_duration=3"], 1, 'max_duration: is "3"; expected a number with a unit'),
        (["max_duration=0ba"], 1, "max_duration: is 0ba"),
        (["nonsense"], 64, '"nonsense" is no key=value'),
        (["--threads", "0"], 64, "--threads is 0"),
        (["--lockstep", "../encoder.yaml"], 1, "--lockstep: was given two encoders"),
        (["--lockstep", "../none.yaml"], 1, "none.yaml: cannot be opened"),
        (["scheduler.t_warmup=400ba"], 1, "scheduler.t_warmup .* expected at most max_duration, 300ba"),
        (["scheduler.t_decay=5tok"], 1, "scheduler.t_decay: is 5tok, but max_duration is 300ba"),
        (["mlm_probability=0"], 1, "mlm_probability: is 0.0, but model.name makes an encoder"),
        (["model.name=flex_gpt"], 1, "mlm_probability: would mask 0.3 of the tokens, but model.name makes a decoder"),
        (["model.model_config.num_attention_heads=3"], 1, '"hidden_size" is 64, which 3 heads do not divide'),
        (["model.model_config.vocab_size=500"], 1, "vocab_size: is 500, but the tokenizer has 1000 tokens"),
        (["device_train_microbatch_size=0"], 1, 'device_train_microbatch_size: is "0"'),
        (["device=warp"], 1, 'device "warp": unknown device'),
        (["train_loader.sequence_packing=true"], 1, "sequence_packing: is true"),
        (["data_local=../nowhere"], 1, "../nowhere/train/index.json: cannot be opened"),
        (["data_local=your_data"], 1, 'train_loader.dataset.local: is the placeholder "your_data"'),
        (["tokenizer_name=../nowhere"], 1, "tokenizer_name: cannot be used: .*nowhere"),
        (["global_train_batch_size=2000"], 1, "global_train_batch_size: is 2000, but ../data/train has 1500 samples"),
        (["save_folder=../corpus.txt/run"], 1, "corpus.txt: cannot be made a folder"),
        (["save_folder=/dev/null/run"], 1, "/dev/null: cannot be made a folder"),
        (["save_folder="], 1, "save_folder"),
        (["load_path=../nowhere"], 1, 'load_path: is "../nowhere", which is neither a folder nor a file'),
        (["load_path=../tokenizer"], 1, 'load_path: is "../tokenizer", which holds no checkpoint'),
        (["load_path=../corpus.txt"], 1, "corpus.txt"),
    ],
)
def test_a_mistake_is_named_in_one_line_before_anything_is_written(place, overrides, code, message):
    run = Run(place, f"mistake-{len(list(place.iterdir()))}", kinds=["encoder"])
    assert re.search(message, refused(run, *overrides, code=code)), message
    assert not list(run.folder.iterdir())


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_that_may_not_be_written_is_named(place):
    run = Run(place, "locked", kinds=["encoder"])
    run.folder.chmod(0o555)
    assert "run: cannot be made a folder (Permission denied)" in refused(run)


@pytest.mark.parametrize(
    "key, override",
    [("train_loader.dataset.shuffle_seed", "train_loader.dataset.shuffle_seed=8"), ("max_duration", "max_duration=9ba"),
     ("max_seq_len", "max_seq_len=32"), ("global_train_batch_size", "global_train_batch_size=12"),
     ("rules.token_counting", "rules.token_counting=attention_mask"), ("save_interval", "save_interval=7ba"),
     ("seed", "seed=6")],
)
def test_recipes_of_a_pair_that_disagree_are_refused(place, key, override):
    text = (place / "decoder.yaml").read_text()
    name, value = override.split("=")
    name = name.rsplit(".", 1)[-1]
    if re.search(rf"\b{name}:", text):
        text = re.sub(rf"\b{name}: [^\n,}}]+", f"{name}: {value}", text, count=1)
    else:
        text = text.replace("rules: {", f"rules: {{{name}: {value}, ")
    run = Run(place, f"disagree-{name}", kinds=["encoder"])
    (run.folder / "other.yaml").write_text(text)
    assert key in refused(run, "--lockstep", "other.yaml")
    assert [path.name for path in run.folder.iterdir()] == ["other.yaml"]


@pytest.fixture(scope="module")
def begun(place):
    """An encoder after ten batches."""
    run = Run(place, "begun", "save_interval=5ba", "eval_interval=1000ba", kinds=["encoder"])
    run.to_the_end("max_duration=10ba")
    return run


@pytest.mark.parametrize(
    "overrides, message",
    [
        (["seed=6"], "seed: is 6, but the run resumed from run/step10 has 5"),
        (["max_seq_len=32"], "max_seq_len: is 32, but"),
        (["train_loader.dataset.shuffle_seed=8"], "shuffle_seed: is 8, but"),
        (["train_loader.dataset.shuffle=false"], "the order of the samples: is "),
        (["train_loader.dataset.split=validation"], "the data set: is 40 samples"),
        (["global_train_batch_size=12"], "global_train_batch_size: is 12, but"),
        (["rules.batch_size_warmup=literal"], "batch_size_warmup: is none, but"),
        (["optimizer.name=decoupled_adamw"], "optimizer.name: is decoupled_adamw, but"),
        (["model.model_config.num_hidden_layers=3"], "num_hidden_layers: is 3, but run/step10 has 2"),
        (["model.model_config.sliding_window=16"], "sliding_window: is 8 to a side, but"),
        (["model.model_config.rotary_emb_base=500"], "rotary_emb_base: is 500.0, but"),
        (["autoresume=false"], "save_folder: is run, which holds a run"),
        (["phase=ext"], "save_folder: is run, which holds another run with the checkpoint step10"),
        (["save_overwrite=true", "autoresume=false", "load_path=../nowhere"], "load_path: "),
        (["save_overwrite=true", "autoresume=false", "data_local=../nowhere"], "nowhere/train/index.json"),
    ],
)
def test_a_folder_with_another_run_is_left_as_it_is(place, begun, overrides, message):
    before = content(begun.folder)
    assert message in refused(begun, *overrides)
    assert content(begun.folder) == before


def test_a_run_may_be_replaced_and_made_longer(place, begun):
    run = Run(place, "replaced", "eval_interval=1000ba", kinds=["encoder"])
    shutil.copytree(begun.folders[0], run.folders[0], symlinks=True)
    run.to_the_end("max_duration=12ba")
    assert run.batches() == 12 and state(run.folders[0] / "step12")["clock"]["batch"] == 12
    run.to_the_end("autoresume=false", "save_overwrite=true", "seed=6", "max_duration=3ba")
    assert run.checkpoints() == ["step3"] and run.batches() == 3


def test_data_of_another_tokenizer_are_named_by_sample(place):
    lines = (place / "corpus.txt").read_text().splitlines()
    (place / "larger.txt").write_text("\n".join(lines))
    ettin("tokenizer", "train", place / "larger.txt", "--vocab-size", 1100, "-o", place / "larger")
    ettin("data", "tokenize", place / "larger.txt", "--separator", r"\n", "--tokenizer", place / "larger", "-o",
          place / "foreign/train")
    run = Run(place, "foreign-run", kinds=["encoder"])
    error = refused(run, "data_local=../foreign", "eval_loader.dataset.local=../data")
    assert "../foreign/train: was made with another tokenizer" in error and "has 1000 tokens" in error
    # Without the manifest the ids say it, and nothing was written either.
    (place / "foreign/train/manifest.json").unlink()
    error = refused(run, "data_local=../foreign", "eval_loader.dataset.local=../data")
    assert re.search(r"\.\./foreign/train: sample \d+ holds the id 1[01]\d\d; expected ids .* vocab_size, 1000", error)
    assert not list(run.folder.iterdir())
    # Nothing was trained, so that the right data need no other folder.
    run.to_the_end("max_duration=2ba", "autoresume=false")


@pytest.mark.parametrize("rate, batch", [("1e9", 3), ("1e38", 2)])
def test_a_loss_that_is_no_number_ends_the_run_with_what_can_be_saved(place, rate, batch):
    run = Run(place, f"diverged-{rate}", f"optimizer.lr={rate}", "scheduler.t_warmup=0.01dur", "eval_interval=1000ba")
    error = refused(run)
    found = re.search(r"error: (encoder|decoder), batch (\d+): (loss|gradients): (is|have)", error)
    assert found, error
    saved = re.search(r"saved in run/(\w+)/(step\d+)", error)
    if saved:
        assert saved[2] == f"step{int(found[2]) - 1}"
        folder = run.folder / "run" / saved[1] / saved[2]
        assert all(math.isfinite(value) for _, values in weights(folder) for value in values)
        assert state(folder)["clock"]["batch"] == int(found[2]) - 1
    else:
        assert "are NaN or infinite too, and there is no checkpoint" in error
        assert run.checkpoints(0) == run.checkpoints(1) == []
    assert not run.leftovers()


def test_a_model_of_the_other_kind_is_no_beginning(place, begun):
    run = Run(place, "wrong-kind", kinds=["decoder"])
    for override in ("load_weights_only=true", "load_weights_only=false"):
        error = refused(run, "load_path=../begun/run", override)
        assert "load_path: is ../begun/run/step10, which holds an encoder" in error
    assert not list(run.folder.iterdir())


def test_a_model_without_a_state_gives_weights_alone(place, begun):
    run = Run(place, "stateless", "eval_interval=1000ba", kinds=["encoder"])
    model = place / "published"
    shutil.copytree(begun.folders[0] / "step10", model)
    (model / "trainer_state.json").unlink()
    (model / "optimizer.safetensors").unlink()
    error = refused(run, "load_path=../published")
    assert "../published: has no trainer_state.json" in error and "load_weights_only: true" in error
    run.to_the_end("load_path=../published", "load_weights_only=true", "max_duration=2ba")
    shutil.copy(begun.folders[0] / "step10/trainer_state.json", model)
    error = refused(Run(place, "stateless-half", kinds=["encoder"]), "load_path=../published")
    assert "optimizer.safetensors" in error


# --- The kinds of recipes ---------------------------------------------------------------------------------------------


SMALL = [
    "model.model_config.num_hidden_layers=2", "model.model_config.hidden_size=64",
    "model.model_config.intermediate_size=96", "model.model_config.num_attention_heads=2",
    "model.model_config.global_attn_every_n_layers=2", "model.model_config.vocab_size=tokenizer",
    "data_local=../data", "tokenizer_name=../tokenizer", "global_train_batch_size=4", "global_eval_batch_size=8",
    "device_train_microbatch_size=2", "eval_interval=1000ba", "save_interval=1000ba", "progress_bar=false",
    "log_to_console=false",
]
PEAK, LENGTH = 3e-3, 1200


class Phase(Run):
    """A recipe of the repository, made small."""

    def __init__(self, place, name, recipe, *overrides):
        super().__init__(place, name, kinds=[recipe.split("-")[0]])
        path = RECIPES / "17m" / f"{recipe}.yaml"
        self.command = ["pretrain", path, "--threads", 1, *SMALL, f"max_duration={LENGTH}tok", "save_folder=run",
                        *overrides]

    def lines(self):
        return [json.loads(line) for line in (self.folders[0] / "metrics.jsonl").read_text().splitlines()]

    def rates(self):
        rates = [line["lr-StableAdamW/group0"] for line in self.lines() if "lr-StableAdamW/group0" in line]
        assert len(rates) == self.batches() > 5
        return rates

    def starts(self):
        """The tokens before each batch, by the ledger."""
        tokens = [json.loads(line)["tokens"] for line in (self.folders[0] / "ledger.jsonl").read_text().splitlines()]
        return [sum(tokens[:step]) for step in range(len(tokens))]

    def tag(self):
        return os.readlink(self.folders[0] / "latest")


def warmup_stable_decay(time, warmup, decay, final):
    if time < warmup:
        return 1e-10 + time / warmup * (1 - 1e-10)
    return 1 if time < LENGTH - decay else max(0, 1 - (time - LENGTH + decay) / decay * (1 - final))


def one_minus_sqrt(time, final):
    return max(final, final + (1 - final) * (1 - math.sqrt(time / LENGTH)))


def close(found, expected):
    assert len(found) == len(expected)
    for step, (first, second) in enumerate(zip(found, expected)):
        assert math.isclose(first, second, rel_tol=1e-12), (step, first, second)


@pytest.fixture(scope="module", params=KINDS)
def phases(request, place):
    """Pre-training, extension and decay, each from the one before it."""
    kind = request.param
    runs = [
        Phase(place, f"{kind}-pretrain", f"{kind}-pretrain", "scheduler.t_warmup=300tok"),
        Phase(place, f"{kind}-extension", f"{kind}-extension", f"load_path=../{kind}-pretrain/run/latest"),
        Phase(place, f"{kind}-decay", f"{kind}-decay", f"load_path=../{kind}-extension/run/latest"),
    ]
    for run in runs:
        run.to_the_end()
    return runs


def test_the_phases_have_the_rates_of_the_specification(phases):
    first, extension, decay = phases
    assert [re.sub(r"\d", "", run.tag()) for run in phases] == ["step", "ext", "decay"]
    close(first.rates(), [PEAK * warmup_stable_decay(time, 300, 0, 0.02) for time in first.starts()])
    close(extension.rates(), [PEAK * one_minus_sqrt(time, 0.5) for time in extension.starts()])
    # As it is meant, the decay goes from half the peak to a fiftieth of it.
    close(decay.rates(), [PEAK / 2 * one_minus_sqrt(time, 0.04) for time in decay.starts()])
    for run, earlier in ((extension, first), (decay, extension)):
        clock = state(run.folders[0] / run.tag())
        assert clock["clock"]["batch"] == run.batches() and clock["data"]["step"] == run.batches()
        before = state(earlier.folders[0] / earlier.tag())
        assert clock["optimizer"]["steps"] == before["optimizer"]["steps"] + run.batches()
        # Weight decay refers to the peak of the first phase throughout.
        assert clock["optimizer"]["reference_lr"] == PEAK
    # The same data, whatever was trained before.
    assert (first.folders[0] / "ledger.jsonl").read_bytes() == (extension.folders[0] / "ledger.jsonl").read_bytes()


@pytest.mark.parametrize("timing", ["intended", "literal"])
def test_the_decay_can_be_run_as_the_training_code_ran(place, phases, timing):
    extension = phases[1]
    kind = extension.kinds[0]
    path = f"load_path=../{kind}-extension/run"
    run = Phase(place, f"{kind}-decay-{timing}", f"{kind}-decay", path, "rules.decay_base_rate=literal",
                f"rules.learning_rate_timing={timing}")
    run.to_the_end()
    # The rate of the recipe is taken for a factor of the one that was loaded, and the base is the peak times that.
    loaded = extension.rates()[-1]
    base = PEAK * 1.5e-3 / loaded
    starts = run.starts()
    expected = [base * one_minus_sqrt(time, 0.04) for time in starts]
    if timing == "literal":
        # Batch 0 has the rate that was overridden, every other that of the batch before it.
        expected = [1.5e-3] + expected[:-1]
    close(run.rates(), expected)


def test_rates_a_batch_late_survive_a_resume(place):
    whole, stopped = [
        Phase(place, name, "encoder-pretrain", "scheduler.t_warmup=300tok", "rules.learning_rate_timing=literal")
        for name in ("late", "late-stopped")
    ]
    whole.to_the_end()
    stopped.to_the_end("max_duration=700tok")
    stopped.to_the_end()
    starts = whole.starts()
    expected = [PEAK * warmup_stable_decay(time, 300, 0, 0.02) for time in starts]
    close(whole.rates(), expected[:1] + expected[:-1])
    assert stopped.rates() == whole.rates()
    names = [run.folders[0] / run.tag() / "model.safetensors" for run in (whole, stopped)]
    assert names[0].read_bytes() == names[1].read_bytes()


def test_without_override_the_loaded_base_stays(place, phases):
    """The decay file of the 400m encoder."""
    kind = phases[0].kinds[0]
    run = Phase(place, f"{kind}-decay-plain", f"{kind}-decay", f"load_path=../{kind}-extension/run",
                "restart_override=false", "rules.decay_base_rate=literal")
    run.to_the_end()
    close(run.rates(), [PEAK * one_minus_sqrt(time, 0.04) for time in run.starts()])


def test_a_phase_that_resets_its_time_literally_begins_again_when_it_is_resumed(place, phases):
    kind = phases[0].kinds[0]
    settings = [f"load_path=../{kind}-pretrain/run", "save_interval=3ba", "max_duration=12ba", "scheduler.t_decay=12ba",
                "scheduler.t_max=12ba"]
    runs = {rule: Phase(place, f"{kind}-reset-{rule}", f"{kind}-extension", *settings, f"rules.reset_time={rule}")
            for rule in ("intended", "literal")}
    for rule, run in runs.items():
        process = run.begin()
        wait(process, lambda: run.batches() >= 4)
        process.kill()
        process.communicate()
        assert run.batches() < 12
        newest = run.folders[0] / run.tag()
        weights_before = (newest / "model.safetensors").read_bytes()
        run.to_the_end()
        assert run.batches() == 12 and run.tag() == "ext12"
        begins_again = rule == "literal"
        assert state(run.folders[0] / "ext12")["optimizer"]["steps"] == (
            state(phases[0].folders[0] / phases[0].tag())["optimizer"]["steps"] + 12
            + (int(newest.name[3:]) if begins_again else 0)
        )
        folder = run.folders[0] / "ext0"
        assert folder.exists() == begins_again
        if begins_again:
            assert (folder / "model.safetensors").read_bytes() == weights_before
    ledgers = [(run.folders[0] / "ledger.jsonl").read_bytes() for run in runs.values()]
    assert ledgers[0] == ledgers[1]


def test_the_other_kind_goes_on_from_a_finished_model(place, phases):
    source = phases[2]
    kind = source.kinds[0]
    other = KINDS[1 - KINDS.index(kind)]
    run = Phase(place, f"{other}-from-{kind}", f"{other}-from-{kind}", f"load_path=../{kind}-decay/run/latest",
                "scheduler.t_warmup=300tok", "scheduler.t_decay=400tok")
    run.to_the_end()
    close(run.rates(), [1.5e-3 * warmup_stable_decay(time, 300, 400, 0.02) for time in run.starts()])
    final = state(run.folders[0] / run.tag())
    assert final["optimizer"]["steps"] == run.batches() and final["optimizer"]["reference_lr"] == 1.5e-3
    config = json.loads((run.folders[0] / run.tag() / "config.json").read_text())
    assert config["model_type"] == ("modernbert" if other == "encoder" else "modernbert-decoder")
    wrong = Phase(place, f"{other}-from-{other}", f"{other}-from-{kind}", f"load_path=../{other}-nothing")
    assert "load_path" in refused(wrong, "scheduler.t_warmup=300tok", "scheduler.t_decay=400tok")


@pytest.mark.slow
def test_a_pair_goes_on_in_lockstep_from_the_folder_of_a_pair(place):
    first = Phase(place, "pair-pretrain", "encoder-pretrain", "scheduler.t_warmup=300tok", "--lockstep",
                  RECIPES / "17m/decoder-pretrain.yaml")
    second = Phase(place, "pair-extension", "encoder-extension", "load_path=../pair-pretrain/run", "--lockstep",
                   RECIPES / "17m/decoder-extension.yaml")
    for run in (first, second):
        run.kinds = KINDS
        run.to_the_end()
        ettin("pair", "verify", run.folder / "run")
    for kind, folder in zip(KINDS, second.folders):
        assert json.loads((folder / "run.json").read_text())["phase"] == "ext"
        steps = state(folder / os.readlink(folder / "latest"))["optimizer"]["steps"]
        assert steps == first.batches() + second.batches()
