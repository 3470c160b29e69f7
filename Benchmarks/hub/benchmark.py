"""Downloads a large file over loopback with `ettin download`, with EttinHub alone (`ettin-probe hub`) and with huggingface_hub, in
turn, and prints the ratios.

    python Benchmarks/hub/benchmark.py [--bytes 1000000000] [--runs 3] [--folder FOLDER] [--json FILE]

Needs the built programs (ETTIN_BIN_DIR, else .build/release) and a Python with huggingface_hub. All talk to
Interop/hub_server.py, which runs in a process of its own, and fill empty caches in one folder. Of the original, only the
call is timed, without Python's start and imports; of ours, the whole process. The original does not compare checksums of
plain downloads and does not sync the file to the disk; ours does both.

Memory is the most that was resident, and on Linux also the most that was not a mapped file, looked at every 20 ms. For
comparison, a run of `ettin --version` says what the command takes before it does anything: most of it is libtorch's,
which ettin-probe loads as well.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
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
    """Runs a command; seconds, its output, the most resident memory and the most memory of its own, in bytes."""
    begin = time.monotonic()
    own = [0]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, env=variables, stdout=output)
        done = threading.Event()
        watcher = threading.Thread(target=watch, args=(process.pid, done, own))
        watcher.start()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - begin
        done.set()
        watcher.join()
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, command
        output.seek(0)
        return seconds, output.read().decode(), usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024), own[0]


def watch(identifier, done, own):
    while not done.wait(0.02):
        try:
            lines = Path(f"/proc/{identifier}/status").read_text().splitlines()
        except OSError:
            return
        own[0] = max([own[0]] + [int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:")])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bytes", type=int, default=1_000_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", help="where the caches are made; the system's temporary folder unless given")
    parser.add_argument("--json", help="a file for the figures")
    options = parser.parse_args()

    programs = Path(os.environ.get("ETTIN_BIN_DIR", ROOT / ".build" / "release"))
    commands = {
        "ettin": [programs / "ettin", "download", "someone/large", "model.bin"],
        "EttinHub alone": [programs / "ettin-probe", "hub", "file", "someone/large", "model.bin"],
        "huggingface_hub": [sys.executable, "-c", PYTHON],
    }
    idle = timed([programs / "ettin", "--version"], dict(os.environ))[2]
    print(f"{'ettin --version':16} {'':11} {idle / 1e6:4.0f} MB resident", flush=True)
    server = subprocess.Popen(
        [sys.executable, ROOT / "Interop" / "hub_server.py", str(options.bytes)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    results = {name: [] for name in commands}
    try:
        endpoint = server.stdout.readline().strip()
        for _ in range(options.runs):
            for name, command in commands.items():
                home = tempfile.mkdtemp(dir=options.folder)
                variables = {
                    **os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": home, "HF_HUB_DISABLE_PROGRESS_BARS": "1",
                    "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1",
                }
                try:
                    seconds, output, memory, own = timed(command, variables)
                    if name == "huggingface_hub":
                        seconds = float(output)
                finally:
                    shutil.rmtree(home)
                results[name].append({"seconds": seconds, "resident_bytes": memory, "own_bytes": own})
                speed = options.bytes / seconds / 1e6
                print(f"{name:16} {speed:6.0f} MB/s  {memory / 1e6:4.0f} MB resident, {own / 1e6:4.0f} MB its own", flush=True)
    finally:
        server.stdin.close()
        server.wait()
    best = {name: min(run["seconds"] for run in runs) for name, runs in results.items()}
    middle = {name: statistics.median(run["seconds"] for run in runs) for name, runs in results.items()}
    figures = {
        "bytes": options.bytes,
        "runs": results,
        "idle_resident_bytes": idle,
        "ratio_of_medians": middle["huggingface_hub"] / middle["ettin"],
        "ratio_of_best": best["huggingface_hub"] / best["ettin"],
    }
    print(f"speed of ettin / huggingface_hub: {figures['ratio_of_medians']:.2f} (medians), {figures['ratio_of_best']:.2f} (best)")
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
