//! Resolves the words that name endpoints to clients.

use std::path::Path;
use std::time::Duration;

use pm_client::Client;

use super::file::{ALL, File, Named, Token};
use super::setting::{ConfigError, Origin, Setting};

/// An endpoint to query.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    /// The name in the config file, or else the address as given.
    pub(crate) name: String,
    pub(crate) client: Client,
    /// Where its token comes from, as a label; the token itself is never shown.
    pub(super) token: &'static str,
}

#[cfg(test)]
impl Endpoint {
    pub(crate) fn new(client: Client) -> Endpoint {
        Endpoint { name: client.endpoint().to_owned(), client, token: "none" }
    }
}

/// The endpoints to query, in the order given and without duplicates; at least one.
#[derive(Clone, Debug)]
pub(crate) struct Endpoints {
    list: Vec<Endpoint>,
    pub(super) origin: Origin,
}

/// Settings of endpoints without their own.
pub(super) struct Defaults<'c> {
    pub(super) timeout: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) token_file: Option<&'c Path>,
    pub(super) ca: Option<&'c Path>,
}

impl Endpoints {
    pub(crate) fn list(&self) -> &[Endpoint] {
        &self.list
    }

    /// Returns the first endpoint that a token is sent to unencrypted, and the number of them.
    pub(super) fn tokens_in_the_clear(&self) -> Option<(&str, usize)> {
        let mut all = self.list.iter().filter(|endpoint| endpoint.token != "none" && endpoint.client.is_unencrypted());
        Some((all.next()?.name.as_str(), all.count() + 1))
    }

    pub(super) fn resolve(
        words: &Setting<Vec<String>>,
        file: Option<&File>,
        defaults: &Defaults<'_>,
    ) -> Result<Endpoints, ConfigError> {
        let mut flat = Vec::new();
        for word in &words.value {
            expand(word, &words.origin, file, &mut Vec::new(), &mut flat)?;
        }
        let mut list: Vec<Endpoint> = Vec::new();
        for (word, origin) in flat {
            if list.iter().all(|endpoint| endpoint.name != word) {
                let named = file.and_then(|file| file.endpoints.get(&word));
                let endpoint = endpoint(word, named, defaults).map_err(|why| match origin {
                    Origin::File { .. } => ConfigError(format!("{origin}: {why}")),
                    _ => ConfigError(why),
                })?;
                list.push(endpoint);
            }
        }
        if list.is_empty() {
            return Err(ConfigError("no endpoint is given; name one with -e".to_owned()));
        }
        Ok(Endpoints { list, origin: words.origin.clone() })
    }
}

