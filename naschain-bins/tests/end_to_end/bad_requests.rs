//! Sends every line of bad_requests.txt, and input that is not HTTP, to a genomaster.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::programs::{Server, folder};
use naschain_bins::{read_spec, unix_nanos};
use naschain_identity::{Auth, Hotkey, SignedParts};
use serde_json::Value;

struct Table {
    server: Server,
    genomaster: Hotkey,
    ada: Hotkey,
    bob: Hotkey,
    run: String,
}

impl Table {
    fn start(dir: &std::path::Path) -> Table {
        let key = |seed| Hotkey::from_seed(&[seed; 32]);
        let (genomaster, ada, bob) = (key(1), key(2), key(3));
        let wallet = dir.join("w/hotkeys/h");
        genomaster.write(&[1; 32], &wallet).unwrap();
        let list = dir.join("allowed");
        std::fs::write(&list, format!("{} us\nuid-7 us\n", ada.address())).unwrap();
        let flags = [
            format!("--wallet.path={}", dir.display()),
            "--wallet.name=w".to_owned(),
            "--wallet.hotkey=h".to_owned(),
            format!("--allow-list={}", list.display()),
            "--legacy".to_owned(),
            "--no-exam".to_owned(),
        ];
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let server = Server::start_with(&dir.join("run"), 0, &flags);
        let run = read_spec(&dir.join("run/run.json")).unwrap();
        Table {
            server,
            genomaster,
            ada,
            bob,
            run: run.digest().to_string(),
        }
    }

    fn expand(&self, text: &str) -> String {
        let mut text = text
            .replace("ADA", self.ada.address())
            .replace("BOB", self.bob.address())
            .replace("RUN", &self.run);
        while let Some((before, rest)) = text.split_once("LONG(") {
            let (count, after) = rest.split_once(')').unwrap();
            // These letters are also hexadecimal digits.
            text = format!("{before}{}{after}", "a".repeat(count.parse().unwrap()));
        }
        text
    }

    /// The request of one line.
    fn request(&self, who: &str, method: &str, path: &str, body: &str) -> String {
        let (name, change) = who.split_once(' ').unwrap_or((who, ""));
        let mut headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
        let hotkey = match name {
            "ada" => Some(&self.ada),
            "bob" => Some(&self.bob),
            "nobody" => None,
            other => panic!("unknown sender {other}"),
        };
        if let Some(hotkey) = hotkey {
            let words = change.split_once(' ').unwrap_or((change, ""));
            let seconds = || words.1.parse::<u64>().unwrap() * 1_000_000_000;
            let now = unix_nanos();
            let (mut signed, mut nonce) = (
                SignedParts {
                    method,
                    path,
                    body: body.as_bytes(),
                },
                now,
            );
            let mut receiver = self.genomaster.address();
            match words.0 {
                "ago" => nonce = now - seconds(),
                "ahead" => nonce = now + seconds(),
                "for" => receiver = words.1,
                "path" => signed.path = words.1,
                "body" => signed.body = words.1.as_bytes(),
                _ => {}
            }
            let auth = Auth::sign(hotkey, signed, Some(receiver), nonce);
            headers.extend(
                auth.headers()
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value)),
            );
        }
        if let Some((name, value)) = change.split_once('=')
            && !change.contains(' ')
        {
            headers.retain(|(header, _)| header != name);
            if !value.is_empty() {
                headers.push((name.to_owned(), value.to_owned()));
            }
        }
        let lines: String = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let length = body.len();
        format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}Content-Length: {length}\r\n\r\n{body}"
        )
    }

    fn send(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.server.port())).unwrap();
        // A server that has already refused need not read the rest.
        let _ = stream.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

#[test]
fn every_bad_request_gets_its_problem_document() {
    let dir = folder("bad-requests");
    let table = Table::start(&dir);
    let join = || {
        let body = table.expand(r#"{"miner":"ADA","run":"RUN"}"#);
        let joined = table.send(&table.request("ada", "POST", "/v1/join", &body));
        assert!(joined.starts_with("HTTP/1.1 204"), "{joined}");
    };
    join();
    let mut count = 0;
    for line in include_str!("bad_requests.txt").lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let columns: Vec<String> = line
            .split('|')
            .map(|column| table.expand(column.trim()))
            .collect();
        let [who, method, path, body, status, kind, detail] = &columns[..] else {
            panic!("{line}");
        };
        let request = table.request(who, method, path, body);
        if who.ends_with(" twice") {
            table.send(&request);
        }
        let answer = table.send(&request);
        let (head, document) = answer
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("{line}: {answer}"));
        assert_eq!(
            head.split(' ').nth(1),
            Some(status.as_str()),
            "{line}\n{answer}"
        );
        let document: Value = serde_json::from_str(document).unwrap();
        let field = if kind == "-" { "message" } else { "detail" };
        let found = document[field].as_str().unwrap();
        assert!(found.contains(detail.as_str()), "{line}\n{answer}");
        if kind != "-" {
            assert!(
                head.contains("application/problem+json"),
                "{line}\n{answer}"
            );
            assert_eq!(
                (&document["type"], document["status"].to_string()),
                (&kind.as_str().into(), status.clone()),
                "{line}"
            );
        }
        count += 1;
    }
    assert!(count >= 60, "{count}");
    // Valid requests are still served afterwards.
    join();
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn invalid_http_and_oversized_requests_are_refused() {
    let dir = folder("not-http");
    let table = Table::start(&dir);
    let many = "X-Many: x\r\n".repeat(70);
    let long = format!("X-Long: {}\r\n", "x".repeat(20_000));
    for wrong in [
        "hello\r\n\r\n",
        "\u{0}\u{1}\u{2}\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "POST /v1/join HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        &format!("GET /healthz HTTP/1.1\r\nHost: x\r\n{many}\r\n"),
        &format!("GET /healthz HTTP/1.1\r\nHost: x\r\n{long}\r\n"),
    ] {
        let answer = table.send(wrong);
        let status = answer.split(' ').nth(1).unwrap_or("none");
        assert!(
            ["none", "400", "431"].contains(&status),
            "{wrong:?}: {answer}"
        );
    }
    // A body that never arrives.
    let mut slow = TcpStream::connect(("127.0.0.1", table.server.port())).unwrap();
    slow.write_all(b"POST /v1/join HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
        .unwrap();
    slow.set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    let mut answer = [0; 4096];
    let read = slow.read(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer[..read]);
    assert!(
        answer.starts_with("HTTP/1.1 408") && answer.contains("body_too_slow"),
        "{answer}"
    );
    let alive = table.send("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(alive.starts_with("HTTP/1.1 200"), "{alive}");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn connections_are_limited_and_freed_again() {
    let dir = folder("connections");
    let flags = ["--unsigned", "--max-connections=8"];
    let server = Server::start_with(&dir.join("run"), 0, &flags);
    let connect = || TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    let mut idle: Vec<TcpStream> = (0..8).map(|_| connect()).collect();
    let mut ninth = connect();
    let request = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    ninth.write_all(request.as_bytes()).unwrap();
    let pause = Some(Duration::from_millis(700));
    ninth.set_read_timeout(pause).unwrap();
    let mut answer = [0; 1024];
    assert!(ninth.read(&mut answer).is_err());
    idle.pop();
    ninth
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let read = ninth.read(&mut answer).unwrap();
    assert!(answer[..read].starts_with(b"HTTP/1.1 200"));
    std::fs::remove_dir_all(dir).unwrap();
}
