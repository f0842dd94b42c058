//! The compact form of signed and encrypted tokens (RFC 7515, 7.1; RFC 7516, 7.1), taken apart.
//! Nothing here is true yet.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::Reason;

/// A token by its number of parts.
#[derive(Debug)]
pub(super) enum Compact<'t> {
    Signed(Signed<'t>),
    Encrypted(Encrypted<'t>),
}

#[derive(Debug)]
pub(super) struct Signed<'t> {
    pub(super) header: Header,
    /// What the signature is over.
    pub(super) signed: &'t [u8],
    pub(super) payload: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Encrypted<'t> {
    pub(super) header: Header,
    /// What is authenticated beside the ciphertext.
    pub(super) beside: &'t [u8],
    /// The encrypted content key; empty where there is none.
    pub(super) key: Vec<u8>,
    pub(super) iv: Vec<u8>,
    pub(super) ciphertext: Vec<u8>,
    pub(super) tag: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Header(Map<String, Value>);

impl<'t> Compact<'t> {
    pub(super) fn parse(token: &'t str) -> Result<Self, Reason> {
        let parts: Vec<&str> = token.splitn(6, '.').collect();
        match *parts.as_slice() {
            [header, payload, signature] => Ok(Self::Signed(Signed {
                signed: token
                    .as_bytes()
                    .get(..header.len() + 1 + payload.len())
                    .unwrap_or_default(),
                header: Header::parse(header)?,
                payload: decode(payload)?,
                signature: decode(signature)?,
            })),
            [header, key, iv, ciphertext, tag] => Ok(Self::Encrypted(Encrypted {
                beside: header.as_bytes(),
                header: Header::parse(header)?,
                key: decode(key)?,
                iv: decode(iv)?,
                ciphertext: decode(ciphertext)?,
                tag: decode(tag)?,
            })),
            _ => Err("it is no JWT"),
        }
    }
}

impl Header {
    fn parse(text: &str) -> Result<Self, Reason> {
        let Ok(fields) = serde_json::from_slice::<Map<String, Value>>(&decode(text)?) else {
            return Err("its header is no JSON object");
        };
        if fields.contains_key("crit") {
            return Err("it asks for an extension (crit)");
        }
        // A few bytes could grow to gigabytes, and a token is short without it.
        if fields.contains_key("zip") {
            return Err("it is compressed (zip), which is not supported");
        }
        Ok(Self(fields))
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    pub(super) fn bytes(&self, name: &str) -> Result<Vec<u8>, Reason> {
        self.text(name)
            .map_or(Err("its header lacks a field"), decode)
    }

    /// An object in the header.
    pub(super) fn inner(&self, name: &str) -> Option<Self> {
        self.0.get(name)?.as_object().cloned().map(Self)
    }
}

fn decode(text: &str) -> Result<Vec<u8>, Reason> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| "it is not base64url")
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::prelude::{any, prop, prop_oneof, proptest};
    use proptest::strategy::Strategy;

    use super::Compact;

    fn signed(header: &str) -> String {
        format!("{}.e30.AA", URL_SAFE_NO_PAD.encode(header))
    }

    #[test]
    fn parts() {
        assert!(matches!(
            Compact::parse(&signed("{}")),
            Ok(Compact::Signed(it)) if it.signed == b"e30.e30" && it.payload == b"{}"
        ));
        assert!(matches!(
            Compact::parse("e30...AA.AA"),
            Ok(Compact::Encrypted(it)) if it.beside == b"e30" && it.key.is_empty()
        ));
        for token in [
            "",
            "e30",
            "e30.e30",
            "e30.e30.AA.AA",
            "e30.e30.AA.AA.AA.AA",
            "e30.e30.A",
            "e30.e3=.AA",
            "e30.e30.+A",
            &signed("[]"),
            &signed("{\"alg\":"),
            &signed("{\"crit\":[]}"),
            &signed("{\"zip\":\"DEF\"}"),
        ] {
            assert!(Compact::parse(token).is_err(), "{token}");
        }
    }

    proptest! {
        /// Deep nesting, broken text, any bytes.
        #[test]
        fn nothing_panics(parts in prop::collection::vec(part(), 0..7)) {
            let _ = Compact::parse(&parts.join("."));
        }
    }

    fn part() -> impl Strategy<Value = String> {
        prop_oneof![
            "[ -~]{0,20}",
            prop::collection::vec(any::<u8>(), 0..40).prop_map(|it| URL_SAFE_NO_PAD.encode(it)),
            "\\{\"(alg|crit|epk|iv)\":[\\[{}\\]0-9\"a-z:,]{0,20}\\}"
                .prop_map(|it| URL_SAFE_NO_PAD.encode(it)),
            (0_usize..4096).prop_map(|it| URL_SAFE_NO_PAD.encode("[".repeat(it))),
        ]
    }
}
