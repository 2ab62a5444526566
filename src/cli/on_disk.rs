//! The files of this machine, for the labs of this program: opened as whoever calls it.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use crate::device::result_file::ResultFile;
use crate::device::text_file::{read_file, read_text};
use crate::lab::files::{BegunFile, Opener};

/// Reads files, and writes them whole or not at all.
#[derive(Clone, Copy, Debug)]
pub(super) struct OnDisk;

impl Opener for OnDisk {
    fn read(&self, path: &Path) -> io::Result<String> {
        read_file(path)
    }

    fn open(&self, path: &Path) -> io::Result<Result<String, String>> {
        Ok(read_text(fs::File::open(path)?))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn BegunFile>> {
        if path.as_os_str().is_empty() {
            // A result's directory would be looked for; the tool opens what has no name, in the system's words.
            fs::metadata(path)?;
        }
        Ok(Box::new(ResultFile::create(path)?))
    }
}

impl BegunFile for ResultFile {
    fn finish(mut self: Box<Self>, contents: &[u8]) -> io::Result<()> {
        self.write_all(contents)?;
        self.keep()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::bytes::text_of;
    use crate::lab::files::{Content, Input, Needs, Output, gather};

    #[test]
    fn what_is_gathered() {
        let directory = std::env::temp_dir().join(format!("nflab-files-{}", std::process::id()));
        fs::create_dir_all(directory.join("sub")).unwrap();
        fs::write(directory.join("rules"), b"a\xff\n").unwrap();
        let needs = Needs {
            reads: ["rules", "none", "sub", ""]
                .map(|name| Input::File(name.to_owned()))
                .into_iter()
                .chain([Input::Stdin, Input::Stdin])
                .collect(),
            outputs: Vec::new(),
        };
        let gathered = gather(&OnDisk, &needs, &directory, || "in".to_owned()).unwrap();
        let contents: Vec<Content> = gathered.files.into_iter().map(|file| file.content).collect();
        assert_eq!(
            contents,
            [
                Content::Text(text_of(b"a\xff\n")),
                Content::Refused("No such file or directory".into()),
                Content::Text(String::new()),
                Content::Refused("No such file or directory".into()),
            ]
        );
        assert_eq!(gathered.stdin, "in");
        let output = |name: &str| Output {
            name: name.to_owned(),
            complaint: "Failed: ",
        };
        let needs = Needs {
            reads: Vec::new(),
            outputs: vec![output("rules"), output("other")],
        };
        let gathered = gather(&OnDisk, &needs, &directory, String::new).unwrap();
        gathered.output.unwrap().write("text").unwrap();
        assert_eq!(
            fs::read(directory.join("rules")).unwrap(),
            b"",
            "it was opened, as the tool does"
        );
        assert_eq!(fs::read(directory.join("other")).unwrap(), b"text");
        let needs = Needs {
            reads: Vec::new(),
            outputs: vec![output("sub")],
        };
        assert_eq!(
            gather(&OnDisk, &needs, &directory, String::new).unwrap_err(),
            "Failed: Is a directory\n"
        );
        fs::remove_dir_all(directory).unwrap();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn endless_files_and_full_ones() {
        let needs = Needs {
            reads: vec![Input::File("/dev/zero".into())],
            outputs: vec![Output {
                name: "/dev/full".into(),
                complaint: "",
            }],
        };
        let gathered = gather(&OnDisk, &needs, Path::new("."), String::new).unwrap();
        assert!(matches!(&gathered.files[0].content, Content::Refused(why) if why.contains("MB")));
        assert_eq!(
            gathered.output.unwrap().write("x").unwrap_err(),
            "cannot write /dev/full: No space left on device"
        );
    }
}
