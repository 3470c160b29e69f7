"""What bfloat16 and int8 change: hidden states and filled masks beside those of float32, on a briefly trained encoder.

    make build && scripts/setup-interop interop Interop/requirements.txt
    .deps/interop/bin/python Benchmarks/precision/quality.py [--steps 600] [--model FOLDER] [--texts FILE] [--output r.json]

Random weights would flatter every precision: they have no outliers and no certainty. Without --model, an encoder of the
17M shape with a tokenizer of 8,192 entries is trained by transformers on --texts (this repository's text unless given)
and kept under .deps/precision. Published checkpoints are what counts in the end: give one with --model.
"""

import argparse
import json
import random
import subprocess
from pathlib import Path

import numpy as np
import torch
from transformers import AutoTokenizer, ModernBertConfig, ModernBertForMaskedLM

ROOT = Path(__file__).resolve().parents[2]
BUILT = ROOT / ".build/release"
LENGTH = 128


def corpus(texts):
    if texts is not None:
        return texts.read_text()
    files = sorted([*ROOT.glob("docs/*.md"), *ROOT.glob("Sources/**/*.swift"), *ROOT.glob("Tests/**/*.swift")])
    return "\n".join(path.read_text() for path in files)


def blocks(tokenizer, text):
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    size = LENGTH - 2
    rows = [ids[start:start + size] for start in range(0, len(ids) - size, size)]
    random.Random(0).shuffle(rows)
    return [[tokenizer.cls_token_id, *row, tokenizer.sep_token_id] for row in rows]


def mask(rows, tokenizer, generator, share):
    ids = torch.tensor(rows)
    chosen = torch.rand(ids.shape, generator=generator) < share
    chosen[:, 0] = chosen[:, -1] = False
    labels = torch.where(chosen, ids, -100)
    return torch.where(chosen, tokenizer.mask_token_id, ids), labels


def trained(folder, texts, steps):
    """Trains the encoder and saves it with its tokenizer; the share held back for measuring is not seen."""
    text = corpus(texts)
    folder.mkdir(parents=True)
    source = folder / "corpus.txt"
    source.write_text(text)
    subprocess.run([BUILT / "ettin", "tokenizer", "train", source, "--vocab-size", "8192", "-o", folder], check=True)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = blocks(tokenizer, text)[64:]
    config = ModernBertConfig(
        vocab_size=8192, hidden_size=256, intermediate_size=384, num_hidden_layers=7, num_attention_heads=4,
        pad_token_id=tokenizer.pad_token_id, bos_token_id=tokenizer.cls_token_id, eos_token_id=tokenizer.sep_token_id,
        cls_token_id=tokenizer.cls_token_id, sep_token_id=tokenizer.sep_token_id)
    torch.manual_seed(0)
    model = ModernBertForMaskedLM(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-5)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-3, total_steps=steps)
    generator = torch.Generator().manual_seed(0)
    for step in range(steps):
        batch = [rows[(step * 32 + row) % len(rows)] for row in range(32)]
        inputs, labels = mask(batch, tokenizer, generator, 0.3)
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(input_ids=inputs, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        if step % 50 == 0 or step + 1 == steps:
            print(f"step {step}: loss {loss.item():.3f}", flush=True)
    model.save_pretrained(folder)


def hidden(folder, dtype, rows):
    probe = subprocess.Popen([BUILT / "ettin-probe", "bench", folder, "encode", dtype, "2"],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    json.loads(probe.stdout.readline())
    probe.stdin.write(json.dumps({"op": "hidden", "sequences": rows}) + "\n")
    probe.stdin.close()
    states = json.loads(probe.stdout.readline())["hidden"]
    probe.wait()
    return np.concatenate([np.array(sequence) for sequence in states])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    folder = options.model or ROOT / ".deps/precision"
    if not (folder / "config.json").exists():
        trained(folder, options.texts, options.steps)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = blocks(tokenizer, corpus(options.texts))[:64]
    inputs, labels = mask(rows, tokenizer, torch.Generator().manual_seed(1), 0.15)
    model = ModernBertForMaskedLM.from_pretrained(folder).eval()
    with torch.no_grad():
        head = lambda states: model.decoder(model.head(torch.tensor(states, dtype=torch.float32))).argmax(-1)
        scored = (labels != -100).flatten()
        exact = hidden(folder, "float32", inputs.tolist())
        top = head(exact)[scored]
        results = {"tokens": int(labels.numel()), "masks": int(scored.sum()),
                   "accuracy": {"float32": float((top == labels.flatten()[scored]).float().mean())}}
        for dtype in ["bfloat16", "int8"]:
            states = hidden(folder, dtype, inputs.tolist())
            cosine = (exact * states).sum(1) / (np.linalg.norm(exact, axis=1) * np.linalg.norm(states, axis=1))
            other = head(states)[scored]
            results["accuracy"][dtype] = float((other == labels.flatten()[scored]).float().mean())
            results[dtype] = {"least_cosine": float(cosine.min()), "percentile_1": float(np.percentile(cosine, 1)),
                              "mean_cosine": float(cosine.mean()), "top_1_agreement": float((top == other).float().mean())}
    print(json.dumps(results, indent=2))
    if options.output:
        options.output.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
