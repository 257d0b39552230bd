//! The pages of a genomaster with many runs, in a real browser.

use serde_json::json;

use super::Home;
use crate::pages::browser;
use crate::programs::{call, succeeded};

#[test]
fn a_person_with_pictures_obtains_a_network() {
    let home = Home::new("pages-person");
    home.add("root", &["--admin"]);
    let server = home.serve(0, &["--registration=open", "--public"]);
    let Some(mut script) = browser("person.py") else {
        return;
    };
    let _miners = home.miners(&server, &["m1", "m2", "m3"]);
    let said = succeeded(script.arg(&server.url).arg(&home.dir).output().unwrap());
    assert!(said.contains("the person has a network"), "{said}");
}

#[test]
fn pages_are_for_those_who_may_see_them() {
    let home = Home::new("pages-visitors");
    home.add("ada", &[]);
    let server = home.serve(0, &[]);
    let html = "Accept: text/html\r\n";
    let get = |path: &str, headers: &str| call(&server, "GET", path, headers, "");
    // Without --public the first page is for users.
    for path in [
        "/",
        "/account",
        "/data/new",
        "/operator",
        "/runs/new?data=digits",
    ] {
        let sent = get(path, html);
        assert_eq!(sent.status, 303, "{path}");
        let place = format!("location: /sign-in?next={path}");
        assert!(sent.head.contains(&place), "{path}: {}", sent.head);
    }
    let sign_in = get("/sign-in", html);
    assert!(
        sign_in.status == 200 && sign_in.body.contains("<form"),
        "{}",
        sign_in.body
    );
    for header in [
        "content-security-policy: default-src 'none'; script-src 'self'",
        "x-content-type-options: nosniff",
        "cache-control: no-store",
    ] {
        assert!(sign_in.head.contains(header), "{header}: {}", sign_in.head);
    }
    assert!(!sign_in.body.contains("<style") && !sign_in.body.contains("style="));
    // Programs get a text.
    let text = get("/", "");
    assert!(
        text.body.starts_with("NASChain genomaster"),
        "{}",
        text.body
    );
    let missing = get("/nowhere", html);
    assert!(missing.status == 404 && missing.body.contains("There is no such page."));
    assert!(get("/nowhere", "").body.contains("\"not_found\""));
    // A private run and one that does not exist look the same.
    let run = home.submit(&server, "ada", &["--name=mine", "--data=digits"]);
    for id in [run.as_str(), &"0".repeat(64)] {
        assert_eq!(get(&format!("/runs/{id}"), html).status, 303, "{id}");
        assert_eq!(
            get(&format!("/v1/runs/{id}/record"), "").status,
            404,
            "{id}"
        );
    }
}

#[test]
fn links_are_for_reading_and_can_be_revoked() {
    let home = Home::new("pages-links");
    let token = home.add("ada", &[]);
    home.add("eve", &[]);
    let server = home.serve(0, &[]);
    let run = home.submit(&server, "ada", &["--name=mine", "--data=digits"]);
    let shares = format!("/v1/runs/{run}/shares");
    let as_user = |token: &str| format!("Authorization: Bearer {token}\r\n");
    let ada = as_user(&token);
    let eve = as_user(&std::fs::read_to_string(home.token_file("eve")).unwrap());
    assert_eq!(call(&server, "POST", &shares, &eve, "").status, 404);
    assert_eq!(call(&server, "POST", &shares, "", "").status, 401);
    let made = call(&server, "POST", &shares, &ada, "");
    assert_eq!(made.status, 201, "{}", made.body);
    let made: serde_json::Value = serde_json::from_str(&made.body).unwrap();
    let link = made["link"].as_str().unwrap();
    let opened = call(&server, "GET", link, "Accept: text/html\r\n", "");
    assert_eq!(opened.status, 200, "{}", opened.body);
    // What another site makes a browser open, changes nothing.
    assert!(!opened.head.contains("set-cookie"));
    let foreign = call(
        &server,
        "POST",
        link,
        "Origin: https://evil.example\r\n",
        "",
    );
    assert_eq!(foreign.status, 403, "{}", foreign.body);
    let raw = crate::programs::exchange(&server, "POST", link, "", "");
    let cookie = raw
        .lines()
        .find(|l| l.to_lowercase().starts_with("set-cookie:"));
    let cookie = cookie.unwrap().split([' ', ';']).nth(1).unwrap();
    let reader = format!("Cookie: {cookie}\r\n");
    let record = format!("/v1/runs/{run}/record");
    assert_eq!(call(&server, "GET", &record, &reader, "").status, 200);
    let stop = format!("/v1/runs/{run}/stop");
    assert_eq!(call(&server, "POST", &stop, &reader, "").status, 401);
    assert_eq!(call(&server, "GET", &shares, &reader, "").status, 401);
    // Stored only hashed.
    let secret = link.rsplit('/').next().unwrap();
    let listed = call(&server, "GET", &shares, &ada, "");
    assert!(listed.body.contains(made["id"].as_str().unwrap()) && !listed.body.contains(secret));
    let revoke = format!("{shares}/{}", made["id"].as_str().unwrap());
    assert_eq!(call(&server, "DELETE", &revoke, &ada, "").status, 204);
    assert_eq!(call(&server, "GET", &record, &reader, "").status, 404);
    assert_eq!(call(&server, "GET", link, "", "").status, 404);
    let deleted = call(&server, "DELETE", &revoke, &ada, "");
    assert!(
        deleted.status == 404 && deleted.body.contains("has no link"),
        "{}",
        deleted.body
    );
}

