//! Functions that run as tasks: `#[pm::task]`. They use the global list, so each test has its own ids.

use std::error::Error;
use std::fmt::{self, Debug, Display};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use pm::{Cancelled, Outcome, ProcessList};

fn list() -> &'static ProcessList {
    pm::global()
}

/// Returns the outcome of the last task with this id, its kind, its attributes and its last status.
fn ended(id: &str) -> (Outcome, String, String, String) {
    let ended = list().ended();
    let task = ended.iter().filter(|task| task.id() == id).max_by_key(|task| task.serial());
    let task = task.unwrap_or_else(|| panic!("no task {id} has ended"));
    let kind = task.kind().map(|kind| kind.to_string()).unwrap_or_default();
    (task.outcome().unwrap(), kind, format!("{:?}", task.attrs_sorted()), task.status().to_string())
}

fn poll<T>(future: Pin<&mut (impl Future<Output = T> + ?Sized)>) -> Poll<T> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn ready<T>(future: impl Future<Output = T>) -> T {
    match poll(pin!(future)) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it is not ready"),
    }
}

/// An error type of a program.
#[derive(Debug, PartialEq)]
enum Failure {
    Disk,
    Killed(String),
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Failure::Disk { "no disk" } else { "killed" })
    }
}

impl From<Cancelled> for Failure {
    fn from(cancelled: Cancelled) -> Self {
        Self::Killed(cancelled.reason().to_owned())
    }
}

fn killed<T>(reason: &str) -> Result<T, Failure> {
    Err(Failure::Killed(reason.to_owned()))
}

mod what_comes_out {
    use super::*;

    #[pm::task(id = id)]
    async fn waits(id: &str) -> Result<(), Failure> {
        std::future::pending::<()>().await;
        Err(Failure::Disk)
    }

    #[test]
    fn a_cancellation_drops_an_async_function_and_becomes_its_error() {
        let mut waiting = pin!(waits("out-async"));
        assert!(list().find("out-async").is_empty(), "it starts when it is awaited");
        assert!(poll(waiting.as_mut()).is_pending());
        list().cancel("out-async", "too slow").unwrap();
        assert_eq!(poll(waiting), Poll::Ready(killed("too slow")));
        assert_eq!(ended("out-async").0, Outcome::Cancelled);
    }

    #[test]
    fn an_async_function_that_is_dropped_ends_as_dropped() {
        let mut waiting = Box::pin(waits("out-dropped"));
        assert!(poll(waiting.as_mut()).is_pending());
        drop(waiting);
        assert_eq!(ended("out-dropped").0, Outcome::Dropped);
    }

    #[pm::task(id = id)]
    fn observes(id: &str, deep_below: bool) -> Result<(), Failure> {
        list().cancel(id, "too slow").unwrap();
        if deep_below {
            pm::current().checkpoint_or_unwind();
        }
        pm::current().status("reading")?;
        Ok(())
    }

    #[test]
    fn a_function_observes_a_cancellation_at_a_checkpoint_and_deep_below() {
        for (id, deep_below) in [("out-sync", false), ("out-unwound", true)] {
            assert_eq!(observes(id, deep_below), killed("too slow"));
            assert_eq!(ended(id).0, Outcome::Cancelled);
        }
    }

    #[pm::task(id = id)]
    fn fails(id: &str) -> Result<(), Failure> {
        Err(Failure::Disk)
    }

    #[pm::task(id = id)]
    async fn fails_later(id: &str) -> Result<(), Failure> {
        Err(Failure::Disk)
    }

    #[test]
    fn an_error_ends_the_task_as_failed_with_that_reason() {
        assert_eq!(fails("out-failed"), Err(Failure::Disk));
        assert_eq!(ready(fails_later("out-failed-later")), Err(Failure::Disk));
        for id in ["out-failed", "out-failed-later"] {
            let (outcome, _, _, status) = ended(id);
            assert_eq!((outcome, status.as_str()), (Outcome::Failed, "failed: no disk"));
        }
    }

    #[pm::task(id = id)]
    fn panics(id: &str) -> Result<(), Failure> {
        panic!("a bug")
    }

    #[test]
    fn a_panic_propagates_and_ends_the_task_as_aborted() {
        assert!(catch_unwind(AssertUnwindSafe(|| panics("out-panic"))).is_err());
        assert_eq!(ended("out-panic").0, Outcome::Aborted);
    }
}

