"""Folders of `ettin finetune` in sentence-transformers 5.3, and of its trainers in `ettin`.

Needs the program ettin, whose folder is named by ETTIN_BIN_DIR, and the environment of requirements-pylate.txt. The
batches of 5.3 have another order, so runs are compared with version 6 (test_finetune_embedding.py).
"""

import finetune_original_sparse as sparse
import pytest
from descendants import TEXTS, close, embeddings
from finetune_original import Original
from finetune_runs import CARD, Ours, OursSparse, Place, weights
from sentence_transformers import SentenceTransformer, SparseEncoder

MODELS = {"encoder": "mean", "decoder": "lasttoken"}


@pytest.fixture(scope="module")
def place(tmp_path_factory, small_tokenizer):
    return Place(tmp_path_factory.mktemp("fine-tuning"), small_tokenizer)


def recipe(place, name, model):
    return place.recipe(
        name, **CARD | dict(model_name_or_path=str(place.folder / model), pooling_mode=MODELS[model], max_steps=4))


@pytest.mark.parametrize("model", MODELS)
def test_a_folder_loads_in_version_5_with_equal_embeddings(place, model, measured):
    ours = Ours(recipe(place, f"ours-{model}", model))
    there = SentenceTransformer(str(ours.final), device="cpu")
    assert there[1].get_pooling_mode_str() == MODELS[model]
    vectors = embeddings(ours.final, *TEXTS, "--truncate")
    measured("fine-tuning: our folders in sentence-transformers 5.3", close(vectors, there.encode(TEXTS)))
    # So do those of checkpoints.
    checkpoint = SentenceTransformer(str(ours.output / ours.checkpoints[-1]), device="cpu")
    close(checkpoint.encode(TEXTS), there.encode(TEXTS), 1e-6)


@pytest.mark.parametrize("model", MODELS)
def test_a_folder_that_version_5_trained_embeds_here(place, model, measured):
    theirs = Original(recipe(place, f"theirs-{model}", model))
    vectors = embeddings(theirs.save(theirs.output / "final"), *TEXTS, "--truncate")
    measured("fine-tuning: folders of 5.3 in ettin embed", close(vectors, theirs.embeddings(TEXTS)))


@pytest.fixture(scope="module")
def sparse_recipe(place):
    """A recipe of sparse models, on pairs."""
    loss = {"type": "SpladeLoss", "loss": "SparseMultipleNegativesRankingLoss", "query_regularizer_weight": 5e-2,
            "document_regularizer_weight": 3e-2}
    return lambda name, **changes: place.recipe(
        name, columns=["query", "positive"], loss=loss, max_steps=3, learning_rate=1e-4, save_strategy="steps", save_steps=3,
        **changes)


def test_a_sparse_folder_loads_in_version_5_with_equal_weights(sparse_recipe, measured):
    ours = OursSparse(sparse_recipe("ours-sparse", pooling_strategy="sum"))
    there = SparseEncoder(str(ours.final), device="cpu")
    assert there[1].pooling_strategy == "sum"
    theirs = there.encode(TEXTS, convert_to_sparse_tensor=False).numpy()
    measured("fine-tuning: our sparse folders in sentence-transformers 5.3", close(weights(ours.final), theirs))


def test_a_sparse_folder_that_version_5_trained_works_here(sparse_recipe, measured):
    theirs = sparse.Original(sparse_recipe("theirs-sparse"))
    folder = theirs.save(theirs.output / "final")
    measured("fine-tuning: sparse folders of 5.3 in ettin sparse", close(weights(folder), theirs.embeddings(TEXTS)))
