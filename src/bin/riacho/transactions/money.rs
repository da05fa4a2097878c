//! Exact money: minor units in an integer, from JSON numbers and to JSON numbers without floating point.
//!
//! Every currency is held with two decimals, as in the original system, whose `valor` has two decimals whatever
//! `moeda` says. For the yen (no decimals) that is harmless; for the dinar (three) a third decimal is refused.

use std::fmt;
use std::num::NonZeroU64;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// An amount of money in hundredths of the currency's unit. It may be negative: a refund, say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Cents(pub(crate) i64);

/// Why a text is not an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadMoney {
    /// The text is not what JSON calls a number.
    #[error("not a JSON number")]
    NotANumber,
    /// Rounding it would invent or lose money.
    #[error("more than two decimals")]
    TooPrecise,
    /// It does not fit in 64 bits.
    #[error("more digits than money can have")]
    TooLong,
    /// Beyond [`Cents::AMOUNT_MAX`].
    #[error("beyond the limit of {} for one transaction", Cents::AMOUNT_MAX)]
    TooLarge,
}

impl Cents {
    /// The largest magnitude of one transaction: ten trillion. Up to here every amount is also exact as a double, so
    /// no reader of the JSON sees another amount than the one that was counted.
    pub(crate) const AMOUNT_MAX: Cents = Cents(1_000_000_000_000_000);

    /// Reads the amount of one transaction, at most [`AMOUNT_MAX`](Self::AMOUNT_MAX) either way.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), and when the amount is beyond the limit.
    pub(crate) fn parse_amount(number: &str) -> Result<Cents, BadMoney> {
        let amount = Cents::parse(number)?;
        if amount.0.unsigned_abs() > Cents::AMOUNT_MAX.0.unsigned_abs() {
            Err(BadMoney::TooLarge)
        } else {
            Ok(amount)
        }
    }

    /// Reads a JSON number that is a whole number of cents: `12.34`, `12`, `12.3`, `12.340`, `1e2`, `-0.01`.
    ///
    /// # Errors
    /// When the text is no JSON number, has a fraction of a cent, or does not fit in 64 bits.
    pub(crate) fn parse(number: &str) -> Result<Cents, BadMoney> {
        match parse_plain(number.as_bytes()) {
            Some(cents) => Ok(Cents(cents)),
            None => parse_any(number.as_bytes()),
        }
    }

    /// The sum, or `None` when it does not fit.
    pub(crate) fn checked_add(self, other: Cents) -> Option<Cents> {
        self.0.checked_add(other.0).map(Cents)
    }

    /// The mean of `count` amounts that add up to `self`, rounded to a cent; halves go to the even cent, so that means
    /// of many groups are not biased upwards.
    pub(crate) fn mean_of(self, count: NonZeroU64) -> Cents {
        let (sum, count) = (i128::from(self.0), i128::from(count.get()));
        let (floor, rest) = (sum.div_euclid(count), sum.rem_euclid(count));
        let up = match (2 * rest).cmp(&count) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Equal => floor.rem_euclid(2),
            std::cmp::Ordering::Greater => 1,
        };
        Cents(i64::try_from(floor + up).expect("a mean lies between the amounts it is the mean of"))
    }

    /// The number of cents as a double: for statistics, never for money.
    pub(crate) fn approximately(self) -> f64 {
        self.0 as f64
    }

    /// Appends the amount as a JSON number with two decimals.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        let magnitude = self.0.unsigned_abs();
        if self.0 < 0 {
            out.push(b'-');
        }
        out.extend_from_slice(itoa::Buffer::new().format(magnitude / 100).as_bytes());
        let cents = (magnitude % 100) as u8;
        out.extend_from_slice(&[b'.', b'0' + cents / 10, b'0' + cents % 10]);
    }
}

/// The usual form, quickly: digits, a point, at most two digits; so few that nothing can overflow.
fn parse_plain(number: &[u8]) -> Option<i64> {
    const LENGTH_MAX: usize = 16;
    let (negative, unsigned) = match number {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, number),
    };
    if unsigned.len() > LENGTH_MAX || matches!(unsigned, [b'0', b'0'..=b'9', ..]) {
        return None;
    }
    let mut units = 0i64;
    let mut rest = unsigned;
    while let [digit @ b'0'..=b'9', after @ ..] = rest {
        units = units * 10 + i64::from(digit - b'0');
        rest = after;
    }
    if rest.len() == unsigned.len() {
        return None;
    }
    let cents = match rest {
        [b'.', tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => {
            units * 100 + i64::from((tens - b'0') * 10 + (ones - b'0'))
        }
        [b'.', tens @ b'0'..=b'9'] => units * 100 + i64::from((tens - b'0') * 10),
        [] => units * 100,
        _ => return None,
    };
    Some(if negative { -cents } else { cents })
}

