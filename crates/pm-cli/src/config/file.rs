//! The config file, in TOML: defaults, named endpoints, groups.
//!
//! The whole file is checked when it is read, used or not, and errors name their line. An unknown key is an error:
//! a misspelt `timeout` must not be silently ignored.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::setting::{ConfigError, Origin, Setting, Theme, Variables, choice};
use crate::out::{Color, Format};

/// The contents of the file.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) path: PathBuf,
    pub(super) uses: Option<Setting<Vec<String>>>,
    pub(super) timeout: Option<Setting<Duration>>,
    pub(super) connect_timeout: Option<Setting<Duration>>,
    pub(super) output: Option<Setting<Format>>,
    pub(super) color: Option<Setting<Color>>,
    pub(super) theme: Option<Setting<Theme>>,
    pub(super) endpoints: BTreeMap<String, Named>,
    pub(super) groups: BTreeMap<String, Setting<Vec<String>>>,
}

/// A named endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(super) address: String,
    /// The line of its address.
    pub(super) line: usize,
    pub(super) token: Token,
    pub(super) ca: Option<PathBuf>,
    /// The certificate and its key.
    pub(super) identity: Option<(PathBuf, PathBuf)>,
    pub(super) server_name: Option<String>,
    pub(super) timeout: Option<Duration>,
}

/// Where to find the token of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// In the shared sources: flag and environment.
    Common,
    File(PathBuf),
    Variable(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawFile {
    #[serde(rename = "use")]
    uses: Option<Spanned<Vec<String>>>,
    timeout: Option<Spanned<String>>,
    connect_timeout: Option<Spanned<String>>,
    output: Option<Spanned<String>>,
    color: Option<Spanned<String>>,
    theme: Option<Spanned<String>>,
    #[serde(default)]
    endpoints: BTreeMap<Spanned<String>, RawEndpoint>,
    #[serde(default)]
    groups: BTreeMap<Spanned<String>, Spanned<Vec<String>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawEndpoint {
    address: Spanned<String>,
    token_file: Option<Spanned<PathBuf>>,
    token_env: Option<Spanned<String>>,
    ca: Option<Spanned<PathBuf>>,
    certificate: Option<Spanned<PathBuf>>,
    key: Option<Spanned<PathBuf>>,
    server_name: Option<Spanned<String>>,
    timeout: Option<Spanned<String>>,
}

/// The longest config file, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// Reads a config file: one that others may not change, since it says where tokens go.
fn read_config(path: &Path) -> io::Result<String> {
    let file = pm_client::open_protected(path)?;
    let mut text = String::new();
    if file.take(MAX_FILE + 1).read_to_string(&mut text)? as u64 > MAX_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is longer than {MAX_FILE} bytes")));
    }
    Ok(text)
}

impl File {
    /// Reads the file that the flag or the variable names, which must exist, or the default one if it exists.
    pub(super) fn find(flag: Option<&Path>, variables: Variables<'_>) -> Result<Option<File>, ConfigError> {
        let named = match (flag, variables("PM_CONFIG")) {
            (Some(path), _) => Some(path.to_owned()),
            // An empty variable means: no file.
            (None, Some(path)) if path.is_empty() => return Ok(None),
            (None, Some(path)) => Some(path.into()),
            (None, None) => None,
        };
        let (path, must_exist) = match named {
            Some(path) => (path, true),
            None => match default_path(variables) {
                Some(path) => (path, false),
                None => return Ok(None),
            },
        };
        match read_config(&path) {
            Ok(text) => File::read(path, &text).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => Ok(None),
            Err(error) => Err(ConfigError(format!(
                "{}: {error}; name a readable config file with --config or PM_CONFIG",
                path.display()
            ))),
        }
    }

    pub(super) fn read(path: PathBuf, text: &str) -> Result<File, ConfigError> {
        let reader = Reader { path: &path, text };
        let raw: RawFile = toml::from_str(text).map_err(|error| reader.syntax(&error))?;
        let mut endpoints = BTreeMap::new();
        for (name, endpoint) in raw.endpoints {
            reader.check_name(&name)?;
            endpoints.insert(name.into_inner(), reader.endpoint(endpoint)?);
        }
        let mut groups = BTreeMap::new();
        for (name, words) in raw.groups {
            reader.check_name(&name)?;
            if name.get_ref() == ALL {
                return Err(reader.error(&name, "the group `all` is predefined: all endpoints of this file"));
            }
            groups.insert(name.get_ref().clone(), reader.set(words));
        }
        Ok(File {
            uses: raw.uses.map(|words| reader.set(words)),
            timeout: reader.parsed(raw.timeout, pm_wire::duration::parse)?,
            connect_timeout: reader.parsed(raw.connect_timeout, pm_wire::duration::parse)?,
            output: reader.parsed(raw.output, choice)?,
            color: reader.parsed(raw.color, choice)?,
            theme: reader.parsed(raw.theme, choice)?,
            endpoints,
            groups,
            path,
        })
    }
}

/// The predefined group of all named endpoints.
pub(super) const ALL: &str = "all";

fn default_path(variables: Variables<'_>) -> Option<PathBuf> {
    let folder = |name: &str| variables(name).filter(|value: &OsString| !value.is_empty()).map(PathBuf::from);
    let config = folder("XDG_CONFIG_HOME")
        .or_else(|| if cfg!(windows) { folder("APPDATA") } else { folder("HOME").map(|home| home.join(".config")) })?;
    Some(config.join("pm").join("config.toml"))
}

struct Reader<'f> {
    path: &'f Path,
    text: &'f str,
}

