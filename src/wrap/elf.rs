//! What a program file says about itself in its first bytes: whether a library can be preloaded.
//! Bytes in, a verdict out (elf(5)).

use crate::executable;

/// What kind of file it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A program that the loader of this name links when it starts.
    Dynamic {
        /// The loader's path.
        loader: Vec<u8>,
        /// Class, byte order and processor, as numbers that can be compared.
        machine: [u8; 4],
    },
    /// A program that is linked already.
    Static,
    /// A program that Go's own linker made: it speaks to the kernel without the C library.
    Go,
    /// A script for this interpreter.
    Script(Vec<u8>),
    /// Something else, which execve(2) has to judge.
    Unknown,
}

const LOADER: u32 = 3;
const NOTE: u32 = 4;
/// Name and type of the note that holds the id of a Go build.
const GO_BUILD: (&[u8], u32) = (b"Go\0\0", 4);

/// Judges a file by its beginning.
#[must_use]
pub(super) fn kind(file: &[u8]) -> Kind {
    if let Some(words) = executable::script(file) {
        let interpreter = words.first();
        return interpreter.map_or(Kind::Unknown, |it| Kind::Script(it.to_vec()));
    }
    Reader::of(file)
        .and_then(|reader| reader.kind())
        .unwrap_or(Kind::Unknown)
}

/// Reads numbers in the file's own size and order.
struct Reader<'f> {
    file: &'f [u8],
    wide: bool,
    little: bool,
}

impl<'f> Reader<'f> {
    fn of(file: &'f [u8]) -> Option<Self> {
        let wide = match (file.get(..4)?, file.get(4)?) {
            (b"\x7fELF", 1) => false,
            (b"\x7fELF", 2) => true,
            _ => return None,
        };
        Some(Self {
            file,
            wide,
            little: *file.get(5)? == 1,
        })
    }

    fn kind(&self) -> Option<Kind> {
        let (table, entry, entries) = if self.wide {
            (self.word(0x20)?, self.half(0x36)?, self.half(0x38)?)
        } else {
            (self.word(0x1c)?, self.half(0x2a)?, self.half(0x2c)?)
        };
        let mut loader = None;
        for index in 0..entries.into() {
            let header = table.checked_add(index * usize::from(entry))?;
            if header > self.file.len() {
                return None;
            }
            let (offset, size) = if self.wide {
                (self.word(header + 0x08)?, self.word(header + 0x20)?)
            } else {
                (self.word(header + 0x04)?, self.word(header + 0x10)?)
            };
            let content = || self.file.get(offset..offset.checked_add(size)?);
            match self.number(header)? {
                LOADER => loader = Some(content()?),
                // Other compilers' notes may be beyond what was read; Go's is near the beginning.
                NOTE if content().is_some_and(|notes| self.is_go(notes)) => return Some(Kind::Go),
                _ => {}
            }
        }
        Some(match loader {
            None => Kind::Static,
            Some(loader) => {
                let [class, order, ..] = *self.file.get(4..)? else {
                    return None;
                };
                let [a, b] = self.half(0x12)?.to_be_bytes();
                let loader = loader.strip_suffix(b"\0").unwrap_or(loader);
                Kind::Dynamic {
                    loader: loader.to_vec(),
                    machine: [class, order, a, b],
                }
            }
        })
    }

    fn is_go(&self, notes: &[u8]) -> bool {
        let notes = Reader {
            file: notes,
            ..*self
        };
        notes.file.get(12..16) == Some(GO_BUILD.0) && notes.number(8) == Some(GO_BUILD.1)
    }

    fn bytes<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        let mut bytes: [u8; N] = *self.file.get(at..)?.first_chunk()?;
        if self.little {
            bytes.reverse();
        }
        Some(bytes)
    }

    fn half(&self, at: usize) -> Option<u16> {
        self.bytes(at).map(u16::from_be_bytes)
    }

    fn number(&self, at: usize) -> Option<u32> {
        self.bytes(at).map(u32::from_be_bytes)
    }

    /// A number as wide as the program's addresses.
    fn word(&self, at: usize) -> Option<usize> {
        if self.wide {
            let word = self.bytes(at).map(u64::from_be_bytes)?;
            usize::try_from(word).ok()
        } else {
            usize::try_from(self.number(at)?).ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, kind};

    #[test]
    fn scripts_name_their_interpreter() {
        for (line, interpreter) in [
            ("#!/usr/bin/perl\nuse", "/usr/bin/perl"),
            ("#! /usr/bin/env python3\n", "/usr/bin/env"),
            ("#!/bin/sh", "/bin/sh"),
        ] {
            let script = Kind::Script(interpreter.into());
            assert_eq!(kind(line.as_bytes()), script, "{line}");
        }
        assert_eq!(kind(b"#!\n"), Kind::Unknown);
    }

    #[test]
    fn this_very_program_is_linked_when_it_starts() {
        let file = std::fs::read("/proc/self/exe").unwrap();
        let Kind::Dynamic { loader, .. } = kind(&file) else {
            panic!("{:?}", kind(&file[..64]));
        };
        assert!(loader.windows(3).any(|it| it == b"ld-"), "{loader:?}");
    }

    /// A file of two headers: a loader, and a note of this name and type.
    fn with_note(name: [u8; 4], kind: u32) -> Vec<u8> {
        let mut file = b"\x7fELF\x02\x01".to_vec();
        file.resize(0x40, 0);
        file[0x20] = 0x40;
        file[0x36] = 0x38;
        file[0x38] = 2;
        for (kind, offset, size) in [(super::LOADER, 0xb0_u64, 8_u64), (super::NOTE, 0xb8, 20)] {
            let at = file.len();
            file.extend(kind.to_le_bytes());
            file.resize(at + 0x38, 0);
            file[at + 0x08..at + 0x10].copy_from_slice(&offset.to_le_bytes());
            file[at + 0x20..at + 0x28].copy_from_slice(&size.to_le_bytes());
        }
        file.extend(b"/lib/ld\0");
        for number in [4, 4, kind] {
            file.extend(number.to_le_bytes());
        }
        file.extend(name);
        file.extend([0; 4]);
        file
    }

    #[test]
    fn go_is_known_by_its_note() {
        assert_eq!(kind(&with_note(*b"Go\0\0", 4)), Kind::Go);
        for (name, number) in [(*b"GNU\0", 4), (*b"Go\0\0", 1)] {
            let Kind::Dynamic { loader, .. } = kind(&with_note(name, number)) else {
                panic!("{name:?}")
            };
            assert_eq!(loader, b"/lib/ld");
        }
    }

    #[test]
    fn no_beginning_of_a_file_is_too_odd() {
        let file = std::fs::read("/proc/self/exe").unwrap();
        for length in 0..2000 {
            let _ = kind(&file[..length]);
        }
        let mut file = file[..2000].to_vec();
        // Every number in the headers as large as it gets.
        for at in 4..512 {
            let was = std::mem::replace(&mut file[at], 0xff);
            let _ = kind(&file);
            file[at] = was;
        }
        file[4..512].fill(0xff);
        let _ = kind(&file);
        assert_eq!(kind(b""), Kind::Unknown);
        assert_eq!(kind(b"plain text"), Kind::Unknown);
    }
}
