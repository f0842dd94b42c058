//! What has gone through a connection while OpenSSL does its TLS: all that another implementation
//! needs to go on from besides the keys. Records are counted by their headers, which nothing hides.

/// Type, version and length (RFC 8446, 5.1).
const HEADER: usize = 5;

const CHANGE_CIPHER_SPEC: u8 = 20;

/// Both directions of a connection.
#[derive(Debug, Default)]
pub struct Records {
    pub(super) sent: Passed,
    pub(super) received: Passed,
    /// How many had been sent when something was last read.
    sent_before: u64,
    /// What had been received when the handshake was over.
    begun: (u64, u64),
    /// Payload that OpenSSL has found in what was received since then.
    pub(crate) payload: u64,
    /// Whether something is to be sent that the socket had no room for.
    pub(super) blocked: bool,
}

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Passed {
    header: [u8; HEADER],
    header_len: usize,
    /// Of the body of the record that is under way.
    left: usize,
    /// Records since the keys were changed.
    pub(super) count: u64,
    /// Their bodies.
    bytes: u64,
    /// How the last body began: the nonce, in TLS 1.2 with AES-GCM (RFC 5288, 3).
    pub(super) nonce: [u8; 8],
}

impl Records {
    pub(super) fn sent(&mut self, bytes: &[u8]) {
        self.blocked = false;
        self.sent.see(bytes);
    }

    pub(super) fn received(&mut self, bytes: &[u8]) {
        self.sent_before = self.sent.count;
        self.received.see(bytes);
    }

    /// The handshake is over, and OpenSSL has read no further than to its last record.
    ///
    /// TLS 1.3 hides where its keys change. That is behind the last flight of each side, and only the
    /// server may have sent something since: its tickets, which answer the client's last flight.
    pub(super) fn begin(&mut self, by_version_1_3: bool, is_server: bool) {
        if by_version_1_3 {
            let sent = self.sent.count - self.sent_before.min(self.sent.count);
            self.sent.count = if is_server { sent } else { 0 };
            self.received.count = 0;
            self.received.bytes = 0;
        }
        self.begun = (self.received.count, self.received.bytes);
        self.payload = 0;
    }

    /// Whether nothing is in the middle of a record, and all that came since the handshake was
    /// payload, in records that are larger by `overhead`. Where not, it may have been new keys.
    pub(super) fn is_settled(&self, overhead: u64) -> bool {
        let (count, bytes) = self.begun;
        let count = self.received.count - count.min(self.received.count);
        let bytes = self.received.bytes - bytes.min(self.received.bytes);
        !self.blocked
            && self.sent.is_whole()
            && self.received.is_whole()
            && bytes == self.payload + count * overhead
    }
}

impl Passed {
    fn is_whole(&self) -> bool {
        self.header_len == 0
    }

    fn see(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.header_len < HEADER {
                let size = bytes.len().min(HEADER - self.header_len);
                let (head, rest) = bytes.split_at(size);
                self.header[self.header_len..][..size].copy_from_slice(head);
                self.header_len += size;
                bytes = rest;
                self.left = self.body();
            } else {
                let at = self.body() - self.left;
                let (body, rest) = bytes.split_at(bytes.len().min(self.left));
                if let Some(room) = self.nonce.get_mut(at..) {
                    let size = room.len().min(body.len());
                    room[..size].copy_from_slice(&body[..size]);
                }
                self.left -= body.len();
                bytes = rest;
            }
            if self.header_len == HEADER && self.left == 0 {
                self.end();
            }
        }
    }

    /// The length of the body, once the header is whole.
    fn body(&self) -> usize {
        usize::from(u16::from_be_bytes([self.header[3], self.header[4]]))
    }

    fn end(&mut self) {
        self.header_len = 0;
        if self.header[0] == CHANGE_CIPHER_SPEC {
            self.count = 0;
            self.bytes = 0;
        } else {
            self.count += 1;
            self.bytes += self.body() as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{CHANGE_CIPHER_SPEC, Passed};

    fn record(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&[kind, 3, 3], &length[..], body].concat()
    }

    proptest! {
        #[test]
        fn any_split_counts_the_same(cuts in prop::collection::vec(1_usize..9, 0..99)) {
            let stream = [
                record(22, b"in the clear"),
                record(CHANGE_CIPHER_SPEC, &[1]),
                record(22, b"12345678 finished"),
                record(23, b""),
                record(23, b"abcdefgh and more"),
                record(23, b"XY"),
            ]
            .concat();
            let mut passed = Passed::default();
            let mut rest = &stream[..];
            for cut in cuts {
                let (piece, other) = rest.split_at(cut.min(rest.len()));
                passed.see(piece);
                rest = other;
            }
            passed.see(rest);
            prop_assert!(passed.is_whole());
            prop_assert_eq!((passed.count, passed.bytes), (4, 17 + 17 + 2));
            prop_assert_eq!(&passed.nonce, b"XYcdefgh");
            passed.see(&[23, 3]);
            prop_assert!(!passed.is_whole());
        }
    }
}
