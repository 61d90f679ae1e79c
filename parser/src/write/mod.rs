//! Writing messages into a caller's buffer.

mod head;
mod request;
mod response;

pub use head::HeadWriter;
pub use request::{RequestHead, request};
pub use response::{ResponseHead, response};

use alloc::vec::Vec;

/// Appends a number in decimal.
pub fn write_number(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [b'0'; 20];
    let mut used = 0_usize;
    for slot in digits.iter_mut().rev() {
        *slot = b'0'.wrapping_add(u8::try_from(number.wrapping_rem(10)).unwrap_or(0));
        number = number.wrapping_div(10);
        used = used.saturating_add(1);
        if number == 0 {
            break;
        }
    }
    let start = digits.len().saturating_sub(used);
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
}

/// Appends a value that came in from outside: each run of line ends in it, folding or not, becomes one
/// space, so that it can never start a header of its own.
pub fn write_value(value: &[u8], out: &mut Vec<u8>) {
    let mut rest = value;
    while let Some(at) = crate::scan::find2(b'\r', b'\n', rest) {
        let (head, tail) = rest.split_at_checked(at).unwrap_or((rest, b""));
        out.extend_from_slice(head);
        out.push(b' ');
        let ends = tail.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        rest = tail.get(ends..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}
