//! Tests of the token file.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::SystemTime;

use super::*;

const ONE: &str = "0123456789abcdef0123456789abcdef";
const TWO: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ-._~+/==";
const THREE: &str = "33333333333333333333333333333333333";

/// A directory for one test, removed when it ends.
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

    /// Writes the file with a time long ago, but later than the time before.
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

fn permission(tokens: &Tokens, token: &str, now: Instant) -> Option<Permission> {
    tokens.check(token.as_bytes(), now).map(|caller| caller.permission)
}

#[test]
fn tokens_have_a_permission_and_a_name() {
    let dir = Dir::new("permission");
    let text = format!("# comment\n\n  cancel\t{ONE} deploy \r\nread {TWO}\n   # more\n");
    let now = Instant::now();
    let tokens = Tokens::open(&dir.write(&text, 1), now).unwrap();
    let caller = tokens.check(ONE.as_bytes(), now).unwrap();
    assert_eq!((caller.identity.to_string().as_str(), caller.permission), ("token:deploy", Permission::Cancel));
    let caller = tokens.check(TWO.as_bytes(), now).unwrap();
    assert_eq!(caller.permission, Permission::Read);
    let name = caller.identity.to_string();
    assert!(name.len() == "token:".len() + 16 && !name.contains("ABC"), "{name}");
    for wrong in ["", "deploy", &ONE[1..], &format!("{ONE} "), &ONE.to_uppercase()] {
        assert_eq!(tokens.check(wrong.as_bytes(), now), None, "{wrong}");
    }
    assert_eq!(tokens.health(), Health { tokens: 2, ..Health::default() });
    assert!(!format!("{tokens:?}").contains(ONE));
}

