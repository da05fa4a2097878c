//! Looks from time to time which brokers take connections: a consumer that hears nothing may just have nothing to read.

use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use super::journal::Journal;
use crate::signals::Signals;

/// More than this are not looked at: the page shows no more.
const BROKERS_MAX: usize = 16;
const AGAIN: Duration = Duration::from_secs(2);
const CONNECT_WAIT: Duration = Duration::from_secs(1);

/// Looks at `bootstrap_servers` until the program is to stop.
///
/// # Errors
/// When the system gives no thread.
pub(super) fn start(bootstrap_servers: &str, journal: &Journal, signals: &Signals) -> std::io::Result<()> {
    let addresses: Vec<String> =
        bootstrap_servers.split(',').map(|address| address.trim().to_owned()).take(BROKERS_MAX).collect();
    let (journal, signals) = (journal.clone(), signals.clone());
    let look = move || {
        let mut were_up = true;
        loop {
            let seen: Vec<(String, bool)> =
                addresses.iter().map(|address| (address.clone(), is_up(address))).collect();
            let are_up = seen.iter().any(|(_, is_up)| *is_up);
            journal.sees(seen);
            if were_up && !are_up {
                tracing::warn!("Aguardando brokers disponíveis: nenhum aceita conexões");
            } else if are_up && !were_up {
                tracing::info!("Brokers aceitam conexões de novo");
            }
            were_up = are_up;
            if signals.wait(AGAIN) {
                return;
            }
        }
    };
    std::thread::Builder::new().name("lookout".to_owned()).spawn(look).map(drop)
}

fn is_up(address: &str) -> bool {
    // A list may name the protocol before the address.
    let place = address.rsplit_once("://").map_or(address, |(_, place)| place);
    let found = place.to_socket_addrs().into_iter().flatten();
    found.take(2).any(|address| TcpStream::connect_timeout(&address, CONNECT_WAIT).is_ok())
}
