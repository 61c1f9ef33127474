//! The attribute `#[pm::task]`, which runs a function as a task. Part of `pm`, feature `macros`; not for use without
//! it.
//!
//! | module | contents |
//! |---|---|
//! | `lib.rs` | the attribute and its documentation |
//! | `options.rs` | its options |
//! | `expand.rs` | its expansion |

mod expand;
mod options;

use proc_macro::TokenStream;

/// Runs a function as a task of the global list, each time it is called: `fn` and `async fn`, methods, generic
/// functions.
///
/// ```
/// use pm::Cancelled;
///
/// #[pm::task]
/// async fn import(file: &str) -> Result<u64, Cancelled> {
///     pm::current().status("reading")?; // an ordinary task
///     Ok(file.len() as u64)
/// }
///
/// #[pm::task(id = "resize-{number}", kind = "picture", attrs(number, bytes = picture.len()))]
/// fn resize(number: u32, picture: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
///     pm::current().checkpoint()?;
///     Ok(())
/// }
/// # resize(7, b"").unwrap();
/// # assert_eq!(pm::global().ended().iter().next().unwrap().id().to_string(), "resize-7");
/// # let import = std::pin::pin!(import("x"));
/// # assert!(import.poll(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_ready());
/// ```
///
/// The body is unchanged; `pm::current()` is the task, and tasks that are started within are its children. The task
/// starts when the function is called, for an `async fn` when it is first polled, and ends with it: as finished, as
/// failed with the error as its reason, as cancelled, or as aborted in a panic. An `async fn` is dropped where it
/// awaits when its task is cancelled, unless `on_cancel` says otherwise; a `fn` observes it at `status`, `checkpoint`
/// and `checkpoint_or_unwind`.
///
/// A `fn` that returns a boxed future is treated as an `async fn`: `Pin<Box<dyn Future<Output = T>>>`, also as the
/// methods of `async-trait`, and `BoxFuture` and `LocalBoxFuture` of `futures`. Write it in full: a function whose
/// return type is an alias for a future is a compile error, since its task would end before the work begins.
///
/// # Return type
///
/// A cancelled task needs something to return. So the return type is a `Result<_, E>` with
/// `E: From<pm::Cancelled> + Display`, such as `pm::Cancelled` itself, `Box<dyn Error>`, `anyhow::Error`, or an enum
/// with a variant for it (`#[from]` of thiserror). Functions that return another type, or an error without that
/// conversion, cannot be cancelled and need `no_cancel`.
///
/// # Options
///
/// | | |
/// |---|---|
/// | `id = "import-{file}"` | the id: a format string, or an expression with `Display`. Default: made from the kind |
/// | `kind = "import"` | a string expression. Default: the name of the function |
/// | `attrs(file, rows = rows.len(), "http.method" = method)` | attributes; `file` is short for `file = file` |
/// | `on_cancel = pm::CancelPolicy::Ask` | the effect of a cancel. Default: that of the kind or the list |
/// | `no_cancel` | the task is not cancellable, not even through its parent, and may return anything |
///
/// These expressions may use the arguments, and are evaluated before the body. For another list or a deadline, write
/// `list.task(id).deadline(..).try_run(async move { .. }).await` or `.try_run_sync(|task| ..)`, as this attribute does.
///
/// # Limits
///
/// `const fn`, `extern` functions, functions without a body, and functions that return `impl Trait` or `!` are refused
/// with a compile error. Also refused:
///
/// ```compile_fail,E0283
/// type Work = std::pin::Pin<Box<dyn Future<Output = u64>>>;
///
/// #[pm::task(no_cancel)]
/// fn count() -> Work { // a future under another name
///     Box::pin(async { 7 })
/// }
/// ```
///
/// ```compile_fail,E0277
/// #[pm::task]
/// fn count() -> u64 { // a cancelled task needs something to return
///     7
/// }
/// ```
///
/// ```compile_fail,E0277
/// #[pm::task]
/// fn read() -> Result<String, std::fmt::Error> { // has no conversion from Cancelled
///     Ok(String::new())
/// }
/// ```
///
/// ```
/// #[pm::task(no_cancel)]
/// fn read() -> Result<String, std::fmt::Error> {
///     Ok(String::new())
/// }
/// # read().unwrap();
/// ```
#[proc_macro_attribute]
pub fn task(options: TokenStream, function: TokenStream) -> TokenStream {
    match expand::expand(options.into(), function.clone().into()) {
        Ok(expanded) => expanded.into(),
        // The function is kept, so that its callers are not errors, too.
        Err(error) => {
            let mut tokens = TokenStream::from(error.into_compile_error());
            tokens.extend(function);
            tokens
        }
    }
}
