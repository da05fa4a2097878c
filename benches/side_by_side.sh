#!/usr/bin/env bash
# Runs riacho and Java Kafka Streams in turns on the same data and broker, verifies both outputs, prints a table.
#   PEERS=DIR  the folder with the rival, the generator and the verifier (default ../shared/peers)
#   BENCH_DIR=DIR  where the broker, the state and the results go (default target/bench)
#   RUNS=N     runs of each engine and shape (default 3)
#   SHAPES="catchup-1k catchup-100k latency start restore kill"   what to measure (default: all)
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
peers=${PEERS:-$root/../shared/peers}
runs=${RUNS:-3}
shapes=${SHAPES:-catchup-1k catchup-100k latency start restore kill}
work=${BENCH_DIR:-$root/target/bench}

[ -d "$peers" ] || { echo "no $peers: set PEERS to the folder with kstreams/, gen/, verify/ and measure/" >&2; exit 1; }
for tool in java mvn python3; do
  command -v "$tool" >/dev/null || { echo "$tool is missing: it runs the rival and the verifier" >&2; exit 1; }
done

mkdir -p "$work"
if [ ! -d "$work/peers" ]; then
  cp -r "$peers" "$work/peers"
  chmod -R u+rwX "$work/peers"
  find "$work/peers" -name '*.sh' -o -name 'bench.py' | xargs chmod u+x
  mv "$work/peers/verify/verify.sh" "$work/peers/verify/verify-any.sh"
fi
# riacho's output has the field names of the system that it takes the place of.
cat >"$work/peers/verify/verify.sh" <<'SH'
#!/usr/bin/env bash
here=$(cd "$(dirname "$0")" && pwd)
fields=()
case "$*" in *out-*riacho*) fields=(--f-start janela_inicio --f-end janela_fim --f-min valor_minimo --f-max valor_maximo) ;; esac
exec "$here/verify-any.sh" "$@" "${fields[@]}"
SH
# The load of the latency measurement reads the same fields.
if [ ! -e "$work/peers/gen/latency-any.sh" ]; then mv "$work/peers/gen/latency.sh" "$work/peers/gen/latency-any.sh"; fi
cat >"$work/peers/gen/latency.sh" <<'SH'
#!/usr/bin/env bash
here=$(cd "$(dirname "$0")" && pwd)
fields=()
case "$*" in *out-*riacho*) fields=(--f-start janela_inicio) ;; esac
exec "$here/latency-any.sh" "$@" "${fields[@]}"
SH
mkdir -p "$work/peers/riacho"
cp "$root/benches/peer/run.sh" "$work/peers/riacho/run.sh"
chmod u+x "$work/peers"/{verify/verify.sh,gen/latency.sh,riacho/run.sh}

(cd "$root" && cargo build --release --bin riacho)
export RIACHO=${CARGO_TARGET_DIR:-$root/target}/release/riacho

cd "$work/peers"
trap './kafka/cluster.sh stop >/dev/null 2>&1' EXIT
./kafka/cluster.sh start 1
BS=$(./kafka/cluster.sh bootstrap)
export BS
bench() { ./measure/bench.py "$@"; }

want() { case " $shapes " in *" $1 "*) return 0 ;; esac; return 1; }
data() { [ -e "data/.generated-$1" ] || { bench gen --data "$1" && touch "data/.generated-$1"; }; }

# The given start of an engine with nothing to read and nothing to restore, as an application of its own.
start_of() {
  local app line
  app=start-$1-$$-$2
  ./gen/topic.sh "$BS" create "in-$app" 12 1 && ./gen/topic.sh "$BS" create "out-$app" 12 1
  line=$("$1/run.sh" --bootstrap "$BS" --guarantee eos --app "$app" --in "in-$app" --out "out-$app" \
    --state-dir "data/state-$app" --restore-only 2>"data/run-$app.log" | sed -n '/"running"/p')
  echo "${line%\}},\"kind\":\"start\",\"engine\":\"$1\",\"guarantee\":\"eos\"}" | tee -a measure/results.jsonl
  ./gen/topic.sh "$BS" delete "in-$app" "out-$app" "$app-*"
  rm -rf "data/state-$app"
}

./gen/topic.sh "$BS" create anomalies_transactions 12 1 2>/dev/null || echo "anomalies_transactions exists" >&2
data 1k
# The broker is a JVM: whoever came first would pay for its warming up. One run of each engine that does not count.
for engine in riacho kstreams; do bench catchup --engine "$engine" --guarantee eos --data 1k --label warm-up -n 1; done
start=$(wc -l <measure/results.jsonl)
for vendors in 1k 100k; do
  want "catchup-$vendors" || continue
  data "$vendors"
  for _ in $(seq "$runs"); do
    for engine in riacho kstreams; do
      for guarantee in eos alos; do bench catchup --engine "$engine" --guarantee "$guarantee" --data "$vendors" -n 1; done
    done
  done
done
if want latency; then
  for _ in $(seq "$runs"); do
    for engine in riacho kstreams; do bench latency --engine "$engine" --guarantee eos; done
  done
fi
if want start; then
  for run in $(seq $((runs * 3))); do
    for engine in riacho kstreams; do start_of "$engine" "$run"; done
  done
fi
if want restore; then
  data 100k
  for _ in $(seq "$runs"); do
    for engine in riacho kstreams; do bench restore --engine "$engine" --guarantee eos --data 100k -n 1; done
  done
fi
if want kill; then
  data 1k
  for engine in riacho kstreams; do bench kill --engine "$engine" --guarantee eos --data 1k --kill-at 1500000; done
fi
tail -n +"$((start + 1))" measure/results.jsonl >"$work/results.jsonl"
"$root/benches/table.py" "$work/results.jsonl"
