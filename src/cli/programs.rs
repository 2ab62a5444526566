//! Programs of a shell's that ask the current lab when `nflab` stands before them: `nflab dmesg`, `nflab cat`, `nflab lsmod`.

use std::ffi::OsString;

use super::client;

#[derive(Debug, clap::Args)]
pub(super) struct DmesgArguments {
    /// Show it, then forget it
    #[arg(short = 'c', long = "read-clear")]
    read_clear: bool,
    /// Forget it
    #[arg(short = 'C', long, conflicts_with = "read_clear")]
    clear: bool,
    /// Show it, then every line as it comes
    #[arg(short = 'w', long, conflicts_with_all = ["clear", "read_clear"])]
    follow: bool,
    /// Show every line that comes from now on
    #[arg(short = 'W', long = "follow-new", conflicts_with_all = ["clear", "read_clear", "follow"])]
    follow_new: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct CatArguments {
    /// Such as /proc/net/nf_conntrack, /proc/net/ip_tables_names, /proc/net/ip6_tables_names, /proc/modules, or a file under /proc/sys/net
    #[arg(required = true, value_name = "FILE")]
    files: Vec<OsString>,
}

pub(super) fn dmesg(arguments: &DmesgArguments) -> u8 {
    let given = [
        (arguments.read_clear, "-c"),
        (arguments.clear, "-C"),
        (arguments.follow, "-w"),
        (arguments.follow_new, "-W"),
    ];
    let args: Vec<OsString> = given
        .into_iter()
        .filter(|(given, _)| *given)
        .map(|(_, option)| option.into())
        .collect();
    client::run("dmesg", &args)
}

pub(super) fn cat(arguments: &CatArguments) -> u8 {
    client::run("cat", &arguments.files)
}

pub(super) fn lsmod() -> u8 {
    client::run("lsmod", &[])
}
