//! Migration from VividCortex/pm: its calls in the comments, ours below. The wire format is the same: `/procs/`,
//! `/procs/{id}/history`, `DELETE /procs/{id}`.

use std::io::{Read as _, Write as _};

use pm::{Cancelled, Options, ProcessList};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Go: go pm.ListenAndServe(":6680")
    // On loopback only, unless there is a token or a certificate; the server stops when it is dropped.
    let smoke = std::env::args().any(|word| word == "--smoke");
    let server = pm::serve(if smoke { "127.0.0.1:0" } else { "127.0.0.1:6680" })?;

    // Go: pm.Start(reqID, nil, &map[string]interface{}{"host": host})
    //     defer pm.Done(reqID)
    // The task ends when it is dropped, also on a panic; ids may repeat.
    let task = pm::task("req-1").kind("GET /hosts/{id}").attr("host", "db1").start();

    // Go: pm.Status(reqID, "reading")
    // The status is recorded; then a cancellation is an error, not a panic.
    task.status("reading")?;
    // Go: pm.Status(reqID, fmt.Sprintf("reading block %d", n))
    pm::status!(task, "reading block {}", 1)?;

    // Go: pm.SetAttribute(reqID, "rows", 42); pm.DelAttribute(reqID, "rows")
    task.set("rows", 42);
    task.unset("rows");

    // Go: pm.CheckCancel(reqID)
    task.checkpoint()?;

    // Go: procs := pm.GetProcs(); hist, err := pm.GetHistory(reqID)
    for task in pm::global().snapshot().iter() {
        println!("{} {:?}: {}", task.id(), task.age(), task.status());
    }
    let history = pm::global().history(task.serial()).map_or(Vec::new(), |history| history.entries);
    println!("{:?}", history.iter().map(|entry| entry.status.as_str()).collect::<Vec<_>>());

    // Go: curl http://localhost:6680/procs/
    println!("{}", ask(&server, "GET /procs/"));

    // Go: err := pm.Kill(reqID, "too slow")
    // Go: curl -X DELETE -d '{"message": "too slow"}' http://localhost:6680/procs/req-1
    pm::global().cancel("req-1", "too slow")?;
    println!("{:?}", task.status("writing").map_err(|cancelled| cancelled.to_string()));
    drop(task);

    // Go: defer pm.StopCancelPanic()
    // A cancellation of code that cannot return an error unwinds to `run_sync`, and no further.
    let result: Result<(), Cancelled> = pm::run_sync("job-1", |task| {
        pm::global().cancel("job-1", "deploy").map_err(|error| println!("{error}")).ok();
        deep_below(task);
        Ok(())
    });
    println!("{:?}", result.map_err(|cancelled| cancelled.to_string()));

    // Go: pm.SetOptions(pm.ProclistOptions{ForbidCancel: true}), pm.Start(id, &pm.ProcOpts{ForbidCancel: true}, nil)
    pm::global().set_on_cancel(pm::CancelPolicy::Refuse);
    let fixed = pm::task("fixed").on_cancel(pm::CancelPolicy::Refuse).start();
    println!("{}", pm::global().cancel("fixed", "").unwrap_err());
    drop(fixed);

    // Go: var list pm.Proclist
    let list = ProcessList::with_options(Options::new().history(16, 112));
    drop(list.start("separate"));
    println!("{} started", list.counters().started);
    Ok(())
}

fn deep_below(task: &pm::Task) {
    // Go: pm.CheckCancel(reqID), which panics
    task.checkpoint_or_unwind();
}

fn ask(server: &pm::Server, line: &str) -> String {
    let mut answer = String::new();
    let asked = std::net::TcpStream::connect(server.addr()).and_then(|mut stream| {
        write!(stream, "{line} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", server.addr())?;
        stream.read_to_string(&mut answer)
    });
    asked.map_or_else(|error| error.to_string(), |_| answer.lines().last().unwrap_or_default().to_owned())
}
