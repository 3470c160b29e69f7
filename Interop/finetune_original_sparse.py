"""The original of `ettin finetune sparse`: sentence-transformers' trainer of sparse models, of either generation, run from the
same recipe (docs/finetuning.md)."""

import contextlib
import io
import warnings
from pathlib import Path

import torch
from datasets import Dataset
from finetune_original import OWN, data, entries, key, read
from sentence_transformers import SparseEncoder, SparseEncoderTrainer, SparseEncoderTrainingArguments
# The older names of modules, which both generations know.
from sentence_transformers.sparse_encoder import losses
from sentence_transformers.sparse_encoder.callbacks.splade_callbacks import SpladeRegularizerWeightSchedulerCallback
from sentence_transformers.sparse_encoder.data_collator import SparseEncoderDataCollator
from sentence_transformers.sparse_encoder.evaluation import SparseTripletEvaluator

# What a recipe of sparse models has besides.
OWN_OF_SPARSE = {"pooling_strategy", "activation_function", "max_active_dims", "similarity_fn_name", "regularizer_scheduler"}


class Collator(SparseEncoderDataCollator):
    """Adds the name of a batch's data set, and the numbers of its rows in their file."""

    known = {}

    def __call__(self, features):
        places = [self.known.get(key(feature), ("", -1)) for feature in features]
        rows = torch.tensor([row for _, row in places])
        return super().__call__(features) | {"rows": rows, "origin": places[0][0]}


class Trainer(SparseEncoderTrainer):
    """The trainer, which remembers the rows of each batch that it computes gradients of."""

    def __init__(self, *arguments, known, **options):
        super().__init__(*arguments, **options)
        self.data_collator.__class__ = Collator
        self.batches, self.data_collator.known = [], known

    def compute_loss(self, model, inputs, *arguments, **options):
        rows, origin = inputs.pop("rows"), inputs.pop("origin")
        if model.training:
            self.batches.append([origin, rows.tolist()])
        return super().compute_loss(model, inputs, *arguments, **options)


class Original:
    """A finished run."""

    def __init__(self, recipe):
        self.recipe, self.output = recipe, Path(recipe["output_dir"])
        known = {}
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            torch.manual_seed(recipe.get("seed", 42))
            self.model = load(recipe)
            train, held_out = data(recipe, known)
            chosen = {name: value for name, value in recipe.items() if name not in OWN | OWN_OF_SPARSE}
            arguments = SparseEncoderTrainingArguments(use_cpu=True, disable_tqdm=True, report_to="none", **chosen)
            loss = make_losses(self.model, recipe.get("loss"))
            callbacks = []
            if schedule := recipe.get("regularizer_scheduler"):
                callbacks = [SpladeRegularizerWeightSchedulerCallback(
                    loss=loss, scheduler_type=schedule["type"], warmup_ratio=schedule["warmup_ratio"])]
            self.trainer = Trainer(
                model=self.model, args=arguments, train_dataset=train, eval_dataset=held_out, known=known, loss=loss,
                evaluator=make_evaluator(recipe.get("evaluator"), held_out), callbacks=callbacks)
            self.trainer.train()
        self.state = self.trainer.state
        self.log = entries(self.state.log_history)
        self.batches = self.trainer.batches
        self.model.eval()

    def embeddings(self, texts):
        return self.model.encode(texts, show_progress_bar=False, convert_to_sparse_tensor=False).numpy()

    def save(self, folder):
        self.model.save_pretrained(str(folder))
        return folder


def load(recipe):
    model = SparseEncoder(str(recipe["model_name_or_path"]), device="cpu", similarity_fn_name=recipe.get("similarity_fn_name"))
    model[1].pooling_strategy = recipe.get("pooling_strategy", model[1].pooling_strategy)
    model[1].activation_function = recipe.get("activation_function", model[1].activation_function)
    if length := recipe.get("max_seq_length"):
        model.max_seq_length = length
    return model


def make_losses(model, described):
    """A loss, or one for each data set."""
    if described is None:
        return None
    if isinstance(described, dict) and "type" not in described:
        return {name: make_losses(model, value) for name, value in described.items()}
    settings = {"type": described} if isinstance(described, str) else dict(described)
    kind = getattr(losses, settings.pop("type"))
    if "loss" in settings:
        settings["loss"] = make_losses(model, settings["loss"])
    return kind(model, **settings)


def make_evaluator(described, rows):
    if described is None:
        return None
    settings = dict(described)
    settings.pop("type")
    rows = Dataset.from_list(read(settings.pop("dataset"))) if "dataset" in settings else rows
    rows = next(iter(rows.values())) if isinstance(rows, dict) else rows
    return SparseTripletEvaluator(*[list(rows[name]) for name in rows.column_names[:3]], **settings)
