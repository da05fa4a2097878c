#!/usr/bin/env bash
# run.sh --bootstrap HOST:PORT --guarantee eos|alos --app ID --in TOPIC --out TOPIC --state-dir DIR
#        [--follow] [--restore-only] [--emit update|final] [--threads N] [--commit-ms N] [--session-ms N] [--heartbeat-ms N]
#        [--instance-id ID] [--cache BYTES] [--rf N] [--set.KEY VALUE]
# Runs riacho as a peer of the tools in shared/peers: same arguments, same lines on stdout as kstreams/run.sh.
# RIACHO=path of the program (default: target/release/riacho of this repository).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
riacho=${RIACHO:-$here/../../target/release/riacho}
[ -x "$riacho" ] || { echo "$riacho is missing: make build" >&2; exit 1; }

until=(--until-caught-up)
# Event time may be long ago: the broker would delete the windows' changelogs for their age, as it would Kafka Streams'.
settings=(
  --set commit.interval.ms=100
  --set num.stream.threads=2
  --set replication.factor=1
  --set windowstore.changelog.additional.retention.ms=3153600000000
  --set riacho.http.address=none
  --set riacho.log.level="${LOG:-warn}"
  # The peers aggregate and nothing else.
  --set transactions.anomalies.enabled=false
  --set transactions.emit.strategy=update
)
set_to() { settings+=(--set "$1=$2"); }

while [ $# -gt 0 ]; do
  case $1 in
    --follow) until=(); shift; continue ;;
    # Without anything to do the program ends as soon as it runs, restored.
    --restore-only) shift; continue ;;
  esac
  [ $# -ge 2 ] || { echo "$1 needs a value" >&2; exit 2; }
  case $1 in
    --bootstrap) set_to bootstrap.servers "$2" ;;
    --guarantee) case $2 in
      eos) set_to processing.guarantee exactly_once_v2 ;;
      alos) set_to processing.guarantee at_least_once ;;
      *) echo "--guarantee eos or alos" >&2; exit 2 ;;
    esac ;;
    --app) set_to application.id "$2" ;;
    --in) set_to transactions.input.topic "$2" ;;
    --out) set_to transactions.output.topic "$2" ;;
    --state-dir) set_to state.dir "$2" ;;
    --emit) case $2 in
      update) set_to transactions.emit.strategy update ;;
      final) set_to transactions.emit.strategy close ;;
      *) echo "--emit update or final" >&2; exit 2 ;;
    esac ;;
    --threads) set_to num.stream.threads "$2" ;;
    --commit-ms) set_to commit.interval.ms "$2" ;;
    --session-ms) set_to session.timeout.ms "$2" ;;
    --heartbeat-ms) set_to heartbeat.interval.ms "$2" ;;
    --instance-id) set_to group.instance.id "$2" ;;
    --cache) set_to statestore.cache.max.bytes "$2" ;;
    --rf) set_to replication.factor "$2" ;;
    --set.*) set_to "${1#--set.}" "$2" ;;
    *) echo "unknown: $1" >&2; exit 2 ;;
  esac
  shift 2
done

exec env -u RIACHO_CONFIG "$riacho" run transactions --report json "${until[@]}" "${settings[@]}"
