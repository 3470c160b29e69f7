"""sentence-transformers' cached loss in one process; benchmark.py starts it and sends it requests.

    original.py FOLDER DTYPE THREADS      DTYPE: float32, bfloat16 (autocast over the forward passes, as its trainer has
                                          it), float64 (to check against)

Loads the model and prints {"operations": [...]}; then answers each line of standard input with one line, as
`ettin-probe bench-contrastive FOLDER DTYPE THREADS` does:

    {"op": "step", "columns": [[[ids]]], "mini_batch_size": m, "learning_rate": r, "repeat": n}
                        {"seconds": [...], "loss": x, "grad_norm": x}
        steps of CachedMultipleNegativesRankingLoss on a batch: the loss with its gradients, their norm before it is
        clipped to 1, AdamW, gradients set to zero; loss and norm are those of the last step
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
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import CachedMultipleNegativesRankingLoss
from worker import padded, peak_memory, reset_peak_memory


class Trainer:
    def __init__(self, folder, dtype, threads):
        torch.set_num_threads(threads)
        parameters = torch.float64 if dtype == "float64" else torch.float32
        options = {"dtype": parameters, "attn_implementation": "sdpa"}
        self.model = SentenceTransformer(folder, device="cpu", model_kwargs=options).train()
        if dtype == "bfloat16":
            cast = torch.autocast("cpu", torch.bfloat16)
            self.model.forward = convert_outputs_to_fp32(cast(self.model.forward))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0, weight_decay=0, fused=True)

    def step(self, features, size, rate):
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss = CachedMultipleNegativesRankingLoss(self.model, mini_batch_size=size)(features, None)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.item(), norm.item()


def answer(trainer, request):
    if request["op"] == "memory":
        peak = peak_memory()
        reset_peak_memory()
        return {"peak_memory_bytes": peak}
    columns = [map(torch.from_numpy, padded(column)) for column in request["columns"]]
    features = [dict(zip(("input_ids", "attention_mask"), column)) for column in columns]
    times = []
    for _ in range(request.get("repeat", 1)):
        begin = time.perf_counter()
        loss, norm = trainer.step(features, request["mini_batch_size"], request["learning_rate"])
        times.append(time.perf_counter() - begin)
    return {"seconds": times, "loss": loss, "grad_norm": norm}


def main():
    # Replies alone go to standard output; libraries write where they like, so they get standard error.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def send(value):
        print(json.dumps(value), file=replies, flush=True)

    folder, dtype, threads = sys.argv[1:]
    trainer = Trainer(folder, dtype, int(threads))
    send({"operations": ["step", "memory"]})
    for line in sys.stdin:
        send(answer(trainer, json.loads(line)))


if __name__ == "__main__":
    main()
