//! The client's mask (RFC 6455, 5.3): XOR with four bytes that repeat.

/// What is unmasked at once: two vector instructions of 16 bytes, which every processor of the kind
/// has. By 8 bytes it took twice the time.
const WIDE: usize = 32;

/// Removes `mask` from `data` in place and returns the mask turned so that it continues where
/// `data` ended: a frame may arrive in any number of pieces.
pub fn unmask(data: &mut [u8], mask: [u8; 4]) -> [u8; 4] {
    let mut wide = [0; WIDE];
    for key in wide.chunks_exact_mut(mask.len()) {
        key.copy_from_slice(&mask);
    }
    let mut blocks = data.chunks_exact_mut(WIDE);
    for block in &mut blocks {
        for (byte, key) in block.iter_mut().zip(wide) {
            *byte ^= key;
        }
    }
    for (byte, key) in blocks.into_remainder().iter_mut().zip(wide) {
        *byte ^= key;
    }
    let mut turned = mask;
    turned.rotate_left(data.len() % 4);
    turned
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::unmask;

    fn plain(data: &[u8], mask: [u8; 4]) -> Vec<u8> {
        data.iter()
            .zip(mask.iter().cycle())
            .map(|(byte, key)| byte ^ key)
            .collect()
    }

    #[test]
    fn every_length_and_alignment_equals_the_plain_loop() {
        let source: Vec<u8> = (0..96u8).collect();
        for start in 0..16 {
            for end in start..source.len() {
                let mut data = source.clone();
                unmask(&mut data[start..end], [0x37, 0xfa, 0x21, 0x3d]);
                assert_eq!(
                    data[start..end],
                    plain(&source[start..end], [0x37, 0xfa, 0x21, 0x3d])
                );
                assert_eq!(data[..start], source[..start]);
                assert_eq!(data[end..], source[end..]);
            }
        }
    }

    proptest! {
        #[test]
        fn pieces_equal_the_whole(data in prop::collection::vec(any::<u8>(), 0..300),
                                  mask: [u8; 4], cut in 0usize..300) {
            let cut = cut.min(data.len());
            let mut pieces = data.clone();
            let (left, right) = pieces.split_at_mut(cut);
            let turned = unmask(left, mask);
            unmask(right, turned);
            prop_assert_eq!(pieces, plain(&data, mask));
        }
    }
}
