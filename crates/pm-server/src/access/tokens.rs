//! The token file: which tokens there are, and what each may do.
//!
//! ```text
//! # who       token, at least 32 characters                                     name for the audit log
//! cancel      4f0c6a1e8b5d4c3f9a7e2b1d0c8f6e5a4f0c6a1e8b5d4c3f9a7e2b1d0c8f6e5a  deploy
//! read        b1946ac92492d2347c6235b4d2611184b1946ac92492d2347c6235b4d2611184
//! ```
//!
//! Tokens are kept as SHA-256 digests only, and one that is given is compared with all of them in constant time. The file
//! is looked at again when it may have changed, at most once a second, when a token is checked: so a token is added or
//! taken away by writing the file. What can't be read, is open to others or is not whole leaves the tokens as they were,
//! and is counted and told ([`Tokens::health`]); at the start it is an error.

use std::fmt;
use std::fs::{self, File, Metadata, OpenOptions};
use std::hint::black_box;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::{Caller, Identity, Scope, short_hex};
use crate::start_error::StartError;

/// How often the file is looked at, at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A file that was written so lately may be written once more without a trace in its times.
const SETTLED_AFTER: Duration = Duration::from_secs(2);
/// As many bits as a random token of letters and digits has at least: 160.
const SHORTEST: usize = 32;
const LONGEST: usize = 512;
const LONGEST_NAME: usize = 64;
/// The largest file, in bytes: more than a thousand tokens.
const LARGEST: u64 = 256 << 10;

/// The tokens of one file.
pub(crate) struct Tokens {
    path: PathBuf,
    state: Mutex<State>,
}

struct State {
    known: Arc<[Known]>,
    seen: Seen,
    /// When the file was last looked at.
    looked: Instant,
    health: Health,
}

/// How the file looked, to tell whether it changed.
#[derive(Clone, PartialEq)]
enum Seen {
    File(Stamp),
    /// It could not be looked at.
    Not(io::ErrorKind),
}

#[derive(Clone, PartialEq)]
struct Stamp {
    modified: Option<SystemTime>,
    len: u64,
    /// Device, inode and mode.
    file: (u64, u64, u32),
    /// Long enough ago, so that another change changes the rest of this.
    settled: bool,
}

struct Known {
    digest: [u8; 32],
    scope: Scope,
    name: Arc<str>,
}

/// How reading the file goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Health {
    /// Tokens that count now.
    pub(crate) tokens: usize,
    /// How often the file was read anew.
    pub(crate) reloads: u64,
    /// How often it changed to something that could not be taken.
    pub(crate) failures: u64,
    /// Why the file, as it is now, was not taken.
    pub(crate) error: Option<String>,
}

impl Tokens {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// [`TokenFileError`] names the file, the line and what to do.
    pub(crate) fn open(path: &Path, now: Instant) -> Result<Self, TokenFileError> {
        let error = |what| TokenFileError { path: path.to_owned(), what };
        let (known, stamp) = read(path).map_err(error)?;
        let health = Health { tokens: known.len(), ..Health::default() };
        let state = State { known, seen: Seen::File(stamp), looked: now, health };
        Ok(Self { path: path.to_owned(), state: Mutex::new(state) })
    }

    /// Reads the file, which is made first if there is none.
    pub(crate) fn obtain(path: &Path) -> Result<Self, StartError> {
        let failed = |error: TokenFileError| StartError::Tokens { source: error.into() };
        create(path).map_err(failed)?;
        Self::open(path, Instant::now()).map_err(failed)
    }

    /// Who has this token; `None` if nobody.
    pub(crate) fn check(&self, token: &[u8], now: Instant) -> Option<Caller> {
        let known = self.up_to_date(now);
        let digest = digest(token);
        let mut found = None;
        // All of them, whichever it is.
        for candidate in &*known {
            if is_same(&candidate.digest, &digest) {
                found = Some(candidate);
            }
        }
        found.map(|known| Caller { identity: Identity::Token(Arc::clone(&known.name)), scope: known.scope })
    }

