//! What the oracle finds, on its own and beside the application.

use proptest::prelude::*;
use riacho::{EmitStrategy, Windowed};

use super::super::aggregate::{Aggregated, CURRENCIES_MAX, SellerTotals};
use super::super::money::Cents;
use super::super::transaction::TransactionSerde;
use super::figures::Figures;
use super::*;

const RULES: OracleRules = OracleRules {
    partitions: 1,
    size_ms: 60_000,
    advance_ms: 60_000,
    grace_ms: 10_000,
    ahead_ms_max: 86_400_000,
    keyed_by_vendor: true,
    emit: EmitStrategy::OnWindowUpdateAndClose,
    exactly_once: true,
};
const NOW: Timestamp = Timestamp(1_000_000);

fn transaction(vendor: &str, valor: &str, time: i64) -> String {
    format!(
        r#"{{"id_transacao":"t","id_vendedor":"{vendor}","valor":{valor},"hora_transacao":{time},"moeda":"BRL"}}"#
    )
}

/// One partition's input and the output, told in turns.
struct Told {
    oracle: Oracle,
    offset: i64,
}

impl Told {
    fn under(rules: OracleRules) -> Told {
        Told { oracle: Oracle::new(rules), offset: 0 }
    }

    fn input_raw(mut self, partition: i32, key: &str, value: &str) -> Told {
        let (key, value) = (Some(key.as_bytes()), Some(value.as_bytes()));
        self.oracle.input(&Input { partition, offset: self.offset, reference: NOW, key, value });
        self.offset += 1;
        self
    }

    fn input(self, vendor: &str, valor: &str, time: i64) -> Told {
        self.input_raw(0, vendor, &transaction(vendor, valor, time))
    }

    fn output(mut self, vendor: &str, start: i64, closed: bool, cents: &[i64]) -> Told {
        let value = aggregated(vendor, start, self.oracle.rules.size_ms, closed, cents);
        self.oracle.output(Some(vendor.as_bytes()), Some(value.as_bytes()));
        self
    }

    fn report(self) -> Report {
        self.oracle.finish(OpenWindows::Compare)
    }
}

fn aggregated(vendor: &str, start: i64, size_ms: i64, closed: bool, cents: &[i64]) -> String {
    let (total, count) = (cents.iter().sum::<i64>(), cents.len() as i64);
    let money = |cents: i64| Cents(cents).to_string();
    let mean = money((2 * total + count) / (2 * count));
    format!(
        concat!(
            r#"{{"id_vendedor":"{}","numero_transacoes":{},"valor_total_por_vendedor":{},"valor_minimo":{},"#,
            r#""valor_maximo":{},"valor_medio":{},"janela_inicio":{},"janela_fim":{},"final":{},"#,
            r#""totais_por_moeda":{{"BRL":{{"total":{},"quantidade":{}}}}}}}"#,
        ),
        vendor,
        count,
        money(total),
        money(*cents.iter().min().unwrap()),
        money(*cents.iter().max().unwrap()),
        mean,
        start,
        start + size_ms,
        closed,
        money(total),
        count,
    )
}

#[test]
fn right_output_passes_and_is_forgotten() {
    let told = Told::under(RULES)
        .input("a", "1.00", 5_000)
        .input("b", "2", 6_000)
        .output("a", 0, false, &[100])
        .input("a", "3.50", 59_999)
        .input("a", "1", 60_000)
        .input("a", "9", 129_999)
        .output("a", 0, true, &[100, 350])
        .output("b", 0, false, &[200])
        .output("b", 0, true, &[200])
        .output("a", 60_000, false, &[100])
        .output("a", 120_000, false, &[900]);
    assert_eq!(told.oracle.held(), 2, "only what is open");
    let report = told.report();
    assert!(report.passed(), "{report}");
    assert_eq!((report.records, report.counted, report.windows_checked, report.outputs), (5, 5, 4, 6));
    let text = "PASS: 4 vendor windows compared, 0 wrong; 5 records in, 5 counted, 0 late; 6 records out";
    assert_eq!(report.to_string(), text);
}

#[test]
fn a_record_is_late_once_stream_time_has_reached_the_end_and_the_grace() {
    let until = |time| Told::under(RULES).input("a", "1", 0).input("b", "1", time).input("a", "1", 59_999);
    assert_eq!(until(69_999).report().late, 0);
    let told = until(70_000).output("a", 0, true, &[100]).output("b", 60_000, false, &[100]);
    let report = told.report();
    assert_eq!((report.late, report.counted), (1, 2));
    assert!(report.passed(), "{report}");
    let other_partition = Told::under(RULES).input_raw(0, "b", &transaction("b", "1", 500_000)).input_raw(
        1,
        "a",
        &transaction("a", "1", 0),
    );
    assert_eq!(other_partition.report().late, 0, "each partition has its own time");
}

