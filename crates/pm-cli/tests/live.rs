//! The built command against real servers: output, cancels and exit codes.

mod common;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::Stdio;
use std::time::Duration;

use common::{Fake, closed_address, command, err, json, out, pm, reply, serve};

/// A list with a clock that the test advances.
fn timed() -> (pm::ProcessList, pm::ManualClock) {
    let (clock, hand) = pm::Clock::manual();
    (pm::ProcessList::with_options(pm::Options::new().clock(clock)), hand)
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn tables_show_running_ended_and_nested_tasks() {
    let (list, hand) = timed();
    let (_server, endpoint) = serve(&list);
    let parent = list.task("import-42").kind("import").attr("tenant", "acme").start();
    hand.advance(secs(10));
    let child = list.task("part/1").kind("part").parent(&parent).start();
    child.status("reading 日本.csv").unwrap();
    child.progress(3, 10, "files");
    let gone = list.task("import-41").kind("import").start();
    hand.advance(secs(2));
    gone.fail("no file");
    hand.advance(secs(2));

    let shown = |args: &[&str]| {
        let output = pm(&[args, &["-e", &endpoint]].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_eq!(err(&output), "");
        out(&output).to_owned()
    };
    assert_eq!(
        shown(&["ls"]),
        "ID         KIND    AGE     STATUS            IN STATUS  PROGRESS    ATTRS\n\
         import-42  import  14.0 s  init              14.0 s                 tenant=acme\n\
         part/1     part    4.0 s   reading 日本.csv  4.0 s      3/10 files\n"
    );
    assert_eq!(shown(&["ls", "attr.tenant=a*", "-o", "ids"]), format!("{}\n", parent.serial().unwrap()));
    assert!(shown(&["ls", "-o", "wide"]).starts_with("ID         SERIAL  KIND"));
    assert_eq!(
        shown(&["ended"]),
        format!(
            "ID         SERIAL  KIND    OUTCOME  RAN    ENDED      STATUS\n\
             import-41  {:<6}  import  failed   2.0 s  2.0 s ago  failed: no file\n",
            child.serial().unwrap().get() + 1
        )
    );
    let serials = (parent.serial().unwrap().get(), child.serial().unwrap().get());
    assert_eq!(
        shown(&["tree"]),
        format!(
            "TASK       SERIAL  KIND    AGE     STATUS            IN STATUS  PROGRESS\n\
             import-42  {:<6}  import  14.0 s  init              14.0 s\n\
             └ part/1   {:<6}  part    4.0 s   reading 日本.csv  4.0 s      3/10 files\n",
            serials.0, serials.1
        )
    );
    let page = shown(&["show", "part/1"]);
    assert!(page.contains("status       reading 日本.csv (for 4.0 s)\n"), "{page}");
    assert!(page.contains("progress     3/10 files, 30 %, 0.8/s, 9.3 s left at this rate\n"), "{page}");
    assert!(shown(&["history", "part/1"]).contains("4.0 s  reading 日本.csv\n"));
    let kinds = shown(&["kinds"]);
    assert!(kinds.contains("import  1        0         1       1.9 s"), "{kinds}");
    let why = shown(&["why", "import-42"]);
    let part = format!(
        "import-42 ({}) is waiting for 1 child, the oldest of which, part/1 ({}), has been in",
        serials.0, serials.1
    );
    assert!(why.starts_with(&part), "{why}");
    assert!(shown(&["endpoints"]).contains("yes"));
}

#[test]
fn omitted_tasks_are_reported() {
    let list = pm::ProcessList::new();
    let _tasks: Vec<_> = (0..7).map(|number| list.start(&format!("t{number}"))).collect();
    let (_server, endpoint) = serve(&list);
    let output = pm(&["ls", "limit=3", "-e", &endpoint]);
    assert_eq!(out(&output).lines().count(), 4);
    assert_eq!(err(&output), "pm: showing 3 of 7 tasks; limit=all shows all, filters select fewer\n");
    let output = pm(&["ls", "limit=3", "-o", "json", "-e", &endpoint]);
    assert_eq!((&json(&output)["total"], &json(&output)["truncated"]), (&7.into(), &true.into()));
    assert_eq!(out(&pm(&["ls", "limit=0", "-o", "ids", "-e", &endpoint])), "");
}

#[test]
fn more_than_a_page_is_listed_whole_and_in_order() {
    let (list, hand) = timed();
    let tasks: Vec<_> = (0..2_300)
        .map(|number| {
            hand.advance(Duration::from_millis(1));
            list.start(&format!("t{number}"))
        })
        .collect();
    let (_server, endpoint) = serve(&list);
    let output = pm(&["ls", "-o", "ndjson", "-e", &endpoint]);
    let ids: Vec<String> = out(&output)
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids, (0..2_300).map(|number| format!("t{number}")).collect::<Vec<_>>());
    let output = pm(&["ls", "-o", "ids", "-e", &endpoint]);
    let serials: Vec<String> = tasks.iter().map(|task| task.serial().unwrap().to_string()).collect();
    assert_eq!(out(&output).lines().collect::<Vec<_>>(), serials);
}

/// Text with control characters of all kinds, and characters of unusual width.
const HOSTILE: &str =
    "\u{1b}[2J\u{1b}]0;PWNED\u{7}\r\n\u{9b}31m\u{202e}evil\u{2066}\u{200b}\u{ad}\u{e0041}\tx\u{301}日本\u{2028}y";

fn is_control(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{ad}' | '\u{200b}' | '\u{202e}' | '\u{2028}' | '\u{2066}' | '\u{e0041}')
}

#[test]
fn control_characters_of_tasks_are_escaped() {
    let list = pm::ProcessList::new();
    let task = list.task(HOSTILE).kind(HOSTILE).attr(HOSTILE, HOSTILE).start();
    task.status(HOSTILE).unwrap();
    task.progress(1, 2, HOSTILE);
    list.start(HOSTILE).fail(HOSTILE);
    let lock = pm::Resource::fair(HOSTILE, pm::ResourceKind::Mutex, Some(1));
    let _hold = task.holding(lock.clone());
    let other = list.start("other");
    let _wait = other.waiting_on(lock);
    let (_server, endpoint) = serve(&list);
    let serial = task.serial().unwrap().to_string();
    let mut kill: Vec<&str> = vec!["kill", &serial, "--yes", "--wait", "1ms", "-m", HOSTILE];
    for args in [
        vec!["ls"],
        vec!["ended"],
        vec!["tree"],
        vec!["kinds"],
        vec!["waits"],
        vec!["show", &serial],
        vec!["history", &serial],
        vec!["why", &serial],
        vec!["why", "other"],
        std::mem::take(&mut kill),
        vec!["audit"],
        vec!["watch", "--for", "100ms"],
    ] {
        for format in ["table", "wide", "ndjson", "ids", "json"] {
            if args[0] == "watch" && format == "json" {
                continue;
            }
            let output = pm(&[&args[..], &["-o", format, "-e", &endpoint]].concat());
            let both = format!("{}{}", out(&output), err(&output));
            assert!(!both.contains(is_control), "{args:?} {format} {both:?}");
            assert!(output.status.code() != Some(1) && output.status.code() != Some(2), "{args:?} {output:?}");
        }
    }
    // Each task is on one line.
    assert_eq!(out(&pm(&["ls", "-e", &endpoint])).lines().count(), 3);
}

#[test]
fn a_kill_by_filter_has_a_dry_run_and_a_limit() {
    let list = pm::ProcessList::new();
    let (_server, endpoint) = serve(&list);
    let tasks: Vec<_> = (0..12).map(|number| list.task(&format!("job-{number}")).kind("job").start()).collect();
    let other = list.start("other");

    let output = pm(&["kill", "kind=job", "--dry-run", "--max", "20", "-e", &endpoint]);
    assert_eq!((output.status.code(), out(&output).lines().count()), (Some(0), 13), "{output:?}");
    assert!(err(&output).contains("12 tasks would be cancelled, without a reason"), "{}", err(&output));
    // One sentence for both: more than --max, so none.
    let output = pm(&["kill", "kind=job", "--dry-run", "-e", &endpoint]);
    let text = "12 tasks match, more than --max 10; none would be cancelled";
    assert!(err(&output).contains(text) && !err(&output).contains("12 tasks would be"), "{}", err(&output));
    let output = pm(&["kill", "kind=job", "--dry-run", "--max", "200000", "-e", &endpoint]);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("one command cancels 10000 tasks at most"), "{}", err(&output));

    let output = pm(&["kill", "kind=job", "limit=5", "--yes", "-e", &endpoint]);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("`limit` does not select tasks; it is for pm ls and pm ended"), "{}", err(&output));

    let output = pm(&["kill", "kind=job", "-m", "too many", "--yes", "-e", &endpoint]);
    assert_eq!(output.status.code(), Some(4));
    assert!(err(&output).contains("12 tasks match, more than --max 10; none was cancelled"), "{}", err(&output));
    assert!(tasks.iter().all(|task| !task.is_cancelled()));

    let output = pm(&["kill", "kind=job", "id=job-1*", "-m", "now, please", "--yes", "--no-wait", "-e", &endpoint]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let summary = "3 cancelled without waiting; with the reason \"now, please\"";
    assert!(err(&output).contains(summary), "{}", err(&output));
    let asked: Vec<_> = tasks.iter().filter(|task| task.is_cancelled()).collect();
    assert_eq!(asked.len(), 3);
    assert_eq!(asked[0].checkpoint().unwrap_err().reason(), "now, please");

    let output = pm(&["kill", "kind=job", "--max", "100", "--yes", "--wait", "1ms", "-o", "json", "-e", &endpoint]);
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    assert_eq!(json(&output)["items"].as_array().unwrap().len(), 12);
    assert_eq!(json(&output)["endpoints"][0]["endpoint"], *endpoint);
    assert!(tasks.iter().all(|task| task.is_cancelled()) && !other.is_cancelled());
    assert_eq!(pm(&["kill", "kind=nothing", "--yes", "-e", &endpoint]).status.code(), Some(3));
}

