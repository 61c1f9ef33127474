//! The tasks of pm's developers: `cargo xtask test` before a change lands, and its parts alone.
//!
//! | module | contents |
//! |---|---|
//! | `step.rs` | running steps and other programs, the table at the end |
//! | `check.rs` | the steps that are one call of cargo each, other processors, the bench |
//! | `instructions.rs` | instructions that operations execute, and those of the last change |
//! | `model.rs` | loom, Miri, sanitizers |
//! | `versions.rs` | the oldest compiler, the lowest versions of dependencies |
//! | `toolchain.rs` | other toolchains than ours |
//! | `budget.rs` | how many crates each of ours may bring; where `unsafe` may be |
//! | `layers.rs` | which modules of a crate may use which |
//! | `lines.rs` | the length of lines and files |
//! | `words.rs` | words that are no longer used |
//! | `files.rs` | the sources and documents of the workspace |
//! | `source.rs` | Rust source as tokens |
//! | `api.rs` | the public interface: third-party types, and a baseline |
//! | `deny.rs` | licences, sources and advisories of third-party crates |
//! | `coverage.rs` | lines that tests run |
//! | `contract.rs` | the API against its description |
//! | `command.rs` | size and start of the command `pm`, beside curl and jq |
//! | `browser.rs` | attacks of web pages, in a real browser |
//! | `page.rs` | the page of pm in a real browser, and its pictures |

mod api;
mod browser;
mod budget;
mod check;
mod command;
mod contract;
mod coverage;
mod deny;
mod files;
mod instructions;
mod layers;
mod lines;
mod model;
mod page;
mod source;
mod step;
mod toolchain;
mod versions;
mod words;

use std::path::Path;
use std::process::ExitCode;

use step::Step;

const HELP: &str = "\
usage: cargo xtask COMMAND

  test [--quick]
            all that must pass before a change lands: format, lines, words, budget, clippy, docs, other features and
            processors, Miri and sanitizers (if installed), tests, the page; beside them deny, the oldest compiler,
            the lowest versions, loom, api, the contract, the attacks of a browser, whose output is shown when they have
            ended; last counts of instructions and a short bench. A step that fails does not keep others from running
            --quick runs format, lines, words, layers, clippy, and the tests without those of docs and a few that take
            long: readers that are greedy, random operations, races, TLS
  bench [--json FILE] [--quick] [SECTION...]
            what pm costs, beside its yardsticks; --json also writes the figures to a file, --quick measures briefly;
            bench --help names the sections; a full run, and one of `spawns`, also builds console-subscriber, apart
  bench --bless
            counts instructions, and makes these counts those that later ones are compared with
  instructions [--against FILE] [--json FILE] [WORD...]
            how many instructions operations execute, counted by valgrind, which Debian's package provides; fails if
            one is more than 3 % above its count in crates/pm-bench/instructions, or in FILE; --json writes the counts
            to a file; with words, only operations whose names contain one of them (docs/instructions.md)
  loom      the models of the races in pm-core; LOOM_MAX_PREEMPTIONS says how thorough (default 2)
  miri      tests of pm-core under Miri, which sees undefined behaviour; installs a nightly toolchain if there is none
  sanitizers
            tests of pm-core and pm-server under the address and the thread sanitizer; with the same toolchain
  msrv      the published crates with the oldest compiler they support, which is installed if it is missing
  minimal   the published crates with the lowest versions of dependencies that their manifests allow
  budget    third-party crates that ours bring, where `unsafe` is, and layers; fails beyond the limits
  layers    which modules of a crate use which; fails on one that uses a module above it (xtask/src/layers/table.rs)
  lines     lines over 120 columns and files over 600 lines
  words [PATH...]
            words that are no longer used, by the glossary of CONTRIBUTING.md, in all sources and documents or below
            PATH; summaries of documentation that begin with What, Who, Whether or The same
  api       third-party types in public signatures, and the public interface against the newest tag or the commit in
            xtask/api-baseline; installs cargo-semver-checks into target/tools if it is missing, which takes minutes
  deny      licences, sources and bans of third-party crates, and advisories if their database can be fetched;
            installs cargo-deny into target/tools if it is missing, which takes minutes
  coverage  which part of the lines of pm-core, pm-server and pm their tests run; installs llvm-tools if missing
  command   size and start of the command pm, and pm ls beside curl and jq, as it is handed out
  contract [--thorough]
            the API of a running server against its own description, with schemathesis, and /metrics with promtool;
            fetches them into target/contract; --thorough tries 1,000 requests of each operation, other ones each
            time, instead of the same 50
  browser   attacks of web pages on a server, in a headless Chromium; installs Debian's if it is missing and may be
            installed, and playwright-core into target/browser
  page [WORD...]
            the page of pm in the same browser, and the types of its modules: its behaviour, its figures, its
            accessibility, hostile input; pictures of it go to target/page. With words, only the tests whose names
            contain one of them; `figures at length` watches its memory for ten minutes
  screenshots
            makes the README's pictures of the page from the demo, into docs/pictures

Exit codes: 0 all passed, 1 something failed or could not run, 2 the command was not understood.";

fn main() -> ExitCode {
    if let Some(code) = api::as_rustdoc() {
        return code;
    }
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    // Stays where the caller is, so that FILE means what it says.
    if let ["bench", "--bless"] = words[..] {
        return step::run_one("bench --bless", instructions::bless);
    }
    if let ["bench", rest @ ..] = &words[..] {
        return check::bench(rest);
    }
    if let ["instructions", rest @ ..] = &words[..] {
        return step::run_one("instructions", || instructions::look(rest));
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace");
    if let Err(error) = std::env::set_current_dir(root) {
        eprintln!("{}: {error}", root.display());
        return ExitCode::FAILURE;
    }
    let steps: &[Step] = match words[..] {
        ["test"] => return step::run_all(&check::all()),
        ["test", "--quick"] => return step::run_all(&check::quick()),
        ["loom"] => &[("loom", model::loom)],
        ["miri"] => &[("miri", model::miri_with_install)],
        ["sanitizers"] => &[("sanitizers", model::sanitizers_with_install)],
        ["msrv"] => &[("msrv", versions::msrv)],
        ["minimal"] => &[("minimal", versions::minimal)],
        ["budget"] => &[("budget", budget::check)],
        ["layers"] => &[("layers", layers::check)],
        ["lines"] => &[("lines", lines::check)],
        ["words"] => &[("words", words::check)],
        ["words", ref below @ ..] => return step::run_one("words", || words::check_below(below)),
        ["api"] => &[("api", api::check)],
        ["deny"] => &[("deny", deny::check)],
        ["browser"] => &[("browser", browser::check)],
        ["page"] => &[("page", page::check)],
        ["page", ref words @ ..] => return step::run_one("page", || page::run(words)),
        ["screenshots"] => &[("screenshots", page::screenshots)],
        ["command"] => &[("command", command::measure)],
        ["contract"] => &[("contract", contract::check)],
        ["contract", "--thorough"] => &[("contract", contract::check_thoroughly)],
        ["coverage"] => &[("coverage", coverage::measure)],
        ["help" | "--help" | "-h"] => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("{HELP}");
            return ExitCode::from(2);
        }
    };
    let (name, work) = steps[0];
    step::run_one(name, work)
}
