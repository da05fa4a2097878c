package riacho.golden;

import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Branched;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.EmitStrategy;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Named;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.Repartitioned;
import org.apache.kafka.streams.kstream.SessionWindows;
import org.apache.kafka.streams.kstream.SlidingWindows;
import org.apache.kafka.streams.kstream.Suppressed;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.processor.api.ContextualFixedKeyProcessor;
import org.apache.kafka.streams.processor.api.ContextualProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorSupplier;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.processor.api.ProcessorSupplier;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.Stores;

/**
 * The topologies of {@code describe/*.txt}. Each method has the name of its file.
 * Built without optimisation, as {@code StreamsBuilder.build()} does.
 */
final class Describe {
    private static final TimeWindows MINUTE =
        TimeWindows.ofSizeAndGrace(Duration.ofMinutes(1), Duration.ofSeconds(10));
    private static final TimeWindows MINUTE_EVERY_20_S = MINUTE.advanceBy(Duration.ofSeconds(20));

    static void write(final Path folder) throws IOException, ReflectiveOperationException {
        final StringBuilder readme = new StringBuilder("""
            # describe

            `Topology.describe().toString()` of Kafka Streams 4.1.1, byte for byte, without optimisation: no newline is added or taken away.
            Each file is made by the method of its name in [Describe.java](../java/src/main/java/riacho/golden/Describe.java).
            Generated: change the Java, not these files.

            | file | topology |
            |---|---|
            """);
        final Method[] methods = Describe.class.getDeclaredMethods();
        Arrays.sort(methods, Comparator.comparing(Method::getName));
        for (final Method method : methods) {
            final Words words = method.getAnnotation(Words.class);
            if (words == null) {
                continue;
            }
            final StreamsBuilder builder = new StreamsBuilder();
            try {
                method.invoke(null, builder);
            } catch (final InvocationTargetException e) {
                throw new IllegalStateException(method.getName(), e.getCause());
            }
            final Topology topology = builder.build();
            Files.writeString(folder.resolve(method.getName() + ".txt"), topology.describe().toString());
            readme.append("| ").append(method.getName()).append(" | ").append(words.value()).append(" |\n");
        }
        readme.append("""

            ## The order of names

            - Sub-topologies are numbered by their first node, in the order nodes are written (operators in the order they were called; a repartition writes filter, sink, source).
            - Nodes of a sub-topology: by size, largest first, then by name. The size of a node is 1 + the sizes of its children (a node reached twice counts twice).
            - `topics` and `stores` are Java HashSets made by copying: sorted by `(h ^ h >>> 16) & (buckets - 1)` with h = String.hashCode and buckets = the power of two from max(16, (int) (n / 0.75f) + 1) up; the order added within a bucket.
            - `-->` and `<--` are Java TreeSets with the order of the nodes above, filled while the sizes still grow, so the final sizes do not explain them. The nodes are visited in the order of a Java HashMap of their names
              (buckets: 16, doubled while n > 3/4 of it); for each parent, in the order given: the parent joins the node's `<--`, the node joins the parent's `-->`, then the node's size is added to the parent and to all above it that are linked already.
              An insertion compares with the sizes of its moment, along the path of the red-black tree.
            """);
        Files.writeString(folder.resolve("README.md"), readme);
    }

    // ---- stateless ----

    @Words("stream(views), filter, map_values, to(long-views)")
    static void stateless_chain(final StreamsBuilder builder) {
        builder.<String, String>stream("views")
            .filter((k, v) -> v.length() > 3)
            .mapValues(v -> v.toUpperCase())
            .to("long-views");
    }

    @Words("stream(views), filter, filter_not, map, map_values, flat_map, flat_map_values, select_key, peek, for_each")
    static void stateless_all(final StreamsBuilder builder) {
        builder.<String, String>stream("views")
            .filter((k, v) -> true)
            .filterNot((k, v) -> false)
            .map((k, v) -> KeyValue.pair(v, k))
            .mapValues(v -> v)
            .flatMap((k, v) -> List.of(KeyValue.pair(k, v)))
            .flatMapValues(v -> List.of(v))
            .selectKey((k, v) -> v)
            .peek((k, v) -> { })
            .foreach((k, v) -> { });
    }

