//! Seeds, what was found, and changes of both: what of fuzzing is affordable in every run of the tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

/// Changed inputs for each target, unless `FUZZ_ROUNDS` says how many.
const ROUNDS: usize = 5_000;

/// No longer than libFuzzer's own.
const LONGEST: usize = 4096;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz")
        .join(name)
}

/// Runs them; one that panics is written down, to be looked at and kept as a seed.
pub(super) fn replay(name: &str) {
    let target = super::TARGETS.iter().find(|(known, _)| *known == name);
    let target = target.unwrap().1;
    let mut files: Vec<PathBuf> = fs::read_dir(folder("seeds").join(name))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let seeds: Vec<Vec<u8>> = files.iter().map(|it| fs::read(it).unwrap()).collect();
    assert!(!seeds.is_empty(), "fuzz/seeds/{name} is empty");
    for seed in &seeds {
        run(name, target, seed);
    }
    let rounds = std::env::var("FUZZ_ROUNDS").map_or(ROUNDS, |it| it.parse().unwrap());
    let mut chance = Chance::new();
    for _ in 0..rounds {
        let input = chance.change(&seeds);
        run(name, target, &input);
    }
}

fn run(name: &str, target: fn(&[u8]), input: &[u8]) {
    struct Found<'i>(&'i str, &'i [u8]);
    impl Drop for Found<'_> {
        #[expect(clippy::print_stderr, reason = "a failed test shows its input")]
        fn drop(&mut self) {
            if thread::panicking() {
                let file = std::env::temp_dir().join(format!("websockify-fuzz-{}", self.0));
                let written = fs::write(&file, self.1).map(|()| file.display().to_string());
                eprintln!(
                    "input: {:?}: {}",
                    written.as_deref().unwrap_or("not written"),
                    self.1.escape_ascii()
                );
            }
        }
    }
    let _found = Found(name, input);
    target(input);
}

/// Numbers without pattern (xorshift64).
struct Chance(u64);

impl Chance {
    /// The same ones each time, unless `FUZZ_SEED` is another number: no change of the program is to
    /// fail by what happens to be found beside it.
    fn new() -> Self {
        let seed = std::env::var("FUZZ_SEED").map_or(1, |it| it.parse().unwrap());
        Self(u64::max(seed, 1))
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 8).unwrap() % end.max(1)
    }

    fn range(&mut self, size: usize) -> std::ops::Range<usize> {
        let from = self.below(size + 1);
        from..from + self.below((size - from + 1).min(64))
    }

    /// One of the seeds, changed in one to four places.
    fn change(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        const ODD: &[u8] = b"\0\x01\x7d\x7e\x7f\x80\x82\x88\xfe\xff \t\r\n\"\\,;:=/.%<";
        let mut input = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(4) {
            let here = self.range(input.len());
            match self.below(6) {
                0 => drop(input.drain(here)),
                1 => drop(input.splice(here.clone(), input[here].repeat(2))),
                2 => input.insert(here.start, ODD[self.below(ODD.len())]),
                3 if !here.is_empty() => input[here.start] ^= 1 << self.below(8),
                4 if !here.is_empty() => input[here.start] = ODD[self.below(ODD.len())],
                _ => {
                    let other = &seeds[self.below(seeds.len())];
                    let there = self.range(other.len());
                    drop(input.splice(here, other[there].iter().copied()));
                }
            }
        }
        input.truncate(LONGEST);
        input
    }
}

#[test]
fn every_target_has_seeds_and_the_other_way_round() {
    let mut seeds: Vec<String> = fs::read_dir(folder("seeds"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let mut targets: Vec<&str> = super::TARGETS.iter().map(|(name, _)| *name).collect();
    seeds.sort();
    targets.sort_unstable();
    assert_eq!(seeds, targets);
}
