//! A list for clients with a certificate: TLS on any address, and clients with a certificate of our authority need no
//! token.
//!
//! `cargo run -p pm --features tls --example mtls`, then the command that it prints: `curl --cacert ..`. The authority
//! and the certificates are generated in a folder that is removed at the end; you would use your own.

use std::error::Error;
use std::path::Path;

use pm_client::{CancelOptions, Client, Query, TaskRef};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("pm-mtls-{}", std::process::id()));
    make_certificates(&folder)?;

    let tls = pm::server::Tls::new(folder.join("server.pem"), folder.join("server.key"))
        .clients(folder.join("authority.pem"), pm::server::Permission::Read); // they may read, but not cancel
    let server = pm::Server::builder().listen_tls("127.0.0.1:0", tls).start()?;
    let url = format!("https://{}", server.addr());
    println!("cd {}", folder.display());
    println!("curl --cacert authority.pem --cert client.pem --key client.key {url}/v1/tasks");

    let task = pm::task("payroll").kind("payroll").start();
    task.status("adding up")?;
    if std::env::args().any(|word| word == "--smoke") {
        let known = Client::builder(&url)?
            .ca_file(folder.join("authority.pem"))
            .client_certificate(folder.join("client.pem"), folder.join("client.key"))
            .build();
        println!("\nthe list, with a certificate:");
        for task in known.v1().tasks(&Query::new()).await?.tasks {
            println!("{}  {}  {}", task.id, task.kind.unwrap_or_default(), task.status);
        }
        let cancel = known.v1().cancel(&TaskRef::id("payroll"), &CancelOptions::new("an attempt")).await;
        println!("\na cancel: {}", cancel.expect_err("they may only read"));
        let unknown = Client::builder(&url)?.ca_file(folder.join("authority.pem")).build();
        println!(
            "\nwithout a certificate: {}",
            unknown.v1().tasks(&Query::new()).await.expect_err("they have no certificate")
        );
        // The audit log has the fingerprint of the certificate.
        for record in known.v1().audit(10).await?.records {
            let action = record.action.map_or_else(String::new, |action| action.to_string());
            println!("\nthe audit log: {} {action} from {}", record.result, record.identity);
        }
        task.checkpoint()?;
    } else {
        tokio::signal::ctrl_c().await?;
    }
    tokio::task::spawn_blocking(|| server.shutdown()).await?;
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

/// Writes `authority.pem`, and the `server` and `client` that it signed, each as `.pem` and `.key`.
fn make_certificates(folder: &Path) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir(folder)?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "authority");
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    std::fs::write(folder.join("authority.pem"), authority.pem())?;
    for name in ["server", "client"] {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &authority)?;
        std::fs::write(folder.join(format!("{name}.pem")), certificate.pem())?;
        std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem())?;
    }
    Ok(())
}
