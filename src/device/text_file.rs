//! Texts that are read whole: within a bound, since some files have no end (`/dev/zero`).

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::base::bytes::text_from;

/// A whole file as text, whatever its bytes are.
pub fn read_file(path: &Path) -> io::Result<String> {
    read_bytes(path).map(text_from)
}

/// A whole file. Every text that a command reads whole is read by this or by [`read_whole`].
pub fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    read_whole(File::open(path)?)
}

/// All that there is to read, within the bound of a text.
pub fn read_whole(source: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(LARGEST_TEXT as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > LARGEST_TEXT {
        return Err(too_large());
    }
    Ok(bytes)
}

/// All that there is to read. The tools take what can't be read (a directory, a descriptor that is closed) for the end of the text.
pub fn read_text(source: impl Read) -> Result<String, String> {
    let mut bytes = Vec::new();
    let mut source = source.take(LARGEST_TEXT as u64 + 1);
    let _ = source.read_to_end(&mut bytes);
    if bytes.len() > LARGEST_TEXT {
        return Err(format!(
            "it has more than the {} MB that a lab takes",
            LARGEST_TEXT >> 20
        ));
    }
    Ok(text_from(bytes))
}

/// What is said of a text beyond the bound.
pub fn too_large() -> io::Error {
    let text = format!(
        "it has more than the {} MB that nflab takes of one text; give it in parts, or what was meant",
        LARGEST_TEXT >> 20
    );
    io::Error::new(io::ErrorKind::FileTooLarge, text)
}

/// What a lab takes in one request: a ruleset of a hundred thousand rules has some ten megabytes; what is longer than this is a mistake.
pub const LARGEST_TEXT: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    /// What cannot be read is the end of the text.
    #[test]
    fn all_that_there_is_to_read() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::Error::other("broken"))
            }
        }
        assert_eq!(read_text(&b"-A INPUT\n"[..]), Ok("-A INPUT\n".to_owned()));
        assert_eq!(read_text((&b"-A "[..]).chain(Broken)), Ok("-A ".to_owned()));
        let most = LARGEST_TEXT as u64;
        assert_eq!(
            read_text(std::io::repeat(b'#').take(most)).map(|it| it.len()),
            Ok(LARGEST_TEXT)
        );
        assert!(read_text(std::io::repeat(b'#').take(most + 1)).is_err());
    }
}
