//! The terminal is restored: a child process of this test on its own terminal ends in every possible way.

use super::*;

#[test]
fn base64_is_standard() {
    for (text, expected) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob\u{ff}", "Zm9vYsO/")] {
        assert_eq!(base64(text.as_bytes()), expected);
    }
}

#[cfg(target_os = "linux")]
mod ends {
    use std::fs::{File, OpenOptions};
    use std::io::{Read as _, Write as _};
    use std::os::unix::process::CommandExt as _;
    use std::process::{Child, Command, Stdio};
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;

    use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};

    use super::Guard;
    use crate::config::Theme as Name;
    use crate::feed::Store;
    use crate::top::app::{App, Options};
    use crate::top::event_loop::{End, Inputs, run};
    use crate::top::model::{Column, List, Shape};
    use crate::top::theme::{Glyphs, Theme};

    const CHILD: &str = "top::screen::tests::ends::child";
    const HOW: &str = "PM_TEST_SCREEN_ENDS_BY";
    const TAKEN: &str = "\x1b[?1049h";
    const RESTORED: &str = "\x1b[?1049l";
    /// At the bottom of a drawn list.
    const DRAWN: &str = "quit";

    /// Turns a hang into a failure.
    const TIMEOUT: Duration = Duration::from_secs(120);

    /// Started by the other tests; not a test by itself.
    #[test]
    #[ignore = "started by the other tests on a terminal"]
    fn child() {
        let Ok(how) = std::env::var(HOW) else { return };
        match how.as_str() {
            "panic" => {
                let _guard = Guard::new(true).unwrap();
                panic!("intended");
            }
            "panic elsewhere" => {
                let _guard = Guard::new(true).unwrap();
                let _ = std::thread::spawn(|| panic!("intended")).join();
                unreachable!("the process has ended");
            }
            "error" => {
                fn fails() -> std::io::Result<()> {
                    let _guard = Guard::new(true)?;
                    Err(std::io::Error::other("intended"))
                }
                eprintln!("{}", fails().unwrap_err());
            }
            _ => {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                let list = List::new(Default::default(), (Column::Age, true), Shape::Flat);
                let (theme, glyphs) = (Theme::new(Name::Dark, true), Glyphs::new(false));
                let options = Options { theme, glyphs, columns: vec![Column::Id], mouse: true };
                let app = App::new(Store::new(["none".to_owned()]), list, options);
                let (_updates, updates) = tokio::sync::mpsc::channel(1);
                let (_replies, replies) = tokio::sync::mpsc::channel(1);
                let interval = Duration::from_secs(1);
                let inputs = Inputs { updates, replies, requester: None, interval, playback: None };
                let end = runtime.block_on(run(app, inputs)).unwrap();
                match end {
                    End::Quit => eprintln!("ended by quit"),
                    End::Signal(number) => eprintln!("ended by signal {number} "),
                }
            }
        }
    }

    /// A terminal with the child on it.
    struct Screen {
        keys: File,
        shown: Receiver<String>,
        child: Child,
        before: String,
        seen: String,
        /// Keeps the modes, which are reset when the last process closes the terminal.
        _held: File,
    }

    impl Screen {
        fn new(how: &str) -> Screen {
            let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
            grantpt(&master).unwrap();
            unlockpt(&master).unwrap();
            tcsetwinsize(&master, Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
            let name = ptsname(&master, Vec::new()).unwrap();
            let open =
                || -> Stdio { OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).unwrap().into() };
            let keys = File::from(master);
            let before = state(&keys);
            let _held = OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).unwrap();
            let (send, shown) = channel();
            let mut screen = keys.try_clone().unwrap();
            std::thread::spawn(move || {
                let mut part = [0; 4096];
                while let Ok(count @ 1..) = screen.read(&mut part)
                    && send.send(String::from_utf8_lossy(&part[..count]).into_owned()).is_ok()
                {}
            });
            let child = Command::new(std::env::current_exe().unwrap())
                .args([CHILD, "--exact", "--ignored", "--nocapture"])
                .env(HOW, how)
                .env("TERM", "xterm")
                .env("RUST_BACKTRACE", "0")
                // A stop of its process group must not affect this one.
                .process_group(0)
                .stdin(open())
                .stdout(open())
                .stderr(open())
                .spawn()
                .unwrap();
            Screen { keys, shown, child, before, seen: String::new(), _held }
        }

        fn pid(&self) -> Pid {
            Pid::from_child(&self.child)
        }

        /// Reads until `text` was shown, and drops the output up to it.
        fn until(&mut self, text: &str) {
            loop {
                if let Some(at) = self.seen.find(text) {
                    self.seen.drain(..at + text.len());
                    return;
                }
                let more = self.shown.recv_timeout(TIMEOUT);
                self.seen += &more.unwrap_or_else(|_| panic!("{text:?} is not in {:?}", self.seen));
            }
        }

        /// Asserts that the terminal is as before the child started.
        fn assert_restored(&mut self) {
            self.until(RESTORED);
            self.until("\x1b[?25h");
            assert_eq!(state(&self.keys), self.before);
        }

        /// Asserts that the child ends and prints `text` after restoring the terminal.
        fn assert_ends_with(mut self, text: &str) {
            // The modes are restored after the output, so check them only once the child has ended.
            self.until(RESTORED);
            self.until("\x1b[?25h");
            self.until(text);
            self.child.wait().unwrap();
            assert_eq!(state(&self.keys), self.before);
        }
    }

    /// All modes of a terminal, as `stty -g` shows them.
    fn state(terminal: &File) -> String {
        let modes = tcgetattr(terminal).unwrap();
        format!(
            "{:?} {:?} {:?} {:?} {:?}",
            modes.input_modes, modes.output_modes, modes.control_modes, modes.local_modes, modes.special_codes
        )
    }

    #[test]
    fn quitting_restores_the_terminal() {
        let mut screen = Screen::new("run");
        screen.until(TAKEN);
        screen.until(DRAWN);
        assert_ne!(state(&screen.keys), screen.before, "raw mode");
        screen.keys.write_all(b"q").unwrap();
        screen.assert_ends_with("ended by quit");
    }

    #[test]
    fn the_terminal_is_restored_before_an_error_is_printed() {
        Screen::new("error").assert_ends_with("intended");
    }

    #[test]
    fn the_terminal_is_restored_before_a_panic_is_printed() {
        Screen::new("panic").assert_ends_with("intended");
    }

    #[test]
    fn a_panic_of_another_thread_ends_the_process_and_restores_the_terminal() {
        Screen::new("panic elsewhere").assert_ends_with("intended");
    }

    #[test]
    fn signals_restore_the_terminal() {
        for (signal, text) in [(Signal::INT, "signal 2"), (Signal::TERM, "signal 15"), (Signal::HUP, "signal 1 ")] {
            let mut screen = Screen::new("run");
            screen.until(DRAWN);
            kill_process(screen.pid(), signal).unwrap();
            screen.assert_ends_with(text);
        }
    }

    #[test]
    fn suspending_restores_the_terminal_and_continuing_redraws_it() {
        for by_key in [true, false] {
            let mut screen = Screen::new("run");
            screen.until(DRAWN);
            match by_key {
                true => screen.keys.write_all(b"\x1a").unwrap(),
                false => kill_process(screen.pid(), Signal::TSTP).unwrap(),
            }
            let (_, status) = waitpid(Some(screen.pid()), WaitOptions::UNTRACED).unwrap().unwrap();
            assert!(status.stopped(), "{status:?}");
            screen.assert_restored();
            kill_process(screen.pid(), Signal::CONT).unwrap();
            screen.until(TAKEN);
            screen.until(DRAWN);
            screen.keys.write_all(b"q").unwrap();
            screen.assert_ends_with("ended by quit");
        }
    }
}
