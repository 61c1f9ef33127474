//! `pm top` on a terminal, against programs that run, hang, or are unreachable. On Linux, where tests can create
//! terminals; and in tmux, if installed.

#![cfg(target_os = "linux")]

mod common;

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use common::{closed_address, command, err, kept_address, out, pm, serve};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// Turns a hang into a failure.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A terminal with a running program.
struct Screen {
    keys: File,
    shown: Receiver<String>,
    child: Child,
    /// An incomplete escape sequence.
    part: String,
    /// The output without sequences and spaces, as unchanged spaces are not drawn again.
    seen: String,
    /// The output up to the last match.
    frame: String,
}

impl Screen {
    fn new(command: &mut Command, (columns, rows): (u16, u16)) -> Screen {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        tcsetwinsize(&master, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let open =
            || -> Stdio { OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).unwrap().into() };
        let child =
            command.env("TERM", "xterm").process_group(0).stdin(open()).stdout(open()).stderr(open()).spawn().unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let keys = File::from(master);
        let mut screen = keys.try_clone().unwrap();
        let (send, shown) = channel();
        std::thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut part)
                && send.send(String::from_utf8_lossy(&part[..count]).into_owned()).is_ok()
            {}
        });
        Screen { keys, shown, child, part: String::new(), seen: String::new(), frame: String::new() }
    }

    /// Waits until `text` is drawn, and drops the output up to it.
    fn until(&mut self, text: &str) {
        let text = text.replace(' ', "");
        loop {
            if let Some(at) = self.seen.find(&text) {
                self.frame = self.seen.drain(..at + text.len()).collect();
                return;
            }
            let more = self.shown.recv_timeout(TIMEOUT);
            self.take(&more.unwrap_or_else(|_| panic!("{text:?} is not in {:?}", self.seen)));
        }
    }

    fn take(&mut self, more: &str) {
        self.part += more;
        let whole = std::mem::take(&mut self.part);
        let mut rest = whole.as_str();
        while let Some(at) = rest.find('\x1b') {
            self.seen.extend(rest[..at].chars().filter(|c| *c != ' '));
            rest = &rest[at..];
            let Some(end) = rest.char_indices().skip(2).find(|(_, c)| ('@'..='~').contains(c)) else {
                rest.clone_into(&mut self.part);
                return;
            };
            rest = &rest[end.0 + 1..];
        }
        self.seen.extend(rest.chars().filter(|c| *c != ' '));
    }

    /// Redraws everything and waits for `text`.
    fn redraw_until(&mut self, text: &str) {
        self.press("\x0c");
        self.until(text);
    }

    /// Redraws until `text` is shown.
    fn eventually_shows(&mut self, text: &str) {
        let text = text.replace(' ', "");
        let begun = Instant::now();
        loop {
            self.seen.clear();
            self.redraw_until("qquit");
            // The frame up to its last line.
            if std::mem::take(&mut self.frame).contains(&text) {
                return;
            }
            assert!(begun.elapsed() < TIMEOUT, "{text:?} is not on the screen");
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    fn quit(mut self) {
        self.press("q");
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_task_is_filtered_and_killed_and_the_verdict_is_shown() {
    let list = pm::ProcessList::new();
    let (_server, endpoint) = serve(&list);
    let task = list.task("import-42").kind("import").start();
    let _other = list.task("mail-1").kind("mail").start();
    let mut screen = Screen::new(&mut command(&["top", "--no-mouse", "-e", &endpoint]), (100, 30));
    screen.until("mail-1");
    screen.press("/kind=import\r");
    screen.redraw_until("2 tasks, 1 shown");
    screen.press("k");
    screen.until("reason: ");
    assert!(!task.is_cancelled());
    screen.press("too slow, quit please\r");
    let ended = std::thread::spawn(move || {
        while !task.is_cancelled() {
            std::thread::yield_now();
        }
        task.checkpoint().unwrap_err().reason().to_owned()
    });
    screen.until("cancelled after ");
    assert_eq!(ended.join().unwrap(), "too slow, quit please");
    screen.press("\r");
    screen.until("filter");
    screen.quit();
}

#[test]
fn an_unreachable_endpoint_is_named_and_reconnects() {
    let list = pm::ProcessList::new();
    let address = kept_address();
    let start = || pm::Server::builder().list(&list).listen(address).start().unwrap();
    let server = start();
    let _task = list.task("import-42").start();
    let words = ["top", "--interval", "250ms", "-e", &address.to_string()];
    let mut screen = Screen::new(&mut command(&words), (200, 30));
    screen.until("import-42");
    drop(server);
    screen.until("unreachable for ");
    screen.until("1 task stale");
    let _new = list.task("import-43").start();
    let _server = start();
    screen.until("import-43");
    screen.quit();
}

#[test]
fn a_go_original_is_polled() {
    let old = common::Fake::original(
        r#"{"procs":[{"id":"req-1","procTime":"2013-01-01T10:00:00Z","statusTime":"2013-01-01T10:00:05Z",
"status":"reading"}],"serverTime":"2013-01-01T10:00:10Z"}"#,
        r#"{"history":[{"ts":"2013-01-01T10:00:00Z","status":"init"}],"serverTime":"2013-01-01T10:00:10Z"}"#,
    );
    let mut screen = Screen::new(&mut command(&["top", "-e", &old.endpoint]), (100, 30));
    screen.until("req-1");
    // Its clock is years behind; ages are relative to it.
    screen.until("10.0 s");
    screen.press("5");
    screen.until("polled");
    screen.quit();
}

