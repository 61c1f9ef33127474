//! Tests over a pipe in memory, with a clock that jumps to the next timer as soon as all tasks are idle.

use pm_core::ProcessList;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use tokio::time::Instant;

use super::*;
use crate::service::service;

const LIMITS: Limits = Limits {
    connections: 1,
    per_address: 1,
    head_timeout: Duration::from_secs(5),
    body_timeout: Duration::from_secs(10),
    idle_timeout: Duration::from_secs(30),
};
const GET: &[u8] = b"GET /procs/ HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A connection that is served; resolves to the time that it was served for.
struct Served {
    client: DuplexStream,
    served: tokio::task::JoinHandle<Duration>,
    stop: watch::Sender<bool>,
}

fn served_with(list: &ProcessList, pipe: usize) -> Served {
    let (client, server) = duplex(pipe);
    let (stop, stopping) = watch::channel(false);
    let service = service(list);
    let served = tokio::spawn(async move {
        let begin = Instant::now();
        serve(server, ConnectionInfo::of_other_server(), service, LIMITS, stopping).await;
        begin.elapsed()
    });
    Served { client, served, stop }
}

fn served() -> Served {
    served_with(&ProcessList::new(), 1 << 20)
}

impl Served {
    /// Returns what is received until the end, and the seconds until then.
    async fn rest(mut self) -> (String, u64) {
        let mut text = Vec::new();
        self.client.read_to_end(&mut text).await.unwrap();
        drop(self.client);
        (String::from_utf8(text).unwrap(), self.served.await.unwrap().as_secs())
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_request_is_closed_after_the_head_timeout() {
    let (text, seconds) = served().rest().await;
    assert!(text.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{text}");
    assert!((5..=7).contains(&seconds), "{seconds}");
}

#[tokio::test(start_paused = true)]
async fn half_a_head_gets_408_after_its_time_however_it_drips() {
    let mut served = served();
    served.client.write_all(b"GET /procs/ HTTP/1.1\r\nHost: local").await.unwrap();
    for _ in 0..4 {
        tokio::time::advance(Duration::from_secs(1)).await;
        served.client.write_all(b"h").await.unwrap();
    }
    let (text, seconds) = served.rest().await;
    assert!(
        text.starts_with("HTTP/1.1 408 Request Timeout\r\n")
            && text.contains("the head of the request did not arrive in time"),
        "{text}"
    );
    assert!((5..=7).contains(&seconds), "{seconds}");
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_without_a_message() {
    let mut served = served();
    served.client.write_all(GET).await.unwrap();
    let (text, seconds) = served.rest().await;
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("\"}"), "{text}");
    assert_eq!(seconds, 30);
}

#[tokio::test(start_paused = true)]
async fn the_next_head_has_its_own_time() {
    let mut served = served();
    served.client.write_all(GET).await.unwrap();
    tokio::time::sleep(Duration::from_secs(20)).await;
    served.client.write_all(b"GET /").await.unwrap();
    let (text, seconds) = served.rest().await;
    assert!(text.contains("HTTP/1.1 408 Request Timeout\r\n"), "{text}");
    assert!((25..=27).contains(&seconds), "{seconds}");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_408_and_cancels_nothing() {
    let list = ProcessList::new();
    let task = list.start("job");
    let mut served = served_with(&list, 1 << 20);
    let head = b"DELETE /procs/job HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\n{\"mes";
    served.client.write_all(head).await.unwrap();
    let (text, seconds) = served.rest().await;
    assert!(text.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{text}");
    assert!(text.contains("the body of the request did not arrive in time"), "{text}");
    assert!((10..=12).contains(&seconds), "{seconds}");
    assert!(!task.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_nothing_is_cut_off_and_one_that_takes_its_time_is_not() {
    let list = ProcessList::new();
    let tasks: Vec<_> = (0..2_000).map(|number| list.start(&number.to_string())).collect();

    let mut lazy = served_with(&list, 4 << 10);
    lazy.client.write_all(GET).await.unwrap();
    assert_eq!(lazy.served.await.unwrap().as_secs(), 30);

    let mut slow = served_with(&list, 4 << 10);
    slow.client.write_all(&[&GET[..GET.len() - 2], b"Connection: close\r\n\r\n"].concat()).await.unwrap();
    let (mut text, mut part) = (Vec::new(), [0; 4 << 10]);
    loop {
        tokio::time::sleep(Duration::from_secs(20)).await;
        match slow.client.read(&mut part).await.unwrap() {
            0 => break,
            count => text.extend_from_slice(&part[..count]),
        }
    }
    assert!(text.ends_with(b"0\r\n\r\n"));
    assert_eq!(text.windows(6).filter(|window| window == b"{\"id\":").count(), tasks.len());
    assert!(slow.served.await.unwrap().as_secs() > 300);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_closed_its_half_gets_its_answer() {
    let list = ProcessList::new();
    let _tasks: Vec<_> = (0..2_000).map(|number| list.start(&number.to_string())).collect();
    let mut served = served_with(&list, 4 << 10);
    served.client.write_all(GET).await.unwrap();
    served.client.shutdown().await.unwrap();
    let (text, seconds) = served.rest().await;
    assert!(text.ends_with("0\r\n\r\n"), "{text}");
    assert_eq!(seconds, 0);
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_idle_connections_at_once_and_lets_answers_end() {
    let list = ProcessList::new();
    let _tasks: Vec<_> = (0..2_000).map(|number| list.start(&number.to_string())).collect();
    let mut idle = served();
    idle.client.write_all(GET).await.unwrap();
    let mut busy = served_with(&list, 4 << 10);
    busy.client.write_all(GET).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    idle.stop.send_replace(true);
    busy.stop.send_replace(true);
    assert_eq!(idle.rest().await.1, 1);
    let (text, seconds) = busy.rest().await;
    assert!(text.ends_with("0\r\n\r\n"), "{text}");
    assert_eq!(seconds, 1);
}

#[tokio::test]
async fn the_system_announces_space_for_sending_often_enough_for_slow_readers() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    tcp_info(&stream, None);
    // Linux doubles it for what it needs itself. One that takes a third of that in 10 s makes progress in time.
    assert!(SockRef::from(&stream).send_buffer_size().unwrap() <= 2 * SEND_BUFFER);
}
