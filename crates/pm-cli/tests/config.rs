//! Settings of the built command: flag over environment over file, and errors.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

/// A config file for one test.
fn file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).unwrap();
    path
}

fn pm(args: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pm"));
    for name in ["PM_ENDPOINTS", "PM_TIMEOUT", "PM_OUTPUT", "PM_COLOR", "PM_THEME", "PM_TOKEN", "PM_TOKEN_FILE"] {
        command.env_remove(name);
    }
    command.env("PM_CONFIG", "").envs(variables.iter().copied()).args(args).output().unwrap()
}

fn items(output: &Output) -> Vec<(String, String, String)> {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let items = json["items"].as_array().unwrap();
    items.iter().map(|item| (text(&item["key"]), text(&item["value"]), text(&item["from"]))).collect()
}

fn value(items: &[(String, String, String)], key: &str) -> (String, String) {
    let (_, value, from) = items.iter().find(|(found, _, _)| found == key).unwrap();
    (value.clone(), from.clone())
}

#[test]
fn a_flag_overrides_a_variable_overrides_the_file_overrides_the_default() {
    let path = file("precedence.toml", "timeout = '1s'\ncolor = 'never'\ntheme = 'light'\n");
    let shown = path.display().to_string();
    let variables = [("PM_CONFIG", shown.as_str()), ("PM_TIMEOUT", "2s"), ("PM_COLOR", "always")];
    let items = items(&pm(&["config", "-o", "json", "--timeout", "3s"], &variables));
    assert_eq!(value(&items, "timeout"), ("3s".into(), "flag --timeout".into()));
    assert_eq!(value(&items, "color"), ("always".into(), "variable PM_COLOR".into()));
    assert_eq!(value(&items, "theme"), ("light".into(), format!("{shown}:3")));
    assert_eq!(value(&items, "connect-timeout"), ("1500ms".into(), "default".into()));
    assert_eq!(value(&items, "endpoint"), ("127.0.0.1:6680 (token: none)".into(), "default".into()));
}

#[test]
fn tokens_are_not_shown() {
    let path = file("token.toml", "use = ['a', 'b:1']\n[endpoints.a]\naddress = 'a:1'\ntoken-env = 'MINE'\n");
    let shown = path.display().to_string();
    let output = pm(&["config", "--config", &shown], &[("PM_TOKEN", "s3cret-1"), ("MINE", "s3cret-2")]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("a = a:1 (token: token-env)") && text.contains("b:1 (token: variable PM_TOKEN)"), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
}

#[test]
fn an_error_in_the_file_names_its_line() {
    let path = file("error.toml", "\n[endpoints.a]\nadress = 'a:1'\n");
    let shown = path.display().to_string();
    let output = pm(&["ls"], &[("PM_CONFIG", &shown)]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.starts_with(&format!("pm: {shown}:3: unknown field `adress`, expected one of `address`")), "{text}");
}

#[test]
fn invalid_settings_are_usage_errors() {
    for (args, variables) in [
        (&["ls", "--config", "/nowhere/at/all.toml"][..], &[][..]),
        (&["ls"], &[("PM_CONFIG", "/nowhere/at/all.toml")]),
        (&["ls"], &[("PM_OUTPUT", "yaml")]),
        (&["ls"], &[("PM_TIMEOUT", "soon")]),
        (&["ls", "-e", "@prod"], &[]),
        (&["ls", "-e", "a:b:c"], &[]),
    ] {
        let output = pm(args, variables);
        assert_eq!(output.status.code(), Some(2), "{args:?} {variables:?} {output:?}");
        assert!(output.stdout.is_empty() && output.stderr.starts_with(b"pm: "), "{output:?}");
    }
}
