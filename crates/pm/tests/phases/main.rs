//! Real clients, hyper and `curl`, that disconnect in each phase of a request, or whose request is cancelled through
//! pm's server: the list before, history and outcome after, and the answer to the client.
//!
//! A concurrent request of another client must not be affected. Without `curl` its part is skipped, unless
//! `PM_TEST_TOOLS=1` requires it.

mod bench;
mod clients;

use bench::{Bench, Line, Seen};
use clients::{Client, clients, pairs};
use serde_json::json;

// Before the head of the request is complete.

#[tokio::test]
async fn a_client_that_dies_before_its_head_is_complete_was_never_a_task() {
    for client in clients() {
        let mut bench = Bench::new().await;
        let beside = bench.begin_beside().await;
        let mut line = Line::to(bench.address).await;
        let exchange = client.ask(line.address, &[("/wait", "request")], None);
        line.reached.recv().await.unwrap();
        exchange.die().await;
        line.reached.recv().await.unwrap();
        assert_eq!(bench.list.counters().started, 1, "only the one beside");
        bench.end_beside(beside).await;
    }
}

#[tokio::test]
async fn a_cancel_before_the_head_is_complete_finds_no_task_and_changes_nothing() {
    for (client, killer) in pairs() {
        let mut bench = Bench::new().await;
        let beside = bench.begin_beside().await;
        let mut line = Line::to(bench.address).await;
        let exchange = client.ask(line.address, &[("/", "request")], None);
        line.reached.recv().await.unwrap();
        assert_eq!(bench.kill(killer, "request").await.0, 404);
        line.release.notify_one();
        let got = exchange.rest().await;
        assert!(got.whole && got.text.ends_with("\r\n\r\nhello"), "{got:?}");
        bench.assert_ended("request", "finished", &["init", "handling", "responding", "ended"]).await;
        bench.end_beside(beside).await;
    }
}

// While the body of the request is sent.

#[tokio::test]
async fn a_client_that_dies_while_sending_its_body_fails_the_body_and_the_handler_ends_by_itself() {
    for client in clients() {
        let mut bench = Bench::new().await;
        let beside = bench.begin_beside().await;
        let exchange = client.ask(bench.address, &[("/upload", "request")], Some(()));
        exchange.send("first");
        assert_eq!(bench.seen().await, Seen::Part("first".into()));
        bench.assert_listed(client, "request", "PUT /upload", "handling").await;
        exchange.die().await;
        assert_eq!(bench.seen().await, Seen::Dropped);
        // No client got its answer, which hyper does not report.
        bench.assert_ended("request", "finished", &["init", "handling", "responding", "ended"]).await;
        let (_, ended) = client.call(bench.watch.addr(), "GET", "/v1/ended?id=request", "").await;
        assert_eq!(ended["tasks"][0]["attrs"]["code"], 400);
        bench.end_beside(beside).await;
    }
}

#[tokio::test]
async fn a_cancel_while_the_body_is_sent_is_answered_with_the_reason() {
    for (client, killer) in pairs() {
        let mut bench = Bench::new().await;
        let beside = bench.begin_beside().await;
        let exchange = client.ask(bench.address, &[("/upload", "request")], Some(()));
        exchange.send("first");
        assert_eq!(bench.seen().await, Seen::Part("first".into()));
        bench.assert_listed(killer, "request", "PUT /upload", "handling").await;
        bench.kill_live(killer, "request").await;
        assert_eq!(bench.seen().await, Seen::Dropped);
        exchange.rest().await.assert_is_problem();
        let history = ["init", "handling", "[cancel request: too slow]", "killed: too slow"];
        bench.assert_ended("request", "cancelled", &history).await;
        bench.end_beside(beside).await;
    }
}

// In the handler.

#[tokio::test]
async fn a_client_that_dies_while_the_handler_waits_drops_it() {
    for client in clients() {
        let mut bench = Bench::new().await;
        let beside = bench.begin_beside().await;
        let exchange = client.ask(bench.address, &[("/wait", "request")], None);
        assert_eq!(bench.seen().await, Seen::Waits);
        bench.assert_listed(client, "request", "GET /wait", "handling").await;
        exchange.die().await;
        assert_eq!(bench.seen().await, Seen::Dropped);
        bench.assert_ended("request", "dropped", &["init", "handling", "dropped"]).await;
        bench.end_beside(beside).await;
    }
}