#[test]
fn hopping_windows_take_a_record_wherever_they_are_open() {
    let rules = OracleRules { size_ms: 20_000, advance_ms: 10_000, grace_ms: 0, ..RULES };
    let report = Told::under(rules)
        .input("a", "1", 5_000)
        .input("a", "2", 25_000)
        .input("a", "4", 15_000)
        .output("a", 0, true, &[100])
        .output("a", 10_000, false, &[200, 400])
        .output("a", 20_000, false, &[200])
        .report();
    assert!(report.passed(), "{report}");
    assert_eq!((report.counted, report.late, report.windows_checked), (3, 0, 3));
}

#[test]
fn each_kind_of_wrong_output_is_found() {
    let closed = || Told::under(RULES).input("a", "1.00", 0).input("a", "2.00", 1).input("z", "1", 200_000);
    let right = |told: Told| told.output("a", 0, true, &[100, 200]).output("z", 180_000, false, &[100]);
    assert!(right(closed()).report().passed());
    for (told, what) in [
        (closed().output("z", 180_000, false, &[100]), "a at 0: 2 were counted, but nothing is written"),
        (right(closed()).output("b", 0, true, &[1]), "b at 0: a record of a window that is done"),
        (
            right(closed()).output("b", 180_000, false, &[1]),
            "b at 180000: nothing was counted, but something is",
        ),
        (closed().output("a", 0, true, &[100]), "a at 0: 2 were counted, but numero_transacoes is 1"),
        (
            closed().output("a", 0, true, &[100, 201]),
            "300 cents were counted, but valor_total_por_vendedor is 3.01",
        ),
        (closed().output("a", 0, true, &[50, 250]), "100 cents were counted, but valor_minimo is 0.50"),
        (closed().output("a", 0, false, &[100, 200]), "a at 0: closed, but with 0 records with final=true"),
        (right(closed()).output("a", 0, true, &[100, 200]), "a at 0: a record of a window that is done"),
        (
            right(closed()).output("z", 180_000, true, &[100]),
            "z at 180000: open, but with 1 records with final=true",
        ),
        (
            closed().output("a", 0, true, &[100]).output("a", 0, true, &[100, 200]),
            "a at 0: a second record with final=true",
        ),
        (
            closed().output("a", 0, true, &[100]).output("a", 0, false, &[100, 200]),
            "a at 0: an update after the record with final=true",
        ),
        (
            closed().output("a", 0, false, &[100, 200]).output("a", 0, false, &[100]),
            "a at 0: its count has gone back",
        ),
        (right(closed()).output("a", 1, true, &[1]), "a at 1: there is no window from 1 to 60001"),
    ] {
        let report = told.report();
        assert!(!report.passed());
        assert!(report.examples.iter().any(|example| example.contains(what)), "{what} expected:\n{report}");
    }
}

#[test]
fn a_currency_that_is_wrong_is_found_although_the_sums_are_right() {
    for (from, to, what) in [
        ("BRL", "USD", "2 in BRL for 300 cents were counted, but written is None"),
        ("\"total\":3.00", "\"total\":2.00", "but written is Some((2, 200))"),
        (
            "{\"BRL\"",
            "{\"EUR\":{\"total\":0.00,\"quantidade\":0},\"BRL\"",
            "1 currencies were counted, but 2",
        ),
    ] {
        let mut told = Told::under(RULES).input("a", "1", 0).input("a", "2", 1).input("z", "1", 200_000);
        let value = aggregated("a", 0, 60_000, true, &[100, 200]).replace(from, to);
        told.oracle.output(Some(b"a"), Some(value.as_bytes()));
        let report = told.report();
        assert!(report.to_string().contains(what), "{what} expected:\n{report}");
    }
}

#[test]
fn output_that_cannot_be_read_or_has_another_key_is_wrong() {
    let mut oracle = Oracle::new(RULES);
    let value = aggregated("a", 0, 60_000, true, &[100]);
    oracle.output(Some(b"b\xff"), Some(value.as_bytes()));
    oracle.output(None, Some(value.as_bytes()));
    oracle.output(Some(b"a"), Some(b"{}"));
    oracle.output(Some(b"a"), None);
    let report = oracle.finish(OpenWindows::Skip);
    assert_eq!((report.mismatches, report.outputs), (4, 4));
    assert!(report.examples[0].contains(r"its key is b\xff"), "{report}");
    assert!(report.examples[1].contains("its key is null"), "{report}");
    assert!(report.examples[2].contains("missing field"), "{report}");
}

