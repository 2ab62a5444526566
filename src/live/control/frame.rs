//! How requests and responses travel: each a line of JSON, and behind the line the texts that are too long to stand in it.
//!
//! Such a line begins with `{"behind":N,`, and N bytes follow it: first the standard input, then the files in their order, each as long as the
//! line says in its `behind`. A response has its standard output there, if whoever asked has said `behind` (0 will do), and thereby that it
//! reads what follows a line. Who types a request by hand says nothing of it, and gets a line.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};

use serde::{Deserialize, Serialize};

use crate::lab::files::{Content, FoundFile};
use crate::lab::request::{Request, Response};

/// A request on its way: its line, and what follows it.
pub(crate) struct Outgoing<'a> {
    line: Vec<u8>,
    behind: Vec<&'a str>,
}

impl Outgoing<'_> {
    /// What is to be written, in order.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(&self.line[..]).chain(self.behind.iter().map(|text| text.as_bytes()))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestLine<'a> {
    /// Bytes of all that follows. It stands first: [`length_behind`] looks for it there.
    behind: Option<usize>,
    tool: Cow<'a, str>,
    #[serde(default)]
    args: Cow<'a, [String]>,
    #[serde(default)]
    stdin: Text<'a>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    files: Vec<FileLine<'a>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileLine<'a> {
    name: Cow<'a, str>,
    content: ContentLine<'a>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ContentLine<'a> {
    Text(Text<'a>),
    Refused(Cow<'a, str>),
}

/// A text in the line, or its place behind it.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Text<'a> {
    Here(Cow<'a, str>),
    Behind { behind: usize },
}

impl Default for Text<'_> {
    fn default() -> Self {
        Self::Here(Cow::Borrowed(""))
    }
}

impl<'a> Text<'a> {
    fn new(text: &'a str, behind: &mut Vec<&'a str>) -> Self {
        if text.len() <= SHORT {
            return Self::Here(Cow::Borrowed(text));
        }
        behind.push(text);
        Self::Behind { behind: text.len() }
    }

    /// The text, the next one of what came behind the line.
    fn taken(self, rest: &mut Rest) -> Result<String, String> {
        match self {
            Self::Here(text) => Ok(text.into_owned()),
            Self::Behind { behind } => String::from_utf8(rest.take(behind)?)
                .map_err(|error| format!("a text behind the line is no UTF-8: {error}")),
        }
    }
}

/// What came behind a line, taken from its front. No byte is moved twice, however many texts there are.
struct Rest {
    bytes: Vec<u8>,
    taken: usize,
}

impl Rest {
    fn len(&self) -> usize {
        self.bytes.len() - self.taken
    }

    fn take(&mut self, length: usize) -> Result<Vec<u8>, String> {
        if length > self.len() {
            return Err(format!(
                "{length} bytes of a text should follow the line, and {} do",
                self.len()
            ));
        }
        // The only one is not copied.
        if length == self.bytes.len() {
            return Ok(std::mem::take(&mut self.bytes));
        }
        let start = self.taken;
        self.taken += length;
        Ok(self.bytes[start..self.taken].to_vec())
    }
}

/// A request as it is sent.
pub(crate) fn outgoing(request: &Request) -> io::Result<Outgoing<'_>> {
    let mut behind = Vec::new();
    let mut line = RequestLine {
        behind: None,
        tool: Cow::Borrowed(&request.tool),
        args: Cow::Borrowed(&request.args),
        stdin: Text::new(&request.stdin, &mut behind),
        files: Vec::new(),
    };
    for file in &request.files {
        line.files.push(FileLine {
            name: Cow::Borrowed(&file.name),
            content: match &file.content {
                Content::Text(text) => ContentLine::Text(Text::new(text, &mut behind)),
                Content::Refused(why) => ContentLine::Refused(Cow::Borrowed(why)),
            },
        });
    }
    line.behind = Some(behind.iter().map(|text| text.len()).sum());
    let mut line = serde_json::to_vec(&line)?;
    line.push(b'\n');
    Ok(Outgoing { line, behind })
}