/// Where miners sign their requests, users still try networks without signing.
#[test]
fn a_network_of_a_signed_run_can_be_tried_by_those_who_may_read_it() {
    let home = Home::signed("pages-signed");
    let token = home.add("ada", &[]);
    let server = home.serve(0, &[]);
    let run = home.submit(&server, "ada", &["--name=mine", "--data=digits"]);
    let _miners = home.miners(&server, &["m1", "m2", "m3"]);
    home.wait_for(&server, "ada", &run, "finished");
    let ada = format!("Authorization: Bearer {token}\r\n");
    let below = |path: &str| format!("/v1/runs/{run}/{path}");
    let result = call(&server, "GET", &below("result"), &ada, "");
    assert_eq!(result.status, 200, "{}", result.body);
    let result: serde_json::Value = serde_json::from_str(&result.body).unwrap();
    assert_eq!(result["state"], "ended");
    let network = &result["networks"][0];
    assert_eq!(network["has_model"], true);
    let path = below(&format!(
        "models/{}/predictions",
        network["genome"].as_str().unwrap()
    ));
    let tried = call(&server, "POST", &path, &ada, "no picture");
    assert!(
        tried.status == 422 && tried.body.contains("not a PNG"),
        "{}",
        tried.body
    );
    assert_eq!(call(&server, "POST", &path, "", "no picture").status, 404);
    // Its seeds are no secret any more.
    let candidate = call(&server, "GET", &below("candidates/0"), &ada, "");
    assert!(
        candidate.body.contains("\"training_seed\":\""),
        "{}",
        candidate.body
    );
    assert!(candidate.body.contains("\"proof\":{"), "{}", candidate.body);
}

