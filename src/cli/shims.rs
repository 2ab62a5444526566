//! `nflab shims DIR`: a link for each tool's name.

use std::fs;
use std::io;
use std::path::Path;

use super::tools::SHIMS;
use crate::base::bytes::text_of_path;
use crate::device::standard::tell;

pub(super) fn run(directory: &Path) -> u8 {
    match make(directory) {
        Ok(()) => 0,
        Err((path, error)) => {
            let remedy = match error.kind() {
                io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
                    "something else is there: move it away, or name another directory"
                }
                _ => "name a directory that you may write to",
            };
            tell!(
                "nflab: cannot make {path}: {}; {remedy}",
                super::tools::said_by_system(&error)
            );
            2
        }
    }
}

/// Makes the directory and its links to this program. A link of ours that is there already is made anew; anything else in the way is an error.
pub(super) fn make(directory: &Path) -> Result<(), (String, io::Error)> {
    let failed = |path: &Path| {
        let name = text_of_path(path);
        move |error| (name, error)
    };
    fs::create_dir_all(directory).map_err(failed(directory))?;
    let program = std::env::current_exe().map_err(failed(Path::new("the links")))?;
    for name in SHIMS {
        let link = directory.join(name);
        if link.is_symlink() {
            fs::remove_file(&link).map_err(failed(&link))?;
        }
        std::os::unix::fs::symlink(&program, &link).map_err(failed(&link))?;
    }
    Ok(())
}