    @Words("stream(views) and nothing after it")
    static void source_only(final StreamsBuilder builder) {
        builder.<String, String>stream("views");
    }

    @Words("stream of the topics [views, clicks, buys] (one source node, given in this order), to(all)")
    static void source_of_three_topics(final StreamsBuilder builder) {
        builder.<String, String>stream(List.of("views", "clicks", "buys")).to("all");
    }

    @Words("stream(views) called twice: the first filtered to(a), the second map_values to(b); one source node remains")
    static void same_topic_twice(final StreamsBuilder builder) {
        builder.<String, String>stream("views").filter((k, v) -> true).to("a");
        builder.<String, String>stream("views").mapValues(v -> v).to("b");
    }

    @Words("s = stream(views); s to(copy); s filter to(long); s map_values to(upper)")
    static void multiple_sinks(final StreamsBuilder builder) {
        final KStream<String, String> views = builder.stream("views");
        views.to("copy");
        views.filter((k, v) -> v.length() > 3).to("long");
        views.mapValues(v -> v.toUpperCase()).to("upper");
    }

    @Words("s = stream(views); ten children made in this order, each 1,3,0,1,3,3,0,3,3,3 map_values and then to(out-n), n = 0..9: the order after --> shows the shape of the red-black tree")
    static void fan_out_ten(final StreamsBuilder builder) {
        fanOut(builder.stream("views"), 1, 3, 0, 1, 3, 3, 0, 3, 3, 3);
    }

    @Words("as fan_out_ten with twenty children, of 0,1,2,3,4, 4,3,2,1,0, 0,0,0,0,0, 5,1,4,2,3 map_values")
    static void fan_out_twenty(final StreamsBuilder builder) {
        fanOut(builder.stream("views"), 0, 1, 2, 3, 4, 4, 3, 2, 1, 0, 0, 0, 0, 0, 0, 5, 1, 4, 2, 3);
    }

    private static void fanOut(final KStream<String, String> from, final int... lengths) {
        for (int child = 0; child < lengths.length; child++) {
            KStream<String, String> stream = from;
            for (int n = 0; n < lengths[child]; n++) {
                stream = stream.mapValues(v -> v);
            }
            stream.to("out-" + child);
        }
    }

    @Words("stream of the 12 topics in-0 ... in-11; process with the 14 stores store-0 ... store-13; to(out)")
    static void hash_order(final StreamsBuilder builder) {
        final List<String> topics = IntStream.range(0, 12).mapToObj(i -> "in-" + i).toList();
        final String[] stores = IntStream.range(0, 14).mapToObj(i -> "store-" + i).toArray(String[]::new);
        Arrays.stream(stores).forEach(store -> addStore(builder, store));
        builder.<String, Long>stream(topics).process(KEEP, stores).to("out");
    }

    @Words("a = stream(views), b = stream(clicks); a map, flat_map, select_key, peek, merge(b), split: 2 branches and default, to(first), to(second), to(rest)")
    static void split_generated_names(final StreamsBuilder builder) {
        final KStream<String, String> views = builder.stream("views");
        final KStream<String, String> clicks = builder.stream("clicks");
        final Map<String, KStream<String, String>> branches = views
            .map((k, v) -> KeyValue.pair(v, k))
            .flatMap((k, v) -> List.of(KeyValue.pair(k, v)))
            .selectKey((k, v) -> v)
            .peek((k, v) -> { })
            .merge(clicks)
            .split()
            .branch((k, v) -> v.startsWith("a"))
            .branch((k, v) -> v.startsWith("b"))
            .defaultBranch();
        final List<KStream<String, String>> inOrder = inNameOrder(branches);
        // The default branch is the one with suffix 0, so it comes first by name.
        inOrder.get(1).to("first");
        inOrder.get(2).to("second");
        inOrder.get(0).to("rest");
    }

