"""What the checks of descendants share: small models with random weights, texts, and calls of the command `ettin`.

Needs the program ettin, whose folder is named by ETTIN_BIN_DIR. Runs beside transformers and sentence-transformers of
two generations, so nothing here imports what only one of them has.
"""

import json
import os
import subprocess
from pathlib import Path

import numpy
import torch
import transformers

ETTIN = os.path.join(os.environ.get("ETTIN_BIN_DIR", ".build/release"), "ettin")
WIDTH = 32
VOCABULARY = 480
CONTEXT = 128

TEXTS = [
    "The sea was calm, and the ship lay still.", "A fox.", "", "Übung macht den Meister; 日本語の文 too.",
    "What is the capital of France?", "He said (twice) that no letter had come: neither on Monday, nor later.",
    "She would never have gone there if it had not been for the letter that came in the morning. " * 8,
]
QUERIES = ["what is the capital of france", "a ship at sea", "Who had written the letter?"]
DOCUMENTS = [
    "Paris is the capital, and the largest city, of France.", "A dog sat on the mat.", "The ship was lost at sea in 1921.",
    "", "It was a long letter, written in haste; whoever had sent it did not want to be found. " * 3,
    "Rerankers score pairs (one query, one document): they only see what a fast retriever has found before.",
]
PAIRS = [[query, document] for query in QUERIES for document in DOCUMENTS]


def ettin(*arguments, code=0):
    """Standard output of a run, which ends with the code."""
    return run(*arguments, code=code).stdout


def refusal(*arguments, code=1):
    """The one error line of a run that fails and prints nothing else."""
    done = run(*arguments, code=code)
    assert done.stdout == ""
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, done.stderr
    return lines[0]


def run(*arguments, code=0):
    done = subprocess.run([ETTIN, *map(str, arguments)], capture_output=True, text=True, timeout=300)
    assert done.returncode == code, done.stderr
    return done


def lines(*arguments):
    """One JSON value for each line of standard output."""
    return list(map(json.loads, ettin(*arguments).splitlines()))


def embeddings(*arguments):
    return numpy.array([line["embedding"] for line in lines("embed", *arguments)], dtype="float64")


def kind(folder):
    return json.loads(ettin("info", folder, "--json"))["kind"]


def json_lines(path, values):
    path.write_text("".join(json.dumps(value) + "\n" for value in values))
    return path


def close(ours, theirs, tolerance=1e-5):
    """Largest absolute difference, after a check of all values: absolute for those below 1, relative above."""
    ours, theirs = numpy.asarray(ours, dtype="float64"), numpy.asarray(theirs, dtype="float64")
    numpy.testing.assert_allclose(ours, theirs, atol=tolerance, rtol=tolerance)
    return float(numpy.abs(ours - theirs).max(initial=0))


def randomise(module, seed=3, spread=1.0):
    """Weights that show mistakes: norms are not 1, biases are not 0, and layers keep values near 1."""
    generator = torch.Generator().manual_seed(seed)

    def draw(parameter):
        return torch.randn(parameter.shape, generator=generator)

    with torch.no_grad():
        for name, parameter in sorted(module.named_parameters()):
            if parameter.dim() > 1:
                scale = 0.7 if "embedding" in name else spread / parameter.shape[-1] ** 0.5
                parameter.copy_(draw(parameter) * scale)
            elif name.endswith("bias"):
                parameter.copy_(draw(parameter) * 0.3)
            else:
                parameter.copy_(1 + 0.2 * draw(parameter))
    return module.eval()


def train_tokenizer(folder):
    """A byte-level tokenizer in the suite's layout."""
    corpus = folder.parent / f"{folder.name}.txt"
    corpus.write_text("\n".join([*TEXTS, *QUERIES, *DOCUMENTS, Path(__file__).read_text()]))
    ettin("tokenizer", "train", corpus, "--vocab-size", VOCABULARY, "--output", folder)
    return folder


def shape(**changes):
    """Two global layers around two local ones that see eight tokens to each side."""
    settings = dict(
        vocab_size=VOCABULARY, hidden_size=WIDTH, intermediate_size=48, num_hidden_layers=4, num_attention_heads=2,
        max_position_embeddings=CONTEXT, local_attention=16, global_attn_every_n_layers=3, pad_token_id=3,
        bos_token_id=1, cls_token_id=1, eos_token_id=2, sep_token_id=2,
    )
    return settings | changes


def checkpoint(folder, tokenizer, head="Model", seed=3, spread=1.0, decoder=False, **changes):
    """Saves a model with a head of transformers, and its tokenizer; returns the model.

    `head` ends the name of the class: Model, ForMaskedLM, ForSequenceClassification, …
    """
    family = "ModernBertDecoder" if decoder else "ModernBert"
    config = getattr(transformers, f"{family}Config")(**shape(**changes))
    model = randomise(getattr(transformers, family + head)(config), seed, spread)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    for file in tokenizer.iterdir():
        if file.is_file():
            (folder / file.name).write_bytes(file.read_bytes())
    limit_length(folder)
    return model


def limit_length(folder, length=CONTEXT):
    """The model's context as the tokenizer's limit, as published folders have it."""
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text()) | {"model_max_length": length}
    path.write_text(json.dumps(settings, indent=2) + "\n")


def word_piece(path=None):
    """A lowercasing WordPiece tokenizer of the `tokenizers` library, as BERT has it."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=300, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False)
    tokenizer.train_from_iterator([*TEXTS[:-1], *QUERIES, *DOCUMENTS], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    tokenizer.decoder = decoders.WordPiece()
    if path:
        tokenizer.save(str(path))
    return tokenizer
