package riacho.golden;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;

/** Regenerates every golden file; the one argument is the golden folder, by default the parent of this project. */
public final class Main {
    public static void main(final String[] args) throws Exception {
        final Path golden = Path.of(args.length > 0 ? args[0] : "..").toRealPath();
        Describe.write(emptied(golden.resolve("describe")));
        emptied(golden.resolve("semantics/kafka_loses"));
        Semantics.write(emptied(golden.resolve("semantics")));
        KeyBytes.writeMurmur2(golden.resolve("murmur2.tsv"));
        KeyBytes.writeWindowedKeys(golden.resolve("windowed_key.tsv"));
    }

    /** The folder without the files of an earlier run, so that a renamed golden leaves nothing behind. */
    private static Path emptied(final Path folder) throws IOException {
        Files.createDirectories(folder);
        try (DirectoryStream<Path> old = Files.newDirectoryStream(folder, "*.{txt,json,md}")) {
            for (final Path file : old) {
                Files.delete(file);
            }
        }
        return folder;
    }

    private Main() { }
}
