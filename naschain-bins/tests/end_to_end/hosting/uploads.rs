//! Data sets that users upload.

use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

use super::{Home, audit};
use crate::programs::{Answer, Server, call, exchange, miner, refused, succeeded, wait_until};

/// Pictures of two classes, `count` of each.
pub(super) fn pictures(dir: &Path, count: u8) {
    for (class, shift) in [("circle", 0), ("square", 120)] {
        std::fs::create_dir_all(dir.join(class)).unwrap();
        for number in 0..count {
            let pixel = |x, y| {
                let value = (x * 7 + y * 13 + u32::from(number) * 5) % 100 + shift;
                image::Rgb([value as u8, (value / 2) as u8, 40])
            };
            let image = image::RgbImage::from_fn(8, 8, pixel);
            let path = dir.join(class).join(format!("{number}.png"));
            image.save(path).unwrap();
        }
    }
}

pub(super) fn authorised(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

pub(super) fn begin(server: &Server, token: &str, bytes: usize) -> Value {
    let body = json!({"name": "mine", "file_name": "mine.tar", "bytes": bytes, "image_size": "8"});
    let headers = authorised(token);
    let answer = call(server, "POST", "/v1/uploads", &headers, &body.to_string());
    assert_eq!(answer.status, 201, "{}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

pub(super) fn info(server: &Server, token: &str, id: &str) -> Value {
    let path = format!("/v1/uploads/{id}");
    let answer = call(server, "GET", &path, &authorised(token), "");
    assert_eq!(answer.status, 200, "{}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

/// Sends a part, of which the connection breaks off after `sent` bytes.
pub(super) fn append(server: &Server, token: &str, id: &str, offset: usize, part: &[u8]) -> Answer {
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    let head = format!(
        "PATCH /v1/uploads/{id} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{}Upload-Offset: {offset}\r\n\
         Content-Type: application/offset+octet-stream\r\nContent-Length: {}\r\n\r\n",
        authorised(token),
        part.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(part).unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_lowercase(),
        body: body.to_owned(),
    }
}

pub(super) fn first_genome(run: &Path) -> String {
    let front = crate::programs::read(run.join("front.json"));
    let front: Value = serde_json::from_str(&front).unwrap();
    front[0]["genome"].as_str().unwrap().to_owned()
}

pub(super) fn tar_of(dir: &Path) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_dir_all("pictures", dir).unwrap();
    tar.into_inner().unwrap()
}

#[test]
fn pictures_are_uploaded_once_and_trained_by_miners_that_do_not_have_them() {
    let home = Home::new("hosting-pictures");
    home.add("ada", &[]);
    home.add("bob", &[]);
    let server = home.serve(0, &[]);
    let dir = home.dir.join("shapes");
    pictures(&dir, 60);
    let data = format!("--data={}", dir.display());
    let flags = ["--image-size=8", &data];
    let _miners = home.miners(&server, &["m1", "m2", "m3"]);
    let run = home.submit(&server, "ada", &flags);
    home.wait_for(&server, "ada", &run, "finished");
    let stored = || {
        let files = std::fs::read_dir(home.path().join("data")).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".data")).count()
    };
    assert_eq!(stored(), 1);
    // Another user with the same pictures: they are read again, and stored once.
    let other = home.submit(&server, "bob", &["--image-size=8", &data, "--seed=2"]);
    home.wait_for(&server, "bob", &other, "finished");
    assert_eq!(stored(), 1);
    // Data that a run of its owner is on stays; a file goes with the last run and the last owner.
    let spec = crate::programs::read(home.run_dir(&run).join("run.json"));
    let spec: Value = serde_json::from_str(&spec).unwrap();
    let path = format!("/v1/data-sets/{}", spec["data"]["digest"].as_str().unwrap());
    let delete = |user: &str| {
        let token = crate::programs::read(home.token_file(user));
        call(&server, "DELETE", &path, &authorised(&token), "").status
    };
    assert_eq!((delete("ada"), delete("bob")), (409, 409));
    // The models know the names of the classes.
    let out = home.dir.join("fetched");
    let mut fetch = home.user(&server, "ada", &["fetch", &run]);
    succeeded(fetch.arg("--out").arg(&out).output().unwrap());
    let mut predict = crate::programs::genomaster();
    let picture = dir.join("square/7.png");
    predict.arg("predict").arg(&out).arg(&picture);
    predict.arg("--genome").arg(first_genome(&out));
    let predicted = succeeded(predict.output().unwrap());
    assert!(
        predicted.contains("square") || predicted.contains("circle"),
        "{predicted}"
    );
    let change = |user: &str, run: &str| {
        let mut change = home.user(&server, user, &["change", run, "delete"]);
        succeeded(change.output().unwrap());
    };
    change("bob", &other);
    assert_eq!((delete("bob"), stored()), (204, 1));
    drop(server);
    audit(&home.run_dir(&run));
    let server = home.serve(0, &[]);
    let mut change = home.user(&server, "ada", &["change", &run, "delete"]);
    succeeded(change.output().unwrap());
    let token = crate::programs::read(home.token_file("ada"));
    assert_eq!(
        call(&server, "DELETE", &path, &authorised(&token), "").status,
        204
    );
    assert_eq!(stored(), 0);
}

#[test]
fn an_upload_survives_kills_and_broken_connections() {
    let home = Home::new("hosting-upload");
    let token = home.add("ada", &[]);
    let dir = home.dir.join("shapes");
    pictures(&dir, 200);
    let content = tar_of(&dir);
    let mut server = home.serve(0, &[]);
    let port = server.port();
    let id = begin(&server, &token, content.len())["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut offset = 0;
    let step = content.len() / 7 + 1;
    while offset < content.len() {
        let part = &content[offset..content.len().min(offset + step)];
        let answer = append(&server, &token, &id, offset, part);
        assert_eq!(answer.status, 204, "{}", answer.body);
        server.process.kill();
        server = home.serve(port, &[]);
        offset = info(&server, &token, &id)["offset"].as_u64().unwrap() as usize;
    }
    wait_until("the upload is stored", || {
        info(&server, &token, &id)["state"] == "stored"
    });
    let stored = info(&server, &token, &id);
    let checked = miner()
        .args(["data", "check", "--json", "--image-size=8"])
        .arg(&dir)
        .output();
    let digest = stored["data"].as_str().unwrap();
    let found = String::from_utf8(checked.unwrap().stdout).unwrap();
    assert!(found.contains(digest), "{found} has not {digest}");
}

#[test]
fn what_is_no_data_set_is_refused_with_the_reason() {
    let home = Home::new("hosting-bad");
    let token = home.add("ada", &["--max-gib=1"]);
    let other = home.add("bob", &[]);
    let server = home.serve(0, &[]);
    let problem = |content: &[u8]| {
        let id = begin(&server, &token, content.len())["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let answer = append(&server, &token, &id, 0, content);
        assert_eq!(answer.status, 204, "{}", answer.body);
        wait_until("the upload is checked", || {
            info(&server, &token, &id)["state"] != "checking"
        });
        info(&server, &token, &id)["problem"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    assert!(problem(b"hello").contains("neither a ZIP nor a tar archive"));
    assert!(problem(b"PK\x03\x04 and nothing").contains("cannot be read"));
    let empty = home.dir.join("empty");
    std::fs::create_dir_all(&empty).unwrap();
    let found = problem(b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    assert!(found.contains("no files"), "{found}");
    let found = problem(&tar_of(&empty));
    assert!(found.contains("no files"), "{found}");
    for class in ["a", "b"] {
        let folder = home.dir.join("text").join(class);
        std::fs::create_dir_all(&folder).unwrap();
        for number in 0..5 {
            std::fs::write(folder.join(format!("{number}.png")), "no picture").unwrap();
        }
    }
    let found = problem(&tar_of(&home.dir.join("text")));
    assert!(found.contains("a/1.png"), "{found}");
    let here = home.dir.display().to_string();
    assert!(
        !found.contains(&here),
        "{found} shows a path of the genomaster"
    );
    // A bomb: 3 GiB of zeros in a few megabytes, as pictures of 48 MiB each.
    let found = problem(&bomb());
    assert!(found.contains("unpacks to more than"), "{found}");

    // Wrong offsets, more bytes than announced, strangers, and too much at once.
    let id = begin(&server, &token, 10)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(append(&server, &token, &id, 5, b"12345").status, 409);
    assert_eq!(append(&server, &token, &id, 0, b"12345678901").status, 422);
    assert_eq!(append(&server, &other, &id, 0, b"1").status, 404);
    let body = json!({"name": "big", "file_name": "big.tar", "bytes": 2_u64 << 30});
    let answer = call(
        &server,
        "POST",
        "/v1/uploads",
        &authorised(&token),
        &body.to_string(),
    );
    assert_eq!(answer.status, 403, "{}", answer.body);
    assert!(answer.body.contains("quota_reached"), "{}", answer.body);
    let head = exchange(
        &server,
        "GET",
        "/v1/uploads/../../secret",
        &authorised(&token),
        "",
    );
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
    let mut submit = home.user(&server, "ada", &["submit", "--data=digits", "--epochs=0"]);
    let error = refused(&mut submit);
    assert!(error.contains("epochs"), "{error}");
}

/// A tar that is compressed by gzip, of files of zeros.
fn bomb() -> Vec<u8> {
    let zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(zipped);
    let zeros = vec![0_u8; 48 << 20];
    for number in 0..64 {
        let mut header = tar::Header::new_ustar();
        header.set_size(zeros.len() as u64);
        header.set_mode(0o644);
        let name = format!("a/{number}.png");
        tar.append_data(&mut header, name, &zeros[..]).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

#[test]
fn data_sets_are_uploaded_listed_and_deleted_by_commands() {
    let home = Home::new("hosting-data-commands");
    home.add("ada", &[]);
    let server = home.serve(0, &[]);
    let dir = home.dir.join("shapes");
    pictures(&dir, 60);
    let archive = home.dir.join("shapes.tar.gz");
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&tar_of(&dir)).unwrap();
    std::fs::write(&archive, gz.finish().unwrap()).unwrap();
    let data = |args: &[&str]| {
        let all = [&["data"], args].concat();
        home.user(&server, "ada", &all).output().unwrap()
    };
    assert!(succeeded(data(&["list"])).contains("no data sets"));
    let uploaded = succeeded(data(&[
        "upload",
        archive.to_str().unwrap(),
        "--image-size=8",
    ]));
    let digest = uploaded.lines().next().unwrap();
    let listed = succeeded(data(&["list"]));
    assert!(
        listed.contains("shapes.tar.gz (ada)") && listed.contains("2 classes"),
        "{listed}"
    );
    // The same as a folder.
    let run = home.submit(&server, "ada", &["--data-digest", digest]);
    let missing = data(&["delete", "00"]);
    let error = crate::programs::text(&missing.stderr);
    assert!(error.contains("there is no data set \"00\""), "{error}");
    assert_eq!(
        data(&["delete", &digest[..8]]).status.code(),
        Some(2),
        "a run is on it"
    );
    let mut change = home.user(&server, "ada", &["change", &run, "delete"]);
    succeeded(change.output().unwrap());
    assert_eq!(succeeded(data(&["delete", &digest[..8]])), "deleted\n");
    let token = crate::programs::read(home.token_file("ada"));
    let begun = begin(&server, &token, 10);
    let id = begun["id"].as_str().unwrap();
    assert!(succeeded(data(&["list"])).contains("0 of 10 bytes have arrived"));
    assert_eq!(succeeded(data(&["cancel", id])), "deleted\n");
    let empty = home.dir.join("empty.zip");
    std::fs::write(&empty, "nothing").unwrap();
    let refused = data(&["upload", empty.to_str().unwrap()]);
    let error = crate::programs::text(&refused.stderr);
    assert!(error.contains("the genomaster refused the data"), "{error}");
}
