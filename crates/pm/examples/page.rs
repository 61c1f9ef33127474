//! A program whose list follows its input, to test the page (`cargo xtask page`): a command per line, as JSON, and `ok`
//! for each on its output. It prints its address first, and ends with its input.
//!
//! The arguments are the address to listen on, the prefix of its path, a file with the tokens to require, and the most
//! memory of the list in MiB; `-` stands for none. A task is named by `name`, which is not its id. One that `listens`
//! ends when it is cancelled; one that does not, never does. A `future` never ends by itself.

use std::collections::HashMap;
use std::error::Error;
use std::io::{BufRead as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pm::{HoldGuard, Options, ProcessList, Resource, Server, Task, TaskBuilder, WaitGuard};
use serde_json::Value;
use tokio::runtime::{self, Runtime};
use tokio::task::AbortHandle;

/// How often tasks check for a cancellation, and how often short tasks are started and ended.
const TICK: Duration = Duration::from_millis(10);

type Tasks = Arc<Mutex<HashMap<String, (Task, bool)>>>;

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1).map(|word| (word != "-").then_some(word));
    let address = words.next().flatten().unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let (prefix, tokens, memory) = (words.next().flatten(), words.next().flatten(), words.next().flatten());
    let mut options = Options::new();
    if let Some(memory) = memory {
        options = options.max_bytes(memory.parse::<usize>()? << 20);
    }
    let list = ProcessList::with_options(options);
    let mut server = Server::builder().list(&list).listen(address);
    if let Some(prefix) = prefix {
        server = server.prefix(&prefix);
    }
    if let Some(tokens) = tokens {
        server = server.token_file(tokens).require_token(true);
    }
    let server = server.start()?;
    let tasks = Tasks::default();
    listen(Arc::clone(&tasks));
    println!("{}", server.addr());
    let churning = Arc::new(AtomicBool::new(false));
    let mut waits = Waits::default();
    let mut futures = Futures::new()?;
    for line in std::io::stdin().lock().lines() {
        let command: Value = serde_json::from_str(&line?)?;
        match command["do"].as_str() {
            Some("future") => futures.start(&list, &command)?,
            Some("drop") => futures.drop(&command)?,
            _ => obey(&list, &tasks, &churning, &mut waits, &command)?,
        }
        println!("ok");
        std::io::stdout().flush()?;
    }
    Ok(())
}

/// Resources that are held and waited for, by name.
#[derive(Default)]
struct Waits {
    resources: HashMap<String, Resource>,
    holdings: Vec<HoldGuard>,
    waits: Vec<WaitGuard>,
}

/// Futures that run as tasks, by name.
struct Futures {
    runtime: Runtime,
    running: HashMap<String, AbortHandle>,
}

impl Futures {
    fn new() -> std::io::Result<Self> {
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).build()?;
        Ok(Self { runtime, running: HashMap::new() })
    }

    fn start(&mut self, list: &ProcessList, command: &Value) -> Result<(), Box<dyn Error>> {
        let id = command["id"].as_str().unwrap_or_default();
        let task = described(list.task(id), command)?.run(std::future::pending::<()>());
        let running = self.runtime.spawn(async { drop(task.await) });
        self.running.insert(command["name"].as_str().unwrap_or_default().to_owned(), running.abort_handle());
        Ok(())
    }

    /// Drops the future, as a server does when a client disconnects.
    fn drop(&mut self, command: &Value) -> Result<(), Box<dyn Error>> {
        self.running.remove(command["name"].as_str().unwrap_or_default()).ok_or("no future")?.abort();
        Ok(())
    }
}