mod what_is_shown {
    use super::*;

    #[pm::task]
    fn bare() -> Result<String, Cancelled> {
        Ok(list().view(pm::current().serial(), |task| task.id().to_string()).unwrap())
    }

    #[test]
    fn without_options_the_kind_is_the_name_and_the_id_is_generated() {
        let id = bare().unwrap();
        assert!(id.starts_with("bare-"), "{id}");
        assert_eq!(ended(&id).1, "bare");
    }

    #[pm::task(
        id = "shown-{file}",
        kind = concat!("nightly", " import"),
        attrs(file = &file, rows = rows.len(), checked, "http.method" = "GET"),
    )]
    fn described(file: String, rows: &[u8], checked: bool) -> Result<String, Cancelled> {
        assert!(checked);
        Ok(file) // the body still owns it
    }

    #[test]
    fn id_kind_and_attributes_may_use_the_arguments() {
        assert_eq!(described("db1".to_owned(), b"abc", true).unwrap(), "db1");
        let (outcome, kind, attrs, _) = ended("shown-db1");
        assert_eq!((outcome, kind.as_str()), (Outcome::Finished, "nightly import"));
        let expected = [
            ("checked", "Bool(true)"),
            ("file", "Text(\"db1\")"),
            ("http.method", "Text(\"GET\")"),
            ("rows", "U64(3)"),
        ];
        let expected: Vec<_> = expected.iter().map(|(name, value)| format!("(\"{name}\", {value})")).collect();
        assert_eq!(attrs, format!("[{}]", expected.join(", ")));
    }

    #[pm::task(id = 4711 + number)]
    async fn r#yield(number: u64) -> Result<(), Cancelled> {
        Ok(())
    }

    #[test]
    fn an_id_may_be_any_display_and_a_kind_has_no_raw_prefix() {
        ready(r#yield(1)).unwrap();
        assert_eq!(ended("4712").1, "yield");
    }

    #[pm::task(id = "outer")]
    async fn outer() -> Result<(), Cancelled> {
        inner()
    }

    #[pm::task(id = "inner")]
    fn inner() -> Result<(), Cancelled> {
        let (own, current) = (list().find("outer").pop().unwrap(), pm::current());
        let parent = list().view(current.serial(), |task| task.parent()).unwrap();
        assert_eq!(parent, Some(own));
        list().cancel("outer", "all of it").unwrap();
        current.checkpoint()
    }

    #[test]
    fn a_task_called_in_another_is_its_child_and_cancelled_with_it() {
        assert_eq!(ready(outer()).unwrap_err().reason(), "all of it");
        assert_eq!((ended("inner").0, ended("outer").0), (Outcome::Cancelled, Outcome::Cancelled));
    }
}

mod boxed {
    use super::*;

    type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

    struct Store(u64);

    /// As `async-trait` writes them.
    trait Count {
        fn count<'life0, 'async_trait>(
            &'life0 self,
            more: u64,
        ) -> std::pin::Pin<Box<dyn Future<Output = u64> + Send + 'async_trait>>
        where
            'life0: 'async_trait,
            Self: 'async_trait;
    }

    impl Count for Store {
        #[pm::task(no_cancel, id = "boxed-method")]
        fn count<'life0, 'async_trait>(
            &'life0 self,
            more: u64,
        ) -> std::pin::Pin<Box<dyn Future<Output = u64> + Send + 'async_trait>>
        where
            'life0: 'async_trait,
            Self: 'async_trait,
        {
            Box::pin(async move {
                if let Some(__ret) = None::<u64> {
                    return __ret;
                }
                yield_once().await;
                self.0 + more
            })
        }
    }

