package riacho.golden;

import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.LongSerializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.TopologyTestDriver;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindowedDeserializer;
import org.apache.kafka.streams.kstream.TimeWindowedSerializer;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.test.TestRecord;

/** A topology under construction that remembers the types of its topics, and runs records through TopologyTestDriver. */
final class Pipeline {
    /** One input record; the value is a String, a Long or null. */
    record In(String topic, String key, Object value, long timestamp) { }

    /** One output record; {@code after} is the index of the input record that caused it. */
    record Out(int after, String topic, String key, long[] window, Object value, long timestamp) { }

    /** What came out, in the order it was sent, and how many records the operators dropped (windows, for windowed ones). */
    record Result(List<Out> out, long dropped) { }

    private record Sink(Deserializer<?> key, Deserializer<?> value) { }

    /** Emptied by each run; the folder of this project that is never committed. */
    private static final Path STATE_DIR = Path.of("target", "state").toAbsolutePath();

    final StreamsBuilder builder = new StreamsBuilder();
    private final Map<String, Sink> sinks = new HashMap<>();
    /** The topics of the records sent and not yet read: the driver itself keeps the order within one topic only. */
    private final List<String> sent = new ArrayList<>();

    KStream<String, String> strings(final String topic) {
        return builder.stream(topic, Consumed.with(Serdes.String(), Serdes.String()));
    }

    KStream<String, Long> longs(final String topic) {
        return builder.stream(topic, Consumed.with(Serdes.String(), Serdes.Long()));
    }

    <V> void to(final KStream<String, V> stream, final String topic, final Serde<V> value) {
        sinks.put(topic, new Sink(Serdes.String().deserializer(), value.deserializer()));
        stream.to(topic, Produced.with(noted(Serdes.String()), value));
    }

    <V> void toWindowed(final KStream<Windowed<String>, V> stream, final String topic, final Serde<V> value, final long windowSizeMs) {
        final Serde<Windowed<String>> key = Serdes.serdeFrom(
            new TimeWindowedSerializer<>(Serdes.String().serializer()),
            new TimeWindowedDeserializer<>(Serdes.String().deserializer(), windowSizeMs));
        sinks.put(topic, new Sink(key.deserializer(), value.deserializer()));
        stream.to(topic, Produced.with(noted(key), value));
    }

    private <T> Serde<T> noted(final Serde<T> serde) {
        final Serializer<T> plain = serde.serializer();
        return Serdes.serdeFrom(new Serializer<T>() {
            @Override
            public byte[] serialize(final String topic, final T data) {
                return plain.serialize(topic, data);
            }

            @Override
            public byte[] serialize(final String topic, final Headers headers, final T data) {
                sent.add(topic);
                return data == null ? null : plain.serialize(topic, headers, data);
            }
        }, serde.deserializer());
    }

    Result run(final List<In> inputs) {
        final Properties config = new Properties();
        config.put(StreamsConfig.APPLICATION_ID_CONFIG, "golden");
        config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, "unused:9092");
        config.put(StreamsConfig.STATE_DIR_CONFIG, STATE_DIR.toString());
        config.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        config.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        // One output per update, also where one input updates one key twice (flat map).
        config.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0L);
        config.put(StreamsConfig.InternalConfig.EMIT_INTERVAL_MS_KSTREAMS_WINDOWED_AGGREGATION, 0L);
        final List<Out> out = new ArrayList<>();
        try (TopologyTestDriver driver = new TopologyTestDriver(builder.build(config), config, Instant.EPOCH)) {
            for (int i = 0; i < inputs.size(); i++) {
                pipe(driver, inputs.get(i));
                for (final String topic : sent) {
                    out.add(read(driver, i, topic));
                }
                sent.clear();
            }
            return new Result(out, dropped(driver));
        }
    }

    private static void pipe(final TopologyTestDriver driver, final In in) {
        final Serializer<?> value = in.value instanceof Long ? new LongSerializer() : new StringSerializer();
        pipe(driver, in, value);
    }

    @SuppressWarnings("unchecked")
    private static <V> void pipe(final TopologyTestDriver driver, final In in, final Serializer<V> value) {
        driver.createInputTopic(in.topic, new StringSerializer(), value)
            .pipeInput(in.key, (V) in.value, in.timestamp);
    }

    private Out read(final TopologyTestDriver driver, final int after, final String topic) {
        final Sink sink = sinks.get(topic);
        final TestRecord<?, ?> record = driver.createOutputTopic(topic, sink.key, sink.value).readRecord();
        if (record.key() instanceof Windowed<?> windowed) {
            final long[] window = {windowed.window().start(), windowed.window().end()};
            return new Out(after, topic, (String) windowed.key(), window, record.value(), record.timestamp());
        }
        return new Out(after, topic, (String) record.key(), null, record.value(), record.timestamp());
    }

    private static long dropped(final TopologyTestDriver driver) {
        return driver.metrics().entrySet().stream()
            .filter(m -> m.getKey().name().equals("dropped-records-total"))
            .mapToLong(m -> Math.round((Double) m.getValue().metricValue()))
            .sum();
    }
}