    /// How reading the file goes, as of the last look.
    pub(crate) fn health(&self) -> Health {
        self.lock().health.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whole at every step, also after a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn up_to_date(&self, now: Instant) -> Arc<[Known]> {
        let mut state = self.lock();
        if now.saturating_duration_since(state.looked) < LOOK_EVERY {
            return Arc::clone(&state.known);
        }
        // Others go on with what is known meanwhile.
        state.looked = now;
        let (known, before) = (Arc::clone(&state.known), state.seen.clone());
        drop(state);
        let seen = match look(&self.path) {
            Ok(stamp) => Seen::File(stamp),
            Err(error) => Seen::Not(error.kind()),
        };
        if seen == before && matches!(&seen, Seen::Not(_) | Seen::File(Stamp { settled: true, .. })) {
            return known;
        }
        let result = read(&self.path);
        let mut state = self.lock();
        match result {
            Ok((known, stamp)) => {
                let is_new = !known.iter().map(Known::parts).eq(state.known.iter().map(Known::parts));
                state.health.reloads += u64::from(is_new);
                state.health.tokens = known.len();
                state.health.error = None;
                state.seen = Seen::File(stamp);
                state.known = known;
            }
            Err(what) => {
                let error = TokenFileError { path: self.path.clone(), what }.to_string();
                // The same fault of a file that was just written is one fault.
                let is_new = state.health.error.as_ref() != Some(&error);
                state.health.failures += u64::from(is_new);
                state.health.error = Some(error);
                state.seen = seen;
            }
        }
        Arc::clone(&state.known)
    }
}

impl Known {
    fn parts(&self) -> ([u8; 32], Scope, &str) {
        (self.digest, self.scope, &self.name)
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("path", &self.path).finish_non_exhaustive()
    }
}

fn digest(token: &[u8]) -> [u8; 32] {
    hmac_sha256::Hash::hash(token)
}

/// Compares in the same time, whatever is in them.
fn is_same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    let differs = one.iter().zip(other).fold(0, |differs, (one, other)| differs | (one ^ other));
    black_box(differs) == 0
}

fn look(path: &Path) -> io::Result<Stamp> {
    fs::metadata(path).map(|metadata| stamp(&metadata))
}

fn stamp(metadata: &Metadata) -> Stamp {
    let modified = metadata.modified().ok();
    let age = modified.and_then(|modified| SystemTime::now().duration_since(modified).ok());
    Stamp {
        modified,
        len: metadata.len(),
        file: file_of(metadata),
        settled: age.is_some_and(|age| age >= SETTLED_AFTER),
    }
}

#[cfg(unix)]
fn file_of(metadata: &Metadata) -> (u64, u64, u32) {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino(), metadata.mode())
}

#[cfg(not(unix))]
fn file_of(_: &Metadata) -> (u64, u64, u32) {
    (0, 0, 0)
}

fn read(path: &Path) -> Result<(Arc<[Known]>, Stamp), Fault> {
    // Before it is opened: opening a pipe would wait for somebody to write to it.
    check_file(&fs::metadata(path).map_err(Fault::Unreadable)?)?;
    let mut file = File::open(path).map_err(Fault::Unreadable)?;
    let metadata = file.metadata().map_err(Fault::Unreadable)?;
    check_file(&metadata)?;
    let mut text = Vec::new();
    (&mut file).take(LARGEST + 1).read_to_end(&mut text).map_err(Fault::Unreadable)?;
    if text.len() as u64 > LARGEST {
        return Err(Fault::TooLarge);
    }
    // The stamp from before it was read: what is written meanwhile is seen the next time.
    Ok((parse(&text)?, stamp(&metadata)))
}

fn check_file(metadata: &Metadata) -> Result<(), Fault> {
    if !metadata.is_file() {
        return Err(Fault::NoFile);
    }
    let mode = file_of(metadata).2 & 0o7777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(Fault::OpenToOthers { mode }) }
}

