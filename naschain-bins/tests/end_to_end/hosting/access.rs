//! Who may do what.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Home, audit};
use crate::programs::{Server, call, wait_until};

fn request(
    server: &Server,
    token: Option<&str>,
    method: &str,
    path: &str,
    body: &str,
) -> (u16, String) {
    let headers = token.map_or(String::new(), |t| format!("Authorization: Bearer {t}\r\n"));
    let answer = call(server, method, path, &headers, body);
    (answer.status, answer.body)
}

/// Every route with a user's ids, called by another user, by nobody, and by a token that was revoked.
#[test]
fn nobody_reads_or_changes_what_is_another_users() {
    let home = Home::new("hosting-others");
    let ada = home.add("ada", &[]);
    let bob = home.add("bob", &[]);
    let server = home.serve(0, &[]);
    let run = home.submit(&server, "ada", &[]);
    let body = json!({"name": "mine", "file_name": "a.zip", "bytes": 100}).to_string();
    let (_, begun) = request(&server, Some(&ada), "POST", "/v1/uploads", &body);
    let upload: Value = serde_json::from_str(&begun).unwrap();
    let upload = upload["id"].as_str().unwrap();
    let (_, tokens) = request(&server, Some(&ada), "GET", "/v1/tokens", "");
    let tokens: Value = serde_json::from_str(&tokens).unwrap();
    let token = tokens[0]["id"].as_str().unwrap();

    let (_, document) = request(&server, None, "GET", "/v1/openapi.json", "");
    let document: Value = serde_json::from_str(&document).unwrap();
    let mut tried = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let id = if path.contains("tokens") {
            token
        } else {
            upload
        };
        let filled = path.replace("{run}", &run).replace("{id}", id);
        let filled = filled.replace("{digest}", &"a".repeat(64));
        if filled == *path {
            continue;
        }
        let query = if path.ends_with("/artifact") {
            "?path=run.json"
        } else {
            ""
        };
        let filled = filled + query;
        for method in methods.as_object().unwrap().keys() {
            let method = method.to_uppercase();
            let body = if path.ends_with("extend") {
                r#"{"generations":9}"#
            } else {
                ""
            };
            for sender in [Some(bob.as_str()), None, Some("naschain_unknown")] {
                let (status, body) = request(&server, sender, &method, &filled, body);
                let is_refused = [401, 403, 404].contains(&status);
                assert!(is_refused, "{sender:?} {method} {filled}: {status} {body}");
                assert!(!body.contains("\"owner\""), "{method} {filled}: {body}");
            }
            tried.insert(format!("{method} {path}"));
        }
    }
    assert!(tried.len() >= 14, "{tried:?}");
    // What miners and validators use.
    for rest in [
        "front", "batches", "journal", "events", "metrics", "healthz", "nothing",
    ] {
        let path = format!("/v1/runs/{run}/{rest}");
        let (status, body) = request(&server, Some(&bob), "GET", &path, "");
        assert_eq!(status, 404, "{path}: {body}");
        // Events do not end.
        if rest != "events" {
            let (status, body) = request(&server, Some(&ada), "GET", &path, "");
            let is_there = !["metrics", "healthz", "nothing"].contains(&rest);
            assert_eq!(status == 200, is_there, "{path}: {body}");
        }
    }
    // All of it is still there.
    assert_eq!(home.status(&server, "ada", &run)["state"], "running");
    assert_eq!(
        request(
            &server,
            Some(&ada),
            "GET",
            &format!("/v1/uploads/{upload}"),
            ""
        )
        .0,
        200
    );
}