    @Words("stream(payments), split(named by-kind-): branch named card, branch named pix, default named other; to(cards), to(pix), to(others)")
    static void split_named_branches(final StreamsBuilder builder) {
        final Map<String, KStream<String, String>> branches = builder.<String, String>stream("payments")
            .split(Named.as("by-kind-"))
            .branch((k, v) -> v.equals("card"), Branched.as("card"))
            .branch((k, v) -> v.equals("pix"), Branched.as("pix"))
            .defaultBranch(Branched.as("other"));
        branches.get("by-kind-card").to("cards");
        branches.get("by-kind-pix").to("pix");
        branches.get("by-kind-other").to("others");
    }

    @Words("stream(payments), split without a name: branch named -card, branch without name, no default; to(cards), to(second)")
    static void split_no_default(final StreamsBuilder builder) {
        final Map<String, KStream<String, String>> branches = builder.<String, String>stream("payments")
            .split()
            .branch((k, v) -> v.equals("card"), Branched.as("-card"))
            .branch((k, v) -> v.equals("pix"))
            .noDefaultBranch();
        final List<KStream<String, String>> inOrder = inNameOrder(branches);
        inOrder.get(0).to("cards");
        inOrder.get(1).to("second");
    }

    @Words("a = stream(views), b = stream(clicks); a map_values, merge(b filter), to(all)")
    static void merge_two_streams(final StreamsBuilder builder) {
        final KStream<String, String> views = builder.stream("views");
        final KStream<String, String> clicks = builder.stream("clicks");
        views.mapValues(v -> v).merge(clicks.filter((k, v) -> true)).to("all");
    }

    @Words("stream(payments) named payments-source, filter named only-valid, map_values named to-cents, select_key named by-vendor, peek named look, to(cents) named cents-sink")
    static void names_given(final StreamsBuilder builder) {
        builder.stream("payments", Consumed.<String, String>as("payments-source"))
            .filter((k, v) -> true, Named.as("only-valid"))
            .mapValues(v -> v, Named.as("to-cents"))
            .selectKey((k, v) -> v, Named.as("by-vendor"))
            .peek((k, v) -> { }, Named.as("look"))
            .to("cents", Produced.as("cents-sink"));
    }

    @Words("stream(payments), filter named only-valid, map_values, to(cents): a given name still takes an index, so the next generated one is ...02")
    static void names_given_in_part(final StreamsBuilder builder) {
        builder.<String, String>stream("payments")
            .filter((k, v) -> true, Named.as("only-valid"))
            .mapValues(v -> v)
            .to("cents");
    }

    // ---- aggregations without window ----

    @Words("stream(views), group_by_key, count; nothing after it")
    static void count_alone(final StreamsBuilder builder) {
        builder.<String, String>stream("views").groupByKey().count();
    }

    @Words("stream(views), group_by_key, count, to_stream, to(counts)")
    static void count(final StreamsBuilder builder) {
        builder.<String, String>stream("views").groupByKey().count().toStream().to("counts");
    }

    @Words("stream(views), group_by_key, count in store view-counts, to_stream, to(counts)")
    static void count_named_store(final StreamsBuilder builder) {
        builder.<String, String>stream("views").groupByKey().count(Materialized.as("view-counts")).toStream().to("counts");
    }

    @Words("stream(views), group_by_key, count named counter in store view-counts, to_stream named out, to(counts)")
    static void count_named_node_and_store(final StreamsBuilder builder) {
        builder.<String, String>stream("views").groupByKey()
            .count(Named.as("counter"), Materialized.as("view-counts"))
            .toStream(Named.as("out"))
            .to("counts");
    }

    @Words("stream(views), group_by_key, count named counter (store not named), to_stream, to(counts)")
    static void count_named_node(final StreamsBuilder builder) {
        builder.<String, String>stream("views").groupByKey().count(Named.as("counter")).toStream().to("counts");
    }

    @Words("stream(sales), group_by_key, reduce, to_stream, to(totals)")
    static void reduce(final StreamsBuilder builder) {
        builder.<String, Long>stream("sales").groupByKey().reduce(Long::sum).toStream().to("totals");
    }

    @Words("stream(sales), group_by_key, aggregate, to_stream, to(totals)")
    static void aggregate(final StreamsBuilder builder) {
        builder.<String, Long>stream("sales").groupByKey()
            .aggregate(() -> 0L, (k, v, total) -> total + v).toStream().to("totals");
    }

