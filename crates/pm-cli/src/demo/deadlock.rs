//! Three jobs that take two locks and the slots of a printer in three orders, and so wait for each other until one of them
//! is stopped: `pm waits` names the circle. When all have ended, they come again.

use std::time::Duration;

use pm::sync::{Mutex, Semaphore};
use tokio::sync::watch;
use tokio::time::sleep;

use super::end_of;

const SLOTS: usize = 2;
/// Until each has taken its first.
const WORK: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_secs(10);

/// What they share.
struct Office {
    accounts: Mutex<u64>,
    ledger: Mutex<u64>,
    printer: Semaphore,
}

/// Lets the three meet again and again, until `stopped`.
pub(super) async fn keep(mut stopped: watch::Receiver<bool>) {
    let office = Office {
        accounts: Mutex::new("lock:accounts", 0),
        ledger: Mutex::new("lock:ledger", 0),
        printer: Semaphore::new("printer", SLOTS),
    };
    loop {
        let job = |id| pm::task(id).kind("office");
        let (payroll, closing, letters) = (payroll(&office), closing(&office), letters(&office));
        // Whoever was stopped has given back what it held, and that is all there is to say.
        let _ = tokio::join!(job("payroll").run(payroll), job("closing").run(closing), job("letters").run(letters));
        tokio::select! {
            () = end_of(&mut stopped) => return,
            () = sleep(PAUSE) => {}
        }
    }
}

/// Accounts, then the ledger.
async fn payroll(office: &Office) {
    let mut accounts = office.accounts.lock().await;
    sleep(WORK).await;
    *accounts += *office.ledger.lock().await;
}

/// The ledger, then the printer.
async fn closing(office: &Office) {
    let mut ledger = office.ledger.lock().await;
    sleep(WORK).await;
    let _slot = office.printer.acquire().await;
    *ledger += 1;
}

/// All of the printer, then the accounts.
async fn letters(office: &Office) {
    let _slots = office.printer.acquire_many(SLOTS as u32).await;
    sleep(WORK).await;
    *office.accounts.lock().await += 1;
}
