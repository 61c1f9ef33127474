//! The built command on a terminal: prompts, input and tables. On Linux, where tests can create terminals.

#![cfg(target_os = "linux")]

mod common;

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};

use common::{command, serve};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// A terminal with a running program.
struct Screen {
    keys: File,
    child: Child,
    seen: String,
}

impl Screen {
    fn new(command: &mut Command, columns: u16) -> Screen {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        tcsetwinsize(&master, Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let open =
            || -> Stdio { OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).unwrap().into() };
        let child = command.env("TERM", "xterm").stdin(open()).stdout(open()).stderr(open()).spawn().unwrap();
        // Closes the other end in this process, so that reading ends when the child ends.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Screen { keys: File::from(master), child, seen: String::new() }
    }

    /// Reads until `text` is shown.
    fn until(&mut self, text: &str) {
        let mut part = [0; 4096];
        while !self.seen.contains(text) {
            let count = self.keys.read(&mut part).unwrap_or(0);
            assert_ne!(count, 0, "{text:?} is not in {:?}", self.seen);
            self.seen += &String::from_utf8_lossy(&part[..count]);
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// All output, once the program has ended.
    fn end(mut self) -> (ExitStatus, String) {
        let mut part = [0; 4096];
        // Reading fails once no program uses the terminal.
        while let Ok(count @ 1..) = self.keys.read(&mut part) {
            self.seen += &String::from_utf8_lossy(&part[..count]);
        }
        (self.child.wait().unwrap(), self.seen)
    }
}

#[test]
fn a_kill_shows_the_tasks_and_asks_for_reason_and_confirmation() {
    let list = pm::ProcessList::new();
    let (_server, endpoint) = serve(&list);
    let task = list.task("job-1").kind("job").start();
    let mut screen = Screen::new(&mut command(&["kill", "kind=job", "--wait", "1ms", "-e", &endpoint]), 80);
    screen.until("(Enter for none): ");
    assert!(screen.seen.contains("job-1") && !task.is_cancelled(), "{}", screen.seen);
    screen.press("too slow, quit please\n");
    screen.until("Cancel this task with the reason \"too slow, quit please\"? [y/N] ");
    assert!(!task.is_cancelled());
    screen.press("y\n");
    let (status, seen) = screen.end();
    assert_eq!(status.code(), Some(7), "{seen}");
    assert_eq!(task.checkpoint().unwrap_err().reason(), "too slow, quit please");
    assert!(seen.contains("still running after"), "{seen}");
}

#[test]
fn declining_or_the_end_of_input_cancels_nothing() {
    let list = pm::ProcessList::new();
    let (_server, endpoint) = serve(&list);
    let task = list.start("job-1");
    for keys in ["n\n", "\n", "q\n", "\u{4}"] {
        let mut screen = Screen::new(&mut command(&["kill", "job-1", "-m", "why not", "-e", &endpoint]), 80);
        screen.until("Cancel this task with the reason \"why not\"? [y/N] ");
        screen.press(keys);
        let (status, seen) = screen.end();
        assert_eq!(status.code(), Some(1), "{seen}");
        assert!(seen.contains("none was cancelled") && !task.is_cancelled(), "{seen}");
    }
}

#[test]
fn a_table_fits_its_terminal_and_names_omitted_columns() {
    let list = pm::ProcessList::new();
    let (_server, endpoint) = serve(&list);
    let task =
        list.task(&"日本".repeat(30)).kind("GET /a/rather/long/route/{id}").attr("host", &*"h".repeat(200)).start();
    task.status(&"s".repeat(300)).unwrap();
    for columns in [1, 20, 40, 80, 200] {
        let (status, seen) = Screen::new(&mut command(&["ls", "--color", "never", "-e", &endpoint]), columns).end();
        assert!(status.success(), "{seen}");
        let table = seen.lines().filter(|line| !line.starts_with("pm: "));
        let widest = table.map(unicode_width::UnicodeWidthStr::width).max().unwrap();
        assert!(widest <= usize::from(columns), "{columns} columns, {widest} wide\n{seen}");
        assert_eq!(seen.contains("-o wide shows all columns"), columns <= 40, "{columns} {seen}");
    }
}

#[test]
fn colours_are_used_on_terminals_unless_disabled() {
    let list = pm::ProcessList::new();
    let (_server, endpoint) = serve(&list);
    let _task = list.start("job-1");
    let args = |more: &[&'static str]| [&["ls", "-e", &endpoint], more].concat().join("\n");
    let has_color = |words: String, variables: &[(&str, &str)]| {
        let words: Vec<&str> = words.split('\n').collect();
        let mut command = command(&words);
        command.envs(variables.iter().copied());
        Screen::new(&mut command, 80).end().1.contains('\u{1b}')
    };
    assert!(has_color(args(&[]), &[]));
    assert!(!has_color(args(&[]), &[("NO_COLOR", "1")]));
    assert!(!has_color(args(&[]), &[("PM_COLOR", "never")]));
    assert!(!has_color(args(&["--color", "never"]), &[("PM_COLOR", "always")]));
    assert!(has_color(args(&["--color", "always"]), &[("NO_COLOR", "1")]));
    assert!(!has_color(args(&["-o", "json"]), &[]));
    // In a pipe only on request.
    let in_pipe = |more: &[&'static str]| {
        let words = args(more);
        let words: Vec<&str> = words.split('\n').collect();
        common::out(&common::pm(&words)).contains('\u{1b}')
    };
    assert!(!in_pipe(&[]) && in_pipe(&["--color", "always"]));
}

#[test]
fn a_dumb_terminal_gets_no_colours() {
    let list = pm::ProcessList::new();
    let (_server, endpoint) = serve(&list);
    let _task = list.start("job-1");
    // Set by a shell, as the test harness overrides TERM.
    let script = "TERM=dumb exec \"$0\" ls -e \"$1\"";
    let mut command = Command::new("sh");
    command.env("PM_CONFIG", "").env_remove("NO_COLOR").env_remove("PM_COLOR");
    command.args(["-c", script, env!("CARGO_BIN_EXE_pm"), &endpoint]);
    let (status, seen) = Screen::new(&mut command, 80).end();
    assert!(status.success() && seen.contains("job-1") && !seen.contains('\u{1b}'), "{seen}");
}
