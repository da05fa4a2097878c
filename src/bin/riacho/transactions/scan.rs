//! Reads a transaction in the form in which nearly every producer writes it: one flat object without escapes, and with
//! no spaces but one after a colon or a comma, as Python writes it. That takes half the time of `serde_json`, and
//! reading is the largest part of what a transaction costs.
//!
//! What is of any other form, right or wrong, is left to `serde_json`: it decides, and it explains. So nothing may be
//! accepted here that `serde_json` refuses or understands otherwise; the tests hold the two against each other.

use compact_str::CompactString;
use riacho::Timestamp;

use super::money::{Cents, Currency};
use super::transaction::{
    PaymentMethod, Transaction, TransactionId, TransactionKind, VENDOR_BYTES_MAX, field,
};

/// The transaction, or `None` when the text has to be read by `serde_json`.
pub(super) fn transaction(text: &str) -> Option<Transaction> {
    let (mut id, mut vendor, mut value, mut time, mut currency) = (None, None, None, None, None);
    let (mut kind, mut method) = (None, None);
    let mut rest = Rest { text, bytes: text.as_bytes() };
    rest.skip(b'{')?;
    loop {
        rest.skip(b'"')?;
        let name = rest.up_to_quote()?;
        rest.skip(b':')?;
        rest.skip(b' ');
        let again = if rest.skip(b'"').is_some() {
            let content = rest.up_to_quote()?;
            match name {
                field::ID => id.replace(TransactionId::new(content)?).is_some(),
                field::VENDOR if (1..=VENDOR_BYTES_MAX).contains(&content.len()) => {
                    vendor.replace(CompactString::new(content)).is_some()
                }
                field::CURRENCY => currency.replace(Currency::parse(content).ok()?).is_some(),
                field::KIND => kind.replace(TransactionKind::of(content)).is_some(),
                field::METHOD => method.replace(PaymentMethod::of(content)).is_some(),
                field::VENDOR | field::VALUE | field::TIME => return None,
                _ => false,
            }
        } else {
            let number = rest.number()?;
            match name {
                field::VALUE => value.replace(Cents::parse_amount(number).ok()?).is_some(),
                field::TIME => time.replace(Timestamp(positive_integer(number)?)).is_some(),
                _ => return None,
            }
        };
        if again {
            return None;
        }
        if rest.skip(b',').is_none() {
            break;
        }
        rest.skip(b' ');
    }
    rest.skip(b'}')?;
    rest.bytes.is_empty().then_some(())?;
    Some(Transaction {
        id: id?,
        vendor: vendor?,
        value: value?,
        currency: currency?,
        time: time?,
        kind: kind.unwrap_or_default(),
        method: method.unwrap_or_default(),
    })
}

/// What has not been read yet: the end of `text`.
struct Rest<'a> {
    text: &'a str,
    bytes: &'a [u8],
}

impl<'a> Rest<'a> {
    /// Passes `byte` if it is the next one.
    fn skip(&mut self, byte: u8) -> Option<()> {
        match self.bytes {
            [next, after @ ..] if *next == byte => {
                self.bytes = after;
                Some(())
            }
            _ => None,
        }
    }

    /// Reads to a quote and passes it; `None` when an escape or a control character comes first.
    // Forced, since the compiler's own choice costs a sixth of the time of reading a transaction.
    #[inline(always)]
    fn up_to_quote(&mut self) -> Option<&'a str> {
        let content = self.take(stop(self.bytes)?)?;
        self.skip(b'"')?;
        Some(content)
    }

    /// Reads what may be a number: all up to a comma or a brace.
    fn number(&mut self) -> Option<&'a str> {
        self.take(self.bytes.iter().position(|byte| matches!(byte, b',' | b'}'))?)
    }

    #[inline]
    fn take(&mut self, length: usize) -> Option<&'a str> {
        let start = self.text.len() - self.bytes.len();
        let taken = self.text.get(start..start + length)?;
        self.bytes = self.bytes.get(length..)?;
        Some(taken)
    }
}

/// A number from 1 on that cannot overflow.
fn positive_integer(number: &str) -> Option<i64> {
    const DIGITS_MAX: usize = 18;
    if number.len() > DIGITS_MAX || number.starts_with('0') || number.is_empty() {
        return None;
    }
    number.bytes().try_fold(0i64, |value, digit| match digit {
        b'0'..=b'9' => Some(value * 10 + i64::from(digit - b'0')),
        _ => None,
    })
}

