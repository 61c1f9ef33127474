//! The terminal before and after. A child of this very program has a terminal of its own, and ends in every way there is.

use super::*;

#[test]
fn base64_is_as_everybody_writes_it() {
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
    use crate::top::app::{App, Options};
    use crate::top::model::{Column, List, Shape, Store};
    use crate::top::run::{Drive, End, run};
    use crate::top::theme::{Glyphs, Theme};

    const CHILD: &str = "top::screen::tests::ends::child";
    const HOW: &str = "PM_TEST_SCREEN_ENDS_BY";
    const TAKEN: &str = "\x1b[?1049h";
    const GIVEN_BACK: &str = "\x1b[?1049l";
    /// Keys are shown by what was drawn; this is at the bottom of the list.
    const DRAWN: &str = "quit";

    /// Nothing takes so long, however busy the machine; it only turns a hang into a failure.
    const LONG: Duration = Duration::from_secs(120);

    /// What the others start: not a test by itself.
    #[test]
    #[ignore = "it is what the other tests start on a terminal"]
    fn child() {
        let Ok(how) = std::env::var(HOW) else { return };
        match how.as_str() {
            "panic" => {
                let _guard = Guard::new(true).unwrap();
                panic!("this was meant to happen");
            }
            "panic elsewhere" => {
                let _guard = Guard::new(true).unwrap();
                let _ = std::thread::spawn(|| panic!("this was meant to happen")).join();
                unreachable!("the process has ended");
            }
            "error" => {
                fn fails() -> std::io::Result<()> {
                    let _guard = Guard::new(true)?;
                    Err(std::io::Error::other("this was meant to happen"))
                }
                eprintln!("{}", fails().unwrap_err());
            }
            _ => {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                let list = List::new(Default::default(), (Column::Age, true), Shape::Flat);
                let (theme, glyphs) = (Theme::new(Name::Dark, true), Glyphs::new(false));
                let options = Options { theme, glyphs, columns: vec![Column::Id], mouse: true };
                let app = App::new(Store::new(["nobody".to_owned()]), list, options);
                let (_news, news) = tokio::sync::mpsc::channel(1);
                let (_replies, replies) = tokio::sync::mpsc::channel(1);
                let interval = Duration::from_secs(1);
                let drive = Drive { news, replies, asker: None, interval, player: None };
                let end = runtime.block_on(run(app, drive)).unwrap();
                match end {
                    End::Quit => eprintln!("it was quit"),
                    End::Signal(number) => eprintln!("signal {number} ended it"),
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
        /// Without anybody on it, a terminal would be as new.
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
                // What stops its group must not stop ours.
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

        /// Reads until this was shown, and forgets what came before.
        fn until(&mut self, text: &str) {
            loop {
                if let Some(at) = self.seen.find(text) {
                    self.seen.drain(..at + text.len());
                    return;
                }
                let more = self.shown.recv_timeout(LONG);
                self.seen += &more.unwrap_or_else(|_| panic!("{text:?} is not in {:?}", self.seen));
            }
        }

        /// The terminal is as it was before the child came.
        fn assert_given_back(&mut self) {
            self.until(GIVEN_BACK);
            self.until("\x1b[?25h");
            assert_eq!(state(&self.keys), self.before);
        }

        /// The child ends, and has said this after it gave the terminal back.
        fn assert_ends_with(mut self, text: &str) {
            // The modes are set back after what is written, so look only once the child has said its last word.
            self.until(GIVEN_BACK);
            self.until("\x1b[?25h");
            self.until(text);
            self.child.wait().unwrap();
            assert_eq!(state(&self.keys), self.before);
        }
    }

    /// All modes of a terminal, as stty -g tells them.
    fn state(terminal: &File) -> String {
        let modes = tcgetattr(terminal).unwrap();
        format!(
            "{:?} {:?} {:?} {:?} {:?}",
            modes.input_modes, modes.output_modes, modes.control_modes, modes.local_modes, modes.special_codes
        )
    }

    #[test]
    fn a_quit_gives_the_terminal_back() {
        let mut screen = Screen::new("run");
        screen.until(TAKEN);
        screen.until(DRAWN);
        assert_ne!(state(&screen.keys), screen.before, "keys come one by one");
        screen.keys.write_all(b"q").unwrap();
        screen.assert_ends_with("it was quit");
    }

    #[test]
    fn an_error_gives_the_terminal_back_before_it_is_told() {
        Screen::new("error").assert_ends_with("this was meant to happen");
    }

    #[test]
    fn a_panic_gives_the_terminal_back_before_it_is_told() {
        Screen::new("panic").assert_ends_with("this was meant to happen");
    }

    #[test]
    fn a_panic_of_another_thread_ends_it_and_gives_the_terminal_back() {
        Screen::new("panic elsewhere").assert_ends_with("this was meant to happen");
    }

    #[test]
    fn signals_give_the_terminal_back() {
        for (signal, text) in [(Signal::INT, "signal 2"), (Signal::TERM, "signal 15"), (Signal::HUP, "signal 1 ")] {
            let mut screen = Screen::new("run");
            screen.until(DRAWN);
            kill_process(screen.pid(), signal).unwrap();
            screen.assert_ends_with(text);
        }
    }

    #[test]
    fn while_it_is_suspended_the_terminal_is_as_before_and_then_all_is_drawn_anew() {
        for by_key in [true, false] {
            let mut screen = Screen::new("run");
            screen.until(DRAWN);
            match by_key {
                true => screen.keys.write_all(b"\x1a").unwrap(),
                false => kill_process(screen.pid(), Signal::TSTP).unwrap(),
            }
            let (_, status) = waitpid(Some(screen.pid()), WaitOptions::UNTRACED).unwrap().unwrap();
            assert!(status.stopped(), "{status:?}");
            screen.assert_given_back();
            kill_process(screen.pid(), Signal::CONT).unwrap();
            screen.until(TAKEN);
            screen.until(DRAWN);
            screen.keys.write_all(b"q").unwrap();
            screen.assert_ends_with("it was quit");
        }
    }
}
