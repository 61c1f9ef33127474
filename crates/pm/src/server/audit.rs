//! stub
use std::path::PathBuf;
pub(super) struct AuditFile {
    pub(super) path: PathBuf,
    pub(super) strict: bool,
}
