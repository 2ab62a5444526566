//! Texts whose bytes need not be UTF-8: arguments, files, comments, names. Inside, a text is a `String`; outside, it is bytes.
//!
//! The kernel and the tools take bytes and give the same bytes back. `text_of` makes a `String` of any bytes and `bytes_of` gives exactly
//! those bytes again: a byte that is no UTF-8 becomes one private-use character, U+10FF00 and the byte. What would be mistaken for
//! such a character, because somebody typed it, is itself taken byte by byte. Whatever comes in goes through `text_of`, and whatever goes out
//! through `bytes_of`; a text's length, where a tool has a limit, is `length_of`.
//!
//! A file's name is such a text too, in messages and reports (`text_of_path`): it comes out as the bytes that it is, so it can be looked for, and in
//! JSON as [`super::json`] writes it. (`Path::display` would print U+FFFD, which is another name.)

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

/// Two small letters or digits a byte, without anything between.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)].into());
        text.push(DIGITS[usize::from(byte & 15)].into());
    }
    text
}

/// The text that stands for these bytes. What is UTF-8 stays as it is.
pub fn text_of(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if is_plain(text) => text.to_owned(),
        _ => text_with_stand_ins(bytes),
    }
}

/// The same of bytes that nobody needs any more.
pub fn text_from(bytes: Vec<u8>) -> String {
    match String::from_utf8(bytes) {
        Ok(text) if is_plain(&text) => text,
        Ok(text) => text_with_stand_ins(text.as_bytes()),
        Err(error) => text_with_stand_ins(error.as_bytes()),
    }
}

fn text_with_stand_ins(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            if byte_behind(letter).is_some() {
                let mut typed = [0; 4];
                text.extend(letter.encode_utf8(&mut typed).bytes().map(stand_in));
            } else {
                text.push(letter);
            }
        }
        text.extend(chunk.invalid().iter().copied().map(stand_in));
    }
    text
}

/// The bytes that this text stands for.
pub fn bytes_of(text: &str) -> Vec<u8> {
    bytes_in(text).into_owned()
}