#[test]
fn the_emit_strategy_decides_what_may_be_written() {
    let under = |emit| Told::under(OracleRules { emit, ..RULES }).input("a", "1", 0).input("z", "1", 200_000);
    let closing_only = under(EmitStrategy::OnWindowClose).output("a", 0, true, &[100]);
    let report = closing_only.report();
    assert!(report.passed() && report.windows_open == 1, "{report}");
    let update = under(EmitStrategy::OnWindowClose).output("a", 0, false, &[100]).report();
    assert!(update.to_string().contains("final=false, against the settings"), "{update}");
    let updates = || under(EmitStrategy::OnWindowUpdate).output("z", 180_000, false, &[100]);
    assert!(updates().output("a", 0, false, &[100]).report().passed());
    assert!(updates().output("a", 0, true, &[100]).report().passed(), "it may say that the window is closed");
    let early = under(EmitStrategy::OnWindowUpdate).output("z", 180_000, true, &[100]).report();
    assert!(early.to_string().contains("open, but with 1 records with final=true"), "{early}");
}

#[test]
fn open_windows_are_left_out_when_the_application_may_be_behind() {
    let told = Told::under(RULES).input("a", "1", 0).input("z", "1", 200_000).output("a", 0, true, &[100]);
    let report = told.oracle.finish(OpenWindows::Skip);
    assert!(report.passed() && report.windows_open == 1, "{report}");
    assert!(report.to_string().contains(", 1 still open;"));
    let nothing = Oracle::new(RULES).finish(OpenWindows::Compare);
    assert!(!nothing.passed() && nothing.to_string().starts_with("FAIL (nothing to compare)"));
}

#[test]
fn at_least_once_may_write_again_but_must_end_right() {
    let rules = OracleRules { exactly_once: false, ..RULES };
    let told = || Told::under(rules).input("a", "1", 0).input("a", "2", 1).input("z", "1", 200_000);
    let again = told()
        .output("a", 0, true, &[100, 200])
        .output("a", 0, false, &[100])
        .output("a", 0, true, &[100, 200])
        .output("z", 180_000, false, &[100]);
    assert!(again.report().passed());
    let wrong = told().output("a", 0, true, &[100, 200]).output("a", 0, true, &[100]).output(
        "z",
        180_000,
        false,
        &[100],
    );
    assert_eq!(wrong.report().mismatches, 1);
}

#[test]
fn bad_records_are_not_counted_and_only_refused_ones_move_time() {
    let ahead = NOW.0 + RULES.ahead_ms_max;
    let report = Told::under(RULES)
        .input("a", "1", 0)
        .input_raw(0, "a", "{")
        .input("a", "1.234", 400_000)
        .input("a", "1", -1)
        .input("a", "1", ahead + 1)
        .input_raw(0, "b", &transaction("a", "1", 60_000))
        .input("a", "1", 69_999)
        .input("a", "2", 1)
        .output("a", 0, false, &[100, 200])
        .output("a", 60_000, false, &[100])
        .report();
    assert!(report.passed(), "{report}");
    assert_eq!((report.records, report.counted, report.late), (8, 3, 0));
    assert_eq!((report.unreadable, report.misdated, report.refused), (2, 2, 1));
    assert!(
        report.to_string().contains("3 counted, 0 late, 2 unreadable, 2 misdated, 1 refused"),
        "{report}"
    );
    let moved = Told::under(RULES).input_raw(0, "b", &transaction("a", "1", 70_000)).input("a", "1", 1);
    assert_eq!(moved.report().late, 1);
}

#[test]
fn a_repartition_topic_may_be_told_instead_of_the_input() {
    let mut told = Told::under(RULES);
    let read =
        |valor, time| TransactionSerde.deserialize(Some(transaction("a", valor, time).as_bytes())).unwrap();
    for (offset, transaction) in [read("1", 0), read("2", 70_000), read("4", 1)].iter().enumerate() {
        told.oracle.repartitioned(0, offset as i64, transaction);
    }
    let report = told.output("a", 0, true, &[100]).output("a", 60_000, false, &[200]).report();
    assert!(report.passed() && report.late == 1, "{report}");
}

#[test]
fn an_offset_that_was_told_before_is_passed_over() {
    let mut oracle = Oracle::new(RULES);
    let value = transaction("a", "1", 0);
    let (key, value) = (Some(b"a".as_slice()), Some(value.as_bytes()));
    for offset in [5, 5, 4, 9] {
        oracle.input(&Input { partition: 0, offset, reference: NOW, key, value });
    }
    assert_eq!(oracle.finish(OpenWindows::Skip).records, 2);
}

