//! Attributes in JSON, as text.

use std::borrow::Cow;

use pm_core::ValueView;
use serde_json::Value;

/// Returns the value of an attribute as text, which filters compare and people read.
///
/// The text is that of [`ValueView`] in the program that has the task, however JSON writes the number. A string is its
/// own text.
///
/// ```
/// use pm_wire::attr_text;
///
/// let attrs: serde_json::Value = serde_json::from_str(r#"{"a":2.0,"b":1e300,"c":-0,"d":"NaN","e":true}"#).unwrap();
/// let shown = ["a", "b", "c", "d", "e"].map(|name| attr_text(&attrs[name]));
/// assert_eq!(shown, ["2", "1e300", "-0", "NaN", "true"]);
/// ```
#[must_use]
pub fn attr_text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => text.into(),
        Value::Number(number) if number.is_f64() => {
            number.as_f64().map_or_else(|| number.to_string(), |number| ValueView::F64(number).to_string()).into()
        }
        value => value.to_string().into(),
    }
}
