"""Time and memory of an encoder by length when every layer is local: both should be straight lines.

    make build
    python3 Benchmarks/growth/growth.py [--rounds 3] [--dtype bfloat16] [--output results.json] [--plot growth.svg]

The model has the 17M shape and random weights; its global layers are made local and its positions go to 65,536.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

ETTIN = Path(__file__).resolve().parents[2] / ".build/release/ettin"
LENGTHS = [2**power for power in range(10, 17)]


def make_model(folder):
    subprocess.run([ETTIN, "init", folder, "--size", "17m", "--kind", "encoder"], check=True, capture_output=True)
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config.pop("global_attn_every_n_layers")
    config["layer_types"] = ["sliding_attention"] * config["num_hidden_layers"]
    config["max_position_embeddings"] = LENGTHS[-1]
    path.write_text(json.dumps(config))


def panel(results, key, unit, left, title):
    """One diagram as SVG, its axes from zero: a straight line is growth with length."""
    width, height = 300, 200
    largest = max(result[key] for result in results)
    points = [(left + width * result["max_length"] / LENGTHS[-1], 240 - height * result[key] / largest) for result in results]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    marks = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in points)
    return f"""<text x="{left}" y="25">{title}</text>
<path d="M{left} 40V240H{left + width}" fill="none" stroke="#888"/>
<polyline points="{line}" fill="none" stroke="#06c" stroke-width="2"/><g fill="#06c">{marks}</g>
<text x="{left - 5}" y="45" text-anchor="end">{largest:,.0f} {unit}</text>
<text x="{left + width}" y="258" text-anchor="end">{LENGTHS[-1]:,} tokens</text>"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "model"
        make_model(folder)
        command = [ETTIN, "bench", folder, "--batch", "1", "--length", ",".join(map(str, LENGTHS)), "--dtype",
                   options.dtype, "--rounds", str(options.rounds), "--json"]
        report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    results = [{"max_length": result["max_length"], "ms": result["min_ms"], "mb": result["peak_memory_bytes"] / 2**20}
               for result in report["results"]]
    for result in results:
        each = result["ms"] * 1000 / result["max_length"]
        print(f"{result['max_length']:6} tokens {result['ms']:8.1f} ms {each:6.2f} µs a token, peak {result['mb']:5.0f} MB")
    if options.output:
        options.output.write_text(json.dumps(results, indent=1) + "\n")
    if options.plot:
        body = panel(results, "ms", "ms", 90, f"time, {options.dtype}") + panel(results, "mb", "MB", 500, "peak memory")
        options.plot.write_text(
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 830 270" font-family="sans-serif" font-size="13">'
            f'<rect width="830" height="270" fill="white"/>\n{body}\n</svg>\n')


if __name__ == "__main__":
    main()
