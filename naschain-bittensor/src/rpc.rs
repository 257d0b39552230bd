use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config,
};

use crate::error::Error;

/// How long a node may take to answer, or to accept a connection.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest message of a node; metadata has about 1 MiB.
const MAX_MESSAGE_BYTES: usize = 32 * 1024 * 1024;
/// Number of notifications that may wait while an answer is read.
const MAX_NOTIFICATIONS: usize = 1_024;

/// One connection to a node: JSON-RPC 2.0 over a WebSocket. Requests are made one at a time.
pub(crate) struct Connection {
    /// As errors show it.
    endpoint: String,
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    next_id: u64,
    /// Notifications that arrived before the answer that was waited for.
    waiting: VecDeque<Notification>,
}

/// A message of a subscription.
#[derive(Debug)]
struct Notification {
    subscription: String,
    result: Value,
}

impl Connection {
    pub(crate) async fn open(endpoint: &str) -> Result<Connection, Error> {
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE_BYTES))
            .max_frame_size(Some(MAX_MESSAGE_BYTES));
        let roots = RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| connection(&without_secrets(endpoint), error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = Connector::Rustls(Arc::new(tls));
        let opening = connect_async_tls_with_config(endpoint, Some(config), true, Some(connector));
        let opened = timeout(ANSWER_TIMEOUT, opening).await;
        let endpoint = without_secrets(endpoint);
        let opened = opened.map_err(|_| connection(&endpoint, "no connection within 30 s"))?;
        let (socket, _) = opened.map_err(|error| connection(&endpoint, error))?;
        Ok(Connection {
            endpoint,
            socket,
            next_id: 1,
            waiting: VecDeque::new(),
        })
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Makes a request and waits for its answer.
    pub(crate) async fn call(&mut self, method: &str, parameters: Value) -> Result<Value, Error> {
        let id = self.next_id;
        self.next_id += 1;
        let request = json!({
            "jsonrpc": "2.0",
            "id": id,
            "method": method,
            "params": parameters,
        });
        let endpoint = self.endpoint.clone();
        let answering = async {
            let sent = self.socket.send(Message::text(request.to_string())).await;
            sent.map_err(|error| connection(&self.endpoint, error))?;
            loop {
                let message = self.receive().await?;
                if message["id"].as_u64() == Some(id) {
                    return Ok(message);
                }
                self.keep(&message)?;
            }
        };
        let mut answer = match timeout(ANSWER_TIMEOUT, answering).await {
            Ok(answer) => answer?,
            Err(_) => {
                let reason = format!("no answer to {method} within 30 s");
                return Err(connection(&endpoint, reason));
            }
        };
        if let Some(error) = answer.get("error").filter(|error| !error.is_null()) {
            return Err(Error::Refused {
                method: method.to_owned(),
                code: error["code"].as_i64().unwrap_or_default(),
                message: refusal_text(error),
            });
        }
        match answer.get_mut("result") {
            Some(result) => Ok(result.take()),
            None => Err(Error::malformed(method, "the answer has no result")),
        }
    }

    /// Refuses a node that says that it is still catching up with the chain: it would show hotkeys and
    /// weights of long ago.
    pub(crate) async fn check_synced(&mut self) -> Result<(), Error> {
        match self.call("system_health", json!([])).await {
            Ok(health) if health["isSyncing"] == true => {
                let reason = "the node is still catching up with the chain";
                Err(connection(&self.endpoint, reason))
            }
            // Not every node has this method.
            Ok(_) | Err(Error::Refused { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Waits for the next notification of a subscription, at most as long as `patience`. Those of
    /// others are dropped.
    pub(crate) async fn notification(
        &mut self,
        subscription: &str,
        patience: Duration,
    ) -> Result<Value, Error> {
        let endpoint = self.endpoint.clone();
        let waiting = async {
            loop {
                while let Some(notification) = self.waiting.pop_front() {
                    if notification.subscription == subscription {
                        return Ok(notification.result);
                    }
                }
                let message = self.receive().await?;
                self.keep(&message)?;
            }
        };
        let waited = timeout(patience, waiting).await;
        waited.unwrap_or_else(|_| {
            let reason = format!("no new block within {} s", patience.as_secs());
            Err(connection(&endpoint, reason))
        })
    }

    /// Reads one JSON object.
    async fn receive(&mut self) -> Result<Value, Error> {
        loop {
            let message = self.socket.next().await;
            let message = message.ok_or_else(|| connection(&self.endpoint, "it was closed"))?;
            match message.map_err(|error| connection(&self.endpoint, error))? {
                Message::Text(text) => {
                    let parsed: Value = serde_json::from_str(&text)
                        .map_err(|error| Error::malformed("a node's message", error))?;
                    if parsed.is_object() {
                        return Ok(parsed);
                    }
                    return Err(Error::malformed("a node's message", "it is no object"));
                }
                Message::Close(_) => return Err(connection(&self.endpoint, "it was closed")),
                Message::Binary(_) => {
                    return Err(Error::malformed("a node's message", "it is not text"));
                }
                // Pings are answered by the library.
                _ => {}
            }
        }
    }

    fn keep(&mut self, message: &Value) -> Result<(), Error> {
        let parameters = &message["params"];
        let subscription = match &parameters["subscription"] {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            // An answer to a request that nobody waits for any more.
            _ => return Ok(()),
        };
        if self.waiting.len() >= MAX_NOTIFICATIONS {
            return Err(connection(
                &self.endpoint,
                "it sends too many notifications",
            ));
        }
        self.waiting.push_back(Notification {
            subscription,
            result: parameters["result"].clone(),
        });
        Ok(())
    }
}

/// Scheme, host and port of an address, which are in errors and logs: the rest may contain passwords or
/// the key of an account with the node's operator.
pub(crate) fn without_secrets(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let place = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = place.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}")
}

/// The message of a JSON-RPC error, with the details that some nodes add.
fn refusal_text(error: &Value) -> String {
    let message = error["message"].as_str().unwrap_or("without a message");
    let text = match &error["data"] {
        Value::Null => message.to_owned(),
        Value::String(data) => format!("{message}: {data}"),
        data => format!("{message}: {data}"),
    };
    text.chars().take(500).collect()
}

fn connection(endpoint: &str, reason: impl ToString) -> Error {
    Error::Connection {
        endpoint: endpoint.to_owned(),
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn errors_show_no_secrets_of_an_address() {
        for (url, shown) in [
            ("wss://a.example", "wss://a.example"),
            ("wss://a.example:443/ws?key=hunter2", "wss://a.example:443"),
            ("ws://ada:hunter2@a.example:9944", "ws://a.example:9944"),
            ("ws://a.example#hunter2", "ws://a.example"),
        ] {
            assert_eq!(without_secrets(url), shown);
        }
        let refused = Connection::open("ws://ada:hunter2@127.0.0.1:1/hunter2").await;
        let error = refused.err().unwrap().to_string();
        assert!(error.starts_with("ws://127.0.0.1:1: "), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }

    /// Otherwise a node could keep a client from all others without ever showing a block.
    #[tokio::test]
    async fn other_notifications_do_not_extend_the_patience() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let node = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
            let notification = |subscription: &str, number: u64| {
                let parameters = json!({"subscription": subscription, "result": number});
                Message::text(json!({"params": parameters}).to_string())
            };
            let _ = socket.send(notification("heads", 7)).await;
            while socket.send(notification("other", 8)).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        let mut connection = Connection::open(&url).await.unwrap();
        let patience = Duration::from_millis(500);
        let first = connection.notification("heads", patience).await.unwrap();
        assert_eq!(first, 7);
        let waiting = connection.notification("heads", patience);
        let waited = timeout(Duration::from_secs(10), waiting).await.unwrap();
        assert!(
            matches!(waited, Err(Error::Connection { .. })),
            "{waited:?}"
        );
        node.abort();
    }
}
