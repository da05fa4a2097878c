//! `/api/workshop/...`: what this half has sent or received since it started.

use riacho::observe::http::{Page, Pages};
use serde_json::{Value, json};

use super::environment::{Action, Environment};
use super::journal::{Entries, Journal, Row};
use crate::web::answer::{self, PageOf};

/// Groups that a chart shows, the one of all others included.
const GROUPS_MAX: usize = 24;

/// The answers for the page, and the signs of life.
pub(super) fn pages(environment: &Environment, journal: &Journal) -> Pages {
    let (about, action) = (environment.clone(), environment.action);
    let [summed, grouped, listed, asked] = std::array::from_fn(|_| journal.clone());
    Pages::new()
        .with("/health", "200 while the process is alive", |_| Page::text(200, "healthy\n"))
        .with("/ready", "200 while the brokers answer", move |_| match asked.lock().obstacle() {
            None => Page::text(200, "ready\n"),
            Some(_) => Page::text(503, "not ready\nwaiting for the brokers\n"),
        })
        .with("/api/workshop/summary", "the workshop's figures, as JSON", move |_| {
            tell(&summed, |entries, now| summary(&about, entries, now))
        })
        .with("/api/workshop/platforms", "messages by platform, as JSON", move |_| {
            tell(&grouped, |entries, _| platforms(entries))
        })
        .with("/api/workshop/messages", "the last messages, as JSON", move |request| {
            match PageOf::of(request.query()) {
                Ok(page) => tell(&listed, |entries, _| messages(action, entries, page)),
                Err(reason) => answer::bad_parameter(listed.now(), reason),
            }
        })
}

fn tell(journal: &Journal, data: impl Fn(&Entries, i64) -> Value) -> Page {
    let now = journal.now();
    let entries = journal.lock();
    match entries.obstacle() {
        None => answer::ready(now, data(&entries, now)),
        Some(reason) if entries.count == 0 => answer::loading(now, reason),
        Some(reason) => answer::stale(last(&entries).unwrap_or(now), reason, data(&entries, now)),
    }
}

fn last(entries: &Entries) -> Option<i64> {
    entries.rows.front().map(|row| row.at)
}

fn summary(environment: &Environment, entries: &Entries, now: i64) -> Value {
    let (count, rate) = (entries.count, entries.rate(now));
    let brokers = entries.brokers.iter().map(|(address, up)| json!({ "address": address, "up": up }));
    let is_producer = environment.action == Action::Producer;
    let ((sent, sent_rate), (received, received_rate)) =
        if is_producer { ((count, rate), (0, 0.0)) } else { ((0, 0.0), (count, rate)) };
    json!({
        "action": environment.action.name(), "topic": environment.topic,
        "consumer_group": (!is_producer).then_some(&environment.group),
        "sent": sent, "received": received,
        "sent_per_second": sent_rate, "received_per_second": received_rate,
        "last_message_at": last(entries), "brokers": brokers.collect::<Vec<_>>(),
    })
}

fn platforms(entries: &Entries) -> Value {
    let mut counted: Vec<(&String, u64)> = entries.platforms.iter().map(|(name, n)| (name, *n)).collect();
    counted.sort_by_key(|(_, quantity)| std::cmp::Reverse(*quantity));
    let rest: u64 =
        counted.iter().skip(GROUPS_MAX - 1).map(|(_, n)| n).sum::<u64>() + entries.other_platforms;
    let group =
        |name: &str, quantity: u64, other| json!({ "name": name, "quantity": quantity, "other": other });
    let named = counted.iter().take(GROUPS_MAX - 1).map(|(name, n)| group(name, *n, false));
    let rest = (rest > 0).then(|| group("Outros", rest, true));
    json!({ "groups": named.chain(rest).collect::<Vec<_>>() })
}

fn messages(action: Action, entries: &Entries, page: PageOf) -> Value {
    let direction = match action {
        Action::Producer => "sent",
        Action::Consumer => "received",
    };
    let row = |Row { at, place, glance }: &Row| {
        let (partition, offset) = place.unzip();
        let mut row = json!({ "direction": direction, "at": at, "partition": partition, "offset": offset });
        if let (Some(known), Ok(Value::Object(fields))) = (row.as_object_mut(), serde_json::to_value(glance))
        {
            known.extend(fields);
        }
        row
    };
    let skipped = usize::try_from(page.offset()).unwrap_or(usize::MAX);
    let size = usize::try_from(page.size).unwrap_or_default();
    let rows = entries.rows.iter().skip(skipped).take(size).map(row).collect();
    page.table(entries.rows.len() as u64, rows)
}

#[cfg(test)]
mod tests {
    use riacho::SystemClock;
    use riacho::observe::http::Request;

    use super::super::message::Glance;
    use super::*;

    fn asked(pages: &Pages, path: &str) -> (u16, Value) {
        let page = pages.answer(&Request::to(path).unwrap());
        (page.status(), serde_json::from_slice(page.body()).unwrap_or_default())
    }

    #[test]
    fn the_page_is_told_what_came_and_what_is_waited_for() {
        let variables = |name: &str| (name == "ACTION").then(|| "consumer".to_owned());
        let environment = Environment::of(variables).unwrap();
        let journal = Journal::new(SystemClock::new());
        let pages = pages(&environment, &journal);
        journal.waits("Aguardando.");
        assert_eq!(asked(&pages, "/api/workshop/summary").1["state"], "loading");
        assert_eq!(asked(&pages, "/ready").0, 503);
        journal.goes_on();
        for n in 0..30 {
            let value = format!(r#"{{"id_plataforma":"p{n}","mensagem":"<b>"}}"#);
            journal.add(Some((1, n)), Glance::of(Some(value.as_bytes())));
        }
        let (_, summary) = asked(&pages, "/api/workshop/summary");
        assert_eq!((&summary["state"], &summary["data"]["received"]), (&"ready".into(), &30.into()));
        let (_, platforms) = asked(&pages, "/api/workshop/platforms");
        let groups = platforms["data"]["groups"].as_array().unwrap();
        assert_eq!((groups.len(), &groups[23]["quantity"]), (GROUPS_MAX, &7.into()));
        let (_, messages) = asked(&pages, "/api/workshop/messages");
        let newest = &messages["data"]["rows"][0];
        assert_eq!((&newest["offset"], &newest["mensagem"]), (&29.into(), &"<b>".into()));
        let (_, second) = asked(&pages, "/api/workshop/messages?page=2&size=20");
        assert_eq!((&second["data"]["total"], &second["data"]["rows"][0]["offset"]), (&30.into(), &9.into()));
        assert_eq!(asked(&pages, "/api/workshop/messages?size=0").0, 400);
        assert_eq!(asked(&pages, "/ready").0, 200);
        journal.sees(vec![("a:1".to_owned(), true), ("b:2".to_owned(), false)]);
        assert_eq!(asked(&pages, "/api/workshop/summary").1["data"]["brokers"][1]["up"], false);
        assert_eq!(asked(&pages, "/ready").0, 200);
        journal.sees(vec![("a:1".to_owned(), false), ("b:2".to_owned(), false)]);
        assert_eq!(asked(&pages, "/api/workshop/summary").1["state"], "stale");
    }
}
