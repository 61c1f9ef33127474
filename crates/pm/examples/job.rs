//! A job on the command line: a progress bar in the terminal, and a task for everyone else.
//!
//! While it runs, `curl http://127.0.0.1:6680/v1/tasks` shows its progress, and
//! `curl -X DELETE http://127.0.0.1:6680/procs/import` stops it after the current file.

use std::io::Read as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use pm::{Task, TaskIteratorExt as _};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let smoke = std::env::args().any(|word| word == "--smoke");
    let (address, pause) = if smoke { ("127.0.0.1:0", 1) } else { ("127.0.0.1:6680", 200) };
    let server = pm::serve(address)?;
    println!("curl http://{}/v1/tasks", server.addr());

    let result = pm::task("import").kind("import").run_sync(|task| {
        let files: Vec<_> = (0..50).map(|number| format!("file-{number}")).collect();
        let bar = pm::Bar::new(task, ProgressBar::new(files.len() as u64).with_style(style()), "files");
        for (number, file) in files.iter().enumerate() {
            pm::status!(bar, "reading {file}")?; // the message of the bar, and the status of the task
            std::thread::sleep(Duration::from_millis(pause));
            bar.inc(1);
            if number == 25 {
                show();
            }
        }
        bar.finish();
        // Without a bar: the progress of an iterator, and of the bytes of a reader, within one scope.
        let _scope = task.scope("checking");
        let mut rows = 0;
        for row in (0..1_000_000_u64).with_progress(task, "rows").checked(task) {
            rows += row?;
        }
        let bytes = read(task).unwrap_or_default();
        show();
        Ok((rows, bytes))
    });
    match result {
        Ok((rows, bytes)) => println!("done: sum of rows {rows}, {bytes} bytes"),
        Err(cancelled) => println!("{cancelled}"),
    }
    Ok(())
}

fn read(task: &Task) -> std::io::Result<usize> {
    let text = "a line\n".repeat(10_000);
    task.metered(text.as_bytes(), text.len() as u64).read_to_end(&mut Vec::new())
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:40} {pos}/{len} {msg}").unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn show() {
    for task in pm::global().snapshot().iter() {
        println!("  {}: {}, {:?}", task.id(), task.status(), task.progress());
    }
}
