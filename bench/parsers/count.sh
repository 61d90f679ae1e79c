#!/usr/bin/env bash
# Instructions that each parser takes for a message, by valgrind's callgrind: the same on every run
# and machine of one build, so that a change of one per cent shows.
#   bench/parsers/count.sh [PARSER]
# For where they go: callgrind_annotate on the last of target/callgrind/*.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
target=${CARGO_TARGET_DIR:-target}
cargo build --quiet --release --locked --bin count
mkdir -p "$target/callgrind"
printf '%-18s %-6s %-10s %12s\n' parser depth message instructions
"$target/release/count" | while IFS=$'\t' read -r parser depth message; do
  [ -z "${1:-}" ] || [ "$1" = "$parser" ] || continue
  out=$target/callgrind/$parser.$depth.$message
  sum=$(valgrind --tool=callgrind --callgrind-out-file="$out" --dump-instr=yes \
    --toggle-collect='count::counted' "$target/release/count" "$parser" "$depth" "$message" 1000 2>&1 |
    awk '/Collected/ { print $NF }')
  printf '%-18s %-6s %-10s %12d\n' "$parser" "$depth" "$message" "$((sum / 1000))"
done