    @Words("stream(sales), filter, map_values, peek, group_by_key, count in store sales-count, to_stream, to(counts): no repartition")
    static void values_only_then_count(final StreamsBuilder builder) {
        builder.<String, String>stream("sales")
            .filter((k, v) -> true)
            .mapValues(v -> v)
            .peek((k, v) -> { })
            .groupByKey().count(Materialized.as("sales-count")).toStream().to("counts");
    }

    @Words("stream(sales), select_key, group_by_key, reduce, to_stream, to(totals): repartition topic and store with generated names")
    static void select_key_reduce(final StreamsBuilder builder) {
        builder.<String, Long>stream("sales").selectKey((k, v) -> k.substring(1))
            .groupByKey().reduce(Long::sum).toStream().to("totals");
    }

    @Words("stream(sales), select_key, map_values, filter, group_by_key, count in store counts, to_stream, to(out): the repartition topic is named for the store and comes after the value operators")
    static void select_key_values_count(final StreamsBuilder builder) {
        builder.<String, Long>stream("sales").selectKey((k, v) -> k.substring(1))
            .mapValues(v -> v).filter((k, v) -> true)
            .groupByKey().count(Materialized.as("counts")).toStream().to("out");
    }

    @Words("stream(sales), map, group_by_key, aggregate in store totals, to_stream, to(out)")
    static void map_aggregate(final StreamsBuilder builder) {
        builder.<String, Long>stream("sales").map((k, v) -> KeyValue.pair(k + v, v))
            .groupByKey().aggregate(() -> 0L, (k, v, total) -> total + v, Materialized.as("totals")).toStream().to("out");
    }

    @Words("stream(sales), flat_map, group_by_key, count, to_stream, to(out)")
    static void flat_map_count(final StreamsBuilder builder) {
        builder.<String, String>stream("sales").flatMap((k, v) -> List.of(KeyValue.pair(v, k)))
            .groupByKey().count().toStream().to("out");
    }

    @Words("stream(sales), group_by, count, to_stream, to(counts)")
    static void group_by_count(final StreamsBuilder builder) {
        builder.<String, String>stream("sales").groupBy((k, v) -> v).count().toStream().to("counts");
    }

    @Words("stream(sales), group_by (grouped as by-vendor), count, to_stream, to(counts): the name goes to the select-key node and to the repartition topic")
    static void group_by_grouped_as(final StreamsBuilder builder) {
        builder.<String, String>stream("sales").groupBy((k, v) -> v, Grouped.as("by-vendor")).count().toStream().to("counts");
    }

    @Words("stream(sales), select_key, group_by_key (grouped as by-vendor), count in store counts, to_stream, to(out)")
    static void select_key_grouped_as(final StreamsBuilder builder) {
        builder.<String, String>stream("sales").selectKey((k, v) -> v)
            .groupByKey(Grouped.as("by-vendor")).count(Materialized.as("counts")).toStream().to("out");
    }

    @Words("g = stream(views), group_by_key; g count to_stream to(counts); g reduce to_stream to(latest)")
    static void two_aggregations(final StreamsBuilder builder) {
        final KGroupedStream<String, String> grouped = builder.<String, String>stream("views").groupByKey();
        grouped.count().toStream().to("counts");
        grouped.reduce((old, latest) -> latest).toStream().to("latest");
    }

    @Words("g = stream(views), select_key, group_by_key; g count in store counts; g reduce in store latest: two repartition topics")
    static void two_aggregations_after_select_key(final StreamsBuilder builder) {
        final KGroupedStream<String, String> grouped = builder.<String, String>stream("views")
            .selectKey((k, v) -> v).groupByKey();
        grouped.count(Materialized.as("counts"));
        grouped.reduce((old, latest) -> latest, Materialized.as("latest"));
    }

    @Words("g = stream(views), select_key, group_by_key (grouped as by-page); g count; g reduce: one repartition topic, the second one's indices are taken all the same")
    static void two_aggregations_grouped_as(final StreamsBuilder builder) {
        final KGroupedStream<String, String> grouped = builder.<String, String>stream("views")
            .selectKey((k, v) -> v).groupByKey(Grouped.as("by-page"));
        grouped.count().toStream().to("counts");
        grouped.reduce((old, latest) -> latest).toStream().to("latest");
    }

