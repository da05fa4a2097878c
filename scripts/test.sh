#!/usr/bin/env bash
# Every check there is: lint, the tests of topology/, the tests of riacho on a real Kafka in a JVM, and those that talk to
# a broker once more on the image that users run, where a Docker engine answers. The last line is the sum.
set -uo pipefail
cd "$(dirname "$0")/.."
PATH=$HOME/.cargo/bin:$PATH

passed=0 failed=0 status=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
stage() { printf '\n== %s\n' "$*"; }
# run COMMAND...: a libtest run; one that breaks without a failed test (it did not compile, it crashed) counts as one failure.
run() {
  local broke=0 sums p f
  "$@" </dev/null 2>&1 | tee "$log"
  [ "${PIPESTATUS[0]}" = 0 ] || broke=1
  sums=$(sed 's/\x1b\[[0-9;]*m//g' "$log" | awk '/^test result: / { p += $4; f += $6 } END { print p + 0, f + 0 }')
  read -r p f <<<"$sums"
  if [ "$broke" = 1 ] && [ "$f" = 0 ]; then f=1; fi
  passed=$((passed + p)) failed=$((failed + f))
}

stage "lint"
lint=ok
scripts/lint.sh </dev/null 2>&1 || { lint=FAILED status=1; }

stage "topology"
run cargo test --locked -p riacho-topology --no-fail-fast

version=$(sed -n 's|.*<kafka.version>\(.*\)</kafka.version>.*|\1|p' tests/support/kafka-jars/pom.xml)
image=apache/kafka:$version
jvm() { command -v java >/dev/null && command -v mvn >/dev/null; }
docker_has_kafka() {
  docker version >/dev/null 2>&1 || return 1
  docker image inspect "$image" >/dev/null 2>&1 || docker pull -q "$image" >/dev/null 2>&1
}
all=(cargo test --release --locked --no-fail-fast)
with_broker=(cargo test --release --locked --test all -- broker:: replay::)
if [ -n "${RIACHO_TEST_KAFKA:-}" ]; then
  stage "riacho on Kafka: $RIACHO_TEST_KAFKA"
  run "${all[@]}"
elif ! jvm; then
  stage "riacho on Kafka in Docker"
  RIACHO_TEST_KAFKA=docker run "${all[@]}"
else
  stage "riacho on Kafka in a JVM"
  RIACHO_TEST_KAFKA=jvm run "${all[@]}"
  if docker_has_kafka; then
    stage "riacho on Kafka in Docker: the tests that talk to a broker"
    RIACHO_TEST_KAFKA=docker run "${with_broker[@]}"
  else
    stage "no Docker engine with $image: the second run of the tests that talk to a broker is left out"
  fi
fi

[ "$failed" = 0 ] || status=1
printf '\nlint %s\n' "$lint"
echo "$passed passed, $failed failed"
exit "$status"
