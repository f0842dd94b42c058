#!/usr/bin/env bash
# libFuzzer at every parser whose input a peer or a file is, at the lowest priority there is.
#
#   tools/fuzz.sh [MINUTES] [TARGET]...
#
# Each target gets so many minutes (1), one after another, on from fuzz/corpus, which is not committed.
# An input that fails is in fuzz/artifacts: once it is mended, it goes into fuzz/seeds/TARGET, so that
# every `cargo test` tries it again. A line for each target is appended to fuzz/runs.tsv: target, CPU
# seconds, executions, coverage as libFuzzer counts it, edges and features.
set -euo pipefail
cd "$(dirname -- "$0")/../fuzz"

minutes=${1:-1}
shift || true
if [ $# = 0 ]; then
    mapfile -t targets < <(ls seeds)
else
    targets=("$@")
fi

command -v cargo-fuzz >/dev/null || {
    echo 'tools/fuzz.sh needs cargo-fuzz: cargo install cargo-fuzz' >&2
    exit 1
}
# libFuzzer's counters are asked for by unstable options; any compiler can be told to know them.
export RUSTC_BOOTSTRAP=1
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
export CARGO_TARGET_DIR
host=$(rustc -vV | sed -n 's/^host: //p')
nice cargo fuzz build parsers
program=$CARGO_TARGET_DIR/$host/release/parsers

# Below everything else that the machine has to do.
idle=(nice -n 19)
! chrt --idle 0 true 2>/dev/null || idle+=(chrt --idle 0)

failed=''
for target in "${targets[@]}"; do
    mkdir -p "corpus/$target" "artifacts/$target"
    echo "== $target"
    log=artifacts/$target/log
    TIMEFORMAT=%U
    if ! cpu=$({ time TARGET=$target "${idle[@]}" "$program" "corpus/$target" "seeds/$target" \
        -artifact_prefix="artifacts/$target/" -max_len=4096 -timeout=20 -rss_limit_mb=2048 \
        -max_total_time=$((minutes * 60)) -print_final_stats=1 >"$log" 2>&1; } 2>&1); then
        failed="$failed $target"
        tail -n 25 "$log"
    fi
    executed=$(sed -n 's/^stat::number_of_executed_units: //p' "$log")
    last=$(grep -E '^#[0-9]+' "$log" | tail -n 1)
    edges=$(sed -n 's/.* cov: \([0-9]*\).*/\1/p' <<<"$last")
    features=$(sed -n 's/.* ft: \([0-9]*\).*/\1/p' <<<"$last")
    printf '%s\t%s\t%s\t%s\t%s\n' "$target" "$cpu" "$executed" "$edges" "$features" | tee -a runs.tsv
done
[ -z "$failed" ] || { echo "failed:$failed" >&2; exit 1; }