/// A decimal number while its digits are read: `digits * 10^(zeros - fraction)`, where `zeros` counts the zeros at the
/// end. They are held back, so that neither `1000000e-4` nor `1.0000000000000000000000` needs more than 64 bits.
#[derive(Default)]
struct Decimal {
    digits: u64,
    zeros: u32,
    fraction: i64,
}

impl Decimal {
    fn push(&mut self, digit: u8, in_fraction: bool) -> Result<(), BadMoney> {
        self.fraction += i64::from(in_fraction);
        if digit == 0 {
            self.zeros += u32::from(self.digits != 0);
            return Ok(());
        }
        let scaled = 10u64.checked_pow(self.zeros + 1).and_then(|scale| self.digits.checked_mul(scale));
        let first = self.digits == 0;
        let pushed =
            if first { Some(0) } else { scaled }.and_then(|scaled| scaled.checked_add(u64::from(digit)));
        self.digits = pushed.ok_or(BadMoney::TooLong)?;
        self.zeros = 0;
        Ok(())
    }

    fn in_cents(&self, exponent: i64, negative: bool) -> Result<Cents, BadMoney> {
        if self.digits == 0 {
            return Ok(Cents(0));
        }
        let scale = i64::from(self.zeros) - self.fraction + exponent + 2;
        // The last digit is not zero, so that a negative scale always leaves a fraction of a cent.
        let scale = u32::try_from(scale)
            .map_err(|_| if scale < 0 { BadMoney::TooPrecise } else { BadMoney::TooLong })?;
        let magnitude =
            10i128.checked_pow(scale).and_then(|scale| scale.checked_mul(i128::from(self.digits)));
        let magnitude = magnitude.ok_or(BadMoney::TooLong)?;
        let cents = if negative { -magnitude } else { magnitude };
        i64::try_from(cents).map(Cents).map_err(|_| BadMoney::TooLong)
    }
}

/// Any number that JSON knows.
#[cold]
fn parse_any(number: &[u8]) -> Result<Cents, BadMoney> {
    let (negative, mut rest) = match number {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, number),
    };
    if matches!(rest, [b'0', b'0'..=b'9', ..]) {
        return Err(BadMoney::NotANumber);
    }
    let mut decimal = Decimal::default();
    // What is out of range must still be a number, otherwise the reason would be wrong: so go on to the end.
    let mut out_of_range = None;
    let mut digits = |rest: &mut &[u8], in_fraction: bool| {
        let before = rest.len();
        while let [digit @ b'0'..=b'9', after @ ..] = *rest {
            if let Err(reason) = decimal.push(digit - b'0', in_fraction) {
                out_of_range.get_or_insert(reason);
            }
            *rest = after;
        }
        if rest.len() == before { Err(BadMoney::NotANumber) } else { Ok(()) }
    };
    digits(&mut rest, false)?;
    if let [b'.', after @ ..] = rest {
        rest = after;
        digits(&mut rest, true)?;
    }
    let mut exponent = 0i64;
    if let [b'e' | b'E', after @ ..] = rest {
        let (negative, after) = match after {
            [b'-', after @ ..] => (true, after),
            [b'+', after @ ..] => (false, after),
            _ => (false, after),
        };
        rest = after;
        while let [digit @ b'0'..=b'9', after @ ..] = rest {
            exponent = (exponent * 10 + i64::from(digit - b'0')).min(i64::from(u32::MAX));
            rest = after;
        }
        if matches!(after, []) || rest.len() == after.len() {
            return Err(BadMoney::NotANumber);
        }
        if negative {
            exponent = -exponent;
        }
    }
    match (rest, out_of_range) {
        ([], None) => decimal.in_cents(exponent, negative),
        ([], Some(reason)) => Err(reason),
        _ => Err(BadMoney::NotANumber),
    }
}

impl fmt::Display for Cents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.unsigned_abs();
        write!(f, "{}{}.{:02}", if self.0 < 0 { "-" } else { "" }, magnitude / 100, magnitude % 100)
    }
}

