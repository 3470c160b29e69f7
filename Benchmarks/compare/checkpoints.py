"""The models that everybody runs: random weights in the suite's shapes, once, and what the peers need beside them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

VOCABULARY = 50_368
# The longest row; the suite's own limit is a little below it.
POSITIONS = 8192


def checkpoint(ettin, work, kind, size):
    """The folder of a model, made if it is not there; appears complete or not at all."""
    folder = work / f"{kind}-{size}"
    if not folder.exists():
        partial = work / f"{kind}-{size}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        arguments = ["--size", size, "--kind", kind, "--max-position-embeddings", str(POSITIONS)]
        subprocess.run([ettin, "init", partial, *arguments], check=True, stderr=subprocess.DEVNULL)
        assert json.loads((partial / "config.json").read_text())["vocab_size"] == VOCABULARY
        write_tokenizer(partial)
        partial.rename(folder)
    return folder


def write_tokenizer(folder):
    """A tokenizer for sentence-transformers, which loads no model without one; it is never asked for a token."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = {word: index for index, word in enumerate(["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"])}
    PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(words, unk_token="[UNK]")),
        **{f"{name}_token": f"[{name.upper()}]" for name in ["unk", "cls", "sep", "pad", "mask"]},
    ).save_pretrained(folder)


def export(folder):
    """ONNX files of an encoder, in a process of its own, as an export leaves much memory behind."""
    if not (folder / "onnx").exists():
        print(f"exporting {folder.name} to ONNX", file=sys.stderr)
        subprocess.run([sys.executable, __file__, folder], check=True, stdout=sys.stderr)


def write_onnx(folder):
    import torch
    import transformers
    from onnxruntime.quantization import QuantType, quantize_dynamic

    class HiddenStates(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = transformers.AutoModel.from_pretrained(
                folder, attn_implementation="sdpa", dtype=torch.float32
            ).eval()

        def forward(self, input_ids, attention_mask):
            return self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state

    partial = folder / "onnx.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    ids = torch.randint(5, 1000, (2, 40))
    mask = torch.ones_like(ids)
    mask[1, 30:] = 0
    shape = {0: torch.export.Dim("batch", min=1, max=4096), 1: torch.export.Dim("length", min=2, max=POSITIONS)}
    torch.onnx.export(
        HiddenStates(),
        (ids, mask),
        str(partial / "model.onnx"),
        input_names=["input_ids", "attention_mask"],
        output_names=["last_hidden_state"],
        dynamic_shapes=(shape, shape),
        dynamo=True,
    )
    quantize_dynamic(partial / "model.onnx", partial / "model-int8.onnx", weight_type=QuantType.QInt8)
    os.rename(partial, folder / "onnx")


if __name__ == "__main__":
    write_onnx(Path(sys.argv[1]))
