//! Base64 (RFC 4648, 4) in a stream: a message may arrive in any pieces.
//!
//! Line breaks and spaces are passed over: encoders made for mail put them in, and websockify never
//! minded. Anything else that is not base64, or an end in the middle, is a violation.

use serde::{Deserialize, Serialize};

use super::close::Violation;

/// What is no letter of base64.
const PADDING: u8 = 0xfd;
const SPACE: u8 = 0xfe;
const WRONG: u8 = 0xff;

/// The value of each letter.
const VALUES: [u8; 256] = {
    let mut values = [WRONG; 256];
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut at = 0;
    while at < 64 {
        #[expect(clippy::cast_possible_truncation, reason = "below 64")]
        {
            values[letters[at] as usize] = at as u8;
        }
        at += 1;
    }
    values[b'=' as usize] = PADDING;
    values[b' ' as usize] = SPACE;
    values[b'\t' as usize] = SPACE;
    values[b'\r' as usize] = SPACE;
    values[b'\n' as usize] = SPACE;
    values
};

/// Where in the base64 of one message a stream is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Decoder {
    /// The letters and padding of the present four that have arrived.
    letters: u8,
    padding: u8,
    /// The bits of the last letter.
    bits: u8,
}

impl Decoder {
    /// Decodes `text` in place. The bytes stand at its front: as many as the number says, also
    /// where the rest is a violation.
    pub(super) fn decode(&mut self, text: &mut [u8]) -> (usize, Result<(), Violation>) {
        let (mut read, mut written) = (0, 0);
        while read < text.len() {
            if self.letters == 0 && self.padding == 0 {
                take_letters(text, &mut read, &mut written);
            }
            let Some(&letter) = text.get(read) else {
                break;
            };
            read += 1;
            match VALUES[usize::from(letter)] {
                SPACE => {}
                PADDING if self.letters >= 2 && self.letters + self.padding < 4 => {
                    self.padding += 1;
                }
                value @ 0..64 if self.padding == 0 => {
                    // Each letter but the first of four ends a byte, so the bytes never need more
                    // room than the letters had.
                    if self.letters > 0 {
                        let of_the_last = 2 * self.letters;
                        text[written] = self.bits << of_the_last | value >> (6 - of_the_last);
                        written += 1;
                    }
                    self.bits = value;
                    self.letters = (self.letters + 1) % 4;
                }
                // Also anything behind the padding, which ends a message.
                _ => return (written, Err(Violation::Base64)),
            }
        }
        (written, Ok(()))
    }

    /// See [`super::reader::Reader::is_sound`].
    pub(super) fn is_sound(&self) -> bool {
        self.letters < 4 && self.padding <= 2
    }

    /// A message ends here, and the next begins.
    ///
    /// # Errors
    /// Letters are missing.
    pub(super) fn finish(&mut self) -> Result<(), Violation> {
        match (self.letters, self.padding) {
            (0, 0) | (2, 2) | (3, 1) => {
                *self = Self::default();
                Ok(())
            }
            _ => Err(Violation::Base64),
        }
    }
}

/// Takes four letters at once, as long as there is nothing but letters.
fn take_letters(text: &mut [u8], read: &mut usize, written: &mut usize) {
    while let Some(four) = text.get(*read..).and_then(<[u8]>::first_chunk::<4>) {
        let [a, b, c, d] = four.map(|letter| u32::from(VALUES[usize::from(letter)]));
        if (a | b | c | d) >= 64 {
            return;
        }
        let bits = a << 18 | b << 12 | c << 6 | d;
        text[*written..*written + 3].copy_from_slice(&bits.to_be_bytes()[1..]);
        *read += 4;
        *written += 3;
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use proptest::prelude::*;

    use super::{Decoder, Violation};

    /// What a text gives when it arrives in the given pieces.
    fn decoded(text: &[u8], cuts: &[usize]) -> (Vec<u8>, Result<(), Violation>) {
        let mut bounds: Vec<usize> = cuts.iter().map(|cut| cut % (text.len() + 1)).collect();
        bounds.extend([0, text.len()]);
        bounds.sort_unstable();
        let (mut decoder, mut bytes) = (Decoder::default(), Vec::new());
        for pair in bounds.windows(2) {
            let mut piece = text[pair[0]..pair[1]].to_vec();
            let (size, result) = decoder.decode(&mut piece);
            bytes.extend_from_slice(&piece[..size]);
            if result.is_err() {
                return (bytes, result);
            }
        }
        (bytes, decoder.finish())
    }

    #[test]
    fn what_is_wrong_and_what_came_before_it() {
        for (text, bytes, good) in [
            (&b""[..], &b""[..], true),
            (b"YWJj", b"abc", true),
            (b"YWI=", b"ab", true),
            (b"YQ==", b"a", true),
            (b"\r\nYW\n Jj\tYQ =\r\n=\n", b"abca", true),
            (b"YWJjY", b"abc", false),
            (b"YWJjYQ", b"abca", false),
            (b"YWJjYQ=", b"abca", false),
            (b"YQ===", b"a", false),
            (b"YQ==YQ==", b"a", false),
            (b"YWJj=", b"abc", false),
            (b"Y===", b"", false),
            (b"=", b"", false),
            (b"YWJj-_-_", b"abc", false),
            (b"YWJj\xffWJj", b"abc", false),
            (b"YWJj\0", b"abc", false),
        ] {
            let expected = if good { Ok(()) } else { Err(Violation::Base64) };
            for cut in 0..=text.len() {
                let got = decoded(text, &[cut]);
                assert_eq!(got, (bytes.to_vec(), expected), "{text:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_decoder_is_new_after_each_message() {
        let mut decoder = Decoder::default();
        for _ in 0..2 {
            let mut text = *b"YQ==";
            assert_eq!(decoder.decode(&mut text), (1, Ok(())));
            assert_eq!(decoder.finish(), Ok(()));
        }
    }

    proptest! {
        #[test]
        fn any_split_gives_what_was_encoded(
            bytes in prop::collection::vec(any::<u8>(), 0..400),
            cuts in prop::collection::vec(0usize..600, 0..12),
        ) {
            let text = BASE64_STANDARD.encode(&bytes);
            prop_assert_eq!(decoded(text.as_bytes(), &cuts), (bytes, Ok(())));
        }

        #[test]
        fn noise_gives_the_same_at_any_split_and_what_is_taken_is_base64(
            noise in prop::collection::vec(prop::sample::select(b"AQgw+/z9= \n-".to_vec()), 0..40),
            cuts in prop::collection::vec(0usize..40, 0..6),
        ) {
            let whole = decoded(&noise, &[]);
            prop_assert_eq!(&decoded(&noise, &cuts), &whole);
            let text: Vec<u8> = noise.iter().copied().filter(|it| !b" \n".contains(it)).collect();
            // The oracle also minds bits that the padding leaves over.
            if let Ok(bytes) = BASE64_STANDARD.decode(&text) {
                prop_assert_eq!(whole, (bytes, Ok(())));
            }
        }
    }
}
