//! Hashes as the usual tools make them, each of the word `secret`.

use super::parse;

const BCRYPT: &str = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW";
const SHA256: &str = "$5$saltsalt$0IyaXrmV7.sGNS6tirgqHLqX/G.FBvgkYA.lpPdS5sA";
const SHA512: &str = "$6$rounds=1000$saltsalt$LAV5VE5Y7w1d73x1mFNspYWUpazfmwv2SoepNXNKJ/\
                      otop/Zok96Hr8Q13LEv0DRY/x8v0/crpIjl8NJSAqXV/";
const ARGON2: &str =
    "$argon2id$v=19$m=64,t=2,p=1$c2FsdHNhbHRzYWx0$X5FYVfax/F4kJBbMzd3VLf8g5G04Ag8NxNL9jEesfik";

#[test]
fn every_scheme_knows_its_password() {
    for hash in [BCRYPT, SHA256, SHA512, ARGON2] {
        let text = format!("# ours\n\njane:{hash}\r\n");
        let entries = parse(&text).unwrap();
        let [entry] = entries.as_slice() else {
            panic!("{hash}")
        };
        assert_eq!(entry.user, "jane");
        assert!(entry.hash.is_of(b"secret"), "{hash}");
        for wrong in ["", "Secret", "secret ", "secre"] {
            assert!(!entry.hash.is_of(wrong.as_bytes()), "{hash} {wrong}");
        }
        assert_eq!(entry.hash.text(), hash);
    }
    for prefix in ["$2a$", "$2y$"] {
        let line = format!("jane:{}", BCRYPT.replace("$2b$", prefix));
        assert!(parse(&line).unwrap()[0].hash.is_of(b"secret"));
    }
}

#[test]
fn what_is_weak_unknown_or_broken_is_refused_by_its_line_and_never_shown() {
    for (hash, part) in [
        ("secret", "plain password"),
        ("rqXexS6ZhobKA", "crypt(3)"),
        ("{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "SHA-1"),
        ("$apr1$saltsalt$abcdefghijklmnopqrstuv", "MD5"),
        ("$1$saltsalt$abcdefghijklmnopqrstuv", "MD5"),
        ("$y$j9T$abc$def", "another kind"),
        ("$2x$04$abcdefghijklmnopqrstuu", "another kind"),
        (
            "$argon2i$v=19$m=64,t=2,p=1$c2FsdHNhbHQ$AAAA",
            "another kind",
        ),
        ("$2b$04$abcdefghijklmnopqrstuu", "incomplete"),
        ("$5$saltsalt$0IyaXrmV7", "incomplete"),
        ("$6$rounds=10$saltsalt$LAV5", "incomplete"),
        ("$argon2id$v=19$m=64,t=2,p=1$c2FsdHNhbHQ", "incomplete"),
        ("", "plain password"),
    ] {
        let (line, fault) = parse(&format!("#\nok:{BCRYPT}\njane:{hash}\n"))
            .err()
            .unwrap();
        assert_eq!(line, 3, "{hash}");
        assert!(fault.contains(part), "{hash}: {fault}");
        assert!(hash.is_empty() || !fault.contains(hash), "{fault}");
    }
    for hash in [
        BCRYPT.replace("$04$", "$31$"),
        SHA512.replace("1000", "900000000"),
        ARGON2.replace("m=64", "m=4000000"),
    ] {
        let (_, fault) = parse(&format!("jane:{hash}")).err().unwrap();
        assert!(fault.contains("too long"), "{hash}: {fault}");
    }
    for line in ["jane", ":x", &format!("a:{BCRYPT}\na:{BCRYPT}")] {
        assert!(parse(line).is_err(), "{line}");
    }
}
