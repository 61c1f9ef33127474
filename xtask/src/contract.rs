//! The API from outside: a running server against its own description, and its metrics against their readers.
//!
//! schemathesis reads `/openapi.json` and sends what it allows and what it does not; `promtool` and the parser of
//! prometheus-client read `/metrics`. The server is `crates/pm/examples/contract.rs`. What the tools need is kept below
//! `target/contract`.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::check::WORKSPACE;
use crate::step::{Done, Outcome, cargo, pass, pass_within, settle, target_dir, works};

/// The packages that are installed from PyPI.
const PACKAGES: [&str; 2] = ["schemathesis>=4.32,<5", "prometheus-client>=0.21,<1"];
const CONFIG: &str = "xtask/contract/schemathesis.toml";
/// Random requests of each operation and phase: usually, and when there is time.
const EXAMPLES: (u32, u32) = (50, 1000);
/// The usual ones are the same each time, so that a change is judged by itself and not by luck.
const SEED: &str = "--seed=20";

/// Tokens of a server that requires one, as in its file; used on this machine only, and only briefly.
const READ: &str = "read-0123456789abcdef0123456789abcdef";
const CANCEL: &str = "cancel-0123456789abcdef0123456789abcdef";

/// The callers: a name for the output, `true` if the server requires a token, and the token that is sent.
const CREDENTIALS: [(&str, bool, Option<&str>); 4] = [
    ("no token", false, None),
    ("no token where one is required", true, None),
    ("a token that may read", true, Some(READ)),
    ("a token that may cancel", true, Some(CANCEL)),
];

/// Reads OpenMetrics from its input, and fails if they are not valid.
const OPEN_METRICS: &str = "\
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
families = list(text_string_to_metric_families(sys.stdin.read()))
print(len(families), 'families')";

pub(crate) fn check() -> Outcome {
    all(EXAMPLES.0, Some(SEED))
}

/// Checks with other requests each time.
pub(crate) fn check_thoroughly() -> Outcome {
    all(EXAMPLES.1, None)
}

fn all(examples: u32, seed: Option<&str>) -> Outcome {
    let home = std::path::absolute(target_dir("contract")).map_err(|error| format!("target/contract: {error}"))?;
    let bin = match python(&home) {
        Ok(bin) => bin,
        Err(why) => return Ok(Done::LeftOut(why)),
    };
    pass(cargo(&["build", "--example=contract"]).args(WORKSPACE))?;
    let server = Server::start(None)?;
    let guarded = Server::start(Some(&tokens(&home)?))?;
    let mut left_out = Vec::new();

    let (text, open) = (server.get("/metrics", "*/*")?, server.get("/metrics", "application/openmetrics-text")?);
    match promtool(&home) {
        Ok(tool) => feed(Command::new(tool).args(["check", "metrics"]), &text)?,
        Err(why) => left_out.push(format!("promtool ({why}); apt-get install prometheus")),
    }
    feed(Command::new(bin.join("python")).args(["-c", OPEN_METRICS]), &open)?;

    let mut errors = Vec::new();
    for (who, is_guarded, token) in CREDENTIALS {
        println!("as: {who}");
        let server = if is_guarded { &guarded } else { &server };
        let mut command = Command::new(bin.join("schemathesis"));
        command.args(["--config-file", CONFIG, "run", "--checks=all", "--continue-on-failure", "--no-color"]);
        command.arg(format!("--max-examples={examples}")).args(seed);
        if let Some(token) = token {
            command.arg(format!("--header=Authorization:Bearer {token}"));
        }
        errors.extend(pass(command.arg(format!("http://{}/openapi.json", server.address))).err());
    }
    settle(&errors)?;
    Ok(if left_out.is_empty() { Done::Whole } else { Done::Partly(left_out) })
}

/// A file with the tokens, for its owner only.
fn tokens(home: &Path) -> Result<PathBuf, String> {
    let path = home.join("tokens");
    let failed = |error: io::Error| format!("{}: {error}", path.display());
    let text = format!("read {READ} reader\ncancel {CANCEL} killer\n");
    let _ = fs::remove_file(&path);
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&path).and_then(|mut file| file.write_all(text.as_bytes())).map_err(failed)?;
    Ok(path)
}

