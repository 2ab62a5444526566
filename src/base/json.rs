//! JSON whose texts may stand for bytes that are not UTF-8.
//!
//! JSON is UTF-8, so a byte that is none is written as an escape, the same everywhere and to be read back: byte 0xNN is `\udbff\udfNN`, which is the
//! stand-in of [`super::bytes`] as JSON escapes it. A reader who wants the bytes takes U+10FF00 off each character from U+10FF80 on.

use std::io;

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::{CompactFormatter, Formatter};

use super::bytes::byte_behind;

/// The value in one line, without its end.
pub fn to_writer(writer: impl io::Write, value: &impl Serialize) -> io::Result<()> {
    let mut serializer = Serializer::with_formatter(writer, Escaping);
    value.serialize(&mut serializer).map_err(io::Error::from)
}

/// The same as a text. Empty for what JSON cannot hold, which nothing here is.
pub fn to_string(value: &impl Serialize) -> String {
    let mut out = Vec::new();
    match to_writer(&mut out, value) {
        Ok(()) => String::from_utf8(out).unwrap_or_default(),
        Err(_) => String::new(),
    }
}

struct Escaping;

impl Formatter for Escaping {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, letter, byte)) = rest
            .char_indices()
            .find_map(|(at, letter)| Some((at, letter, byte_behind(letter)?)))
        {
            CompactFormatter.write_string_fragment(writer, &rest[..at])?;
            write!(writer, "\\udbff\\udf{byte:02x}")?;
            rest = &rest[at + letter.len_utf8()..];
        }
        CompactFormatter.write_string_fragment(writer, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::bytes::{bytes_of, text_of};

    #[test]
    fn a_byte_that_is_no_utf8_is_escaped_and_comes_back() {
        let text = text_of(b"a\xff\"\xc3\xa9\n\x80");
        let json = to_string(&text);
        assert_eq!(json, "\"a\\udbff\\udfff\\\"é\\n\\udbff\\udf80\"");
        let back: String = serde_json::from_str(&json).unwrap();
        assert_eq!(bytes_of(&back), b"a\xff\"\xc3\xa9\n\x80");
        assert_eq!(bytes_of(&json), json.as_bytes(), "it is UTF-8 on its way out");
    }
}
