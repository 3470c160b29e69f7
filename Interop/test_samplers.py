"""Batches of fine-tuning, drawn here and by sentence-transformers: its samplers alone, and its trainer with accelerate.

Needs sentence-transformers, datasets and accelerate (requirements.txt), and the program ettin-probe, whose folder is named
by ETTIN_BIN_DIR.
"""

import itertools
import json
import os
import random
import subprocess

import pytest

datasets = pytest.importorskip("datasets", reason="datasets is not installed (requirements.txt)")
import torch
import xxhash
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.base.data_collator import BaseDataCollator
from sentence_transformers.base.sampler import (
    DefaultBatchSampler, GroupByLabelBatchSampler, NoDuplicatesBatchSampler, ProportionalBatchSampler,
    RoundRobinBatchSampler,
)
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer, models, pre_tokenizers
from torch.utils.data import ConcatDataset, RandomSampler

PROBE = (os.path.join(os.environ.get("ETTIN_BIN_DIR", ".build/release"), "ettin-probe"), "tables")
LABELS = ["label", "labels", "score", "scores"]


def probe(*arguments):
    run = subprocess.run([*PROBE, *map(str, arguments)], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    return run.stdout


def ours(paths, **options):
    answer = json.loads(probe("batches", json.dumps({"datasets": list(map(str, paths)), **options})))
    return answer["nominal"], [[(dataset, rows) for dataset, rows in epoch] for epoch in answer["epochs"]]


@pytest.mark.parametrize("count,seed", [(1, 0), (2, 1), (30_000, 42), (30_001, 42), (1_250_000, 43), (99_991, 2**40 + 7)])
def test_permutations(count, seed):
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed), dtype=torch.int32)
    assert int(probe("permutation", count, seed)) == xxhash.xxh64_intdigest(order.numpy().tobytes())


def rows_of(count, values, labels, seed, lists=False):
    """Rows whose values come from so many, across columns too."""
    dice = random.Random(seed)

    def value():
        text = f"v{dice.randrange(values)}"
        return [text, "it's"] if lists and dice.random() < 0.5 else text

    columns = {"anchor": [f"v{dice.randrange(values)}" for _ in range(count)]}
    columns["positive"] = [f"v{dice.randrange(values)}" for _ in range(count)]
    if lists:
        columns["negatives"] = [[f"v{dice.randrange(values)}", 'it\'s "so"'] for _ in range(count)]
    columns["score" if seed % 2 else "label"] = [dice.randrange(labels) for _ in range(count)]
    return datasets.Dataset.from_dict(columns)


def theirs(sets, sampler, multi, size, drop_last, seed, epoch):
    generator = torch.Generator().manual_seed(seed)
    options = dict(batch_size=size, drop_last=drop_last, valid_label_columns=LABELS, generator=generator, seed=seed)
    samplers = []
    for rows in sets:
        if sampler == "batch_sampler":
            samplers.append(DefaultBatchSampler(RandomSampler(rows, generator=generator), **options))
        elif sampler == "group_by_label":
            samplers.append(GroupByLabelBatchSampler(rows, **options))
        else:
            hashed = sampler == "no_duplicates_hashed"
            samplers.append(
                NoDuplicatesBatchSampler(rows, precompute_hashes=hashed, precompute_num_proc=1 if hashed else None, **options)
            )
    if multi is None:
        batches, offsets = samplers[0], [0]
    else:
        kind = RoundRobinBatchSampler if multi == "round_robin" else ProportionalBatchSampler
        batches = kind(dataset=ConcatDataset(sets), batch_samplers=samplers, generator=generator, seed=seed)
        offsets = [sum(len(rows) for rows in sets[:index]) for index in range(len(sets))]
    batches.set_epoch(epoch)
    found = []
    for batch in batches:
        dataset = max(index for index, offset in enumerate(offsets) if offset <= batch[0])
        found.append((dataset, [int(row) - offsets[dataset] for row in batch]))
    return len(batches), found


SETS = {
    "alone": [(103, 4000, 5)],
    "duplicates": [(150, 60, 4)],
    "few values": [(90, 7, 3)],
    "several": [(41, 30, 3), (64, 500, 2), (17, 12, 4)],
}


