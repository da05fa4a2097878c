//! Dates and times as ISO 8601 writes them, read and written a million times a second.

/// The microseconds of a day.
const DAY_MICROS: i64 = 86_400_000_000;

/// Days since 1970 of `2026-12-31`; none if there is no such day.
pub(super) fn parse_date(text: &str) -> Option<i32> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text.as_bytes().first_chunk::<10>().copied()? else {
        return None;
    };
    let year = 100 * two(y1, y2)? + two(y3, y4)?;
    let (month, day) = (two(m1, m2)?, two(d1, d2)?);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(is_leap),
        1..=12 => 31,
        _ => return None,
    };
    let is_whole = text.len() == 10 && (1..=length).contains(&day);
    is_whole.then(|| i32::try_from(days(year, month, day)).ok()).flatten()
}

/// Microseconds since 1970 of `2026-12-31T23:59:59.123456Z` or with `+01:00`; none if it is finer than microseconds.
pub(super) fn parse_timestamp(text: &str) -> Option<i64> {
    let (date, rest) = text.split_at_checked(10)?;
    let days = parse_date(date)?;
    let ([b'T', h1, h2, b':', m1, m2, b':', s1, s2], zone) = rest.as_bytes().split_first_chunk::<9>()? else {
        return None;
    };
    let (hour, minute, second) = (two(*h1, *h2)?, two(*m1, *m2)?, two(*s1, *s2)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (micros, zone) = match zone.split_first() {
        Some((b'.', rest)) => fraction(rest)?,
        _ => (0, zone),
    };
    let ahead = match zone {
        [b'Z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (two(*h1, *h2)?, two(*m1, *m2)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let seconds = 3600 * hours + 60 * minutes;
            if *sign == b'-' { -seconds } else { seconds }
        }
        _ => return None,
    };
    let seconds = i64::from(days) * 86_400 + 3600 * hour + 60 * minute + second - ahead;
    Some(seconds * 1_000_000 + micros)
}

/// Digits behind the point as microseconds, and what follows them.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at_checked(count).filter(|_| count > 0)?;
    let (micros, finer) = digits.split_at_checked(6).unwrap_or((digits, &[]));
    if finer.iter().any(|digit| *digit != b'0') {
        return None;
    }
    let value = micros.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
    Some((value * 10_i64.pow(6 - u32::try_from(micros.len()).ok()?), rest))
}

fn two(tens: u8, ones: u8) -> Option<i64> {
    let is_digits = tens.is_ascii_digit() && ones.is_ascii_digit();
    is_digits.then(|| 10 * i64::from(tens - b'0') + i64::from(ones - b'0'))
}

/// Days since 1970, by the calendar of the years before too: years begin in March, so that the leap day comes last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day of so many days since 1970.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// Writes a day; years beyond 9999 are none that ISO 8601 can write in four digits.
pub(super) fn write_date(out: &mut String, days_since: i64) -> bool {
    let (year, month, day) = civil(days_since);
    if !(0..=9999).contains(&year) {
        return false;
    }
    push_two(out, year / 100);
    push_two(out, year % 100);
    out.push('-');
    push_two(out, month);
    out.push('-');
    push_two(out, day);
    true
}

/// Writes a point in time, with as many digits behind the point as it has.
pub(super) fn write_timestamp(out: &mut String, micros: i64) -> bool {
    if !write_date(out, micros.div_euclid(DAY_MICROS)) {
        return false;
    }
    let of_day = micros.rem_euclid(DAY_MICROS);
    let (seconds, mut fraction) = (of_day / 1_000_000, of_day % 1_000_000);
    for (before, value) in [('T', seconds / 3600), (':', seconds / 60 % 60), (':', seconds % 60)] {
        out.push(before);
        push_two(out, value);
    }
    if fraction > 0 {
        out.push('.');
        while fraction > 0 {
            out.push(digit(fraction / 100_000));
            fraction = fraction % 100_000 * 10;
        }
    }
    out.push('Z');
    true
}

fn push_two(out: &mut String, value: i64) {
    out.push(digit(value / 10));
    out.push(digit(value % 10));
}

fn digit(value: i64) -> char {
    u32::try_from(value).ok().and_then(|value| char::from_digit(value, 10)).unwrap_or('?')
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, NaiveDate, TimeDelta};

    use super::*;

    #[test]
    fn every_day_of_two_thousand_years_is_as_chrono_has_it() {
        let first = NaiveDate::from_ymd_opt(1, 1, 1).unwrap();
        for offset in (0..800_000).step_by(17) {
            let date = first + TimeDelta::days(offset);
            let since = date.signed_duration_since(NaiveDate::default()).num_days();
            let mut text = String::new();
            assert!(write_date(&mut text, since));
            assert_eq!(text, date.format("%Y-%m-%d").to_string());
            assert_eq!(parse_date(&text).map(i64::from), Some(since));
        }
        let mut text = String::new();
        assert!(!write_date(&mut text, i64::from(i32::MAX)));
    }

    #[test]
    fn days_that_there_are_not_are_refused() {
        for text in [
            "2026-02-29",
            "2026-13-01",
            "2026-00-01",
            "2026-01-00",
            "2026-04-31",
            "2026-1-01",
            "26-01-01é",
            "",
        ] {
            assert_eq!(parse_date(text), None, "{text}");
        }
        assert!(parse_date("2024-02-29").is_some() && parse_date("2000-02-29").is_some());
        assert!(parse_date("1900-02-29").is_none());
    }

    #[test]
    fn points_in_time_are_as_chrono_has_them() {
        for text in [
            "2026-12-31T23:59:59Z",
            "1969-12-31T23:59:59.999999Z",
            "2026-01-01T00:00:00.5+01:30",
            "2026-01-01T00:00:00.120000000-11:00",
        ] {
            let expected = DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros();
            assert_eq!(parse_timestamp(text), Some(expected), "{text}");
            let mut written = String::new();
            assert!(write_timestamp(&mut written, expected));
            assert_eq!(parse_timestamp(&written), Some(expected), "{written}");
        }
        let mut text = String::new();
        write_timestamp(&mut text, 1_500_000);
        assert_eq!(text, "1970-01-01T00:00:01.5Z");
        for text in [
            "2026-12-31T24:00:00Z",
            "2026-12-31T23:59:60Z",
            "2026-12-31T23:59:59",
            "2026-12-31 23:59:59Z",
            "2026-12-31T23:59:59.Z",
            "2026-12-31T23:59:59.1234567Z",
            "2026-12-31T23:59:59+0100",
            "2026-12-31T23:59:5é",
        ] {
            assert_eq!(parse_timestamp(text), None, "{text}");
        }
    }
}
