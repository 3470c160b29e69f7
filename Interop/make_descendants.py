"""Writes a small model of each kind, with random weights, as the original libraries do: the folders of docs/models.md.

    .deps/interop/bin/python Interop/make_descendants.py FOLDER
"""

import string
import sys
from pathlib import Path

import torch
from descendants import WIDTH, checkpoint, randomise, train_tokenizer
from sentence_transformers import CrossEncoder, MultiVectorEncoder, SentenceTransformer, SparseEncoder
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
from sentence_transformers.sentence_transformer.modules import LayerNorm, Pooling
from sentence_transformers.sparse_encoder.modules import SpladePooling


def names(*labels):
    return {"id2label": dict(enumerate(labels)), "label2id": {label: index for index, label in enumerate(labels)}}


def save(model, folder):
    model.eval().save_pretrained(str(folder))
    (folder / "README.md").unlink(missing_ok=True)


def main(folder):
    folder.mkdir(parents=True)
    tokenizer = train_tokenizer(folder / "tokenizer")
    base = folder / "encoder"
    model = checkpoint(base, tokenizer, "ForMaskedLM")
    with torch.no_grad():
        model.decoder.bias -= 9  # So that few tokens are active in sparse vectors.
    model.save_pretrained(base)
    key = "sentence_embedding"

    def pooled(mode):
        return [Transformer(str(base)), Pooling(WIDTH, pooling_mode=mode)]

    prompts = {"query": "search_query: ", "document": "search_document: "}
    save(SentenceTransformer(modules=[*pooled("mean"), Normalize()], prompts=prompts, device="cpu"), folder / "embedder")
    head = [
        Dense(WIDTH, WIDTH, bias=False, activation_function=torch.nn.GELU(), module_input_name=key), LayerNorm(WIDTH),
        Dense(WIDTH, 1, activation_function=torch.nn.Identity(), module_input_name=key, module_output_name="scores"),
    ]
    modules = [*pooled("cls"), *[randomise(module, seed=index, spread=2) for index, module in enumerate(head)]]
    scorer = CrossEncoder(modules=modules, num_labels=1, activation_fn=torch.nn.Identity(), device="cpu")
    save(scorer, folder / "reranker")
    key = "token_embeddings"
    expansion = {"strategy": "fixed", "attend": False, "token": None, "length": 12}
    projection = Dense(WIDTH, 8, bias=False, activation_function=torch.nn.Identity(), module_input_name=key)
    modules = [
        Transformer(str(base), query_expansion=expansion, document_length=64), randomise(projection),
        MultiVectorMask(skiplist_words=list(string.punctuation)), Normalize(module_input_name=key),
    ]
    save(MultiVectorEncoder(modules=modules, prompts={"query": "query: "}, device="cpu"), folder / "colbert")
    modules = [Transformer(str(base), transformer_task="fill-mask"), SpladePooling()]
    save(SparseEncoder(modules=modules, device="cpu"), folder / "splade")
    checkpoint(folder / "classifier", tokenizer, "ForSequenceClassification", **names("negative", "neutral", "positive"))
    checkpoint(
        folder / "nli", tokenizer, "ForSequenceClassification", seed=4,
        **names("entailment", "neutral", "contradiction"))
    checkpoint(
        folder / "tagger", tokenizer, "ForTokenClassification", spread=1.5, **names("O", "B-PER", "I-PER", "B-LOC", "I-LOC"))
    checkpoint(
        folder / "checker", tokenizer, "ForTokenClassification", seed=5, spread=1.5, **names("supported", "hallucinated"))
    checkpoint(folder / "qa", tokenizer, "ForQuestionAnswering", spread=1.5)
    checkpoint(folder / "chooser", tokenizer, "ForMultipleChoice")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
