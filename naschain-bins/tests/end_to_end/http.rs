//! How the genomaster responds to invalid requests and closed connections, over raw sockets.

use std::io::Write;
use std::net::TcpStream;

use crate::programs::{Server, folder};
use serde_json::Value;

fn send(server: &Server, method: &str, path: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

/// Status and body.
fn call(server: &Server, method: &str, path: &str, body: &str) -> (u16, String) {
    let answer = crate::programs::call(server, method, path, "", body);
    let problem = answer.head.contains("application/problem+json");
    assert_eq!(problem, answer.status >= 400, "{answer:?}");
    (answer.status, answer.body)
}

#[test]
fn clients_that_disconnect_early_do_no_harm() {
    let dir = folder("impatient");
    let server = Server::start(&dir.join("run"), 0);
    for number in 0..300 {
        let body = format!("{{\"miner\":\"hasty-{number}\"}}");
        let stream = send(&server, "POST", "/v1/join", &body);
        std::thread::sleep(std::time::Duration::from_micros(number % 7 * 400));
        drop(stream);
    }
    let joined = call(&server, "POST", "/v1/join", r#"{"miner":"ada"}"#);
    assert_eq!(joined.0, 204, "{joined:?}");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn every_refusal_is_a_problem_document_with_the_reason() {
    let dir = folder("problems");
    let server = Server::start(&dir.join("run"), 0);
    assert_eq!(call(&server, "GET", "/healthz", "").0, 200);
    let ada = r#"{"miner":"ada"}"#;
    assert_eq!(call(&server, "POST", "/v1/join", ada).0, 204);
    let row = r#"{"miner":"ada","row":{"failed":"x"}}"#;
    let beat = r#"{"miner":"ada","epoch":1}"#;
    let large = format!("{{\"miner\":\"{}\"}}", "a".repeat(70_000));
    let cases = [
        ("GET", "/v1/nothing", "", 404, "no such path"),
        ("DELETE", "/v1/join", "", 405, "method"),
        ("POST", "/v1/join", "not json", 400, "JSON"),
        ("POST", "/v1/join", "{}", 422, "miner"),
        (
            "POST",
            "/v1/join",
            r#"{"miner":"a b"}"#,
            422,
            "1 to 64 characters",
        ),
        (
            "POST",
            "/v1/join",
            r#"{"miner":"a","x":1}"#,
            422,
            "unknown field",
        ),
        ("POST", "/v1/join", &large, 413, "limit"),
        (
            "POST",
            "/v1/jobs",
            r#"{"miner":"eve","wait_ms":0}"#,
            404,
            "must join first",
        ),
        ("POST", "/v1/leases/abc/result", row, 400, "abc"),
        ("POST", "/v1/leases/-1/heartbeat", beat, 400, "-1"),
        ("POST", "/v1/leases/9/result", row, 404, "never granted"),
        ("GET", "/v1/batches?after=x", "", 400, "invalid digit"),
        ("GET", "/v1/journal?after=-1", "", 400, "invalid digit"),
        (
            "GET",
            "/v1/events?after=x",
            "",
            400,
            "not a position in the event stream",
        ),
        ("GET", "/v1/events?after=9.1", "", 409, "has not happened"),
        (
            "POST",
            "/v1/join",
            r#"{"miner":"a","jobs":0}"#,
            409,
            "must be 1 to 1024",
        ),
    ];
    for (method, path, body, status, detail) in cases {
        let (found, answer) = call(&server, method, path, body);
        assert_eq!(found, status, "{method} {path}: {answer}");
        let problem: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(problem["status"], status);
        let text = problem["detail"].as_str().unwrap();
        assert!(text.contains(detail), "{method} {path}: {text}");
    }
    std::fs::remove_dir_all(dir).unwrap();
}
