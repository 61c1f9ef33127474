use pm_wire::v1::{ByeReason, GapReason};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{advance, sleep};

use super::*;
use crate::client::Client;
use crate::error::Ceiling;
use crate::memory::Memory;
use crate::query::Query;

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";

/// One event of each type, as pm's server writes them.
const ALL: &str = "event: snapshot\n\
    data: {\"type\":\"snapshot\",\"tasks\":[{\"serial\":\"1\",\"id\":\"ü\"}],\"more\":true,\"total\":2}\n\n\
    event: snapshot\ndata: {\"type\":\"snapshot\",\"tasks\":[],\"more\":false}\nid: b-1\n\n\
    event: started\ndata: {\"type\":\"started\",\"task\":{\"serial\":\"2\",\"id\":\"b\",\"ageMs\":1}}\n\n\
    event: status\r\ndata: {\"type\":\"status\",\r\ndata: \"task\":{\"serial\":\"2\",\"status\":\"s\"}}\r\n\r\n\
    event: progress\rdata: {\"task\":{\"serial\":\"2\",\"progress\":{\"done\":1}}}\r\r\
    event: cancel\ndata: {\"task\":{\"serial\":\"2\",\"cancel\":{\"reason\":\"r\"}}}\n\n\
    : heartbeat\nid: b-2\n\n\
    event: ended\ndata: {\"task\":{\"serial\":\"2\",\"id\":\"b\"}}\n\n\
    data: {\"type\":\"left\",\"serial\":\"1\"}\n\n\
    event: gap\ndata: {\"why\":\"slow\"}\n\n\
    event: unseen\ndata: {\"count\":3}\n\n\
    event: later\ndata: {\"type\":\"later\",\"task\":5}\nid: b-3\n\n\
    event: bye\ndata: {\"why\":\"shutdown\"}\n\n";

/// The other end of connections in memory, with which time stands still unless all sides wait for it.
struct Far(UnboundedReceiver<DuplexStream>);

impl Far {
    /// Takes a connection, answers its request, and leaves it open.
    async fn accept(&mut self, reply: &str) -> (String, DuplexStream) {
        let mut stream = self.0.recv().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
        }
        stream.write_all(reply.as_bytes()).await.unwrap();
        (String::from_utf8(request).unwrap(), stream)
    }
}

fn pair() -> (Events, Far) {
    let (memory, far) = Memory::new();
    let client = Client::in_memory(memory);
    (client.v1().events(&Query::new().filter("kind", "a")), Far(far))
}

/// Returns a stream that is connected, and its other end.
async fn connected() -> (Events, Far, DuplexStream) {
    let (mut events, mut far) = pair();
    let (event, (_, stream)) = tokio::join!(events.next(), far.accept(HEAD));
    assert!(matches!(event, Some(Ok(Update::Connected))), "{event:?}");
    (events, far, stream)
}