/// A request that has come, and whether whoever asks reads what follows a line.
pub(crate) fn incoming(mut frame: Vec<u8>) -> Result<(Request, bool), String> {
    let end = frame
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(frame.len(), |at| at + 1);
    let line: RequestLine<'_> = serde_json::from_slice(&frame[..end]).map_err(|error| error.to_string())?;
    frame.drain(..end);
    let mut rest = Rest { bytes: frame, taken: 0 };
    if line.behind.unwrap_or(0) != rest.len() {
        let said = line.behind.unwrap_or(0);
        return Err(format!(
            "\"behind\" says that {said} bytes follow the line, and {} do; it has to stand first in the line",
            rest.len()
        ));
    }
    if line.files.len() > MOST_FILES {
        return Err(format!(
            "it brings {} files, and a call reads no more than {MOST_FILES}",
            line.files.len()
        ));
    }
    let mut request = Request {
        tool: line.tool.into_owned(),
        args: line.args.into_owned(),
        stdin: line.stdin.taken(&mut rest)?,
        files: Vec::with_capacity(line.files.len()),
    };
    for file in line.files {
        request.files.push(FoundFile {
            name: file.name.into_owned(),
            content: match file.content {
                ContentLine::Text(text) => Content::Text(text.taken(&mut rest)?),
                ContentLine::Refused(why) => Content::Refused(why.into_owned()),
            },
        });
    }
    match rest.len() {
        0 => Ok((request, line.behind.is_some())),
        left => Err(format!("{left} bytes behind the line belong to no text")),
    }
}

/// A response as it is sent: its standard output behind the line where whoever asked reads that.
pub(crate) fn response(response: Response, reads_behind: bool) -> Vec<u8> {
    if !reads_behind || response.stdout.len() <= SHORT {
        return super::line_of(&response);
    }
    let Response { stdout, .. } = response;
    let rest = ResponseLine {
        behind: stdout.len(),
        stderr: Cow::Owned(response.stderr),
        code: response.code,
        busy: response.busy,
    };
    // Texts and numbers: there is nothing in it that JSON can't hold.
    let mut bytes = serde_json::to_vec(&rest).unwrap_or_default();
    bytes.reserve_exact(1 + stdout.len());
    bytes.push(b'\n');
    bytes.extend_from_slice(stdout.as_bytes());
    bytes
}

#[derive(Serialize, Deserialize)]
struct ResponseLine<'a> {
    behind: usize,
    stderr: Cow<'a, str>,
    code: i32,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    busy: bool,
}

/// A response that has come.
pub(crate) fn answered(mut frame: Vec<u8>) -> io::Result<Response> {
    let behind = length_behind(&frame);
    if behind == 0 {
        return Ok(serde_json::from_slice(&frame)?);
    }
    let stdout = frame.split_off(frame.len().saturating_sub(behind));
    let line: ResponseLine<'_> = serde_json::from_slice(&frame)?;
    Ok(Response {
        stdout: String::from_utf8(stdout).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?,
        stderr: line.stderr.into_owned(),
        code: line.code,
        busy: line.busy,
    })
}

/// How many bytes follow a line of whom it begins with: as it says in its first place, else none.
pub(crate) fn length_behind(line: &[u8]) -> usize {
    let Some(rest) = line.strip_prefix(FIRST) else { return 0 };
    rest.iter()
        .take_while(|byte| byte.is_ascii_digit())
        .fold(0usize, |length, digit| {
            length.saturating_mul(10).saturating_add(usize::from(digit - b'0'))
        })
}

/// What came: a line, and all that follows it.
pub(crate) enum Arrived {
    Nothing,
    Frame(Vec<u8>),
    /// Longer than any may be; whoever sends it is not read on from.
    TooLong,
}

/// Reads one, blocking. The last line of all needs no end. Where it returns an error, what was read stays in `frame`, and it can be called again.
pub(crate) fn read(reader: &mut impl BufRead, frame: &mut Vec<u8>, longest: usize) -> io::Result<Arrived> {
    let end = loop {
        if let Some(end) = frame.iter().position(|byte| *byte == b'\n') {
            break end + 1;
        }
        let free = longest.saturating_sub(frame.len());
        if free == 0 {
            return Ok(Arrived::TooLong);
        }
        if reader.take(free as u64).read_until(b'\n', frame)? == 0 {
            match frame.is_empty() {
                true => return Ok(Arrived::Nothing),
                false => frame.push(b'\n'),
            }
        }
    };
    let whole = end.saturating_add(length_behind(frame));
    if whole > longest {
        return Ok(Arrived::TooLong);
    }
    let missing = whole.saturating_sub(frame.len());
    frame.reserve_exact(missing);
    while frame.len() < whole {
        let missing = (whole - frame.len()) as u64;
        if reader.take(missing).read_to_end(frame)? == 0 {
            break;
        }
    }
    Ok(Arrived::Frame(std::mem::take(frame)))
}

/// Texts up to so many bytes stand in the line, where a reader of it sees them.
const SHORT: usize = 1024;
/// More than any call of a tool names: `sysctl -p` reads a directory full of them.
const MOST_FILES: usize = 1024;
const FIRST: &[u8] = b"{\"behind\":";

#[cfg(test)]
mod tests {
    use super::*;

    fn long(letter: &str) -> String {
        letter.repeat(SHORT + 1)
    }

    fn sent(request: &Request) -> Vec<u8> {
        outgoing(request).unwrap().parts().collect::<Vec<_>>().concat()
    }