impl IntoIterator for Endpoints {
    type Item = Endpoint;
    type IntoIter = std::vec::IntoIter<Endpoint>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

/// Adds the endpoints a word stands for; `inside` are the groups around it.
fn expand(
    word: &str,
    origin: &Origin,
    file: Option<&File>,
    inside: &mut Vec<String>,
    flat: &mut Vec<(String, Origin)>,
) -> Result<(), ConfigError> {
    let word = word.trim();
    let Some(group) = word.strip_prefix('@') else {
        if !word.is_empty() {
            flat.push((word.to_owned(), origin.clone()));
        }
        return Ok(());
    };
    let at = match origin {
        Origin::File { .. } => format!("{origin}: "),
        _ => String::new(),
    };
    let Some(file) = file else {
        return Err(ConfigError(format!(
            "{at}@{group} is a group, but there is no config file; name one with --config or PM_CONFIG"
        )));
    };
    if group == ALL {
        flat.extend(
            file.endpoints
                .iter()
                .map(|(name, named)| (name.clone(), Origin::File { path: file.path.clone(), line: named.line })),
        );
        return Ok(());
    }
    if inside.iter().any(|around| around == group) {
        return Err(ConfigError(format!("{at}the group @{group} contains itself")));
    }
    let Some(members) = file.groups.get(group) else {
        let known = file.groups.keys().map(String::as_str).chain([ALL]);
        let hint = match pm_wire::nearest(group, known.clone()) {
            Some(near) => format!("did you mean @{near}?"),
            None => format!("known groups: {}", known.map(|name| format!("@{name}")).collect::<Vec<_>>().join(", ")),
        };
        return Err(ConfigError(format!("{at}no group @{group} in {}; {hint}", file.path.display())));
    };
    inside.push(group.to_owned());
    for member in &members.value {
        expand(member, &members.origin, Some(file), inside, flat)?;
    }
    inside.pop();
    Ok(())
}

fn endpoint(name: String, named: Option<&Named>, defaults: &Defaults<'_>) -> Result<Endpoint, String> {
    let address = named.map_or(name.as_str(), |named| &named.address);
    let mut builder = Client::builder(address)
        .map_err(|error| error.to_string())?
        .timeout(named.and_then(|named| named.timeout).unwrap_or(defaults.timeout))
        .connect_timeout(defaults.connect_timeout)
        .token_from_env();
    // A shared token never goes to an endpoint that has its own.
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let mut token = match (is_set("PM_TOKEN"), is_set("PM_TOKEN_FILE")) {
        (true, _) => "variable PM_TOKEN",
        (false, true) => "variable PM_TOKEN_FILE",
        (false, false) => "none",
    };
    match (named.map(|named| &named.token), defaults.token_file) {
        (_, Some(path)) => {
            builder = builder.token_file(path);
            token = "flag --token-file";
        }
        (Some(Token::File(path)), None) => {
            builder = builder.token_file(path);
            token = "token-file";
        }
        (Some(Token::Variable(variable)), None) => {
            let text = std::env::var(variable)
                .map_err(|_| format!("{name}: the variable {variable} with its token is not set"))?;
            builder = builder.token(text);
            token = "token-env";
        }
        (Some(Token::Common) | None, None) => {}
    }
    let builder = with_tls(builder, named, defaults.ca)?;
    Ok(Endpoint { client: builder.build(), name, token })
}

#[cfg(feature = "tls")]
fn with_tls(
    mut builder: pm_client::Builder,
    named: Option<&Named>,
    ca: Option<&Path>,
) -> Result<pm_client::Builder, String> {
    if let Some(path) = ca.or(named.and_then(|named| named.ca.as_deref())) {
        builder = builder.ca_file(path);
    }
    if let Some((certificate, key)) = named.and_then(|named| named.identity.as_ref()) {
        builder = builder.client_certificate(certificate, key);
    }
    if let Some(name) = named.and_then(|named| named.server_name.as_ref()) {
        builder = builder.server_name(name);
    }
    Ok(builder)
}

#[cfg(not(feature = "tls"))]
fn with_tls(
    builder: pm_client::Builder,
    named: Option<&Named>,
    ca: Option<&Path>,
) -> Result<pm_client::Builder, String> {
    let wants = |named: &Named| named.ca.is_some() || named.identity.is_some() || named.server_name.is_some();
    if ca.is_some() || named.is_some_and(wants) {
        return Err("certificates need a build of pm with the feature `tls`".to_owned());
    }
    Ok(builder)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "[endpoints.db1]\naddress = 'unix:/run/db1.sock'\n[endpoints.db2]\naddress = '10.0.0.2'\n\
                        [groups]\nprod = ['db1', 'c:1', '@more']\nmore = ['db2', 'db1']\n\
                        loop = ['@loop2']\nloop2 = ['@loop']\n";

    fn names(words: &[&str]) -> Result<Vec<String>, String> {
        let file = File::read("/c.toml".into(), FILE).unwrap();
        let words = words.iter().map(|&word| word.to_owned()).collect();
        let defaults = Defaults {
            timeout: Duration::from_secs(1),
            connect_timeout: Duration::from_secs(1),
            token_file: None,
            ca: None,
        };
        Endpoints::resolve(&Setting { value: words, origin: Origin::Flag("--endpoint") }, Some(&file), &defaults)
            .map(|endpoints| endpoints.into_iter().map(|endpoint| endpoint.name).collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn groups_expand_without_duplicates() {
        assert_eq!(names(&["@prod", "db2", " db1 ", ""]).unwrap(), ["db1", "c:1", "db2"]);
        assert_eq!(names(&["@all"]).unwrap(), ["db1", "db2"]);
    }

    #[test]
    fn unknown_and_cyclic_groups_are_errors() {
        assert!(names(&["@prdo"]).unwrap_err().contains("did you mean @prod?"));
        assert!(names(&["@loop"]).unwrap_err().contains("/c.toml:9: the group @loop contains itself"));
        assert!(names(&["", " "]).unwrap_err().contains("name one with -e"));
        assert!(names(&["ftp://x"]).unwrap_err().contains("is not an endpoint"));
    }

    #[test]
    fn a_name_stands_for_its_address() {
        let file = File::read("/c.toml".into(), FILE).unwrap();
        let defaults = Defaults {
            timeout: Duration::from_secs(1),
            connect_timeout: Duration::from_secs(1),
            token_file: None,
            ca: None,
        };
        let endpoint = endpoint("db1".to_owned(), file.endpoints.get("db1"), &defaults).unwrap();
        assert_eq!(endpoint.client.endpoint(), "unix:/run/db1.sock");
    }
}
