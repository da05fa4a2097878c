package riacho.golden;

import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.kstream.Branched;
import org.apache.kafka.streams.kstream.EmitStrategy;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Named;
import org.apache.kafka.streams.kstream.Repartitioned;
import org.apache.kafka.streams.kstream.TimeWindowedKStream;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.state.WindowStore;
import riacho.golden.Pipeline.In;
import riacho.golden.Pipeline.Out;
import riacho.golden.Pipeline.Result;

/**
 * The cases of {@code semantics/*.json}: records that go in, records that come out of Kafka Streams.
 * A topology is a method of {@link Topologies}, a case a method of {@link Cases} with the name of its file.
 */
final class Semantics {
    /** The records of one case and the topology they run through. */
    record Case(String topology, List<In> input) { }

    static void write(final Path folder) throws IOException, ReflectiveOperationException {
        final StringBuilder readme = new StringBuilder("""
            # semantics

            What Kafka Streams 4.1.1 answers through TopologyTestDriver: one partition per topic, no record cache, so one output per update;
            `__emit.interval.ms.kstreams.windowed.aggregation__` = 0, so a closed window is emitted at once.
            Each file is made by the method of its name in [Semantics.java](../java/src/main/java/riacho/golden/Semantics.java). Generated: change the Java, not these files.

            - `topology`: a name of the second table. `dropped`: `dropped-records-total` summed over the tasks at the end (windowed operators count one per window refused).
            - `input`: `topic`, `key` (string or null), `value` (string, integer or null), `timestamp`.
            - `output`, in the order sent: `after` = index of the input record that caused it, `topic`, `key`, `windowStart` and `windowEnd` if the key is windowed, `value`, `timestamp`.

            | file | topology | what it shows |
            |---|---|---|
            """);
        writeCases(folder, Cases.class, readme);
        readme.append("""

            `kafka_loses/` holds what riacho must not copy. With the emit strategy on window close and the default retention (size + grace),
            the store of Kafka Streams forgets windows that start before (start of the newest window stored) - (size + grace) before they are emitted,
            so a jump of stream time loses final results, without a log line or a metric. The cases `final_*` above have a retention of 1 day, and lose nothing.

            | file | topology | what it shows |
            |---|---|---|
            """);
        writeCases(folder.resolve("kafka_loses"), Lost.class, readme);
        readme.append("""

            Topics are `input` and `output`, types (key string) as said.

            | topology | in words |
            |---|---|
            """);
        for (final Method method : sorted(Topologies.class)) {
            readme.append("| ").append(method.getName()).append(" | ")
                .append(method.getAnnotation(Words.class).value()).append(" |\n");
        }
        Files.writeString(folder.resolve("README.md"), readme);
    }

    private static void writeCases(final Path folder, final Class<?> cases, final StringBuilder readme) throws IOException, ReflectiveOperationException {
        for (final Method method : sorted(cases)) {
            final Case one = (Case) invoke(method);
            final Pipeline pipeline = new Pipeline();
            invoke(Topologies.class.getDeclaredMethod(one.topology, Pipeline.class), pipeline);
            Files.writeString(folder.resolve(method.getName() + ".json"), json(one, pipeline.run(one.input)));
            readme.append("| ").append(method.getName()).append(" | ").append(one.topology).append(" | ")
                .append(method.getAnnotation(Words.class).value()).append(" |\n");
        }
    }

    private static List<Method> sorted(final Class<?> of) {
        return Arrays.stream(of.getDeclaredMethods())
            .filter(m -> m.isAnnotationPresent(Words.class))
            .sorted(Comparator.comparing(Method::getName))
            .toList();
    }

    private static Object invoke(final Method method, final Object... arguments) throws ReflectiveOperationException {
        try {
            return method.invoke(null, arguments);
        } catch (final InvocationTargetException e) {
            throw new IllegalStateException(method.getName(), e.getCause());
        }
    }

    // ---- JSON, one record a line ----

    private static String json(final Case one, final Result result) {
        final StringBuilder out = new StringBuilder();
        out.append("{\"topology\":").append(quoted(one.topology)).append(",\"dropped\":").append(result.dropped()).append(",\n\"input\":[\n");
        out.append(String.join(",\n", one.input.stream().map(Semantics::json).toList()));
        out.append("\n],\n\"output\":[\n");
        out.append(String.join(",\n", result.out().stream().map(Semantics::json).toList()));
        return out.append("\n]}\n").toString();
    }

    private static String json(final In in) {
        return "{\"topic\":" + quoted(in.topic()) + ",\"key\":" + quoted(in.key())
            + ",\"value\":" + quoted(in.value()) + ",\"timestamp\":" + in.timestamp() + "}";
    }

