//! The body of a cancel request on `/procs/`, read as leniently as old clients expect.

use std::fmt;

use serde::de::{self, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize};

/// The body of `DELETE /procs/{id}`: the reason of a cancel request.
///
/// `message` is always written, even if it is empty, as clients of VividCortex/pm do. Servers read the body with
/// [`from_lenient`](Self::from_lenient).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CancelBody {
    /// The reason that the task receives; empty if none is given.
    pub message: String,
}

impl CancelBody {
    /// Makes a body with this reason.
    pub fn new(message: impl Into<String>) -> Self {
        CancelBody { message: message.into() }
    }

    /// Reads a body as a server of VividCortex/pm does. A body that it cannot use is an empty message, never an error.
    ///
    /// The key matches in any case and the last one wins. Other keys, and everything after the first JSON value, are
    /// ignored. A `null` changes nothing; any other value that is not a string makes the message empty.
    ///
    /// # Examples
    ///
    /// ```
    /// let body = pm_wire::CancelBody::from_lenient(br#"{"MESSAGE":"deploy"} and more"#);
    /// assert_eq!(body.message, "deploy");
    /// assert_eq!(pm_wire::CancelBody::from_lenient(b"").message, "");
    /// ```
    pub fn from_lenient(bytes: &[u8]) -> CancelBody {
        let text = String::from_utf8_lossy(bytes);
        // Without `end()`: what follows the first value is ignored.
        let message = Message::deserialize(&mut serde_json::Deserializer::from_str(&text));
        CancelBody { message: message.map(|Message(text)| text).unwrap_or_default() }
    }
}

struct Message(String);

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> de::Visitor<'de> for Object {
            type Value = Message;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Message, A::Error> {
                let mut message = String::new();
                while let Some(key) = map.next_key::<String>()? {
                    if !is_message(&key) {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    }
                    match map.next_value::<serde_json::Value>()? {
                        serde_json::Value::String(text) => message = text,
                        serde_json::Value::Null => {}
                        _ => message.clear(),
                    }
                }
                Ok(Message(message))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// Returns `true` if Go takes the key for `message`: it compares by Unicode case folding, where the long s is an s.
fn is_message(key: &str) -> bool {
    key.chars().map(|c| if c == 'ſ' { 's' } else { c.to_ascii_lowercase() }).eq("message".chars())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> String {
        CancelBody::from_lenient(body.as_bytes()).message
    }

    #[test]
    fn a_usable_message_is_found() {
        assert_eq!(read(r#"{"message":"two words"}"#), "two words");
        assert_eq!(read(r#"{"MESSAGE":"x","y":1} trailing"#), "x");
        assert_eq!(read(r#"{"a":{"message":"inner"},"Message":"outer","z":[1,{}]}{"#), "outer");
        assert_eq!(read(" \n{\"message\":\"caf\\u00e9\"}\n"), "café");
        assert_eq!(read(r#"{"meſſage":"x"}"#), "x");
    }

    #[test]
    fn the_last_key_wins() {
        assert_eq!(read(r#"{"message":"a","Message":"b"}"#), "b");
        assert_eq!(read(r#"{"message":"a","message":5}"#), "");
        assert_eq!(read(r#"{"message":"a","message":null}"#), "a");
    }

    #[test]
    fn a_bad_body_is_an_empty_message() {
        for body in [
            "",
            "{}",
            "null",
            "5",
            "\"str\"",
            "[1]",
            "why",
            "{\"message\":5}",
            "{\"message\":\"x\"",
            "{\"message\"",
            "\u{feff}{}",
        ] {
            assert_eq!(read(body), "", "{body}");
        }
        assert_eq!(CancelBody::from_lenient(b"\xff\xfe").message, "");
        assert_eq!(read(&"[".repeat(100_000)), "");
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_replaced() {
        assert_eq!(CancelBody::from_lenient(b"{\"message\":\"a\xffb\"}").message, "a\u{fffd}b");
    }

    #[test]
    fn the_field_is_always_written() {
        assert_eq!(serde_json::to_string(&CancelBody::default()).unwrap(), r#"{"message":""}"#);
    }
}