    async fn yield_once() {
        let mut polled = false;
        std::future::poll_fn(|_| if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending })
            .await;
    }

    #[pm::task(id = "boxed-{name}")]
    fn fallible(name: &str) -> BoxFuture<'static, Result<usize, Cancelled>> {
        let len = name.len(); // the name does not live as long as the future
        if len == 0 {
            return Box::pin(std::future::ready(Ok(0)));
        }
        Box::pin(async move {
            std::future::pending::<()>().await;
            Ok(len)
        })
    }

    #[pm::task(no_cancel, id = "boxed-fails")]
    fn fails() -> BoxFuture<'static, std::io::Result<()>> {
        Box::pin(async { Err(std::io::Error::other("no disk")) })
    }

    #[test]
    fn a_boxed_future_is_the_task_from_its_first_poll_to_its_end() {
        let store = Store(3);
        let mut counting = store.count(4);
        assert_eq!(list().find("boxed-method").len(), 0);
        assert!(poll(counting.as_mut()).is_pending());
        assert_eq!(list().find("boxed-method").len(), 1);
        assert!(list().cancel("boxed-method", "too slow").is_err(), "it can't be cancelled");
        assert_eq!(poll(counting.as_mut()), Poll::Ready(7));
        assert_eq!(ended("boxed-method").0, Outcome::Finished);
    }

    #[test]
    fn a_boxed_future_is_dropped_by_a_cancel_and_returns_its_error() {
        let mut running = fallible(&String::from("import"));
        assert!(poll(running.as_mut()).is_pending());
        list().cancel("boxed-import", "too slow").unwrap();
        let Poll::Ready(Err(cancelled)) = poll(running.as_mut()) else { panic!() };
        assert_eq!((cancelled.reason(), ended("boxed-import").0), ("too slow", Outcome::Cancelled));
        assert_eq!(ready(fallible("")), Ok(0));
    }

    #[test]
    fn an_error_of_a_boxed_future_ends_its_task_as_failed() {
        assert!(ready(fails()).is_err());
        assert_eq!(ended("boxed-fails").0, Outcome::Failed);
    }
}

mod policy {
    use super::*;

    #[pm::task(id = "asked", on_cancel = pm::CancelPolicy::Ask)]
    async fn asked() -> Result<(), Cancelled> {
        std::future::pending().await
    }

    #[test]
    fn a_function_says_what_a_cancel_does_to_it() {
        let mut running = pin!(asked());
        assert!(poll(running.as_mut()).is_pending());
        list().cancel("asked", "too slow").unwrap();
        assert!(poll(running.as_mut()).is_pending());
    }
}

mod no_cancel {
    use super::*;

    #[pm::task(id = "uncut", no_cancel)]
    fn sum(numbers: &[u64]) -> u64 {
        let refused = list().cancel("uncut", "too slow").unwrap_err();
        assert!(matches!(refused, pm::CancelError::NotCancellable { .. }), "{refused}");
        numbers.iter().sum()
    }

    #[pm::task(no_cancel, id = "uncut-nothing")]
    fn nothing() {}