/// The same without a copy, where there is no stand-in: for what is long.
pub fn bytes_in(text: &str) -> Cow<'_, [u8]> {
    if is_plain(text) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut bytes = Vec::with_capacity(text.len());
    for letter in text.chars() {
        match byte_behind(letter) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend(letter.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    Cow::Owned(bytes)
}

/// How many bytes this text stands for.
pub fn length_of(text: &str) -> usize {
    if is_plain(text) {
        text.len()
    } else {
        text.chars().map(width).sum()
    }
}

/// Whether this text stands for more bytes than so many. It never has fewer itself, so that most need no look.
pub fn exceeds(text: &str, limit: usize) -> bool {
    text.len() > limit && length_of(text) > limit
}

/// As much of the front of this text as stands for at most `limit` bytes. Where a cut falls within a character, its first bytes are kept
/// as bytes, as a tool that counts them would. What comes back is what [`text_of`] makes of those bytes, also where the text was put together.
pub fn front_of(text: &str, limit: usize) -> String {
    if text.len() <= limit && is_plain(text) {
        return text.to_owned();
    }
    let mut bytes = bytes_of(text);
    bytes.truncate(limit);
    text_of(&bytes)
}

/// An argument or a path as text. (On systems whose names are not bytes, what Rust says their bytes are.)
pub fn text_of_os(name: &OsStr) -> String {
    text_of(name.as_encoded_bytes())
}

/// The same of a path, as every message shows it.
pub fn text_of_path(path: &Path) -> String {
    text_of_os(path.as_os_str())
}

/// The path that this text stands for.
pub fn path_of(text: &str) -> PathBuf {
    PathBuf::from(os_of(text))
}

/// The argument or path that this text stands for.
pub fn os_of(text: &str) -> OsString {
    #[cfg(unix)]
    return std::os::unix::ffi::OsStringExt::from_vec(bytes_of(text));
    #[cfg(not(unix))]
    return OsString::from(text);
}

/// The byte that a stand-in stands for.
pub fn byte_behind(letter: char) -> Option<u8> {
    match u32::from(letter) {
        // Bytes below 0x80 are always UTF-8 and never need one.
        code @ 0x10_FF80..=0x10_FFFF => Some((code & 0xff) as u8),
        _ => None,
    }
}

/// The text in quotes, for messages: its control characters and quotes escaped, as `{:?}` has it, but a stand-in left as the byte that it stands for.
pub fn quoted(text: &str) -> impl fmt::Display {
    fmt::from_fn(move |out| {
        out.write_char('"')?;
        for letter in text.chars() {
            match letter {
                _ if byte_behind(letter).is_some() => out.write_char(letter)?,
                '\'' => out.write_char(letter)?,
                _ => write!(out, "{}", letter.escape_debug())?,
            }
        }
        out.write_char('"')
    })
}

/// The character as it is, but of a stand-in `\xff`: for forms that hold no bytes, such as XML.
pub fn push_visible(out: &mut String, letter: char) {
    match byte_behind(letter) {
        Some(byte) => {
            let _ = write!(out, "\\x{byte:02x}");
        }
        None => out.push(letter),
    }
}

/// The character that stands for a byte which is no UTF-8 where it is.
fn stand_in(byte: u8) -> char {
    char::from_u32(STAND_INS + u32::from(byte)).expect("U+10FF00 to U+10FFFF are characters")
}

/// Whether the text has no stand-in, and so is its own bytes. All of them begin with the same byte, which little else does.
fn is_plain(text: &str) -> bool {
    memchr::memchr(FIRST_BYTE_OF_STAND_INS, text.as_bytes()).is_none()
        || !text.chars().any(|letter| byte_behind(letter).is_some())
}

fn width(letter: char) -> usize {
    if byte_behind(letter).is_some() {
        1
    } else {
        letter.len_utf8()
    }
}

const STAND_INS: u32 = 0x10_FF00;
const FIRST_BYTE_OF_STAND_INS: u8 = 0xF4;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_utf8_stays_and_every_other_byte_has_a_stand_in() {
        for (bytes, text) in [
            (&b""[..], ""),
            (b"plain \t\n\0 text", "plain \t\n\0 text"),
            (
                "Grüße 🦀 \u{10FF00}\u{10FF7F}".as_bytes(),
                "Grüße 🦀 \u{10FF00}\u{10FF7F}",
            ),
            (b"\xff\xfe", "\u{10FFFF}\u{10FFFE}"),
            // A letter cut short, an overlong slash, a surrogate: none of them is UTF-8, so byte by byte.
            (b"\xc3", "\u{10FFC3}"),
            (b"\xc0\xaf", "\u{10FFC0}\u{10FFAF}"),
            (b"\xed\xa0\x80", "\u{10FFED}\u{10FFA0}\u{10FF80}"),
            // A stand-in that somebody typed.
            ("\u{10FFFF}".as_bytes(), "\u{10FFF4}\u{10FF8F}\u{10FFBF}\u{10FFBF}"),
            ("\u{10FF80}".as_bytes(), "\u{10FFF4}\u{10FF8F}\u{10FFBE}\u{10FF80}"),
        ] {
            assert_eq!(text_of(bytes), text, "{bytes:x?}");
            assert_eq!(text_from(bytes.to_vec()), text, "{bytes:x?}");
            assert_eq!(bytes_of(text), bytes, "{text:?}");
            assert_eq!(*bytes_in(text), *bytes, "{text:?}");
            assert_eq!(length_of(text), bytes.len(), "{text:?}");
            assert!(!exceeds(text, bytes.len()), "{text:?}");
            assert!(bytes.is_empty() || exceeds(text, bytes.len() - 1), "{text:?}");
            assert_eq!(os_of(&text_of_os(&os_of(text))), os_of(text), "{text:?}");
            assert_eq!(os_of(text).as_encoded_bytes(), bytes, "{text:?}");
        }
        for byte in 0..=u8::MAX {
            assert_eq!(bytes_of(&text_of(&[byte])), [byte]);
        }
    }

    #[test]
    fn what_is_quoted_is_one_line_and_keeps_its_bytes() {
        for text in ["", "plain 'text'", "a \"b\" \\", "two\nlines\u{7f}\0", "Grüße"] {
            assert_eq!(quoted(text).to_string(), format!("{text:?}"));
        }
        assert_eq!(bytes_of(&quoted(&text_of(b"l\xff\n")).to_string()), b"\"l\xff\\n\"");
    }

    #[test]
    fn a_cut_counts_bytes() {
        assert_eq!(front_of("äöü", 6), "äöü");
        assert_eq!(front_of("äöü", 5), "äö\u{10FFC3}");
        assert_eq!(bytes_of(&front_of("äöü", 5)), &"äöü".as_bytes()[..5]);
        assert_eq!(front_of("\u{10FFFF}a", 1), "\u{10FFFF}");
    }

    proptest! {
        #[test]
        fn bytes_come_back(bytes in odd_bytes()) {
            let text = text_of(&bytes);
            prop_assert_eq!(bytes_of(&text), bytes.clone());
            prop_assert_eq!(length_of(&text), bytes.len());
            // Two different byte strings have two different texts, and the way back is the way back: this is the other direction.
            prop_assert_eq!(text_of(&bytes_of(&text)), text.clone());
            prop_assert_eq!(std::str::from_utf8(&bytes).is_ok_and(is_plain), text.as_bytes() == bytes);
        }

        #[test]
        fn a_text_without_stand_ins_is_its_own_bytes(text in any::<String>()) {
            prop_assert_eq!(bytes_of(&text_of(text.as_bytes())), text.as_bytes());
            if is_plain(&text) {
                prop_assert_eq!(text_of(text.as_bytes()), text.clone());
                prop_assert_eq!(bytes_of(&text), text.as_bytes());
            }
        }

        #[test]
        fn texts_put_together_are_the_bytes_put_together(one in odd_bytes(), other in odd_bytes()) {
            let (text, whole) = (text_of(&one) + &text_of(&other), [one, other].concat());
            prop_assert_eq!(length_of(&text), whole.len());
            prop_assert_eq!(bytes_of(&text), whole);
        }
    }

    /// Bytes among which stand-ins, halves of them and other UTF-8 occur often.
    fn odd_bytes() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            any::<Vec<u8>>(),
            any::<String>().prop_map(String::into_bytes),
            (0x10_FF00u32..=0x10_FFFF, 1usize..=4).prop_map(|(code, kept)| {
                let mut typed = String::from(char::from_u32(code).unwrap()).into_bytes();
                typed.truncate(kept);
                typed
            }),
        ];
        proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
    }
}
