//! The flags that all querying verbs have in common, and the settings that result.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::endpoints::{Defaults, Endpoints};
use super::file::File;
use super::setting::{ConfigError, Origin, Setting, Theme, Variables, choice, first, variable};
use crate::out::{Color, Format, Out, say};

const ENDPOINT: &str = "127.0.0.1:6680";
const TIMEOUT: Duration = Duration::from_secs(10);
/// Enough for a handshake across the world; unreachable machines among many must not cost more.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1_500);

/// All settings, each with its origin.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) endpoints: Endpoints,
    pub(super) timeout: Setting<Duration>,
    pub(super) connect_timeout: Setting<Duration>,
    pub(super) output: Setting<Format>,
    pub(crate) color: Setting<Color>,
    pub(crate) theme: Setting<Theme>,
    /// The config file that was read, if any.
    pub(super) file: Option<File>,
}

impl Settings {
    /// The output in the format and with the colours that are set.
    pub(crate) fn out(&self) -> Out {
        Out::new(self.output.value, self.color.value)
    }
}

/// The endpoints to query, and how.
#[derive(Debug, Default, Args)]
pub(crate) struct CommonArgs {
    /// Endpoints to query: host:port, http(s)://host:port/prefix/, unix:/path, a name or @group from the config file;
    /// repeat or separate with commas [env: PM_ENDPOINTS] [default: 127.0.0.1:6680]
    #[arg(short, long = "endpoint", value_name = "ENDPOINT", value_delimiter = ',', help_heading = "Endpoints")]
    endpoints: Vec<String>,
    /// Time limit for each endpoint: 500ms, 10s or 2m [env: PM_TIMEOUT] [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = pm_wire::duration::parse, help_heading = "Endpoints")]
    timeout: Option<Duration>,
    /// Time limit for connecting [env: PM_CONNECT_TIMEOUT] [default: 1.5s]
    #[arg(long, value_name = "DURATION", value_parser = pm_wire::duration::parse, help_heading = "Endpoints")]
    connect_timeout: Option<Duration>,
    /// File with the access token [env: PM_TOKEN_FILE, or the token itself in PM_TOKEN]
    #[arg(long, value_name = "FILE", help_heading = "Endpoints")]
    token_file: Option<PathBuf>,
    /// For https: trust only the authorities in this PEM file
    #[arg(long, value_name = "FILE", help_heading = "Endpoints")]
    ca: Option<PathBuf>,
    /// Config file [env: PM_CONFIG] [default: ~/.config/pm/config.toml]
    #[arg(long, value_name = "FILE", help_heading = "Endpoints")]
    config: Option<PathBuf>,
    /// When to use colours [env: PM_COLOR, NO_COLOR] [default: auto]
    #[arg(long, value_name = "WHEN", value_enum, help_heading = "Output")]
    color: Option<Color>,
}

impl CommonArgs {
    /// Combines these flags, the environment and the config file.
    ///
    /// # Errors
    ///
    /// A value is not understood; nothing has been queried yet.
    pub(crate) fn settings(&self, output: Option<Format>) -> Result<Settings, ConfigError> {
        self.settings_with(output, &|name| std::env::var_os(name))
    }

    fn settings_with(&self, output: Option<Format>, variables: Variables<'_>) -> Result<Settings, ConfigError> {
        let file = File::find(self.config.as_deref(), variables)?;
        let known = file.as_ref();
        let timeout = first(
            self.timeout.map(|value| (value, "--timeout")),
            variables,
            "PM_TIMEOUT",
            pm_wire::duration::parse,
            known.and_then(|file| file.timeout.as_ref()),
            TIMEOUT,
        )?;
        let connect_timeout = first(
            self.connect_timeout.map(|value| (value, "--connect-timeout")),
            variables,
            "PM_CONNECT_TIMEOUT",
            pm_wire::duration::parse,
            known.and_then(|file| file.connect_timeout.as_ref()),
            CONNECT_TIMEOUT,
        )?;
        let output = first(
            output.map(|value| (value, "--output")),
            variables,
            "PM_OUTPUT",
            choice,
            known.and_then(|file| file.output.as_ref()),
            Format::default(),
        )?;
        let color = first(
            self.color.map(|value| (value, "--color")),
            variables,
            "PM_COLOR",
            choice,
            known.and_then(|file| file.color.as_ref()),
            Color::default(),
        )?;
        let theme =
            first(None, variables, "PM_THEME", choice, known.and_then(|file| file.theme.as_ref()), Theme::default())?;
        let words = self.words(known, variables)?;
        let defaults = Defaults {
            timeout: timeout.value,
            connect_timeout: connect_timeout.value,
            token_file: self.token_file.as_deref(),
            ca: self.ca.as_deref(),
        };
        let endpoints = Endpoints::resolve(&words, known, &defaults)?;
        if let Some((name, count)) = endpoints.tokens_in_the_clear() {
            let others = if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
            say(&format!("the token goes to {name}{others} over plain http, where others may read it; https hides it"));
        }
        Ok(Settings { endpoints, timeout, connect_timeout, output, color, theme, file })
    }

    /// The words that name the endpoints.
    fn words(&self, file: Option<&File>, variables: Variables<'_>) -> Result<Setting<Vec<String>>, ConfigError> {
        if !self.endpoints.is_empty() {
            return Ok(Setting { value: self.endpoints.clone(), origin: Origin::Flag("--endpoint") });
        }
        if let Some(text) = variable(variables, "PM_ENDPOINTS")? {
            let value = text.split(',').map(str::to_owned).collect();
            return Ok(Setting { value, origin: Origin::Variable("PM_ENDPOINTS") });
        }
        let default = || Setting { value: vec![ENDPOINT.to_owned()], origin: Origin::Default };
        Ok(file.and_then(|file| file.uses.clone()).unwrap_or_else(default))
    }
}
