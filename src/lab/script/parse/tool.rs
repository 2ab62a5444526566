//! A line that calls a tool: its arguments, and where a shell would send what it prints.

use crate::lab::machine::Toolbox;
use crate::lab::script::ToolCall;
use crate::lab::script::lex::Input;
use crate::syntax::problem::Problem;
use crate::syntax::words::Word;

/// The call of a tool, if the first word means one.
pub(super) fn call(words: &[Word], input: &Input, toolbox: Toolbox) -> Result<Option<ToolCall>, Problem> {
    let Some((first, rest)) = words.split_first() else {
        return Ok(None);
    };
    let Some(name) = toolbox.find(&first.text) else {
        return Ok(None);
    };
    let args = match name {
        "echo" => of_echo(rest)?,
        _ => match rest.iter().find(|word| word.arrow.is_some() || is_pipe(word)) {
            Some(word) => return Err(goes_nowhere(word, name)),
            None => rest.iter().map(|word| word.text.clone()).collect(),
        },
    };
    let input = input.clone();
    Ok(Some(ToolCall { name, args, input }))
}

fn is_pipe(word: &Word) -> bool {
    !word.quoted && word.text == "|"
}

fn goes_nowhere(word: &Word, tool: &str) -> Problem {
    Problem::new(
        word.position,
        format!("`{}`: what a tool prints goes nowhere else here", word.text),
        "expected an argument of the tool",
        format!(
            "run it in a shell, where a lab runs: `nflab {tool} ... > FILE`; a `{}` that is meant is put into quotes",
            word.text
        ),
    )
}

/// What `echo` prints goes where it says, into the lab's own `/proc`: the file is found wherever a shell finds it on the line, and comes last,
/// behind a `>` of its own.
fn of_echo(words: &[Word]) -> Result<Vec<String>, Problem> {
    let (mut args, mut file) = (Vec::new(), None);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if is_pipe(word) {
            return Err(goes_nowhere(word, "echo"));
        }
        let Some(at) = word.arrow else {
            args.push(word.text.clone());
            continue;
        };
        let refused = |message: &str, expected: &str, remedy: &str| {
            let message = format!("`{}`: {message}", word.text);
            Err(Problem::new(word.position, message, expected, remedy))
        };
        let (before, sign) = word.text.split_at(at);
        let is_stream = !word.quoted && before.bytes().all(|byte| byte.is_ascii_digit() || byte == b'&');
        match before {
            "" | "1" if is_stream => {}
            _ if is_stream => {
                return refused(
                    "only what is printed on standard output can go to a file",
                    "expected `> FILE`",
                    "remove it",
                );
            }
            text => args.push(text.to_owned()),
        }
        // Files of /proc take what is appended as what is written.
        let name = [">>", ">|", ">"]
            .iter()
            .find_map(|it| sign.strip_prefix(it))
            .unwrap_or(sign);
        let name = match name {
            "" => match words.next() {
                Some(next) if next.arrow.is_none() && !is_pipe(next) => &next.text,
                _ => {
                    return refused(
                        "nothing follows it",
                        "expected a file's name behind it",
                        "write it on this line",
                    );
                }
            },
            name if name.contains('>') || name.starts_with('&') => {
                return refused(
                    "that is no file's name",
                    "expected `> FILE`",
                    "write one `> FILE` at the end of the line",
                );
            }
            name => name,
        };
        if file.replace(name.to_owned()).is_some() {
            return refused(
                "what is printed goes to a file already",
                "expected the end of the line",
                "write one `>` a line",
            );
        }
    }
    match file {
        Some(file) => args.extend([">".to_owned(), file]),
        // An arrow in quotes is printed. So that nobody takes it for another, what is printed is one argument.
        None if args.iter().any(|arg| arg == ">") => {
            let options = args.iter().take_while(|arg| *arg == "-n").count();
            let text = args.split_off(options).join(" ");
            args.push(text);
        }
        None => {}
    }
    Ok(args)
}
