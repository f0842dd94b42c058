//! Targets as people, files and tokens write them.

use super::Target;
use super::walls::Rule;
use crate::route::Route;

/// A target, a token's route, or a rule.
pub(crate) fn target_text(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = Rule::parse(&text);
    if let Ok(Target::Tcp { host, port }) = Target::parse(&text) {
        assert!(port != 0 && !host.is_empty());
        let bare = host.starts_with('[') || host.contains([']', '[']);
        if !bare {
            let shown = Target::Tcp {
                host: host.clone(),
                port,
            }
            .to_string();
            assert_eq!(
                Target::parse(&shown),
                Ok(Target::Tcp { host, port }),
                "{text:?}"
            );
        }
    }
    if let Ok(route) = Route::parse(&text) {
        match &route.target {
            Target::Tcp { host, port } => {
                assert!(*port != 0 && !host.contains(['[', ']', ' ', '\n', '\0']));
                let shown = route.target.to_string();
                assert_eq!(Route::parse(&shown).as_ref(), Ok(&route), "{text:?}");
            }
            Target::Unix(path) => assert!(path.is_absolute()),
            other => panic!("{other:?}"),
        }
    }
}