    private static String json(final Out out) {
        final String window = out.window() == null ? ""
            : ",\"windowStart\":" + out.window()[0] + ",\"windowEnd\":" + out.window()[1];
        return "{\"after\":" + out.after() + ",\"topic\":" + quoted(out.topic()) + ",\"key\":" + quoted(out.key()) + window
            + ",\"value\":" + quoted(out.value()) + ",\"timestamp\":" + out.timestamp() + "}";
    }

    private static String quoted(final Object value) {
        if (value == null || value instanceof Long) {
            return String.valueOf(value);
        }
        final String text = (String) value;
        if (text.chars().anyMatch(c -> c < ' ' || c == '"' || c == '\\')) {
            throw new IllegalArgumentException("the writer does not escape: " + text);
        }
        return '"' + text + '"';
    }

    // ---- topologies ----

    static final class Topologies {
        private static final TimeWindows TUMBLING_GRACE_10_S =
            TimeWindows.ofSizeAndGrace(Duration.ofMinutes(1), Duration.ofSeconds(10));
        private static final TimeWindows TUMBLING_NO_GRACE = TimeWindows.ofSizeWithNoGrace(Duration.ofMinutes(1));
        private static final TimeWindows HOPPING =
            TimeWindows.ofSizeAndGrace(Duration.ofMinutes(1), Duration.ofSeconds(5)).advanceBy(Duration.ofSeconds(20));
        private static final TimeWindows HOPPING_UNEVEN =
            TimeWindows.ofSizeWithNoGrace(Duration.ofMillis(10)).advanceBy(Duration.ofMillis(4));

        @Words("strings: filter (value longer than 3)")
        static void filter(final Pipeline p) {
            p.to(p.strings("input").filter((k, v) -> v != null && v.length() > 3), "output", Serdes.String());
        }

        @Words("longs: filter_not (value negative)")
        static void filter_not(final Pipeline p) {
            p.to(p.longs("input").filterNot((k, v) -> v < 0), "output", Serdes.Long());
        }

        @Words("longs: map to (key followed by !, value times -2)")
        static void map(final Pipeline p) {
            p.to(p.longs("input").map((k, v) -> KeyValue.pair(k + "!", v * -2)), "output", Serdes.Long());
        }

        @Words("strings: map_values to the length (a long; null gives null)")
        static void map_values(final Pipeline p) {
            p.to(p.strings("input").mapValues(v -> v == null ? null : (long) v.length()), "output", Serdes.Long());
        }

        @Words("strings: flat_map: for each word of the value (cut at single spaces, empty words left out) the pair (word, old key)")
        static void flat_map(final Pipeline p) {
            p.to(p.strings("input").flatMap((k, v) -> words(v).stream().map(w -> KeyValue.pair(w, k)).toList()), "output", Serdes.String());
        }

        @Words("strings: flat_map_values: each word of the value (cut at single spaces, empty words left out)")
        static void flat_map_values(final Pipeline p) {
            p.to(p.strings("input").flatMapValues(Semantics::words), "output", Serdes.String());
        }

        @Words("strings: flat_map_values to words, select_key the word, group_by_key, count")
        static void word_count(final Pipeline p) {
            p.to(p.strings("input").flatMapValues(Semantics::words).selectKey((k, word) -> word)
                .groupByKey().count().toStream(), "output", Serdes.Long());
        }

        @Words("longs: split: value below 0 to topic `negative`, value below 100 to topic `small`, the rest to topic `large`")
        static void branch(final Pipeline p) {
            final Map<String, KStream<String, Long>> branches = p.longs("input").split(Named.as("by-"))
                .branch((k, v) -> v < 0, Branched.as("negative"))
                .branch((k, v) -> v < 100, Branched.as("small"))
                .defaultBranch(Branched.as("large"));
            p.to(branches.get("by-negative"), "negative", Serdes.Long());
            p.to(branches.get("by-small"), "small", Serdes.Long());
            p.to(branches.get("by-large"), "large", Serdes.Long());
        }

        @Words("longs: split: value below 0 to topic `negative`, value below 100 to topic `small`, no default branch")
        static void branch_no_default(final Pipeline p) {
            final Map<String, KStream<String, Long>> branches = p.longs("input").split(Named.as("by-"))
                .branch((k, v) -> v < 0, Branched.as("negative"))
                .branch((k, v) -> v < 100, Branched.as("small"))
                .noDefaultBranch();
            p.to(branches.get("by-negative"), "negative", Serdes.Long());
            p.to(branches.get("by-small"), "small", Serdes.Long());
        }

