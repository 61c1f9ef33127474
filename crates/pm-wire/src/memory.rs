//! An estimate of the memory that JSON takes once it is read.

/// The memory of an object beyond its text: the largest shape, or a map with one member, which allocates space for
/// eleven.
const OBJECT: u64 = 704;
/// The memory of an array beyond its elements: the smallest allocation of one.
const ARRAY: u64 = 128;
/// The memory of a member or an element beyond its text: its part of a map that is half full, and the allocations of
/// its name and its value.
const ELEMENT: u64 = 192;

/// Returns an upper bound of the bytes of memory that this JSON takes once it is read as a type of this crate.
///
/// A short text may become hundreds of times as large: an empty object has two bytes, and a task without any members
/// takes hundreds. With this, a reader refuses such a text before it reads it. The bound of usual shapes is two to five
/// times what they take. It does not depend on whether the text is valid.
///
/// ```
/// let rows = format!(r#"{{"tasks":[{}{{}}]}}"#, "{},".repeat(10_000));
/// assert!(pm_wire::memory_of(rows.as_bytes()) > 200 * rows.len() as u64);
/// let text = format!("{:?}", "{},".repeat(10_000));
/// assert_eq!(pm_wire::memory_of(text.as_bytes()), text.len() as u64);
/// ```
#[must_use]
pub fn memory_of(json: &[u8]) -> u64 {
    let mut memory = json.len() as u64;
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' => memory += OBJECT,
            b'[' => memory += ARRAY,
            b',' => memory += ELEMENT,
            b'"' => {
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'"' => break,
                        b'\\' => drop(bytes.next()),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    memory
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::TaskRow;
    use crate::v1::{AuditRecord, BlockedTask, Event, KindStats, Row};

    #[test]
    fn no_shape_of_an_array_is_larger_than_the_estimate_of_an_object() {
        let sizes = [
            size_of::<Row>(),
            size_of::<TaskRow>(),
            size_of::<KindStats>(),
            size_of::<BlockedTask>(),
            size_of::<AuditRecord>(),
            size_of::<Event>(),
        ];
        assert!(sizes.iter().all(|&size| size as u64 <= OBJECT), "{sizes:?}");
    }

    #[test]
    fn brackets_within_strings_count_as_text() {
        for text in [r#""{[,""#, r#""\"{""#, r#""\\""#, r#""{{{"#, r#""{\"#] {
            assert_eq!(memory_of(text.as_bytes()), text.len() as u64, "{text}");
        }
        assert_eq!(memory_of(br#"["\\",{}]"#), 9 + ARRAY + ELEMENT + OBJECT);
    }
}
