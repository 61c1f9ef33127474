//! Real clients, hyper's and `curl`, that go away or are killed in each phase of a request, and that kill one by asking pm's
//! server: what the list showed before, the history and the outcome after, and what the client got.
//!
//! A request beside each, of another client, must notice nothing. Without `curl` its part is skipped, unless
//! `PM_TEST_TOOLS=1` says that it must be there.

mod bench;
mod clients;

use bench::{Bench, Line, Seen};
use clients::{Client, clients, pairs};
use serde_json::json;

// Before the head of the request is whole.

#[tokio::test]
async fn a_client_that_dies_before_its_head_is_whole_was_never_a_task() {
    for client in clients() {
        let mut bench = Bench::new().await;
        let beside = bench.begin_beside().await;
        let mut line = Line::to(bench.address).await;
        let victim = client.ask(line.address, &[("/wait", "victim")], None);
        line.reached.recv().await.unwrap();
        victim.die().await;
        line.reached.recv().await.unwrap();
        assert_eq!(bench.list.counters().started, 1, "only the one beside");
        bench.end_beside(beside).await;
    }
}

#[tokio::test]
async fn a_kill_before_the_head_is_whole_finds_nobody_and_changes_nothing() {
    for (client, killer) in pairs() {
        let mut bench = Bench::new().await;
        let beside = bench.begin_beside().await;
        let mut line = Line::to(bench.address).await;
        let victim = client.ask(line.address, &[("/", "victim")], None);
        line.reached.recv().await.unwrap();
        assert_eq!(bench.kill(killer, "victim").await.0, 404);
        line.go_on.notify_one();
        let got = victim.rest().await;
        assert!(got.whole && got.text.ends_with("\r\n\r\nhello"), "{got:?}");
        bench.assert_ended("victim", "finished", &["init", "handling", "responding", "ended"]).await;
        bench.end_beside(beside).await;
    }
}

// While the body of the request is sent.

#[tokio::test]
async fn a_client_that_dies_while_it_sends_its_body_fails_the_body_and_the_handler_ends_by_itself() {
    for client in clients() {
        let mut bench = Bench::new().await;
        let beside = bench.begin_beside().await;
        let victim = client.ask(bench.address, &[("/upload", "victim")], Some(()));
        victim.send("first");
        assert_eq!(bench.seen().await, Seen::Part("first".into()));
        bench.assert_listed(client, "victim", "PUT /upload", "handling").await;
        victim.die().await;
        assert_eq!(bench.seen().await, Seen::Dropped);
        // Nobody got its answer, of which hyper says nothing.
        bench.assert_ended("victim", "finished", &["init", "handling", "responding", "ended"]).await;
        let (_, ended) = client.call(bench.watch.addr(), "GET", "/v1/ended?id=victim", "").await;
        assert_eq!(ended["tasks"][0]["attrs"]["code"], 400);
        bench.end_beside(beside).await;
    }
}

#[tokio::test]
async fn a_kill_while_the_body_is_sent_is_answered_with_the_reason() {
    for (client, killer) in pairs() {
        let mut bench = Bench::new().await;
        let beside = bench.begin_beside().await;
        let victim = client.ask(bench.address, &[("/upload", "victim")], Some(()));
        victim.send("first");
        assert_eq!(bench.seen().await, Seen::Part("first".into()));
        bench.assert_listed(killer, "victim", "PUT /upload", "handling").await;
        bench.kill_live(killer, "victim").await;
        assert_eq!(bench.seen().await, Seen::Dropped);
        victim.rest().await.assert_is_problem();
        let history = ["init", "handling", "[cancel request: too slow]", "killed: too slow"];
        bench.assert_ended("victim", "cancelled", &history).await;
        bench.end_beside(beside).await;
    }
}

// In the handler.

#[tokio::test]
async fn a_client_that_dies_while_the_handler_waits_drops_it() {
    for client in clients() {
        let mut bench = Bench::new().await;
        let beside = bench.begin_beside().await;
        let victim = client.ask(bench.address, &[("/wait", "victim")], None);
        assert_eq!(bench.seen().await, Seen::Waits);
        bench.assert_listed(client, "victim", "GET /wait", "handling").await;
        victim.die().await;
        assert_eq!(bench.seen().await, Seen::Dropped);
        bench.assert_ended("victim", "dropped", &["init", "handling", "dropped"]).await;
        bench.end_beside(beside).await;
    }
}

