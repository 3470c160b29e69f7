#!/bin/sh
# Builds the fuzz target with coverage and address checks and runs it.
# Usage: Fuzz/Tokenizer/run.sh [seconds] [work folder]
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
seconds=${1:-600}
work=${2:-$root/.build/fuzz-tokenizer}
mkdir -p "$work/corpus"
cd "$work"
flags="-O -g -enforce-exclusivity=checked -parse-as-library -swift-version 6 -sanitize=fuzzer,address -whole-module-optimization
    -enable-upcoming-feature ExistentialAny -enable-upcoming-feature MemberImportVisibility
    -enable-upcoming-feature InternalImportsByDefault"
swiftc $flags -module-name EttinJSON -emit-module -emit-object -o EttinJSON.o "$root"/Sources/EttinJSON/*.swift
swiftc $flags -I . -module-name EttinTokenizer -emit-module -emit-object -o EttinTokenizer.o \
    "$root"/Sources/EttinTokenizer/*.swift
swiftc $flags -I . -module-name FuzzTarget -o fuzz "$root/Fuzz/Tokenizer/FuzzTarget.swift" EttinJSON.o EttinTokenizer.o
# Swift's own crash reporter trips over the address checks.
exec env SWIFT_BACKTRACE=enable=no ASAN_OPTIONS=detect_leaks=0 ./fuzz -max_total_time="$seconds" -max_len=2000 -timeout=10 -rss_limit_mb=2500 \
    -dict="$root/Fuzz/Tokenizer/json.dict" corpus "$root/Fuzz/Tokenizer/seeds"
