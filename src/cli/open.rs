//! Making the lab that a subcommand asks for.

use std::io::ErrorKind;
use std::path::Path;

use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::TOOLBOX;
use crate::base::Family;
use crate::device::standard::tell_styled;
use crate::device::text_file::{read_bytes, read_regular};
use crate::lab::copy::LabCopy;
use crate::lab::file::{LabFile, LabFileError};
use crate::lab::machine::{Profile, ToolOutput};
use crate::lab::memory::Lab;
use crate::text::{Program, restore};

/// `--profile`, of every subcommand that makes a lab.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(super) struct As {
    /// The lab as today's kernel, or as one of the ip_conntrack days, whatever its file says
    #[arg(long, value_name = "PROFILE", value_parser = profile_parser())]
    pub profile: Option<Profile>,
}

impl As {
    /// The same lab as the profile that was asked for.
    pub(super) fn applied(self, file: LabFile) -> LabFile {
        match self.profile {
            Some(profile) => file.as_profile(profile),
            None => file,
        }
    }
}

fn profile_parser() -> impl TypedValueParser<Value = Profile> {
    PossibleValuesParser::new(Profile::ALL.map(Profile::name)).map(|name| Profile::from_name(&name).unwrap_or_default())
}

/// From a file, or the default one. What is wrong is said on standard error; the exit code is 2.
pub(super) fn lab(file: Option<&Path>, what: As, seed: u64) -> Result<Lab, u8> {
    made(&what.applied(file_or_default(file)?), seed)
}

/// What a lab file describes.
pub(super) fn made(file: &LabFile, seed: u64) -> Result<Lab, u8> {
    Lab::new(file, seed, TOOLBOX).map_err(|error| say(&error.styled()))
}

/// What `iptables-restore`, or that of IPv6, says of rules, and of their counters. It refuses a policy without counters, which is how people write one by hand:
/// its counters are zero here. The `option` is the one that takes IPv4's (`--rules`): the one of IPv6 has a 6 behind it, and who takes one for the other is told.
pub(super) fn restore(lab: &mut Lab, family: Family, rules: &str, option: &str) -> ToolOutput {
    let mut all = String::with_capacity(rules.len());
    for line in rules.split_inclusive('\n') {
        let bare = line.trim_end();
        all.push_str(bare);
        if bare.starts_with(':') && bare.split_ascii_whitespace().count() == 2 {
            all.push_str(" [0:0]");
        }
        all.push_str(&line[bare.len()..]);
    }
    let mut run = |family, options: &[&str]| {
        let options: Vec<String> = options.iter().map(|it| (*it).to_owned()).collect();
        lab.tool(Program::Restore(family).name(), &options, &all, Path::new("."))
    };
    let mut output = run(family, &["-c"]);
    let other = family.other();
    let named = |family: Family| match family {
        Family::V4 => option.to_owned(),
        Family::V6 => format!("{option}6"),
    };
    if output.code != 0 && run(other, &["-c", "--test"]).code == 0 {
        let (own, others) = (named(family), named(other));
        output.advice =
            format!("nflab: these are rules of {other}, and {own} takes those of {family}: give them to {others}\n");
    } else if output.code == 0 && restore::written_by(rules) == Some(other) {
        let (tool, own, others) = (Program::Save(other).name(), named(family), named(other));
        let note = format!(
            "nflab: {tool} wrote these rules, as they say, and {own} takes them for {family}'s: {others} is for {other}'s\n"
        );
        output.stderr.push_str(&note);
    }
    output
}

/// The current lab as text. Where there is none, what to do is said, with `instead`; the exit code is 4.
#[cfg(unix)]
pub(super) fn current(instead: &str) -> Result<LabCopy, u8> {
    super::current::copy(&super::current::find_or_say(instead)?)
}

/// The current lab: there is none where there are no unix sockets.
#[cfg(not(unix))]
pub fn current(instead: &str) -> Result<LabCopy, u8> {
    crate::device::standard::tell!("nflab: labs are spoken to over unix sockets, which are not here; {instead}");
    Err(4)
}

/// The same without notes, for `sh`: its standard error is the command's, and no packet is sent that they could be about.
pub(super) fn quiet_lab(file: Option<&Path>, what: As, seed: u64) -> Result<Lab, u8> {
    let file = what.applied(file_or_default(file)?);
    Lab::new(&file, seed, TOOLBOX).map_err(|error| say(&error.styled()))
}

/// The lab file, or the default one's.
pub(super) fn file_or_default(file: Option<&Path>) -> Result<LabFile, u8> {
    match file {
        Some(path) => load(path),
        None => Lab::default_file().map_err(|error| say(&error.styled())),
    }
}

/// `lab.toml` in a directory, or the default one where nothing has that name.
pub(super) fn beside(directory: &Path) -> Result<LabFile, u8> {
    match LabFile::load(&directory.join("lab.toml"), read_regular) {
        Err(LabFileError::Read { source, .. }) if source.kind() == ErrorKind::NotFound => file_or_default(None),
        loaded => loaded.map_err(said),
    }
}

/// A lab file, with what is wrong said.
pub(super) fn load(path: &Path) -> Result<LabFile, u8> {
    LabFile::load(path, read_bytes).map_err(said)
}

fn said(error: LabFileError) -> u8 {
    match error {
        LabFileError::Text(error) => say(&error.styled()),
        error @ LabFileError::Read { .. } => say(&format!("nflab: {error}")),
    }
}

fn say(text: &str) -> u8 {
    tell_styled!("{text}");
    2
}
