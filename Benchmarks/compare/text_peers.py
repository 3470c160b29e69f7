"""Peers that time whole libraries, from texts to results."""

from pathlib import Path


def batch_size(request):
    return int(request.get("batching", "batch:32").partition(":")[2])


class Peer:
    """A library with one model. Its work returns a vector for each input, which only a check reads."""

    def __init__(self, dtype, folder, task, threads):
        import torch

        torch.set_num_threads(threads)
        self.torch, self.dtype = torch, getattr(torch, dtype)
        self.operations = [task, "memory"]
        self.build(folder)
        setattr(self, task, self.work)


class CrossEncoders(Peer):
    def build(self, folder):
        from sentence_transformers import CrossEncoder

        options = {"dtype": self.dtype, "attn_implementation": "sdpa"}
        self.model = CrossEncoder(folder, device="cpu", model_kwargs=options)

    def work(self, request):
        scores = self.model.predict(request["pairs"], batch_size=batch_size(request), show_progress_bar=False)
        return [[float(score)] for score in scores]


class MultiVectorEncoders(Peer):
    def build(self, folder):
        from sentence_transformers import MultiVectorEncoder

        options = {"dtype": self.dtype, "attn_implementation": "sdpa"}
        self.model = MultiVectorEncoder(folder, device="cpu", model_kwargs=options)

    def work(self, request):
        rows = self.model.encode_document(
            request["texts"], batch_size=batch_size(request), show_progress_bar=False)
        return [matrix.float().flatten() for matrix in rows]


class PyLate(Peer):
    def build(self, folder):
        from pylate import models

        self.model = models.ColBERT(model_name_or_path=folder, device="cpu").to(self.dtype)

    def work(self, request):
        rows = self.model.encode(
            request["texts"], is_query=False, batch_size=batch_size(request), show_progress_bar=False,
            convert_to_numpy=False)
        return [matrix.float().flatten() for matrix in rows]


class SparseEncoders(Peer):
    def build(self, folder):
        from sentence_transformers import SparseEncoder

        options = {"dtype": self.dtype, "attn_implementation": "sdpa"}
        self.model = SparseEncoder(folder, device="cpu", model_kwargs=options)

    def work(self, request):
        rows = self.model.encode_document(request["texts"], batch_size=batch_size(request), show_progress_bar=False)
        return rows.float().to_dense() if request.get("outputs") else []


class Taggers(Peer):
    def build(self, folder):
        import transformers

        model = transformers.AutoModelForTokenClassification.from_pretrained(
            folder, dtype=self.dtype, attn_implementation="sdpa")
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self.pipeline = transformers.pipeline(
            "token-classification", model=model, tokenizer=tokenizer, device="cpu", aggregation_strategy="simple")

    def work(self, request):
        texts = request["texts"]
        order = sorted(range(len(texts)), key=lambda index: -len(texts[index]))
        found = self.pipeline([texts[index] for index in order], batch_size=batch_size(request))
        entities = dict(zip(order, found))
        return [[float(entity["score"]) for entity in entities[index]] for index in range(len(texts))]


class Scorer(Peer):
    """MaxSim of stored token vectors."""

    def build(self, folder):
        from safetensors.torch import load_file

        stored = load_file(Path(folder) / "documents.safetensors")
        self.documents = list(stored["embeddings"].to(self.dtype).split(stored["lengths"].tolist()))
        self.query = load_file(Path(folder) / "query.safetensors")["embeddings"].to(self.dtype)

    def work(self, request):
        from sentence_transformers.util import maxsim

        with self.torch.inference_mode():
            return maxsim([self.query], self.documents[:request["count"]]).tolist()


class PyLateScorer(Scorer):
    def build(self, folder):
        from pylate import rank

        super().build(folder)
        self.rank = rank

    def work(self, request):
        documents = self.documents[:request["count"]]
        ids = list(range(len(documents)))
        ranked = self.rank.rerank([ids], [self.query], [documents])[0]
        scores = {result["id"]: float(result["score"]) for result in ranked}
        return [[scores[id] for id in ids]]


PEERS = {
    ("sentence-transformers", "rerank"): CrossEncoders,
    ("sentence-transformers", "late"): MultiVectorEncoders,
    ("sentence-transformers", "sparse"): SparseEncoders,
    ("sentence-transformers", "maxsim"): Scorer,
    ("transformers", "tag"): Taggers,
    ("pylate", "late"): PyLate,
    ("pylate", "maxsim"): PyLateScorer,
}
