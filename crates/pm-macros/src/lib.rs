//! The attribute `#[pm::task]`, which runs a function as a task. Part of `pm`, feature `macros`, and of no use without it.
//!
//! | room | what |
//! |---|---|
//! | `lib.rs` | what the attribute promises |
//! | `options.rs` | what stands in its brackets |
//! | `expand.rs` | the function that it makes of a function |

mod expand;
mod options;

use proc_macro::TokenStream;

/// Runs a function as a task of the global list, each time it is called: `fn` and `async fn`, methods, generic functions.
///
/// ```
/// use pm::Cancelled;
///
/// #[pm::task]
/// async fn import(file: &str) -> Result<u64, Cancelled> {
///     pm::current().status("reading")?; // a task as any other
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
/// The body is what it was; `pm::current()` is the task, and tasks that are started within are its children. The task starts
/// when the function is called, of an `async fn` when it is first polled, and ends with it: as finished, as failed with the
/// error as its reason, as cancelled, or as aborted in a panic. An `async fn` is dropped where it awaits when its task is
/// killed; a `fn` hears it where it asks: `status`, `checkpoint`, `checkpoint_or_unwind`.
///
/// # What it returns
///
/// A killed task needs something to return. So the return type is a `Result<_, E>`, with `E: From<pm::Cancelled> + Display`,
/// as `pm::Cancelled` itself, `Box<dyn Error>`, `anyhow::Error`, or an enum with a variant for it (`#[from]` of thiserror).
/// Functions that return something else, or an error that can't be made of a `Cancelled`, refuse to be cancelled, and say so:
/// `no_cancel`.
///
/// # In its brackets
///
/// | | |
/// |---|---|
/// | `id = "import-{file}"` | the id, in the words of `format!`; or any expression with `Display`. Default: made from the serial |
/// | `kind = "import"` | an expression that is a text. Default: the name of the function |
/// | `attrs(file, rows = rows.len(), "http.method" = method)` | attributes: texts, numbers, `bool`; `file` is short for `file = file` |
/// | `no_cancel` | the task refuses to be cancelled, and is not when its parent is |
///
/// These expressions see the arguments, before the body does. For a list of your own, a deadline, a grace, write
/// `list.task(id).deadline(..).try_run(async move { .. }).await` or `.try_run_sync(|task| ..)`, which is what this makes.
///
/// # What it can't
///
/// `const fn`, `extern` functions, functions without a body, and such that return `impl Trait` or `!`. In a trait of the crate
/// `async-trait`, write it on a function that the method calls. Each is a compile error that says so:
///
/// ```compile_fail,E0277
/// #[pm::task]
/// fn count() -> u64 { // a killed task needs something to return
///     7
/// }
/// ```
///
/// ```compile_fail,E0277
/// #[pm::task]
/// fn read() -> Result<String, std::fmt::Error> { // which can't be made of a Cancelled
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
        // The function stays as it is, so that nothing that calls it is an error, too.
        Err(error) => {
            let mut tokens = TokenStream::from(error.into_compile_error());
            tokens.extend(function);
            tokens
        }
    }
}