impl Reader<'_> {
    fn line(&self, at: usize) -> usize {
        1 + self.text.as_bytes()[..at.min(self.text.len())].iter().filter(|&&byte| byte == b'\n').count()
    }

    fn syntax(&self, error: &toml::de::Error) -> ConfigError {
        let line = error.span().map_or(1, |span| self.line(span.start));
        // Some messages of the library span several lines.
        let what = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
        ConfigError(format!("{}:{line}: {what}", self.path.display()))
    }

    fn error<T>(&self, place: &Spanned<T>, what: impl fmt::Display) -> ConfigError {
        ConfigError(format!("{}:{}: {what}", self.path.display(), self.line(place.span().start)))
    }

    fn set<T>(&self, value: Spanned<T>) -> Setting<T> {
        let origin = Origin::File { path: self.path.to_owned(), line: self.line(value.span().start) };
        Setting { value: value.into_inner(), origin }
    }

    fn parsed<T, E: fmt::Display>(
        &self,
        text: Option<Spanned<String>>,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<Setting<T>>, ConfigError> {
        let Some(text) = text else { return Ok(None) };
        let value =
            parse(text.get_ref()).map_err(|why| self.error(&text, format_args!("{:?}: {why}", text.get_ref())))?;
        let origin = Origin::File { path: self.path.to_owned(), line: self.line(text.span().start) };
        Ok(Some(Setting { value, origin }))
    }

    /// Rejects names that could be read as addresses or as parts of a list.
    fn check_name(&self, name: &Spanned<String>) -> Result<(), ConfigError> {
        let text = name.get_ref();
        let is_reserved =
            |c: char| c.is_control() || c.is_whitespace() || matches!(c, '@' | ',' | ':' | '/' | '[' | ']');
        match text.is_empty() || text.contains(is_reserved) {
            true => {
                Err(self.error(name, format_args!("{text:?} is not a name; leave out white space and @ , : / [ ]")))
            }
            false => Ok(()),
        }
    }

    fn endpoint(&self, raw: RawEndpoint) -> Result<Named, ConfigError> {
        pm_client::Client::new(raw.address.get_ref()).map_err(|error| self.error(&raw.address, error))?;
        let token = match (raw.token_file, raw.token_env) {
            (None, None) => Token::Common,
            (Some(file), None) => Token::File(self.resolve(file.into_inner())),
            (None, Some(name)) => Token::Variable(name.into_inner()),
            (Some(_), Some(name)) => {
                return Err(self.error(&name, "set token-file or token-env, not both"));
            }
        };
        let identity = match (raw.certificate, raw.key) {
            (Some(certificate), Some(key)) => {
                Some((self.resolve(certificate.into_inner()), self.resolve(key.into_inner())))
            }
            (None, None) => None,
            (Some(certificate), None) => return Err(self.error(&certificate, "a certificate needs a key")),
            (None, Some(key)) => return Err(self.error(&key, "a key needs a certificate")),
        };
        Ok(Named {
            line: self.line(raw.address.span().start),
            token,
            ca: raw.ca.map(|path| self.resolve(path.into_inner())),
            identity,
            server_name: raw.server_name.map(Spanned::into_inner),
            timeout: self.parsed(raw.timeout, pm_wire::duration::parse)?.map(|set| set.value),
            address: raw.address.into_inner(),
        })
    }

    /// Resolves a path relative to the directory of the file.
    fn resolve(&self, path: PathBuf) -> PathBuf {
        match self.path.parent() {
            Some(folder) => folder.join(path),
            None => path,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        File::read("/c/config.toml".into(), text).unwrap_err().to_string()
    }

    #[test]
    fn a_file_is_read_with_the_line_of_each_value() {
        let file = File::read(
            "/c/config.toml".into(),
            "use = ['@prod']\ntimeout = '2s'\n\n\
             [endpoints.db1]\naddress = 'https://db1:6683/'\ntoken-file = 'db1.token'\n\
             [groups]\nprod = ['db1', '10.0.0.3:6680']\n",
        );
        match file {
            Ok(file) => {
                assert_eq!(file.timeout.as_ref().unwrap().origin.to_string(), "/c/config.toml:2");
                assert_eq!(file.endpoints["db1"].token, Token::File("/c/db1.token".into()));
                assert_eq!(file.endpoints["db1"].line, 5);
                assert_eq!(file.groups["prod"].value, ["db1", "10.0.0.3:6680"]);
            }
            Err(error) => assert!(cfg!(not(feature = "tls")) && error.to_string().contains(":5: "), "{error}"),
        }
    }

    #[test]
    fn errors_name_their_line() {
        for (text, expected) in [
            ("\ntiemout = '2s'", "/c/config.toml:2: unknown field `tiemout`, expected one of `use`, `timeout`"),
            ("timeout = 5", "/c/config.toml:1: invalid type: integer `5`, expected"),
            ("timeout = '5 parsecs'", "/c/config.toml:1: \"5 parsecs\": write it as 500ms"),
            ("\n\noutput = 'jsno'", "/c/config.toml:3: \"jsno\": did you mean `json`?"),
            ("theme = 'pink'", "/c/config.toml:1: \"pink\": write one of dark, light, mono, contrast"),
            ("[endpoints.a]\naddress = 'ftp://x'", "/c/config.toml:2: \"ftp://x\" is not an endpoint"),
            ("[endpoints.a]\n", "/c/config.toml:1: missing field `address`"),
            ("[endpoints.a]\naddress = 'x'\ntoken = 's3cret'", "/c/config.toml:3: unknown field `token`"),
            ("[endpoints.a]\naddress = 'x'\nkey = 'k'", "/c/config.toml:3: a key needs a certificate"),
            ("[endpoints.'a:1']\naddress = 'x'", "/c/config.toml:1: \"a:1\" is not a name"),
            ("[groups]\n\nall = []", "/c/config.toml:3: the group `all` is predefined"),
            ("a = 1\na = 2", "/c/config.toml:2: duplicate key"),
            ("= 3", "/c/config.toml:1: "),
        ] {
            assert!(error(text).starts_with(expected), "{text}\n{}", error(text));
            assert!(!error(text).contains("s3cret") && !error(text).contains('\n'));
        }
    }

    #[test]
    fn the_default_path_is_below_the_config_directory() {
        let path = |xdg: &'static str, home: &'static str| {
            default_path(&move |name| match name {
                "XDG_CONFIG_HOME" => Some(xdg.into()),
                "HOME" => Some(home.into()),
                _ => None,
            })
        };
        assert_eq!(path("/x", "/h"), Some("/x/pm/config.toml".into()));
        if cfg!(not(windows)) {
            assert_eq!(path("", "/h"), Some("/h/.config/pm/config.toml".into()));
        }
        assert_eq!(path("", ""), None);
    }

    #[test]
    fn only_a_file_that_was_named_must_exist() {
        let nowhere = |name: &str| (name == "XDG_CONFIG_HOME").then(|| OsString::from("/nowhere/at/all"));
        assert!(File::find(None, &nowhere).unwrap().is_none());
        let error = File::find(Some(Path::new("/nowhere/c.toml")), &nowhere).unwrap_err().to_string();
        assert!(error.starts_with("/nowhere/c.toml: ") && error.contains("--config"), "{error}");
    }
}
