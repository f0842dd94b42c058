//! `rebind.so` in a program of C: which addresses are moved, and that all others are not.

use std::process::{Command, Stdio};

use super::{compiled, install, library};

/// What `binds` says with these variables set.
fn say(variables: &[(&str, &str)], words: &str) -> Vec<String> {
    let output = Command::new(compiled("binds", &[]))
        .args(words.split_whitespace())
        .env("LD_PRELOAD", library())
        .env_remove("REBIND_OLD_PORT")
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    said.lines().map(str::to_owned).collect()
}

fn free() -> String {
    crate::bridge::free_port().to_string()
}

#[test]
fn every_form_of_address_is_moved() {
    let (old, new) = (free(), free());
    let table = [
        ("tcp4 0.0.0.0", "127.0.0.1"),
        ("tcp4 127.0.0.1", "127.0.0.1"),
        ("tcp4 192.0.2.1", "127.0.0.1"),
        ("unspec 0.0.0.0", "127.0.0.1"),
        ("tcp6 ::", "::ffff:127.0.0.1"),
        ("tcp6 ::ffff:0.0.0.0", "::ffff:127.0.0.1"),
        ("tcp6 ::ffff:127.0.0.1", "::ffff:127.0.0.1"),
        ("only6 ::", "::1"),
        ("tcp6 ::1", "::1"),
        ("tcp6 2001:db8::1", "::1"),
    ];
    let words: Vec<String> = table.map(|(form, _)| format!("{form} {old}")).into();
    let expected = table.map(|(_, host)| format!("{host} {new} reuse=1"));
    let variables = [("REBIND_OLD_PORT", &*old), ("REBIND_NEW_PORT", &*new)];
    assert_eq!(say(&variables, &words.join(" ")), expected);
    assert_eq!(
        say(&variables, &format!("fork {}", words.join(" "))),
        expected
    );
    // Eight threads say the same of a hundred sockets each. They share a port, so it is reused.
    let said = say(&variables, &format!("threads {}", words.join(" ")));
    let eight: Vec<String> = expected.iter().flat_map(|it| vec![it.clone(); 8]).collect();
    assert_eq!(said, eight);
}

#[test]
fn nothing_else_is_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let path = path.to_str().unwrap();
    let (old, new, other) = (free(), free(), free());
    let words = format!(
        "tcp4 127.0.0.1 {other} tcp4 192.0.2.1 {other} only6 ::1 {other} udp4 127.0.0.1 {old} \
         udp6 ::1 {old} short 127.0.0.1 {old} unspec 127.0.0.1 {old} unix {path} {old}"
    );
    let variables = [("REBIND_OLD_PORT", &*old), ("REBIND_NEW_PORT", &*new)];
    let expected = [
        format!("127.0.0.1 {other} reuse=0"),
        "Cannot assign requested address".into(),
        format!("::1 {other} reuse=0"),
        format!("127.0.0.1 {old} reuse=0"),
        format!("::1 {old} reuse=0"),
        "Invalid argument".into(),
        "Address family not supported by protocol".into(),
        path.into(),
    ];
    assert_eq!(say(&variables, &words), expected);
}

#[test]
fn variables_that_are_unset_or_malformed_move_nothing() {
    let (old, new) = (free(), free());
    let words = format!("tcp4 127.0.0.1 {old}");
    for (from, to) in [
        (None, Some(&*new)),
        (Some(&*old), None),
        (Some(""), Some("")),
        (Some(&*old), Some("0")),
        (Some(&*old), Some("x")),
        (Some(&*format!("{old},1")), Some(&*new)),
        (Some(&*format!("{old} ")), Some(&*new)),
        (Some("99999999999"), Some(&*new)),
    ] {
        let variables: Vec<_> = [("REBIND_OLD_PORT", from), ("REBIND_NEW_PORT", to)]
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect();
        let said = say(&variables, &words);
        assert_eq!(said, [format!("127.0.0.1 {old} reuse=0")], "{variables:?}");
    }
}

