//! What streams consist of, and whether what arrives is it.

use std::sync::LazyLock;

/// Again and again: a prime number of bytes without a pattern, so that any loss, repetition or
/// exchange shows at once.
pub(crate) static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..1_048_583).map(next).collect()
});

/// The bytes from `at` on, `most` of them at the most.
pub(crate) fn expected(at: usize, most: usize) -> &'static [u8] {
    let rest = &BYTES[at % BYTES.len()..];
    &rest[..most.min(rest.len())]
}

/// Whether `bytes` are those from `at` on, or what they are.
pub(crate) fn check(at: usize, bytes: &[u8]) -> Result<(), String> {
    let mut checked = 0;
    while checked < bytes.len() {
        let wanted = expected(at + checked, bytes.len() - checked);
        let piece = &bytes[checked..checked + wanted.len()];
        if piece != wanted {
            let mut pairs = piece.iter().zip(wanted);
            let from = pairs.position(|(is, was)| is != was).unwrap();
            let found = &piece[from..piece.len().min(from + 16)];
            let belongs = BYTES.windows(found.len()).position(|it| it == found);
            let place = at + checked + from;
            return Err(format!(
                "byte {place}: {found:02x?}, which belong to {belongs:?}"
            ));
        }
        checked += wanted.len();
    }
    Ok(())
}