#[test]
fn of_fifty_endpoints_the_reachable_half_is_shown() {
    let list = pm::ProcessList::new();
    let _task = list.task("import-42").start();
    let servers: Vec<_> = (0..25).map(|_| serve(&list)).collect();
    // Closed ports, and servers that never respond.
    let silent: Vec<_> = (0..5).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let mut endpoints: Vec<String> = servers.iter().map(|(_, endpoint)| endpoint.clone()).collect();
    endpoints.extend((0..20).map(|_| closed_address()));
    endpoints.extend(silent.iter().map(|listener| listener.local_addr().unwrap().to_string()));
    let begun = Instant::now();
    let mut screen = Screen::new(&mut command(&["top", "-e", &endpoints.join(",")]), (120, 40));
    screen.until("import-42");
    screen.eventually_shows("25 of 50 endpoints  25 tasks");
    println!("25 of 50 endpoints on the screen after {:?}", begun.elapsed());
    screen.quit();
}

#[test]
fn without_a_terminal_it_names_alternatives() {
    let output = pm(&["top"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(err(&output).contains("needs a terminal") && out(&output).is_empty(), "{output:?}");
}

#[test]
fn a_recording_is_replayed() {
    let list = pm::ProcessList::new();
    let (_server, endpoint) = serve(&list);
    let _task = list.task("import-42").kind("import").start();
    let file = std::env::temp_dir().join(format!("pm-top-test-{}.pmrec", std::process::id()));
    let name = file.to_str().unwrap();
    let output = pm(&["record", "--force", "-o", name, "-e", &endpoint, "--for", "1s"]);
    assert!(output.status.success() && err(&output).contains("recorded "), "{output:?}");
    let refused = pm(&["record", "-o", name, "-e", &endpoint]);
    assert!(refused.status.code() == Some(2) && err(&refused).contains("exists; name another file"), "{refused:?}");
    let output = pm(&["replay", name, "-o", "json"]);
    assert_eq!(common::json(&output)["items"][0]["id"], "import-42", "{output:?}");
    let output = pm(&["replay", name, "kind=other", "-o", "ids"]);
    assert!(out(&output).is_empty(), "{output:?}");
    let mut screen = Screen::new(&mut command(&["replay", name, "--ascii"]), (100, 30));
    screen.until("import-42");
    screen.press("p");
    screen.until("PAUSED");
    screen.press("[");
    screen.quit();
    std::fs::remove_file(file).unwrap();
}

#[test]
fn a_full_disk_is_an_error_of_record() {
    let list = pm::ProcessList::new();
    let (_server, endpoint) = serve(&list);
    let output = pm(&["record", "-o", "/dev/full", "-e", &endpoint, "--for", "10s"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(err(&output).contains("/dev/full: No space left on device"), "{output:?}");
}

/// A separate tmux server, if tmux is installed.
struct Tmux(String);

impl Tmux {
    fn new() -> Option<Tmux> {
        let is_there = Command::new("tmux").arg("-V").output().is_ok_and(|output| output.status.success());
        let is_needed = std::env::var_os("PM_TEST_TOOLS").is_some_and(|value| value == "1");
        assert!(is_there || !is_needed, "PM_TEST_TOOLS=1, but tmux is missing: install it");
        if !is_there {
            eprintln!("skipped: tmux is missing");
        }
        is_there.then(|| Tmux(format!("pm-top-test-{}", std::process::id())))
    }

    fn run(&self, args: &[&str]) -> String {
        let output = Command::new("tmux").args(["-L", &self.0, "-f", "/dev/null"]).args(args).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The screen, once it contains `text`.
    fn until(&self, text: &str) -> String {
        let begun = Instant::now();
        loop {
            let screen = self.run(&["capture-pane", "-p"]);
            if screen.contains(text) {
                return screen;
            }
            assert!(begun.elapsed() < TIMEOUT, "{text:?} is not on the screen:\n{screen}");
            std::thread::yield_now();
        }
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.run(&["kill-server"]);
    }
}

#[test]
fn in_tmux_every_view_of_the_demo_is_on_the_screen() {
    let Some(tmux) = Tmux::new() else { return };
    let mut demo = command(&["demo", "--listen", "127.0.0.1:0", "--app", "127.0.0.1:0", "--root", "src"]);
    let mut demo = demo.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let endpoint = {
        use std::io::{BufRead as _, BufReader};
        let (stdout, stderr) = (demo.stdout.take().unwrap(), demo.stderr.take().unwrap());
        let lines = BufReader::new(stdout).lines().chain(BufReader::new(stderr).lines());
        let line = lines.map_while(Result::ok).find(|line| line.contains("http://127.0.0.1:")).unwrap();
        let at = line.find("127.0.0.1:").unwrap();
        line[at..].split(|c: char| !c.is_ascii_digit() && c != '.' && c != ':').next().unwrap().to_owned()
    };
    let command = format!("{} top -e {endpoint}", env!("CARGO_BIN_EXE_pm"));
    tmux.run(&["new-session", "-d", "-x", "80", "-y", "24", &format!("env -u NO_COLOR {command}")]);
    let screen = tmux.until("demo-index");
    assert!(screen.starts_with("pm top  127.0.0.1:") && screen.contains("[1 running]"), "{screen}");
    assert!(screen.lines().count() <= 24 && screen.lines().all(|line| line.chars().count() <= 80), "{screen}");
    for (key, text) in [("2", "WHERE TIME GOES|ENDED/S|SPREAD"), ("3", "OUTCOME"), ("4", "deadlock"), ("5", "live")] {
        tmux.run(&["send-keys", key]);
        tmux.until(text.rsplit('|').next().unwrap());
    }
    tmux.run(&["send-keys", "1"]);
    tmux.until("[1 running]");
    tmux.run(&["send-keys", "Enter"]);
    tmux.until("history");
    tmux.run(&["resize-window", "-x", "200", "-y", "60"]);
    let screen = tmux.until("started");
    assert!(screen.contains("endpoint"), "{screen}");
    demo.kill().unwrap();
    demo.wait().unwrap();
}