        @Words("longs: one stream with three children, made in this order: map_values +1 to topic `first`; to topic `second`; filter (positive) to topic `third`")
        static void fan_out(final Pipeline p) {
            final KStream<String, Long> input = p.longs("input");
            p.to(input.mapValues(v -> v + 1), "first", Serdes.Long());
            p.to(input, "second", Serdes.Long());
            p.to(input.filter((k, v) -> v > 0), "third", Serdes.Long());
        }

        @Words("longs: merge of the topics `left` and `right` (right with map_values times 10)")
        static void merge(final Pipeline p) {
            p.to(p.longs("left").merge(p.longs("right").mapValues(v -> v * 10)), "output", Serdes.Long());
        }

        @Words("longs: merge of the topics `left` and `right`, group_by_key, reduce (sum)")
        static void merge_sum(final Pipeline p) {
            p.to(p.longs("left").merge(p.longs("right"))
                .groupByKey(longGroup()).reduce(Long::sum).toStream(), "output", Serdes.Long());
        }

        @Words("strings: group_by_key, count")
        static void count(final Pipeline p) {
            p.to(p.strings("input").groupByKey().count().toStream(), "output", Serdes.Long());
        }

        @Words("longs: group_by_key, reduce (sum)")
        static void sum(final Pipeline p) {
            p.to(p.longs("input").groupByKey(longGroup()).reduce(Long::sum).toStream(), "output", Serdes.Long());
        }

        @Words("strings: group_by_key, aggregate: from the empty string, append key, =, value and ;. The value `reset` makes the aggregate null")
        static void concat(final Pipeline p) {
            p.to(p.strings("input").groupByKey()
                .aggregate(() -> "", (k, v, all) -> v.equals("reset") ? null : all + k + "=" + v + ";").toStream(), "output", Serdes.String());
        }

        @Words("strings: select_key the value, group_by_key, count")
        static void select_key_count(final Pipeline p) {
            p.to(p.strings("input").selectKey((k, v) -> v).groupByKey().count().toStream(), "output", Serdes.Long());
        }

        @Words("strings: group_by the value, tumbling window 60 s grace 10 s, count")
        static void group_by_tumbling_count(final Pipeline p) {
            p.toWindowed(p.strings("input").groupBy((k, v) -> v)
                .windowedBy(TUMBLING_GRACE_10_S).count().toStream(), "output", Serdes.Long(), TUMBLING_GRACE_10_S.size());
        }

        @Words("strings: group_by_key, tumbling window 60 s grace 10 s, count")
        static void tumbling_count(final Pipeline p) {
            countInto(p, p.strings("input"), TUMBLING_GRACE_10_S, EmitStrategy.onWindowUpdate());
        }

        @Words("strings: group_by_key, tumbling window 60 s grace 0, count")
        static void tumbling_count_no_grace(final Pipeline p) {
            countInto(p, p.strings("input"), TUMBLING_NO_GRACE, EmitStrategy.onWindowUpdate());
        }

        @Words("strings: filter (value is not `skip`), group_by_key, tumbling window 60 s grace 10 s, count")
        static void filter_tumbling_count(final Pipeline p) {
            countInto(p, p.strings("input").filter((k, v) -> !v.equals("skip")), TUMBLING_GRACE_10_S, EmitStrategy.onWindowUpdate());
        }

        @Words("longs: group_by_key, tumbling window 60 s grace 10 s, reduce (sum; a null on either side gives null)")
        static void tumbling_sum(final Pipeline p) {
            p.toWindowed(p.longs("input").groupByKey(longGroup()).windowedBy(TUMBLING_GRACE_10_S)
                .reduce((a, b) -> a == null || b == null ? null : a + b, longWindows()).toStream(),
                "output", Serdes.Long(), TUMBLING_GRACE_10_S.size());
        }

        @Words("longs: group_by_key, tumbling window 60 s grace 10 s, aggregate (sum from 0), to_stream, map to (key@windowStart as a plain string key, sum)")
        static void tumbling_sum_map(final Pipeline p) {
            p.to(p.longs("input").groupByKey(longGroup()).windowedBy(TUMBLING_GRACE_10_S)
                .aggregate(() -> 0L, (k, v, sum) -> sum + v, longWindows()).toStream()
                .map((w, sum) -> KeyValue.pair(w.key() + "@" + w.window().start(), sum)), "output", Serdes.Long());
        }

        @Words("strings: group_by_key, hopping window 60 s every 20 s grace 5 s, count")
        static void hopping_count(final Pipeline p) {
            countInto(p, p.strings("input"), HOPPING, EmitStrategy.onWindowUpdate());
        }

