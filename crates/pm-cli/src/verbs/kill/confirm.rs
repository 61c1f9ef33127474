//! The confirmation before a kill, on a terminal only. Only `y` and `yes` confirm.

use std::io::{self, IsTerminal as _};

/// Returns whether stdin and stderr are terminals.
pub(super) fn is_possible() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks for a reason, if there is none, and for confirmation. Returns the reason, or `None` if declined.
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
        write!(output, "Reason, recorded in the history of each task (Enter for none): ")?;
        output.flush()?;
        // Reads the whole line, so that nothing is left for the next question.
        match line(input)? {
            Some(line) => reason = line,
            None => return Ok(None),
        }
    }
    let object = if tasks == 1 { "this task".to_owned() } else { format!("these {tasks} tasks") };
    write!(output, "Cancel {object} {}? [y/N] ", super::fate::reason_words(&reason))?;
    output.flush()?;
    let answer = line(input)?.unwrap_or_default().to_ascii_lowercase();
    Ok(matches!(answer.as_str(), "y" | "yes").then_some(reason))
}

/// Reads a line and trims it; `None` at the end of the input.
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
    fn only_y_and_yes_confirm() {
        for yes in ["y\n", "Y\n", " yes \n", "YES"] {
            assert_eq!(asked(yes, "why").0.as_deref(), Some("why"), "{yes}");
        }
        for no in ["", "\n", "n\n", "yep\n", "yy\n"] {
            assert_eq!(asked(no, "why").0, None, "{no}");
        }
    }

    #[test]
    fn a_reason_is_asked_for_if_there_is_none_and_may_have_many_words() {
        let (reason, prompt) = asked("too slow, quit please\ny\n", "");
        assert_eq!(reason.as_deref(), Some("too slow, quit please"));
        assert!(prompt.starts_with("Reason") && prompt.ends_with("? [y/N] "), "{prompt}");
        assert!(prompt.contains("Cancel these 2 tasks with the reason \"too slow, quit please\"?"), "{prompt}");
        assert!(asked("y\n", "a\u{1b}[2Jb").1.contains("the reason \"a\\u{1b}[2Jb\""));
        assert!(asked("\ny\n", "").1.ends_with("Cancel these 2 tasks without a reason? [y/N] "));
        assert_eq!(asked("\ny\n", "").0.as_deref(), Some(""));
        assert_eq!(asked("", "").0, None);
    }
}
