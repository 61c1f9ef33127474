//! Compression with gzip, where the client accepts it and it pays.
//!
//! Within one machine it does not: copying is faster than compressing. So it is for clients on other machines and for
//! responses longer than a packet or two. Events are sent as they come, uncompressed.

use std::io::Write;
use std::net::IpAddr;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT_ENCODING, HeaderMap};

use crate::address::is_loopback;

/// Shorter responses are not compressed, in bytes.
pub(crate) const WORTHWHILE: usize = 2 << 10;

/// Returns `true` if a response to `peer` may be compressed. A peer without a known address counts as remote.
pub(crate) fn is_wanted(headers: &HeaderMap, peer: Option<IpAddr>, is_local: bool) -> bool {
    !is_local && peer.is_none_or(|peer| !is_loopback(peer)) && accepts_gzip(headers)
}

/// RFC 9110, 12.5.3: `gzip`, or anything, unless its weight is 0.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let all = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut any = false;
    for part in all.flat_map(|value| value.split(',')) {
        let (coding, parameters) = part.split_once(';').unwrap_or((part, ""));
        let weight = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("q="));
        let is_on = weight.is_none_or(|weight| weight.trim().parse::<f32>().is_ok_and(|weight| weight > 0.0));
        match coding.trim() {
            coding if coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip") => return is_on,
            "*" => any = is_on,
            _ => {}
        }
    }
    any
}

/// Compresses a complete text; `None` if that does not make it shorter.
pub(crate) fn whole(text: &[u8]) -> Option<Bytes> {
    let mut compressor = Compressor::new();
    let mut compressed = compressor.add(text);
    compressed.extend_from_slice(&compressor.finish());
    (compressed.len() < text.len()).then(|| compressed.into())
}

/// Compresses a text that comes in parts.
#[derive(Debug)]
pub(crate) struct Compressor {
    /// `None` after the end.
    encoder: Option<GzEncoder<Vec<u8>>>,
}

impl Compressor {
    pub(crate) fn new() -> Self {
        Self { encoder: Some(GzEncoder::new(Vec::new(), Compression::fast())) }
    }

    /// Adds a part and returns the bytes that can be sent; may be empty.
    pub(crate) fn add(&mut self, part: &[u8]) -> Vec<u8> {
        let Some(encoder) = &mut self.encoder else { return Vec::new() };
        // Writing to a vector can't fail.
        let _ = encoder.write_all(part);
        std::mem::take(encoder.get_mut())
    }

    /// Returns the last bytes; empty when called again.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        self.encoder.take().and_then(|encoder| encoder.finish().ok()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn accepts(value: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, value.parse().unwrap());
        accepts_gzip(&headers)
    }

    #[test]
    fn gzip_is_used_only_for_clients_that_accept_it() {
        for yes in ["gzip", "br, GZIP;q=0.5", "x-gzip", "*", "deflate, *;q=0.1", "gzip; q=1"] {
            assert!(accepts(yes), "{yes}");
        }
        for no in ["", "br", "gzip;q=0", "gzip;q=0.0, *", "*;q=0", "gzip;q=x", "gzipped"] {
            assert!(!accepts(no), "{no}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }

    #[test]
    fn nothing_is_compressed_within_the_machine() {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, "gzip".parse().unwrap());
        let wanted = |peer: Option<&str>, local| is_wanted(&headers, peer.map(|peer| peer.parse().unwrap()), local);
        assert!(wanted(Some("192.0.2.7"), false) && wanted(None, false));
        assert!(!wanted(Some("127.0.0.1"), false) && !wanted(Some("::ffff:127.0.0.2"), false) && !wanted(None, true));
    }

    #[test]
    fn compressed_parts_decompress_to_the_whole_text() {
        let text = "the list of what runs\n".repeat(20_000);
        let mut compressor = Compressor::new();
        let mut compressed = Vec::new();
        for part in text.as_bytes().chunks(5_000) {
            compressed.extend(compressor.add(part));
        }
        compressed.extend(compressor.finish());
        assert!(compressed.len() < text.len() / 20);
        let mut back = String::new();
        flate2::read::GzDecoder::new(&compressed[..]).read_to_string(&mut back).unwrap();
        assert_eq!(back, text);
        assert_eq!(whole(&[7]), None, "what would not get shorter stays as it is");
    }
}
