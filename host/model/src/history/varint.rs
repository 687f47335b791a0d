//! Whole numbers in as few bytes as they need.

/// Appends `value`, seven bits a byte, the lowest first.
pub(crate) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(low_bits(value) | 0x80);
        value >>= 7;
    }
    out.push(low_bits(value));
}

/// Appends `value` so that small magnitudes are short.
pub(crate) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, (value << 1).cast_unsigned() ^ (value >> 63).cast_unsigned());
}

/// Takes a number off the front; `None` when there is none.
pub(crate) fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        let part = u64::from(first & 0x7f);
        if shift == 63 && part > 1 {
            return None;
        }
        value |= part << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// The same for [`put_signed`].
pub(crate) fn take_signed(bytes: &mut &[u8]) -> Option<i64> {
    let value = take(bytes)?;
    Some((value >> 1).cast_signed() ^ -((value & 1).cast_signed()))
}

fn low_bits(value: u64) -> u8 {
    (value & 0x7f).to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        let numbers = [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX];
        for number in numbers {
            let mut bytes = Vec::new();
            put(&mut bytes, number);
            put_signed(&mut bytes, number.cast_signed());
            put_signed(&mut bytes, number.cast_signed().wrapping_neg());
            let rest = &mut bytes.as_slice();
            assert_eq!(take(rest), Some(number));
            assert_eq!(take_signed(rest), Some(number.cast_signed()));
            assert_eq!(take_signed(rest), Some(number.cast_signed().wrapping_neg()));
            assert_eq!((take(rest), rest.len()), (None, 0));
        }
    }

    #[test]
    fn garbage_is_no_number() {
        for garbage in [&[][..], &[0x80], &[0xff; 9], &[0xff; 20], &[0xff, 0xff]] {
            assert_eq!(take(&mut &*garbage), None, "{garbage:?}");
        }
        let mut small = Vec::new();
        put_signed(&mut small, -64);
        assert_eq!(small.len(), 1);
    }
}
