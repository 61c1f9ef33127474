//! Three jobs that acquire two locks and the permits of a printer in different orders, and so deadlock until one is
//! cancelled, as `pm waits` shows. When all have ended, they start again.

use std::time::Duration;

use pm::sync::{Mutex, Semaphore};
use tokio::sync::watch;
use tokio::time::sleep;

use super::stop::end_of;

const SLOTS: usize = 2;
/// Long enough that each has acquired its first.
const WORK: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_secs(10);

/// The shared resources.
struct Office {
    accounts: Mutex<u64>,
    ledger: Mutex<u64>,
    printer: Semaphore,
}

/// Runs the three jobs repeatedly until `stopped`.
pub(super) async fn keep(mut stopped: watch::Receiver<bool>) {
    let office = Office {
        accounts: Mutex::new("lock:accounts", 0),
        ledger: Mutex::new("lock:ledger", 0),
        printer: Semaphore::new("printer", SLOTS),
    };
    loop {
        let job = |id| pm::task(id).kind("office");
        let (payroll, closing, letters) = (payroll(&office), closing(&office), letters(&office));
        // A cancelled job has released what it held; its result does not matter.
        let _ = tokio::join!(job("payroll").run(payroll), job("closing").run(closing), job("letters").run(letters));
        tokio::select! {
            () = end_of(&mut stopped) => return,
            () = sleep(PAUSE) => {}
        }
    }
}

/// Locks the accounts, then the ledger.
async fn payroll(office: &Office) {
    let mut accounts = office.accounts.lock().await;
    sleep(WORK).await;
    *accounts += *office.ledger.lock().await;
}

/// Locks the ledger, then acquires a printer permit.
async fn closing(office: &Office) {
    let mut ledger = office.ledger.lock().await;
    sleep(WORK).await;
    let _slot = office.printer.acquire().await;
    *ledger += 1;
}

/// Acquires all printer permits, then locks the accounts.
async fn letters(office: &Office) {
    let _slots = office.printer.acquire_many(SLOTS as u32).await;
    sleep(WORK).await;
    *office.accounts.lock().await += 1;
}