#[tokio::test]
async fn a_cancel_while_the_handler_waits_is_answered_with_the_reason() {
    for (client, killer) in pairs() {
        let mut bench = Bench::new().await;
        let beside = bench.begin_beside().await;
        let exchange = client.ask(bench.address, &[("/wait", "request")], None);
        assert_eq!(bench.seen().await, Seen::Waits);
        bench.assert_listed(killer, "request", "GET /wait", "handling").await;
        bench.kill_live(killer, "request").await;
        assert_eq!(bench.seen().await, Seen::Dropped);
        exchange.rest().await.assert_is_problem();
        let history = ["init", "handling", "[cancel request: too slow]", "killed: too slow"];
        bench.assert_ended("request", "cancelled", &history).await;
        bench.end_beside(beside).await;
    }
}

// In the body of the answer.

#[tokio::test]
async fn a_client_that_dies_during_the_answer_drops_the_rest() {
    for client in clients() {
        let mut bench = Bench::new().await;
        let beside = bench.begin_beside().await;
        let mut exchange = client.ask(bench.address, &[("/lines", "request")], None);
        let mut writer = bench.answers.recv().await.unwrap();
        writer.send_data("first".into()).await.unwrap();
        exchange.read_until("first").await;
        bench.assert_listed(client, "request", "GET /lines", "responding").await;
        exchange.die().await;
        // Until no client is left to send it to.
        while writer.send_data("more".into()).await.is_ok() {}
        bench.assert_ended("request", "dropped", &["init", "handling", "responding", "dropped"]).await;
        bench.end_beside(beside).await;
    }
}

#[tokio::test]
async fn a_cancel_during_the_answer_aborts_it_and_the_client_notices() {
    for (client, killer) in pairs() {
        let mut bench = Bench::new().await;
        let beside = bench.begin_beside().await;
        let mut exchange = client.ask(bench.address, &[("/lines", "request")], None);
        let mut writer = bench.answers.recv().await.unwrap();
        writer.send_data("first".into()).await.unwrap();
        exchange.read_until("first").await;
        bench.assert_listed(killer, "request", "GET /lines", "responding").await;
        bench.kill_live(killer, "request").await;
        let got = exchange.rest().await;
        assert!(!got.whole && got.text.is_empty(), "{got:?}");
        assert!(writer.send_data("more".into()).await.is_err(), "the body was dropped");
        let history = ["init", "handling", "responding", "[cancel request: too slow]", "killed: too slow"];
        bench.assert_ended("request", "cancelled", &history).await;
        bench.end_beside(beside).await;
    }
}

// After the end.

#[tokio::test]
async fn a_client_that_dies_after_an_answer_does_not_change_the_outcome() {
    for client in clients() {
        let mut bench = Bench::new().await;
        let beside = bench.begin_beside().await;
        // The next request on the connection shows that the client has the answer and is still alive.
        let mut exchange = client.ask(bench.address, &[("/", "request"), ("/wait", "next")], None);
        exchange.read_until("hello").await;
        assert_eq!(bench.seen().await, Seen::Waits);
        bench.assert_ended("request", "finished", &["init", "handling", "responding", "ended"]).await;
        exchange.die().await;
        assert_eq!(bench.seen().await, Seen::Dropped);
        bench.assert_ended("next", "dropped", &["init", "handling", "dropped"]).await;
        let (_, ended) = client.call(bench.watch.addr(), "GET", "/v1/ended?id=request", "").await;
        assert_eq!(ended["tasks"][0]["outcome"], "finished");
        bench.end_beside(beside).await;
    }
}

#[tokio::test]
async fn a_cancel_after_the_end_finds_no_task_and_does_not_affect_the_next_request() {
    for (client, killer) in pairs() {
        let mut bench = Bench::new().await;
        let beside = bench.begin_beside().await;
        let mut exchange = client.ask(bench.address, &[("/", "request"), ("/lines", "next")], None);
        exchange.read_until("hello").await;
        bench.assert_ended("request", "finished", &["init", "handling", "responding", "ended"]).await;
        let mut writer = bench.answers.recv().await.unwrap();
        let (code, verdict) = bench.kill(killer, "request").await;
        match killer {
            Client::Hyper => assert_eq!(code, 404),
            Client::Curl => {
                let said = (code, &verdict["verdict"], &verdict["alreadyEnded"], &verdict["outcome"]);
                assert_eq!(said, (200, &json!("finished"), &json!(true), &json!("finished")));
            }
        }
        writer.send_data("undisturbed".into()).await.unwrap();
        drop(writer);
        let got = exchange.rest().await;
        assert!(got.whole && got.text.ends_with("undisturbed"), "{got:?}");
        bench.assert_ended("next", "finished", &["init", "handling", "responding", "ended"]).await;
        bench.end_beside(beside).await;
    }
}
