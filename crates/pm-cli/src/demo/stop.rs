//! The signal that ends all parts of the demo.

use tokio::sync::watch;

/// Completes when the demo is to end. Returns no guard of the value, which would make the future `!Send`.
pub(super) async fn end_of(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|&stopped| stopped).await;
}
