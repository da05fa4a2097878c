#!/usr/bin/env bash
# Once: 200,000 sales into PostgreSQL while the program is killed 20 times and PostgreSQL 5 times. Then repeats the tests that
# kill, freeze and rebalance for MINUTES (30), each round with other seeds; stops at the first failure.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$HOME/.cargo/bin:$PATH
end=$((SECONDS + ${MINUTES:-30} * 60)) round=0
RIACHO_SALES=200000 RIACHO_KILLS=20 cargo test --release --locked --test all -- sales::the_table_is_the_topic
while [ "$SECONDS" -lt "$end" ]; do
  round=$((round + 1))
  echo "== round $round, $(((end - SECONDS) / 60)) minutes left"
  cargo test --release --locked --test all -- recovery:: simulation::
done
echo "$round rounds passed"
