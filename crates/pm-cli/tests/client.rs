//! The client against a real server: every call, tokens, unix sockets, and events across a restart.

mod common;

use std::time::Duration;

use common::kept_address;
use pm::{Options, ProcessList, Server};
use pm_client::{BulkCancel, CancelOptions, Client, ClientError, Event, Expect, Query, TaskRef, Update, Verdict};

fn serve(list: &ProcessList) -> (Server, Client) {
    let server = Server::builder().list(list).listen("127.0.0.1:0").start().unwrap();
    let client = Client::new(&server.addr().to_string()).unwrap();
    (server, client)
}

#[tokio::test]
async fn every_call_round_trips() {
    let list = ProcessList::new();
    let (_server, client) = serve(&list);
    let parent = list.task("parent").kind("import").attr("host", "db1").start();
    let child = list.task("child/1").kind("import").parent(&parent).start();
    child.status("reading, for now").unwrap();
    child.progress(1, 4, "files");
    list.start("gone").fail("no file");

    let one = client.v1().tasks(&Query::new().filter("kind", "imp*").limit(1)).await.unwrap();
    assert_eq!((one.tasks.len(), one.total, one.truncated), (1, 2, true));
    assert_eq!(one.tasks[0].id, "parent");
    let query = Query::new().filter("kind", "imp*").limit(1);
    let next = client.v1().tasks(&query.next_page(&one).unwrap()).await.unwrap();
    assert_eq!(next.tasks[0].progress.as_ref().map(|progress| progress.done), Some(1));
    let literal = Query::new().filter("status", Query::literal("reading, for now"));
    assert_eq!(client.v1().tasks(&literal).await.unwrap().total, 1);

    let task = client.v1().task(TaskRef::id("child/1")).await.unwrap().task;
    assert_eq!(task.serial, child.serial());
    let history = client.v1().history(child.serial().unwrap()).await.unwrap();
    assert_eq!(history.history.last().unwrap().status, "reading, for now");
    let tree = client.v1().tree(&Query::new()).await.unwrap();
    assert_eq!(tree.tasks.iter().map(|task| task.depth).collect::<Vec<_>>(), [Some(0), Some(1)]);
    let ended = client.v1().ended(&Query::new().filter("outcome", "failed")).await.unwrap();
    assert_eq!(ended.tasks[0].id, "gone");
    assert_eq!(client.v1().kinds().await.unwrap().kinds[0].running, 2);
    assert!(client.metrics().await.unwrap().contains("pm_tasks{kind=\"import\",state=\"running\"} 2"));
    client.health().await.unwrap();
    assert!(!client.v1().info().await.unwrap().version.is_empty());

    let dry = client.v1().cancel_many(&BulkCancel::new("id=child*").dry_run(true)).await.unwrap();
    assert_eq!((dry.total, child.is_cancelled()), (1, false));
    let options = CancelOptions::new("too slow").expect(Expect::new().status("writing"));
    let refused = client.v1().cancel(child.serial().unwrap(), &options).await.unwrap_err();
    assert!(matches!(refused, ClientError::PreconditionFailed { .. }), "{refused}");
    let options = CancelOptions::new("too slow").idempotency_key("once");
    let verdict = client.v1().cancel(child.serial().unwrap(), &options).await.unwrap();
    assert_eq!(verdict.verdict, Some(Verdict::Cancelling));
    assert_eq!(child.checkpoint().unwrap_err().reason(), "too slow");
    let all = client.v1().cancel_many(&BulkCancel::new("kind=import").reason("deploy").expect_total(2)).await.unwrap();
    assert_eq!(all.counts.get("cancelling"), Some(&2));
    let audit = client.v1().audit(100).await.unwrap();
    assert!(audit.records.iter().any(|record| record.result == "asked" && record.task.as_deref() == Some("child/1")));

    let error = client.v1().tasks(&Query::new().set("knd", "x")).await.unwrap_err();
    assert!(error.to_string().contains("did you mean `kind`"), "{error}");
    assert!(matches!(client.v1().task(TaskRef::id("unknown")).await, Err(ClientError::NotFound { .. })));
}

