//! The stack that nested tasks take, in builds of all kinds.
#![cfg(not(any(loom, miri)))]

use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Waker};

use pm_core::{Cancelled, unnamed};

type Boxed<'a> = Pin<Box<dyn Future<Output = Result<(), Cancelled>> + Send + 'a>>;

/// Records how far down the stack it is called.
fn mark(marks: &Mutex<Vec<usize>>) {
    let here = 0_u8;
    marks.lock().unwrap().push(std::hint::black_box(&raw const here) as usize);
}

fn plain(marks: &Mutex<Vec<usize>>, depth: u32) -> Boxed<'_> {
    Box::pin(async move {
        mark(marks);
        if depth == 0 { Ok(()) } else { plain(marks, depth - 1).await }
    })
}

fn tasks(marks: &Mutex<Vec<usize>>, depth: u32) -> Boxed<'_> {
    Box::pin(async move {
        let work = async move {
            mark(marks);
            if depth == 0 { Ok(()) } else { tasks(marks, depth - 1).await }
        };
        unnamed().kind("nested").try_run(work).await
    })
}

fn runs(marks: &Mutex<Vec<usize>>, depth: u32) -> Result<(), Cancelled> {
    unnamed().kind("nested").run_sync(|_| {
        mark(marks);
        if depth == 0 { Ok(()) } else { runs(marks, depth - 1) }
    })
}

/// The bytes from one level to the next.
fn each(nest: impl FnOnce(&Mutex<Vec<usize>>, u32)) -> usize {
    const DEPTH: u32 = 8;
    let marks = Mutex::new(Vec::new());
    nest(&marks, DEPTH);
    let marks = marks.into_inner().unwrap();
    marks[0].abs_diff(marks[DEPTH as usize]) / DEPTH as usize
}

#[test]
fn a_nested_task_takes_little_more_stack_than_a_nested_future() {
    let poll = |mut future: Boxed<'_>| {
        assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
    };
    let plain = each(|marks, depth| poll(plain(marks, depth)));
    let tasks = each(|marks, depth| poll(tasks(marks, depth)));
    let runs = each(|marks, depth| runs(marks, depth).unwrap());
    // Without optimisation about 6 times and 3 times; it was 13 times before that was looked at.
    assert!(tasks <= 8 * plain.max(256) && runs <= 5 * plain.max(256), "{plain}, {tasks}, {runs}");
}
