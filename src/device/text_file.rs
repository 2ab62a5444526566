//! Texts that are read whole: within a bound, since some files have no end (`/dev/zero`).

use std::fs::{self, File};
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

/// A whole file that a text or a place names, and no caller: only a regular one, since any other may never come to an end, and one that has all
/// it has to give at once (`/proc/kmsg` has not). `NotFound` says that there is no such name: a link that leads nowhere is one.
pub fn read_regular(path: &Path) -> io::Result<Vec<u8>> {
    let named = fs::symlink_metadata(path)?;
    let open = || {
        // Before it is opened, which some devices take for a command; and after, since it may be another by then.
        only_regular(&fs::metadata(path)?)?;
        let file = open_at_once(path)?;
        only_regular(&file.metadata()?)?;
        read_whole(file)
    };
    open().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound if named.is_symlink() => io::Error::other("it is a link that leads nowhere"),
        io::ErrorKind::WouldBlock => io::Error::other("it waits for more to read, and only what is whole is read here"),
        _ => error,
    })
}

fn only_regular(metadata: &fs::Metadata) -> io::Result<()> {
    let kind = metadata.file_type();
    if kind.is_file() {
        return Ok(());
    }
    let what = if kind.is_dir() {
        "a directory"
    } else {
        "no regular file"
    };
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("it is {what}, and only regular files are read here"),
    ))
}

/// Without waiting for whoever writes to it.
fn open_at_once(path: &Path) -> io::Result<File> {
    #[cfg(unix)]
    {
        use rustix::fs::{Mode, OFlags};
        let how = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(rustix::fs::open(path, how, Mode::empty())?.into())
    }
    #[cfg(not(unix))]
    File::open(path)
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

    #[cfg(unix)]
    #[test]
    fn only_what_is_whole_is_read() {
        use std::os::unix::fs::symlink;
        let directory = std::env::temp_dir().join(format!("nflab-regular-{}", std::process::id()));
        fs::create_dir_all(directory.join("sub")).unwrap();
        let at = |name: &str| directory.join(name);
        fs::write(at("file"), "text").unwrap();
        symlink("file", at("link")).unwrap();
        symlink("gone", at("nowhere")).unwrap();
        symlink("circle", at("circle")).unwrap();
        let made = std::process::Command::new("mkfifo").arg(at("fifo")).status().unwrap();
        assert!(made.success());
        let say = |name: &str| match read_regular(&at(name)) {
            Ok(bytes) => format!("{:?}", text_from(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => "there is none".to_owned(),
            Err(error) => error.to_string(),
        };
        for (name, said) in [
            ("file", "\"text\""),
            ("link", "\"text\""),
            ("none", "there is none"),
            ("nowhere", "it is a link that leads nowhere"),
            ("circle", "Too many levels of symbolic links (os error 40)"),
            ("sub", "it is a directory, and only regular files are read here"),
            ("fifo", "it is no regular file, and only regular files are read here"),
            (
                "/dev/zero",
                "it is no regular file, and only regular files are read here",
            ),
            ("file/under", "Not a directory (os error 20)"),
        ] {
            assert_eq!(say(name), said, "{name}");
        }
        fs::remove_dir_all(directory).unwrap();
    }

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
