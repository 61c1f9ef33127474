//! The question before a kill. Only a person at a terminal can answer it, and only `y` or `yes` is a yes.

use std::io::{self, IsTerminal as _};

/// Whether there is somebody to ask: the question is written to stderr, and read from stdin.
pub(super) fn can_be_asked() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks for a reason, if there is none, and whether to stop so many tasks: the reason, or `None` for no.
pub(super) fn ask(tasks: usize, reason: String) -> io::Result<Option<String>> {
    ask_at(&mut io::stdin().lock(), &mut io::stderr(), tasks, reason)
}

fn ask_at(
    input: &mut impl io::BufRead,
    output: &mut impl io::Write,
    tasks: usize,
    mut reason: String,
) -> io::Result<Option<String>> {
    if reason.is_empty() {
        write!(output, "Why? The tasks and their histories get to know (Enter: no reason): ")?;
        output.flush()?;
        // The whole line, whatever is in it: nothing of it is left for others to read.
        match line(input)? {
            Some(line) => reason = line,
            None => return Ok(None),
        }
    }
    let what = if tasks == 1 { "this task".to_owned() } else { format!("these {tasks} tasks") };
    write!(output, "Stop {what}? [y/N] ")?;
    output.flush()?;
    let answer = line(input)?.unwrap_or_default().to_ascii_lowercase();
    Ok(matches!(answer.as_str(), "y" | "yes").then_some(reason))
}

/// A line without the blanks around it; `None` at the end of the input.
fn line(input: &mut impl io::BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    let count = input.read_until(b'\n', &mut line)?;
    Ok((count > 0).then(|| String::from_utf8_lossy(&line).trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(input: &str, reason: &str) -> (Option<String>, String) {
        let mut output = Vec::new();
        let answer = ask_at(&mut input.as_bytes(), &mut output, 2, reason.to_owned()).unwrap();
        (answer, String::from_utf8(output).unwrap())
    }

    #[test]
    fn only_yes_is_a_yes() {
        for yes in ["y\n", "Y\n", " yes \n", "YES"] {
            assert_eq!(asked(yes, "why").0.as_deref(), Some("why"), "{yes}");
        }
        for no in ["", "\n", "n\n", "yep\n", "yy\n"] {
            assert_eq!(asked(no, "why").0, None, "{no}");
        }
    }

    #[test]
    fn a_reason_is_asked_for_if_there_is_none_and_may_have_many_words() {
        let (reason, words) = asked("too slow, quit please\ny\n", "");
        assert_eq!(reason.as_deref(), Some("too slow, quit please"));
        assert!(words.starts_with("Why?") && words.ends_with("Stop these 2 tasks? [y/N] "), "{words}");
        assert_eq!(asked("\ny\n", "").0.as_deref(), Some(""));
        assert_eq!(asked("", "").0, None);
    }
}