    @Words("a = stream(views), b = stream(clicks); a merge(b), group_by_key, count, to_stream, to(counts)")
    static void merge_two_topics_count(final StreamsBuilder builder) {
        final KStream<String, String> views = builder.stream("views");
        final KStream<String, String> clicks = builder.stream("clicks");
        views.merge(clicks).groupByKey().count().toStream().to("counts");
    }

    @Words("a = stream(views) select_key, b = stream(clicks); a merge(b), group_by_key, count in store counts: merged first, then one repartition")
    static void merge_select_key_count(final StreamsBuilder builder) {
        final KStream<String, String> views = builder.<String, String>stream("views").selectKey((k, v) -> v);
        final KStream<String, String> clicks = builder.stream("clicks");
        views.merge(clicks).groupByKey().count(Materialized.as("counts"));
    }

    @Words("stream(sales), group_by, count in store per-vendor, to_stream, group_by, reduce in store per-region, to_stream, to(regions): three sub-topologies in a row")
    static void chained_repartitions(final StreamsBuilder builder) {
        builder.<String, String>stream("sales")
            .groupBy((k, v) -> v).count(Materialized.as("per-vendor"))
            .toStream()
            .groupBy((k, v) -> k.substring(0, 1)).reduce(Long::sum, Materialized.as("per-region"))
            .toStream()
            .to("regions");
    }

    @Words("stream(sales), group_by, count in store a, to_stream, to(out-a); then stream(views), map_values, to(out-b); then stream(clicks), group_by_key, count in store c: sub-topologies number by source, the repartitioned one between")
    static void sub_topologies_separate(final StreamsBuilder builder) {
        builder.<String, String>stream("sales").groupBy((k, v) -> v).count(Materialized.as("a")).toStream().to("out-a");
        builder.<String, String>stream("views").mapValues(v -> v).to("out-b");
        builder.<String, String>stream("clicks").groupByKey().count(Materialized.as("c"));
    }

    @Words("stream(views), map_values, to(a); stream(clicks), filter, to(b): two sub-topologies with nothing in common")
    static void two_sub_topologies(final StreamsBuilder builder) {
        builder.<String, String>stream("views").mapValues(v -> v).to("a");
        builder.<String, String>stream("clicks").filter((k, v) -> true).to("b");
    }

    // ---- windows ----

    @Words("stream(sales), group_by_key, tumbling window, count, to_stream, to(out): generated names")
    static void tumbling_count(final StreamsBuilder builder) {
        builder.<String, String>stream("sales").groupByKey().windowedBy(MINUTE).count().toStream().to("out");
    }

    @Words("stream(financial_transactions), group_by_key, tumbling window 1 min grace 10 s, aggregate in store sales-by-vendor, to_stream, map, to(aggregated_transactions)")
    static void tumbling_aggregate(final StreamsBuilder builder) {
        builder.<String, Long>stream("financial_transactions")
            .groupByKey()
            .windowedBy(MINUTE)
            .aggregate(() -> 0L, (k, v, total) -> total + v, Materialized.as("sales-by-vendor"))
            .toStream()
            .map((window, total) -> KeyValue.pair(window.key(), total))
            .to("aggregated_transactions");
    }

    @Words("as tumbling_aggregate, with emit strategy on window close")
    static void tumbling_aggregate_on_window_close(final StreamsBuilder builder) {
        builder.<String, Long>stream("financial_transactions")
            .groupByKey()
            .windowedBy(MINUTE)
            .emitStrategy(EmitStrategy.onWindowClose())
            .aggregate(() -> 0L, (k, v, total) -> total + v, Materialized.as("sales-by-vendor"))
            .toStream()
            .map((window, total) -> KeyValue.pair(window.key(), total))
            .to("aggregated_transactions");
    }

    @Words("stream(sales), group_by_key, tumbling window, reduce, to_stream, to(out)")
    static void tumbling_reduce(final StreamsBuilder builder) {
        builder.<String, Long>stream("sales").groupByKey().windowedBy(MINUTE).reduce(Long::sum).toStream().to("out");
    }

