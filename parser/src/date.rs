//! Date (RFC 3261 20.17): RFC 1123 dates in GMT.

use alloc::vec::Vec;

use crate::error::{ParseError, Reason};
use crate::scan;

const DAYS: [&[u8; 3]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];
const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

/// Reads `Sat, 13 Nov 2010 23:29:00 GMT` as seconds since 1970.
///
/// # Errors
/// [`Reason::SipDate`] for any other form, zone or impossible day.
pub fn parse(value: &[u8]) -> Result<u64, ParseError> {
    read(scan::trim(value)).ok_or_else(|| ParseError::new(Reason::SipDate, 0))
}

fn read(text: &[u8]) -> Option<u64> {
    scan::step(text.len().min(30));
    let text: &[u8; 29] = text.try_into().ok()?;
    let [
        w1,
        w2,
        w3,
        b',',
        b' ',
        d1,
        d2,
        b' ',
        m1,
        m2,
        m3,
        b' ',
        y1,
        y2,
        y3,
        y4,
        b' ',
        h1,
        h2,
        b':',
        n1,
        n2,
        b':',
        s1,
        s2,
        b' ',
        b'G',
        b'M',
        b'T',
    ] = text
    else {
        return None;
    };
    let weekday = DAYS.iter().position(|day| day.eq_ignore_ascii_case(&[*w1, *w2, *w3]))?;
    let month = MONTHS.iter().position(|name| name.eq_ignore_ascii_case(&[*m1, *m2, *m3]))?;
    let day = scan::number(&[*d1, *d2])?;
    let year = scan::number(&[*y1, *y2, *y3, *y4])?;
    let (hour, minute) = (scan::number(&[*h1, *h2])?, scan::number(&[*n1, *n2])?);
    // A leap second counts as the one after it.
    let second = scan::number(&[*s1, *s2])?;
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let days = days_since_1970(year, u32::try_from(month).ok()?.checked_add(1)?, day)?;
    // 1 January 1970 was a Thursday.
    if days.checked_add(3)?.checked_rem(7)? != u64::try_from(weekday).ok()? {
        return None;
    }
    let within =
        hour.checked_mul(3600)?.checked_add(minute.checked_mul(60)?)?.checked_add(second)?;
    days.checked_mul(86_400)?.checked_add(u64::from(within))
}

fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_of(year: u32, month: u32) -> u32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn days_since_1970(year: u32, month: u32, day: u32) -> Option<u64> {
    if !(1..=days_of(year, month)).contains(&day) {
        return None;
    }
    // Leap days in the years before this one.
    let before = year.checked_sub(1)?;
    let leaps = before.checked_div(4)?.checked_sub(before.checked_div(100)?)?;
    let leaps = leaps.checked_add(before.checked_div(400)?)?.checked_sub(477)?;
    let mut days = year.checked_sub(1970)?.checked_mul(365)?.checked_add(leaps)?;
    for earlier in 1..month {
        days = days.checked_add(days_of(year, earlier))?;
    }
    days.checked_add(day)?.checked_sub(1).map(u64::from)
}

/// Appends the date of `seconds` since 1970; after the year 9999 the last second of it.
pub fn write(seconds: u64, out: &mut Vec<u8>) {
    let seconds = seconds.min(253_402_300_799);
    let (mut days, within) = (seconds.wrapping_div(86_400), seconds.wrapping_rem(86_400));
    let weekday = days.wrapping_add(3).wrapping_rem(7);
    let mut year = 1970_u32;
    let length = |year| if is_leap(year) { 366 } else { 365 };
    while days >= length(year) {
        days = days.wrapping_sub(length(year));
        year = year.wrapping_add(1);
    }
    let mut month = 1_u32;
    while days >= u64::from(days_of(year, month)) {
        days = days.wrapping_sub(u64::from(days_of(year, month)));
        month = month.wrapping_add(1);
    }
    let name = |names: &[&'static [u8; 3]], at: u64| {
        names.get(usize::try_from(at).unwrap_or(0)).copied().unwrap_or(b"???")
    };
    out.extend_from_slice(name(&DAYS, weekday));
    out.extend_from_slice(b", ");
    two(days.wrapping_add(1), out);
    out.push(b' ');
    out.extend_from_slice(name(&MONTHS, u64::from(month).wrapping_sub(1)));
    out.push(b' ');
    two(u64::from(year).wrapping_div(100), out);
    two(u64::from(year).wrapping_rem(100), out);
    out.push(b' ');
    two(within.wrapping_div(3600), out);
    out.push(b':');
    two(within.wrapping_div(60).wrapping_rem(60), out);
    out.push(b':');
    two(within.wrapping_rem(60), out);
    out.extend_from_slice(b" GMT");
}

fn two(number: u64, out: &mut Vec<u8>) {
    let digit = |value: u64| b'0'.wrapping_add(u8::try_from(value.wrapping_rem(10)).unwrap_or(0));
    out.push(digit(number.wrapping_div(10)));
    out.push(digit(number));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for (text, seconds) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Sat, 13 Nov 2010 23:29:00 GMT", 1_289_690_940),
            ("Thu, 29 Feb 2024 12:00:01 GMT", 1_709_208_001),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799),
        ] {
            assert_eq!(parse(text.as_bytes()), Ok(seconds), "{text}");
            let mut out = Vec::new();
            write(seconds, &mut out);
            assert_eq!(out, text.as_bytes());
        }
    }

    #[test]
    fn not_dates() {
        for text in [
            "",
            "Fri, 01 Jan 2010 16:00:00 EST",
            "Sat, 01 Jan 2010 16:00:00 GMT",
            "Sat, 30 Feb 2010 16:00:00 GMT",
            "Sat, 13 Nov 2010 24:00:00 GMT",
            "Sat, 13 Nov 1969 23:29:00 GMT",
            "Sat, 13 Nov 0000 23:29:00 GMT",
            "Sat,  13 Nov 2010 23:29:00 GMT",
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap_err().reason, Reason::SipDate, "{text}");
        }
    }
}
