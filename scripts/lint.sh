#!/usr/bin/env bash
# Format, clippy, documentation and dependencies; a warning is an error.
# The release profile everywhere: it is the one for which RocksDB is compiled anyway.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$HOME/.cargo/bin:$PATH

cargo fmt --all --check
cargo clippy --release --locked --workspace --all-targets -- -D warnings
RUSTDOCFLAGS="-D warnings" cargo doc --release --locked --workspace --no-deps

checks=(bans licenses sources)
if cargo deny --log-level off fetch db >/dev/null 2>&1; then
  checks=(advisories "${checks[@]}")
else
  echo "the advisory database cannot be reached: advisories are not checked"
fi
# Several versions of one package are named as warnings; their trees would fill screens.
cargo deny --locked --log-level error check --hide-inclusion-graph "${checks[@]}"
deploy/check.sh