/// A JSON number with two decimals.
impl Serialize for Cents {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let number = RawValue::from_string(self.to_string()).map_err(serde::ser::Error::custom)?;
        number.serialize(serializer)
    }
}

/// Any JSON number that is a whole number of cents; the reader must lend the text, as `serde_json::from_str` does.
impl<'de> Deserialize<'de> for Cents {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cents::parse(<&RawValue>::deserialize(deserializer)?.get()).map_err(D::Error::custom)
    }
}

/// A currency by its ISO 4217 code. Only the code's form is checked, since the list changes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Currency([u8; 3]);

/// The text is not of the form of an ISO 4217 code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a currency code of three capital letters, like BRL")]
pub(crate) struct BadCurrency;

impl Currency {
    /// The Brazilian real.
    pub(crate) const BRL: Currency = Currency(*b"BRL");

    /// Reads three capital letters.
    ///
    /// # Errors
    /// When the text is anything else.
    pub(crate) fn parse(code: &str) -> Result<Currency, BadCurrency> {
        Currency::from_bytes(code.as_bytes()).ok_or(BadCurrency)
    }

    pub(crate) fn from_bytes(code: &[u8]) -> Option<Currency> {
        let code = <[u8; 3]>::try_from(code).ok()?;
        code.iter().all(u8::is_ascii_uppercase).then_some(Currency(code))
    }