fn parse(text: &[u8]) -> Result<Arc<[Known]>, Fault> {
    let mut known: Vec<Known> = Vec::new();
    let mut lines = text.split(|&byte| byte == b'\n');
    let after_the_last = lines.next_back().unwrap_or_default();
    let mut count = 0;
    for line in lines {
        count += 1;
        let at = |what| Fault::Line { line: count, what };
        let line = std::str::from_utf8(line).map_err(|_| at(LineFault::OddCharacter))?;
        if let Some(new) = parse_line(line).map_err(at)? {
            if known.iter().any(|known| known.digest == new.digest) {
                return Err(at(LineFault::Twice));
            }
            known.push(new);
        }
    }
    match (after_the_last, known.is_empty()) {
        ([], false) => Ok(known.into()),
        ([], true) => Err(Fault::Empty),
        _ => Err(Fault::Line { line: count + 1, what: LineFault::NoEnd }),
    }
}

fn parse_line(line: &str) -> Result<Option<Known>, LineFault> {
    let mut words = line.split_ascii_whitespace();
    let scope = match words.next() {
        None => return Ok(None),
        Some(word) if word.starts_with('#') => return Ok(None),
        // Not shown: it may be a token in the wrong place.
        Some(word) => Scope::parse(word).ok_or(LineFault::Scope)?,
    };
    let token = words.next().ok_or(LineFault::NoToken)?;
    // RFC 6750, 2.1: what can travel in an `Authorization` header.
    let is_usual = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    match token.len() {
        _ if !token.bytes().all(is_usual) => return Err(LineFault::OddCharacter),
        length @ ..SHORTEST => return Err(LineFault::Short { length }),
        LONGEST.. => return Err(LineFault::Long),
        _ => {}
    }
    let digest = digest(token.as_bytes());
    let name = match words.next() {
        Some(name) => check_name(name)?.into(),
        None => short_hex(&digest).into(),
    };
    match words.next() {
        None => Ok(Some(Known { digest, scope, name })),
        Some(_) => Err(LineFault::TooMuch),
    }
}

fn check_name(name: &str) -> Result<&str, LineFault> {
    let is_usual = |byte: u8| byte.is_ascii_alphanumeric() || b"-._@".contains(&byte);
    if name.len() <= LONGEST_NAME && name.bytes().all(is_usual) { Ok(name) } else { Err(LineFault::Name) }
}

/// Makes the file with one fresh token that may cancel, for its owner only. `false` if there is such a file already, which
/// is left as it is.
///
/// # Errors
///
/// [`TokenFileError`] names the file. There is none then.
pub(crate) fn create(path: &Path) -> Result<bool, TokenFileError> {
    let error = |what| TokenFileError { path: path.to_owned(), what };
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|source| error(Fault::NoRandom(source.into())))?;
    let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = match options.open(path) {
        Ok(file) => file,
        Err(source) if source.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
        Err(source) => return Err(error(Fault::NotMade(source))),
    };
    let text = format!("# SCOPE (read or cancel)  TOKEN  NAME (for the audit log)\ncancel {token} first\n");
    // In one write, so that nobody reads a half.
    file.write_all(text.as_bytes()).map_err(|source| {
        let _ = fs::remove_file(path);
        error(Fault::NotMade(source))
    })?;
    Ok(true)
}

/// Why a token file can't be used.
#[derive(Debug)]
pub(crate) struct TokenFileError {
    path: PathBuf,
    what: Fault,
}

#[derive(Debug)]
enum Fault {
    Unreadable(io::Error),
    NoFile,
    OpenToOthers { mode: u32 },
    TooLarge,
    Empty,
    Line { line: usize, what: LineFault },
    NotMade(io::Error),
    NoRandom(io::Error),
}

/// What is wrong with a line. Never shows what stands there: it may be a token.
#[derive(Debug)]
enum LineFault {
    Scope,
    NoToken,
    Short { length: usize },
    Long,
    OddCharacter,
    Name,
    TooMuch,
    Twice,
    NoEnd,
}