    #[test]
    fn requests_come_as_they_were_sent() {
        let file = |name: &str, text: &str| FoundFile {
            name: name.into(),
            content: Content::Text(text.into()),
        };
        let refused = FoundFile {
            name: "none".into(),
            content: Content::Refused("No such file or directory".into()),
        };
        for request in [
            Request::default(),
            Request {
                tool: "iptables-restore".into(),
                args: vec!["-c".into(), "a \"b\"\n".into()],
                stdin: "short\n".into(),
                files: vec![file("a", "x"), refused.clone()],
            },
            Request {
                tool: "iptables-restore".into(),
                args: Vec::new(),
                stdin: long("€\n"),
                files: vec![
                    file("a", &long("a")),
                    file("b", ""),
                    refused,
                    file("c", &long("\u{10ffff}")),
                ],
            },
        ] {
            let bytes = sent(&request);
            let line = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
            assert_eq!(length_behind(&bytes), bytes.len() - line);
            assert_eq!(incoming(bytes.clone()).unwrap(), (request.clone(), true));
            let mut frame = Vec::new();
            let twice = [&bytes[..], &bytes[..]].concat();
            let mut reader = io::BufReader::with_capacity(7, &twice[..]);
            for _ in 0..2 {
                match read(&mut reader, &mut frame, 1 << 20).unwrap() {
                    Arrived::Frame(came) => assert_eq!(came, bytes),
                    _ => panic!("a frame"),
                }
            }
            assert!(matches!(
                read(&mut reader, &mut frame, 1 << 20).unwrap(),
                Arrived::Nothing
            ));
        }
    }

    #[test]
    fn answers_come_as_they_were_sent() {
        for stdout in [String::new(), "short".into(), long("-A INPUT\n")] {
            for reads_behind in [false, true] {
                let answer = Response {
                    stdout: stdout.clone(),
                    stderr: "said\n".into(),
                    code: 3,
                    busy: true,
                };
                let bytes = response(answer.clone(), reads_behind);
                assert_eq!(length_behind(&bytes) > 0, reads_behind && stdout.len() > SHORT);
                assert_eq!(answered(bytes).unwrap(), answer);
            }
        }
    }

    #[test]
    fn what_is_typed_by_hand_is_a_line() {
        let (request, reads_behind) = incoming(br#"{"tool":"iptables","args":["-S"]}"#.to_vec()).unwrap();
        assert_eq!((request.tool.as_str(), reads_behind), ("iptables", false));
        for (bytes, why) in [
            (&b"{\"tool\":\"x\",\"args\":1}\n"[..], "invalid type"),
            (b"{\"tool\":\"x\",\"more\":1}\n", "unknown field `more`"),
            (
                b"{\"behind\":4,\"tool\":\"x\"}\nabc",
                "4 bytes follow the line, and 3 do",
            ),
            (b"{\"tool\":\"x\",\"behind\":3}\n", "it has to stand first"),
            (
                b"{\"behind\":3,\"tool\":\"x\"}\nabc",
                "3 bytes behind the line belong to no text",
            ),
            (
                b"{\"behind\":3,\"tool\":\"x\",\"stdin\":{\"behind\":4}}\nabc",
                "4 bytes of a text should follow",
            ),
            (
                b"{\"behind\":1,\"tool\":\"x\",\"stdin\":{\"behind\":1}}\n\xff",
                "no UTF-8",
            ),
        ] {
            let said = incoming(bytes.to_vec()).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
        let files = |count: usize, text: &str| {
            let file = format!("{{\"name\":\"\",\"content\":{{\"text\":{text}}}}}");
            vec![file; count].join(",")
        };
        let many = |count: usize| {
            let line = format!(
                "{{\"behind\":{count},\"tool\":\"x\",\"files\":[{}]}}\n",
                files(count, "{\"behind\":1}")
            );
            line.into_bytes()
                .into_iter()
                .chain(vec![b'#'; count])
                .collect::<Vec<u8>>()
        };
        let (request, _) = incoming(many(MOST_FILES)).unwrap();
        assert!(
            request
                .files
                .iter()
                .all(|file| file.content == Content::Text("#".into()))
        );
        let said = incoming(many(MOST_FILES + 1)).unwrap_err();
        assert_eq!(said, "it brings 1025 files, and a call reads no more than 1024");
        // A length that no number holds is one that nothing has.
        assert_eq!(length_behind(b"{\"behind\":99999999999999999999999,"), usize::MAX);
        let mut frame = Vec::new();
        let endless = b"{\"behind\":99999999999999999999999,\"tool\":\"x\"}\n";
        assert!(matches!(
            read(&mut &endless[..], &mut frame, 1 << 20).unwrap(),
            Arrived::TooLong
        ));
    }
}