        @Words("strings: group_by_key, hopping window 10 ms every 4 ms (does not divide) grace 0, count")
        static void hopping_uneven_count(final Pipeline p) {
            countInto(p, p.strings("input"), HOPPING_UNEVEN, EmitStrategy.onWindowUpdate());
        }

        @Words("longs: group_by_key, hopping window 60 s every 20 s grace 5 s, aggregate (sum from 0)")
        static void hopping_sum(final Pipeline p) {
            p.toWindowed(p.longs("input").groupByKey(longGroup()).windowedBy(HOPPING)
                .aggregate(() -> 0L, (k, v, sum) -> sum + v, longWindows()).toStream(),
                "output", Serdes.Long(), HOPPING.size());
        }

        @Words("tumbling_count with emit strategy on window close (retention 1 day, see below)")
        static void tumbling_count_final(final Pipeline p) {
            finalCountInto(p, p.strings("input").groupByKey(), TUMBLING_GRACE_10_S);
        }

        @Words("tumbling_count_no_grace with emit strategy on window close (retention 1 day)")
        static void tumbling_count_no_grace_final(final Pipeline p) {
            finalCountInto(p, p.strings("input").groupByKey(), TUMBLING_NO_GRACE);
        }

        @Words("hopping_count with emit strategy on window close (retention 1 day)")
        static void hopping_count_final(final Pipeline p) {
            finalCountInto(p, p.strings("input").groupByKey(), HOPPING);
        }

        @Words("hopping_uneven_count with emit strategy on window close (retention 1 day)")
        static void hopping_uneven_count_final(final Pipeline p) {
            finalCountInto(p, p.strings("input").groupByKey(), HOPPING_UNEVEN);
        }

        @Words("strings: group_by the value, tumbling window 60 s grace 10 s, count, emit strategy on window close (retention 1 day)")
        static void group_by_tumbling_count_final(final Pipeline p) {
            finalCountInto(p, p.strings("input").groupBy((k, v) -> v), TUMBLING_GRACE_10_S);
        }

        @Words("tumbling_count_final with the retention Kafka Streams takes by default, size + grace")
        static void tumbling_count_final_default_retention(final Pipeline p) {
            countInto(p, p.strings("input"), TUMBLING_GRACE_10_S, EmitStrategy.onWindowClose());
        }

        @Words("hopping_count_final with the retention Kafka Streams takes by default, size + grace")
        static void hopping_count_final_default_retention(final Pipeline p) {
            countInto(p, p.strings("input"), HOPPING, EmitStrategy.onWindowClose());
        }

        private static void countInto(final Pipeline p, final KStream<String, String> stream, final TimeWindows windows, final EmitStrategy emit) {
            final TimeWindowedKStream<String, String> windowed = stream.groupByKey().windowedBy(windows).emitStrategy(emit);
            p.toWindowed(windowed.count().toStream(), "output", Serdes.Long(), windows.size());
        }

        /** With the default retention the store drops windows before they are emitted: see the cases of Lost. */
        private static void finalCountInto(final Pipeline p, final KGroupedStream<String, String> grouped, final TimeWindows windows) {
            p.toWindowed(grouped.windowedBy(windows).emitStrategy(EmitStrategy.onWindowClose())
                .count(longWindows().withRetention(Duration.ofDays(1))).toStream(), "output", Serdes.Long(), windows.size());
        }

        @Words("strings: repartition")
        static void repartition(final Pipeline p) {
            p.to(p.strings("input").repartition(Repartitioned.with(Serdes.String(), Serdes.String())), "output", Serdes.String());
        }

        private static Grouped<String, Long> longGroup() {
            return Grouped.with(Serdes.String(), Serdes.Long());
        }

        private static Materialized<String, Long, WindowStore<Bytes, byte[]>> longWindows() {
            return Materialized.with(Serdes.String(), Serdes.Long());
        }

        private Topologies() { }
    }

    private static List<String> words(final String text) {
        return text == null ? List.of() : Arrays.stream(text.split(" ")).filter(w -> !w.isEmpty()).toList();
    }

    // ---- cases ----

    static final class Cases {
        // -- without state --

        @Words("the input's key, timestamp and order stay; null keys and null values pass through")
        static Case filter() {
            return of("filter", in("a", "long one", 5), in("b", "no", 6), in("c", "", 7), in(null, "no key", 3), in("d", null, 8), in("e", "açaí", 0));
        }

        @Words("negative, zero and extreme values")
        static Case filter_not() {
            return of("filter_not", in("a", -1L, 1), in("a", 0L, 2), in("a", 1L, 3), in("a", Long.MIN_VALUE, 4), in("a", Long.MAX_VALUE, 5));
        }