#[cfg(unix)]
#[tokio::test]
async fn tokens_and_unix_sockets_grant_access() {
    let folder = std::env::temp_dir().join(format!("pm-client-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (tokens, socket) = (folder.join("tokens"), folder.join("pm.sock"));
    let _ = std::fs::remove_file(&tokens);
    let list = ProcessList::new();
    let task = list.start("job");
    let server = Server::builder()
        .list(&list)
        .listen("127.0.0.1:0")
        .listen_unix(&socket)
        .token_file(&tokens)
        .require_token(true)
        .start()
        .unwrap();
    let address = server.addr().to_string();
    let anonymous = Client::new(&address).unwrap();
    let refused = anonymous.v1().tasks(&Query::new()).await.unwrap_err();
    assert!(matches!(refused, ClientError::Unauthorized { .. }), "{refused}");
    assert!(matches!(anonymous.procs().list().await, Err(ClientError::Unauthorized { .. })));
    let with_token = Client::builder(&address).unwrap().token_file(&tokens).build();
    assert_eq!(with_token.v1().tasks(&Query::new()).await.unwrap().total, 1);
    let owner = Client::new(&format!("unix:{}", socket.display())).unwrap();
    owner.procs().cancel("job", "by its owner").await.unwrap();
    assert!(task.checkpoint().unwrap_err().by().starts_with("uid:"));

    // A read-only token.
    let reader = "r".repeat(40);
    let mut text = std::fs::read_to_string(&tokens).unwrap();
    text += &format!("read {reader} dashboard\n");
    std::fs::write(&tokens, text).unwrap();
    let reader = Client::builder(&address).unwrap().token(reader).build();
    while matches!(
        reader.v1().tasks(&Query::new()).await,
        Err(ClientError::Unauthorized { .. } | ClientError::TooMany { .. })
    ) {
        // The file is checked again after a second.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let refused = reader.v1().cancel_many(&BulkCancel::new("id=job")).await.unwrap_err();
    assert!(matches!(refused, ClientError::Forbidden { .. }), "{refused}");
    let refused = reader.procs().cancel("job", "").await.unwrap_err();
    assert!(matches!(refused, ClientError::Forbidden { .. }), "{refused}");
}

#[tokio::test]
async fn events_continue_when_the_server_restarts_with_other_tasks() {
    let (list, address) = (ProcessList::with_options(Options::new()), kept_address());
    let server = Server::builder().list(&list).listen(address).start().unwrap();
    let client = Client::new(&address.to_string()).unwrap();
    let task = list.start("before");
    let mut events = client.v1().events(&Query::new().filter("state", "running"));
    let mut seen = Vec::new();
    let mut server = Some(server);
    let mut again = None;
    let other = ProcessList::new();
    let _other_task = other.start("after");
    while let Some(event) = events.next().await {
        match event.unwrap() {
            Update::Connected => seen.push("connected".to_owned()),
            Update::Event(Event::Snapshot(snapshot)) if !snapshot.more => {
                seen.push(snapshot.tasks.iter().map(|task| task.id.clone()).collect());
                if again.is_some() {
                    break;
                }
                task.status("here").unwrap();
            }
            Update::Event(Event::Status(task)) => {
                seen.push(task.status);
                server.take().unwrap().shutdown();
                // A reconnecting client finds another program there.
                again = Some(Server::builder().list(&other).listen(address).start().unwrap());
            }
            Update::Event(Event::Bye(_)) => seen.push("bye".to_owned()),
            Update::Lost { .. } => seen.push("lost".to_owned()),
            Update::Event(Event::Gap(why)) => seen.push(why.to_string()),
            other => panic!("{other:?}"),
        }
    }
    seen.dedup();
    assert_eq!(seen, ["connected", "before", "here", "bye", "lost", "connected", "resume", "after"]);
}
