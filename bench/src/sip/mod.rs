//! SIP as the generator speaks it: requests written from fixed parts, answers read with no more
//! than the measurement needs.

pub mod read;
pub mod write;

/// Numbers in messages have this many digits, so that sizes are the same.
pub const DIGITS: usize = 8;

/// A number as it stands in messages.
pub fn digits(number: u32) -> [u8; DIGITS] {
    let (mut text, mut rest) = ([b'0'; DIGITS], number);
    for place in text.iter_mut().rev() {
        *place = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    text
}

/// A number of eight digits or fewer.
pub fn number(text: &[u8]) -> Option<u32> {
    let digit = |n: u32, b: &u8| b.is_ascii_digit().then(|| n * 10 + u32::from(b - b'0'));
    (!text.is_empty() && text.len() <= DIGITS).then(|| text.iter().try_fold(0, digit))?
}