fn obey(
    list: &ProcessList,
    tasks: &Tasks,
    churning: &Arc<AtomicBool>,
    waits: &mut Waits,
    command: &Value,
) -> Result<(), Box<dyn Error>> {
    let text = |name: &str| command[name].as_str().unwrap_or_default();
    let number = |name: &str| command[name].as_u64().unwrap_or(0);
    let mut all = tasks.lock().map_err(|_| "a thread panicked")?;
    match text("do") {
        "start" => {
            let task = start(list, &all, command, text("id"))?;
            all.insert(text("name").to_owned(), (task, command["listens"] != false));
        }
        "many" => {
            for at in number("from")..number("from") + number("count") {
                let task = start(list, &all, command, &format!("{}{at}", text("id")))?;
                all.insert(format!("{}{at}", text("id")), (task, command["listens"] != false));
            }
        }
        "status" => drop(all.get(text("name")).ok_or("no task")?.0.status(text("status"))),
        "progress" => all.get(text("name")).ok_or("no task")?.0.progress(number("done"), number("total"), text("unit")),
        "end" => {
            let (task, _) = all.remove(text("name")).ok_or("no task")?;
            if command["observes"] == true {
                let _ = task.checkpoint();
            }
            match command["why"].as_str() {
                Some(why) => task.fail(why),
                None => task.finish(),
            }
        }
        "hold" | "wait" => {
            let (task, _) = all.get(text("name")).ok_or("no task")?;
            let name = text("resource");
            let resource = waits.resources.entry(name.to_owned()).or_insert_with(|| Resource::with_capacity(name, 1));
            match text("do") {
                "hold" => waits.holdings.push(task.holding(&*resource)),
                _ => waits.waits.push(task.waiting_on(&*resource)),
            }
        }
        "clear" => all.clear(),
        "churn" => churn(list, churning, number("perSecond")),
        "sleep" => std::thread::sleep(Duration::from_millis(number("ms"))),
        other => return Err(format!("unknown command `{other}`").into()),
    }
    Ok(())
}

fn start(
    list: &ProcessList,
    all: &HashMap<String, (Task, bool)>,
    command: &Value,
    id: &str,
) -> Result<Task, Box<dyn Error>> {
    let mut task = described(list.task(id), command)?;
    if let Some(parent) = command["parent"].as_str() {
        task = task.parent(all.get(parent).ok_or("no parent")?.0.handle());
    }
    if command["cancellable"] == false {
        task = task.on_cancel(pm::CancelPolicy::Refuse);
    }
    let task = task.start();
    for status in command["statuses"].as_array().into_iter().flatten().chain([&command["status"]]) {
        if let Some(status) = status.as_str() {
            // It is not cancelled yet.
            let _ = task.status(status);
        }
    }
    Ok(task)
}

/// Gives a task the kind and the attributes of a command.
fn described<'l>(mut task: TaskBuilder<'l>, command: &Value) -> Result<TaskBuilder<'l>, Box<dyn Error>> {
    if let Some(kind) = command["kind"].as_str() {
        task = task.kind(kind);
    }
    for (name, value) in command["attrs"].as_object().into_iter().flatten() {
        task = match value {
            Value::String(text) => task.attr(name, text.as_str()),
            Value::Bool(yes) => task.attr(name, *yes),
            Value::Number(number) if number.is_u64() => task.attr(name, number.as_u64().unwrap_or(0)),
            Value::Number(number) => task.attr(name, number.as_f64().unwrap_or(0.0)),
            _ => return Err("an attribute must be a string, a number, true or false".into()),
        };
    }
    Ok(task)
}

/// Ends the tasks that listen and are cancelled.
fn listen(tasks: Tasks) {
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(TICK);
            let Ok(mut all) = tasks.lock() else { return };
            all.retain(|_, (task, listens)| !*listens || task.checkpoint().is_ok());
        }
    });
}

/// Starts that many tasks per second, each of which lasts a quarter of a second; 0 stops that.
fn churn(list: &ProcessList, churning: &Arc<AtomicBool>, per_second: u64) {
    churning.store(per_second > 0, Ordering::Relaxed);
    if per_second == 0 {
        return;
    }
    let (list, churning) = (list.clone(), Arc::clone(churning));
    std::thread::spawn(move || {
        let each = per_second * TICK.as_millis() as u64 / 1000;
        let mut live = std::collections::VecDeque::new();
        let mut number = 0_u64;
        while churning.load(Ordering::Relaxed) {
            let begun: Vec<Task> = (0..each)
                .map(|_| {
                    number += 1;
                    let task = list.task(&format!("churn-{number}")).kind("churn").start();
                    let _ = task.status("short");
                    task
                })
                .collect();
            live.push_back(begun);
            if live.len() > 25 {
                live.pop_front();
            }
            std::thread::sleep(TICK);
        }
    });
}
