//! `ClientCertCNAuth`: whose certificates may come in, among those that an authority has signed.

use super::verdict::Denied;
use crate::tls::peer::Names;

/// The names that may come in.
#[derive(Clone, Debug)]
pub struct Listed(Vec<String>);

impl Listed {
    /// Reads names that are separated by whitespace; quotes keep one with a space together, as in
    /// a shell.
    ///
    /// # Errors
    /// One sentence about the quotes, or an empty list.
    pub fn parse(list: &str) -> Result<Self, String> {
        let names = shell_words::split(list)
            .map_err(|_| "ClientCertCNAuth: a quote is not closed in --auth-source".to_owned())?;
        if names.is_empty() || names.iter().any(String::is_empty) {
            return Err("ClientCertCNAuth needs --auth-source='NAME …'".to_owned());
        }
        Ok(Self(names))
    }

    /// The name by which a client comes in. `certificate` is what the TLS layer verified; nothing
    /// that is in a request counts.
    pub(super) fn judge(&self, certificate: Option<&Names>) -> Result<String, Denied> {
        let denied = |reason| Denied::forbidden(reason, "Forbidden");
        let certificate = certificate.ok_or_else(|| denied("no certificate"))?;
        let listed = self.0.iter().find(|name| certificate.has(name));
        match listed {
            Some(name) => Ok(name.clone()),
            None => Err(denied("certificate not listed").about("name", certificate.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Listed;

    #[test]
    fn names_with_spaces_stand_in_quotes() {
        let listed = Listed::parse("jane@example.org \"Jane Doe\"  'x y' a\\ b").unwrap();
        assert_eq!(listed.0, ["jane@example.org", "Jane Doe", "x y", "a b"]);
        for list in ["", " ", "\"Jane", "a ''"] {
            assert!(Listed::parse(list).is_err(), "{list}");
        }
    }
}
