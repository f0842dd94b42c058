//! Lines of JSON, in both directions. Pure: bytes in, values out.

use serde_json::{Map, Value};

use crate::limits;

/// An object: a question, or an answer without its number.
pub type Fields = Map<String, Value>;

/// Version of the protocol: the start's question and answer both name it.
pub(super) const PROTOCOL: u64 = 1;

/// The question that every run is asked first.
pub(super) fn greeting() -> Fields {
    fields([
        ("stage", "start".into()),
        ("protocol", PROTOCOL.into()),
        ("version", env!("CARGO_PKG_VERSION").into()),
    ])
}

/// An object of these.
#[must_use]
pub fn fields<'n>(pairs: impl IntoIterator<Item = (&'n str, Value)>) -> Fields {
    let named = |(name, value): (&str, Value)| (name.to_owned(), value);
    pairs.into_iter().map(named).collect()
}

/// Text in which each byte is one character (ISO-8859-1): nothing is lost of bytes that are not
/// UTF-8, and a reader need not guess.
#[must_use]
pub fn bytes(bytes: &[u8]) -> Value {
    Value::String(bytes.iter().copied().map(char::from).collect())
}

/// The line that asks `question`.
pub(super) fn line(id: u64, question: &Fields) -> Vec<u8> {
    let mut question = question.clone();
    question.insert("id".to_owned(), id.into());
    let mut line = Value::Object(question).to_string().into_bytes();
    line.push(b'\n');
    line
}

/// Reads an answer: the question's number, and what is said.
pub(super) fn answer(line: &[u8]) -> Result<(u64, Fields), &'static str> {
    let read: Result<Value, _> = serde_json::from_slice(line);
    let Ok(Value::Object(mut fields)) = read else {
        return Err("wrote a line that is not a JSON object");
    };
    let id = fields.remove("id").as_ref().and_then(Value::as_u64);
    Ok((id.ok_or("wrote an answer without an id")?, fields))
}

/// A text of an answer; none if it is null or not there.
///
/// # Errors
/// What is wrong with it.
pub fn text(answer: &Fields, name: &str) -> Result<Option<String>, String> {
    match answer.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.len() <= limits::HELPER_TEXT => Ok(Some(text.clone())),
        Some(Value::String(_)) => Err(format!(
            "{name} is longer than {} bytes",
            limits::HELPER_TEXT
        )),
        Some(_) => Err(format!("{name} is not a string")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::{answer, bytes, fields, line};

    #[test]
    fn an_answer_has_the_number_of_its_question() {
        let (id, said) = answer(br#" {"allow":true,"id":7} "#).unwrap();
        assert_eq!((id, said), (7, fields([("allow", true.into())])));
        for broken in [
            "",
            "{",
            "[]",
            "7",
            "{} {}",
            r#"{"allow":true}"#,
            r#"{"id":"7"}"#,
            r#"{"id":-7}"#,
            r#"{"id":7.5}"#,
            r#"{"id":18446744073709551616}"#,
        ] {
            assert!(answer(broken.as_bytes()).is_err(), "{broken}");
        }
    }

    #[test]
    fn a_question_is_one_line_whatever_a_peer_wrote() {
        let text = bytes(b"a\nb\r\"\\\0\xff\xe4");
        assert_eq!(text, json!("a\nb\r\"\\\0\u{ff}\u{e4}"));
        let line = line(3, &fields([("path", text)]));
        let (last, rest) = line.split_last().unwrap();
        assert_eq!(*last, b'\n');
        assert!(!rest.iter().any(|byte| byte.is_ascii_control()));
        assert_eq!(answer(rest).unwrap().0, 3);
    }

    proptest! {
        #[test]
        fn no_line_is_too_strange(line: Vec<u8>) {
            let _ = answer(&line);
        }

        #[test]
        fn no_text_is_too_strange(line: String) {
            let _ = answer(line.as_bytes());
            let _ = answer(format!("{{\"id\":1,\"allow\":{line}}}").as_bytes());
        }
    }
}
