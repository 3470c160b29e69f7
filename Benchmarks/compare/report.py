"""Tables of what was measured."""

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

SHORT = {"float32": "f32", "bfloat16": "bf16", "int8": "int8"}


def machine():
    """Processor and versions, for the JSON file."""
    try:
        name = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        name = None
    versions = {}
    for package in ["torch", "transformers", "sentence-transformers", "onnxruntime", "openvino"]:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    return {
        "instruction_set": instruction_set(),
        "processor": name.group(1) if name else platform.processor(),
        "processors": len(os.sched_getaffinity(0)),
        "versions": versions,
    }


def instruction_set():
    """What of the processor's vector instructions decides speed."""
    try:
        flags = set(re.search(r"flags\s*: (.*)", Path("/proc/cpuinfo").read_text()).group(1).split())
    except (OSError, AttributeError):
        return platform.machine()
    names = {
        "avx2": "AVX2", "avx512f": "AVX-512", "avx512_bf16": "AVX-512 BF16", "avx512_vnni": "AVX-512 VNNI",
        "amx_bf16": "AMX BF16", "amx_int8": "AMX INT8",
    }
    return ", ".join(name for flag, name in names.items() if flag in flags) or platform.machine()


def table(header, rows, markdown):
    """The first two columns left, all others right."""
    if markdown:
        marks = ["---" if column < 2 else "---:" for column in range(len(header))]
        return "\n".join("| " + " | ".join(cells) + " |" for cells in [header, marks, *rows])
    widths = [max(len(cells[column]) for cells in [header, *rows]) for column in range(len(header))]
    lines = []
    for cells in [header, *rows]:
        padded = [c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths))]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def row_table(result, markdown):
    """One row's runners, fastest peer first, and what is worth knowing about the measurement."""
    header = ["program", "dtype", "min ms", "median ms", f"{result['unit']}/s", "× class", "× all", "peak MB"]
    ours = [entry for entry in result["runners"] if entry["program"] == "ettin"]
    peers = sorted((e for e in result["runners"] if e["program"] != "ettin"), key=lambda e: e["min_ms"])
    rows = []
    for entry in ours + peers:
        program = entry["program"] + (f" ({entry['batching']})" if entry["batching"] else "")
        rows.append([
            program, SHORT[entry["dtype"]], milliseconds(entry["min_ms"]), milliseconds(entry["median_ms"]),
            f"{entry['per_second']:,.0f}", ratio(entry.get("ratio_class")), ratio(entry.get("ratio_all")),
            f"{entry['peak_memory_bytes'] / 1e6:,.0f}",
        ])  # fmt: skip
    notes = [f"{name}: not available ({reason})" for name, reason in result["unavailable"].items()]
    for entry in ours:
        if "tokens_like_transformers_float32" in entry:
            share = entry["tokens_like_transformers_float32"]
            notes.append(f"ettin {entry['dtype']}: {share:.0%} of the tokens are those of transformers float32")
    if (result["idle_runners_load"] or 0) > 0.05:
        notes.append(f"runners that should wait kept {result['idle_runners_load']:.2f} processors busy")
    if (result["other_processes_load"] or 0) > 0.05:
        notes.append(f"other processes kept {result['other_processes_load']:.2f} processors busy: times are too long")
    title = f"### {result['title']}\n" if markdown else f"== {result['title']}"
    lines = [title, table(header, rows, markdown)]
    return "\n".join(lines + ([""] if markdown and notes else []) + notes) + "\n"


def summary(results, markdown):
    """Every row with its fastest peer of each type, and ours beside it."""
    header = ["work", "dtype", "fastest peer", "its ms", "ettin ms", "× class", "× all", "wanted"]
    rows = []
    for result in results:
        for dtype in SHORT:
            group = [entry for entry in result["runners"] if entry["dtype"] == dtype]
            ours = next((entry for entry in group if entry["program"] == "ettin"), None)
            best = min((e for e in group if e["program"] != "ettin"), key=lambda e: e["median_ms"], default=None)
            if ours is None and best is None:
                continue
            rows.append([
                result["title"], SHORT[dtype], best["program"] if best else "–",
                milliseconds(best["median_ms"]) if best else "–", milliseconds(ours["median_ms"]) if ours else "–",
                ratio(ours.get("ratio_class")) if ours else "–", ratio(ours.get("ratio_all")) if ours else "–",
                wanted(result, dtype, ours),
            ])  # fmt: skip
    title = "## Summary\n" if markdown else "== Summary"
    legend = "ms: median; ×: time of the fastest peer over ours, by minimum / by median"
    return "\n".join([title, table(header, rows, markdown), *([""] if markdown else []), legend])


def wanted(result, dtype, ours):
    """The ratio we hold ourselves to, and whether the medians reach it."""
    if dtype not in result["wanted"]:
        return ""
    scope, least = result["wanted"][dtype]
    text = f"≥ {least:g} {scope}"
    found = (ours or {}).get(f"ratio_{scope}")
    if found:
        text += " yes" if found["median"] >= least else " no"
    if result["wanted_memory"] and ours and "memory_ratio" in ours:
        text += f", memory {ours['memory_ratio']:.2f} of {result['wanted_memory']:.2f}"
    return text


def milliseconds(value):
    return f"{value:,.2f}" if value < 10 else f"{value:,.1f}" if value < 1000 else f"{value:,.0f}"


def ratio(value):
    return f"{value['min']:.2f} / {value['median']:.2f}" if value else ""