    @Words("stream(sales), group_by_key, tumbling window, aggregate (nothing named), to_stream, to(out)")
    static void tumbling_aggregate_generated_names(final StreamsBuilder builder) {
        builder.<String, Long>stream("sales").groupByKey().windowedBy(MINUTE)
            .aggregate(() -> 0L, (k, v, total) -> total + v).toStream().to("out");
    }

    @Words("stream(sales), group_by, hopping window 1 min every 20 s, count in store counts, to_stream, to(out): the repartition topic is named for the store")
    static void group_by_hopping_count(final StreamsBuilder builder) {
        builder.<String, String>stream("sales").groupBy((k, v) -> v)
            .windowedBy(MINUTE_EVERY_20_S).count(Materialized.as("counts")).toStream().to("out");
    }

    @Words("stream(sales), select_key, group_by_key, tumbling window, reduce, to_stream, to(out): generated names with repartition and window")
    static void select_key_tumbling_reduce(final StreamsBuilder builder) {
        builder.<String, Long>stream("sales").selectKey((k, v) -> k.substring(1))
            .groupByKey().windowedBy(MINUTE).reduce(Long::sum).toStream().to("out");
    }

    @Words("g = stream(sales), group_by_key; g tumbling count in store per-minute; g hopping count in store sliding-minute; both to_stream, to(a), to(b)")
    static void two_windows(final StreamsBuilder builder) {
        final KGroupedStream<String, String> grouped = builder.<String, String>stream("sales").groupByKey();
        grouped.windowedBy(MINUTE).count(Materialized.as("per-minute")).toStream().to("a");
        grouped.windowedBy(MINUTE_EVERY_20_S).count(Materialized.as("sliding-minute")).toStream().to("b");
    }

    @Words("stream(sales), group_by_key, session windows (gap 30 s, grace 5 s), count, to_stream, to(out)")
    static void session_count(final StreamsBuilder builder) {
        builder.<String, String>stream("sales").groupByKey()
            .windowedBy(SessionWindows.ofInactivityGapAndGrace(Duration.ofSeconds(30), Duration.ofSeconds(5)))
            .count().toStream().to("out");
    }

    @Words("stream(sales), group_by_key, sliding windows (difference 30 s, grace 5 s), count, to_stream, to(out)")
    static void sliding_count(final StreamsBuilder builder) {
        builder.<String, String>stream("sales").groupByKey()
            .windowedBy(SlidingWindows.ofTimeDifferenceAndGrace(Duration.ofSeconds(30), Duration.ofSeconds(5)))
            .count().toStream().to("out");
    }

    @Words("stream(sales), group_by_key, tumbling window, count in store counts, suppress until window closes (unbounded buffer, no name), to_stream, to(out)")
    static void suppress_until_window_closes(final StreamsBuilder builder) {
        builder.<String, String>stream("sales").groupByKey().windowedBy(MINUTE)
            .count(Materialized.as("counts"))
            .suppress(Suppressed.untilWindowCloses(Suppressed.BufferConfig.unbounded()))
            .toStream().to("out");
    }

    // ---- tables ----

    @Words("stream(views), group_by_key, count, to_stream, filter, map_values, to(popular)")
    static void table_to_stream_filter(final StreamsBuilder builder) {
        builder.<String, String>stream("views").groupByKey().count()
            .toStream().filter((k, n) -> n > 10).mapValues(n -> n * 2).to("popular");
    }

    @Words("t = stream(views), group_by_key, count; t to_stream, to(a); t to_stream (a second time), to(b)")
    static void table_to_stream_twice(final StreamsBuilder builder) {
        final KTable<String, Long> counts = builder.<String, String>stream("views").groupByKey().count();
        counts.toStream().to("a");
        counts.toStream().to("b");
    }

    @Words("stream(views), group_by_key, count, table filter, table map_values, to_stream, to(popular)")
    static void table_filter_map_values(final StreamsBuilder builder) {
        builder.<String, String>stream("views").groupByKey().count()
            .filter((k, n) -> n > 10).mapValues(n -> n * 2).toStream().to("popular");
    }