#[test]
fn an_estimate_and_the_content_of_data_come_before_a_search() {
    let home = Home::new("pages-estimate");
    let token = home.add("ada", &[]);
    let server = home.serve(0, &[]);
    let ada = format!("Authorization: Bearer {token}\r\n");
    let estimate = |settings: serde_json::Value| {
        let body = json!({"data": "digits", "settings": settings}).to_string();
        call(&server, "POST", "/v1/estimates", &ada, &body)
    };
    let small = estimate(json!({"population": 4, "generations": 2, "epochs": 1, "replication": 3}));
    assert_eq!(small.status, 200, "{}", small.body);
    let small: serde_json::Value = serde_json::from_str(&small.body).unwrap();
    assert_eq!(
        (&small["networks"], &small["trainings"]),
        (&json!(8), &json!(24))
    );
    assert_eq!(small["time_s"], json!(null));
    assert!(
        small["text"].as_str().unwrap().contains("no miners"),
        "{small}"
    );
    let large =
        estimate(json!({"population": 4, "generations": 2, "epochs": 10, "replication": 3}));
    let large: serde_json::Value = serde_json::from_str(&large.body).unwrap();
    assert!(large["flops"].as_f64().unwrap() > 5.0 * small["flops"].as_f64().unwrap());
    let wrong = estimate(json!({"epochs": "many"}));
    assert!(
        wrong.status == 422 && wrong.body.contains("'many'"),
        "{}",
        wrong.body
    );
    let digits = call(&server, "GET", "/v1/data-sets/digits", &ada, "");
    let digits: serde_json::Value = serde_json::from_str(&digits.body).unwrap();
    assert_eq!(digits["class_counts"].as_array().unwrap().len(), 10);
    assert_eq!(digits["class_counts"][0]["train"], json!(128));
    let sample = |path: &str| {
        call(
            &server,
            "GET",
            &format!("/v1/data-sets/digits/samples/{path}"),
            &ada,
            "",
        )
    };
    let png = sample("3/0");
    assert!(
        png.status == 200 && png.head.contains("content-type: image/png"),
        "{}",
        png.head
    );
    for path in ["10/0", "3/5", "a/0", "3/-1"] {
        let missing = sample(path);
        assert!(
            missing.status == 404 && missing.body.contains("there is no picture"),
            "{path}"
        );
    }
    assert_eq!(
        call(&server, "GET", "/v1/data-sets/digits", "", "").status,
        401
    );
}

#[test]
fn the_operator_sees_runs_users_and_routes() {
    let home = Home::new("pages-operator");
    let token = home.add("root", &["--admin"]);
    let eve = home.add("eve", &[]);
    let server = home.serve(0, &[]);
    let run = home.submit(&server, "eve", &["--name=hers", "--data=digits"]);
    let seen = |token: &str| {
        let headers = format!("Authorization: Bearer {token}\r\n");
        call(&server, "GET", "/v1/operator", &headers, "")
    };
    assert_eq!(seen(&eve).status, 403);
    let view: serde_json::Value = serde_json::from_str(&seen(&token).body).unwrap();
    assert_eq!(view["runs"][0]["id"], json!(run));
    assert_eq!(view["runs"][0]["open_jobs"], json!(4));
    assert!(view["disk"]["free_bytes"].as_u64().unwrap() > 0);
    let users: Vec<&str> = view["users"]
        .as_array()
        .unwrap()
        .iter()
        .map(|user| user["name"].as_str().unwrap())
        .collect();
    assert_eq!(users, ["eve", "root"]);
    let routes = view["routes"].as_array().unwrap();
    let posted = routes
        .iter()
        .find(|route| route["route"] == "POST /v1/runs")
        .unwrap();
    assert!(posted["requests"].as_u64().unwrap() >= 1 && posted["p99_ms"].as_f64().unwrap() > 0.0);
}

/// Pictures of all pages; `NASCHAIN_SCREENSHOTS` keeps them.
#[test]
#[ignore = "makes a hundred pictures, which takes minutes"]
fn every_page_is_accessible_and_fits_every_screen() {
    let home = Home::new("pages-pictures");
    let password = home.dir.join("password");
    std::fs::write(&password, "correct horse battery\n").unwrap();
    let file = format!("--password-file={}", password.display());
    home.add("ada", &["--admin", &file]);
    let server = home.serve(0, &["--registration=open", "--public"]);
    let Some(mut script) = browser("screenshots.py") else {
        return;
    };
    let _miners = home.miners(&server, &["m1", "m2", "m3"]);
    let mut submit = home.user(
        &server,
        "ada",
        &["submit", "--name=handwriting", "--data=digits"],
    );
    submit.args([
        "--public",
        "--epochs=2",
        "--population=8",
        "--generations=5",
    ]);
    let printed = succeeded(submit.output().unwrap());
    let run = printed.lines().next().unwrap();
    home.wait_for(&server, "ada", run, "finished");
    let out = std::env::var_os("NASCHAIN_SCREENSHOTS");
    let half = out.is_none().then_some("half");
    let out = out.map_or_else(|| home.dir.join("pictures"), Into::into);
    script
        .arg(&server.url)
        .arg(&out)
        .arg(&password)
        .arg(run)
        .args(half);
    println!("{}", succeeded(script.output().unwrap()));
}
