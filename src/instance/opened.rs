//! The places that an instance's file names and the service itself opens: what hides them from it, and
//! what it needs of them.

use std::path::{Path, PathBuf};

use super::Instance;
use super::access::Need;
use crate::error::Failure;

/// What the service's sandbox hides (systemd.exec(5): `ProtectHome=`, `PrivateTmp=`).
const HIDDEN: &[&str] = &["/home", "/root", "/run/user", "/tmp", "/var/tmp"];

/// The variables that name such places.
const OPENED: &[&str] = &[
    "WEBSOCKIFY_UNIX_TARGET",
    "WEBSOCKIFY_WEB",
    "WEBSOCKIFY_AUTH_SOURCE",
    "WEBSOCKIFY_TOKEN_SOURCE",
    "WEBSOCKIFY_TARGET_CONFIG",
];

/// What the service needs of the places that are not handed over to it.
pub(super) fn used(instance: &Instance) -> Vec<(Need, PathBuf)> {
    let helpers = instance.helpers();
    let needs = OPENED
        .iter()
        .filter_map(|name| Some((name, need(instance, name)?)));
    let places =
        needs.flat_map(|(name, need)| places(instance, name).map(move |place| (need, place)));
    places
        .filter(|(_, place)| place.starts_with('/') && !helpers.contains(place))
        .map(|(need, place)| (need, place.into()))
        .collect()
}

/// None of a target, which others make, and may let nobody but the service come to.
fn need(instance: &Instance, name: &str) -> Option<Need> {
    let plugin = instance.value("WEBSOCKIFY_TOKEN_PLUGIN");
    let class = plugin.and_then(|plugin| plugin.rsplit('.').next());
    match (name, class) {
        ("WEBSOCKIFY_UNIX_TARGET", _) => None,
        ("WEBSOCKIFY_WEB", _) | ("WEBSOCKIFY_TOKEN_SOURCE", Some("UnixDomainSocketDirectory")) => {
            Some(Need::Reach)
        }
        _ => Some(Need::Read),
    }
}

/// What a variable names.
fn places<'i>(instance: &'i Instance, name: &str) -> impl Iterator<Item = &'i str> + use<'i> {
    // A password file's mark; elsewhere it is a part of the name.
    let mark = if name == "WEBSOCKIFY_AUTH_SOURCE" {
        "@"
    } else {
        ""
    };
    let lines = instance.value(name).unwrap_or_default().lines();
    lines.map(move |line| line.strip_prefix(mark).unwrap_or(line))
}

impl Instance {
    /// Judges whether what the service opens or executes is there for it.
    pub(super) fn is_not_hidden(&self) -> Result<(), Failure> {
        let named = OPENED
            .iter()
            .flat_map(|name| places(self, name).map(move |place| (*name, PathBuf::from(place))));
        let executed = self.executed().into_iter();
        for (name, place) in named.chain(executed.map(|file| ("a helper", file))) {
            if is_hidden(&place) {
                return Err(Failure::start(format!(
                    "{}: {name} names a place that is hidden from the service, as {} all \
                     are: choose one outside",
                    self.path.display(),
                    HIDDEN.join(", ")
                )));
            }
        }
        Ok(())
    }
}

fn is_hidden(place: &Path) -> bool {
    HIDDEN.iter().any(|hidden| place.starts_with(hidden))
}

#[cfg(test)]
mod tests {
    use super::{Instance, Need, used};

    #[test]
    fn no_more_is_needed_than_the_service_uses() {
        let used = |lines: &[(&str, &str)]| used(&Instance::of("1", lines));
        for (lines, need, place) in [
            (&[("WEB", "/srv")][..], Need::Reach, "/srv"),
            (&[("AUTH_SOURCE", "@/etc/users")], Need::Read, "/etc/users"),
            (&[("TARGET_CONFIG", "/etc/t")], Need::Read, "/etc/t"),
            (
                &[("TOKEN_PLUGIN", "TokenFile"), ("TOKEN_SOURCE", "/etc/t")],
                Need::Read,
                "/etc/t",
            ),
            (
                &[
                    ("TOKEN_PLUGIN", "UnixDomainSocketDirectory"),
                    ("TOKEN_SOURCE", "/run/d"),
                ],
                Need::Reach,
                "/run/d",
            ),
        ] {
            assert_eq!(used(lines), [(need, place.into())], "{lines:?}");
        }
        for lines in [
            &[("UNIX_TARGET", "/run/s")][..],
            &[("AUTH_SOURCE", "https://h")],
            &[("TOKEN_PLUGIN", "Exec"), ("TOKEN_SOURCE", "/a/program")],
        ] {
            assert_eq!(used(lines), [], "{lines:?}");
        }
    }
}
