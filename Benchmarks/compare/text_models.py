"""The folders of the models that text rows run, with random weights; one process makes each.

    text_models.py TASK SOURCE TOKENIZER FOLDER
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from runners import PYTHONS
from text_rows import LABELS, LONGEST

DIMENSIONS = 128


def model_folder(task, size, checkpoint, folder):
    """The model of a task beside the tokenizer in `folder`, made from a checkpoint if it is not there."""

    def make(task, source, target):
        if not target.exists():
            # PyLate writes the layout that all read.
            python = PYTHONS["pylate"] if task == "late" else sys.executable
            command = [python, __file__, task, source, folder / "tokenizer", target]
            subprocess.run(command, check=True, stdout=sys.stderr)
        return target

    base = make("base", checkpoint, folder / f"base-{size}")
    return make(task, base, folder / f"{task}-{size}")


def vectors_folder(folder, count):
    """So many documents with as many unit vectors as texts have tokens, and a query."""
    import torch
    from rows import text_lengths
    from safetensors.torch import save_file

    target = folder / f"vectors-{count}"
    if not target.exists():
        partial = folder / f"vectors-{count}.partial"
        partial.mkdir(exist_ok=True)
        generator = torch.Generator().manual_seed(17)
        for name, sizes in [("documents", text_lengths(count, mean=120, longest=300)), ("query", [32])]:
            values = torch.nn.functional.normalize(torch.randn(sum(sizes), DIMENSIONS, generator=generator))
            save_file({"embeddings": values, "lengths": torch.tensor(sizes)}, partial / f"{name}.safetensors")
        partial.rename(target)
    return target


def write_model(task, base, tokenizer, folder):
    import torch

    torch.manual_seed(17)
    if task == "late":
        from pylate import models

        model = models.ColBERT(
            model_name_or_path=base, embedding_size=DIMENSIONS, document_length=LONGEST, device="cpu")
        model.save_pretrained(folder)
    elif task == "rerank":
        from sentence_transformers import CrossEncoder
        from sentence_transformers.base.modules import Dense, Transformer
        from sentence_transformers.sentence_transformer.modules import LayerNorm, Pooling

        transformer = Transformer(base)
        width, key = transformer.get_embedding_dimension(), "sentence_embedding"
        modules = [
            transformer, Pooling(width, pooling_mode="cls"),
            Dense(width, width, bias=False, activation_function=torch.nn.GELU(), module_input_name=key), LayerNorm(width),
            Dense(width, 1, activation_function=torch.nn.Identity(), module_input_name=key, module_output_name="scores"),
        ]
        CrossEncoder(
            modules=modules, num_labels=1, activation_fn=torch.nn.Identity(), device="cpu").save_pretrained(folder)
    elif task == "sparse":
        from sentence_transformers import SparseEncoder
        from sentence_transformers.base.modules import Transformer
        from sentence_transformers.sparse_encoder.modules import SpladePooling

        modules = [Transformer(base, transformer_task="fill-mask"), SpladePooling()]
        SparseEncoder(modules=modules, device="cpu").save_pretrained(folder)
    elif task == "classify":
        import transformers

        transformers.AutoModelForSequenceClassification.from_pretrained(base).save_pretrained(folder)
        for file in Path(tokenizer).iterdir():
            shutil.copy(file, folder)
    else:
        import transformers

        names = dict(enumerate(LABELS))
        model = transformers.AutoModelForTokenClassification.from_pretrained(
            base, id2label=names, label2id={label: index for index, label in names.items()})
        model.save_pretrained(folder)
        for file in Path(tokenizer).iterdir():
            shutil.copy(file, folder)


def write_base(source, tokenizer, folder):
    """The plain checkpoint with the tokenizer, its ids, and texts cut where the rows say."""
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("onnx*", "tokenizer*", "special_tokens*"))
    for file in Path(tokenizer).iterdir():
        shutil.copy(file, folder)
    config = json.loads((Path(folder) / "config.json").read_text())
    config |= {"cls_token_id": 1, "bos_token_id": 1, "sep_token_id": 2, "eos_token_id": 2, "pad_token_id": 3}
    (Path(folder) / "config.json").write_text(json.dumps(config, indent=2))
    settings = json.loads((Path(folder) / "tokenizer_config.json").read_text()) | {"model_max_length": LONGEST}
    (Path(folder) / "tokenizer_config.json").write_text(json.dumps(settings, indent=2))


def main():
    _, task, source, tokenizer, folder = sys.argv
    partial = Path(f"{folder}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    if task == "base":
        write_base(source, tokenizer, partial)
    else:
        partial.mkdir()
        write_model(task, source, tokenizer, partial)
    os.rename(partial, folder)


if __name__ == "__main__":
    main()
