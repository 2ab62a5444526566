//! One call of a program: its files written, run in a directory and, where the real tools are meant, in a network namespace of its own.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::{env, fs, io::Read, thread};

use wait4::Wait4;

use super::{Call, Form};

/// What a call cost and how it ended.
pub(crate) struct Cost {
    /// Of the processor.
    pub milliseconds: f64,
    /// At most, of one process.
    pub megabytes: f64,
    pub status: Option<i32>,
    /// The end of standard error.
    pub said: String,
}

/// Milliseconds.
#[derive(Clone, Copy)]
pub(crate) struct Starts {
    pub contained: f64,
    pub alone: f64,
    /// The real tools' namespace.
    pub real: f64,
    /// One program more in a loop of the shell's: ours, and a real tool.
    pub more: [f64; 2],
}

/// A directory for the files, gone at the end.
pub(crate) struct Place {
    directory: PathBuf,
    has_real: bool,
}

impl Place {
    pub(crate) fn new() -> Self {
        let directory = env::temp_dir().join(format!("nflab-texts-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a temporary directory");
        let has_real = Command::new("unshare")
            .args(["-n", "iptables-legacy", "-S"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|it| it.success());
        if !has_real {
            println!("the real tools can't be asked here: that takes root and iptables-legacy");
        }
        Self { directory, has_real }
    }

    /// What nothing costs: to start a lab and contain a command, to start one alone, to make the real tools a namespace, and
    /// to start one program more.
    pub(crate) fn starts(&self) -> Starts {
        let least = |words: &[&str]| {
            let times = (0..5).map(|_| self.run(words, 0).milliseconds);
            times.fold(f64::MAX, f64::min)
        };
        Starts {
            contained: least(&["nflab", "sh", "--", "true"]),
            alone: least(&["nflab", "--version"]),
            real: match self.has_real {
                true => least(&["unshare", "-n", "true"]),
                false => 0.0,
            },
            more: [env!("CARGO_BIN_EXE_nflab"), "iptables-legacy"].map(|program| {
                let line = format!("for i in $(seq {MANY}); do {program} --version > /dev/null; done");
                match self.has_real {
                    true => least(&["sh", "-c", &line]) / f64::from(MANY),
                    false => 0.0,
                }
            }),
        }
    }

    pub(crate) fn ours(&self, form: &Form, size: usize) -> Cost {
        self.write(form, size);
        match form.call {
            Call::Tools(line) | Call::Own(line) => self.run(&["nflab", "sh", "--", "sh", "-c", line], size),
            Call::Nflab(arguments) => {
                let mut words = vec!["nflab"];
                words.extend(arguments);
                self.run(&words, size)
            }
            Call::Words(arguments) => {
                let arguments = arguments(size);
                let words: Vec<&str> = std::iter::once("nflab")
                    .chain(arguments.iter().map(String::as_str))
                    .collect();
                self.run(&words, size)
            }
        }
    }

    /// `None` where there is no real tool to ask.
    pub(crate) fn real(&self, form: &Form, size: usize) -> Option<Cost> {
        let Call::Tools(line) = form.call else { return None };
        if !self.has_real {
            return None;
        }
        self.write(form, size);
        Some(self.run(&["unshare", "-n", "sh", "-c", line], size))
    }

    fn write(&self, form: &Form, size: usize) {
        for (name, text) in (form.files)(size) {
            fs::write(self.directory.join(&*name), text).expect("a file of the temporary directory");
        }
    }

    fn run(&self, words: &[&str], size: usize) -> Cost {
        let program = match words[0] {
            "nflab" => env!("CARGO_BIN_EXE_nflab"),
            other => other,
        };
        // Whatever grows without a bound ends here.
        let mut child = Command::new("timeout")
            .arg(LONGEST)
            .arg(program)
            .args(&words[1..])
            .current_dir(&self.directory)
            .env("N", size.to_string())
            .env_remove("NFLAB")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("timeout is part of every system");
        let mut stderr = child.stderr.take().expect("it was asked for");
        let reading = thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stderr.read_to_end(&mut text);
            let start = text.len().saturating_sub(300);
            String::from_utf8_lossy(&text[start..]).into_owned()
        });
        let used = child.wait4().expect("it was started here");
        Cost {
            milliseconds: (used.rusage.utime + used.rusage.stime).as_secs_f64() * 1e3,
            megabytes: used.rusage.maxrss as f64 / 1e6,
            status: used.status.code(),
            said: reading.join().unwrap_or_default(),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Starts of a program, of which each costs too little to be measured alone.
const MANY: u8 = 50;
/// Seconds.
const LONGEST: &str = "60";