#[test]
fn a_private_run_is_trained_by_the_miners_that_its_owner_admits() {
    let home = Home::signed("hosting-private");
    home.add("ada", &[]);
    let server = home.serve(0, &[]);
    let admitted = ["m1", "m2", "m3"];
    let lines = admitted.map(|name| format!("{} {name}\n", home.hotkey(name).address()));
    let list = home.dir.join("miners");
    std::fs::write(&list, lines.concat()).unwrap();
    let flag = format!("--miners={}", list.display());
    let run = home.submit(&server, "ada", &[&flag]);
    let stranger = home.hotkey("stranger");
    let _stranger = home.miner(&server, "stranger");
    let _miners: Vec<_> = admitted
        .iter()
        .map(|name| home.miner(&server, name))
        .collect();
    home.wait_for(&server, "ada", &run, "finished");
    let history = crate::programs::read(home.run_dir(&run).join("history.jsonl"));
    assert!(!history.contains(stranger.address()));
    let spec = naschain_bins::read_spec(&home.run_dir(&run).join("run.json")).unwrap();
    // Without a valid signature nobody learns that there is a run.
    for headers in ["", "X-Bittensor-Signature: 0x00\r\n"] {
        for (method, path) in [
            ("GET", "run"),
            ("POST", "join"),
            ("POST", "run"),
            ("GET", "front"),
        ] {
            let path = format!("/v1/runs/{run}/{path}");
            let answer = call(&server, method, &path, headers, "");
            assert_eq!(answer.status, 404, "{method} {path}: {}", answer.body);
        }
    }
    // A signed request of the stranger is refused, whatever it asks for.
    for path in [
        "run".to_owned(),
        format!("data/{}", spec.data.digest),
        "front".to_owned(),
    ] {
        let answer = crate::programs::wallets::signed_get(
            &server,
            &home.hotkey("genomaster"),
            &stranger,
            &format!("/v1/runs/{run}/{path}"),
            &format!("/v1/{path}"),
        );
        let is_refused = answer.starts_with("HTTP/1.1 403") || answer.starts_with("HTTP/1.1 404");
        assert!(is_refused, "{path}: {answer}");
    }
    drop(server);
    audit(&home.run_dir(&run));
}

#[test]
fn users_register_sign_in_and_revoke_tokens() {
    let home = Home::new("hosting-users");
    home.add("root", &["--admin"]);
    let server = home.serve(0, &["--registration=invited"]);
    let invitation = {
        let mut invite = crate::programs::genomaster();
        invite.args(["user", "invite", "--home"]).arg(home.path());
        crate::programs::succeeded(invite.output().unwrap())
            .trim()
            .to_owned()
    };
    let register = |name: &str, password: &str, invitation: Option<&str>| {
        let body = json!({"name": name, "password": password, "invitation": invitation});
        request(&server, None, "POST", "/v1/users", &body.to_string())
    };
    let right = "correct horse battery";
    assert_eq!(register("ada", right, None).0, 403);
    assert_eq!(register("ada", right, Some("no such invitation")).0, 403);
    let (status, problem) = register("Ada", right, Some(&invitation));
    assert!(status == 422 && problem.contains("a-z 0-9"), "{problem}");
    // An invitation is used up only by a user that is added.
    assert_eq!(register("ada", "short", Some(&invitation)).0, 422);
    assert_eq!(register("root", right, Some(&invitation)).0, 409);
    assert_eq!(register("root", right, Some("no such invitation")).0, 403);
    assert_eq!(register("ada", right, Some(&invitation)).0, 201);
    assert_eq!(register("bob", right, Some(&invitation)).0, 403);

    let sign_in = |password: &str, more: Value| {
        let mut body = json!({"user": "ada", "password": password});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        request(&server, None, "POST", "/v1/tokens", &body.to_string())
    };
    assert_eq!(sign_in("wrong", json!({})).0, 401);
    let (status, made) = sign_in(right, json!({"label": "all"}));
    assert_eq!(status, 201, "{made}");
    let token = |made: &str| {
        let made: Value = serde_json::from_str(made).unwrap();
        made["token"].as_str().unwrap().to_owned()
    };
    let all = token(&made);
    let (_, made) = sign_in(
        right,
        json!({"scopes": ["read"], "label": "reading", "days": 1}),
    );
    let reading = token(&made);
    let (status, me) = request(&server, Some(&reading), "GET", "/v1/me", "");
    assert!(status == 200 && me.contains("\"name\":\"ada\""), "{me}");
    let new = json!({"name": "x", "data": "digits", "settings": {"epochs": 1}}).to_string();
    let (status, problem) = request(&server, Some(&reading), "POST", "/v1/runs", &new);
    assert!(status == 403 && problem.contains("scope runs"), "{problem}");
    let (_, listed) = request(&server, Some(&all), "GET", "/v1/tokens", "");
    assert!(
        !listed.contains(&reading) && !listed.contains(&all),
        "{listed}"
    );
    let listed: Vec<Value> = serde_json::from_str(&listed).unwrap();
    let found = listed
        .iter()
        .find(|token| token["label"] == "reading")
        .unwrap();
    assert_eq!(found["scopes"], json!(["read"]));
    let path = format!("/v1/tokens/{}", found["id"].as_str().unwrap());
    assert_eq!(request(&server, Some(&all), "DELETE", &path, "").0, 204);
    assert_eq!(request(&server, Some(&reading), "GET", "/v1/me", "").0, 401);

    passwords_cannot_be_tried_for_long(&server, right);
    // Neither passwords nor tokens are stored.
    let stored = std::fs::read(home.path().join("home.sqlite")).unwrap();
    let wal = std::fs::read(home.path().join("home.sqlite-wal")).unwrap_or_default();
    for secret in [right, &all, &reading, &invitation] {
        for bytes in [&stored, &wal] {
            let is_there = bytes
                .windows(secret.len())
                .any(|part| part == secret.as_bytes());
            assert!(!is_there, "{secret} is stored");
        }
    }
}

