//! One enrolment: as JSON in the topic `registration_topic`, and as state keeps it.

use std::fmt;

use chrono::{Datelike as _, NaiveDate};
use riacho::{Serde, SerdeError, StateCodec, Written, read_varint, unzigzag, write_varint, zigzag};
use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest `id_matricula`, in bytes.
pub(crate) const ID_BYTES_MAX: usize = 256;
/// Of the other texts so much is kept, in characters.
pub(crate) const CHARS_MAX: usize = 256;

const DATE: &str = "%Y-%m-%d";

/// An enrolment, with the ten fields of the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Enrolment {
    #[serde(rename = "id_matricula", deserialize_with = "id")]
    pub(crate) id: String,
    #[serde(rename = "ds_curso_nome", deserialize_with = "cut")]
    pub(crate) course: String,
    #[serde(rename = "ds_curso_turno", deserialize_with = "cut")]
    pub(crate) shift: String,
    /// In years.
    #[serde(rename = "ds_curso_duracao")]
    pub(crate) duration: u8,
    #[serde(rename = "ds_curso_inicio", serialize_with = "write_date", deserialize_with = "date")]
    pub(crate) begins: NaiveDate,
    #[serde(rename = "ds_aluno_idade")]
    pub(crate) age: u8,
    #[serde(rename = "ds_aluno_sexo", deserialize_with = "cut")]
    pub(crate) sex: String,
    /// Whether the student pays: Sim or Não.
    #[serde(rename = "ds_aluno_responsavel_financeiro", deserialize_with = "cut")]
    pub(crate) payer: String,
    #[serde(rename = "ds_matricula_pagamento", deserialize_with = "cut")]
    pub(crate) payment: String,
    #[serde(rename = "dt_matricula", serialize_with = "write_date", deserialize_with = "date")]
    pub(crate) date: NaiveDate,
}

/// A text, handed to a function that makes something of it or says what it should have been.
struct Text<T>(fn(&str) -> Result<T, &'static str>);

impl<T> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        (self.0)(text).map_err(E::custom)
    }
}

fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    deserializer.deserialize_str(Text(|text| match text.len() {
        1..=ID_BYTES_MAX => Ok(text.to_owned()),
        _ => Err("id_matricula must be a text of 1 to 256 bytes"),
    }))
}

/// The text, or its beginning: an enrolment counts, however long somebody made its course's name, and state stays small.
fn cut<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    deserializer.deserialize_str(Text(|text| {
        let end = text.char_indices().nth(CHARS_MAX).map_or(text.len(), |(end, _)| end);
        Ok(text.get(..end).unwrap_or_default().to_owned())
    }))
}

fn date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NaiveDate, D::Error> {
    let text = deserializer.deserialize_str(Text(|text| Ok(text.to_owned())))?;
    NaiveDate::parse_from_str(&text, DATE).map_err(|_| D::Error::custom("a date must be like 2026-11-20"))
}

fn write_date<S: Serializer>(date: &NaiveDate, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&date.format(DATE))
}

/// JSON, as in the topic `registration_topic`. Other fields are ignored, and no field that is read may come twice.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EnrolmentSerde;

impl Serde<Enrolment> for EnrolmentSerde {
    fn deserialize(&self, bytes: Option<&[u8]>) -> Result<Enrolment, SerdeError> {
        // serde repeats a text that it did not expect, however long it is.
        const TOLD_MAX: usize = 300;
        let bytes = bytes.ok_or_else(|| SerdeError::new("null where an enrolment is expected"))?;
        serde_json::from_slice(bytes).map_err(|error| {
            let text = error.to_string();
            let told: String = text.chars().take(TOLD_MAX).collect();
            SerdeError::new(told)
        })
    }

    fn serialize(&self, enrolment: &Enrolment, out: &mut Vec<u8>) -> Result<Written, SerdeError> {
        serde_json::to_writer(out, enrolment).map_err(|error| SerdeError::new(error.to_string()))?;
        Ok(Written::Bytes)
    }
}

impl Enrolment {
    fn texts(&self) -> [&str; 6] {
        [&self.id, &self.course, &self.shift, &self.sex, &self.payer, &self.payment]
    }
}

/// Compact, for repartition topics and state: about a third of the JSON.
impl StateCodec for Enrolment {
    const VERSION: u8 = 1;

    fn encode(&self, out: &mut Vec<u8>) {
        for text in self.texts() {
            write_varint(text.len() as u64, out);
            out.extend_from_slice(text.as_bytes());
        }
        out.extend_from_slice(&[self.duration, self.age]);
        for date in [self.begins, self.date] {
            write_varint(zigzag(i64::from(date.num_days_from_ce())), out);
        }
    }

