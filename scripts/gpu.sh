#!/usr/bin/env bash
# Runs all checks and measurements that need an NVIDIA GPU, in at most ten minutes without building:
# the time limits of the steps add up to 575 s.
#
#     scripts/gpu.sh [OUT]
#
# Compares training by burn (cuda:N) with the same kernels without burn (cuda-direct:N): speed and
# digests.
#
# Compiled kernels are cached in OUT/cuda, so each is compiled once. Builds the programs with
# --features cuda, or uses those in the folder NASCHAIN_BIN. Requires a driver and a CUDA toolkit
# (NVRTC and headers); PyTorch's toolkit is used if there is no other. PyTorch's speed is measured
# too if PYTHON (python3 by default) has torch. Results are written to the folder OUT (gpu-results
# by default), with a summary in summary.txt. Exit code 1 means that digests differed, or that a
# step failed or timed out; the remaining steps run nevertheless.
set -uo pipefail
cd "$(dirname "$0")/.."
out=${1:-gpu-results}
python=${PYTHON:-python3}
device=${DEVICE:-cuda:0}
direct=${device/cuda:/cuda-direct:}
root=$PWD
if [[ "$python" == */* ]]; then
    python=$(cd "$(dirname "$python")" && pwd)/$(basename "$python")
fi
mkdir -p "$out"
out=$(cd "$out" && pwd)
: > "$out/summary.txt"
# CubeCL reads this file in its working directory and caches compiled kernels there.
printf '[compilation]\ncache = "local"\n' > "$out/cubecl.toml"
failed=0

note() { echo "$*" | tee -a "$out/summary.txt"; }

# step SECONDS NAME COMMAND...: writes its standard output to OUT/NAME.json.
step() {
    local seconds=$1 name=$2 status
    shift 2
    (cd "$out" && timeout "$seconds" "$@") > "$out/$name.json" 2> "$out/$name.err"
    status=$?
    if [ "$status" -ne 0 ]; then
        note "FAILED ($status) within the limit of $seconds s: $name: $(tail -n 1 "$out/$name.err")"
        failed=1
    fi
    return "$status"
}

field() { sed -n "s/.*\"$2\": *\"\{0,1\}\([^\",}]*\).*/\1/p" "$out/$1.json" | head -n 1; }

if [ -n "${NASCHAIN_BIN:-}" ]; then
    bin=$NASCHAIN_BIN
else
    cargo build --release --features naschain-bins/cuda --bin miner --bin genomaster || exit 1
    bin=${CARGO_TARGET_DIR:-target}/release
fi
bin=$(cd "$bin" && pwd) || exit 1
note "$(date -u +%FT%TZ) $("$bin/miner" --version)"
note "$(timeout 10 nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>&1 | head -n 1)"

if [ -z "${CUDA_PATH:-}" ] && [ ! -e /usr/local/cuda ] && [ ! -e /opt/cuda ]; then
    toolkit=$("$python" -c "import glob, nvidia; print(glob.glob(nvidia.__path__[0] + '/cu[0-9]*')[0])" 2> /dev/null)
    if [ -n "$toolkit" ]; then
        export CUDA_PATH=$toolkit LD_LIBRARY_PATH=$toolkit/lib:${LD_LIBRARY_PATH:-}
        note "using PyTorch's CUDA toolkit: $toolkit"
    else
        note "no CUDA toolkit was found in CUDA_PATH, /usr/local/cuda, /opt/cuda or with PyTorch for CUDA 13"
    fi
fi

# The first run also compiles the kernels.
step 110 selftest-1 "$bin/miner" selftest --device "$device" --json
step 35 selftest-2 "$bin/miner" selftest --device "$device" --json
first=$(field selftest-1 digest) second=$(field selftest-2 digest)
note "selftest: grade $(field selftest-1 grade), digests ${first:-none} and ${second:-none}"
if [ -z "$first" ] || [ "$first" != "$second" ]; then
    note "FAILED: the digests of two processes differ"
    failed=1
fi

# Networks drawn at random, on GPU and CPU: grade D3.
genomes=${GENOMES:-12}
# compared NAME SECONDS SPACE: random networks of a space.
compared() {
    step "$2" "$1" "$bin/miner" selftest --random "$genomes" --space "$3" --device "$device" --json
    note "D3: $(grep -c '"equal_to_cpu":true' "$out/$1.json") of $genomes random networks of the $3 space have the same digest as on the CPU"
}
compared random 60 macro
compared random-micro 40 micro
compared random-mobile 40 mobile

# The same without burn.
step 50 direct-selftest "$bin/miner" selftest --device "$direct" --json
note "without burn: grade $(field direct-selftest grade), digest $(field direct-selftest digest)"
if [ "$(field direct-selftest digest)" != "$first" ]; then
    note "FAILED: the digests with burn and without differ"
    failed=1
fi

has_torch=no
timeout 20 "$python" -c "import torch" 2> /dev/null && has_torch=yes
network="1110-1110-1110"
size=(--nodes 3 --input 3x32x32)
for channels in 16 36; do
    name=speed-c$channels
    if step 25 "$name" "$bin/miner" speed --device "$device" --json --steps 20 \
        "${size[@]}" --init-channels "$channels" "$network"; then
        note "speed, $channels channels: $(field "$name" images_per_second) images/s"
    fi
    if step 25 "direct-$name" "$bin/miner" speed --device "$direct" --json --steps 20 \
        "${size[@]}" --init-channels "$channels" "$network"; then
        with=$(field "$name" images_per_second) without=$(field "direct-$name" images_per_second)
        share=$(awk -v a="${with:-0}" -v b="${without:-0}" 'BEGIN { printf "%.2f", b > 0 ? a / b : 0 }')
        note "without burn, $channels channels: ${without:-no} images/s; burn has $share of it (cuda-direct:N can go at .90)"
        if [ "$(field "direct-$name" digest)" != "$(field "$name" digest)" ]; then
            note "FAILED: the digests with burn and without differ at $channels channels"
            failed=1
        fi
    fi
    name=network-c$channels
    step 5 "$name" "$bin/genomaster" inspect --json --phases 3 "${size[@]}" \
        --init-channels "$channels" "$network"
    if [ "$has_torch" = no ]; then
        note "torch, $channels channels: skipped, $python has no torch"
    elif step 25 "torch-c$channels" "$python" "$root/python/torch_speed.py" \
        "$out/$name.json" --device "$device" --steps 20; then
        note "torch, $channels channels: $(field "torch-c$channels" images_per_second) images/s"
    fi
done

for count in 2 8; do
    name=at-once-$count
    if step 25 "$name" "$bin/miner" speed --device "$device" --json --steps 10 \
        --at-once "$count" "${size[@]}" --init-channels 16 "$network"; then
        note "$count at once, 16 channels: $(field "$name" images_per_second) images/s together, digests equal: $(field "$name" digests_equal)"
    fi
done
note "took $SECONDS s"
exit "$failed"