impl fmt::Display for TokenFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.what {
            Fault::Unreadable(source) if source.kind() == io::ErrorKind::NotFound => {
                write!(f, "there is no token file {path}")
            }
            Fault::Unreadable(_) => write!(f, "could not read the token file {path}"),
            Fault::NoFile => write!(f, "the token file {path} is no file"),
            Fault::OpenToOthers { mode } => {
                write!(f, "the token file {path} is open to other users (mode {mode:04o}): chmod 600 {path}")
            }
            Fault::TooLarge => write!(f, "the token file {path} has more than {} KiB", LARGEST >> 10),
            Fault::Empty => {
                write!(f, "the token file {path} has no token: add a line `cancel TOKEN NAME` or `read TOKEN NAME`")
            }
            Fault::Line { line, what } => write!(f, "{path}:{line}: {what}"),
            Fault::NotMade(_) => write!(f, "could not make the token file {path}"),
            Fault::NoRandom(_) => write!(f, "the system gave no random numbers for the token file {path}"),
        }
    }
}

impl fmt::Display for LineFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scope => f.write_str("a line begins with `read`, `cancel` or `#`"),
            Self::NoToken => f.write_str("a token is missing after the scope"),
            Self::Short { length } => write!(
                f,
                "a token has at least {SHORTEST} characters, this one has {length}: make one with `openssl rand -hex 32`"
            ),
            Self::Long => write!(f, "a token has fewer than {LONGEST} characters"),
            Self::OddCharacter => f.write_str("a token is made of letters, digits and -._~+/= only"),
            Self::Name => write!(f, "a name has at most {LONGEST_NAME} characters: letters, digits and -._@"),
            Self::TooMuch => f.write_str("after the name there is nothing more"),
            Self::Twice => f.write_str("this token was there before"),
            Self::NoEnd => f.write_str("the line does not end: the file may be half written; end it with a line break"),
        }
    }
}

impl std::error::Error for TokenFileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.what {
            Fault::Unreadable(source) | Fault::NotMade(source) | Fault::NoRandom(source) => Some(source),
            _ => None,
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    const ONE: &str = "0123456789abcdef0123456789abcdef";
    const TWO: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ-._~+/==";
    const THREE: &str = "33333333333333333333333333333333333";

    /// A directory of the test's own, gone with it.
    struct Dir(PathBuf);

    impl Dir {
        fn new(name: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("pm-tokens-{}-{name}", std::process::id()));
            fs::create_dir_all(&dir).unwrap();
            Self(dir)
        }

        fn file(&self) -> PathBuf {
            self.0.join("tokens")
        }