/// Returns the folder with the programs of a Python environment, which is created if need be.
fn python(home: &Path) -> Result<PathBuf, String> {
    let (venv, marker) = (home.join("venv"), home.join("installed"));
    let bin = venv.join(if cfg!(windows) { "Scripts" } else { "bin" });
    let packages = PACKAGES.join("\n");
    let is_there = fs::read_to_string(&marker).is_ok_and(|installed| installed == packages);
    if is_there && works(Command::new(bin.join("schemathesis")).arg("--version")) {
        return Ok(bin);
    }
    if !works(Command::new("python3").args(["-c", "import venv, ensurepip"])) {
        return Err("no python3 with venv and pip; apt-get install python3-venv".into());
    }
    let mut make = Command::new("python3");
    pass_within(make.args(["-m", "venv", "--clear"]).arg(&venv), Duration::from_secs(120))?;
    let mut install = Command::new(bin.join("python"));
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(PACKAGES);
    pass_within(&mut install, Duration::from_secs(600))
        .map_err(|why| format!("schemathesis could not be installed: {why}"))?;
    fs::write(&marker, packages).map_err(|error| format!("{}: {error}", marker.display()))?;
    Ok(bin)
}

/// A promtool: that of the system, or that of Debian's package, which is unpacked and not installed, so that no
/// Prometheus is started.
fn promtool(home: &Path) -> Result<PathBuf, String> {
    let dir = home.join("prometheus");
    let ours = dir.join("usr/bin/promtool");
    for tool in [PathBuf::from("promtool"), ours.clone()] {
        if works(Command::new(&tool).arg("--version")) {
            return Ok(tool);
        }
    }
    fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let mut download = Command::new("apt-get");
    pass_within(download.args(["download", "--quiet", "prometheus"]).current_dir(&dir), Duration::from_secs(300))?;
    let files = dir.read_dir().map_err(|error| format!("{}: {error}", dir.display()))?;
    let mut packages = files.flatten().map(|file| file.path()).filter(|path| path.extension() == Some("deb".as_ref()));
    let package = packages.next().ok_or("apt-get downloaded nothing")?;
    pass_within(Command::new("dpkg-deb").arg("--extract").arg(package).arg(&dir), Duration::from_secs(60))?;
    if works(Command::new(&ours).arg("--version")) { Ok(ours) } else { Err("it does not run here".into()) }
}

/// Runs a program that reads `text`.
fn feed(command: &mut Command, text: &str) -> Result<(), String> {
    let name = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    println!("$ {name} < /metrics");
    let failed = |error: io::Error| format!("{name}: {error}");
    let mut child = command.stdin(Stdio::piped()).spawn().map_err(failed)?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(text.as_bytes()).map_err(failed)?;
    }
    let status = child.wait().map_err(failed)?;
    if status.success() { Ok(()) } else { Err(format!("{name}: {status}; it was given:\n{text}")) }
}

/// The example, for as long as this lives.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(tokens: Option<&Path>) -> Result<Self, String> {
        let program = target_dir("debug").join("examples").join(format!("contract{}", std::env::consts::EXE_SUFFIX));
        let failed = |error: io::Error| format!("{}: {error}", program.display());
        let mut child =
            Command::new(&program).args(tokens).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(failed)?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut line).map_err(failed)?;
        }
        let address = line.trim().trim_start_matches("http://").trim_end_matches('/').to_owned();
        println!("{} serves {address}", program.display());
        Ok(Self { child, address })
    }

    /// The body of an answer, which must be a good one.
    fn get(&self, path: &str, accept: &str) -> Result<String, String> {
        let failed = |error: io::Error| format!("GET {path}: {error}");
        let mut stream = TcpStream::connect(&self.address).map_err(failed)?;
        let head =
            format!("GET {path} HTTP/1.1\r\nHost: {}\r\nAccept: {accept}\r\nConnection: close\r\n\r\n", self.address);
        stream.write_all(head.as_bytes()).map_err(failed)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map_err(failed)?;
        let body = answer.strip_prefix("HTTP/1.1 200 OK\r\n").and_then(|rest| rest.split_once("\r\n\r\n"));
        body.map(|(_, body)| body.to_owned()).ok_or_else(|| format!("GET {path}: {answer}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It also ends with its input; here nothing waits for its tasks.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