async fn lost(events: &mut Events) -> (ClientError, Duration) {
    match events.next().await {
        Some(Ok(Update::Lost { error, retry_in })) => (error, retry_in),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn assert_near(wait: Duration, millis: u64) {
    let whole = Duration::from_millis(millis);
    assert!(wait <= whole && wait >= whole.mul_f64(0.74), "{wait:?} is not up to a quarter less than {whole:?}");
}

#[tokio::test(start_paused = true)]
async fn every_event_has_its_type() {
    let (mut events, _far, mut stream) = connected().await;
    stream.write_all(ALL.as_bytes()).await.unwrap();
    let mut next = async || match events.next().await.unwrap().unwrap() {
        Update::Event(event) => event,
        other => panic!("{other:?}"),
    };
    let Event::Snapshot(first) = next().await else { panic!() };
    assert_eq!((first.tasks[0].id.as_str(), first.more, first.total), ("ü", true, Some(2)));
    assert!(
        matches!(next().await, Event::Snapshot(last) if last.tasks.is_empty() && !last.more && last.total.is_none())
    );
    let Event::Started(task) = next().await else { panic!() };
    assert_eq!((task.serial.unwrap().get(), task.age), (2, Some(Duration::from_millis(1))));
    assert!(matches!(next().await, Event::Status(task) if task.status == "s"));
    assert!(matches!(next().await, Event::Progress(task) if task.progress.as_ref().unwrap().done == 1));
    assert!(matches!(next().await, Event::Cancel(task) if task.cancel.as_ref().unwrap().reason == "r"));
    assert!(matches!(next().await, Event::Ended(task) if task.outcome.is_none()));
    assert!(matches!(next().await, Event::Left(serial) if serial.get() == 1));
    assert!(matches!(next().await, Event::Gap(GapReason::Slow)));
    assert!(matches!(next().await, Event::Unseen(3)));
    assert!(matches!(next().await, Event::Unknown(json) if json["task"] == 5));
    assert!(matches!(next().await, Event::Bye(ByeReason::Shutdown)));
    assert_eq!(events.last_event_id(), "b-3");
}

#[tokio::test(start_paused = true)]
async fn a_cut_at_any_byte_gives_the_same_events() {
    let mut whole = None;
    for at in 0..=ALL.len() {
        let (mut events, far, mut stream) = connected().await;
        // So that it ends, and does not wait for another connection.
        drop(far);
        let (a, b) = ALL.as_bytes().split_at(at);
        let write = async {
            stream.write_all(a).await.unwrap();
            sleep(Duration::from_millis(1)).await;
            stream.write_all(b).await.unwrap();
            drop(stream);
        };
        let read = async {
            let mut seen = Vec::new();
            loop {
                match events.next().await.unwrap().unwrap() {
                    Update::Lost { .. } => break seen,
                    event => seen.push(format!("{event:?}")),
                }
            }
        };
        let ((), seen) = tokio::join!(write, read);
        assert_eq!(seen.len(), 12);
        assert_eq!(&seen, whole.get_or_insert_with(|| seen.clone()), "cut at {at}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_stream_continues_after_the_last_event() {
    let (mut events, mut far) = pair();
    let (_, (request, mut stream)) = tokio::join!(events.next(), far.accept(HEAD));
    assert!(request.starts_with("GET /v1/events?kind=a HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("accept: text/event-stream\r\n") && !request.contains("last-event-id"), "{request}");
    stream.write_all(b"event: left\ndata: {\"serial\":\"1\"}\nid: b-7\n\nevent: left\ndata: {\"ser").await.unwrap();
    drop(stream);
    assert!(matches!(events.next().await, Some(Ok(Update::Event(Event::Left(_))))));
    let (error, retry_in) = lost(&mut events).await;
    assert!(matches!(error, ClientError::Cut { received: 65, .. }), "{error:?}");
    assert_near(retry_in, 500);

    let since = Instant::now();
    let (event, (request, _stream)) = tokio::join!(events.next(), far.accept(HEAD));
    assert!(matches!(event, Some(Ok(Update::Connected))));
    assert!(request.contains("last-event-id: b-7\r\n"), "{request}");
    assert!(since.elapsed().abs_diff(retry_in) <= Duration::from_millis(2));
}

#[tokio::test(start_paused = true)]
async fn the_delays_double_up_to_half_a_minute_and_begin_anew_after_data() {
    let (mut events, mut far) = pair();
    for millis in [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000] {
        let ((error, retry_in), _) = tokio::join!(lost(&mut events), async { drop(far.accept("").await) });
        assert!(matches!(error, ClientError::Cut { .. }), "{error:?}");
        assert_near(retry_in, millis);
    }
    // A connection without data does not reset the delay.
    let (_, (_, stream)) = tokio::join!(events.next(), far.accept(HEAD));
    drop(stream);
    assert_near(lost(&mut events).await.1, 30_000);

    let (_, (_, mut stream)) = tokio::join!(events.next(), far.accept(HEAD));
    stream.write_all(b": hi\n\n").await.unwrap();
    drop(stream);
    assert_near(lost(&mut events).await.1, 500);

    drop(far);
    let (error, retry_in) = lost(&mut events).await;
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error:?}");
    assert_near(retry_in, 1000);
}

#[tokio::test(start_paused = true)]
async fn the_server_names_the_first_delay() {
    for (retry, millis) in [("2000", 2000), ("0", 100), ("999999999", 30_000)] {
        let (mut events, _far, mut stream) = connected().await;
        stream.write_all(format!("retry: {retry}\n\n").as_bytes()).await.unwrap();
        drop(stream);
        assert_near(lost(&mut events).await.1, millis);
    }
}

#[tokio::test(start_paused = true)]
async fn heartbeats_keep_a_quiet_stream_and_silence_ends_it() {
    let (mut events, _far, mut stream) = connected().await;
    let since = Instant::now();
    let beats = async {
        for _ in 0..40 {
            sleep(Duration::from_secs(15)).await;
            stream.write_all(b": heartbeat\nid: b-9\n\n").await.unwrap();
        }
    };
    let ((error, _), ()) = tokio::join!(lost(&mut events), beats);
    assert!(matches!(error, ClientError::TimedOut { stage: Stage::Heartbeat, .. }), "{error}");
    assert_eq!(since.elapsed().as_secs(), 40 * 15 + 45);
    assert_eq!(events.last_event_id(), "b-9");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_did_not_poll_for_long_still_gets_what_arrived() {
    let (mut events, _far, mut stream) = connected().await;
    stream.write_all(b"event: unseen\ndata: {\"count\":1}\n\n").await.unwrap();
    advance(Duration::from_secs(600)).await;
    assert!(matches!(events.next().await, Some(Ok(Update::Event(Event::Unseen(1))))));
}

#[tokio::test(start_paused = true)]
async fn next_may_be_dropped_at_any_time() {
    let (mut events, mut far) = pair();
    let pause = || sleep(Duration::from_millis(700));
    let serve = async {
        let mut stream = far.0.recv().await.unwrap();
        for piece in [HEAD, &ALL[..30], &ALL[30..700], &ALL[700..]] {
            for half in [&piece.as_bytes()[..piece.len() / 2], &piece.as_bytes()[piece.len() / 2..]] {
                pause().await;
                stream.write_all(half).await.unwrap();
            }
        }
        drop(stream);
        far.accept(HEAD).await
    };
    let look = async {
        let mut seen = Vec::new();
        while seen.iter().filter(|event| matches!(event, Update::Connected)).count() < 2 {
            tokio::select! {
                event = events.next() => seen.push(event.unwrap().unwrap()),
                () = sleep(Duration::from_millis(10)) => {}
            }
        }
        seen
    };
    let (_, seen) = tokio::join!(serve, look);
    assert_eq!(seen.len(), 1 + 12 + 2, "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn an_error_that_another_attempt_cannot_fix_ends_the_stream() {
    let json = |status: &str, body: &str| {
        let length = body.len();
        format!("HTTP/1.1 {status}\r\nContent-Type: application/problem+json\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    let plain = "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 19\r\n\r\n404 page not found\n";
    let page = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\n<p/>";
    let moved = "HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n";
    type Fits = fn(&ClientError) -> bool;
    let cases: [(&str, Fits); 7] = [
        (&json("401 Unauthorized", "{}"), |error| matches!(error, ClientError::Unauthorized { .. })),
        (&json("403 Forbidden", "{}"), |error| matches!(error, ClientError::Forbidden { .. })),
        (
            &json("400 Bad Request", r#"{"code":"bad-filter"}"#),
            |error| matches!(error, ClientError::Problem { problem, .. } if problem.code == "bad-filter"),
        ),
        (plain, |error| matches!(error, ClientError::NoV1 { .. })),
        (page, |error| matches!(error, ClientError::NotPm { .. })),
        (moved, |error| matches!(error, ClientError::Redirected { .. })),
        ("SSH-2.0-x\r\n\r\n", |error| matches!(error, ClientError::NotPm { .. })),
    ];
    for (reply, fits) in cases {
        let (mut events, mut far) = pair();
        let (error, _) = tokio::join!(events.next(), far.accept(reply));
        let error = error.unwrap().unwrap_err();
        assert!(fits(&error), "{reply}: {error:?}");
        assert!(events.next().await.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn an_overloaded_server_is_asked_again_after_the_time_that_it_names() {
    for status in ["429 Too Many Requests", "503 Service Unavailable"] {
        let (mut events, mut far) = pair();
        let busy = format!("HTTP/1.1 {status}\r\nRetry-After: 70\r\nContent-Length: 0\r\n\r\n");
        let ((error, retry_in), _) = tokio::join!(lost(&mut events), far.accept(&busy));
        assert!(matches!(error, ClientError::TooMany { .. }), "{error:?}");
        assert_eq!(retry_in, Duration::from_secs(70));
        let since = Instant::now();
        tokio::join!(events.next(), far.accept(HEAD));
        assert_eq!(since.elapsed().as_secs(), 70);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_with_an_internal_error_is_asked_again() {
    let (mut events, mut far) = pair();
    let error = "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\n<p/>";
    let ((error, _), _) = tokio::join!(lost(&mut events), far.accept(error));
    assert!(matches!(error, ClientError::Status { status: 502, .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_is_asked_again() {
    let (mut events, _far) = pair();
    let since = Instant::now();
    let (error, _) = lost(&mut events).await;
    assert!(matches!(error, ClientError::TimedOut { stage: Stage::Answer, .. }), "{error:?}");
    assert_eq!(since.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_cannot_be_read_ends_the_stream_after_those_before_it() {
    for bad in ["{", "{}", "5", r#"{"count":"x"}"#] {
        let (mut events, _far, mut stream) = connected().await;
        let text = format!("event: unseen\ndata: {{\"count\":1}}\n\nevent: unseen\ndata: {bad}\n\n{ALL}");
        stream.write_all(text.as_bytes()).await.unwrap();
        assert!(matches!(events.next().await, Some(Ok(Update::Event(Event::Unseen(1))))));
        let error = events.next().await.unwrap().unwrap_err();
        assert!(matches!(&error, ClientError::BrokenJson { excerpt, .. } if excerpt == bad), "{error:?}");
        assert!(events.next().await.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_that_would_take_too_much_memory_ends_the_stream() {
    let (mut events, _far, mut stream) = connected().await;
    let text = format!("event: snapshot\ndata: {{\"tasks\":[{}{{}}],\"more\":true}}\n\n", "{},".repeat(20_000));
    let read = async {
        let error = events.next().await.unwrap().unwrap_err();
        let is_memory =
            matches!(error, ClientError::TooMuch { ceiling: Ceiling::Memory, limit, .. } if limit == 16 << 20);
        assert!(is_memory, "{error:?}");
        assert!(events.next().await.is_none());
    };
    let (written, ()) = tokio::join!(stream.write_all(text.as_bytes()), read);
    written.unwrap();
}

#[tokio::test(start_paused = true)]
async fn calls_of_a_client_with_a_timeout_from_now_have_the_time_of_one() {
    let (memory, far) = Memory::new();
    let (mut far, client) = (Far(far), Client::in_memory(memory).timeout_from_now());
    let since = Instant::now();
    let page = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 48\r\n\r\n\
                {\"tasks\":[],\"serverTime\":\"2026-11-24T04:03:39Z\"}";
    let answer_late = async {
        sleep(Duration::from_secs(6)).await;
        far.accept(page).await
    };
    let (first, _answered) = tokio::join!(async { client.v1().tasks(&Query::new()).await }, answer_late);
    first.unwrap();
    let error = client.v1().tasks(&Query::new()).await.unwrap_err();
    assert!(matches!(error, ClientError::TimedOut { stage: Stage::Answer, .. }), "{error:?}");
    assert_eq!(since.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn an_event_beyond_the_limit_ends_the_stream() {
    let (mut events, _far, mut stream) = connected().await;
    let write = async {
        let piece = vec![b'x'; 1 << 20];
        // Ends with an error when the client closes the connection.
        while stream.write_all(&piece).await.is_ok() {}
    };
    let read = async {
        let error = events.next().await.unwrap().unwrap_err();
        assert!(matches!(error, ClientError::TooLarge { limit, .. } if limit == 8 << 20), "{error:?}");
        assert!(events.next().await.is_none());
    };
    tokio::join!(write, read);
}
