//! The terminal, and that it is given back as it was: at the end, on an error, on a panic, on signals, while suspended.
//!
//! Whatever is written here is the same in every case, so it may be done twice.

use std::io::{self, BufWriter, Stdout, Write as _, stdout};
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicBool, Ordering};

use ratatui_core::layout::Rect;
use ratatui_core::terminal::Terminal;
use ratatui_crossterm::CrosstermBackend;
use ratatui_crossterm::crossterm::cursor::Show;
use ratatui_crossterm::crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture,
};
use ratatui_crossterm::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui_crossterm::crossterm::{execute, queue};

/// A frame is written at once, however many small pieces it is made of.
const FRAME: usize = 64 << 10;

pub(crate) type Screen = Terminal<CrosstermBackend<BufWriter<Stdout>>>;

/// Whether the terminal is ours at the moment.
static OURS: AtomicBool = AtomicBool::new(false);

/// Keeps the terminal ours; gives it back when dropped.
pub(crate) struct Guard {
    /// Never dropped: it would show the cursor, which we do, and panic where the terminal has gone and nobody reads what
    /// it says about that.
    pub(crate) screen: ManuallyDrop<Screen>,
    mouse: bool,
}

impl Guard {
    /// Takes the terminal.
    ///
    /// # Errors
    ///
    /// It is none, or has gone away.
    pub(crate) fn new(mouse: bool) -> io::Result<Guard> {
        on_panic();
        let screen = Terminal::new(CrosstermBackend::new(BufWriter::with_capacity(FRAME, stdout())))?;
        let mut guard = Guard { screen: ManuallyDrop::new(screen), mouse };
        guard.take()?;
        Ok(guard)
    }

    /// Takes it, also again after it was given back or changed behind our back; all is drawn anew then.
    pub(crate) fn take(&mut self) -> io::Result<()> {
        // From here on something is to be undone.
        OURS.store(true, Ordering::SeqCst);
        enable_raw_mode()?;
        execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste)?;
        self.set_mouse(self.mouse)?;
        self.clear()
    }

    /// Lets the next frame draw all anew. Asks the terminal for nothing: its answer would come as a key.
    pub(crate) fn clear(&mut self) -> io::Result<()> {
        let size = self.screen.size()?;
        self.screen.resize(Rect::new(0, 0, size.width, size.height))
    }

    /// Whether clicks and the wheel come to us, or stay with the terminal, where they mark text.
    pub(crate) fn set_mouse(&mut self, mouse: bool) -> io::Result<()> {
        self.mouse = mouse;
        if mouse { execute!(stdout(), EnableMouseCapture) } else { execute!(stdout(), DisableMouseCapture) }
    }

    /// Puts text into the clipboard of the terminal, where it lets us (OSC 52).
    pub(crate) fn copy(&mut self, text: &str) -> io::Result<()> {
        let mut out = stdout();
        write!(out, "\x1b]52;c;{}\x07", base64(text.as_bytes()))?;
        out.flush()
    }

    /// Gives it back and stops the process. It is to be taken again once the process was told to go on, and no sooner:
    /// another thread may stop first, and this one run a little further.
    #[cfg(unix)]
    pub(crate) fn suspend(&self) -> io::Result<()> {
        restore();
        // The whole process group, as the terminal would do it: who waits for us in a pipeline stops as well.
        Ok(rustix::process::kill_current_process_group(rustix::process::Signal::STOP)?)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives the terminal back as it was, if it is ours.
pub(crate) fn restore() {
    if !OURS.swap(false, Ordering::SeqCst) {
        return;
    }
    // One thing that fails must not keep the others from being done; and a terminal that has gone needs none of them.
    let mut out = stdout();
    let _ = queue!(out, DisableMouseCapture, DisableBracketedPaste, LeaveAlternateScreen, Show);
    let _ = out.flush();
    let _ = disable_raw_mode();
}

/// Gives the terminal back before a panic is told, and ends the process: a list without one of its parts may show what
/// is not so.
fn on_panic() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let was_ours = OURS.load(Ordering::SeqCst);
            restore();
            told(panic);
            if was_ours {
                std::process::exit(101);
            }
        }));
    });
}

/// Bytes as the terminal reads them in an escape sequence.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - three.len()));
        for digit in 0..4 {
            match digit <= three.len() {
                true => out.push(char::from(DIGITS[(bits >> (18 - 6 * digit) & 63) as usize])),
                false => out.push('='),
            }
        }
    }
    out
}

#[cfg(test)]
mod tests;