#[tokio::test]
async fn a_kill_while_the_handler_waits_is_answered_with_the_reason() {
    for (client, killer) in pairs() {
        let mut bench = Bench::new().await;
        let beside = bench.begin_beside().await;
        let victim = client.ask(bench.address, &[("/wait", "victim")], None);
        assert_eq!(bench.seen().await, Seen::Waits);
        bench.assert_listed(killer, "victim", "GET /wait", "handling").await;
        bench.kill_live(killer, "victim").await;
        assert_eq!(bench.seen().await, Seen::Dropped);
        victim.rest().await.assert_is_problem();
        let history = ["init", "handling", "[cancel request: too slow]", "killed: too slow"];
        bench.assert_ended("victim", "cancelled", &history).await;
        bench.end_beside(beside).await;
    }
}

// In the body of the answer.

#[tokio::test]
async fn a_client_that_dies_in_the_answer_drops_its_rest() {
    for client in clients() {
        let mut bench = Bench::new().await;
        let beside = bench.begin_beside().await;
        let mut victim = client.ask(bench.address, &[("/lines", "victim")], None);
        let mut writer = bench.answers.recv().await.unwrap();
        writer.send_data("first".into()).await.unwrap();
        victim.read_until("first").await;
        bench.assert_listed(client, "victim", "GET /lines", "responding").await;
        victim.die().await;
        // Until there is nobody any more to whom it could be given.
        while writer.send_data("more".into()).await.is_ok() {}
        bench.assert_ended("victim", "dropped", &["init", "handling", "responding", "dropped"]).await;
        bench.end_beside(beside).await;
    }
}

#[tokio::test]
async fn a_kill_in_the_answer_cuts_it_and_the_client_sees_that() {
    for (client, killer) in pairs() {
        let mut bench = Bench::new().await;
        let beside = bench.begin_beside().await;
        let mut victim = client.ask(bench.address, &[("/lines", "victim")], None);
        let mut writer = bench.answers.recv().await.unwrap();
        writer.send_data("first".into()).await.unwrap();
        victim.read_until("first").await;
        bench.assert_listed(killer, "victim", "GET /lines", "responding").await;
        bench.kill_live(killer, "victim").await;
        let got = victim.rest().await;
        assert!(!got.whole && got.text.is_empty(), "{got:?}");
        assert!(writer.send_data("more".into()).await.is_err(), "the body was dropped");
        let history = ["init", "handling", "responding", "[cancel request: too slow]", "killed: too slow"];
        bench.assert_ended("victim", "cancelled", &history).await;
        bench.end_beside(beside).await;
    }
}

// After the end.

#[tokio::test]
async fn a_client_that_dies_after_an_answer_changes_nothing_of_it() {
    for client in clients() {
        let mut bench = Bench::new().await;
        let beside = bench.begin_beside().await;
        // The next one on the connection tells that the client has the answer, and that it lives still.
        let mut victim = client.ask(bench.address, &[("/", "victim"), ("/wait", "next")], None);
        victim.read_until("hello").await;
        assert_eq!(bench.seen().await, Seen::Waits);
        bench.assert_ended("victim", "finished", &["init", "handling", "responding", "ended"]).await;
        victim.die().await;
        assert_eq!(bench.seen().await, Seen::Dropped);
        bench.assert_ended("next", "dropped", &["init", "handling", "dropped"]).await;
        let (_, ended) = client.call(bench.watch.addr(), "GET", "/v1/ended?id=victim", "").await;
        assert_eq!(ended["tasks"][0]["outcome"], "finished");
        bench.end_beside(beside).await;
    }
}

#[tokio::test]
async fn a_kill_after_the_end_is_told_so_and_the_next_request_of_the_connection_is_not_touched() {
    for (client, killer) in pairs() {
        let mut bench = Bench::new().await;
        let beside = bench.begin_beside().await;
        let mut victim = client.ask(bench.address, &[("/", "victim"), ("/lines", "next")], None);
        victim.read_until("hello").await;
        bench.assert_ended("victim", "finished", &["init", "handling", "responding", "ended"]).await;
        let mut writer = bench.answers.recv().await.unwrap();
        let (code, verdict) = bench.kill(killer, "victim").await;
        match killer {
            Client::Hyper => assert_eq!(code, 404),
            Client::Curl => {
                let said = (code, &verdict["verdict"], &verdict["alreadyEnded"], &verdict["outcome"]);
                assert_eq!(said, (200, &json!("finished"), &json!(true), &json!("finished")));
            }
        }
        writer.send_data("undisturbed".into()).await.unwrap();
        drop(writer);
        let got = victim.rest().await;
        assert!(got.whole && got.text.ends_with("undisturbed"), "{got:?}");
        bench.assert_ended("next", "finished", &["init", "handling", "responding", "ended"]).await;
        bench.end_beside(beside).await;
    }
}
