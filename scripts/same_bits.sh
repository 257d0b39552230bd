#!/usr/bin/env bash
# Compares the digests of N random trainings (default 10) of fifty steps each: with every instruction
# set, with 1, 2 and 4 threads, from an optimised and an unoptimised build, and on emulated processors
# if the emulators are installed (Debian: apt-get install qemu-user valgrind).
#
#     scripts/same_bits.sh [N]
#
# Emulated processors train for four steps only: fifty take half an hour under valgrind, and longer on
# a processor without AVX.
set -euo pipefail
cd "$(dirname "$0")/.."
count=${1:-10}
target=${CARGO_TARGET_DIR:-target}
cargo build --release --locked -p naschain-bins --bin miner
cargo build --profile link --locked -p naschain-bins --bin miner
miner=$target/release/miner
fifty=(selftest --random "$count" --epochs 25)
four=(selftest --random "$count" --epochs 2)
expected_after_fifty=$("$miner" "${fifty[@]}")
expected_after_four=$("$miner" "${four[@]}")
echo "$expected_after_fifty"
different=0

# Runs a command and reports whether it prints the expected digests.
same() {
    local what=$1 expected=$2
    shift 2
    # Emulators print messages to standard error.
    if found=$("$@" 2>/dev/null) && [ "$found" = "$expected" ]; then
        echo "equal      $what"
    else
        echo "NOT EQUAL  $what"
        different=1
    fi
}

same "unoptimised build" "$expected_after_fifty" "$target/link/miner" "${fifty[@]}"
for isa in avx512 avx2 portable; do
    if "$miner" selftest --random 1 --isa "$isa" >/dev/null 2>&1; then
        same "$isa" "$expected_after_fifty" "$miner" "${fifty[@]}" --isa "$isa"
    else
        echo "skipped    $isa: not supported by this processor"
    fi
done
for threads in 2 4; do
    same "$threads threads" "$expected_after_fifty" "$miner" "${fifty[@]}" --threads "$threads"
done
if command -v qemu-x86_64 >/dev/null; then
    same "qemu-user, Haswell" "$expected_after_four" qemu-x86_64 -cpu Haswell "$miner" "${four[@]}"
    same "qemu-user, Nehalem" "$expected_after_four" qemu-x86_64 -cpu Nehalem "$miner" "${four[@]}"
else
    echo "skipped    Haswell, Nehalem: qemu-x86_64 is not installed"
fi
if command -v valgrind >/dev/null; then
    same "valgrind" "$expected_after_four" valgrind -q "$miner" "${four[@]}"
else
    echo "skipped    valgrind: not installed"
fi
exit "$different"