#[test]
fn an_error_names_the_file_and_the_line_but_shows_no_token() {
    let dir = Dir::new("errors");
    for (text, error) in [
        ("", "has no token: add a line"),
        ("# nothing\n", "has no token: add a line"),
        (&format!("\n{ONE}\n"), "tokens:2: a line begins with"),
        (&format!("kill {ONE}\n"), "tokens:1: a line begins with"),
        ("read\n", "tokens:1: the token is missing"),
        (&format!("# a\nread {}\n", &ONE[..31]), "tokens:2: a token has at least 32 characters, this one has 31"),
        (&format!("read {}\n", ONE.repeat(99)), "tokens:1: a token has fewer"),
        (&format!("read {ONE}!\n"), "tokens:1: a token has only letters"),
        (&format!("read {ONE}ü\n"), "tokens:1: a token has only letters"),
        (&format!("read {ONE} a:b\n"), "tokens:1: a name has"),
        (&format!("read {ONE} a b\n"), "tokens:1: there is text after the name"),
        (&format!("read {ONE}\ncancel {ONE}\n"), "tokens:2: this token is there twice"),
        (&format!("read {ONE}\ncancel {TWO}"), "tokens:2: the line does not end"),
        (&"#".repeat(300 << 10), "is larger than 256 KiB"),
    ] {
        let error_text = Tokens::open(&dir.write(text, 1), Instant::now()).unwrap_err().to_string();
        assert!(error_text.contains(error), "{error_text}");
        assert!(error_text.contains(&dir.file().display().to_string()) && !error_text.contains("0123"), "{error_text}");
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
    // Mounted secrets are read-only, for the group of the process.
    for mode in [0o400, 0o440] {
        dir.mode(mode);
        assert!(Tokens::open(&path, Instant::now()).is_ok(), "{mode:o}");
    }
    for mode in [0o444, 0o404, 0o450, 0o460, 0o442] {
        dir.mode(mode);
        assert!(Tokens::open(&path, Instant::now()).is_err(), "{mode:o}");
    }
    let error = Tokens::open(&dir.0, Instant::now()).unwrap_err().to_string();
    assert!(error.ends_with("is not a file"), "{error}");
    let error = Tokens::open(&dir.0.join("none"), Instant::now()).unwrap_err().to_string();
    assert!(error.ends_with("does not exist"), "{error}");
}

#[test]
fn a_file_may_be_readable_by_others_if_the_program_says_so_but_never_writable() {
    let dir = Dir::new("shared");
    let path = dir.write(&format!("cancel {ONE}\n"), 1);
    for (mode, is_allowed) in
        [(0o640, true), (0o444, true), (0o644, true), (0o600, true), (0o664, false), (0o606, false)]
    {
        dir.mode(mode);
        let sources = Sources { file: Some(path.clone()), is_shared: true, given: Vec::new() };
        match Tokens::obtain(&sources, None) {
            Ok(tokens) => {
                assert!(is_allowed && permission(&tokens.unwrap(), ONE, Instant::now()).is_some(), "{mode:o}")
            }
            Err(error) => {
                assert!(!is_allowed, "{error}");
                // In octal, also where `main` returns it.
                assert!(format!("{error} {error:?}").matches(&format!("{mode:04o}")).count() == 2, "{error:?}");
                assert!(!error.to_string().contains("allow_shared_token_file"), "{error}");
            }
        }
    }
    dir.mode(0o644);
    let error = Tokens::open(&path, Instant::now()).unwrap_err().to_string();
    assert!(error.contains("allow_shared_token_file"), "{error}");
}

#[test]
fn a_byte_order_mark_is_not_part_of_the_first_line() {
    let dir = Dir::new("mark");
    let tokens = Tokens::open(&dir.write(&format!("\u{feff}cancel {ONE}\r\n"), 1), Instant::now()).unwrap();
    assert_eq!(permission(&tokens, ONE, Instant::now()), Some(Permission::Cancel));
}

#[test]
fn tokens_of_the_program_the_variable_and_the_file_are_valid_together() {
    let dir = Dir::new("sources");
    let file = dir.write(&format!("read {THREE} file\n"), 1);
    let given = vec![(Permission::Cancel, "program".to_owned(), ONE.to_owned())];
    let sources = Sources { file: Some(file), is_shared: false, given };
    let tokens = Tokens::obtain(&sources, Some(format!("read {TWO} variable").as_ref())).unwrap().unwrap();
    let now = Instant::now();
    for (token, name, permission) in
        [(ONE, "program", Permission::Cancel), (TWO, "variable", Permission::Read), (THREE, "file", Permission::Read)]
    {
        let caller = tokens.check(token.as_bytes(), now).unwrap();
        assert_eq!((caller.identity.to_string(), caller.permission), (format!("token:{name}"), permission));
    }
    assert_eq!((tokens.check(b"none", now), tokens.health().tokens), (None, 3));
    assert!(![ONE, TWO, THREE].iter().any(|token| format!("{tokens:?}").contains(token)));
    assert!(Tokens::obtain(&Sources::default(), None).unwrap().is_none());
}

#[test]
fn the_variable_has_lines_and_its_errors_name_it_but_show_no_token() {
    let of = |value: &str| Tokens::obtain(&Sources::default(), Some(value.as_ref()));
    for value in [
        format!("cancel {ONE} a\nread {TWO}"),
        format!("cancel {ONE};read {TWO}"),
        format!("cancel {ONE} a, read {TWO} b,"),
        format!("\u{feff}# comment\r\n cancel {ONE}\r\n\r\nread {TWO}\n"),
    ] {
        let tokens = of(&value).unwrap().unwrap();
        let all = [ONE, TWO].map(|token| permission(&tokens, token, Instant::now()));
        assert_eq!(all, [Some(Permission::Cancel), Some(Permission::Read)], "{value}");
    }
    for (value, words) in [
        ("", "the variable PM_TOKENS has no token"),
        (" \n# x", "the variable PM_TOKENS has no token"),
        (ONE, "line 1 of the variable PM_TOKENS: a line begins with"),
        (&format!("read {ONE};cancel {ONE}"), "line 2 of the variable PM_TOKENS: this token is there twice"),
        ("read short", "line 1 of the variable PM_TOKENS: a token has at least 32 characters, this one has 5"),
    ] {
        let error = of(value).unwrap_err().to_string();
        assert!(error.contains(words) && !error.contains(ONE), "{error}");
    }
    let given = vec![(Permission::Read, "ops".to_owned(), "short".to_owned())];
    let error = Tokens::obtain(&Sources { given, ..Sources::default() }, None).unwrap_err().to_string();
    assert!(error.contains("the token with the name `ops` in the program: a token has at least"), "{error}");
}

#[test]
fn a_changed_file_is_reloaded_within_a_second() {
    let dir = Dir::new("reload");
    let start = Instant::now();
    let at = |millis: u64| start + Duration::from_millis(millis);
    let tokens = Tokens::open(&dir.write(&format!("cancel {ONE}\n"), 1), start).unwrap();
    dir.write(&format!("read {TWO}\n"), 2);
    assert_eq!(permission(&tokens, ONE, at(999)), Some(Permission::Cancel), "not checked yet");
    assert_eq!(permission(&tokens, TWO, at(1000)), Some(Permission::Read));
    assert_eq!(permission(&tokens, ONE, at(1000)), None);
    // Another file of the same length and time, moved into its place.
    let other = dir.0.join("other");
    fs::write(&other, format!("read {THREE}\n").replace("33\n", "3\n")).unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(&other, dir.file()).unwrap();
    assert_eq!(permission(&tokens, TWO, at(2000)), None);
    assert_eq!(tokens.health(), Health { tokens: 1, reloads: 2, failures: 0, error: None });
}

#[test]
fn a_file_with_an_error_leaves_the_tokens_as_they_were() {
    let dir = Dir::new("keep");
    let start = Instant::now();
    let mut second = 0;
    let tokens = Tokens::open(&dir.write(&format!("cancel {ONE}\n"), 1), start).unwrap();
    let mut look = |failures: u64, error: Option<&str>| {
        // Reading the same error twice counts once.
        for _ in 0..2 {
            second += 1;
            assert_eq!(permission(&tokens, ONE, start + Duration::from_secs(second)), Some(Permission::Cancel));
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
    look(1, Some("does not exist"));
    dir.write(&format!("cancel {ONE}\n"), 2);
    look(1, None);
    dir.mode(0o644);
    look(2, Some("chmod 600"));
    dir.mode(0o600);
    look(2, None);
    dir.write("", 3);
    look(3, Some("has no token"));
    dir.write(&format!("cancel {TWO}\nread {}", &ONE[..20]), 4);
    look(4, Some("incomplete"));
    dir.write(&format!("cancel {TWO}\nread short\n"), 5);
    look(5, Some("tokens:2: a token has at least"));
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    look(6, Some("is not a file"));
    fs::remove_dir(&path).unwrap();
    dir.write(&format!("read {TWO}\ncancel {ONE}\n"), 6);
    second += 1;
    let now = start + Duration::from_secs(second);
    assert_eq!(
        (permission(&tokens, ONE, now), permission(&tokens, TWO, now)),
        (Some(Permission::Cancel), Some(Permission::Read))
    );
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
    assert_eq!(permission(&tokens, &TWO[..32], start + LOOK_EVERY), Some(Permission::Read));
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
    assert_eq!(permission(&tokens, &token, Instant::now()), Some(Permission::Cancel));
    assert!(!create(&path).unwrap(), "there is one");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    fs::remove_file(&path).unwrap();
    assert!(create(&path).unwrap());
    assert_ne!(fs::read_to_string(&path).unwrap(), text);
    let error = create(&dir.0.join("none").join("tokens")).unwrap_err();
    assert!(error.to_string().starts_with("could not create the token file"), "{error}");
}

#[test]
fn tokens_are_digested_with_sha_256() {
    let hex: String = digest(b"abc").iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert!(is_same(&digest(b"a"), &digest(b"a")) && !is_same(&digest(b"a"), &digest(b"b")));
}
