"""One peer with one model in one process; compare.py starts it and sends it requests.

    worker.py PEER DTYPE FOLDER TASK THREADS      PEER: transformers, sentence-transformers, onnxruntime, openvino, pylate
                                                  TASK: encode, generate, train; rerank, late, sparse, tag, maxsim

Loads the model and prints {"operations": [...]}; then answers each line of standard input with one line. The requests
are those of Interop/Probe/Bench.swift, and besides:

    "batching": "all" | "single" | "sorted:N"     of encode: in one padded batch, one by one, or sorted by length in
                                                  padded batches of N
    "batching": "batch:N"                         of tasks on texts: what the library takes at once
    {"op": "train_step", "objective": "mlm"|"clm", "sequences": [[ids]], "labels": [[ids]], "repeat": n}
"""

import json
import os
import resource
import sys
import time

from text_peers import PEERS


def batches(sequences, batching):
    """The batches in which a peer that pads takes some sequences."""
    kind, _, size = batching.partition(":")
    if kind == "all":
        return [sequences]
    if kind == "single":
        return [[sequence] for sequence in sequences]
    ordered = sorted(sequences, key=len, reverse=True)
    return [ordered[start : start + int(size)] for start in range(0, len(ordered), int(size))]


def padded(sequences):
    """Ids and mask as int64 arrays; id 0 where the mask is 0."""
    import numpy

    longest = max(map(len, sequences))
    ids = numpy.zeros((len(sequences), longest), dtype=numpy.int64)
    mask = numpy.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = sequence
        mask[row, : len(sequence)] = 1
    return ids, mask


def reset_peak_memory():
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass  # Where this is forbidden or absent, the peak is that since the process began.


def peak_memory():
    """Bytes."""
    try:
        with open("/proc/self/status") as file:
            return 1024 * next(int(line.split()[1]) for line in file if line.startswith("VmHWM:"))
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else 1024 * peak


class Encoder:
    """A peer that turns padded ids into hidden states."""

    operations = ["encode", "hidden", "memory"]

    def encode(self, request):
        for batch in batches(request["sequences"], request.get("batching", "all")):
            self.forward(*padded(batch))

    def hidden(self, request):
        states = self.forward(*padded(request["sequences"]))
        return [state[: len(sequence)].tolist() for state, sequence in zip(states, request["sequences"])]


class Torch(Encoder):
    def __init__(self, dtype, folder, task, threads):
        import torch
        import transformers

        torch.set_num_threads(threads)
        self.torch, self.dtype = torch, getattr(torch, dtype)
        self.build(transformers, folder, task)

    def build(self, transformers, folder, task):
        self.model = transformers.AutoModel.from_pretrained(folder, attn_implementation="sdpa", dtype=self.dtype)
        self.model.eval()

    def forward(self, ids, mask):
        ids, mask = self.torch.from_numpy(ids), self.torch.from_numpy(mask)
        with self.torch.inference_mode():
            return self.model(input_ids=ids, attention_mask=mask).last_hidden_state


class Generator(Torch):
    operations = ["generate", "memory"]

    def build(self, transformers, folder, task):
        self.model = transformers.AutoModelForCausalLM.from_pretrained(
            folder, attn_implementation="sdpa", dtype=self.dtype
        )
        self.model.eval()

    def generate(self, request):
        ids, mask = map(self.torch.from_numpy, padded(request["sequences"]))
        count = request["new_tokens"]
        with self.torch.inference_mode():
            output = self.model.generate(
                input_ids=ids, attention_mask=mask, do_sample=False, min_new_tokens=count, max_new_tokens=count
            )
        return output[:, ids.shape[1] :].tolist()


