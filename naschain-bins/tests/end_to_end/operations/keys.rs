//! Keys: rate limits per key, TLS, and missing or wrong hotkeys.

use std::path::PathBuf;

use naschain_bins::unix_nanos as now;
use serde_json::Value;

use crate::programs::wallets::{Wallets, join};
use crate::programs::{Server, call, cifar10, folder, refused, succeeded, text};

#[test]
fn each_key_has_a_rate_limit() {
    let dir = folder("rate");
    let (run, wallets) = (dir.join("run"), Wallets(dir.join("wallets")));
    let (genomaster, ada, bob) = (
        wallets.make("genomaster"),
        wallets.make("ada"),
        wallets.make("bob"),
    );
    let server = Server::spawn(&mut wallets.serve(&run, 0, &["--rate-per-key=5", "--no-exam"]));
    let answers: Vec<String> = (0..40)
        .map(|_| join(&server, &run, &genomaster, &ada, now()))
        .collect();
    let taken = answers
        .iter()
        .filter(|answer| answer.starts_with("HTTP/1.1 204"))
        .count();
    let limited = answers
        .iter()
        .filter(|answer| answer.starts_with("HTTP/1.1 429"))
        .count();
    assert!(
        taken >= 10 && limited > 0 && taken + limited == 40,
        "{taken} taken, {limited} limited"
    );
    assert!(
        answers
            .last()
            .unwrap()
            .to_lowercase()
            .contains("retry-after: 1")
    );
    assert!(join(&server, &run, &genomaster, &bob, now()).starts_with("HTTP/1.1 204"));
    std::fs::remove_dir_all(dir).unwrap();
}

/// A flag with a file of the TLS fixtures.
fn tls_flag(name: &str, file: &str) -> String {
    let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls");
    format!("--{name}={}", fixtures.join(file).display())
}

