package riacho.golden;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.LinkedHashSet;
import java.util.Random;
import java.util.Set;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.common.utils.Utils;
import org.apache.kafka.streams.kstream.TimeWindowedSerializer;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.kstream.internals.TimeWindow;
import org.apache.kafka.streams.state.internals.WindowKeySchema;

/** Bytes that other programs read: the partition of a key, and the keys of windowed stores and topics. */
final class KeyBytes {
    private static final HexFormat HEX = HexFormat.of();
    private static final int KEYS = 5_000;
    private static final long WINDOW_SIZE_MS = 60_000;

    static void writeMurmur2(final Path file) throws IOException {
        final StringBuilder out = new StringBuilder("key_hex\tmurmur2\tp12\tp7\n");
        for (final String hex : murmur2Keys()) {
            final int hash = Utils.murmur2(HEX.parseHex(hex));
            final int positive = Utils.toPositive(hash);
            out.append(hex).append('\t').append(hash)
                .append('\t').append(positive % 12).append('\t').append(positive % 7).append('\n');
        }
        Files.writeString(file, out);
    }

    /** Distinct keys, as hex: empty, every single byte, ASCII ids, UTF-8 words, random bytes of every length from 1 to 64. */
    private static Set<String> murmur2Keys() {
        final Random random = new Random(2024);
        final Set<String> keys = new LinkedHashSet<>();
        keys.add("");
        for (int b = 0; b < 256; b++) {
            keys.add(HEX.formatHex(new byte[] {(byte) b}));
        }
        for (int i = 0; i < 2_700; i++) {
            keys.add(HEX.formatHex(("vendor-" + i).getBytes(UTF_8)));
        }
        final String letters = "açãoéíõüßñžøдж中文字かな한글🌊🚀 ";
        final int[] points = letters.codePoints().toArray();
        while (keys.size() < 4_100) {
            final StringBuilder word = new StringBuilder();
            for (int n = 1 + random.nextInt(6); n > 0; n--) {
                word.appendCodePoint(points[random.nextInt(points.length)]);
            }
            keys.add(HEX.formatHex(word.toString().getBytes(UTF_8)));
        }
        for (int length = 1; keys.size() < KEYS; length = length % 64 + 1) {
            final byte[] key = new byte[length];
            random.nextBytes(key);
            keys.add(HEX.formatHex(key));
        }
        return keys;
    }

    static void writeWindowedKeys(final Path file) throws IOException {
        final String[] keys = {"", "a", "vendor-1", "São Paulo", "中文", "🌊", "a\u0000b"};
        final long[] starts = {
            0, 1, 127, 128, 255, 256, 60_000, 65_535, 0x7fff_ffffL, 0x8000_0000L, 0xffff_ffffL,
            1_700_000_040_000L, 0x00ff_ffff_ffff_ffffL, Long.MAX_VALUE - WINDOW_SIZE_MS, Long.MAX_VALUE - 1,
            -1, -60_000, Long.MIN_VALUE,
        };
        final StringBuilder out = new StringBuilder("key_hex\tstart\tstore_key_hex\tserialized_hex\n");
        try (TimeWindowedSerializer<String> serializer = new TimeWindowedSerializer<>(new StringSerializer())) {
            for (final String key : keys) {
                for (final long start : starts) {
                    final byte[] bytes = key.getBytes(UTF_8);
                    final byte[] storeKey = WindowKeySchema
                        .toStoreKeyBinary(Bytes.wrap(bytes), start, 0).get();
                    // TimeWindow refuses a negative start, so there is nothing to serialise.
                    final String serialized = start < 0 ? "-" : HEX.formatHex(serializer.serialize(
                        "topic", new Windowed<>(key, new TimeWindow(start, endOf(start)))));
                    out.append(HEX.formatHex(bytes)).append('\t').append(start).append('\t')
                        .append(HEX.formatHex(storeKey)).append('\t').append(serialized).append('\n');
                }
            }
        }
        Files.writeString(file, out);
    }

    /** The end of a window as WindowKeySchema reads it back: cut at the largest timestamp. */
    private static long endOf(final long start) {
        return start + WINDOW_SIZE_MS < 0 ? Long.MAX_VALUE : start + WINDOW_SIZE_MS;
    }

    private KeyBytes() { }
}