class Trainer(Torch):
    """Master weights in float32 and AdamW; with bfloat16 under autocast."""

    operations = ["train_step", "memory"]

    def build(self, transformers, folder, task):
        config = transformers.AutoConfig.from_pretrained(folder)
        kind = (
            transformers.AutoModelForCausalLM
            if config.model_type == "modernbert-decoder"
            else transformers.AutoModelForMaskedLM
        )
        self.model = kind.from_pretrained(folder, attn_implementation="sdpa", dtype=self.torch.float32).train()
        self.optimizer = self.torch.optim.AdamW(self.model.parameters(), lr=1e-4)

    def train_step(self, request):
        ids, mask = map(self.torch.from_numpy, padded(request["sequences"]))
        labels = self.torch.tensor(request["labels"])
        with self.torch.autocast("cpu", self.torch.bfloat16, enabled=self.dtype == self.torch.bfloat16):
            loss = self.model(input_ids=ids, attention_mask=mask, labels=labels).loss
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.item()


class SentenceTransformers(Torch):
    """The library's model with its mean pooling, on token ids: its tokenizer is not what is compared."""

    operations = ["encode", "memory"]

    def build(self, transformers, folder, task):
        from sentence_transformers import SentenceTransformer

        options = {"dtype": self.dtype, "attn_implementation": "sdpa"}
        self.model = SentenceTransformer(folder, device="cpu", model_kwargs=options).eval()

    def forward(self, ids, mask):
        features = {"input_ids": self.torch.from_numpy(ids), "attention_mask": self.torch.from_numpy(mask)}
        with self.torch.inference_mode():
            return self.model(features)["sentence_embedding"]


class ONNXRuntime(Encoder):
    def __init__(self, dtype, folder, task, threads):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        file = {"float32": "model.onnx", "int8": "model-int8.onnx"}[dtype]
        self.session = onnxruntime.InferenceSession(
            os.path.join(folder, "onnx", file), options, providers=["CPUExecutionProvider"]
        )

    def forward(self, ids, mask):
        return self.session.run(None, {"input_ids": ids, "attention_mask": mask})[0]


class OpenVINO(Encoder):
    def __init__(self, dtype, folder, task, threads):
        import openvino

        self.model = openvino.Core().compile_model(
            os.path.join(folder, "onnx", "model.onnx"),
            "CPU",
            {
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[dtype],
                "INFERENCE_NUM_THREADS": threads,
            },
        )

    def forward(self, ids, mask):
        return self.model({"input_ids": ids, "attention_mask": mask})[0]


def load(peer, dtype, folder, task, threads):
    if (peer, task) in PEERS:
        return PEERS[peer, task](dtype, folder, task, threads)
    if peer == "transformers":
        kind = {"encode": Torch, "generate": Generator, "train": Trainer}[task]
    else:
        kind = {"sentence-transformers": SentenceTransformers, "onnxruntime": ONNXRuntime, "openvino": OpenVINO}[peer]
    return kind(dtype, folder, task, threads)


def answer(model, request):
    operation = request["op"]
    if operation not in model.operations:
        return {"error": f'no operation "{operation}"'}
    if operation == "memory":
        peak = peak_memory()
        reset_peak_memory()
        return {"peak_memory_bytes": peak}
    if operation == "hidden":
        return {"hidden": model.hidden(request)}
    times, last = [], None
    for _ in range(request.get("repeat", 1)):
        begin = time.perf_counter()
        last = getattr(model, operation)(request)
        times.append(time.perf_counter() - begin)
    if request.get("outputs"):
        return {"seconds": times, "outputs": [[float(value) for value in row] for row in last]}
    return {"seconds": times} | ({"tokens": last} if operation == "generate" else {})


def main():
    # Replies alone go to standard output; libraries write where they like, so they get standard error.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def send(value):
        print(json.dumps(value), file=replies, flush=True)

    try:
        peer, dtype, folder, task, threads = sys.argv[1:]
        model = load(peer, dtype, folder, task, int(threads))
    except Exception as error:
        send({"error": f"{type(error).__name__}: {error}"})
        raise
    send({"operations": model.operations})
    for line in sys.stdin:
        try:
            send(answer(model, json.loads(line)))
        except Exception as error:  # One request that fails is one empty cell of the table.
            send({"error": f"{type(error).__name__}: {error}"})


if __name__ == "__main__":
    main()