        @Words("new key and value, the input's timestamp, also when time goes backwards")
        static Case map() {
            return of("map", in("a", 1L, 100), in("b", -7L, 50), in("c", 0L, 50), in("a", 21L, 200));
        }

        @Words("length in UTF-16 units (all inputs are ASCII); null stays null")
        static Case map_values() {
            return of("map_values", in("a", "xyz", 1), in("b", "", 2), in("c", null, 3), in(null, "no key", 4));
        }

        @Words("none, one and several outputs per input, all with its timestamp, in order")
        static Case flat_map() {
            return of("flat_map", in("1", "um dois um", 9), in("2", "", 10), in("3", "quatro", 4), in("4", null, 11));
        }

        @Words("as flat_map, the key stays")
        static Case flat_map_values() {
            return of("flat_map_values", in("1", "um dois um", 9), in("2", "", 10), in("3", "quatro", 4), in(null, "a b", 5));
        }

        @Words("a record goes to the first branch that takes it, the rest to the default")
        static Case branch() {
            return of("branch", branchInput());
        }

        @Words("without default branch the rest is lost, and is not counted as dropped")
        static Case branch_no_default() {
            return of("branch_no_default", branchInput());
        }

        private static In[] branchInput() {
            return new In[] {in("a", -5L, 1), in("b", 5L, 2), in("c", 500L, 3), in("d", -1L, 4), in("e", 0L, 3), in("f", 100L, 5), in("g", 99L, 6)};
        }

        @Words("children are served depth first, in the order they were added")
        static Case fan_out() {
            return of("fan_out", in("a", 1L, 10), in("b", -1L, 20), in("c", 2L, 5));
        }

        @Words("records of both topics in the order they arrive, timestamps untouched")
        static Case merge() {
            return of("merge", at("left", "a", 1L, 10), at("right", "a", 2L, 5), at("right", "b", 3L, 20), at("left", "c", -4L, 1));
        }

        // -- aggregations --

        @Words("one running count per key")
        static Case count_per_key() {
            return of("count", in("a", "x", 1), in("b", "x", 2), in("a", "y", 3), in("a", "z", 4), in("c", "x", 5), in("b", "", 6));
        }

        @Words("the output's timestamp is the largest of the key so far: an old record gives the old maximum again, a new key starts at its own")
        static Case count_timestamps() {
            return of("count", in("a", "x", 100), in("a", "x", 50), in("b", "x", 20), in("a", "x", 101), in("b", "x", 10), in("b", "x", 20), in("a", "x", 0));
        }

        @Words("null value and null key are dropped and counted as dropped; the empty string and the empty key are not null")
        static Case count_null() {
            return of("count", in("a", "x", 1), in("a", null, 2), in(null, "x", 3), in(null, null, 4), in("a", "", 5), in("", "x", 6), in("", "", 7));
        }

        @Words("the first value is the first aggregate; negative numbers, wrap-around at the largest long")
        static Case reduce_sum() {
            return of("sum", in("a", 5L, 10), in("b", -3L, 11), in("a", -7L, 9), in("b", -4L, 30), in("a", 0L, 12),
                in("c", Long.MAX_VALUE, 13), in("c", 1L, 14), in("d", Long.MIN_VALUE, 15), in("d", -1L, 16));
        }

        @Words("null values and keys are dropped and do not touch the aggregate or its timestamp")
        static Case reduce_null() {
            return of("sum", in("a", null, 1), in("a", 5L, 10), in("a", null, 90), in("a", 6L, 11), in(null, 7L, 12));
        }

        @Words("200 random records, 7 keys, values -1000..1000, timestamps out of order")
        static Case reduce_random() {
            return random("sum", 200, 7, 11, 0, true);
        }

        @Words("the aggregator sees key, value and old aggregate")
        static Case aggregate_concat() {
            return of("concat", in("a", "1", 10), in("b", "2", 20), in("a", "3", 5), in("b", "", 30), in("a", "ç", 11));
        }

        @Words("null values and keys are dropped; the initial value is not emitted")
        static Case aggregate_null() {
            return of("concat", in("a", null, 1), in("a", "1", 2), in(null, "2", 3), in("a", null, 4), in("a", "3", 5));
        }

        @Words("an aggregate that becomes null is a tombstone with the largest timestamp; after it the key starts anew, its timestamp too; a tombstone for a key without aggregate is emitted as well")
        static Case aggregate_to_null() {
            return of("concat", in("a", "1", 100), in("a", "reset", 50), in("a", "2", 10), in("b", "reset", 60), in("a", "3", 20), in("a", "reset", 300), in("a", "reset", 40));
        }

