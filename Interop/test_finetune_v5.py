"""Folders of `ettin finetune` in sentence-transformers 5.3, and of its trainers in `ettin`.

Needs the program ettin, whose folder is named by ETTIN_BIN_DIR, and the environment of requirements-pylate.txt. The
batches of 5.3 have another order, so runs are compared with version 6 (test_finetune_embedding.py).
"""

import finetune_original_sparse as sparse
import finetune_reranker_runs as reranker_runs
import pytest
from descendants import PAIRS, TEXTS, close, embeddings
from finetune_original import Original
from finetune_runs import CARD, Ours, OursSparse, Place, weights
from sentence_transformers import CrossEncoder, SentenceTransformer, SparseEncoder

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


# --- Rerankers --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rerankers(tmp_path_factory, small_tokenizer):
    return reranker_runs.Place(tmp_path_factory.mktemp("rerankers"), small_tokenizer)


def test_a_reranker_loads_in_version_5_with_equal_scores(rerankers, tmp_path, measured):
    recipe = rerankers.recipe(
        "ours", model_name_or_path=str(rerankers.folder / "encoder"), max_steps=4, save_strategy="steps", save_steps=2)
    for layout in (5, 6):
        ours = reranker_runs.OurReranker(recipe | {"output_dir": f"{recipe['output_dir']}-{layout}"}, "--layout", layout)
        there = CrossEncoder(str(ours.final), device="cpu")
        found = reranker_runs.scores(ours.final, tmp_path, PAIRS)
        measured("rerankers: our folders in sentence-transformers 5.3", close(found, there.predict(PAIRS)))
        checkpoint = CrossEncoder(str(ours.output / ours.checkpoints[-1]), device="cpu")
        close(checkpoint.predict(PAIRS), there.predict(PAIRS), 1e-6)


def test_a_reranker_that_version_5_trained_is_used_and_trained_here(rerankers, tmp_path, measured):
    theirs = reranker_runs.Original(rerankers.recipe("theirs", max_steps=4))
    folder = theirs.save(tmp_path / "theirs")
    found = reranker_runs.scores(folder, tmp_path, PAIRS)
    measured("rerankers: folders of 5.3 here", close(found, theirs.model.predict(PAIRS)))
    ours = reranker_runs.OurReranker(
        rerankers.recipe("again", model_name_or_path=str(folder), activation_fn="torch.nn.Identity", max_steps=1, warmup_steps=1))
    there = CrossEncoder(str(ours.final), device="cpu")
    close(there.predict(PAIRS), reranker_runs.scores(folder, tmp_path, PAIRS, "--activation", "identity"))


# --- Sparse models ----------------------------------------------------------------------------------------------------


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
