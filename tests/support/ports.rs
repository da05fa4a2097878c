//! Hands out free TCP ports of 127.0.0.1.

use std::net::TcpListener;
use std::ops::Range;
use std::process;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};

// Below the range from which systems take the ports of outgoing connections: a client that retries a dead broker
// in that range can connect to itself and so keep the broker from coming back.
const PORTS: Range<u16> = 15_000..32_000;

// Test processes that run at the same time start at different places; inside one, no port is handed out twice.
static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| {
    let start = process::id().wrapping_mul(97) % u32::from(PORTS.end - PORTS.start);
    AtomicU16::new(u16::try_from(start).expect("smaller than the range, which fits"))
});

/// A port on which nobody listens now.
pub(crate) fn free_port() -> u16 {
    let span = PORTS.end - PORTS.start;
    (0..span)
        .map(|_| PORTS.start + NEXT.fetch_add(1, Ordering::Relaxed) % span)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("some port between 15000 and 32000 is free")
}
