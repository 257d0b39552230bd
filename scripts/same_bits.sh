#!/usr/bin/env bash
# Holds the digests of N random trainings (10 if it is not said) of fifty steps each against each
# other: with every set of instructions, with 1, 2 and 4 threads, from an optimised and an
# unoptimised build, and, where they are installed (Debian: apt-get install qemu-user valgrind), on
# emulated processors.
#
#     scripts/same_bits.sh [N]
#
# Emulations train for four steps only: fifty take half an hour under valgrind, and longer on a
# processor without AVX.
set -euo pipefail
cd "$(dirname "$0")/.."
count=${1:-10}
target=${CARGO_TARGET_DIR:-target}
cargo build --release --locked -p naschain-bins --bin miner
cargo build --profile link --locked -p naschain-bins --bin miner
miner=$target/release/miner
fifty=(selftest --random "$count" --epochs 25)
four=(selftest --random "$count" --epochs 2)
right_after_fifty=$("$miner" "${fifty[@]}")
right_after_four=$("$miner" "${four[@]}")
echo "$right_after_fifty"
different=0

# Runs a command and says whether it prints the right digests.
same() {
    local what=$1 right=$2
    shift 2
    # Emulators speak on standard error.
    if found=$("$@" 2>/dev/null) && [ "$found" = "$right" ]; then
        echo "equal      $what"
    else
        echo "NOT EQUAL  $what"
        different=1
    fi
}

same "unoptimised build" "$right_after_fifty" "$target/link/miner" "${fifty[@]}"
for isa in avx512 avx2 portable; do
    if "$miner" selftest --random 1 --isa "$isa" >/dev/null 2>&1; then
        same "$isa" "$right_after_fifty" "$miner" "${fifty[@]}" --isa "$isa"
    else
        echo "not tried  $isa: this processor lacks it"
    fi
done
for threads in 2 4; do
    same "$threads threads" "$right_after_fifty" "$miner" "${fifty[@]}" --threads "$threads"
done
if command -v qemu-x86_64 >/dev/null; then
    same "qemu-user, Haswell" "$right_after_four" qemu-x86_64 -cpu Haswell "$miner" "${four[@]}"
    same "qemu-user, Nehalem" "$right_after_four" qemu-x86_64 -cpu Nehalem "$miner" "${four[@]}"
else
    echo "not tried  Haswell, Nehalem: there is no qemu-x86_64"
fi
if command -v valgrind >/dev/null; then
    same "valgrind" "$right_after_four" valgrind -q "$miner" "${four[@]}"
else
    echo "not tried  valgrind: it is not installed"
fi
exit "$different"
