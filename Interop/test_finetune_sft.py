"""`ettin finetune sft` beside TRL and transformers, both run from the same recipe.

Needs the programs ettin and ettin-probe, whose folder is named by ETTIN_BIN_DIR. TRL prepares its data live; its trainer
takes the steps with the loss of the model's own head (see finetune_sft_runs.py).
"""

import json
import random
import signal
import subprocess

import datasets
import finetune_original as original
import pytest
import torch
from finetune_runs import PROBE, expect_same_run
from finetune_sft_runs import Original, OurChat, Place, trainer
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import pack_dataset

LOSS = 1e-4


@pytest.fixture(scope="module")
def place(tmp_path_factory, small_tokenizer):
    return Place(tmp_path_factory.mktemp("sft"), small_tokenizer)


def rows(recipe, path):
    """The rows that a recipe trains on."""
    path.write_text(json.dumps(recipe))
    done = subprocess.run([PROBE, "finetune", "rows", "sft", str(path)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


# --- Data -------------------------------------------------------------------------------------------------------------

PACKED = dict(packing=True)
DATA = {
    "messages": {},
    "from and value": dict(train_dataset="conversations.jsonl"),
    "texts": dict(train_dataset="text.jsonl", chat_template_path=None),
    "completions": dict(train_dataset="completions.jsonl", chat_template_path=None),
    "completions, all tokens": dict(
        train_dataset="completions.jsonl", chat_template_path=None, completion_only_loss=False),
    "chat completions": dict(train_dataset="chat-completions.jsonl"),
    "answers": dict(chat_template_path="marked.jinja", assistant_only_loss=True),
    "answers of completions": dict(
        train_dataset="chat-completions.jsonl", chat_template_path="marked.jinja", assistant_only_loss=True),
    "the end": dict(truncation_mode="keep_end", max_length=40),
    "short": dict(train_dataset="completions.jsonl", chat_template_path=None, max_length=12),
    "shuffled": dict(shuffle_dataset=True),
    "packed": PACKED,
    "packed, cut": PACKED | dict(max_length=40),
    "packed, split": PACKED | dict(packing_strategy="bfd_split", max_length=40),
    "wrapped": PACKED | dict(packing_strategy="wrapped"),
    "packed and shuffled": PACKED | dict(shuffle_dataset=True),
    "packed answers": PACKED | dict(chat_template_path="marked.jinja", assistant_only_loss=True),
}


@pytest.mark.parametrize("case", DATA)
def test_rows_are_those_that_the_original_prepares(place, tmp_path, case):
    recipe = place.recipe("rows", **DATA[case])
    theirs = trainer(recipe).train_dataset
    ours = rows(recipe, tmp_path / "recipe.yaml")
    assert [row["input_ids"] for row in ours] == theirs["input_ids"][:]
    assert [row["labels"] for row in ours] == theirs["labels"][:]
    if "seq_lengths" in theirs.column_names:
        assert [row["seq_lengths"] for row in ours] == theirs["seq_lengths"][:]


@pytest.mark.parametrize("strategy", ["bfd", "bfd_split", "wrapped"])
def test_rows_of_many_groups_are_packed_alike(place, tmp_path, strategy):
    rng = random.Random(1)
    examples = [{"input_ids": (ids := [rng.randrange(200) for _ in range(rng.randint(1, 90))]), "labels": ids}
                for _ in range(2300)]
    path = tmp_path / "ids.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in examples))
    recipe = place.recipe(
        "many", train_dataset=str(path), chat_template_path=None, packing=True, packing_strategy=strategy)
    theirs = pack_dataset(datasets.Dataset.from_list(examples), 64, strategy)
    ours = rows(recipe, tmp_path / "recipe.yaml")
    assert [row["input_ids"] for row in ours] == theirs["input_ids"][:]


# --- Steps ------------------------------------------------------------------------------------------------------------

RUNS = {
    "padded": dict(max_steps=20, eval_dataset="held-out.jsonl", eval_strategy="steps", eval_steps=10),
    "packed": dict(
        max_steps=20, packing=True, max_length=128, eval_dataset="held-out.jsonl", eval_strategy="steps", eval_steps=10,
        eval_packing=False),
    "dynamic": dict(max_steps=5, loss_type="dft"),
    "completions": dict(max_steps=5, train_dataset="completions.jsonl", chat_template_path=None),
    "answers": dict(max_steps=5, chat_template_path="marked.jinja", assistant_only_loss=True, packing=True),
}


@pytest.mark.parametrize("case", RUNS)
def test_a_run_takes_the_steps_of_the_original(place, case, measured):
    recipe = place.recipe(case, **RUNS[case])
    theirs, ours = Original(recipe), OurChat(recipe)
    measured("sft: log of a run, largest relative difference", difference := original.largest(ours.log, theirs.log))
    assert difference <= LOSS, f"ours:   {json.dumps(ours.log)}\ntheirs: {json.dumps(theirs.log)}"
    model = AutoModelForCausalLM.from_pretrained(ours.final)
    ids = torch.tensor([[5, 17, 33, 8, 90]])
    with torch.no_grad():
        found, wanted = model(ids).logits, theirs.model(ids).logits
    assert torch.allclose(found, wanted, atol=2e-3 * wanted.abs().max().item())


# --- Folders ----------------------------------------------------------------------------------------------------------


def test_a_tokenizer_without_a_template_gets_one_that_transformers_reads(place):
    ours = OurChat(place.recipe("cloned", chat_template_path=None, max_steps=2))
    tokenizer = AutoTokenizer.from_pretrained(ours.final)
    model = AutoModelForCausalLM.from_pretrained(ours.final)
    assert len(tokenizer) == model.config.vocab_size and len(tokenizer) % 64 == 0
    assert tokenizer.eos_token == "<|im_end|>" and model.config.eos_token_id == tokenizer.eos_token_id
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    text = tokenizer.apply_chat_template([{"role": "user", "content": "hi"}], tokenize=False, add_generation_prompt=True)
    assert text == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"


def test_a_killed_run_is_resumed_to_the_same_bits(place):
    recipe = place.recipe("whole", max_steps=12, packing=True, save_strategy="steps", save_steps=4, autoresume=True)
    whole = OurChat(recipe)
    parts = OurChat(recipe | {"output_dir": str(place.folder / "parts")}, run=False)
    process = parts.begin()
    parts.wait(process, 6)
    process.send_signal(signal.SIGKILL)
    process.wait()
    parts.run()
    expect_same_run(whole, parts)