#[test]
fn tls_with_a_private_certificate_authority() {
    let dir = folder("tls");
    let (run, wallets) = (dir.join("run"), Wallets(dir.join("wallets")));
    wallets.make("genomaster");
    wallets.make("validator");
    let (cert, key) = (
        tls_flag("tls-cert", "server.pem"),
        tls_flag("tls-key", "server.key"),
    );
    let server = Server::spawn(&mut wallets.serve(&run, 0, &[&cert, &key]));
    assert!(server.url.starts_with("https://"), "{}", server.url);
    let ca = tls_flag("ca-file", "ca.pem");
    let trusted = wallets.validator(&server.url, &[&ca]).output().unwrap();
    let report: Value = serde_json::from_str(&succeeded(trusted)).unwrap();
    assert_eq!(report["batches"], 0);
    let untrusted = wallets.validator(&server.url, &[]).output().unwrap();
    assert_eq!(untrusted.status.code(), Some(2));
    assert!(
        text(&untrusted.stderr).contains("certificate"),
        "{untrusted:?}"
    );
    // A self-signed certificate is that of an authority; the client explains what to do.
    let own = [
        tls_flag("tls-cert", "authority.pem"),
        tls_flag("tls-key", "authority.key"),
    ];
    let own = own.each_ref().map(String::as_str);
    let alone = Server::spawn(&mut wallets.serve(&dir.join("alone"), 0, &own));
    let ca_file = tls_flag("ca-file", "authority.pem");
    let refused = wallets.validator(&alone.url, &[&ca_file]).output().unwrap();
    let error = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2));
    assert!(error.contains("let the authority sign one"), "{error}");
    let plain = server.url.replace("https", "http");
    assert!(
        !wallets
            .validator(&plain, &[&ca])
            .output()
            .unwrap()
            .status
            .success()
    );
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn invalid_tls_files_are_reported_before_anything_is_created() {
    let dir = folder("tls-files");
    let wallets = Wallets(dir.join("wallets"));
    wallets.make("genomaster");
    let (cert, key) = (
        tls_flag("tls-cert", "server.pem"),
        tls_flag("tls-key", "server.key"),
    );
    for (cert, key, wanted) in [
        (
            tls_flag("tls-cert", "server.key"),
            key.clone(),
            "no certificate",
        ),
        (
            cert.clone(),
            tls_flag("tls-key", "ca.pem"),
            "cannot read a private key",
        ),
        (
            tls_flag("tls-cert", "ca.pem"),
            key.clone(),
            "do not belong together",
        ),
        (
            tls_flag("tls-cert", "none.pem"),
            key.clone(),
            "cannot read certificates",
        ),
    ] {
        let never = dir.join("never");
        let output = wallets.serve(&never, 0, &[&cert, &key]).output().unwrap();
        assert!(text(&output.stderr).contains(wanted), "{output:?}");
        assert!(!never.exists());
    }
    let alone = wallets
        .serve(&dir.join("never"), 0, &[&cert])
        .output()
        .unwrap();
    assert!(text(&alone.stderr).contains("--tls-key"), "{alone:?}");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_genomaster_without_a_hotkey_explains_what_to_do() {
    let dir = folder("no-key");
    let wallets = Wallets(dir.join("wallets"));
    let output = wallets.serve(&dir.join("never"), 0, &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let error = text(&output.stderr);
    assert!(
        error.contains("unless --unsigned is given") && error.contains("miner keygen"),
        "{error}"
    );
    let encrypted = wallets.0.join("w/hotkeys/genomaster");
    std::fs::create_dir_all(encrypted.parent().unwrap()).unwrap();
    std::fs::write(&encrypted, "$NACL encrypted").unwrap();
    let output = wallets.serve(&dir.join("never"), 0, &[]).output().unwrap();
    assert!(text(&output.stderr).contains("it is encrypted (NaCl)"));
    assert!(!dir.join("never").exists());
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn genomasters_of_one_run_share_a_hotkey() {
    let dir = folder("other-key");
    let (run, wallets) = (dir.join("run"), Wallets(dir.join("wallets")));
    let (genomaster, ada) = (wallets.make("genomaster"), wallets.make("ada"));
    let other = wallets.make("other");
    let mut server = Server::spawn(&mut wallets.serve(&run, 0, &["--no-exam"]));
    let answer = join(&server, &run, &genomaster, &ada, now());
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    server.process.kill();
    let output = wallets
        .serve(&run, 0, &["--wallet.hotkey=other"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let error = text(&output.stderr);
    for part in [genomaster.address(), other.address(), "must share a hotkey"] {
        assert!(error.contains(part), "{error}");
    }
    drop(Server::spawn(&mut wallets.serve(&run, 0, &[])));
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_uid_requires_its_token() {
    let dir = folder("uid-token");
    let tokens = dir.join("tokens");
    std::fs::write(&tokens, "7:token-of-7\n").unwrap();
    let credentials = format!("--legacy-credentials={}", tokens.display());
    let data = cifar10(&dir.join("data"));
    let mut flags: Vec<&str> = data.iter().map(String::as_str).collect();
    flags.extend(["--legacy", &credentials]);
    let server = Server::start_with(&dir.join("run"), 0, &flags);
    let post = |path: &str, body: &str| call(&server, "POST", path, "", body);
    let row = r#"{"miner":"uid-7","row":{"failed":"x"}}"#;
    for (path, body) in [
        ("/v1/join", r#"{"miner":"uid-7"}"#),
        ("/v1/jobs", r#"{"miner":"uid-7","wait_ms":0}"#),
        ("/v1/leases/1/heartbeat", r#"{"miner":"uid-7","epoch":1}"#),
        ("/v1/leases/1/result", row),
    ] {
        let answer = post(path, body);
        assert_eq!(answer.status, 403, "{path}: {answer:?}");
        assert!(answer.body.contains("needs_token"), "{answer:?}");
    }
    assert_eq!(post("/v1/join", r#"{"miner":"ada"}"#).status, 204);
    // "7:token-of-7"
    let token = "Authorization: Basic Nzp0b2tlbi1vZi03\r\n";
    let own = call(&server, "POST", "/request_job", token, r#"{"user_name":7}"#);
    assert_eq!(own.status, 200, "{own:?}");
    std::fs::remove_dir_all(dir).unwrap();
}

/// 21 requests in the names of uids held the seats of all open jobs until the limit of a job, a day,
/// past the entrance examination.
#[test]
fn uids_without_tokens_are_refused_among_strangers() {
    let dir = folder("uids-no-token");
    let wallets = Wallets(dir.join("wallets"));
    wallets.make("genomaster");
    let data = cifar10(&dir.join("data"));
    let mut flags: Vec<&str> = data.iter().map(String::as_str).collect();
    flags.push("--legacy");
    let run = dir.join("run");
    let error = refused(&mut wallets.serve(&run, 0, &flags));
    assert!(
        error.contains("--legacy needs --legacy-credentials FILE"),
        "{error}"
    );
    assert!(!run.exists());
    let tokens = dir.join("tokens");
    std::fs::write(&tokens, "7:token-of-7\n").unwrap();
    let credentials = format!("--legacy-credentials={}", tokens.display());
    flags.push(&credentials);
    drop(Server::spawn(&mut wallets.serve(&run, 0, &flags)));
    std::fs::remove_dir_all(dir).unwrap();
}
