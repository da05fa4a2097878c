# riacho as a container: `docker build .`, or `docker compose build` for the whole stack.
ARG RUST_IMAGE=rust:1.95-bookworm
ARG RUNTIME_IMAGE=debian:bookworm-slim
# Where the program comes from: `compiled` here, or `prebuilt` by the caller as prebuilt/riacho (tests do that).
ARG PROGRAM=compiled

FROM ${RUST_IMAGE} AS compiled
RUN apt-get update \
 && apt-get install -y --no-install-recommends libclang-dev libssl-dev zlib1g-dev pkg-config \
 && apt-get clean && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# The dependencies (RocksDB alone is minutes of C++) in a layer that only a new Cargo.toml or Cargo.lock makes anew:
# compiled for empty sources.
COPY Cargo.toml Cargo.lock ./
COPY topology/Cargo.toml topology/
RUN mkdir -p src/bin/riacho topology/src tests \
 && echo '//! Empty.' | tee src/lib.rs topology/src/lib.rs tests/all.rs src/bin/riacho/main.rs \
 && echo 'fn main() {}' >>src/bin/riacho/main.rs \
 && cargo build --release --locked --bin riacho
COPY topology topology
COPY src src
COPY tests/support/kafka-jars tests/support/kafka-jars
# A file of the sources may be older than what was compiled for the empty one.
RUN find src topology/src -name '*.rs' -exec touch {} + \
 && cargo build --release --locked --bin riacho \
 && strip -o /riacho target/release/riacho

FROM ${RUNTIME_IMAGE} AS prebuilt
COPY prebuilt/riacho /riacho

FROM ${PROGRAM} AS program

FROM ${RUNTIME_IMAGE}
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates libssl3 libstdc++6 zlib1g \
 && apt-get clean && rm -rf /var/lib/apt/lists/* \
 && mkdir -p /var/lib/riacho && chown 10001:10001 /var/lib/riacho
COPY --from=program /riacho /usr/local/bin/riacho
COPY scripts/container/ /usr/local/bin/
ENV RIACHO_HTTP_ADDRESS=0.0.0.0:9464 \
    RIACHO_STATE_DIR=/var/lib/riacho
USER 10001:10001
WORKDIR /var/lib/riacho
EXPOSE 9464
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["answers", "/health"]
ENTRYPOINT ["riacho"]
CMD ["--help"]
