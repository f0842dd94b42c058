//! Bytes that show any loss, repetition or swap: a long pseudo-random run, over and over.

/// The longest slice that is asked for or compared at once.
pub(crate) const LONGEST: usize = 256 * 1024;

/// A stream that repeats after `period` bytes.
#[derive(Debug)]
pub(crate) struct Pattern {
    period: usize,
    /// One period and the beginning of the next, so that any part of the stream is one slice.
    bytes: Vec<u8>,
}

impl Pattern {
    pub(crate) fn new(period: usize) -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut bytes: Vec<u8> = (0..period)
            .map(|_| {
                // xorshift64 (Marsaglia, 2003): every byte is of use, and no part repeats.
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()[4]
            })
            .collect();
        for at in 0..LONGEST {
            bytes.push(bytes[at]);
        }
        Self { period, bytes }
    }

    /// What stands at `offset`, at most `longest` bytes or [`LONGEST`].
    pub(crate) fn at(&self, offset: u64, longest: u64) -> &[u8] {
        let start = (offset % self.period as u64) as usize;
        &self.bytes[start..start + longest.min(LONGEST as u64) as usize]
    }

    /// Whether `data` is what stands at `offset`; it is not longer than [`LONGEST`].
    pub(crate) fn is_at(&self, offset: u64, data: &[u8]) -> bool {
        self.at(offset, data.len() as u64) == data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_a_swap_and_a_wrong_byte_are_seen() {
        let pattern = Pattern::new(65521);
        let mut data = pattern.at(65000, 2000).to_vec();
        assert!(pattern.is_at(65000, &data));
        assert!(pattern.is_at(65000 + 65521, &data));
        assert!(!pattern.is_at(65001, &data));
        data.swap(900, 901);
        assert!(!pattern.is_at(65000, &data));
        data.swap(900, 901);
        data[1999] ^= 1;
        assert!(!pattern.is_at(65000, &data));
    }
}
