//! Tasks are found by id and by serial, whatever else comes and goes.
#![cfg(not(loom))]

use std::collections::HashMap;
use std::thread;

use pm_core::{Options, ProcessList, Serial, Task, ValueView};

fn list(keep_ended: usize) -> ProcessList {
    ProcessList::with_options(Options::new().max_bytes(256 << 20).keep_ended(keep_ended))
}

fn serial(task: &Task) -> Serial {
    task.serial().expect("the list is not full")
}

fn id_of(list: &ProcessList, serial: Serial) -> Option<String> {
    list.view(serial, |task| task.id().to_string())
}

/// Starts a task with a number as its id.
fn start(list: &ProcessList, number: u64) -> Task {
    list.start(&number.to_string())
}

fn assert_found(list: &ProcessList, tasks: &HashMap<u64, Task>, step: usize) {
    for (number, task) in tasks.iter().step_by(step) {
        let id = number.to_string();
        assert_eq!(list.find(&id), [serial(task)], "by id");
        assert_eq!(id_of(list, serial(task)).as_ref(), Some(&id), "by serial");
    }
}

/// Random numbers of a small generator: the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

#[test]
fn tasks_are_found_while_others_come_and_go_and_the_list_grows() {
    let list = list(100);
    let (mut live, mut random, mut next) = (HashMap::new(), Random(1), 0);
    // Up to some thousand live tasks, then far fewer, and up again: slots and places are used again and again.
    for target in [6_000, 300, 9_000, 2_000, 12_000_u64] {
        for _ in 0..30_000 {
            let mut gone = None;
            if live.len() as u64 >= target || random.below(3) == 0 {
                let number = random.below(next + 1);
                gone = live.remove(&number).map(|task: Task| (number, serial(&task)));
            } else {
                live.insert(next, start(&list, next));
                next += 1;
            }
            if let Some((number, serial)) = gone {
                assert!(list.find(&number.to_string()).is_empty(), "it has ended");
                assert!(id_of(&list, serial).is_none_or(|id| id == number.to_string()), "never another task");
            }
        }
        assert_found(&list, &live, 7);
    }
    let ended = list.ended();
    assert!(ended.len() >= 100);
    for task in ended.iter() {
        assert_eq!(list.find_ended(task.id().as_ref()).len(), 1);
        assert_eq!(id_of(&list, task.serial()), Some(task.id().to_string()));
    }
}

#[test]
fn old_tasks_stay_where_they_are_found_for_any_number_of_rounds() {
    let list = list(0);
    // A run of old tasks without a gap, which later serials have to go around.
    let old: HashMap<u64, Task> = (0..5_000).map(|number| (number, start(&list, number))).collect();
    for round in 0..100_000 {
        let task = start(&list, 1_000_000 + round);
        if round % 9_973 == 0 {
            assert_eq!(list.find(&(1_000_000 + round).to_string()), [serial(&task)]);
        }
    }
    assert_found(&list, &old, 1);
    assert!(list.counters().bytes_held < 8 << 20, "the directory does not grow with the number of starts");
}

#[test]
fn tasks_with_the_same_id_are_all_found_oldest_first() {
    let list = list(10_000);
    let others: Vec<_> = (0..5_000).map(|number| start(&list, number)).collect();
    let same: Vec<_> = (0..3_000).map(|_| list.start("same")).collect();
    assert_eq!(list.find("same"), same.iter().map(serial).collect::<Vec<_>>());
    drop(same);
    assert_eq!((list.find("same").len(), list.find_ended("same").len()), (0, 3_000));
    drop(others);
}

#[test]
fn threads_find_each_others_tasks() {
    let list = list(50);
    thread::scope(|scope| {
        for thread in 0..4_u64 {
            let list = &list;
            scope.spawn(move || {
                let (mut live, mut random) = (HashMap::new(), Random(thread));
                for round in 0..20_000 {
                    let number = thread << 32 | round;
                    live.insert(number, start(list, number));
                    if round > 1_500 {
                        live.remove(&(thread << 32 | random.below(round)));
                    }
                    if round % 97 == 0 {
                        assert_eq!(list.find(&number.to_string()), [serial(&live[&number])]);
                    }
                }
                assert_found(list, &live, 11);
            });
        }
    });
}

#[test]
fn a_list_that_takes_over_the_memory_of_another_finds_none_of_its_tasks() {
    let first = list(100);
    let tasks: Vec<_> = (0..3_000).map(|number| start(&first, number)).collect();
    let gone = serial(&tasks[2_000]);
    assert_eq!(first.find("2000"), [gone]);
    drop(tasks);
    drop(first);
    let second = list(100);
    let live: HashMap<u64, Task> = (1_000..5_000).map(|number| (number, start(&second, number))).collect();
    assert_eq!(id_of(&second, gone), None);
    assert_eq!(second.find("999"), []);
    assert_found(&second, &live, 5);
}

#[test]
fn a_cancel_finds_what_is_below_in_any_order_of_slots() {
    let list = list(0);
    let mut random = Random(3);
    // Slots in no order, with parents of tasks that are gone in them.
    let mut others: Vec<Task> = Vec::new();
    for number in 0..20_000 {
        let parent = (!others.is_empty()).then(|| random.below(others.len() as u64) as usize);
        let task = list.task(&format!("other-{number}"));
        others.push(match parent {
            Some(at) => task.parent(&others[at]).start(),
            None => task.start(),
        });
        if random.below(2) == 0 {
            let gone = random.below(others.len() as u64) as usize;
            others.swap_remove(gone);
        }
    }
    let mut tree = vec![list.start("root")];
    for number in 1..5_000 {
        let parent = random.below(tree.len() as u64) as usize;
        tree.push(list.task(&format!("below-{number}")).parent(&tree[parent]).start());
    }
    let handle = list.cancel(serial(&tree[0]), "enough").expect("it is live");
    assert_eq!(handle.below(), 4_999);
    assert!(tree.iter().all(|task| task.checkpoint().is_err()));
    assert!(others.iter().all(|task| task.checkpoint().is_ok()));
}

fn text_of(list: &ProcessList, task: &Task, name: &str) -> String {
    let found = list.view(task.serial(), |task| {
        task.attrs_sorted().into_iter().find(|(found, _)| found.as_str() == name).map(|(_, value)| match value {
            ValueView::Text(text) => text.as_str().to_owned(),
            other => panic!("{other:?}"),
        })
    });
    found.flatten().expect("the attribute is there")
}

#[test]
fn strings_that_are_set_again_and_again_take_no_more_memory() {
    let list = list(0);
    let task = list.task("job-1").attr("file", "0000000000000000").start();
    // Some in the slot, some behind it.
    let names: Vec<_> = (0..20).map(|number| format!("file-{number}")).collect();
    names.iter().for_each(|name| task.set(name, "00000000000000000000"));
    let (bytes, mut random) = (list.counters().bytes_held, Random(5));
    for round in 0..100_000 {
        // Shorter ones leave space for longer ones.
        let text = format!("{round:0width$}", width = 6 + random.below(14) as usize);
        let name = if round % 3 == 0 { "file" } else { &names[round % names.len()] };
        let text = if name == "file" { &text[..text.len().min(16)] } else { &text };
        task.set(name, text);
        assert_eq!(text_of(&list, &task, name), text);
    }
    assert_eq!(list.counters().bytes_held, bytes);
    for name in &names {
        task.unset(name);
        task.set(name, "again");
        assert_eq!(text_of(&list, &task, name), "again");
    }
}
