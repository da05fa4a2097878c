#!/usr/bin/env python3
"""Prints the results of side_by_side.sh as a Markdown table: medians of riacho and Kafka Streams, and their ratio."""
import json
import statistics
import sys

GOALS = {
    ("catchup", "records_per_s", "1k"): "at least 2x",
    ("catchup", "records_per_s", "100k"): "at least 2x",
    ("catchup", "cpu_s_per_million", "1k"): "at most 0.33x",
    ("catchup", "cpu_s_per_million", "100k"): "at most 0.33x",
    ("catchup", "peak_rss_mib", "1k"): "at most 0.2x",
    ("catchup", "peak_rss_mib", "100k"): "at most 0.25x",
    ("latency", "p50_ms", None): "at most 0.8x",
    ("latency", "p99_ms", None): "at most 0.7x",
    ("start", "after_process_start_s", None): "under 1 s",
    ("restore", "restored_per_s", "100k"): "at least 2x",
    ("restore", "after_process_start_s", "100k"): "",
    ("kill9", "restart_to_first_record_s", "1k"): "under 5 s",
}
NAMES = {
    ("catchup", "records_per_s"): "catch-up, records/s",
    ("catchup", "cpu_s_per_million"): "CPU seconds per million records",
    ("catchup", "peak_rss_mib"): "peak memory, MiB",
    ("latency", "p50_ms"): "end to end at 5,000/s, p50 ms",
    ("latency", "p99_ms"): "end to end at 5,000/s, p99 ms",
    ("start", "after_process_start_s"): "start to RUNNING with nothing to restore, s",
    ("restore", "restored_per_s"): "restore, records/s",
    ("restore", "after_process_start_s"): "start to RUNNING with the state deleted, s",
    ("kill9", "restart_to_first_record_s"): "kill -9, restart to first record, s",
}
VENDORS = {"1k": "1,000 vendors", "100k": "100,000 vendors", None: ""}
GUARANTEES = {"eos": "exactly once", "alos": "at least once"}


def figures(results):
    """Medians by (kind, metric, data, guarantee) and engine; a run that was not verified counts for nothing."""
    samples = {}
    for result in results:
        verdict = result.get("verify", {}).get("verify")
        if result["kind"] in ("catchup", "kill9") and verdict != "PASS":
            print(f"not counted: {result['engine']} {result['kind']} verified {verdict}", file=sys.stderr)
            continue
        if result["kind"] == "restore" and result.get("restore_s"):
            result["restored_per_s"] = round(result["restored_records"] / result["restore_s"])
        for kind, metric, data in GOALS:
            shape = result.get("data") if kind != "latency" else None
            if result["kind"] == kind and shape == data and isinstance(result.get(metric), (int, float)):
                key = (kind, metric, data, result["guarantee"])
                samples.setdefault(key, {}).setdefault(result["engine"], []).append(result[metric])
    return samples


def shown(values):
    middle = statistics.median(values)
    text = f"{middle:,.0f}" if middle >= 100 else f"{middle:.2f}"
    if len(values) > 1:
        low, high = (f"{v:,.0f}" if middle >= 100 else f"{v:.2f}" for v in (min(values), max(values)))
        text += f" [{low}-{high}]"
    return text


def main():
    results = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
    print("| measure | | guarantee | riacho | Kafka Streams | ratio | goal |")
    print("|---|---|---|---|---|---|---|")
    for (kind, metric, data, guarantee), engines in figures(results).items():
        ours, theirs = engines.get("riacho"), engines.get("kstreams")
        if not ours or not theirs:
            continue
        ratio = statistics.median(ours) / statistics.median(theirs) if statistics.median(theirs) else float("nan")
        goal = GOALS[(kind, metric, data)]
        row = (NAMES[(kind, metric)], VENDORS[data], GUARANTEES[guarantee], shown(ours), shown(theirs), f"{ratio:.2f}x", goal)
        print("| " + " | ".join(row) + " |")


main()
