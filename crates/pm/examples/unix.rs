//! A list for one user of this machine: on a unix socket, which is a file with the mode 0600. No port, no token.
//!
//! `cargo run -p pm --example unix`, then the command that it prints: `curl --unix-socket ..`, or `pm -e unix:PATH ls`.

#[cfg(unix)]
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    use std::os::unix::fs::PermissionsExt as _;

    use pm_client::{CancelOptions, Client, Query, TaskRef};

    let folder = std::env::temp_dir().join(format!("pm-unix-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    let path = folder.join("pm.sock");
    // Other users of this machine can be admitted with `.allow_uid(..)`, if the permissions of folder and file allow
    // it.
    let server = pm::Server::builder().listen_unix(&path).start()?;
    println!("curl --unix-socket {} http://localhost/v1/tasks", path.display());
    println!("mode {:o}", std::fs::metadata(&path)?.permissions().mode() & 0o777);

    let task = pm::task("backup").kind("backup").attr("disk", "sda").start();
    task.status("copying")?;
    if std::env::args().any(|word| word == "--smoke") {
        // As any program of this user may.
        let client = Client::new(&format!("unix:{}", path.display()))?;
        println!("\nthe list:");
        for task in client.v1().tasks(&Query::new()).await?.tasks {
            println!("{}  {}  {}  {}", task.id, task.kind.unwrap_or_default(), task.status, task.attrs["disk"]);
        }
        let reply = client.v1().cancel(&TaskRef::id("backup"), &CancelOptions::new("disk is full")).await?;
        println!("\na cancel: {}", reply.verdict.map_or_else(String::new, |verdict| verdict.to_string()));
        println!("the task observes: {}", task.checkpoint().unwrap_err());
        // The kernel reports the user.
        for record in client.v1().audit(10).await?.records {
            println!("the audit log: {} by {}: {}", record.result, record.identity, record.reason);
        }
    } else {
        tokio::signal::ctrl_c().await?;
    }
    tokio::task::spawn_blocking(|| server.shutdown()).await?;
    println!("the socket is removed: {}", !path.exists());
    std::fs::remove_dir(&folder)?;
    Ok(())
}

#[cfg(not(unix))]
fn main() {
    println!("unix sockets are not supported here");
}
