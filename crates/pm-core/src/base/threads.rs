//! The threads that this library starts: named, and closed to the signals of the program.
//!
//! **No thread of ours ever takes a signal that is meant for the program.** A signal for the process is delivered to
//! any thread that does not block it. If that were ours, a program that waits for `SIGTERM` in `sigwait`, or that
//! blocks it in all threads it knows, would be ended by it. So all signals are blocked before a thread of ours runs its
//! first instruction. That also covers `SIGPIPE`: a write to a connection that its client has left returns an error
//! there, whatever the program made of the signal. Signals that a thread raises by an error of its own, such as
//! `SIGSEGV`, stay as they are.
//!
//! Contains `unsafe`: the signal mask of a thread is changed by calls of the C library.
#![allow(unsafe_code)]

use std::io;
use std::thread::{Builder, JoinHandle};

/// Starts a thread that takes no signals of the program. Threads that it starts take none, either.
///
/// # Errors
///
/// The error of the system when it has no thread, as within `RLIMIT_NPROC` or a container's `pids.max`.
pub fn spawn<T: Send + 'static>(name: &str, run: impl FnOnce() -> T + Send + 'static) -> io::Result<JoinHandle<T>> {
    // A thread begins with the mask of the one that starts it.
    let _masked = mask::Masked::all();
    Builder::new().name(name.to_owned()).spawn(run)
}

/// The systems whose constants are known below.
#[cfg(all(
    any(
        target_os = "linux",
        target_os = "android",
        target_os = "macos",
        target_os = "ios",
        target_os = "freebsd",
        target_os = "dragonfly",
    ),
    not(any(target_arch = "mips", target_arch = "mips64", target_arch = "sparc64", miri)),
))]
mod mask {
    use std::ffi::c_int;

    /// A `sigset_t`: 4 to 128 bytes, depending on the system.
    #[repr(C, align(8))]
    struct Set([u8; 128]);

    #[cfg(any(target_os = "linux", target_os = "android"))]
    const SIG_SETMASK: c_int = 2;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const SIG_SETMASK: c_int = 3;

    /// Raised by an error of the thread itself: `SIGILL`, `SIGTRAP`, `SIGABRT`, `SIGFPE`, `SIGSEGV`, `SIGBUS`,
    /// `SIGSYS`.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const OWN: [c_int; 7] = [4, 5, 6, 8, 11, 7, 31];
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const OWN: [c_int; 7] = [4, 5, 6, 8, 11, 10, 12];

    // SAFETY: as these functions are declared in `signal.h` of the systems above.
    unsafe extern "C" {
        fn sigfillset(set: *mut Set) -> c_int;
        fn sigdelset(set: *mut Set, signal: c_int) -> c_int;
        fn pthread_sigmask(how: c_int, set: *const Set, old: *mut Set) -> c_int;
    }

    /// All signals are blocked on this thread; on drop, its mask is as before.
    pub(super) struct Masked(Option<Set>);

    impl Masked {
        pub(super) fn all() -> Self {
            let (mut all, mut old) = (Set([0; 128]), Set([0; 128]));
            // SAFETY: both are valid for writes, and at least as large and as aligned as the system's `sigset_t`.
            let masked = unsafe {
                sigfillset(&raw mut all);
                for signal in OWN {
                    sigdelset(&raw mut all, signal);
                }
                pthread_sigmask(SIG_SETMASK, &raw const all, &raw mut old) == 0
            };
            Self(masked.then_some(old))
        }
    }

    impl Drop for Masked {
        fn drop(&mut self) {
            if let Some(old) = &self.0 {
                // SAFETY: `old` is what the same function wrote; a null pointer asks for nothing back.
                unsafe { pthread_sigmask(SIG_SETMASK, &raw const *old, std::ptr::null_mut()) };
            }
        }
    }
}

/// Other systems: without signals, or without known constants.
#[cfg(not(all(
    any(
        target_os = "linux",
        target_os = "android",
        target_os = "macos",
        target_os = "ios",
        target_os = "freebsd",
        target_os = "dragonfly",
    ),
    not(any(target_arch = "mips", target_arch = "mips64", target_arch = "sparc64", miri)),
)))]
mod mask {
    pub(super) struct Masked;

