"""Processes that each hold one model and answer requests one at a time."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Programs and the types they compute in, ours first.
PROGRAMS = {
    "ettin": ("float32", "bfloat16", "int8"),
    "transformers": ("float32", "bfloat16"),
    "sentence-transformers": ("float32", "bfloat16"),
    "onnxruntime": ("float32", "int8"),
    "openvino": ("float32", "bfloat16"),
    "pylate": ("float32", "bfloat16"),
}
# From texts to results, by the libraries themselves; all other tasks begin and end with token ids.
TEXT_TASKS = ("rerank", "late", "sparse", "tag", "maxsim")
# All others only encode.
TASKS = {
    "ettin": ("encode", "generate", "train", *TEXT_TASKS),
    "transformers": ("encode", "generate", "train", "tag"),
    "sentence-transformers": ("encode", "rerank", "late", "sparse", "maxsim"),
    "pylate": ("late", "maxsim"),
}
# The interpreters of peers that have an environment of their own.
PYTHONS = {"pylate": HERE.parents[1] / ".deps/interop-pylate/bin/python"}


class Unavailable(Exception):
    """A runner cannot do what is asked of it."""


class Runner:
    def __init__(self, program, dtype, folder, task, threads, probe, log):
        self.program, self.dtype = program, dtype
        if program == "ettin":
            command = [probe, "bench", folder, task, dtype, str(threads)]
            if task == "train":
                precision = {"float32": "fp32", "bfloat16": "amp_bf16"}[dtype]
                command = [probe, "model", "train", folder, precision, str(threads)]
        else:
            python = PYTHONS.get(program, sys.executable)
            command = [python, HERE / "worker.py", program, dtype, folder, task, str(threads)]
        self.start(command, log)

    def start(self, command, log):
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, bufsize=1
        )
        try:
            self.operations = self.receive()["operations"]
        except Unavailable:
            self.close()
            raise

    @property
    def name(self):
        return f"{self.program} {self.dtype}"

    def receive(self):
        line = self.process.stdout.readline()
        if not line:
            raise Unavailable(f"ended with code {self.process.wait()}")
        reply = json.loads(line)
        if "error" in reply:
            raise Unavailable(reply["error"])
        return reply

    def ask(self, request):
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Unavailable(f"ended with code {self.process.wait()}") from None
        return self.receive()

    def close(self):
        self.process.stdin.close()
        self.process.wait()

    def cpu_seconds(self):
        """What the process has computed so far, on all threads; None where /proc does not say."""
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def machine_cpu_seconds():
    """What all processors together have computed so far; None where /proc does not say."""
    try:
        fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    except OSError:
        return None
    idle = fields[3] + fields[4]
    return (sum(fields) - idle) / os.sysconf("SC_CLK_TCK")


def ask_alone(runner, others, request, pause):
    """One answer while nobody else computes, and what the others computed meanwhile, in processors.

    The pause lets threads of the previous runner, which may wait by spinning, go to sleep.
    """
    time.sleep(pause)
    begin, own, machine = time.perf_counter(), runner.cpu_seconds(), machine_cpu_seconds()
    before = [other.cpu_seconds() for other in others]
    reply = runner.ask(request)
    elapsed = time.perf_counter() - begin
    if own is None or machine is None:
        return reply, None
    # A runner that has ended, for want of memory say, computes nothing.
    after = [other.cpu_seconds() for other in others]
    idle = sum(now - earlier for now, earlier in zip(after, before) if None not in (now, earlier))
    busy = machine_cpu_seconds() - machine - (runner.cpu_seconds() - own)
    return reply, {"seconds": elapsed, "idle_runners": idle, "other_processes": max(0, busy - idle)}
