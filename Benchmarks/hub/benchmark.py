"""Downloads a large file over loopback with `ettin download` and with huggingface_hub, in turn, and prints the ratio.

    python Benchmarks/hub/benchmark.py [--bytes 1000000000] [--runs 3] [--folder FOLDER] [--json FILE]

Needs the built command (ETTIN_BIN_DIR, else .build/release) and a Python with huggingface_hub. Both clients talk to
Interop/hub_server.py, which runs in a process of its own, and fill empty caches in one folder. Of the original, only the
call is timed, without Python's start and imports; of ours, the whole process. The original does not compare checksums of
plain downloads and does not sync the file to the disk; ours does both.

Memory is the most that was resident. The command carries libtorch, which downloads do not use; what `ettin --version` has
is therefore given beside it.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTHON = """
import time, huggingface_hub
begin = time.monotonic()
path = huggingface_hub.hf_hub_download("someone/large", "model.bin")
print(time.monotonic() - begin)
"""


def timed(command, variables):
    """Runs a command; seconds, its output, and the most memory it had, in bytes."""
    begin = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, env=variables, stdout=output)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, command
        output.seek(0)
        return seconds, output.read().decode(), usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bytes", type=int, default=1_000_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", help="where the caches are made; the system's temporary folder unless given")
    parser.add_argument("--json", help="a file for the figures")
    options = parser.parse_args()

    ettin = Path(os.environ.get("ETTIN_BIN_DIR", ROOT / ".build" / "release")) / "ettin"
    server = subprocess.Popen(
        [sys.executable, ROOT / "Interop" / "hub_server.py", str(options.bytes)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    results = {"ettin": [], "huggingface_hub": []}
    _, _, idle = timed([ettin, "--version"], dict(os.environ))
    try:
        endpoint = server.stdout.readline().strip()
        for _ in range(options.runs):
            for name in results:
                home = tempfile.mkdtemp(dir=options.folder)
                variables = {
                    **os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": home, "HF_HUB_DISABLE_PROGRESS_BARS": "1",
                    "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1",
                }
                try:
                    if name == "ettin":
                        command = [ettin, "download", "someone/large", "model.bin"]
                        seconds, _, memory = timed(command, variables)
                    else:
                        _, output, memory = timed([sys.executable, "-c", PYTHON], variables)
                        seconds = float(output)
                finally:
                    shutil.rmtree(home)
                results[name].append({"seconds": seconds, "memory_bytes": memory})
                print(f"{name:16} {options.bytes / seconds / 1e6:8.0f} MB/s  {memory / 1e6:6.0f} MB of memory", flush=True)
    finally:
        server.stdin.close()
        server.wait()
    best = {name: min(run["seconds"] for run in runs) for name, runs in results.items()}
    middle = {name: statistics.median(run["seconds"] for run in runs) for name, runs in results.items()}
    figures = {
        "bytes": options.bytes,
        "runs": results,
        "ratio_of_medians": middle["huggingface_hub"] / middle["ettin"],
        "ratio_of_best": best["huggingface_hub"] / best["ettin"],
        "memory_bytes": max(run["memory_bytes"] for run in results["ettin"]),
        "idle_memory_bytes": idle,
    }
    print(f"speed of ettin / huggingface_hub: {figures['ratio_of_medians']:.2f} (medians), {figures['ratio_of_best']:.2f} (best)")
    print(f"memory of ettin: {figures['memory_bytes'] / 1e6:.0f} MB, of these {idle / 1e6:.0f} MB before any download")
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
