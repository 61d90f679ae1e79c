#!/usr/bin/env bash
# usage: fuzz/run.sh [TARGET|smoke] [SECONDS]
# Builds the fuzz targets on the stable toolchain and runs one of them, or all in turn, each for
# SECONDS (60; smoke: 10). New inputs go to fuzz/target/corpus, findings to fuzz/artifacts.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

targets=(sip_message stream_framing uri pidf composition storage_record engine)
what=${1:-all}
seconds=${2:-60}
[ "$what" = smoke ] && seconds=${2:-10}
if [ "$what" != all ] && [ "$what" != smoke ]; then
  case " ${targets[*]} " in
    *" $what "*) targets=("$what") ;;
    *) echo "targets: ${targets[*]}" >&2; exit 2 ;;
  esac
fi
command -v c++ >/dev/null || { echo "a C++ compiler is missing: apt-get install g++" >&2; exit 1; }

host=$(rustc -vV | sed -n 's/^host: //p')
export CARGO_TARGET_DIR="$PWD/target"
# Coverage counters and traced comparisons, as libFuzzer reads them; debug assertions on.
export RUSTFLAGS="--cfg fuzzing -Cdebug-assertions -Cpasses=sancov-module \
-Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
# --target keeps the flags off build scripts. Link-time optimisation would take longer than the run.
CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_PANIC=unwind \
  cargo build --quiet --locked --release --target "$host" -p pharos-fuzz

# Memory that a run gives back stays for the next: shards begin with a megabyte of tables.
export MALLOC_MMAP_THRESHOLD_=$((32 << 20)) MALLOC_TRIM_THRESHOLD_=$((1 << 30))

for target in "${targets[@]}"; do
  seeds=("corpus/$target")
  length=8192
  case $target in
    sip_message | stream_framing) seeds+=(../parser/tests/torture/rfc4475 ../parser/tests/torture/rfc5118) ;;
    # A byte is a choice, and a few hundred operations say what more of them would.
    engine) length=4096 ;;
  esac
  mkdir -p "target/corpus/$target" artifacts
  echo "== $target for $seconds s"
  "target/$host/release/$target" -max_total_time="$seconds" -max_len=$length -timeout=10 \
    -rss_limit_mb=1024 -print_final_stats=1 -artifact_prefix="artifacts/$target-" "target/corpus/$target" "${seeds[@]}" \
    2>&1 | grep -E 'DONE|SUMMARY|ERROR|panicked|Test unit|number_of_executed'
done
