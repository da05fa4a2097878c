#!/usr/bin/env bash
# Repeats the tests that kill, freeze and rebalance for MINUTES (30), each round with other seeds; stops at the first failure.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$HOME/.cargo/bin:$PATH
end=$((SECONDS + ${MINUTES:-30} * 60)) round=0
while [ "$SECONDS" -lt "$end" ]; do
  round=$((round + 1))
  echo "== round $round, $(((end - SECONDS) / 60)) minutes left"
  cargo test --release --locked --test all -- recovery:: simulation::
done
echo "$round rounds passed"
