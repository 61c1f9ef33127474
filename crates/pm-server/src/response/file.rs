//! Files that are part of the program.

use std::io::Write as _;
use std::sync::OnceLock;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

/// A file in memory, compressed once when that is first wanted.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) name: String,
    text: Bytes,
    compressed: OnceLock<Bytes>,
}

impl File {
    pub(crate) fn new(name: String, text: String) -> Self {
        Self { name, text: text.into(), compressed: OnceLock::new() }
    }

    pub(crate) fn text(&self) -> Bytes {
        self.text.clone()
    }

    /// Returns `true` if the file was compressed before.
    pub(crate) fn is_compressed(&self) -> bool {
        self.compressed.get().is_some()
    }

    /// Returns the file as gzip, at the best level.
    pub(crate) fn compressed(&self) -> Bytes {
        let compressed = self.compressed.get_or_init(|| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            // Writing to a vector can't fail.
            let _ = encoder.write_all(&self.text);
            encoder.finish().unwrap_or_default().into()
        });
        compressed.clone()
    }

    pub(crate) fn content_type(&self) -> &'static str {
        match self.name.rsplit('.').next() {
            Some("html") => "text/html; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            _ => "image/svg+xml",
        }
    }
}
