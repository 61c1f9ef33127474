//! The terminal, restored at the end, on an error, on a panic, on signals and while suspended. Restoring is idempotent.

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

/// The output buffer, large enough that a frame is written at once.
const FRAME: usize = 64 << 10;

pub(crate) type Screen = Terminal<CrosstermBackend<BufWriter<Stdout>>>;

/// Set while the terminal is taken.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Takes the terminal, and restores it on drop.
pub(crate) struct Guard {
    /// Never dropped: its drop only shows the cursor, as `restore` does, and prints an error if the terminal is closed,
    /// which panics if stderr is closed as well.
    pub(crate) screen: ManuallyDrop<Screen>,
    mouse: bool,
}

impl Guard {
    /// Takes the terminal.
    ///
    /// # Errors
    ///
    /// Stdout is not a terminal, or it is closed.
    pub(crate) fn new(mouse: bool) -> io::Result<Guard> {
        on_panic();
        let screen = Terminal::new(CrosstermBackend::new(BufWriter::with_capacity(FRAME, stdout())))?;
        let mut guard = Guard { screen: ManuallyDrop::new(screen), mouse };
        guard.take()?;
        Ok(guard)
    }

    /// Takes the terminal, possibly again after a suspension; the next frame redraws everything.
    pub(crate) fn take(&mut self) -> io::Result<()> {
        // From here on there is something to restore.
        TAKEN.store(true, Ordering::SeqCst);
        enable_raw_mode()?;
        execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste)?;
        self.set_mouse(self.mouse)?;
        self.clear()
    }

    /// Makes the next frame redraw everything. Queries nothing, as the terminal's reply would be read as a key.
    pub(crate) fn clear(&mut self) -> io::Result<()> {
        let size = self.screen.size()?;
        self.screen.resize(Rect::new(0, 0, size.width, size.height))
    }

    /// Sets whether the mouse is captured, or left to the terminal for selecting text.
    pub(crate) fn set_mouse(&mut self, mouse: bool) -> io::Result<()> {
        self.mouse = mouse;
        if mouse { execute!(stdout(), EnableMouseCapture) } else { execute!(stdout(), DisableMouseCapture) }
    }

    /// Copies text to the clipboard of the terminal, if it supports OSC 52.
    pub(crate) fn copy(&mut self, text: &str) -> io::Result<()> {
        let mut out = stdout();
        write!(out, "\x1b]52;c;{}\x07", base64(text.as_bytes()))?;
        out.flush()
    }

    /// Restores the terminal and stops the process. Take it again only after SIGCONT: this thread may run a little
    /// further while another one is already stopped.
    #[cfg(unix)]
    pub(crate) fn suspend(&self) -> io::Result<()> {
        restore();
        // The whole process group, as the terminal does it, so that the rest of a pipeline stops as well.
        Ok(rustix::process::kill_current_process_group(rustix::process::Signal::STOP)?)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        restore();
    }
}

/// Restores the terminal, if it was taken.
pub(crate) fn restore() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    // Each step is tried even if another fails; a closed terminal needs none of them.
    let mut out = stdout();
    let _ = queue!(out, DisableMouseCapture, DisableBracketedPaste, LeaveAlternateScreen, Show);
    let _ = out.flush();
    let _ = disable_raw_mode();
}

/// Restores the terminal before a panic is printed, then exits: after a panic of any thread the screen may be wrong.
fn on_panic() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let was_taken = TAKEN.load(Ordering::SeqCst);
            restore();
            hook(panic);
            if was_taken {
                std::process::exit(101);
            }
        }));
    });
}

/// Encodes bytes for the escape sequence.
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
