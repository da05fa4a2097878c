//! A message of the workshop: as it is drawn, and as it is shown, whatever it holds.

use std::fmt::Write as _;

use chrono::DateTime;
use fake::Fake as _;
use fake::faker::address::raw::{BuildingNumber, CityName, StreetName};
use fake::locales::PT_BR;
use rand::RngExt as _;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::IndexedRandom as _;
use riacho::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::web::answer;

const PLATFORMS: [&str; 3] = ["Mobile", "Laptop", "Tablet"];

/// A simulated transaction.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Message {
    id_sequencia: u64,
    id_usuario: String,
    id_transacao: String,
    id_produto: String,
    endereco: String,
    cadastro_em: String,
    id_plataforma: &'static str,
    mensagem: String,
}

impl Message {
    /// Draws the message with this number in its producer's sequence.
    pub(super) fn draw(number: u64, now: Timestamp, random: &mut Xoshiro256PlusPlus) -> Message {
        const MONTH_MS: i64 = 30 * 24 * 3_600_000;
        let user = random.random_range(20_000..=100_000);
        let street: String = StreetName(PT_BR).fake_with_rng(random);
        let building: String = BuildingNumber(PT_BR).fake_with_rng(random);
        let city: String = CityName(PT_BR).fake_with_rng(random);
        let signed_up = now.as_millis() - random.random_range(0..MONTH_MS);
        let signed_up = DateTime::from_timestamp_millis(signed_up).unwrap_or_default();
        Message {
            id_sequencia: number,
            id_usuario: user.to_string(),
            id_transacao: uuid(random),
            id_produto: uuid(random),
            endereco: format!("{street}, {building} | {city} | BR"),
            cadastro_em: signed_up.format("%Y-%m-%d %H:%M:%S").to_string(),
            id_plataforma: PLATFORMS.choose(random).copied().unwrap_or_default(),
            mensagem: format!("transação feita pelo usuário {user}"),
        }
    }

    /// The record's value.
    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and a number can always be written")
    }
}

fn uuid(random: &mut Xoshiro256PlusPlus) -> String {
    uuid::Builder::from_random_bytes(random.random()).into_uuid().to_string()
}

/// What a log line and a page show of a message: its fields as text, each cut to a length that can be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Glance {
    id_sequencia: Option<String>,
    id_usuario: Option<String>,
    id_transacao: Option<String>,
    id_produto: Option<String>,
    endereco: Option<String>,
    cadastro_em: Option<String>,
    pub(super) id_plataforma: Option<String>,
    mensagem: Option<String>,
}

impl Glance {
    /// Looks at a record's value. What is no JSON object is shown as its `mensagem`.
    pub(super) fn of(value: Option<&[u8]>) -> Glance {
        let Some(bytes) = value else { return Glance::default() };
        let parsed = serde_json::from_slice(bytes).ok().filter(Value::is_object);
        let Some(object) = parsed else {
            // A character has at most four bytes: what is behind is not shown anyway.
            let shown = bytes.get(..bytes.len().min(4 * (answer::CHARS_MAX + 1))).unwrap_or_default();
            let text = answer::cut(&String::from_utf8_lossy(shown)).into_owned();
            return Glance { mensagem: Some(text), ..Glance::default() };
        };
        let field = |name| match object.get(name)? {
            Value::Null => None,
            Value::String(text) => Some(answer::cut(text).into_owned()),
            other => Some(answer::cut(&other.to_string()).into_owned()),
        };
        Glance {
            id_sequencia: field("id_sequencia"),
            id_usuario: field("id_usuario"),
            id_transacao: field("id_transacao"),
            id_produto: field("id_produto"),
            endereco: field("endereco"),
            cadastro_em: field("cadastro_em"),
            id_plataforma: field("id_plataforma"),
            mensagem: field("mensagem"),
        }
    }

    /// As JSON on one line, in which nothing moves the cursor or turns the direction of the text.
    pub(super) fn line(&self) -> String {
        let json = serde_json::to_string(self).expect("texts can always be written");
        let mut line = String::with_capacity(json.len());
        for symbol in json.chars() {
            if is_unprintable(symbol) {
                // All of them have four digits.
                write!(line, "\\u{:04x}", u32::from(symbol)).expect("a string takes everything");
            } else {
                line.push(symbol);
            }
        }
        line
    }
}

/// Controls, line and paragraph separators, marks of direction and characters without width.
fn is_unprintable(symbol: char) -> bool {
    symbol.is_control()
        || matches!(symbol, '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(symbol, '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn a_message_has_the_fields_of_the_original_in_their_order() {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(7);
        let message = Message::draw(12, Timestamp(1_767_225_600_000), &mut random);
        let text = String::from_utf8(message.to_json()).unwrap();
        let places = [
            "id_sequencia",
            "id_usuario",
            "id_transacao",
            "id_produto",
            "endereco",
            "cadastro_em",
            "id_plataforma",
            "mensagem",
        ]
        .map(|field| text.find(&format!("\"{field}\":")).unwrap_or_else(|| panic!("{field}: {text}")));
        assert!(places.is_sorted(), "{text}");
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["id_sequencia"], 12);
        assert!(PLATFORMS.contains(&read["id_plataforma"].as_str().unwrap()));
        assert!(read["cadastro_em"].as_str().unwrap().starts_with("2025-12-"), "{text}");
    }

    #[test]
    fn a_hostile_text_stays_one_line_of_bounded_length() {
        let evil = "a\r\nINFO forged\u{202e}\u{2028}\u{85}\u{1b}[31m";
        let hostile = serde_json::json!({ "id_sequencia": 1, "mensagem": evil }).to_string();
        let not_json = evil.as_bytes().to_vec();
        let huge = vec![b'x'; 1 << 20];
        let invalid = vec![0xff; 1 << 20];
        for value in [hostile.into_bytes(), not_json, huge, invalid] {
            let line = Glance::of(Some(&value)).line();
            assert!(!line.chars().any(is_unprintable) && line.len() < 4_000, "{line}");
            serde_json::from_str::<Value>(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        }
    }

    #[test]
    fn fields_of_any_kind_are_shown_as_text() {
        let glance = Glance::of(Some(br#"{"id_sequencia":7,"id_usuario":null,"mensagem":{"a":[1]}}"#));
        let expected = Glance {
            id_sequencia: Some("7".to_owned()),
            mensagem: Some(r#"{"a":[1]}"#.to_owned()),
            ..Glance::default()
        };
        assert_eq!(glance, expected);
        assert_eq!(Glance::of(None), Glance::default());
    }
}
