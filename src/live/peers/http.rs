//! As much HTTP/1.1 as a download needs: GET and HEAD, one request a connection.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::{Content, Deadline, Received, SESSION_PATIENCE, Service, read_line, receive};

/// A web server; it ends when dropped. Besides the files given it has `/bytes/N`: N bytes of a pattern.
#[derive(Debug)]
pub struct HttpServer(Service);

impl HttpServer {
    pub fn start(bind: SocketAddr, files: BTreeMap<String, Content>) -> io::Result<Self> {
        let service = Service::start(bind, move |stream| {
            // A client that breaks off is its own affair.
            let _ = serve(stream, &files);
        })?;
        Ok(Self(service))
    }

    pub fn address(&self) -> SocketAddr {
        self.0.address
    }
}

fn serve(mut stream: TcpStream, files: &BTreeMap<String, Content>) -> io::Result<()> {
    Deadline::after(SESSION_PATIENCE).apply(&stream)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let Some(request) = read_line(&mut reader)? else {
        return Ok(());
    };
    // Left unread, the rest of the request would turn the closing of the connection into a reset.
    for _ in 0..100 {
        if read_line(&mut reader)?.is_none_or(|line| line.is_empty()) {
            break;
        }
    }
    let mut words = request.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let pattern = path
        .strip_prefix("/bytes/")
        .and_then(|size| size.parse().ok())
        .map(Content::Pattern);
    let (status, content) = match (method, pattern.or_else(|| files.get(path).cloned())) {
        ("GET" | "HEAD", Some(content)) => ("200 OK", content),
        ("GET" | "HEAD", None) => ("404 Not Found", Content::Bytes(b"no such file\n".to_vec())),
        _ => ("405 Method Not Allowed", Content::Bytes(b"GET or HEAD\n".to_vec())),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nServer: nflab\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        content.size()
    )?;
    if method != "HEAD" {
        content.send(&mut stream)?;
    }
    stream.shutdown(std::net::Shutdown::Write)
}

/// What a download brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Download {
    pub status: u16,
    /// What the server said it would send.
    pub announced: Option<u64>,
    pub body: Received,
}

/// GETs `path`. A body that ends before the announced length is an error.
pub fn download(server: SocketAddr, path: &str, patience: Duration) -> io::Result<Download> {
    let deadline = Deadline::after(patience);
    let mut stream = TcpStream::connect_timeout(&server, deadline.left())?;
    deadline.apply(&stream)?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n"
    )?;
    let mut reader = BufReader::new(stream);
    let status_line = read_line(&mut reader)?.unwrap_or_default();
    let status = status_line
        .split(' ')
        .nth(1)
        .and_then(|word| word.parse().ok())
        .ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{status_line:?} is no HTTP status line"),
            )
        })?;
    let mut announced = None;
    while let Some(line) = read_line(&mut reader)?.filter(|line| !line.is_empty()) {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            announced = value.trim().parse().ok();
        }
    }
    let body = receive(&mut reader, announced, deadline)?;
    match announced.filter(|announced| *announced != body.size) {
        Some(announced) => Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            format!("{} of {announced} bytes came", body.size),
        )),
        None => Ok(Download {
            status,
            announced,
            body,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_download_is_what_was_served() {
        let files = BTreeMap::from([("/hello".to_owned(), Content::Bytes(b"hello\n".to_vec()))]);
        let server = HttpServer::start(([127, 0, 0, 1], 0).into(), files).unwrap();
        let get = |path: &str| download(server.address(), path, Duration::from_secs(20)).unwrap();
        let hello = get("/hello");
        assert_eq!((hello.status, hello.body.size), (200, 6));
        assert_eq!(hello.body.checksum, Content::Bytes(b"hello\n".to_vec()).checksum());
        let big = get("/bytes/1000003");
        assert_eq!(
            (big.announced, big.body.checksum),
            (Some(1_000_003), Content::Pattern(1_000_003).checksum())
        );
        assert_ne!(big.body.checksum, Content::Pattern(1_000_002).checksum());
        assert_eq!(get("/none").status, 404);
    }

    #[test]
    fn nobody_there_is_an_error_in_time() {
        let gone = HttpServer::start(([127, 0, 0, 1], 0).into(), BTreeMap::new())
            .unwrap()
            .address();
        assert!(download(gone, "/", Duration::from_secs(2)).is_err());
    }
}