/// Where the first quote, backslash or control character stands. Eight bytes at a time: a byte's high bit is set in
/// `found` if it is one of these, and the lowest bit that is set is always right.
#[inline]
fn stop(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = ONES << 7;
    const QUOTES: u64 = ONES * b'"' as u64;
    const BACKSLASHES: u64 = ONES * b'\\' as u64;
    const SPACES: u64 = ONES * b' ' as u64;
    let (chunks, rest) = bytes.as_chunks::<8>();
    let mut start = 0;
    for chunk in chunks {
        let word = u64::from_le_bytes(*chunk);
        let (quote, backslash) = (word ^ QUOTES, word ^ BACKSLASHES);
        let zero_in = |word: u64| word.wrapping_sub(ONES) & !word;
        let found = (zero_in(quote) | zero_in(backslash) | (word.wrapping_sub(SPACES) & !word)) & HIGH;
        if found != 0 {
            return Some(start + found.trailing_zeros() as usize / 8);
        }
        start += 8;
    }
    rest.iter().position(|&byte| matches!(byte, b'"' | b'\\' | 0..0x20)).map(|at| start + at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::transaction::read_any;
    use super::super::transaction::tests::USUAL;
    use super::*;

    fn agrees(text: &str) -> bool {
        transaction(text).is_none_or(|scanned| read_any(text).is_ok_and(|read| read == scanned))
    }

    #[test]
    fn a_stop_is_found_wherever_it_stands() {
        for stopper in ["\"", "\\", "\n", "\0", "\u{1f}"] {
            for before in 0..40 {
                let text = format!(
                    "{}{stopper}\"\\ ~",
                    "é~ !#[]\u{7f}a".chars().cycle().take(before).collect::<String>()
                );
                assert_eq!(stop(text.as_bytes()), text.find(stopper), "{text:?}");
            }
        }
        assert_eq!(stop("no stop in this text".as_bytes()), None);
    }

    #[test]
    fn one_space_between_is_usual_too() {
        let as_python_writes_it = USUAL.replace("\":", "\": ").replace(",\"", ", \"");
        assert_eq!(transaction(&as_python_writes_it), transaction(USUAL));
        assert!(transaction(USUAL).is_some());
        assert_eq!(transaction(&USUAL.replace(':', ":  ")), None);
    }

    #[test]
    fn unusual_numbers_are_left_to_serde_json() {
        for number in ["", "0", "-1", "01", "1.0", "1e3", "1 ", "999999999999999999999"] {
            assert_eq!(positive_integer(number), None, "{number}");
        }
        assert_eq!(positive_integer("1767225600123"), Some(1_767_225_600_123));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Pieces of transactions in any order, some wrong, some twice.
        #[test]
        fn what_is_accepted_is_what_serde_json_reads(
            fields in prop::collection::vec(
                ("(id_transacao|id_vendedor|valor|hora_transacao|moeda|tipo_transacao|x|)",
                 "(\"(a|BRL|pix|é|\\\\n|\\\\|\n)?\"|-?[0-9]{0,3}(\\.[0-9]{0,3})?(e1)?|null|\\[\\]|\\{\\}| 1|1 )"), 0..4),
            spaces in "(|||| | \n)",
            shuffle in 0usize..5040, end in "(\\}|\\} |,\\}|\\}\\}|)",
        ) {
            let mut all: Vec<String> = USUAL.trim_matches(['{', '}']).split(',').map(str::to_owned).collect();
            let whole = fields.len() % 2 == 0;
            for (name, value) in fields {
                let at = all.iter().position(|other| whole && other.starts_with(&format!("\"{name}\":")));
                let field = format!("\"{name}\":{value}");
                match at {
                    Some(at) => all[at] = field,
                    None => all.push(field),
                }
            }
            let mut order = shuffle;
            for i in (1..all.len()).rev() {
                all.swap(i, order % (i + 1));
                order /= i + 1;
            }
            let text = format!("{{{}{end}", all.join(&format!(",{spaces}")));
            prop_assert!(agrees(&text), "{}", text);
        }

        /// A usual transaction with a few characters changed.
        #[test]
        fn what_a_slip_makes_of_it_is_read_alike(changes in prop::collection::vec((0usize..290, "[\"\\\\{}:, 0-9e.\\- a-z\n\\[\\]]{0,2}"), 1..4)) {
            let mut chars: Vec<String> = USUAL.chars().map(String::from).collect();
            for (at, text) in changes {
                if let Some(place) = chars.get_mut(at) {
                    *place = text;
                }
            }
            let text = chars.concat();
            prop_assert!(agrees(&text), "{}", text);
        }
    }
}
