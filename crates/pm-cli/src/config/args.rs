//! The flags that all verbs which ask have in common, and how they become settings.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::file::File;
use super::{
    CONNECT_TIMEOUT, Color, ConfigError, ENDPOINT, Endpoints, Origin, Output, Set, Settings, TIMEOUT, Theme, Variables,
    first, variable, word,
};

/// Whom to ask, and how.
#[derive(Debug, Default, Args)]
pub(crate) struct Where {
    /// Whom to ask: host:port, http(s)://host:port/prefix/, unix:/path, a name or an @group of the config file; several
    /// with commas or by repeating [env: PM_ENDPOINTS] [default: 127.0.0.1:6680]
    #[arg(short, long = "endpoint", value_name = "ENDPOINT", value_delimiter = ',', help_heading = "Endpoints")]
    endpoints: Vec<String>,
    /// How long each endpoint may take in all, as 500ms, 10s or 2m [env: PM_TIMEOUT] [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = pm_wire::duration::parse, help_heading = "Endpoints")]
    timeout: Option<Duration>,
    /// How long connecting may take [env: PM_CONNECT_TIMEOUT] [default: 1.5s]
    #[arg(long, value_name = "DURATION", value_parser = pm_wire::duration::parse, help_heading = "Endpoints")]
    connect_timeout: Option<Duration>,
    /// A file with the token to show [env: PM_TOKEN_FILE, or the token itself in PM_TOKEN]
    #[arg(long, value_name = "FILE", help_heading = "Endpoints")]
    token_file: Option<PathBuf>,
    /// For https: trust only the authorities in this PEM file
    #[arg(long, value_name = "FILE", help_heading = "Endpoints")]
    ca: Option<PathBuf>,
    /// The config file [env: PM_CONFIG] [default: ~/.config/pm/config.toml]
    #[arg(long, value_name = "FILE", help_heading = "Endpoints")]
    config: Option<PathBuf>,
    /// When to use colours [env: PM_COLOR, NO_COLOR] [default: auto]
    #[arg(long, value_name = "WHEN", value_enum, help_heading = "Output")]
    color: Option<Color>,
}

impl Where {
    /// What holds, by these flags, the environment and the config file.
    ///
    /// # Errors
    ///
    /// What is wrong and where; nothing was asked yet.
    pub(crate) fn settings(&self, output: Option<Output>) -> Result<Settings, ConfigError> {
        self.settings_with(output, &|name| std::env::var_os(name))
    }

    pub(super) fn settings_with(
        &self,
        output: Option<Output>,
        variables: Variables<'_>,
    ) -> Result<Settings, ConfigError> {
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
            word,
            known.and_then(|file| file.output.as_ref()),
            Output::default(),
        )?;
        let color = first(
            self.color.map(|value| (value, "--color")),
            variables,
            "PM_COLOR",
            word,
            known.and_then(|file| file.color.as_ref()),
            Color::default(),
        )?;
        let theme =
            first(None, variables, "PM_THEME", word, known.and_then(|file| file.theme.as_ref()), Theme::default())?;
        let words = self.words(known, variables)?;
        let ours = super::endpoints::Common {
            timeout: timeout.value,
            connect_timeout: connect_timeout.value,
            token_file: self.token_file.as_deref(),
            ca: self.ca.as_deref(),
        };
        let endpoints = Endpoints::resolve(&words, known, &ours)?;
        Ok(Settings { endpoints, timeout, connect_timeout, output, color, theme, file })
    }

    /// The words that say whom to ask.
    fn words(&self, file: Option<&File>, variables: Variables<'_>) -> Result<Set<Vec<String>>, ConfigError> {
        if !self.endpoints.is_empty() {
            return Ok(Set { value: self.endpoints.clone(), origin: Origin::Flag("--endpoint") });
        }
        if let Some(text) = variable(variables, "PM_ENDPOINTS")? {
            let value = text.split(',').map(str::to_owned).collect();
            return Ok(Set { value, origin: Origin::Variable("PM_ENDPOINTS") });
        }
        let default = || Set { value: vec![ENDPOINT.to_owned()], origin: Origin::Default };
        Ok(file.and_then(|file| file.uses.clone()).unwrap_or_else(default))
    }
}