#[test]
fn a_list_moves_each_port_to_its_own() {
    let (a, b, c, d) = (free(), free(), free(), free());
    let said = say(
        &[
            ("REBIND_OLD_PORT", &format!("{a},{b}")),
            ("REBIND_NEW_PORT", &format!("{c},{d}")),
        ],
        &format!("tcp4 0.0.0.0 {b} only6 :: {a} tcp4 127.0.0.1 {c}"),
    );
    assert_eq!(
        said,
        [
            format!("127.0.0.1 {d} reuse=1"),
            format!("::1 {c} reuse=1"),
            format!("127.0.0.1 {c} reuse=0"),
        ]
    );
}

#[test]
fn datagrams_are_moved_where_asked_for() {
    let (old, new) = (free(), free());
    let variables = [
        ("REBIND_OLD_PORT", &*old),
        ("REBIND_NEW_PORT", &*new),
        ("REBIND_UDP", "1"),
    ];
    let said = say(
        &variables,
        &format!("udp4 0.0.0.0 {old} tcp4 0.0.0.0 {old}"),
    );
    assert_eq!(said[0], format!("127.0.0.1 {new} reuse=0"));
    assert_eq!(said[1], format!("127.0.0.1 {new} reuse=1"));
}

/// Another library in the list of the loader is asked next, not passed over.
#[test]
fn the_next_bind_is_the_next_librarys() {
    let (old, new) = (free(), free());
    let refusing = compiled("refusing_bind", &["-shared", "-fPIC"]);
    let list = format!("{}:{}", library().display(), refusing.display());
    let variables = [
        ("REBIND_OLD_PORT", &*old),
        ("REBIND_NEW_PORT", &*new),
        ("LD_PRELOAD", &*list),
    ];
    let said = say(
        &variables,
        &format!("tcp4 0.0.0.0 {old} tcp4 0.0.0.0 {new}"),
    );
    assert_eq!(said, ["Owner died", "Owner died"]);
}

#[test]
fn no_symbol_but_bind_is_exported() {
    let listed = Command::new("nm")
        .args(["--dynamic", "--defined-only", "--format=just-symbols"])
        .arg(library())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(listed.stdout).unwrap(), "bind\n");
}

/// As `make install` lays it out: the script in one folder, the library beside that.
#[test]
fn the_script_runs_a_program_with_its_port_moved() {
    let folder = tempfile::tempdir().unwrap();
    let (bin, lib) = (
        folder.path().join("bin"),
        folder.path().join("lib/websockify"),
    );
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::create_dir_all(&lib).unwrap();
    let script = crate::real::script("../preload/rebind");
    install("755", &script, &bin.join("rebind"));
    let binds = compiled("binds", &[]);
    let run = |words: &[&str]| {
        let output = Command::new(bin.join("rebind"))
            .args(words)
            .env_remove("CARGO_TARGET_DIR")
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    let (old, new) = (free(), free());
    let binds = binds.to_str().unwrap();
    let usual = [&*old, &*new, "--", binds, "tcp4", "0.0.0.0", &*old];
    let (status, said) = run(&usual);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("there is no rebind.so"), "{said}");
    std::fs::copy(library(), lib.join("rebind.so")).unwrap();
    let moved = format!("127.0.0.1 {new} reuse=1\n");
    assert_eq!(run(&usual), (Some(0), moved.clone()));
    // As websockify's own script is called.
    let [old, new, _, rest @ ..] = usual;
    assert_eq!(run(&[&[old, new], &rest[..]].concat()), (Some(0), moved));
    let (most, too_many) = (vec!["065535"; 16].join(","), vec!["1"; 17].join(","));
    assert_eq!(run(&[&most, &most, "true"]), (Some(0), String::new()));
    for words in [
        &[] as &[&str],
        &["1", "2"],
        &["1", "2", "--"],
        &["1", "x", "true"],
        &["1,2", "3", "true"],
        &["0", "1", "true"],
        &["1", "65536", "true"],
        &["1", "18446744073709551617", "true"],
        &["1,,2", "1,,2", "true"],
        &[&too_many, &too_many, "true"],
    ] {
        let (status, said) = run(words);
        assert_eq!(status, Some(2), "{words:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{words:?}: {said}");
    }
}
