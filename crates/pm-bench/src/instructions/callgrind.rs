//! Runs an operation under callgrind, and reads the profiles that it writes.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::operation::Operation;

/// The first argument of the process that runs one operation; its name follows.
pub(crate) const CHILD: &str = "run-operation";

/// The function after which callgrind writes a profile of what was executed since the last one, in all threads.
const COUNTED: &str = "pm_bench_instructions::callgrind::counted*";

/// Variables that say where valgrind and its libraries are. No others are passed on: their sizes move the stack, and
/// what they say may change what is counted.
const VARIABLES: [&str; 3] = ["PATH", "LD_LIBRARY_PATH", "VALGRIND_LIB"];

/// Keeps the C library from choosing functions by the processor, so that it takes those that all of an architecture
/// have.
const TUNABLES: &str = "glibc.cpu.hwcaps=-AVX,-AVX2,-AVX512F,-AVX512VL,-AVX512BW,-AVX_Fast_Unaligned_Load,-BMI1,-BMI2,\
                        -ERMS,-FSRM,-LZCNT,-MOVBE,-POPCNT,-RTM,-SSE4_1,-SSE4_2,-SSSE3:\
                        glibc.cpu.x86_non_temporal_threshold=0x400000";

/// The functions of the C library's allocator that programs call.
const ALLOCATOR: [&str; 7] = ["malloc", "free", "calloc", "realloc", "posix_memalign", "aligned_alloc", "memalign"];

/// And the beginnings of the names of those below.
const BELOW_ALLOCATOR: [&str; 6] = ["_int_", "_mid_memalign", "unlink_chunk", "malloc_", "sysmalloc", "systrim"];

/// A call of the allocator counts as so many instructions, about as many as most take. How many it really takes depends
/// on where memory lies that became free earlier, and so on everything else in the program.
const PER_CALL: u64 = 50;

/// How calls of the allocator are named among functions.
const CALLS: &str = "calls of the allocator, 50 each";

/// The instructions of one operation.
#[derive(Serialize, Deserialize)]
pub(crate) struct Count {
    pub(crate) all: f64,
    /// By the functions that executed them.
    pub(crate) functions: BTreeMap<String, f64>,
}

#[inline(never)]
fn counted(repeat: &mut dyn FnMut(u64), count: u64) {
    repeat(std::hint::black_box(count));
    // Without anything to do after the call it would be a jump, and callgrind would not see the end of this function.
    std::hint::black_box(count);
}

/// Runs an operation in this process, for callgrind: to warm it up, then as often again, then twice as often.
pub(crate) fn run_operation(operation: &Operation) {
    let mut repeat = (operation.prepare)();
    for turns in [1, 1, 2] {
        counted(&mut *repeat, turns * operation.count);
    }
}

/// Returns the instructions of one operation, from a run in a process of its own. Makes `directory`, for the profiles.
pub(crate) fn count(operation: &Operation, directory: &Path) -> Result<Count, String> {
    let program = std::env::current_exe().map_err(|error| format!("could not find this program: {error}"))?;
    let mut valgrind = Command::new("valgrind");
    valgrind.env_clear().envs(VARIABLES.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    valgrind.env("GLIBC_TUNABLES", TUNABLES).arg("--tool=callgrind").arg(format!("--dump-after={COUNTED}"));
    fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let profile = directory.join("profile");
    valgrind.arg(format!("--callgrind-out-file={}", profile.display())).arg(program).args([CHILD, operation.name]);
    let output = valgrind.output().map_err(|error| format!("could not start valgrind: {error}"))?;
    let profiles = || -> Option<_> {
        let read = |part| fs::read_to_string(profile.with_extension(part)).ok();
        output.status.success().then_some(())?;
        Some((read_profile(&read("2")?), read_profile(&read("3")?)))
    };
    let Some((once, twice)) = profiles() else {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{}: valgrind counted nothing ({}):\n{text}", operation.name, output.status));
    };
    let one = |once: u64, twice: u64| (twice as f64 - once as f64) / operation.count as f64;
    let of = |(name, &twice): (&String, &u64)| {
        let once = once.functions.get(name).copied().unwrap_or(0);
        (name.clone(), one(once, twice))
    };
    Ok(Count { all: one(once.all, twice.all), functions: twice.functions.iter().map(of).collect() })
}

/// A profile that callgrind wrote.
#[derive(Default)]
struct Profile {
    all: u64,
    /// How many instructions each function executed itself. A function appears once for each file that its code comes
    /// from, as the compiler has other functions inlined.
    functions: HashMap<String, u64>,
}

fn read_profile(text: &str) -> Profile {
    let (mut files, mut functions, mut objects) = (HashMap::new(), HashMap::new(), HashMap::new());
    let (mut file, mut function, mut object, mut callee) = ("", "", "", "");
    let mut costs: HashMap<_, u64> = HashMap::new();
    let (mut all, mut allocating, mut calls) = (0, 0, 0);
    let cost_of = |line: &str| line.split_whitespace().nth(1).and_then(|cost| cost.parse().ok()).unwrap_or(0_u64);
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            let cost = cost_of(line);
            all += cost;
            *costs.entry((file, function, object)).or_default() += cost;
        } else if let Some((key, name)) = line.split_once('=') {
            match key {
                "fl" | "fi" | "fe" => file = named(&mut files, name),
                "fn" => function = named(&mut functions, name),
                "ob" => object = named(&mut objects, name),
                "cfi" | "cfl" => drop(named(&mut files, name)),
                "cfn" => callee = named(&mut functions, name),
                "cob" => drop(named(&mut objects, name)),
                "calls" => {
                    // What the called function and all below it cost.
                    let cost = lines.next().map_or(0, cost_of);
                    if ALLOCATOR.contains(&callee) && !is_allocator(function) {
                        allocating += cost;
                        calls += name.split_once(' ').and_then(|(calls, _)| calls.parse::<u64>().ok()).unwrap_or(0);
                    }
                }
                _ => {}
            }
        }
    }
    let mut by_name = HashMap::new();
    if calls > 0 {
        by_name.insert(CALLS.to_owned(), calls * PER_CALL);
    }
    for ((file, function, object), cost) in costs {
        if !is_allocator(function) {
            *by_name.entry(title(file, function, object)).or_default() += cost;
        }
    }
    Profile { all: all - allocating + calls * PER_CALL, functions: by_name }
}

