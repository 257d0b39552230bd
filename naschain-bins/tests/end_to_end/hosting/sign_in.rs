//! Sessions of browsers, and the commands for tokens.

use serde_json::json;
use sqlx::{Connection, SqliteConnection};

use super::Home;
use crate::programs::{call, exchange, genomaster, succeeded, text};

/// The sessions in a home's database: hash and data.
fn stored_sessions(home: &Home) -> Vec<(String, String)> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let file = home.path().join("home.sqlite");
        let mut file = SqliteConnection::connect(file.to_str().unwrap())
            .await
            .unwrap();
        let select = "SELECT hash, data FROM sessions";
        sqlx::query_as(select).fetch_all(&mut file).await.unwrap()
    })
}

#[test]
fn a_session_is_a_cookie_that_other_sites_cannot_use() {
    let home = Home::new("hosting-sessions");
    let password = home.dir.join("password");
    std::fs::write(&password, "correct horse battery\n").unwrap();
    let file = format!("--password-file={}", password.display());
    home.add("ada", &[&file]);
    let server = home.serve(0, &[]);
    let sign_in = |password: &str, headers: &str| {
        let body = json!({"user": "ada", "password": password}).to_string();
        call(&server, "POST", "/v1/session", headers, &body)
    };
    let right = "correct horse battery";
    assert_eq!(sign_in("wrong", "").status, 401);
    let elsewhere = "Origin: https://evil.example\r\n";
    assert_eq!(sign_in(right, elsewhere).status, 403);
    let signed_in = sign_in(right, "");
    assert_eq!(signed_in.status, 204, "{}", signed_in.body);
    let line = signed_in
        .head
        .lines()
        .find(|l| l.starts_with("set-cookie:"));
    let line = line.unwrap();
    assert!(
        line.contains("httponly") && line.contains("samesite=strict"),
        "{line}"
    );
    let raw = exchange(
        &server,
        "POST",
        "/v1/session",
        "",
        &json!({"user": "ada", "password": right}).to_string(),
    );
    let raw = raw
        .lines()
        .find(|l| l.to_lowercase().starts_with("set-cookie:"))
        .unwrap();
    let cookie = raw.split([' ', ';']).nth(1).unwrap().to_owned();
    let with = |method: &str, path: &str, more: &str, body: &str| {
        let headers = format!("Cookie: {cookie}\r\n{more}");
        call(&server, method, path, &headers, body)
    };
    let me = with("GET", "/v1/me", "", "");
    assert!(
        me.status == 200 && me.body.contains("\"name\":\"ada\""),
        "{}",
        me.body
    );
    let new = json!({"name": "x", "data": "digits", "settings": {"epochs": 1}}).to_string();
    for more in [
        elsewhere,
        "Sec-Fetch-Site: cross-site\r\n",
        "Origin: null\r\n",
    ] {
        let refused = with("POST", "/v1/runs", more, &new);
        assert_eq!(refused.status, 403, "{more}: {}", refused.body);
    }
    let begun = with(
        "POST",
        "/v1/runs",
        "Origin: http://127.0.0.1\r\nSec-Fetch-Site: same-origin\r\n",
        &new,
    );
    assert_eq!(begun.status, 201, "{}", begun.body);
    // Stored only hashed, and ended by another password, or by signing out.
    let stored = stored_sessions(&home);
    let id = cookie.split_once('=').unwrap().1;
    assert!(!stored.is_empty());
    assert!(
        stored
            .iter()
            .all(|(hash, data)| hash != id && !data.contains(id))
    );
    let mut set = genomaster();
    set.args(["user", "set", "ada", &file, "--home"])
        .arg(home.path());
    succeeded(set.output().unwrap());
    assert_eq!(with("GET", "/v1/me", "", "").status, 401);
    assert_eq!(with("DELETE", "/v1/session", "", "").status, 204);
}

#[test]
fn tokens_are_made_listed_and_revoked_by_commands() {
    let home = Home::new("hosting-token-commands");
    home.add("root", &["--admin"]);
    let server = home.serve(0, &["--registration=open"]);
    let password = home.dir.join("password");
    std::fs::write(&password, "correct horse battery\n").unwrap();
    let file = format!("--password-file={}", password.display());
    let token = |user: &str, args: &[&str]| {
        let all = [&["token"], args].concat();
        home.user(&server, user, &all).output().unwrap()
    };
    std::fs::write(home.token_file("ada"), "none yet").unwrap();
    let error = text(&token("ada", &["list"]).stderr);
    assert!(error.contains("the token is unknown"), "{error}");
    let mut register = genomaster();
    register.args([
        "token",
        "register",
        "ada",
        &file,
        "--genomaster",
        &server.url,
    ]);
    assert!(succeeded(register.output().unwrap()).contains("genomaster token make ada"));
    let mut make = genomaster();
    make.args([
        "token",
        "make",
        "ada",
        &file,
        "--days=30",
        "--genomaster",
        &server.url,
    ]);
    let made = succeeded(make.output().unwrap());
    std::fs::write(home.token_file("ada"), &made).unwrap();
    let listed = succeeded(token("ada", &["list"]));
    assert!(
        listed.contains("command line: read, runs, data, account"),
        "{listed}"
    );
    let id = listed.split(' ').next().unwrap();
    assert_eq!(succeeded(token("ada", &["revoke", id])), "revoked\n");
    assert_eq!(token("ada", &["list"]).status.code(), Some(2));
}
