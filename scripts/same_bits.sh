#!/usr/bin/env bash
# Holds the digests of N random trainings (6 if it is not said) against each other: with every set
# of instructions, with 1, 2 and 4 threads, from an optimised and an unoptimised build, and, where
# they are installed (Debian: apt-get install qemu-user valgrind), on emulated processors.
#
#     scripts/same_bits.sh [N]
#
# The emulated processor without AVX takes about ten minutes for 6.
set -euo pipefail
cd "$(dirname "$0")/.."
count=${1:-6}
target=${CARGO_TARGET_DIR:-target}
cargo build --release --locked -p naschain-bins --bin miner
cargo build --profile link --locked -p naschain-bins --bin miner
right=$("$target/release/miner" selftest --random "$count")
echo "$right"
different=0

# Runs a command in front of the self-test and says whether the digests are the same.
same() {
    local what=$1
    shift
    # Emulators speak on standard error.
    if found=$("$@" selftest --random "$count" "${flags[@]}" 2>/dev/null) &&
        [ "$found" = "$right" ]; then
        echo "equal      $what"
    else
        echo "NOT EQUAL  $what"
        different=1
    fi
}

flags=()
same "unoptimised build" "$target/link/miner"
for isa in avx512 avx2 portable; do
    flags=(--isa "$isa")
    if "$target/release/miner" selftest --random 1 --isa "$isa" >/dev/null 2>&1; then
        same "$isa" "$target/release/miner"
    else
        echo "not tried  $isa: this processor lacks it"
    fi
done
for threads in 2 4; do
    flags=(--threads "$threads")
    same "$threads threads" "$target/release/miner"
done
flags=()
for cpu in Haswell Nehalem; do
    if command -v qemu-x86_64 >/dev/null; then
        same "qemu-user, $cpu" qemu-x86_64 -cpu "$cpu" "$target/release/miner"
    else
        echo "not tried  $cpu: there is no qemu-x86_64"
    fi
done
if command -v valgrind >/dev/null; then
    same "valgrind" valgrind -q "$target/release/miner"
else
    echo "not tried  valgrind: it is not installed"
fi
exit "$different"