        @Words("through a repartition topic: counts per value, timestamps of the inputs; a null key made by select_key is filtered out before the repartition topic and not counted as dropped")
        static Case select_key_count() {
            return of("select_key_count", in("1", "x", 10), in("2", "y", 20), in("3", "x", 5), in("4", null, 30), in(null, "x", 40), in("5", "y", 15), in("6", "", 50));
        }

        @Words("one input that updates one key twice gives two outputs")
        static Case word_count() {
            return of("word_count", in("1", "a b a", 10), in("2", "b", 5), in("3", "", 20), in("4", "c a", 30));
        }

        @Words("one state for the merged stream; the topics share no clock of their own")
        static Case merge_sum() {
            return of("merge_sum", at("left", "a", 1L, 10), at("right", "a", 2L, 5), at("right", "b", 30L, 20), at("left", "b", -4L, 1), at("left", "a", 100L, 50));
        }

        // -- tumbling windows --

        @Words("late at windowEnd + grace = stream time: one millisecond before it is taken, from then on dropped; first and last millisecond of a window; stream time is of all keys")
        static Case tumbling_late_boundary() {
            return of("tumbling_count",
                in("a", "x", 0), in("a", "x", 59_999), in("a", "x", 60_000),
                in("a", "window 0 open, out of order", 30_000),
                in("b", "stream time 69999", 69_999),
                in("a", "window 0 still open", 59_999), in("b", "a new key of it too", 0),
                in("b", "stream time 70000 closes window 0", 70_000),
                in("a", "late", 59_999), in("a", "late", 0), in("c", "late, new key", 1),
                in("a", "window 60000", 60_000), in("a", "out of order", 69_000),
                in("c", "far ahead", 600_000),
                in("a", "late", 539_999 - 10_000), in("a", "window 540000 ends at 600000: open", 540_000), in("a", "window 480000 ends at 540000: late", 539_999),
                in("c", "stream time 609999", 609_999), in("a", "open", 599_999),
                in("c", "stream time 610000", 610_000), in("a", "late", 599_999));
        }

        @Words("grace 0: the window closes when stream time reaches its end")
        static Case tumbling_no_grace() {
            return of("tumbling_count_no_grace",
                in("a", "x", 10), in("a", "x", 59_999), in("a", "out of order", 5), in("b", "x", 59_998),
                in("b", "closes window 0", 60_000), in("a", "late", 59_999), in("b", "late", 0),
                in("a", "x", 60_000), in("b", "x", 119_999), in("a", "x", 60_001), in("a", "closes window 60000", 120_000), in("b", "late", 119_999));
        }

        @Words("the output's timestamp is the largest of key and window, not of stream time")
        static Case tumbling_timestamps() {
            return of("tumbling_count",
                in("a", "x", 50_000), in("a", "x", 20_000), in("b", "x", 10_000), in("a", "x", 61_000), in("a", "x", 55_000), in("b", "x", 9_000), in("a", "x", 60_500));
        }

        @Words("windowed count takes null values, unlike count; a null key is dropped before it moves the clock, a null value moves it; the empty key counts")
        static Case tumbling_count_null() {
            return of("tumbling_count",
                in("a", "x", 1_000), in("a", null, 2_000), in(null, "clock stays", 500_000), in("a", "window 0 open", 3_000), in("", "x", 4_000),
                in("a", null, 70_000), in("a", "late", 5_000));
        }

        @Words("windowed reduce hands null values to the reducer, except the first of a window; a null aggregate deletes the entry and is emitted, and the window starts anew, its timestamp too")
        static Case tumbling_sum_null() {
            return of("tumbling_sum",
                in("a", null, 1_000), in("a", 5L, 2_000), in("a", 6L, 9_000), in("a", null, 3_000), in("a", 7L, 4_000), in(null, 1L, 5_000), in("a", -20L, 1_000));
        }

        @Words("a record that a filter takes out before the window does not move the window's clock")
        static Case tumbling_filter_before() {
            return of("filter_tumbling_count",
                in("a", "x", 1_000), in("a", "skip", 900_000), in("a", "x", 2_000), in("a", "x", 75_000), in("a", "x", 3_000), in("a", "skip", 3_000));
        }

        @Words("windowed table to stream, plain keys by map")
        static Case tumbling_sum_map() {
            return of("tumbling_sum_map",
                in("v1", 100L, 1_000), in("v2", -50L, 2_000), in("v1", 25L, 61_000), in("v1", -5L, 30_000), in("v2", 7L, 75_000), in("v1", 1L, 59_000), in("v2", 3L, 119_999));
        }

        @Words("the windows behind a repartition topic have the clock of the repartitioned stream")
        static Case group_by_tumbling_count() {
            return of("group_by_tumbling_count",
                in("1", "x", 1_000), in("2", "y", 2_000), in("3", "x", 61_000), in("4", "x", 3_000), in("5", null, 900_000), in("6", "y", 4_000), in("7", "z", 70_000), in("8", "x", 5_000));
        }