    impl Masked {
        pub(super) fn all() -> Self {
            Self
        }
    }
}

#[cfg(test)]
#[cfg(all(not(loom), target_os = "linux", not(miri)))]
mod tests {
    use super::*;

    /// The blocked signals of the calling thread, as the system shows them.
    fn blocked() -> u64 {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap()
    }

    fn has(mask: u64, signal: u32) -> bool {
        mask & 1 << (signal - 1) != 0
    }

    #[test]
    fn a_thread_of_ours_takes_no_signal_of_the_program() {
        let before = blocked();
        let (mask, name, of_its_thread) = spawn("pm-test", || {
            let of_its_thread = std::thread::spawn(blocked).join().unwrap();
            (blocked(), std::thread::current().name().map(str::to_owned), of_its_thread)
        })
        .unwrap()
        .join()
        .unwrap();
        // SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE, SIGALRM, SIGTERM, SIGCHLD, SIGPROF; real-time ones.
        for signal in [1, 2, 3, 10, 12, 13, 14, 15, 17, 27, 34, 40, 64] {
            // The C library keeps 32 and 33 for itself, and on some systems 34.
            assert!(has(mask, signal) || signal == 34, "{signal}: {mask:x}");
        }
        for signal in [4, 5, 6, 7, 8, 11, 31] {
            assert!(!has(mask, signal), "{signal}: {mask:x}");
        }
        assert_eq!(name.as_deref(), Some("pm-test"));
        assert_eq!(of_its_thread, mask);
        assert_eq!(blocked(), before, "the mask of the calling thread is as before");
    }
    /// Runs `of_child` in the child of a fork, and returns how that ended. It is killed after 20 s.
    fn forked(of_child: impl FnOnce()) -> i32 {
        // SAFETY: as declared in `unistd.h` and `sys/wait.h`.
        unsafe extern "C" {
            fn fork() -> std::ffi::c_int;
            fn waitpid(
                child: std::ffi::c_int,
                status: *mut std::ffi::c_int,
                options: std::ffi::c_int,
            ) -> std::ffi::c_int;
            fn alarm(seconds: std::ffi::c_uint) -> std::ffi::c_uint;
            fn _exit(code: std::ffi::c_int) -> !;
        }
        // SAFETY: the child uses nothing of other threads but what this crate promises to continue with, and ends by
        // `_exit`; `status` is valid for a write.
        unsafe {
            let child = fork();
            if child == 0 {
                alarm(20);
                let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(of_child));
                _exit(i32::from(result.is_err()));
            }
            let mut status = -1;
            assert_eq!(waitpid(child, &raw mut status, 0), child);
            status
        }
    }

    #[test]
    fn a_child_of_a_fork_has_deadlines_and_timeouts_of_its_own() {
        use crate::{Drain, ProcessList, Verdict};
        use std::time::Duration;

        let list = ProcessList::new();
        let short = Duration::from_millis(20);
        // The thread of the timer runs in the parent, and has an event that the child takes over.
        let early = list.task("early").deadline(10 * short).start();
        let status = forked(|| {
            let late = list.task("late").deadline(short).start();
            while !late.is_cancelled() || !early.is_cancelled() {
                std::thread::yield_now();
            }
            let verdict = list.cancel(late.serial(), "too slow").unwrap().wait(short).blocking();
            assert!(matches!(verdict, Verdict::Cancelling { .. }));
            assert_eq!(list.drain(Drain::new().wait(short).grace(short)).blocking().running, 2);
            // And a child of the child.
            let status = forked(|| {
                let verdict = list.cancel(late.serial(), "too slow").unwrap().wait(short).blocking();
                assert!(matches!(verdict, Verdict::Cancelling { .. }));
            });
            assert_eq!(status, 0);
        });
        assert_eq!(status, 0, "a signal is in the low bits, an exit code above");
        let cancel = list.cancel("early", "too slow").unwrap();
        assert!(matches!(cancel.wait(short).blocking(), Verdict::Cancelling { .. }), "the parent is as before");
    }
}
