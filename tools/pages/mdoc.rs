//! The language of the manual's pages, mdoc(7), as far as they need it.

/// How long a line gets.
const WIDTH: usize = 78;

/// One of a list.
pub(super) struct Item {
    /// What it is about, in macros.
    pub(super) head: String,
    /// Lines about it.
    pub(super) text: String,
}

pub(super) fn list(items: impl IntoIterator<Item = Item>) -> String {
    let items = items.into_iter().map(|item| {
        let Item { head, text } = item;
        format!(".It {head}\n{text}")
    });
    let items: String = items.collect();
    if items.is_empty() {
        return items;
    }
    format!(".Bl -tag -width Ds\n{items}.El\n")
}

/// The macro for a long option.
pub(super) fn option(long: &str) -> String {
    format!("Fl -{}", escaped(long))
}

/// Text in lines, with a macro for what has one: `code`, --options, names of values, variables and
/// pages.
pub(super) fn prose(text: &str, values: &[&str]) -> String {
    let mut page = String::new();
    let mut line = String::new();
    for word in words(text) {
        match special(&word, values) {
            Some(special) => {
                page += &flushed(&mut line);
                page += &format!(".{special}\n");
            }
            None => {
                if line.len() + 1 + word.len() > WIDTH {
                    page += &flushed(&mut line);
                }
                if !line.is_empty() {
                    line.push(' ');
                }
                line += &word.replace('\\', "\\e").replace('…', "...");
            }
        }
        // A sentence ends its line, so that the space behind it is right.
        if word.ends_with('.') {
            page += &flushed(&mut line);
        }
    }
    page + &flushed(&mut line)
}

/// Words; what is in backticks is a part of one, with its spaces.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for letter in text.chars() {
        quoted ^= letter == '`';
        match words.last_mut() {
            Some(word) if !letter.is_whitespace() || quoted => word.push(letter),
            _ => words.push(String::new()),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The macro for a word that has one, with the punctuation around it.
fn special(word: &str, values: &[&str]) -> Option<String> {
    let (opening, word) = match word.strip_prefix('(') {
        Some(rest) => ("( ", rest),
        None => ("", word),
    };
    // One mark at a time: `(1)` is a part of a page's name.
    let mut bare = word;
    let (name, argument) = loop {
        match marked(bare, values) {
            Some(found) => break found,
            None => bare = bare.strip_suffix(['.', ',', ':', ';', ')'])?,
        }
    };
    let marks = word[bare.len()..].chars().map(|mark| format!(" {mark}"));
    Some(format!(
        "{name} {opening}{argument}{}",
        marks.collect::<String>()
    ))
}

/// A macro and its arguments.
fn marked(word: &str, values: &[&str]) -> Option<(&'static str, String)> {
    if let Some(code) = word.strip_prefix('`').and_then(|it| it.strip_suffix('`')) {
        let space = code.contains(' ');
        let code = escaped(code);
        return Some(("Li", if space { format!("\"{code}\"") } else { code }));
    }
    if let Some(long) = word.strip_prefix("--") {
        let (name, value) = long.split_once('=').unwrap_or((long, ""));
        let plain = |byte: u8| byte.is_ascii_lowercase() || b"-0123456789".contains(&byte);
        if name.is_empty() || !name.bytes().all(plain) || value.ends_with(['.', ',', ';', ')']) {
            return None;
        }
        let name = format!("-{}", escaped(name));
        return Some(if value.is_empty() {
            ("Fl", name)
        } else {
            ("Fl", format!("{name} Ns = Ns Cm {}", escaped(value)))
        });
    }
    if is_page(word) {
        return Some(("Xr", word.replace('(', " ").replace(')', "")));
    }
    let is_variable = word.starts_with("WEBSOCKIFY_") && !word.ends_with(['.', ',', ';', ')']);
    match word {
        _ if values.contains(&word) => Some(("Ar", word.to_owned())),
        _ if is_variable => Some(("Ev", word.to_owned())),
        _ => None,
    }
}

/// Whether it is a page of the manual, such as `systemd.exec(5)`.
fn is_page(word: &str) -> bool {
    let Some((name, section)) = word.split_once('(') else {
        return false;
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_@".contains(&byte);
    !name.is_empty() && name.bytes().all(plain) && matches!(section.as_bytes(), [b'1'..=b'8', b')'])
}

fn flushed(line: &mut String) -> String {
    if line.is_empty() {
        return String::new();
    }
    let text = std::mem::take(line);
    let guard = if text.starts_with(['.', '\'']) {
        "\\&"
    } else {
        ""
    };
    format!("{guard}{text}\n")
}

/// What is typed as it is read: a hyphen that can be copied, and no quote of a printer's.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('\'', "\\(aq")
}
