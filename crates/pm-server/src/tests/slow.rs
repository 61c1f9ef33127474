//! Slow clients, over a pipe in memory, with a clock that jumps to the next timer as soon as all tasks are idle. The
//! tests of this file take moments.

use std::time::Duration;

use pm_core::ProcessList;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, advance, sleep};

use crate::connection::limits::Limits;
use crate::connection::serve;
use crate::request::ConnectionInfo;
use crate::service::{Service, service};

const GET: &str = "GET /procs/ HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Opens a connection with the default limits; resolves to the time that it was served for.
fn open(list: &ProcessList, pipe: usize) -> (DuplexStream, JoinHandle<Duration>) {
    open_at(service(list), pipe)
}

fn open_at(service: Service, pipe: usize) -> (DuplexStream, JoinHandle<Duration>) {
    let (client, server) = duplex(pipe);
    let served = tokio::spawn(async move {
        // Never stopped.
        let (_stop, stopping) = watch::channel(false);
        let begin = Instant::now();
        serve(server, ConnectionInfo::of_other_server(), service, Limits::default(), stopping).await;
        begin.elapsed()
    });
    (client, served)
}

/// Sends a text byte by byte, with a delay after each, until the connection is closed.
async fn drip(client: &mut DuplexStream, text: &str, each: Duration) {
    for byte in text.bytes() {
        if client.write_all(&[byte]).await.is_err() {
            return;
        }
        sleep(each).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_that_drips_ends_after_its_time_however_fast_it_drips() {
    for each in [1, 100, 1_000, 4_900] {
        let (mut client, served) = open(&ProcessList::new(), 1 << 16);
        let head = format!("GET /procs/ HTTP/1.1\r\nHost: localhost\r\nX: {}", "x".repeat(12_000));
        drip(&mut client, &head, Duration::from_millis(each)).await;
        let seconds = served.await.unwrap().as_secs();
        assert!((5..=7).contains(&seconds), "{each} ms: {seconds} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_drips_ends_after_its_time_and_does_nothing() {
    let list = ProcessList::new();
    let task = list.start("job");
    for coding in ["Content-Length: 60000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\nea60\r\n"] {
        let (mut client, served) = open(&list, 1 << 16);
        let head = format!("POST /v1/tasks/job/cancel HTTP/1.1\r\nHost: localhost\r\n{coding}");
        client.write_all(head.as_bytes()).await.unwrap();
        drip(&mut client, &" ".repeat(50_000), Duration::from_millis(1)).await;
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("body-timed-out"), "{answer}");
        drop(client);
        let seconds = served.await.unwrap().as_secs();
        assert!((10..=12).contains(&seconds), "{seconds}");
    }
    assert!(!task.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_nothing_is_disconnected_even_if_it_keeps_sending() {
    let list = ProcessList::new();
    let _tasks: Vec<_> = (0..2_000).map(|number| list.start(&number.to_string())).collect();
    let (mut client, served) = open(&list, 4 << 10);
    client.write_all(GET.as_bytes()).await.unwrap();
    for _ in 0..20 {
        sleep(Duration::from_secs(10)).await;
        if client.write_all(b"G").await.is_err() {
            break;
        }
    }
    assert_eq!(served.await.unwrap().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_watcher_that_takes_nothing_is_cut_off_and_gives_back_its_place() {
    let list = ProcessList::new();
    let _tasks: Vec<_> = (0..2_000).map(|number| list.start(&number.to_string())).collect();
    let service = service(&list);
    let (mut client, served) = open_at(service.clone(), 4 << 10);
    let watch = GET.replace("/procs/", "/v1/events");
    client.write_all(watch.as_bytes()).await.unwrap();
    let mut first = [0; 12];
    client.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    let seconds = served.await.unwrap().as_secs();
    assert!((30..=31).contains(&seconds), "{seconds}");
    assert_eq!(service.state.feed.watchers(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_watcher_that_sends_more_and_more_is_cut_off() {
    let (mut client, served) = open(&ProcessList::new(), 1 << 16);
    client.write_all(GET.replace("/procs/", "/v1/events").as_bytes()).await.unwrap();
    let mut first = [0; 12];
    client.read_exact(&mut first).await.unwrap();
    let mut sent = 0_usize;
    while !served.is_finished() && sent < 1 << 20 {
        sent += 1 << 10;
        if client.write_all(&[b'x'; 1 << 10]).await.is_err() {
            break;
        }
        // Gives the other side a turn.
        tokio::task::yield_now().await;
        let mut some = [0; 1 << 10];
        let _ = tokio::time::timeout(Duration::from_millis(1), client.read(&mut some)).await;
        advance(Duration::from_millis(1)).await;
    }
    drop(client);
    served.await.unwrap();
    assert!(sent < 1 << 18, "{sent}");
}

#[tokio::test(start_paused = true)]
async fn a_client_with_many_requests_is_served_for_as_long_as_it_sends_them() {
    let (mut client, served) = open(&ProcessList::new(), 1 << 16);
    let mut answer = vec![0; 1 << 12];
    for _ in 0..10 {
        client.write_all(GET.as_bytes()).await.unwrap();
        let count = client.read(&mut answer).await.unwrap();
        assert!(answer[..count].starts_with(b"HTTP/1.1 200"));
        sleep(Duration::from_secs(29)).await;
    }
    drop(client);
    assert_eq!(served.await.unwrap().as_secs(), 290);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_slow_clients_are_all_gone_after_their_time() {
    let list = ProcessList::new();
    let all: Vec<_> = (0..1_000)
        .map(|number| {
            let (mut client, served) = open(&list, 1 << 10);
            let part = &GET[..number % GET.len()];
            let sent = tokio::spawn(async move {
                client.write_all(part.as_bytes()).await.unwrap();
                client
            });
            (sent, served)
        })
        .collect();
    for (sent, served) in all {
        let _client = sent.await.unwrap();
        let seconds = served.await.unwrap().as_secs();
        assert!((5..=7).contains(&seconds), "{seconds}");
    }
}
