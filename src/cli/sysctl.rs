//! `sysctl`, with the messages and exit codes of procps-ng 4.0.2 as seen by running it.

use crate::conntrack::Settings;
use crate::lab::files::{Input, Needs};
use crate::lab::machine::{Call, KnobError, Machine, ToolOutput};
use crate::lab::proc_files::advice;

pub(super) fn run(machine: &Machine, call: &Call<'_>) -> ToolOutput {
    match Options::read(call.args) {
        Ok(options) => options.run(machine, call),
        Err(output) => output,
    }
}

/// The files of `-p`, one after the other.
pub(super) fn needs(args: &[String]) -> Needs {
    let reads = match Options::read(args) {
        Ok(options) if options.load && !options.all => options
            .files()
            .map(|name| match name {
                "-" => Input::Stdin,
                name => Input::File(name.to_owned()),
            })
            .collect(),
        _ => Vec::new(),
    };
    Needs {
        reads,
        outputs: Vec::new(),
    }
}

#[derive(Debug, Default)]
struct Options {
    all: bool,
    values_only: bool,
    names_only: bool,
    binary: bool,
    ignore: bool,
    quiet: bool,
    write: bool,
    dry: bool,
    pattern: Option<String>,
    /// `-p`, with its files in `words`.
    load: bool,
    words: Vec<String>,
}