    #[pm::task(no_cancel, id = id)]
    async fn waits(id: &str, mut turns: u32) -> u32 {
        std::future::poll_fn(|_| {
            turns -= 1;
            if turns == 0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        7
    }

    #[pm::task(no_cancel, id = "uncut-failed")]
    fn fails() -> fmt::Result {
        Err(fmt::Error)
    }

    #[pm::task(no_cancel, id = "uncut-failed-later")]
    async fn fails_later() -> std::io::Result<()> {
        Err(std::io::Error::other("no disk"))
    }

    #[pm::task(id = "uncut-parent")]
    async fn parent() -> Result<u32, Cancelled> {
        Ok(pm::protect(waits("uncut-child", 2)).await)
    }

    #[test]
    fn without_a_result_any_type_may_be_returned_and_a_cancel_is_refused() {
        assert_eq!(sum(&[3, 4]), 7);
        nothing();
        assert_eq!(ended("uncut-nothing").0, Outcome::Finished);
        let mut waiting = pin!(waits("uncut-async", 2));
        assert!(poll(waiting.as_mut()).is_pending());
        assert!(list().cancel("uncut-async", "too slow").is_err());
        assert_eq!(poll(waiting), Poll::Ready(7));
    }

    #[test]
    fn an_error_that_is_not_from_a_cancellation_ends_the_task_as_failed() {
        assert!(fails().is_err());
        assert_eq!(ready(fails_later()).unwrap_err().to_string(), "no disk");
        assert_eq!((ended("uncut-failed").0, ended("uncut-failed-later").0), (Outcome::Failed, Outcome::Failed));
        assert_eq!(ended("uncut-failed-later").3, "failed: no disk");
    }

    #[test]
    fn a_cancellation_of_the_parent_does_not_descend() {
        let mut waiting = pin!(parent());
        assert!(poll(waiting.as_mut()).is_pending());
        list().cancel("uncut-parent", "too slow").unwrap();
        assert_eq!(poll(waiting), Poll::Ready(Ok(7)));
        assert_eq!(ended("uncut-child").0, Outcome::Finished);
    }
}

/// Functions of all kinds, which keep their behaviour.
mod sorts {
    use super::*;

    type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

    struct Store {
        name: String,
        reads: u32,
    }

    trait Import {
        async fn import(&mut self, file: &str) -> Fallible<usize>;

        #[pm::task]
        fn twice(&mut self, number: u32) -> Fallible<u32> {
            Ok(2 * number)
        }
    }

    impl Store {
        /// Returns references.
        #[pm::task(attrs(name = &self.name))]
        #[must_use = "of no use otherwise"]
        fn name(&self) -> Result<&str, Cancelled> {
            Ok(&self.name)
        }

        #[pm::task(id = self.name, kind = &self.name)]
        async fn lend<'s>(&'s self, other: &'s str) -> Result<(&'s str, &'s str), Cancelled> {
            Ok((&self.name, other))
        }

        #[pm::task]
        async fn into_name(mut self) -> Result<String, Cancelled> {
            self.name.push('!');
            Ok(self.name)
        }
    }

    impl Import for Store {
        #[pm::task(kind = "store import")]
        async fn import(&mut self, file: &str) -> Fallible<usize> {
            if file.is_empty() {
                return Err("which file?".into());
            }
            tokio::task::yield_now().await;
            self.reads += 1;
            let number: u32 = file.parse()?;
            Ok(number as usize)
        }
    }

    #[pm::task]
    fn shown<const N: usize, T>(items: [T; N], show: impl Fn(&T) -> String) -> Result<Vec<String>, Cancelled>
    where
        T: Debug,
    {
        if N == 0 {
            return Ok(Vec::new());
        }
        Ok(items.iter().map(show).collect())
    }

    #[pm::task]
    fn boxed(small: bool) -> Result<Box<dyn Display>, Cancelled> {
        #![allow(clippy::needless_return)]
        if small {
            return Ok(Box::new(1_u8));
        }
        Ok(Box::new("large"))
    }

    #[pm::task]
    async fn boxed_later(small: bool) -> Result<Box<dyn Display>, Cancelled> {
        if small { Ok(Box::new(1_u8)) } else { Ok(Box::new("large")) }
    }

    #[pm::task]
    fn patterns((left, mut right): (u32, u32), _: &str, task: &str) -> Result<(u32, usize), Cancelled> {
        right += left;
        Ok((right, task.len())) // an argument may have the name of a variable of the macro
    }

    #[tokio::main(flavor = "current_thread")]
    #[pm::task(id = "sorts-main")]
    async fn main_of_a_program() -> Result<u32, Box<dyn Error + Send + Sync>> {
        let mut store = Store { name: "db1".to_owned(), reads: 0 };
        assert_eq!(store.import("").await.unwrap_err().to_string(), "which file?");
        assert!(store.import("x").await.is_err());
        assert_eq!(store.import("7").await?, 7);
        assert_eq!(store.twice(4)?, 8);
        assert_eq!((store.name()?, store.lend("db2").await?), ("db1", ("db1", "db2")));
        // A future that was `Send` stays `Send`.
        let name = tokio::spawn(async { Store { name: "db3".to_owned(), reads: 0 }.into_name().await }).await??;
        assert_eq!(name, "db3!");
        Ok(store.reads)
    }

    #[test]
    fn functions_of_all_kinds_keep_their_behaviour() {
        assert_eq!(main_of_a_program().unwrap(), 2);
        assert_eq!(ended("sorts-main").0, Outcome::Finished);
        assert_eq!(shown([1, 2], |number| number.to_string()).unwrap(), ["1", "2"]);
        assert_eq!(shown([""; 0], |_| String::new()).unwrap().len(), 0);
        let results = [boxed(true), boxed(false), ready(boxed_later(true)), ready(boxed_later(false))];
        assert_eq!(results.map(|text| text.unwrap().to_string()), ["1", "large", "1", "large"]);
        assert_eq!(patterns((1, 2), "", "abc").unwrap(), (3, 3));
    }

    #[test]
    fn the_function_of_the_same_name_exists_beside_the_attribute() {
        use pm::task;

        #[task(id = "sorts-beside")]
        fn beside() -> Result<(), Cancelled> {
            drop(task("sorts-function").start());
            Ok(())
        }
        beside().unwrap();
        assert_eq!((ended("sorts-beside").0, ended("sorts-function").0), (Outcome::Finished, Outcome::Finished));
    }
}
