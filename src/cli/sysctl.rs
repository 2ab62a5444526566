//! `sysctl`, with the messages and exit codes of procps-ng 4.0.2 as seen by running it.

use crate::lab::machine::{Call, KnobError, Machine, ToolOutput};

pub fn run(machine: &Machine, call: &Call<'_>) -> ToolOutput {
    match Options::read(call.args) {
        Ok(options) => options.run(machine, call),
        Err(output) => output,
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
            if let Some(long) = arg.strip_prefix("--") {
                let (name, value) = match long.split_once('=') {
                    Some((name, value)) => (name, Some(value.to_owned())),
                    None => (long, None),
                };
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
                    _ => return Err(usage(&format!("sysctl: unrecognized option '{arg}'\n"))),
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
            for key in machine.sysctls() {
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
            return match self.pattern {
                Some(_) => ToolOutput::failure(
                    1,
                    "sysctl: no variables specified\nTry `sysctl --help' for more information.\n",
                ),
                None => ToolOutput {
                    stdout: USAGE.to_owned(),
                    code: 1,
                    ..ToolOutput::default()
                },
            };
        }
        for word in &self.words {
            match word.split_once('=') {
                Some((key, value)) => self.set(machine, &key_of(key.trim()), value.trim(), self.ignore, &mut output),
                None if self.write => {
                    output.stderr += "sysctl: command line(0): invalid syntax, continuing...\n";
                    output.code = 1;
                    // The rest of a setting that was torn apart by blanks is not looked at either.
                    return output;
                }
                None => self.read_key(machine, &key_of(word), &mut output),
            }
        }
        output
    }

    fn read_key(&self, machine: &Machine, key: &str, output: &mut ToolOutput) {
        if machine.sysctl(key).is_some() {
            return self.show(machine, key, output);
        }
        let inside = format!("{key}.");
        let below: Vec<String> = machine
            .sysctls()
            .into_iter()
            .filter(|other| other.starts_with(&inside))
            .collect();
        if !below.is_empty() && !key.is_empty() {
            for key in below {
                self.show(machine, &key, output);
            }
        } else {
            self.missing(key, self.ignore, output);
        }
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

    fn missing(&self, key: &str, ignore: bool, output: &mut ToolOutput) {
        if !ignore {
            let path = key.replace('.', "/");
            output.stderr += &format!("sysctl: cannot stat /proc/sys/{path}: No such file or directory\n");
            output.code = 1;
        }
    }

    fn set(&self, machine: &Machine, key: &str, value: &str, ignore: bool, output: &mut ToolOutput) {
        if machine.sysctl(key).is_none() {
            return self.missing(key, ignore, output);
        }
        let result = if self.dry {
            Ok(())
        } else {
            machine.set_sysctl(key, value)
        };
        match result {
            Ok(()) => {
                if !self.quiet {
                    let text = match (self.names_only, self.values_only) {
                        (true, _) => format!("{key}\n"),
                        (_, true) => format!("{value}\n"),
                        _ => format!("{key} = {value}\n"),
                    };
                    output.stdout += &text;
                }
            }
            Err(KnobError::Unknown(_)) => self.missing(key, ignore, output),
            // A knob that the kernel shows read-only is not written, and the tool says so without an exit code.
            Err(KnobError::ReadOnly(_)) => {
                output.stderr += &format!("sysctl: setting key \"{key}\": Invalid argument\n");
            }
            Err(KnobError::Invalid(why)) => {
                output.stderr += &format!("sysctl: setting key \"{key}\": Invalid argument\n");
                output.advice += &format!("{why}\n");
                output.code = 1;
            }
            Err(KnobError::NotOffered(why)) => {
                output.stderr += &format!("sysctl: {why}\n");
                output.code = 1;
            }
        }
    }

    /// `-p`: lines `key = value`; `-` before a key forgives its absence, `#` and `;` begin comments.
    fn load(&self, machine: &Machine, call: &Call<'_>, output: &mut ToolOutput) {
        let standard = ["/etc/sysctl.conf".to_owned()];
        let files = if self.words.is_empty() {
            &standard[..]
        } else {
            &self.words[..]
        };
        for file in files {
            let text = match file.as_str() {
                "-" => call.stdin.to_owned(),
                name => match std::fs::read_to_string(call.directory.join(name)) {
                    Ok(text) => text,
                    Err(error) => {
                        let why = super::tools::said_by_system(&error);
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
                let (line, forgive) = match line.strip_prefix('-') {
                    Some(rest) => (rest, true),
                    None => (line, self.ignore),
                };
                match line.split_once('=') {
                    Some((key, value)) => self.set(machine, &key_of(key.trim()), value.trim(), forgive, output),
                    None => {
                        output.stderr += &format!("sysctl: {file}({}): invalid syntax, continuing...\n", number + 1);
                    }
                }
            }
        }
    }
}

/// Slashes and dots say the same, whichever comes first.
fn key_of(text: &str) -> String {
    let first = text.find(['.', '/']).map(|at| text.as_bytes()[at]);
    match first {
        Some(b'/') => text.replace('.', "\0").replace('/', ".").replace('\0', "/"),
        _ => text.to_owned(),
    }
}

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

fn usage(complaint: &str) -> ToolOutput {
    ToolOutput {
        stdout: USAGE.to_owned(),
        stderr: complaint.to_owned(),
        code: 1,
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
