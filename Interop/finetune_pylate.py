"""The original of `ettin finetune colbert`: PyLate under sentence-transformers' trainer, run from the same recipe.

A recipe is a dictionary with the keys of docs/finetuning.md; see finetune_original.py.
"""

import contextlib
import io
import logging
import warnings
from pathlib import Path

import torch
from datasets import Dataset
from finetune_original import entries, read
from pylate import evaluation, losses, models, utils
from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments

MODEL = {
    "embedding_size", "bias", "query_prefix", "document_prefix", "query_length", "document_length", "do_query_expansion",
    "attend_to_expansion_tokens", "skiplist_words",
}
# What a recipe has besides the arguments of the original.
OWN = MODEL | {
    "model_name_or_path", "train_dataset", "eval_dataset", "queries_dataset", "documents_dataset", "n_ways", "columns", "loss",
    "evaluator", "prompts",
}


class Collator(utils.ColBERTCollator):
    """Remembers the numbers of the rows of each batch, in its order."""

    def __call__(self, features):
        self.batches.append([feature.pop("row_id") for feature in features])
        return super().__call__(features)


class OriginalColBERT:
    """A finished run."""

    def __init__(self, recipe):
        self.recipe, self.output = recipe, Path(recipe["output_dir"])
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            self.model = load(recipe)
            train = data(recipe, "train_dataset")
            chosen = {name: value for name, value in recipe.items() if name not in OWN}
            arguments = SentenceTransformerTrainingArguments(
                use_cpu=True, disable_tqdm=True, report_to="none", **chosen)
            settings = recipe.get("loss", "Distillation")
            settings = {"type": settings} if isinstance(settings, str) else dict(settings)
            # Ours alone: the original has no other gradients.
            settings.pop("sum_gradients", None)
            loss = getattr(losses, settings.pop("type"))(self.model, **settings)
            collator = Collator(tokenize_fn=self.model.tokenize, prompts=recipe.get("prompts"))
            collator.batches = self.batches = []
            trainer = SentenceTransformerTrainer(
                model=self.model, args=arguments, train_dataset=train, loss=loss, data_collator=collator)
            trainer.train()
        # One batch more is read than is trained on.
        self.batches = self.batches[:trainer.state.global_step * arguments.gradient_accumulation_steps]
        self.log = entries(trainer.state.log_history)
        self.model.eval()

    def save(self, folder):
        self.model.save_pretrained(str(folder))
        return folder


def load(recipe):
    options = {name: value for name, value in recipe.items() if name in MODEL}
    return models.ColBERT(model_name_or_path=str(recipe["model_name_or_path"]), device="cpu", **options)


def data(recipe, key):
    """The rows of a table, with their numbers."""
    rows = [row | {"row_id": index} for index, row in enumerate(read(recipe[key]))]
    if columns := recipe.get("columns"):
        rows = [{column: row[column] for column in [*columns, "row_id"]} for row in rows]
    table = Dataset.from_list(rows)
    if "queries_dataset" in recipe:
        queries, documents = (Dataset.from_list(read(recipe[f"{name}_dataset"])) for name in ("queries", "documents"))
        processing = utils.KDProcessing(queries=queries, documents=documents, n_ways=recipe.get("n_ways", 32))
        table.set_transform(processing.transform)
    return table


def evaluate(kind, model, folder, *texts, **settings):
    """The metrics of an evaluator of PyLate."""
    return getattr(evaluation, kind)(*texts, **settings)(model, output_path=str(folder))


# It says that columns have an unusual order, which that of ids and scores is.
logging.getLogger("pylate").setLevel(logging.ERROR)
torch.set_num_threads(1)