impl Options {
    fn read(args: &[String]) -> Result<Self, ToolOutput> {
        let mut options = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            if arg == "--" {
                options.words.extend(args.by_ref().cloned());
            } else if let Some(long) = arg.strip_prefix("--") {
                let (typed, value) = match long.split_once('=') {
                    Some((name, value)) => (name, Some(value.to_owned())),
                    None => (long, None),
                };
                let name = long_name(typed).map_err(|complaint| usage(&complaint))?;
                match name {
                    "all" => options.all = true,
                    "binary" => options.binary = true,
                    "ignore" => options.ignore = true,
                    "names" => options.names_only = true,
                    "values" => options.values_only = true,
                    "quiet" => options.quiet = true,
                    "write" => options.write = true,
                    "dry-run" => options.dry = true,
                    "deprecated" => {}
                    "pattern" => options.pattern = value.or_else(|| args.next().cloned()),
                    "load" => {
                        options.load = true;
                        options.words.extend(value);
                    }
                    "help" => return Err(ToolOutput::success(USAGE)),
                    "version" => return Err(ToolOutput::success("sysctl from procps-ng 4.0.2\n")),
                    other => {
                        let complaint =
                            format!("sysctl: option `--{other}' is not there in nflab; nothing was changed\n");
                        return Err(ToolOutput::failure(2, complaint));
                    }
                }
            } else if let Some(letters) = arg.strip_prefix('-').filter(|letters| !letters.is_empty()) {
                let mut rest = letters.chars();
                while let Some(letter) = rest.next() {
                    match letter {
                        'a' | 'A' | 'X' => options.all = true,
                        'b' => options.binary = true,
                        'e' => options.ignore = true,
                        'N' => options.names_only = true,
                        'n' => options.values_only = true,
                        'q' => options.quiet = true,
                        'w' => options.write = true,
                        'o' | 'x' => {}
                        'r' => {
                            let attached: String = rest.by_ref().collect();
                            options.pattern = match attached.is_empty() {
                                true => args.next().cloned(),
                                false => Some(attached),
                            };
                        }
                        'p' | 'f' => {
                            options.load = true;
                            let attached: String = rest.by_ref().collect();
                            if !attached.is_empty() {
                                options.words.push(attached);
                            }
                        }
                        'h' | 'd' => return Err(ToolOutput::success(USAGE)),
                        'V' => return Err(ToolOutput::success("sysctl from procps-ng 4.0.2\n")),
                        other => return Err(usage(&format!("sysctl: invalid option -- '{other}'\n"))),
                    }
                }
            } else {
                options.words.push(arg.clone());
            }
        }
        Ok(options)
    }

    fn run(&self, machine: &Machine, call: &Call<'_>) -> ToolOutput {
        let mut output = ToolOutput::default();
        if self.all {
            if let Some(pattern) = &self.pattern
                && pattern.contains(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '.' | '^' | '$'))
            {
                return ToolOutput::failure(
                    2,
                    format!("sysctl: {pattern}: of regular expressions nflab knows ^ and $ only\n"),
                );
            }
            let all = machine.sysctls().into_iter();
            for key in all.filter(|key| machine.sysctl(key).is_some()) {
                if self.pattern.as_ref().is_none_or(|pattern| fits(&key, pattern)) {
                    self.show(machine, &key, &mut output);
                }
            }
            return output;
        }
        if self.load {
            self.load(machine, call, &mut output);
            return output;
        }
        if self.words.is_empty() {
            // Any option at all is taken for an order that names nothing.
            return match call.args {
                [] => ToolOutput::failure(1, USAGE),
                _ => ToolOutput::failure(
                    1,
                    "sysctl: no variables specified\nTry `sysctl --help' for more information.\n",
                ),
            };
        }
        for word in &self.words {
            if !self.write && !word.contains('=') {
                // Each that can't be read counts.
                output.code += self.read_key(machine, &key_of(word), &mut output);
            } else {
                output.code |= i32::from(!self.assign(machine, word, &mut output));
            }
        }
        output.code = output.code.rem_euclid(256);
        output
    }

    /// `key=value`; false where nothing was set.
    fn assign(&self, machine: &Machine, word: &str, output: &mut ToolOutput) -> bool {
        match word.split_once('=') {
            // What is as short as this is nothing to the tool, and no complaint either.
            _ if word.len() < 2 => false,
            Some((key, value)) => self.set(machine, &key_of(key.trim()), value.trim(), self.ignore, output),
            None => {
                output.stderr += "sysctl: command line(0): invalid syntax, continuing...\n";
                false
            }
        }
    }

    /// Gives what it adds to the exit code.
    fn read_key(&self, machine: &Machine, key: &str, output: &mut ToolOutput) -> i32 {
        if key.is_empty() {
            output.stderr += "sysctl: \"\" is an unknown key\n";
            return -1;
        }
        if machine.sysctl(key).is_some() {
            self.show(machine, key, output);
            return 0;
        }
        match machine.sysctl_unread(key) {
            // The tool is not let in, and says nothing of it.
            KnobError::WriteOnly(_) => return 0,
            KnobError::NotOffered(why) => {
                output.stderr += &format!("sysctl: {why}\n");
                return 1;
            }
            _ => {}
        }
        let inside = format!("{key}.");
        let mut below = machine.sysctls();
        below.retain(|other| other.starts_with(&inside) && machine.sysctl(other).is_some());
        for key in &below {
            self.show(machine, key, output);
        }
        i32::from(below.is_empty() && !self.missing(machine, key, self.ignore, output))
    }

    fn show(&self, machine: &Machine, key: &str, output: &mut ToolOutput) {
        let value = machine.sysctl(key).unwrap_or_default();
        let text = match (self.names_only, self.binary, self.values_only) {
            (true, ..) => format!("{key}\n"),
            (_, true, _) => value,
            (.., true) => format!("{value}\n"),
            _ => format!("{key} = {value}\n"),
        };
        output.stdout += &text;
    }

    /// Says that a key is not there; true where that is forgiven.
    fn missing(&self, machine: &Machine, key: &str, ignore: bool, output: &mut ToolOutput) -> bool {
        if key.is_empty() {
            output.stderr += "sysctl: Path is not under /proc/sys/: /proc/sys/\n";
            return false;
        }
        if !ignore {
            let inside_a_key = key
                .match_indices('.')
                .any(|(at, _)| machine.sysctl(&key[..at]).is_some());
            let why = match inside_a_key {
                true => "Not a directory",
                false => "No such file or directory",
            };
            output.stderr += &format!("sysctl: cannot stat /proc/sys/{}: {why}\n", swapped(key));
            output.advise("sysctl", || advice(machine, &format!("/proc/sys/{}", swapped(key))));
        }
        ignore
    }

    /// True where it was set, or not being there is forgiven.
    fn set(&self, machine: &Machine, key: &str, value: &str, ignore: bool, output: &mut ToolOutput) -> bool {
        if machine.sysctl(key).is_none() && matches!(machine.sysctl_unread(key), KnobError::Unknown(_)) {
            return self.missing(machine, key, ignore, output);
        }
        let result = if self.dry {
            Ok(())
        } else {
            machine.set_sysctl(key, value)
        };
        match result {
            Ok(()) => {
                output.stdout += &match (self.quiet, self.binary, self.names_only || self.values_only) {
                    (true, ..) => String::new(),
                    (_, true, _) => value.to_owned(),
                    (.., true) => format!("{value}\n"),
                    _ => format!("{key} = {value}\n"),
                };
                true
            }
            Err(KnobError::Unknown(_)) => self.missing(machine, key, ignore, output),
            // A knob that the kernel shows read-only is not written, and the tool says so without an exit code.
            Err(KnobError::ReadOnly(_) | KnobError::WriteOnly(_)) => {
                output.stderr += &format!("sysctl: setting key \"{key}\": Invalid argument\n");
                true
            }
            Err(KnobError::Invalid(why)) => {
                output.stderr += &format!("sysctl: setting key \"{key}\": Invalid argument\n");
                output.advice += &format!("{why}\n");
                // The real tool forgives what cannot be written to a file that it takes for one to read.
                let name = key.rsplit(['.', '/']).next().unwrap_or(key);
                Settings::is_of_the_machine(name)
            }
            Err(KnobError::NotOffered(why)) => {
                output.stderr += &format!("sysctl: {why}\n");
                output.advise("sysctl", || advice(machine, &format!("/proc/sys/{}", swapped(key))));
                false
            }
        }
    }

    /// What `-p` reads.
    fn files(&self) -> impl Iterator<Item = &str> {
        let standard = self.words.is_empty().then_some("/etc/sysctl.conf");
        standard.into_iter().chain(self.words.iter().map(String::as_str))
    }

    /// `-p`: lines `key = value`, all read before the first is set; `#` and `;` begin comments.
    fn load(&self, machine: &Machine, call: &Call<'_>, output: &mut ToolOutput) {
        let mut settings = Vec::new();
        let mut stdin = call.stdin;
        for file in self.files() {
            let text = match file {
                // What was read once is at its end.
                "-" => std::mem::take(&mut stdin).to_owned(),
                name => match call.files.take(name) {
                    Ok(text) => text,
                    Err(why) => {
                        output.stderr += &format!("sysctl: cannot open \"{name}\": {why}\n");
                        output.code = 1;
                        continue;
                    }
                },
            };
            for (number, line) in text.lines().enumerate() {
                let line = line.trim();
                if line.is_empty() || line.starts_with(['#', ';']) {
                    continue;
                }
                // A dash was meant to forgive a missing key; it forgives a missing value.
                let setting = line.trim_start_matches('-');
                match setting.split_once('=') {
                    Some((key, value)) => settings.push((key_of(key.trim_end()), value.trim().to_owned())),
                    None if line.starts_with('-') => {}
                    None => {
                        output.stderr += &format!("sysctl: {file}({}): invalid syntax, continuing...\n", number + 1);
                    }
                }
            }
        }
        for (key, value) in settings {
            output.code |= i32::from(!self.set(machine, &key, &value, self.ignore, output));
        }
    }
}