    @Words("table(users), to_stream, to(out): source topic, store not asked for")
    static void table_source(final StreamsBuilder builder) {
        builder.<String, String>table("users").toStream().to("out");
    }

    @Words("table(users) in store user-store, to_stream, to(out)")
    static void table_source_named_store(final StreamsBuilder builder) {
        builder.<String, String>table("users", Materialized.as("user-store")).toStream().to("out");
    }

    @Words("stream(users), to_table in store user-store, to_stream, to(out)")
    static void to_table(final StreamsBuilder builder) {
        builder.<String, String>stream("users").toTable(Materialized.as("user-store")).toStream().to("out");
    }

    // ---- repartition by hand ----

    @Words("stream(sales), repartition (no name), to(out)")
    static void repartition(final StreamsBuilder builder) {
        builder.<String, String>stream("sales").repartition().to("out");
    }

    @Words("stream(sales), select_key, repartition named by-vendor, group_by_key, count in store counts: no second repartition")
    static void repartition_named_count(final StreamsBuilder builder) {
        builder.<String, String>stream("sales").selectKey((k, v) -> v)
            .repartition(Repartitioned.as("by-vendor"))
            .groupByKey().count(Materialized.as("counts"));
    }

    // ---- processors ----

    @Words("add store totals; stream(sales), process_values with store totals, to(out)")
    static void process_values_with_store(final StreamsBuilder builder) {
        addStore(builder, "totals");
        builder.<String, Long>stream("sales").processValues(KEEP_VALUES, "totals").to("out");
    }

    @Words("add store totals; stream(sales), process_values named running-total with store totals, map_values, to(out)")
    static void process_values_named(final StreamsBuilder builder) {
        addStore(builder, "totals");
        builder.<String, Long>stream("sales").processValues(KEEP_VALUES, Named.as("running-total"), "totals")
            .mapValues(v -> v).to("out");
    }

    @Words("stream(sales), process_values without store, group_by_key, count in store counts: no repartition")
    static void process_values_then_count(final StreamsBuilder builder) {
        builder.<String, Long>stream("sales").processValues(KEEP_VALUES)
            .groupByKey().count(Materialized.as("counts"));
    }

    @Words("add stores totals and firsts; stream(sales), process with stores totals and firsts, to(out)")
    static void process_with_two_stores(final StreamsBuilder builder) {
        addStore(builder, "totals");
        addStore(builder, "firsts");
        builder.<String, Long>stream("sales").process(KEEP, "totals", "firsts").to("out");
    }

    @Words("stream(sales), process named keep (may change the key), group_by_key, count in store counts: repartition")
    static void process_then_count(final StreamsBuilder builder) {
        builder.<String, Long>stream("sales").process(KEEP, Named.as("keep"))
            .groupByKey().count(Materialized.as("counts"));
    }

    @Words("add store totals; stream(sales), process_values with totals, to(a); stream(views), process_values with totals, to(b): the shared store makes it one sub-topology")
    static void shared_store(final StreamsBuilder builder) {
        addStore(builder, "totals");
        builder.<String, Long>stream("sales").processValues(KEEP_VALUES, "totals").to("a");
        builder.<String, Long>stream("views").processValues(KEEP_VALUES, "totals").to("b");
    }

    // ---- parts ----

    private static final FixedKeyProcessorSupplier<String, Long, Long> KEEP_VALUES =
        () -> new ContextualFixedKeyProcessor<>() {
            @Override
            public void process(final FixedKeyRecord<String, Long> record) {
                context().forward(record);
            }
        };

    private static final ProcessorSupplier<String, Long, String, Long> KEEP =
        () -> new ContextualProcessor<>() {
            @Override
            public void process(final Record<String, Long> record) {
                context().forward(record);
            }
        };

    private static void addStore(final StreamsBuilder builder, final String name) {
        builder.addStateStore(Stores.keyValueStoreBuilder(
            Stores.persistentKeyValueStore(name), Serdes.String(), Serdes.Long()));
    }

    private static List<KStream<String, String>> inNameOrder(final Map<String, KStream<String, String>> branches) {
        return branches.entrySet().stream().sorted(Map.Entry.comparingByKey()).map(Map.Entry::getValue).toList();
    }

    private Describe() { }
}
