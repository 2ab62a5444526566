//! `echo`, so that old scripts can write to `/proc/sys`, and to what rules share by name: `echo 1 > /proc/sys/net/ipv4/ip_forward`,
//! `echo +192.0.2.9 > /proc/net/xt_recent/ssh`.

use crate::lab::machine::{KnobError, Machine, ToolOutput};
use crate::lab::proc_files::{advice, place_of_shared};

pub(super) fn run(machine: &Machine, args: &[String]) -> ToolOutput {
    let (words, file) = match args {
        [words @ .., arrow, file] if arrow == ">" => (words, Some(file)),
        words => (words, None),
    };
    if let ([word], None) = (words, file)
        && word == "--help"
    {
        return ToolOutput::success(HELP);
    }
    let without_end = words.iter().take_while(|word| *word == "-n").count();
    let words = &words[without_end..];
    if let Some(word) = words.first().filter(|word| is_of_some_shells(word)) {
        return ToolOutput::failure(
            2,
            format!(
                "echo: {word}: a lab's echo has the option -n only: what others mean differs from shell to shell\n"
            ),
        );
    }
    let mut text = words.join(" ");
    if without_end == 0 {
        text.push('\n');
    }
    let Some(file) = file else {
        return ToolOutput::success(text);
    };
    if file == "/dev/null" {
        return ToolOutput::default();
    }
    let Some(path) = file.strip_prefix("/proc/sys/") else {
        return match place_of_shared(file) {
            Some((_, "")) => ToolOutput::failure(1, format!("echo: {file}: Is a directory\n")),
            Some((directory, name)) => write_shared(machine, directory, name, &text),
            None => ToolOutput::failure(
                2,
                format!("echo: {file}: a lab writes to files under /proc/sys, and to lists in /proc/net, only\n"),
            ),
        };
    };
    let key = path.replace('/', ".");
    // Who prints nothing opens the file, and never writes to it.
    let is_there = || machine.sysctl(&key).is_some() || !matches!(machine.sysctl_unread(&key), KnobError::Unknown(_));
    if text.is_empty() && is_there() {
        return ToolOutput::default();
    }
    match machine.set_sysctl(&key, text.strip_suffix('\n').unwrap_or(&text)) {
        Ok(()) => ToolOutput::default(),
        Err(error) => {
            let why = match &error {
                KnobError::Unknown(_) => "No such file or directory",
                KnobError::ReadOnly(_) | KnobError::WriteOnly(_) => "Permission denied",
                KnobError::Invalid(_) => "Invalid argument",
                KnobError::NotOffered(why) => why,
            };
            ToolOutput {
                advice: advice(machine, file).map_or_else(String::new, |advice| format!("echo: {advice}\n")),
                ..ToolOutput::failure(1, format!("echo: {file}: {why}\n"))
            }
        }
    }
}

/// `-e`, `-ne`: an option of some shells, a text of others.
fn is_of_some_shells(word: &str) -> bool {
    word.strip_prefix('-')
        .is_some_and(|letters| !letters.is_empty() && letters.bytes().all(|letter| b"neE".contains(&letter)))
}

fn write_shared(machine: &Machine, directory: &str, name: &str, text: &str) -> ToolOutput {
    let file = format!("/proc/net/{directory}/{name}");
    if text.is_empty() && machine.router().shared(directory, name).is_some() {
        return ToolOutput::default();
    }
    match machine.write_shared(directory, name, text.as_bytes()) {
        Some(Ok(())) => ToolOutput::default(),
        Some(Err(refused)) => ToolOutput {
            advice: format!("expected {}\n", refused.expected),
            ..ToolOutput::failure(1, format!("echo: write error: {}\n", refused.said))
        },
        None => ToolOutput {
            advice: format!("no rule in force names {name}\n"),
            ..ToolOutput::failure(1, format!("echo: {file}: No such file or directory\n"))
        },
    }
}

const HELP: &str = "\
Usage: echo [-n] [WORD...] [> FILE]
Prints the words, or writes them to a file of the lab: one under /proc/sys, or a list that rules share by name
(/proc/net/xt_recent/NAME takes +ADDRESS, -ADDRESS and /). >> FILE writes too; -n leaves the line feed out.
";

#[cfg(test)]
mod tests {
    use crate::cli::TOOLBOX;
    use crate::lab::memory::Lab;

    #[test]
    fn lists_that_rules_share_are_written_to() {
        let mut lab = Lab::default_lab(1, TOOLBOX).unwrap();
        let mut tool = |name: &str, words: &str| {
            let args: Vec<String> = words.split(' ').map(str::to_owned).collect();
            let output = lab.tool(name, &args, "", ".".as_ref());
            (output.code, output.stderr, output.advice)
        };
        let fails = |said: &str, advice: &str| (1, format!("echo: {said}\n"), advice.to_owned());
        let done = (0, String::new(), String::new());
        let nobody = fails(
            "/proc/net/xt_recent/x: No such file or directory",
            "no rule in force names x\n",
        );
        assert_eq!(tool("echo", "-n > /proc/net/xt_recent/x"), nobody);
        assert_eq!(tool("echo", "+10.0.0.7 > /proc/net/xt_recent/x"), nobody);
        assert_eq!(tool("iptables", "-A INPUT -m recent --set --name x"), done);
        assert_eq!(tool("echo", "-n > /proc/net/xt_recent/x"), done);
        assert_eq!(tool("echo", "+10.0.0.7 > /proc/net/xt_recent/x"), done);
        let (code, said, advice) = tool("echo", "10.0.0.7 > /proc/net/xt_recent/x");
        assert_eq!((code, said.as_str()), (1, "echo: write error: Invalid argument\n"));
        assert!(advice.starts_with("expected "), "{advice}");
        assert_eq!(
            tool("echo", "more > /proc/net/xt_recent"),
            fails("/proc/net/xt_recent: Is a directory", "")
        );
    }
}