/// Slashes and dots say the same, whichever comes first.
fn key_of(text: &str) -> String {
    let first = text.find(['.', '/']).map(|at| text.as_bytes()[at]);
    match first {
        Some(b'/') => swapped(text),
        _ => text.to_owned(),
    }
}

/// Dots for slashes and slashes for dots: from a key to its path, and back.
fn swapped(text: &str) -> String {
    let other = |letter| match letter {
        '.' => '/',
        '/' => '.',
        letter => letter,
    };
    text.chars().map(other).collect()
}

/// The long option that is meant, as far as it was typed; else the C library's complaint.
fn long_name(typed: &str) -> Result<&'static str, String> {
    let close: Vec<&str> = LONG.iter().copied().filter(|name| name.starts_with(typed)).collect();
    match close[..] {
        [] => Err(format!("sysctl: unrecognized option '--{typed}'\n")),
        [one] => Ok(one),
        _ => {
            let names: Vec<String> = close.iter().map(|name| format!("'--{name}'")).collect();
            Err(format!(
                "sysctl: option '--{typed}' is ambiguous; possibilities: {}\n",
                names.join(" ")
            ))
        }
    }
}

#[rustfmt::skip]
const LONG: &[&str] = &[
    "all", "deprecated", "dry-run", "binary", "ignore", "names", "values", "load", "quiet", "write", "system", "pattern", "help", "version",
];

fn fits(key: &str, pattern: &str) -> bool {
    let (anchored_start, rest) = match pattern.strip_prefix('^') {
        Some(rest) => (true, rest),
        None => (false, pattern),
    };
    let (anchored_end, body) = match rest.strip_suffix('$') {
        Some(body) => (true, body),
        None => (false, rest),
    };
    match (anchored_start, anchored_end) {
        (true, true) => key == body,
        (true, false) => key.starts_with(body),
        (false, true) => key.ends_with(body),
        (false, false) => key.contains(body),
    }
}

/// A wrong option is no failure to the tool.
fn usage(complaint: &str) -> ToolOutput {
    ToolOutput {
        stdout: USAGE.to_owned(),
        stderr: complaint.to_owned(),
        ..ToolOutput::default()
    }
}

const USAGE: &str = "
Usage:
 sysctl [options] [key[=value] ...]

  -a, --all       every key          -n, --values    values alone
  -w, --write     set, don't read    -N, --names     names alone
  -e, --ignore    forgive unknown    -q, --quiet     say nothing when set
  -b, --binary    no line ends       -r, --pattern P keys that contain P (^ and $ are known)
  -p, --load FILE lines key = value  --dry-run       set nothing

";