#[test]
fn many_are_killed_in_few_requests() {
    let list = pm::ProcessList::new();
    let (_server, endpoint) = serve(&list);
    let tasks: Vec<_> = (0..600).map(|number| list.task(&format!("job-{number}")).kind("job").start()).collect();
    let output =
        pm(&["kill", "kind=job", "-m", "all", "--max", "1000", "--yes", "--wait", "1ms", "-o", "ids", "-e", &endpoint]);
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    assert_eq!(out(&output).lines().count(), 600);
    assert!(tasks.iter().all(|task| task.is_cancelled()));
    assert_eq!(json(&pm(&["audit", "-o", "json", "-e", &endpoint]))["items"].as_array().map(Vec::len), Some(100));
}

#[test]
fn a_kill_reports_the_outcome() {
    let list = pm::ProcessList::new();
    let (_server, endpoint) = serve(&list);
    let fixed = list.task("fixed").on_cancel(pm::CancelPolicy::Refuse).start();
    let output = pm(&["kill", "fixed", "--yes", "-e", &endpoint]);
    assert_eq!(output.status.code(), Some(4));
    assert!(err(&output).contains("may not be cancelled") && out(&output).is_empty(), "{output:?}");
    assert!(!fixed.is_cancelled());

    let unresponsive = list.start("unresponsive");
    let output = pm(&["kill", "unresponsive", "-m", "why", "--yes", "--wait", "5ms", "-e", &endpoint]);
    assert_eq!(output.status.code(), Some(7));
    assert!(out(&output).starts_with("still running after "), "{output:?}");
    drop(unresponsive);

    let responsive = list.start("responsive");
    let observer = std::thread::spawn(move || {
        while responsive.checkpoint().is_ok() {
            std::thread::yield_now();
        }
    });
    let output = pm(&["kill", "responsive", "-m", "why", "--yes", "-e", &endpoint]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(out(&output).starts_with("cancelled after ") && out(&output).contains(": responsive ("), "{output:?}");
    observer.join().unwrap();

    let output = pm(&["kill", "responsive", "--yes", "-e", &endpoint]);
    assert_eq!(output.status.code(), Some(3));
    assert!(err(&output).contains("it has already ended: cancelled"), "{}", err(&output));
}

#[test]
fn tasks_with_the_same_id_are_distinguished_by_serial() {
    let list = pm::ProcessList::new();
    let (_server, endpoint) = serve(&list);
    let (one, two) = (list.start("twin"), list.start("twin"));
    let output = pm(&["kill", "twin", "--yes", "-e", &endpoint]);
    assert_eq!(output.status.code(), Some(4));
    assert!(err(&output).contains(&one.serial().unwrap().to_string()), "{}", err(&output));
    assert!(!one.is_cancelled() && !two.is_cancelled());
    let serial = two.serial().unwrap().to_string();
    assert_eq!(pm(&["kill", &serial, "-y", "--no-wait", "-e", &endpoint]).status.code(), Some(0));
    assert!(!one.is_cancelled() && two.is_cancelled());
}

#[test]
fn several_tasks_are_killed_by_one_line_or_none_if_a_word_is_not_a_task() {
    let list = pm::ProcessList::new();
    let (_server, endpoint) = serve(&list);
    let [a, b, c] = ["a", "b", "c"].map(|id| list.start(id));
    let serial = a.serial().unwrap().to_string();

    // As the reason was once given.
    let output = pm(&["kill", "a", "stuck", "since", "noon", "--yes", "-e", &endpoint]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let line = "for a reason, write: pm kill a -m 'stuck since noon'";
    assert!(err(&output).contains(line) && err(&output).contains("none was cancelled"), "{}", err(&output));
    let output = pm(&["kill", "a", "-m", "too", "slow", "--yes", "-e", &endpoint]);
    assert!(err(&output).contains("pm kill a -m 'too slow'"), "{}", err(&output));
    assert!(![&a, &b].iter().any(|task| task.is_cancelled()));

    // The same task twice, by serial and by id.
    let output = pm(&["kill", "a", "b", &serial, "-m", "enough", "--yes", "--no-wait", "-e", &endpoint]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(out(&output).lines().count(), 2, "{output:?}");
    assert!(a.is_cancelled() && b.is_cancelled() && !c.is_cancelled());
    assert_eq!(b.checkpoint().unwrap_err().reason(), "enough");

    // One that has ended in the meantime does not keep the others.
    b.finish();
    let output = pm(&["kill", "b", "c", "--yes", "--no-wait", "-e", &endpoint]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(err(&output).contains("b: it has already ended: finished"), "{}", err(&output));
    assert!(c.is_cancelled());
}

#[test]
fn a_condition_after_another_word_cancels_nothing() {
    let list = pm::ProcessList::new();
    let (_server, endpoint) = serve(&list);
    let imports: Vec<_> =
        ["a", "b", "c"].iter().map(|id| list.task(id).kind("import").attr("tenant", "other").start()).collect();
    let output = pm(&["kill", "kind=import", "stuck", "attr.tenant=acme", "--yes", "-e", &endpoint]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(err(&output).contains("pm kill kind=import attr.tenant=acme -m 'stuck'"), "{}", err(&output));
    assert!(!imports.iter().any(|task| task.is_cancelled()));
}

#[test]
fn digits_that_are_the_serial_of_one_task_and_the_id_of_another_are_refused() {
    let list = pm::ProcessList::new();
    let (_server, endpoint) = serve(&list);
    let meant = list.start("import");
    let digits = meant.serial().unwrap().to_string();
    let other = list.start(&digits);
    for verb in [&["kill", "--yes"][..], &["show"], &["history"], &["why"], &["wait"], &["watch"], &["tree", "--root"]]
    {
        let output = pm(&[verb, &[&digits, "-e", &endpoint]].concat());
        assert_eq!(output.status.code(), Some(4), "{verb:?} {output:?}");
        let both = format!("{digits} is the serial of import, and the task {} has the id", other.serial().unwrap());
        let names = format!("write serial:{digits} or id:{digits}");
        assert!(err(&output).contains(&both) && err(&output).contains(&names), "{verb:?} {}", err(&output));
    }
    assert!(!meant.is_cancelled() && !other.is_cancelled());
    let output = pm(&["kill", &format!("id:{digits}"), "--yes", "--no-wait", "-e", &endpoint]);
    assert!(output.status.success() && other.is_cancelled() && !meant.is_cancelled(), "{output:?}");
    let output = pm(&["kill", &format!("serial:{digits}"), "--yes", "--no-wait", "-e", &endpoint]);
    assert!(output.status.success() && meant.is_cancelled(), "{output:?}");

    let output = pm(&["kill", "4711000", "--yes", "-e", &endpoint]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let _named = list.start("4711000");
    let output = pm(&["kill", "4711000", "--yes", "-e", &endpoint]);
    assert!(err(&output).contains("write id:4711000"), "{}", err(&output));
}

#[test]
fn a_serial_that_several_programs_have_cancels_none() {
    let list = pm::ProcessList::new();
    let task = list.start("same");
    let (_server, endpoint) = serve(&list);
    let serial = task.serial().unwrap().to_string();
    let row = format!(
        r#"{{"task":{{"serial":"{serial}","id":"other","state":"running"}},"serverTime":"2026-11-24T04:03:40Z"}}"#
    );
    let other = Fake::replying(reply("200 OK", "application/json", &row));
    let output = pm(&["kill", &serial, "--yes", "-e", &endpoint, "-e", &other.endpoint]);
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert!(err(&output).contains("name one endpoint with -e"), "{}", err(&output));
    assert!(!task.is_cancelled());
}

#[test]
fn an_id_is_cancelled_at_every_endpoint() {
    let lists = [pm::ProcessList::new(), pm::ProcessList::new()];
    let tasks = lists.each_ref().map(|list| list.start("same"));
    let servers = lists.each_ref().map(serve);
    let output = pm(&["kill", "same", "--yes", "--no-wait", "-e", &servers[0].1, "-e", &servers[1].1]);
    assert!(tasks.iter().all(|task| task.is_cancelled()), "{output:?}");
    assert_eq!(out(&output).lines().filter(|line| line.contains(" on 127.0.0.1:")).count(), 2);
}

#[test]
fn a_full_list_is_said() {
    let list = pm::ProcessList::with_options(pm::Options::new().max_bytes(2 << 20));
    let _tasks: Vec<_> = (0..20_000).map(|number| list.task(&format!("job-{number}")).kind("job").start()).collect();
    let not_shown = list.counters().not_shown;
    assert!(not_shown > 0);
    let (_server, endpoint) = serve(&list);
    for args in [&["ls", "limit=1"][..], &["tree", "limit=1"], &["kill", "id=job-1", "--dry-run"]] {
        let output = pm(&[args, &["-e", &endpoint]].concat());
        assert!(output.status.success(), "{output:?}");
        let expected = format!("its list is full, or was: {not_shown} tasks that were started then are not shown");
        assert!(err(&output).contains(&expected), "{args:?} {}", err(&output));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_watch_that_is_process_1_ends_at_sigterm() {
    let list = pm::ProcessList::new();
    let (_server, endpoint) = serve(&list);
    let _task = list.start("job");
    let mut command = std::process::Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child", env!("CARGO_BIN_EXE_pm"), "watch", "-e", &endpoint]);
    let child = command.env("PM_CONFIG", "").stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let seen = child.and_then(|mut child| {
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line)?;
        Ok((child, line))
    });
    let (mut unshare, line) = match seen {
        Ok((child, line)) if line.contains("job") => (child, line),
        other => {
            let is_needed = std::env::var_os("PM_TEST_TOOLS").is_some_and(|value| value == "1");
            assert!(!is_needed, "PM_TEST_TOOLS=1, but unshare does not work: {other:?}");
            eprintln!("skipped: unshare is missing, or may not make a namespace of processes");
            return;
        }
    };
    let children = format!("/proc/{0}/task/{0}/children", unshare.id());
    let pid = std::fs::read_to_string(&children).unwrap();
    assert!(std::process::Command::new("kill").args(["-TERM", pid.trim()]).status().unwrap().success(), "{line}");
    assert_eq!(unshare.wait().unwrap().code(), Some(128 + 15));
}

#[test]
fn watch_follows_a_task_to_its_end() {
    let list = pm::ProcessList::new();
    let (_server, endpoint) = serve(&list);
    let task = list.start("job");
    let mut watch = command(&["watch", "job", "-e", &endpoint]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut next = || lines.next().map(|line| line.unwrap().split_once("  ").unwrap().1.to_owned());
    let name = format!("job ({})", task.serial().unwrap());
    assert!(next().unwrap().starts_with(&format!("{name}: running for ")));
    task.status("writing").unwrap();
    assert_eq!(next().unwrap(), format!("{name}: writing"));
    task.fail("no disk");
    let last = std::iter::from_fn(&mut next).last().unwrap();
    assert!(last.starts_with(&format!("{name}: failed after ")) && last.ends_with(": no disk"), "{last}");
    assert_eq!(watch.wait().unwrap().code(), Some(0));
    assert_eq!(pm(&["watch", "job", "-e", &endpoint]).status.code(), Some(3));
}

#[test]
fn the_exit_code_of_wait_reflects_the_outcomes() {
    let list = pm::ProcessList::new();
    let (_server, endpoint) = serve(&list);
    let wait = |words: &[&str]| {
        let output = pm(&[&["wait"], words, &["-e", &endpoint]].concat());
        (output.status.code(), out(&output).to_owned() + err(&output))
    };
    list.start("good").finish();
    list.start("bad").fail("no disk");
    assert_eq!(wait(&["good"]).0, Some(0));
    let (code, words) = wait(&["bad"]);
    assert!(code == Some(1) && words.contains("failed after") && words.contains("no disk"), "{words}");
    assert_eq!(wait(&["unknown"]).0, Some(3));
    assert_eq!(wait(&["kind=nothing"]).0, Some(3));
    let slow: Vec<_> = (0..2).map(|_| list.task("slow").kind("slow").start()).collect();
    let (code, words) = wait(&["kind=slow", "--for", "10ms"]);
    assert!(code == Some(7) && words.contains("2 tasks still running"), "{words}");

    // It observes ends while it waits.
    let waiting =
        command(&["wait", "kind=slow", "-e", &endpoint]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let client = pm_client::Client::new(&endpoint).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // It follows the stream once it has listed the running tasks.
    while runtime.block_on(client.v1().info()).unwrap().own.watchers != 1 {}
    slow.into_iter().for_each(pm::Task::finish);
    let output = waiting.wait_with_output().unwrap();
    assert_eq!((output.status.code(), out(&output).matches("finished after").count()), (Some(0), 2), "{output:?}");
}

#[test]
fn unreachable_endpoints_do_not_hide_the_others() {
    let lists: Vec<_> = (0..25).map(|_| pm::ProcessList::new()).collect();
    let _tasks: Vec<_> = lists.iter().enumerate().map(|(at, list)| list.start(&format!("t{at}"))).collect();
    let servers: Vec<_> = lists.iter().map(serve).collect();
    let mut endpoints: Vec<String> = servers.iter().map(|(_, endpoint)| endpoint.clone()).collect();
    endpoints.extend((0..25).map(|_| closed_address()));
    let output = pm(&["ls", "-o", "json", "-e", &endpoints.join(",")]);
    assert_eq!(output.status.code(), Some(6));
    let document = json(&output);
    assert_eq!(document["items"].as_array().unwrap().len(), 25);
    let failed = document["endpoints"].as_array().unwrap().iter().filter(|entry| entry["ok"] == false).count();
    assert_eq!((failed, err(&output).lines().count()), (25, 25));
}

#[cfg(unix)]
#[test]
fn a_wrong_token_is_refused_with_a_next_step() {
    let dir = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("live-tokens");
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    let tokens = dir.join("tokens");
    let list = pm::ProcessList::new();
    let _task = list.start("job");
    let server = pm::Server::builder()
        .list(&list)
        .listen("127.0.0.1:0")
        .token_file(&tokens)
        .require_token(true)
        .start()
        .unwrap();
    let endpoint = server.addr().to_string();
    let output = pm(&["ls", "-e", &endpoint]);
    assert_eq!(output.status.code(), Some(4));
    assert!(err(&output).contains("PM_TOKEN"), "{}", err(&output));
    let output = command(&["ls", "-e", &endpoint]).env("PM_TOKEN", "x".repeat(40)).output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    assert!(err(&output).contains("does not accept this token") && !err(&output).contains("xxxx"), "{}", err(&output));

    // The right one, by flag, and from the config file, where the shared token is not used.
    let file = tokens.to_str().unwrap();
    assert!(pm(&["ls", "-e", &endpoint, "--token-file", file]).status.success());
    let config = dir.join("config.toml");
    std::fs::write(&config, format!("[endpoints.mine]\naddress = '{endpoint}'\ntoken-file = 'tokens'\n")).unwrap();
    let output = command(&["ls", "-e", "mine"]).env("PM_CONFIG", &config).env("PM_TOKEN", "wrong").output().unwrap();
    assert!(output.status.success() && out(&output).contains("job"), "{output:?}");
    std::fs::write(&tokens, "").unwrap();
    let output = pm(&["ls", "-e", &endpoint, "--token-file", file]);
    assert!(err(&output).contains("has no token"), "{output:?}");
}

#[test]
fn every_value_of_group_by_is_a_filter_for_its_tasks() {
    let list = pm::ProcessList::new();
    let (_server, endpoint) = serve(&list);
    let number = |number: f64| list.task("number").attr("x", number).start();
    let mut tasks: Vec<_> = [1e300, 2.0, -0.0, 0.1].map(number).into();
    tasks.extend(["a,b*", "two words", "\\"].map(|text| list.task("text").attr("x", text).start()));
    tasks.push(list.task("flag").attr("x", true).start());

    // A Go original with the same tasks, which the command filters and counts itself.
    let mut stream = std::net::TcpStream::connect(&endpoint).unwrap();
    write!(stream, "GET /procs/ HTTP/1.1\r\nHost: {endpoint}\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (from, to) = (text.find('{').unwrap(), text.rfind('}').unwrap());
    let original = Fake::original(&text[from..=to], "");
    // Not before: `/procs/` has `null` for them.
    tasks.extend([f64::NAN, f64::INFINITY].map(number));

    let values = |endpoint: &str| {
        let output = json(&pm(&["ls", "groupBy=attr.x", "-o", "json", "-e", endpoint]));
        let values = output["items"].as_array().unwrap().iter().map(|item| {
            assert_eq!(item["count"], 1, "{item}");
            item["value"].as_str().unwrap().to_owned()
        });
        values.collect::<std::collections::BTreeSet<String>>()
    };
    for (endpoint, tasks) in [(&endpoint, tasks.len()), (&original.endpoint, tasks.len() - 2)] {
        let values = values(endpoint);
        assert_eq!(values.len(), tasks, "{values:?}");
        for value in values {
            let filter = format!("attr.x={}", pm_client::Query::literal(&value));
            let output = pm(&["ls", &filter, "-o", "ids", "-e", endpoint]);
            assert_eq!(out(&output).lines().count(), 1, "{filter} {output:?}");
        }
    }
}

#[test]
fn the_clock_of_the_server_does_not_matter() {
    // The server's clock may differ by years; ages are relative to it.
    let row = r#"{"serial":"1","id":"a","state":"ended","outcome":"failed","ageMs":2000,"status":"failed: x",
"endedAt":"2026-11-24T04:03:30Z"}"#;
    let page = format!(r#"{{"tasks":[{row}],"serverTime":"2026-11-24T04:03:40Z","total":1}}"#);
    let server = Fake::replying(reply("200 OK", "application/json", &page));
    let output = pm(&["ended", "-e", &server.endpoint]);
    assert!(out(&output).contains("10.0 s ago"), "{output:?}");
    // A future time is not a negative age.
    let server = Fake::replying(reply("200 OK", "application/json", &page.replace("04:03:40", "03:03:40")));
    let output = pm(&["ended", "-e", &server.endpoint]);
    assert!(out(&output).contains("0 ms ago") && !out(&output).contains('-'), "{output:?}");
}

#[test]
fn a_server_without_waits_is_reported() {
    let problem = r#"{"code":"not-found","status":404,"detail":"nothing is served at this path"}"#;
    let server = Fake::replying(reply("404 Not Found", "application/problem+json", problem));
    let output = pm(&["waits", "-e", &server.endpoint]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(err(&output).contains("does not report waits"), "{}", err(&output));
}
