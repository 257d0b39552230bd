//! Attacks on memory and on the journal: large bodies, many requests, slow readers.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use crate::target::{Target, hotkey, join_body};

/// Pads the bodies of joins and answers to 60 KiB.
pub(crate) async fn pad(target: Arc<Target>, number: u64) {
    let hotkey = hotkey("pad", number);
    let spaces = " ".repeat(60 << 10);
    for jobs in (1..=2).cycle() {
        let body = join_body(&target, &hotkey, jobs) + &spaces;
        target.attack("pad", &hotkey, "/v1/join", body).await;
        let (miner, run) = (hotkey.address(), target.run);
        let body = format!("{{\"miner\":\"{miner}\",\"row\":1,\"run\":\"{run}\"}}{spaces}");
        let path = "/v1/leases/1/result";
        target.attack("pad", &hotkey, path, body).await;
    }
}

/// Joins with a new hotkey each time, ten thousand for each client.
pub(crate) async fn join_forever(target: Arc<Target>, number: u64) {
    for key in (0..10_000).cycle() {
        let hotkey = hotkey("join", number * 10_000 + key);
        let body = join_body(&target, &hotkey, 1);
        target.attack("join", &hotkey, "/v1/join", body).await;
    }
}

pub(crate) async fn alternate(target: Arc<Target>, number: u64) {
    let hotkey = hotkey("alternate", number);
    for jobs in (1..=2).cycle() {
        let body = join_body(&target, &hotkey, jobs);
        let attack = "alternate";
        target.attack(attack, &hotkey, "/v1/join", body).await;
    }
}

/// Requests work at once again and again, with more hotkeys than there is work.
pub(crate) async fn idle(target: Arc<Target>, number: u64) {
    let hotkey = hotkey("idle", number);
    let joined = join_body(&target, &hotkey, 1);
    target.attack("idle", &hotkey, "/v1/join", joined).await;
    let (miner, run) = (hotkey.address(), target.run);
    let body = format!("{{\"miner\":\"{miner}\",\"wait_ms\":0,\"run\":\"{run}\"}}");
    loop {
        let body = body.clone();
        target.attack("idle", &hotkey, "/v1/jobs", body).await;
    }
}

/// Opens a connection with small buffers and reads a byte each second.
pub(crate) async fn read_slowly(target: Arc<Target>, number: u64) {
    let paths = [
        "/v1/journal?after=0",
        "/v1/events?after=0",
        "/v1/batches?after=0",
        "/metrics",
    ];
    let path = paths[number as usize % paths.len()];
    loop {
        if read_once(&target, path).await.is_err() {
            target.count("read", 0).await;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn read_once(target: &Target, path: &str) -> Result<()> {
    let host = target.url.strip_prefix("http://");
    let host = host.context("slow readers need an http:// URL")?;
    let mut addresses = tokio::net::lookup_host(host).await?;
    let address = addresses.next().context("no address")?;
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_recv_buffer_size(4096)?;
    let mut stream = socket.connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).await?;
    let status = String::from_utf8_lossy(&head[9..]).into_owned();
    target.count("read", status.parse().unwrap_or(0)).await;
    let mut byte = [0];
    while stream.read(&mut byte).await? > 0 {
        target.read_bytes.fetch_add(1, Relaxed);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}
