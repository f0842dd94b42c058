//! Each `unsafe` there is has its row in docs/SANITIZERS.md, with what holds it up.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn the_inventory_is_whole() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut there: BTreeMap<String, usize> = BTreeMap::new();
    for folder in [
        "src",
        "preload",
        "tests",
        "tools",
        "examples",
        "bench",
        "fuzz/fuzz_targets",
    ] {
        for file in sources(&root.join(folder)) {
            let text = fs::read_to_string(&file).unwrap();
            let found = text.lines().filter(|line| is_unsafe(line)).count();
            if found > 0 {
                let name = file.strip_prefix(root).unwrap().display().to_string();
                there.insert(name, found);
            }
        }
    }
    let document = fs::read_to_string(root.join("docs/SANITIZERS.md")).unwrap();
    let mut listed: BTreeMap<String, usize> = BTreeMap::new();
    for row in document.lines().filter_map(|line| line.strip_prefix("| `")) {
        let (file, _) = row.split_once('`').unwrap();
        *listed.entry(file.to_owned()).or_default() += 1;
    }
    assert_eq!(
        listed, there,
        "rows of docs/SANITIZERS.md, and `unsafe` in each file"
    );
}

/// A block, a function or an attribute; a comment, a string and the name of a lint are none.
fn is_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let words = [
        concat!("unsafe", " {"),
        concat!("unsafe", " extern"),
        concat!("unsafe", " fn"),
        concat!("#[", "unsafe("),
    ];
    words.iter().any(|word| code.contains(word))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("node_modules") {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|it| it == "rs") {
            files.push(path);
        }
    }
    files
}