        /// Writes the file as if it had been written long ago, but later than the time before.
        fn write(&self, text: &str, minute: u64) -> PathBuf {
            let path = self.file();
            fs::write(&path, text).unwrap();
            self.mode(0o600);
            let file = File::options().write(true).open(&path).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(60 * minute)).unwrap();
            path
        }

        fn mode(&self, mode: u32) {
            fs::set_permissions(self.file(), fs::Permissions::from_mode(mode)).unwrap();
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn scope(tokens: &Tokens, token: &str, now: Instant) -> Option<Scope> {
        tokens.check(token.as_bytes(), now).map(|caller| caller.scope)
    }

    #[test]
    fn tokens_have_a_scope_and_a_name() {
        let dir = Dir::new("scope");
        let text = format!("# comment\n\n  cancel\t{ONE} deploy \r\nread {TWO}\n   # more\n");
        let now = Instant::now();
        let tokens = Tokens::open(&dir.write(&text, 1), now).unwrap();
        let caller = tokens.check(ONE.as_bytes(), now).unwrap();
        assert_eq!((caller.identity.to_string().as_str(), caller.scope), ("token:deploy", Scope::Cancel));
        let caller = tokens.check(TWO.as_bytes(), now).unwrap();
        assert_eq!(caller.scope, Scope::Read);
        let name = caller.identity.to_string();
        assert!(name.len() == "token:".len() + 16 && !name.contains("ABC"), "{name}");
        for wrong in ["", "deploy", &ONE[1..], &format!("{ONE} "), &ONE.to_uppercase()] {
            assert_eq!(tokens.check(wrong.as_bytes(), now), None, "{wrong}");
        }
        assert_eq!(tokens.health(), Health { tokens: 2, ..Health::default() });
        assert!(!format!("{tokens:?}").contains(ONE));
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_with_its_line_but_never_its_tokens() {
        let dir = Dir::new("faults");
        for (text, error) in [
            ("", "has no token: add a line"),
            ("# nothing\n", "has no token: add a line"),
            (&format!("\n{ONE}\n"), "tokens:2: a line begins with"),
            (&format!("kill {ONE}\n"), "tokens:1: a line begins with"),
            ("read\n", "tokens:1: a token is missing"),
            (&format!("# a\nread {}\n", &ONE[..31]), "tokens:2: a token has at least 32 characters, this one has 31"),
            (&format!("read {}\n", ONE.repeat(99)), "tokens:1: a token has fewer"),
            (&format!("read {ONE}!\n"), "tokens:1: a token is made of letters"),
            (&format!("read {ONE}ü\n"), "tokens:1: a token is made of letters"),
            (&format!("read {ONE} a:b\n"), "tokens:1: a name has"),
            (&format!("read {ONE} a b\n"), "tokens:1: after the name"),
            (&format!("read {ONE}\ncancel {ONE}\n"), "tokens:2: this token was there before"),
            (&format!("read {ONE}\ncancel {TWO}"), "tokens:2: the line does not end"),
            (&"#".repeat(300 << 10), "has more than 256 KiB"),
        ] {
            let error_text = Tokens::open(&dir.write(text, 1), Instant::now()).unwrap_err().to_string();
            assert!(error_text.contains(error), "{error_text}");
            assert!(
                error_text.contains(&dir.file().display().to_string()) && !error_text.contains("0123"),
                "{error_text}"
            );
        }
    }

    #[test]
    fn a_file_that_others_can_open_is_refused_with_what_to_do() {
        let dir = Dir::new("mode");
        let path = dir.write(&format!("cancel {ONE}\n"), 1);
        for mode in [0o640, 0o604, 0o620, 0o602, 0o644, 0o610] {
            dir.mode(mode);
            let error = Tokens::open(&path, Instant::now()).unwrap_err().to_string();
            assert!(error.ends_with(&format!("(mode {mode:04o}): chmod 600 {}", path.display())), "{error}");
        }
        dir.mode(0o400);
        assert!(Tokens::open(&path, Instant::now()).is_ok());
        let error = Tokens::open(&dir.0, Instant::now()).unwrap_err().to_string();
        assert!(error.ends_with("is no file"), "{error}");
        let error = Tokens::open(&dir.0.join("none"), Instant::now()).unwrap_err().to_string();
        assert!(error.starts_with("there is no token file"), "{error}");
    }

    #[test]
    fn a_changed_file_is_taken_within_a_second() {
        let dir = Dir::new("reload");
        let start = Instant::now();
        let at = |millis: u64| start + Duration::from_millis(millis);
        let tokens = Tokens::open(&dir.write(&format!("cancel {ONE}\n"), 1), start).unwrap();
        dir.write(&format!("read {TWO}\n"), 2);
        assert_eq!(scope(&tokens, ONE, at(999)), Some(Scope::Cancel), "not looked at yet");
        assert_eq!(scope(&tokens, TWO, at(1000)), Some(Scope::Read));
        assert_eq!(scope(&tokens, ONE, at(1000)), None);
        // Another file of the same length and time, moved into its place.
        let other = dir.0.join("other");
        fs::write(&other, format!("read {THREE}\n").replace("33\n", "3\n")).unwrap();
        fs::set_permissions(&other, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(&other, dir.file()).unwrap();
        assert_eq!(scope(&tokens, TWO, at(2000)), None);
        assert_eq!(tokens.health(), Health { tokens: 1, reloads: 2, failures: 0, error: None });
    }

    #[test]
    fn a_file_that_can_not_be_taken_leaves_the_tokens_as_they_were() {
        let dir = Dir::new("keep");
        let start = Instant::now();
        let mut second = 0;
        let tokens = Tokens::open(&dir.write(&format!("cancel {ONE}\n"), 1), start).unwrap();
        let mut look = |failures: u64, error: Option<&str>| {
            // More than one look at the same fault is one failure.
            for _ in 0..2 {
                second += 1;
                assert_eq!(scope(&tokens, ONE, start + Duration::from_secs(second)), Some(Scope::Cancel));
                let health = tokens.health();
                assert_eq!((health.failures, health.tokens), (failures, 1), "{health:?}");
                match (&health.error, error) {
                    (None, None) => {}
                    (Some(found), Some(error)) => assert!(found.contains(error), "{found}"),
                    other => panic!("{other:?}"),
                }
            }
        };
        let path = dir.file();
        look(0, None);
        fs::remove_file(&path).unwrap();
        look(1, Some("there is no token file"));
        dir.write(&format!("cancel {ONE}\n"), 2);
        look(1, None);
        dir.mode(0o644);
        look(2, Some("chmod 600"));
        dir.mode(0o600);
        look(2, None);
        dir.write("", 3);
        look(3, Some("has no token"));
        dir.write(&format!("cancel {TWO}\nread {}", &ONE[..20]), 4);
        look(4, Some("half written"));
        dir.write(&format!("cancel {TWO}\nread short\n"), 5);
        look(5, Some("tokens:2: a token has at least"));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        look(6, Some("is no file"));
        fs::remove_dir(&path).unwrap();
        dir.write(&format!("read {TWO}\ncancel {ONE}\n"), 6);
        second += 1;
        let now = start + Duration::from_secs(second);
        assert_eq!((scope(&tokens, ONE, now), scope(&tokens, TWO, now)), (Some(Scope::Cancel), Some(Scope::Read)));
        assert_eq!(tokens.health(), Health { tokens: 2, reloads: 1, failures: 6, error: None });
    }

    #[test]
    fn a_file_that_was_just_written_is_read_again_though_it_looks_the_same() {
        let dir = Dir::new("racy");
        let start = Instant::now();
        let path = dir.file();
        let modified = SystemTime::now();
        let write = |token: &str| {
            fs::write(&path, format!("read {token}\n")).unwrap();
            dir.mode(0o600);
            File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
        };
        write(ONE);
        let tokens = Tokens::open(&path, start).unwrap();
        write(&TWO[..32]);
        assert_eq!(scope(&tokens, &TWO[..32], start + LOOK_EVERY), Some(Scope::Read));
    }

    #[test]
    fn a_fresh_file_has_one_token_that_cancels_for_its_owner_only() {
        let dir = Dir::new("create");
        let path = dir.file();
        assert!(create(&path).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        let text = fs::read_to_string(&path).unwrap();
        let token = text.lines().last().unwrap().split(' ').nth(1).unwrap().to_owned();
        assert_eq!(token.len(), 64);
        let tokens = Tokens::open(&path, Instant::now()).unwrap();
        assert_eq!(scope(&tokens, &token, Instant::now()), Some(Scope::Cancel));
        assert!(!create(&path).unwrap(), "there is one");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        fs::remove_file(&path).unwrap();
        assert!(create(&path).unwrap());
        assert_ne!(fs::read_to_string(&path).unwrap(), text);
        let error = create(&dir.0.join("none").join("tokens")).unwrap_err();
        assert!(error.to_string().starts_with("could not make the token file"), "{error}");
    }

    #[test]
    fn tokens_are_digested_with_sha_256() {
        let hex: String = digest(b"abc").iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert!(is_same(&digest(b"a"), &digest(b"a")) && !is_same(&digest(b"a"), &digest(b"b")));
    }
}