    pub(crate) fn as_bytes(self) -> [u8; 3] {
        self.0
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("only three ASCII letters make a Currency")
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Code;
        impl serde::de::Visitor<'_> for Code {
            type Value = Currency;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a currency code of three capital letters")
            }
            fn visit_str<E: serde::de::Error>(self, code: &str) -> Result<Currency, E> {
                Currency::parse(code).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Code)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(cents: Cents) -> String {
        let mut out = Vec::new();
        cents.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn whole_numbers_of_cents_are_read_exactly() {
        for (text, cents) in [
            ("12.34", 1234),
            ("12", 1200),
            ("12.3", 1230),
            ("0", 0),
            ("-0", 0),
            ("-0.00", 0),
            ("0e99999999999999999999", 0),
            ("0.01", 1),
            ("-0.01", -1),
            ("1e2", 10_000),
            ("1E+2", 10_000),
            ("1e-2", 1),
            ("15e-1", 150),
            ("1.5e1", 1500),
            ("12.340", 1234),
            ("12.3400000000000000000000000000000000000", 1234),
            ("123400000000000000000000000000e-28", 1234),
            ("1000000e-4", 10_000),
            ("0.000000000000000000000000000001e30", 100),
            ("10000000000000.00", 1_000_000_000_000_000),
            ("92233720368547758.07", i64::MAX),
            ("-92233720368547758.08", i64::MIN),
        ] {
            assert_eq!(Cents::parse(text), Ok(Cents(cents)), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused_with_a_reason() {
        use BadMoney::{NotANumber, TooLong, TooPrecise};
        for (text, reason) in [
            ("12.345", TooPrecise),
            ("0.001", TooPrecise),
            ("1e-3", TooPrecise),
            ("1e-99999999999999999999", TooPrecise),
            ("0.00000000000000000000000000000000001", TooPrecise),
            ("92233720368547758.08", TooLong),
            ("-92233720368547758.09", TooLong),
            ("1e400", TooLong),
            ("1e99999999999999999999", TooLong),
            ("123456789012345678901234567890", TooLong),
            ("12345678901234567.8901234567", TooLong),
            ("", NotANumber),
            ("-", NotANumber),
            ("+1", NotANumber),
            (".5", NotANumber),
            ("1.", NotANumber),
            ("01", NotANumber),
            ("-01.00", NotANumber),
            ("00000000000000000000000001", NotANumber),
            ("1e", NotANumber),
            ("1e+", NotANumber),
            ("1.e2", NotANumber),
            ("1.2.3", NotANumber),
            ("1,50", NotANumber),
            ("0x10", NotANumber),
            (" 1", NotANumber),
            ("1 ", NotANumber),
            ("NaN", NotANumber),
            ("Infinity", NotANumber),
            ("\"12.34\"", NotANumber),
            ("null", NotANumber),
            ("[1]", NotANumber),
            ("123456789012345678901234567890x", NotANumber),
        ] {
            assert_eq!(Cents::parse(text), Err(reason), "{text}");
        }
    }

    #[test]
    fn one_transaction_may_not_exceed_ten_trillion() {
        assert_eq!(Cents::parse_amount("10000000000000.00"), Ok(Cents::AMOUNT_MAX));
        assert_eq!(Cents::parse_amount("-1e13"), Ok(Cents(-Cents::AMOUNT_MAX.0)));
        assert_eq!(Cents::parse_amount("10000000000000.01"), Err(BadMoney::TooLarge));
        assert_eq!(Cents::parse_amount("-10000000000000.01"), Err(BadMoney::TooLarge));
        assert_eq!(
            BadMoney::TooLarge.to_string(),
            "beyond the limit of 10000000000000.00 for one transaction"
        );
    }

    #[test]
    fn the_mean_is_rounded_half_to_even() {
        for (sum, count, mean) in [
            (10, 4, 2),
            (14, 4, 4),
            (11, 4, 3),
            (-10, 4, -2),
            (-14, 4, -4),
            (-11, 4, -3),
            (100, 3, 33),
            (200, 3, 67),
        ] {
            assert_eq!(Cents(sum).mean_of(NonZeroU64::new(count).unwrap()), Cents(mean), "{sum} / {count}");
        }
        assert_eq!(Cents(i64::MIN).mean_of(NonZeroU64::MIN), Cents(i64::MIN));
        assert_eq!(Cents(i64::MAX).mean_of(NonZeroU64::MAX), Cents(0));
    }

    #[test]
    fn a_currency_is_three_capital_letters() {
        assert_eq!(Currency::parse("BRL"), Ok(Currency::BRL));
        for bad in ["", "BR", "BRLS", "brl", "B1L", "BR ", "R$", "é1"] {
            assert_eq!(Currency::parse(bad), Err(BadCurrency), "{bad}");
        }
        assert_eq!(serde_json::to_string(&Currency::BRL).unwrap(), r#""BRL""#);
        assert_eq!(serde_json::from_str::<Currency>(r#""BRL""#).unwrap(), Currency::BRL);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(cents in any::<i64>()) {
            let text = written(Cents(cents));
            prop_assert_eq!(Cents::parse(&text), Ok(Cents(cents)));
            prop_assert_eq!(&text, &Cents(cents).to_string());
            prop_assert_eq!(&text, &serde_json::to_string(&Cents(cents)).unwrap());
            prop_assert_eq!(serde_json::from_str::<Cents>(&text).unwrap(), Cents(cents));
        }

        #[test]
        fn both_readers_agree_on_the_usual_form(text in "-?[0-9]{0,18}(\\.[0-9]{0,3})?") {
            if let Some(cents) = parse_plain(text.as_bytes()) {
                prop_assert_eq!(parse_any(text.as_bytes()), Ok(Cents(cents)));
            }
        }

        #[test]
        fn whatever_is_read_is_what_decimal_arithmetic_says(
            negative: bool, whole in 0u64..2_000_000_000, fraction in "[0-9]{0,25}", exponent in -25i32..25,
        ) {
            let sign = if negative { "-" } else { "" };
            let point = if fraction.is_empty() { "" } else { "." };
            let text = format!("{sign}{whole}{point}{fraction}e{exponent}");
            // The same number as a string of digits and the place of its point.
            let digits = format!("{whole}{fraction}");
            let scale = exponent - i32::try_from(fraction.len()).unwrap() + 2;
            let (kept, lost) = if scale >= 0 {
                (format!("{digits}{}", "0".repeat(usize::try_from(scale).unwrap())), String::new())
            } else {
                let cut = digits.len().saturating_sub(scale.unsigned_abs() as usize);
                let (kept, lost) = digits.split_at(cut);
                (kept.to_owned(), lost.to_owned())
            };
            let exact = lost.bytes().all(|digit| digit == b'0');
            let kept = kept.trim_start_matches('0');
            let magnitude = if kept.is_empty() { Some(0) } else { kept.parse::<i64>().ok() };
            match magnitude {
                Some(magnitude) if exact => {
                    let expected = if negative { -magnitude } else { magnitude };
                    prop_assert_eq!(Cents::parse(&text), Ok(Cents(expected)), "{}", text);
                }
                _ => prop_assert!(Cents::parse(&text).is_err(), "{}", text),
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}") {
            let read_by_serde_json = serde_json::from_str::<f64>(&text).is_ok() && text.trim() == text;
            if Cents::parse(&text).is_ok() {
                prop_assert!(read_by_serde_json || text.contains(['e', 'E']));
            }
        }
    }
}