fn is_allocator(function: &str) -> bool {
    ALLOCATOR.contains(&function) || BELOW_ALLOCATOR.iter().any(|begin| function.starts_with(begin))
}

/// Resolves `(3) name`, which defines the number 3, or `(3)`.
fn named<'t>(names: &mut HashMap<&'t str, &'t str>, text: &'t str) -> &'t str {
    match text.split_once(' ') {
        Some((number, name)) => {
            names.insert(number, name);
            name
        }
        None => names.get(text).copied().unwrap_or(text),
    }
}

/// Returns a name that is the same in each build: without hashes and the places of sources on this machine.
fn title(file: &str, function: &str, object: &str) -> String {
    let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    // A function of a library without symbols is an address.
    let function = if function.starts_with("0x") { last(object) } else { shortened(function) };
    let file = ["/library/", "/registry/src/", "/crates/"].iter().find_map(|part| {
        let (_, below) = file.split_once(part)?;
        // Of a registry's crate without the directory that is named after the registry.
        Some(if *part == "/registry/src/" { below.split_once('/')?.1 } else { below })
    });
    match file {
        Some(file) => format!("{function} in {file}"),
        None => function,
    }
}

/// Removes the hash, the mark of a recursive call, and generic arguments of generic arguments.
fn shortened(function: &str) -> String {
    let function = function.split_once('\'').map_or(function, |(name, _)| name);
    let function = match function.rsplit_once("::h") {
        Some((name, hash)) if hash.len() == 16 => name,
        _ => function,
    };
    let (mut short, mut depth, mut last) = (String::new(), 0, ' ');
    for character in function.chars() {
        match character {
            '<' => {
                depth += 1;
                short += ["", "<", "<..>"].get(depth).unwrap_or(&"");
            }
            // No arrow.
            '>' if last != '-' => {
                short += if depth == 1 { ">" } else { "" };
                depth = depth.saturating_sub(1);
            }
            _ if depth < 2 => short.push(character),
            _ => {}
        }
        last = character;
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_no_part_of_what_a_function_costs_itself() {
        let profile = "events: Ir\n\nfl=(1) /me/pm/crates/pm-core/src/a.rs\nfn=(1) pm::a::h0123456789abcdef\n\
                       16 400\n+1 2\nfi=(2) /rustc/59/library/core/src/b.rs\n* 30\ncfn=(2) pm::b\ncalls=1 5\n* 7000\n\
                       fe=(1)\n20 8\n\nfn=(2)\n5 7000\n";
        let expected =
            [("pm::a in pm-core/src/a.rs", 410), ("pm::a in core/src/b.rs", 30), ("pm::b in pm-core/src/a.rs", 7000)];
        let profile = read_profile(profile);
        assert_eq!(profile.all, 7440);
        assert_eq!(profile.functions, expected.map(|(name, cost)| (name.to_owned(), cost)).into());
    }

    #[test]
    fn a_call_of_the_allocator_has_a_fixed_price() {
        let profile = "fn=(1) pm::a\n1 30\ncfn=(2) realloc\ncalls=3 1\n1 900\n\n\
                       fn=(2)\n1 100\ncfn=(3) _int_malloc\ncalls=3 1\n1 800\n\nfn=(3)\n1 800\n";
        let profile = read_profile(profile);
        assert_eq!(profile.all, 180);
        assert_eq!(profile.functions, [(CALLS.to_owned(), 150), ("pm::a".to_owned(), 30)].into());
    }

    #[test]
    fn names_are_short_and_without_hashes() {
        for (name, short) in [
            ("core::ptr::drop_in_place<pm::Task>", "core::ptr::drop_in_place<pm::Task>"),
            ("<a::B<c::D<e::F>> as g::H<i::J>>::k::h0123456789abcdef", "<a::B<..> as g::H<..>>::k"),
            ("a::b'2", "a::b"),
            ("a::b<fn() -> c::D>::e", "a::b<fn() -> c::D>::e"),
        ] {
            assert_eq!(shortened(name), short);
        }
    }
}
