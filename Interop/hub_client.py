"""Our Hub client and the original one, huggingface_hub, as processes of their own.

Both run against the same server (hub_server.py) and, where a check says so, in the same cache.
"""

import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path

from hub_repositories import Large

ETTIN = str(Path(os.environ.get("ETTIN_BIN_DIR", ".build/release")).resolve() / "ettin")
TOKEN = "hf_reader"
SMALL = {"config.json": b'{"model_type": "modernbert"}', "tokenizer.json": b"{}", "sub/notes.txt": b"hi\n"}


class Client:
    """A process environment with one cache."""

    def __init__(self, folder, endpoint, **variables):
        self.home = Path(folder)
        self.variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "HF_HOME": str(self.home / "hf"),
            "HF_ENDPOINT": endpoint,
            "HF_HUB_DOWNLOAD_TIMEOUT": "2",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_XET": "1",
            **variables,
        }
        self.cache = self.home / "hf" / "hub"

    def start(self, *arguments, **variables):
        return subprocess.Popen(
            [ETTIN, *map(str, arguments)],
            env={**self.variables, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments, **variables):
        process = self.start(*arguments, **variables)
        output, errors = process.communicate(timeout=100)
        for text in (output, errors):
            assert TOKEN not in text and "hf_other" not in text
        return process.returncode, output, errors

    def ok(self, *arguments, **variables):
        code, output, errors = self.run(*arguments, **variables)
        assert code == 0, errors
        return output.strip()

    def fails(self, *arguments, **variables):
        code, output, errors = self.run(*arguments, **variables)
        assert code == 1 and output == "", (code, output, errors)
        return [line for line in errors.splitlines() if line.startswith("error: ")][0]

    def start_python(self, code, **variables):
        return subprocess.Popen(
            [sys.executable, "-c", "import huggingface_hub as hub\n" + code],
            env={**self.variables, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def python(self, code, **variables):
        process = self.start_python(code, **variables)
        output, errors = process.communicate(timeout=100)
        assert process.returncode == 0, errors
        return output.strip()

    def python_error(self, call):
        """The name of the exception of huggingface_hub, or of its cause."""
        code = (
            f"try:\n    {call}\nexcept Exception as e:\n"
            "    while type(e).__name__ == 'LocalEntryNotFoundError' and e.__cause__: e = e.__cause__\n"
            "    print(type(e).__name__)"
        )
        return self.python(code)

    def blobs(self, name="models--someone--model"):
        folder = self.cache / name / "blobs"
        return sorted(p.name for p in folder.iterdir()) if folder.exists() else []


def layout(cache):
    """Everything that both clients must agree on: folders, contents, and where links lead."""
    found = {}
    for path in sorted(Path(cache).rglob("*")):
        name = str(path.relative_to(cache))
        if "/trees" in name or name.startswith("CACHEDIR") or path.is_dir():
            continue
        found[name] = os.readlink(path) if path.is_symlink() else hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def weights(size, seed=0):
    return Large(random.Random(seed).randbytes(size))


def make_model(client, folder, kind="encoder", seed=1):
    """A tiny model with random weights, made by the command itself."""
    tokenizer = folder.parent / "tokenizer"
    if not tokenizer.exists():
        corpus = folder.parent / "corpus.txt"
        corpus.write_text("The capital of France is Paris.\n" * 20)
        client.ok("tokenizer", "train", corpus, "--vocab-size", "300", "-o", tokenizer)
    shape = ["--layers", "2", "--hidden-size", "32", "--intermediate-size", "48", "--heads", "2"]
    client.ok("init", folder, "--size", "17m", "--kind", kind, "--tokenizer", tokenizer, "--seed", seed, *shape)