    fn decode(version: u8, mut bytes: &[u8]) -> Result<Self, SerdeError> {
        if version != Self::VERSION {
            return Err(SerdeError::new(format!("version {version} of an enrolment is unknown")));
        }
        let [id, course, shift, sex, payer, payment] = read_texts(&mut bytes)?;
        let (&[duration, age], mut rest) =
            bytes.split_first_chunk().ok_or_else(|| SerdeError::new("an enrolment is cut off"))?;
        let (begins, date) = (read_date(&mut rest)?, read_date(&mut rest)?);
        if !rest.is_empty() {
            return Err(SerdeError::new(format!("{} bytes behind an enrolment", rest.len())));
        }
        Ok(Enrolment { id, course, shift, duration, begins, age, sex, payer, payment, date })
    }
}

fn read_texts<const N: usize>(bytes: &mut &[u8]) -> Result<[String; N], SerdeError> {
    let mut texts = [const { String::new() }; N];
    for text in &mut texts {
        let length = usize::try_from(read_varint(bytes)?).unwrap_or(usize::MAX);
        let (read, rest) =
            bytes.split_at_checked(length).ok_or_else(|| SerdeError::new("a text is cut off"))?;
        *bytes = rest;
        let read = std::str::from_utf8(read);
        read.map_err(|error| SerdeError::new(format!("a text is not UTF-8: {error}")))?.clone_into(text);
    }
    Ok(texts)
}

fn read_date(bytes: &mut &[u8]) -> Result<NaiveDate, SerdeError> {
    let days = i32::try_from(unzigzag(read_varint(bytes)?)).ok();
    days.and_then(NaiveDate::from_num_days_from_ce_opt)
        .ok_or_else(|| SerdeError::new("a date is beyond the calendar"))
}

#[cfg(test)]
mod tests {
    use riacho::State;

    use super::*;

    const RECORD: &str = r#"{"id_matricula":"m-1","ds_curso_nome":"Edificações","ds_curso_turno":"Manhã","ds_curso_duracao":4,"ds_curso_inicio":"2026-02-01","ds_aluno_idade":19,"ds_aluno_sexo":"F","ds_aluno_responsavel_financeiro":"Não","ds_matricula_pagamento":"Boleto à Vista","dt_matricula":"2026-01-20"}"#;

    fn read(json: &str) -> Result<Enrolment, SerdeError> {
        EnrolmentSerde.deserialize(Some(json.as_bytes()))
    }

    #[test]
    fn a_record_is_read_and_written_with_the_originals_fields() {
        let enrolment = read(RECORD).unwrap();
        assert_eq!((enrolment.course.as_str(), enrolment.age), ("Edificações", 19));
        let mut out = Vec::new();
        EnrolmentSerde.serialize(&enrolment, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), RECORD);
    }

    #[test]
    fn state_is_read_as_written_and_damage_is_noticed() {
        let (serde, enrolment, mut out) = (State::<Enrolment>::new(), read(RECORD).unwrap(), Vec::new());
        serde.serialize(&enrolment, &mut out).unwrap();
        assert_eq!(serde.deserialize(Some(&out)).unwrap(), enrolment);
        for cut in 0..out.len() {
            assert!(serde.deserialize(Some(&out[..cut])).is_err(), "{cut}");
        }
        out.push(0);
        assert!(serde.deserialize(Some(&out)).is_err());
    }

    #[test]
    fn what_is_no_enrolment_is_refused_in_few_words() {
        let long = "x".repeat(1 << 20);
        for (from, to) in [
            ("\"m-1\"", "\"\""),
            ("\"m-1\"", &format!("\"{long}\"")),
            ("\"2026-02-01\"", "\"2026-02-30\""),
            (":19", ":-1"),
            (":19", &format!(":\"{long}\"")),
            ("\"dt_matricula\"", "\"dt\""),
        ] {
            let error = read(&RECORD.replace(from, to)).unwrap_err().to_string();
            assert!(!error.is_empty() && error.len() < 400, "{error}");
        }
    }

    #[test]
    fn a_text_of_a_mebibyte_is_kept_in_part() {
        let long = format!("\"{}\"", "ã".repeat(1 << 19));
        assert_eq!(read(&RECORD.replace("\"Edificações\"", &long)).unwrap().course, "ã".repeat(CHARS_MAX));
    }
}