        @Words("300 random records, 5 keys, about one in seven late")
        static Case tumbling_count_random() {
            return random("tumbling_count", 300, 5, 21, 8_000, false);
        }

        // -- hopping windows --

        @Words("windows are aligned to the epoch, none starts below 0; a record updates its windows in the order of their start; late ones are refused window by window, each counted as dropped")
        static Case hopping_boundaries() {
            return of("hopping_count",
                in("a", "x", 0), in("a", "x", 19_999), in("a", "x", 20_000), in("a", "x", 39_999), in("a", "x", 40_000), in("b", "x", 59_999), in("a", "x", 60_000),
                in("b", "stream time 64999", 64_999), in("a", "window 0 open", 10_000),
                in("b", "stream time 65000 closes window 0", 65_000), in("a", "window 0 late, 20000 open", 25_000), in("a", "late for all", 10_000),
                in("b", "jump", 1_000_000), in("a", "of its windows only 940000 is open", 955_000), in("a", "late for all", 900_000));
        }

        @Words("advance does not divide size: which windows hold a record")
        static Case hopping_uneven() {
            return of("hopping_uneven_count",
                in("a", "x", 0), in("a", "x", 3), in("a", "x", 4), in("a", "x", 7), in("a", "x", 8), in("a", "x", 9), in("a", "x", 10),
                in("a", "x", 11), in("a", "x", 12), in("a", "x", 13), in("a", "x", 14), in("b", "x", 5), in("b", "x", 3), in("b", "x", 18), in("a", "x", 17));
        }

        @Words("150 random records, 4 keys, sums, some late")
        static Case hopping_sum_random() {
            return random("hopping_sum", 150, 4, 31, 12_000, true);
        }

        // -- final results only --

        @Words("a window is emitted once, by the record that moves stream time to windowEnd + grace or beyond, not before; its timestamp is the largest of key and window")
        static Case final_tumbling() {
            return of("tumbling_count_final",
                in("a", "x", 0), in("b", "x", 59_999), in("a", "x", 30_000), in("a", "window 60000", 65_000),
                in("b", "stream time 69999: nothing", 69_999), in("a", "still taken", 59_000),
                in("c", "stream time 70000: window 0 of a and b", 70_000), in("a", "late", 30_000), in("a", "nothing new", 70_000),
                in("a", "stream time 129999: nothing", 129_999), in("a", "stream time 130000: window 60000", 130_000));
        }

        @Words("several windows of several keys closed by one record: by window start, then by key bytes; empty windows give nothing; the closing record's own window stays open")
        static Case final_tumbling_several() {
            return of("tumbling_count_final",
                in("b", "x", 61_000), in("a", "x", 62_000), in("c", "x", 1_000), in("a", "x", 2_000), in("aa", "x", 3_000), in("ç", "x", 4_000), in("B", "x", 5_000),
                in("b", "x", 65_000), in("", "x", 6_000), in("a", "x", 68_000),
                in("z", "closes 0 and 60000", 500_000), in("z", "late", 200_000),
                in("a", "closes 480000", 1_000_000));
        }

        @Words("keys that are prefixes of others, two windows closed at once: by start, then by key bytes")
        static Case final_tumbling_order() {
            final List<In> input = new ArrayList<>();
            for (final String key : List.of("ab", "a", "b", "abc", "A", "1", "ã")) {
                input.add(in(key, "x", 61_000));
                input.add(in(key, "x", 1_000));
            }
            input.add(in("only in 60000", "x", 69_999));
            input.add(in("ab", "closes all", 1_000_000));
            return new Case("tumbling_count_final", input);
        }

        @Words("grace 0: the record on the boundary closes the window before it")
        static Case final_tumbling_no_grace() {
            return of("tumbling_count_no_grace_final",
                in("a", "x", 59_999), in("b", "x", 1), in("a", "closes 0", 60_000), in("b", "late", 59_999), in("b", "x", 60_000), in("a", "closes 60000", 130_000), in("a", "closes 120000", 180_000));
        }

        @Words("each hop closes its window; a record late for one window still counts in the later ones")
        static Case final_hopping() {
            return of("hopping_count_final",
                in("a", "x", 10_000), in("b", "x", 30_000), in("a", "x", 50_000), in("b", "stream time 64999", 64_999),
                in("b", "closes 0", 65_000), in("a", "late for 0, counts in 20000", 30_000), in("a", "nothing", 84_999), in("a", "closes 20000", 85_000),
                in("c", "closes 40000 and 60000", 130_000), in("c", "closes all", 400_000));
        }