#[test]
fn a_vendor_in_two_partitions_is_reported() {
    let told = Told::under(RULES).input("a", "1", 0).input_raw(1, "a", &transaction("a", "1", 0));
    assert!(told.report().to_string().contains("the vendor is in two partitions"));
}

#[test]
fn a_sum_without_room_is_refused() {
    let rules = OracleRules { emit: EmitStrategy::OnWindowClose, ..RULES };
    let told = (0..9224).fold(Told::under(rules), |told, _| told.input("a", "10000000000000", 0));
    assert_eq!(told.report().refused, 1, "9223 times ten trillion fit into 64 bits");
    assert_eq!(Figures::CURRENCIES_MAX, CURRENCIES_MAX);
}

#[test]
fn input_that_is_not_keyed_leaves_late_records_undecided() {
    let rules = OracleRules { keyed_by_vendor: false, ..RULES };
    let told = || {
        Told::under(rules)
            .input_raw(0, "x", &transaction("a", "1", 0))
            .input_raw(0, "y", &transaction("b", "1", 500_000))
            .input_raw(1, "z", &transaction("a", "2", 1))
            .output("b", 480_000, false, &[100])
    };
    assert!(told().output("a", 0, true, &[100, 200]).report().windows_undecided == 0);
    let report = told().output("a", 0, true, &[100]).report();
    assert!(report.passed(), "{report}");
    assert_eq!((report.windows_undecided, report.records_undecided), (1, 1));
    assert!(!told().output("a", 0, true, &[100, 100]).report().passed());
    assert!(!told().output("a", 0, true, &[100, 200, 1]).report().passed());
}

proptest! {
    /// The application's parts and the oracle, each on its own, on the same transactions.
    #[test]
    fn the_application_and_the_oracle_agree(
        records in prop::collection::vec(
            (0..3i32, 0..4usize, -100_000i64..100_000, 0i64..400_000, "(BRL|USD|EUR)"), 1..120),
        hopping: bool, told_together: bool,
    ) {
        let advance_ms = if hopping { 20_000 } else { 60_000 };
        let rules = OracleRules { partitions: 3, advance_ms, ..RULES };
        let mut oracle = Oracle::new(rules);
        let mut times = [i64::MIN; 3];
        let mut state: BTreeMap<(i64, i32, usize), SellerTotals> = BTreeMap::new();
        let mut outputs = Vec::new();
        let written = |start: i64, vendor: &str, closed: bool, totals: &SellerTotals| {
            let window = riacho_topology::Window { start: Timestamp(start), end: Timestamp(start + 60_000) };
            let windowed = Windowed { key: vendor.into(), window, closed };
            let mut out = Vec::new();
            AggregatedSerde.serialize(&Aggregated::of(&windowed, totals), &mut out).unwrap();
            out
        };
        for (offset, (partition, vendor, cents, time, currency)) in records.iter().enumerate() {
            let name = format!("v{partition}-{vendor}");
            let json = transaction(&name, &Cents(*cents).to_string(), *time).replace("BRL", currency);
            let read = TransactionSerde.deserialize(Some(json.as_bytes())).unwrap();
            let (key, value) = (Some(name.as_bytes()), Some(json.as_bytes()));
            oracle.input(&Input { partition: *partition, offset: offset as i64, reference: NOW, key, value });
            let now = &mut times[*partition as usize];
            *now = (*now).max(*time);
            for start in (0..=*time / advance_ms).map(|n| n * advance_ms).filter(|start| start + 60_000 > *time) {
                if start + 70_000 > *now {
                    let totals = state.entry((start, *partition, *vendor)).or_default();
                    totals.add(&read).unwrap();
                    outputs.push((name.clone(), written(start, &name, false, totals)));
                }
            }
            state.retain(|&(start, of, vendor), totals| {
                let closed = of == *partition && start + 70_000 <= *now;
                if closed {
                    let name = format!("v{of}-{vendor}");
                    outputs.push((name.clone(), written(start, &name, true, totals)));
                }
                !closed
            });
            if told_together {
                for (key, value) in outputs.drain(..) {
                    oracle.output(Some(key.as_bytes()), Some(&value));
                }
            }
        }
        for (key, value) in outputs.drain(..) {
            oracle.output(Some(key.as_bytes()), Some(&value));
        }
        prop_assert_eq!(oracle.held(), state.len(), "what is closed is forgotten");
        let report = oracle.finish(OpenWindows::Compare);
        prop_assert!(report.passed() || records.len() as u64 == report.late, "{}", report);
        prop_assert_eq!(report.counted + report.late, records.len() as u64);
    }
}
