"""Checks that a libtorch folder's headers, libraries and this machine fit together.

Usage: check_libtorch.py FOLDER VERSION. Prints one `error:` line for each mismatch and exits 1, or prints nothing.
"""

import ctypes
import os
import platform
import re
import struct
import sys

# ELF e_machine numbers (System V ABI) of the machines libtorch is published for.
ELF_MACHINES = {62: "x86_64", 183: "aarch64"}


def header_version(folder):
    path = os.path.join(folder, "include/torch/headeronly/version.h")
    if not os.path.exists(path):
        path = os.path.join(folder, "include/torch/csrc/api/include/torch/version.h")
    if not os.path.exists(path):
        return None, path
    text = open(path, encoding="utf-8").read()
    parts = [re.search(rf"#define TORCH_VERSION_{p} (\d+)", text) for p in ("MAJOR", "MINOR", "PATCH")]
    return (".".join(p.group(1) for p in parts) if all(parts) else None), path


def elf_machine(path):
    with open(path, "rb") as file:
        head = file.read(20)
    if head[:4] != b"\x7fELF":
        return "not an ELF library"
    number = struct.unpack_from("<H", head, 18)[0]
    return ELF_MACHINES.get(number, f"ELF machine {number}")


def library_version(path):
    # The C interface for compiled models reports the version the library itself was built as:
    # one byte each of major, minor and patch from the top.
    number = ctypes.CDLL(path).aoti_torch_abi_version
    number.restype = ctypes.c_uint64
    value = number()
    return ".".join(str((value >> shift) & 0xFF) for shift in (56, 48, 40))


def problems(folder, expected):
    found, header = header_version(folder)
    if found is None:
        yield f"{header}: no version found; expected the headers of libtorch {expected}"
    elif found != expected:
        yield f"{header}: headers are of version {found}; expected {expected}"
    for name in ("libtorch_cpu.so", "libc10.so"):
        path = os.path.join(folder, "lib", name)
        if not os.path.exists(path):
            yield f"{path}: not found; expected a libtorch folder with include/ and lib/"
            return
        machine = elf_machine(path)
        if machine != platform.machine():
            yield f"{path}: built for {machine}; this machine is {platform.machine()}"
            return
    path = os.path.join(folder, "lib/libtorch_cpu.so")
    try:
        version = library_version(path)
    except (OSError, AttributeError) as reason:
        yield f"{path}: cannot be loaded: {reason}; expected libtorch {expected} with the libraries it needs"
        return
    if version != expected:
        yield f"{path}: library is of version {version}; expected {expected} like its headers"


def main():
    folder, expected = sys.argv[1:]
    found = list(problems(folder, expected))
    for line in found:
        print(f"error: {line}", file=sys.stderr)
    sys.exit(1 if found else 0)


main()