/// Not even with the right one afterwards.
fn passwords_cannot_be_tried_for_long(server: &Server, right: &str) {
    let status = |password: &str| {
        let body = json!({"user": "ada", "password": password}).to_string();
        request(server, None, "POST", "/v1/tokens", &body).0
    };
    wait_until("attempts are limited", || status("wrong") == 429);
    assert_eq!(status(right), 429);
}

#[test]
fn equal_requests_at_once_make_one_run() {
    let home = Home::new("hosting-equal");
    let token = home.add("ada", &["--max-runs=1"]);
    let server = home.serve(0, &[]);
    let new = json!({"name": "x", "data": "digits", "settings": {"epochs": 1}}).to_string();
    let made: Vec<(u16, String)> = std::thread::scope(|scope| {
        let post = || request(&server, Some(&token), "POST", "/v1/runs", &new);
        let posting: Vec<_> = (0..8).map(|_| scope.spawn(post)).collect();
        posting.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let count = |status: u16| made.iter().filter(|(found, _)| *found == status).count();
    assert_eq!(count(201) + count(403) + count(409), 8, "{made:?}");
    assert_eq!(count(201), 1, "{made:?}");
    let (_, run) = made.iter().find(|(status, _)| *status == 201).unwrap();
    let run: Value = serde_json::from_str(run).unwrap();
    let run = run["id"].as_str().unwrap();
    assert_eq!(home.status(&server, "ada", run)["progress"]["ended"], 0);
    assert!(home.run_dir(run).join("run.json").is_file());
}

#[test]
fn a_run_that_cannot_be_trained_is_refused_and_leaves_nothing() {
    let home = Home::signed("hosting-large");
    let token = home.add("ada", &["--max-runs=1"]);
    let server = home.serve(0, &["--memory-limit=200"]);
    let settings = json!({"init-channels": 4096, "nodes": 32, "phases": 3, "train-images": 1000});
    let new = json!({"name": "x", "data": "digits", "settings": settings}).to_string();
    let (status, problem) = request(&server, Some(&token), "POST", "/v1/runs", &new);
    assert!(
        status == 422 && problem.contains("MiB of memory"),
        "{status} {problem}"
    );
    let runs = std::fs::read_dir(home.path().join("runs")).unwrap();
    assert_eq!(runs.count(), 0);
    let list = home.dir.join("miners");
    let line = format!("{} lab\n", home.hotkey("m1").address());
    std::fs::write(&list, line).unwrap();
    let flag = format!("--miners={}", list.display());
    let mut submit = home.user(&server, "ada", &["submit", &flag]);
    let error = crate::programs::refused(&mut submit);
    assert!(error.contains("miners lists 1 owner"), "{error}");
    home.submit(&server, "ada", &[]);
}