@pytest.mark.sampled(8)
@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("sampler", ["batch_sampler", "no_duplicates", "no_duplicates_hashed", "group_by_label"])
@pytest.mark.parametrize("name", SETS)
def test_samplers(tmp_path, name, sampler, drop_last):
    if sampler == "no_duplicates_hashed" and (name != "duplicates" or drop_last):
        pytest.skip("hashing is slow in the original, and in one case as in another")
    sets = [rows_of(*sizes, seed=index, lists=index == 0) for index, sizes in enumerate(SETS[name])]
    for index, rows in enumerate(sets):
        rows.save_to_disk(tmp_path / str(index))
    paths = [tmp_path / str(index) for index in range(len(sets))]
    for multi in ["proportional", "round_robin"] + ([None] if len(sets) == 1 and sampler != "batch_sampler" else []):
        for size in [4, 8]:
            nominal, epochs = ours(
                paths, sampler=sampler, multi=multi or "", single=multi is None, batch_size=size, drop_last=drop_last,
                seed=12, epochs=3,
            )
            for epoch in range(3):
                expected = theirs(sets, sampler, multi, size, drop_last, 12, epoch)
                assert (nominal, epochs[epoch]) == expected, f"{multi}, batches of {size}, epoch {epoch}"


class Recorder(BaseDataCollator):
    """Notes which rows make the batches, by the numbers that their first texts begin with."""

    def __call__(self, features):
        texts = [next(value for key, value in row.items() if key != "dataset_name") for row in features]
        self.batches.append([tuple(map(int, text.split()[0].split("."))) for text in texts])
        return super().__call__(features)


def numbered(count, dataset):
    anchors = [f"{dataset}.{row} anchor{row % 7}" for row in range(count)]
    return datasets.Dataset.from_dict({"anchor": anchors, "positive": [f"positive{row % 11}" for row in range(count)]})


CASES = {
    "plain": dict(),
    "short last batch and a seed for the data": dict(data_seed=5, seed=9),
    "dropped last batch": dict(dataloader_drop_last=True),
    "no duplicates": dict(batch_sampler="no_duplicates", gradient_accumulation_steps=2),
    "several": dict(several=True),
    "several in turn": dict(several=True, multi_dataset_batch_sampler="round_robin", batch_sampler="no_duplicates"),
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", CASES)
def test_trainer(tmp_path, name):
    """The order in which the trainer sees rows, over epochs, and in evaluation."""
    options = dict(seed=42) | CASES[name]
    several = options.pop("several", False)
    words = [f"{kind}{number}" for kind in ("anchor", "positive") for number in range(12)]
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, **{word: index + 1 for index, word in enumerate(words)}}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    model = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=4)], device="cpu")
    train = [numbered(45, 0), numbered(23, 1)] if several else [numbered(45, 0)]
    dev = numbered(19, 7)
    for index, rows in enumerate([*train, dev]):
        rows.save_to_disk(tmp_path / str(index))
    arguments = SentenceTransformerTrainingArguments(
        output_dir=tmp_path / "out", num_train_epochs=3, per_device_train_batch_size=6, per_device_eval_batch_size=4,
        eval_strategy="epoch", save_strategy="no", logging_strategy="no", report_to="none", use_cpu=True,
        disable_tqdm=True, **options,
    )
    collator = Recorder(preprocess_fn=model.preprocess)
    collator.batches = []
    trainer = SentenceTransformerTrainer(
        model, arguments, eval_dataset=dev, data_collator=collator, loss=MultipleNegativesRankingLoss(model),
        train_dataset=datasets.DatasetDict({"a": train[0], "b": train[1]}) if several else train[0],
    )
    trainer.train()
    seen = [(batch[0][0], [row for _, row in batch]) for batch in collator.batches]
    shared = dict(
        sampler=options.get("batch_sampler", "batch_sampler"), multi=options.get("multi_dataset_batch_sampler", ""),
        drop_last=options.get("dataloader_drop_last", False), seed=options["seed"], data_seed=options.get("data_seed"),
        all=False,
    )
    nominal, epochs = ours(
        [tmp_path / str(index) for index in range(len(train))], batch_size=6, epochs=3, single=not several, **shared
    )
    _, evaluation = ours([tmp_path / str(len(train))], batch_size=4, epochs=1, single=True, **shared)
    # Each epoch ends with an evaluation; the loader reads one batch ahead, also behind the last one that is used.
    groups = [list(group) for _, group in itertools.groupby(seen, key=lambda batch: batch[0] == 7)]
    assert [rows for _, rows in groups[1]] == [rows for _, rows in evaluation[0]]
    assert groups[1] == groups[3] == groups[5] and len(groups) == 6
    for epoch, group in zip(epochs, groups[::2]):
        assert len(epoch) == nominal
        assert group[:nominal] == epoch and len(group) <= nominal + 1