        @Words("advance does not divide size")
        static Case final_hopping_uneven() {
            final List<In> input = new ArrayList<>();
            for (final long t : new long[] {0, 3, 5, 9, 10, 8, 13, 14, 12, 17, 18, 40, 39, 60}) {
                input.add(in(t % 2 == 0 ? "even" : "odd", "x", t));
            }
            return new Case("hopping_uneven_count_final", input);
        }

        @Words("a null key does not move the clock, so closes nothing; a null value does, and counts; so does a late record: it closes nothing by itself")
        static Case final_null_and_late() {
            return of("tumbling_count_final",
                in("a", "x", 1_000), in(null, "x", 500_000), in("a", "x", 2_000), in("a", null, 70_000), in("a", "late", 3_000), in("b", null, 500_000));
        }

        @Words("final results behind a repartition topic")
        static Case final_group_by() {
            return of("group_by_tumbling_count_final",
                in("1", "x", 1_000), in("2", "y", 2_000), in("3", "x", 61_000), in("4", "x", 3_000), in("5", null, 900_000), in("6", "y", 4_000), in("7", "z", 70_000), in("8", "x", 5_000), in("9", "y", 200_000));
        }

        @Words("200 random records, 5 keys, some late, tumbling")
        static Case final_tumbling_random() {
            return random("tumbling_count_final", 200, 5, 41, 8_000, false);
        }

        @Words("200 random records, 4 keys, some late, hopping")
        static Case final_hopping_random() {
            return random("hopping_count_final", 200, 4, 51, 8_000, false);
        }

        @Words("by hand: a record without key is filtered out and not counted as dropped, a null value passes")
        static Case repartition() {
            return of("repartition", in("a", "x", 5), in(null, "x", 6), in("b", null, 3), in("", "", 4));
        }

        @Words("a jump of stream time far beyond size + grace closes everything that was open")
        static Case final_tumbling_jump() {
            return of("tumbling_count_final", tumblingJump());
        }

        @Words("a jump of stream time closes every hopping window that was open")
        static Case final_hopping_jump() {
            return of("hopping_count_final", hoppingJump());
        }

        private static In[] tumblingJump() {
            return new In[] {in("a", "x", 1_000), in("b", "x", 61_000), in("a", "closes 0", 120_000), in("b", "a jump", 500_000), in("a", "a small step", 570_000)};
        }

        private static In[] hoppingJump() {
            return new In[] {in("a", "x", 10_000), in("b", "x", 50_000), in("a", "x", 70_000), in("c", "a jump", 130_000), in("c", "a jump", 400_000)};
        }

        // -- parts --

        /**
         * Records whose time moves on by a random step of at most {@code stepMs} (0: time is random), of which a third lies
         * somewhere in the past 50 s and a tenth in the past 200 s.
         */
        private static Case random(final String topology, final int records, final int keys, final long seed, final int stepMs, final boolean longs) {
            final Random random = new Random(seed);
            final List<In> input = new ArrayList<>();
            long now = 0;
            for (int i = 0; i < records; i++) {
                now += stepMs == 0 ? 0 : random.nextInt(stepMs);
                final int back = random.nextInt(30);
                final long timestamp = stepMs == 0 ? random.nextInt(100_000)
                    : Math.max(0, now - (back < 3 ? random.nextInt(200_000) : back < 13 ? random.nextInt(50_000) : 0));
                final Object value = longs ? (Object) (long) (random.nextInt(2_001) - 1_000) : "x";
                input.add(in("k" + random.nextInt(keys), value, timestamp));
            }
            return new Case(topology, input);
        }

        private static In in(final String key, final Object value, final long timestamp) {
            return at("input", key, value, timestamp);
        }

        private static In at(final String topic, final String key, final Object value, final long timestamp) {
            return new In(topic, key, value, timestamp);
        }

        private static Case of(final String topology, final In... input) {
            return new Case(topology, Collections.unmodifiableList(Arrays.asList(input)));
        }

        private Cases() { }
    }

    /** What no one should copy: the files of {@code kafka_loses}. */
    static final class Lost {
        @Words("input of final_tumbling_jump: only the last of the four windows is emitted; window 0 is lost although stream time moves by 59 s only")
        static Case lost_tumbling() {
            return new Case("tumbling_count_final_default_retention", Cases.final_tumbling_jump().input);
        }

        @Words("input of final_hopping_jump: seven of ten results are lost in two jumps")
        static Case lost_hopping() {
            return new Case("hopping_count_final_default_retention", Cases.final_hopping_jump().input);
        }

        private Lost() { }
    }

    private Semantics() { }
}
