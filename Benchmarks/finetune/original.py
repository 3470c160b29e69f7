"""A training step of the original library in one process; benchmark.py starts it and sends it requests.

    original.py TASK FOLDER DTYPE THREADS
        TASK: contrastive, sparse, reranker (sentence-transformers), classifier (transformers), colbert (PyLate, in its own environment)
        DTYPE: float32, bfloat16 (autocast over the forward passes, as the trainers have it), float64 (to check against)

Loads the model and prints {"operations": [...]}; then answers each line of standard input with one line, as
`ettin-probe bench-finetune TASK FOLDER DTYPE THREADS` does:

    {"op": "step", "columns": [[[ids]]], "learning_rate": r, "repeat": n, ...}
                        {"seconds": [...], "loss": x, "grad_norm": x}
        steps on a batch: the loss with its gradients, their norm before it is clipped to 1, AdamW, gradients set to zero;
        loss and norm are those of the last step. Besides, by task:
            contrastive   "mini_batch_size": m     of CachedMultipleNegativesRankingLoss
            colbert       "labels": [[x]], "query_length": n, "document_length": n
                                                   Distillation: queries, then the documents of all queries; texts are padded
                                                   to these lengths, as the collator pads them
            sparse                                 SpladeLoss with SparseMultipleNegativesRankingLoss, with the weights below
            reranker      "labels": [x]            BinaryCrossEntropyLoss: one column of pairs as token ids
            classifier    "labels": [n]            cross-entropy of transformers' class: one column of pairs as token ids
    {"op": "memory"}    {"peak_memory_bytes": n}, the peak since the last such line
"""

import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "compare"))

import torch
from accelerate.utils import convert_outputs_to_fp32
from worker import padded, peak_memory, reset_peak_memory

QUERY_WEIGHT, DOCUMENT_WEIGHT = 5e-5, 3e-5


def features(sequences):
    return dict(zip(("input_ids", "attention_mask"), map(torch.from_numpy, padded(sequences))))


def features_of(sequences, length, fill):
    """As many tokens in every row, the rest filled and not attended to."""
    shorter = features(sequences)
    result = {"input_ids": torch.full((len(sequences), length), fill), "attention_mask": torch.zeros(len(sequences), length).long()}
    width = shorter["input_ids"].shape[1]
    mask = shorter["attention_mask"]
    result["input_ids"][:, :width] = torch.where(mask.bool(), shorter["input_ids"], fill)
    result["attention_mask"][:, :width] = mask
    return result


class Trainer:
    """A model with its optimizer; each task knows how to load the one and compute a loss."""

    def __init__(self, folder, dtype, threads):
        torch.set_num_threads(threads)
        parameters = torch.float64 if dtype == "float64" else torch.float32
        self.model = self.load(folder, {"dtype": parameters, "attn_implementation": "sdpa"}).to(parameters).train()
        if dtype == "bfloat16":
            cast = torch.autocast("cpu", torch.bfloat16)
            self.model.forward = convert_outputs_to_fp32(cast(self.model.forward))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0, weight_decay=0, fused=True)

    def step(self, request):
        for group in self.optimizer.param_groups:
            group["lr"] = request["learning_rate"]
        loss = self.loss(request)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.item(), norm.item()


class Contrastive(Trainer):
    def load(self, folder, options):
        from sentence_transformers import SentenceTransformer

        return SentenceTransformer(folder, device="cpu", model_kwargs=options)

    def loss(self, request):
        from sentence_transformers.sentence_transformer.losses import CachedMultipleNegativesRankingLoss

        loss = CachedMultipleNegativesRankingLoss(self.model, mini_batch_size=request["mini_batch_size"])
        return loss([features(column) for column in request["columns"]], None)


class ColBERT(Trainer):
    def load(self, folder, options):
        from pylate import models

        return models.ColBERT(model_name_or_path=folder, device="cpu", model_kwargs=options)

    def loss(self, request):
        from pylate.losses import Distillation

        fill = self.model.tokenizer.pad_token_id
        lengths = (request["query_length"], request["document_length"])
        columns = [features_of(column, length, fill) for column, length in zip(request["columns"], lengths)]
        return Distillation(self.model)(columns, torch.tensor(request["labels"], dtype=next(self.model.parameters()).dtype))


class Sparse(Trainer):
    def load(self, folder, options):
        from sentence_transformers import SparseEncoder

        return SparseEncoder(folder, device="cpu", model_kwargs=options)

    def loss(self, request):
        from sentence_transformers.sparse_encoder.losses import SparseMultipleNegativesRankingLoss, SpladeLoss

        loss = SpladeLoss(
            self.model, SparseMultipleNegativesRankingLoss(self.model),
            query_regularizer_weight=QUERY_WEIGHT, document_regularizer_weight=DOCUMENT_WEIGHT)
        return sum(loss([features(column) for column in request["columns"]], None).values())


class Reranker(Trainer):
    def load(self, folder, options):
        from sentence_transformers import CrossEncoder

        return CrossEncoder(folder, device="cpu", model_kwargs=options)

    def loss(self, request):
        from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss

        # What the loss does with texts, without their tokenizer.
        loss = BinaryCrossEntropyLoss(self.model)
        logits = self.model(features(request["columns"][0]))["scores"].view(-1)
        return loss.bce_with_logits_loss(loss.activation_fn(logits), torch.tensor(request["labels"], dtype=logits.dtype))


class Classifier(Trainer):
    def load(self, folder, options):
        from transformers import AutoModelForSequenceClassification

        return AutoModelForSequenceClassification.from_pretrained(folder, **options)

    def loss(self, request):
        return self.model(**features(request["columns"][0]), labels=torch.tensor(request["labels"])).loss


TASKS = {
    "contrastive": Contrastive, "colbert": ColBERT, "sparse": Sparse, "reranker": Reranker, "classifier": Classifier,
}


def answer(trainer, request):
    if request["op"] == "memory":
        peak = peak_memory()
        reset_peak_memory()
        return {"peak_memory_bytes": peak}
    times = []
    for _ in range(request.get("repeat", 1)):
        begin = time.perf_counter()
        loss, norm = trainer.step(request)
        times.append(time.perf_counter() - begin)
    return {"seconds": times, "loss": loss, "grad_norm": norm}


def main():
    # Replies alone go to standard output; libraries write where they like, so they get standard error.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def send(value):
        print(json.dumps(value), file=replies, flush=True)

    task, folder, dtype, threads = sys.argv[1:]
    trainer = TASKS[task](folder, dtype, int(threads))
    send({"operations": ["step", "memory"]})
    for line in sys.stdin:
        send(answer(trainer, json.loads(line)))


if __name__ == "__main__":
    main()
