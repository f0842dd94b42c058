//! An instance's file, held against another reader of the same grammar; and what comes of it.

use super::Instance;
use super::environment_file::{is_variable, parse};
use crate::fuzz::Input;

/// A file.
pub(crate) fn environment_file(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    assert_eq!(parse(&text), by_states(&text), "{text:?}");
}

/// Where systemd's own reader is between two characters.
#[derive(Clone, Copy)]
enum At {
    Nothing,
    Name,
    BeforeValue,
    Value,
    ValueEscape,
    Single,
    Double,
    DoubleEscape,
    Comment,
    CommentEscape,
}

/// Reads a file a character at a time, by states, as systemd does it; ours goes by words.
fn by_states(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let (mut name, mut value, mut kept) = (String::new(), String::new(), 0);
    let mut at = At::Nothing;
    let mut finish = |name: &mut String, value: &mut String, kept: usize| {
        value.truncate(kept);
        let name = std::mem::take(name);
        let name = name.trim_end_matches([' ', '\t', '\r']);
        if is_variable(name) {
            found.push((name.to_owned(), std::mem::take(value)));
        }
        value.clear();
    };
    for character in text.chars() {
        let blank = matches!(character, ' ' | '\t' | '\r');
        at = match (at, character) {
            (At::Nothing, '#' | ';') => At::Comment,
            (At::Nothing, '\n') => At::Nothing,
            (At::Nothing, _) if blank => At::Nothing,
            (At::Nothing | At::Name, '=') => {
                kept = 0;
                At::BeforeValue
            }
            (At::Name, '\n') => {
                name.clear();
                At::Nothing
            }
            (At::Nothing | At::Name, _) => {
                name.push(character);
                At::Name
            }
            (At::BeforeValue | At::Value, '\n') => {
                finish(&mut name, &mut value, kept);
                At::Nothing
            }
            (At::BeforeValue, '\'') => At::Single,
            (At::BeforeValue, '"') => At::Double,
            (At::BeforeValue | At::Value, '\\') => {
                // Also at the end of the file.
                kept = value.len();
                At::ValueEscape
            }
            (At::BeforeValue, _) if blank => At::BeforeValue,
            (At::BeforeValue | At::Value, _) => {
                value.push(character);
                if !blank {
                    kept = value.len();
                }
                At::Value
            }
            (At::ValueEscape, _) => {
                if character != '\n' {
                    value.push(character);
                }
                kept = value.len();
                At::Value
            }
            (At::Single, '\'') | (At::Double, '"') => {
                kept = value.len();
                At::BeforeValue
            }
            (At::Double, '\\') => At::DoubleEscape,
            (At::Single | At::Double, _) => {
                value.push(character);
                kept = value.len();
                at
            }
            (At::DoubleEscape, _) => {
                match character {
                    '"' | '\\' | '`' | '$' => value.push(character),
                    '\n' => {}
                    _ => value.extend(['\\', character]),
                }
                kept = value.len();
                At::Double
            }
            (At::Comment, '\\') => At::CommentEscape,
            (At::Comment, '\n') => At::Nothing,
            (At::Comment | At::CommentEscape, _) => At::Comment,
        };
    }
    if !matches!(at, At::Nothing | At::Name | At::Comment | At::CommentEscape) {
        finish(&mut name, &mut value, kept);
    }
    found
}

/// What a unit of ours may say.
const SETTINGS: &[&str] = &[
    "After=",
    "BindsTo=",
    "Environment=",
    "ExecPaths=",
    "ExecStart=",
    "ExecStartPre=",
    "IPAddressAllow=",
    "IPAddressDeny=",
    "KeepAlive=",
    "KillMode=",
    "ListenStream=",
    "LoadCredential=",
    "LoadCredentialEncrypted=",
    "NoDelay=",
    "PrivateNetwork=",
    "RemainAfterExit=",
    "Restart=",
    "RestrictAddressFamilies=",
    "SocketMode=",
    "User=",
    "Wants=",
];

/// The name of an instance in a line, then its file. Nothing of it becomes a line of a unit's own.
pub(crate) fn generator(data: &[u8]) {
    let mut input = Input::new(data);
    let name = String::from_utf8_lossy(input.line()).into_owned();
    if !super::is_name(&name) {
        return;
    }
    let instance = Instance {
        path: format!("/etc/websockify/{name}.conf").into(),
        name,
        variables: parse(&String::from_utf8_lossy(input.rest())),
    };
    let mut text = instance.socket() + &instance.service();
    if let Ok(Some(program)) = instance.program() {
        text.push_str(&program.of_socket(&instance.name));
        let service = program.service();
        for line in service.lines().filter(|it| it.starts_with("ExecStart=")) {
            let quotes = line.replace("\\\\", "").replace("\\\"", "");
            assert_eq!(quotes.matches('"').count() % 2, 0, "{line}");
            assert_eq!(line.replace("%%", "").matches('%').count(), 0, "{line}");
        }
        text.push_str(&service);
    }
    for line in text.lines() {
        let known = SETTINGS.iter().any(|it| line.starts_with(it));
        assert!(
            known || ["[Socket]", "[Service]"].contains(&line),
            "{line:?}"
        );
        assert!(!line.contains(char::is_control), "{line:?}");
        assert!(!line.ends_with('\\'), "{line:?}");
    }
}
