//! Checks before every request: rate, size, signature, replay.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, MatchedPath, Request};
use axum::http::{HeaderMap, Method, request::Parts};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use naschain_consensus::{Event, MinerId, TrackRecord};

use crate::clock;
use crate::server::access::Access;
use crate::server::canonical_path::check_path_is_canonical;
use crate::server::exams::Exams;
use crate::server::known_miners::KnownMiners;
use crate::server::limits::{max_body_bytes, network};
use crate::server::problem::ErrorResponse;
use crate::server::rates::Rates;
use naschain_identity::{Auth, Hotkey, Nonces, SignedParts};
use naschain_run::{JoinRequest, ProblemKind, Proof};

/// Timeout for receiving a request body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum length of path and query.
const MAX_PATH_BYTES: usize = 1024;

/// Limits requests and verifies their signatures, the cheapest check first, so that a flood is refused
/// before its bodies are read.
pub struct Authenticator {
    pub(super) access: Access,
    /// The run's nonces, restored from the journal.
    nonces: Arc<Mutex<Nonces>>,
    /// Those of requests whose body names no run, which runs share: their path is not signed.
    read_nonces: Arc<Mutex<Nonces>>,
    rates: Arc<Rates>,
    /// What is known of miners from other runs of the same server.
    known: Option<Arc<KnownMiners>>,
    exams: Option<Arc<Exams>>,
}

/// The network of a client, `None` for this machine.
#[derive(Clone, Copy)]
pub(crate) struct RemoteAddress(pub(crate) Option<IpAddr>);

/// The verified sender of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caller {
    hotkey: Option<String>,
    /// Whether miners of the reference network have tokens. Requests under /v1 carry none, so their
    /// names are refused here.
    uids_have_tokens: bool,
    /// The client's network address, `None` for this machine.
    pub address: Option<IpAddr>,
    /// The signed request, for the journal.
    pub proof: Option<Proof>,
}

impl Caller {
    /// The hotkey that signed the request.
    pub(crate) fn hotkey(&self) -> Option<&str> {
        self.hotkey.as_deref()
    }

    /// Rejects a request for another miner than the signer.
    pub(crate) fn check_is(&self, miner: &MinerId) -> Result<(), ErrorResponse> {
        if self.uids_have_tokens && miner.uid().is_some() {
            let detail = format!(
                "{miner} is a miner of the reference network, which uses /request_job and /finish_job with its token; a miner under /v1 needs another name"
            );
            return Err(ErrorResponse::new(ProblemKind::NeedsToken, detail));
        }
        match &self.hotkey {
            Some(hotkey) if hotkey != miner.as_str() => Err(ErrorResponse::new(
                ProblemKind::NotYou,
                format!("{hotkey} signed this request; it is not valid for {miner}"),
            )),
            _ => Ok(()),
        }
    }

    /// The miner that signed the request.
    pub(crate) fn miner(&self) -> Option<MinerId> {
        self.hotkey.as_ref().and_then(|hotkey| hotkey.parse().ok())
    }

    /// Whether the request was signed.
    pub(crate) fn is_signed(&self) -> bool {
        self.hotkey.is_some()
    }
}

impl Authenticator {
    /// `nonces` are the used ones: see [`crate::coordinator::Coordinator::nonces`].
    pub fn new(access: Access, nonces: Arc<Mutex<Nonces>>) -> Authenticator {
        Authenticator {
            read_nonces: nonces.clone(),
            nonces,
            rates: Arc::new(Rates::new(&access)),
            access,
            known: None,
            exams: None,
        }
    }

    /// For one of many runs of the same server, which share rate limits and examinations.
    pub(crate) fn for_run(
        &self,
        access: Access,
        nonces: Arc<Mutex<Nonces>>,
        known: Option<Arc<KnownMiners>>,
    ) -> Authenticator {
        Authenticator {
            access,
            nonces,
            read_nonces: self.read_nonces.clone(),
            rates: self.rates.clone(),
            known,
            exams: None,
        }
    }

    /// The same, with an examination of every hotkey that is new to the run.
    #[must_use]
    pub fn with_exams(self, exams: Exams) -> Authenticator {
        Authenticator {
            exams: Some(Arc::new(exams)),
            ..self
        }
    }

    /// The examinations of new hotkeys, if there are any.
    pub fn exams(&self) -> Option<&Arc<Exams>> {
        self.exams.as_ref()
    }

    /// Whether a hotkey has passed the examination of another run.
    pub(crate) fn is_admitted(&self, miner: &MinerId) -> bool {
        self.known.as_ref().is_some_and(|known| known.has(miner))
    }

    /// What the answers of a miner in other runs say of it.
    pub(super) fn track_record(&self, miner: &MinerId) -> Option<TrackRecord> {
        self.known.as_ref()?.track_record(miner)
    }

    /// A hotkey has joined a run for which it has passed an examination.
    pub(crate) fn admit(&self, miner: &MinerId, run: naschain_core::Digest) {
        if let Some(known) = &self.known {
            known.admit(miner.clone(), run);
        }
    }

    /// The genomaster's hotkey.
    pub fn hotkey(&self) -> Option<&Hotkey> {
        self.access.hotkey.as_ref()
    }

    /// The owner of a miner; an error if it may not mine here, as by the allow-list.
    pub fn owner(&self, miner: &MinerId) -> Result<Option<MinerId>, ErrorResponse> {
        self.access.owner(miner)
    }

    /// The event for a join request; an error if the miner may not mine here.
    pub fn join_event(&self, request: &JoinRequest) -> Result<Event, ErrorResponse> {
        let miner = request.miner.clone();
        let owner = self.owner(&miner)?;
        Ok(match (owner, request.jobs) {
            (None, None) => Event::Join { miner },
            (owner, capacity) => Event::Register {
                miner,
                owner,
                capacity: capacity.unwrap_or(1),
            },
        })
    }

    /// Whether a network may bring another hotkey that is new to the run and was not examined.
    /// Those on an allow-list are limited by their number.
    pub(crate) fn check_new_hotkey(&self, from: Option<IpAddr>) -> Result<(), ErrorResponse> {
        if self.access.allow_list.is_some() {
            return Ok(());
        }
        self.rates.check_new_hotkey(from, self.access.new_hotkeys)
    }

    /// Uses the nonce of a signed request that concerns no run.
    pub(crate) fn use_nonce(&self, caller: &Caller) -> Result<(), ErrorResponse> {
        if let Some(proof) = &caller.proof {
            let now_ns = clock::unix_nanos();
            lock(&self.nonces).accept(&proof.hotkey, proof.nonce, now_ns)?;
        }
        Ok(())
    }

    /// Counts a request of the client.
    pub(super) fn check_rate(&self, parts: &Parts) -> Result<(), ErrorResponse> {
        let address = self.remote_address(parts);
        address.map_or(Ok(()), |address| self.rates.check_address(address))
    }

    /// The client's address, `None` for this machine.
    pub(super) fn remote_address(&self, parts: &Parts) -> Option<IpAddr> {
        let connected = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let direct = connected.map(|ConnectInfo(address)| address.ip().to_canonical());
        let forwarded = if self.access.behind_proxy {
            forwarded_for(&parts.headers)
        } else {
            None
        };
        // Without a usable header the proxy itself is limited, rather than nobody.
        let address = forwarded
            .or(direct)
            .filter(|address| !address.is_loopback())?;
        Some(network(address))
    }

    /// Verifies the signature of a request, if one is required.
    fn caller(&self, parts: &Parts, body: &[u8]) -> Result<Caller, ErrorResponse> {
        let uids_have_tokens = self.access.uids_have_tokens;
        let unsigned = || Caller {
            uids_have_tokens,
            ..Caller::default()
        };
        let Some(receiver) = &self.access.hotkey else {
            return Ok(unsigned());
        };
        let reads = parts.method == Method::GET || parts.method == Method::HEAD;
        // The data set is for those that may join only.
        let is_open = !parts.uri.path().starts_with("/v1/data/");
        if reads && is_open && self.access.open_reads {
            return Ok(unsigned());
        }
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let message = SignedParts {
            method: parts.method.as_str(),
            path,
            body,
        };
        let auth = Auth::from_headers(&parts.headers)?;
        let now_ns = clock::unix_nanos();
        auth.check(message, receiver.address(), now_ns)?;
        // After the signature: otherwise anybody could use up the rate of another hotkey. Before
        // the nonce: a request that is refused for its rate may be sent again.
        self.rates.check_key(&auth.hotkey)?;
        // Parts of files are not journaled, and need not be JSON.
        let is_part = parts.method == Method::PUT;
        if reads || is_part {
            lock(&self.read_nonces).accept(&auth.hotkey, auth.nonce, now_ns)?;
        } else {
            // It is used when its event is applied, which may be later.
            lock(&self.nonces).check(&auth.hotkey, auth.nonce)?;
        }
        if self.access.is_private {
            self.access.check_may_join(Some(&auth.hotkey))?;
        }
        let proof = Proof::new(&auth, message);
        if proof.is_none() && !is_part {
            let detail = "the body is not UTF-8, so it is not JSON";
            return Err(ErrorResponse::new(ProblemKind::NotJson, detail));
        }
        Ok(Caller {
            hotkey: Some(auth.hotkey),
            uids_have_tokens,
            proof,
            address: None,
        })
    }

    /// Checks a request, and who has signed it if it must be `signed`.
    pub(super) async fn check_request(
        &self,
        request: Request,
        signed: bool,
    ) -> Result<Request, ErrorResponse> {
        let (mut parts, body) = request.into_parts();
        let address = self.remote_address(&parts);
        if let Some(address) = address {
            self.rates.check_address(address)?;
        }
        parts.extensions.insert(RemoteAddress(address));
        let path_bytes = parts.uri.to_string().len();
        if path_bytes > MAX_PATH_BYTES {
            let detail = format!("the path has {path_bytes} bytes; the limit is {MAX_PATH_BYTES}");
            return Err(ErrorResponse::new(ProblemKind::PathTooLong, detail));
        }
        if parts.method == Method::POST && signed {
            check_path_is_canonical(&parts)?;
        }
        // Before the signature is verified, because it covers the whole body.
        let route = parts.extensions.get::<MatchedPath>();
        let body = read(body, max_body_bytes(route.map_or("", MatchedPath::as_str))).await?;
        if signed {
            let mut caller = self.caller(&parts, &body)?;
            caller.address = address;
            parts.extensions.insert(caller);
        }
        Ok(Request::from_parts(parts, Body::from(body)))
    }
}

async fn read(body: Body, max_bytes: usize) -> Result<Bytes, ErrorResponse> {
    let whole = Limited::new(body, max_bytes).collect();
    match tokio::time::timeout(BODY_TIMEOUT, whole).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(ErrorResponse::new(
            ProblemKind::BodyTooLarge,
            format!("the body is larger than the limit of {max_bytes} bytes for this path"),
        )),
        Ok(Err(error)) => Err(ErrorResponse::new(
            ProblemKind::BadBody,
            format!("the body could not be read: {error}"),
        )),
        Err(_) => Err(ErrorResponse::new(
            ProblemKind::BodyTooSlow,
            format!("the body did not arrive within {BODY_TIMEOUT:?}"),
        )),
    }
}

/// The client's address as the proxy reports it. The proxy appends the last one; earlier ones come
/// from the client, which can invent them.
fn forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    let value = headers.get_all("x-forwarded-for").iter().next_back()?;
    let last = value.to_str().ok()?.rsplit(',').next()?.trim();
    last.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

/// Ignores poisoning: no update behind these locks can be left incomplete by a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(peer: &str, forwarded: Option<&str>) -> Parts {
        let mut request = Request::new(Body::empty());
        let peer = SocketAddr::new(peer.parse().unwrap(), 9);
        request.extensions_mut().insert(ConnectInfo(peer));
        if let Some(value) = forwarded {
            let headers = request.headers_mut();
            headers.insert("x-forwarded-for", value.parse().unwrap());
        }
        request.into_parts().0
    }

    #[test]
    fn loopback_has_no_client_address() {
        let remote_address = |behind_proxy, peer: &str, forwarded| {
            let access = Access {
                behind_proxy,
                ..Access::default()
            };
            let address =
                Authenticator::new(access, Arc::default()).remote_address(&parts(peer, forwarded));
            address.map(|address| address.to_string())
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(remote_address(false, "127.0.0.1", None), None);
        assert_eq!(remote_address(false, "::1", Some("192.0.2.1")), None);
        assert_eq!(
            remote_address(false, "192.0.2.7", Some("192.0.2.1")),
            some("192.0.2.7")
        );
        assert_eq!(
            remote_address(false, "::ffff:192.0.2.7", None),
            some("192.0.2.7")
        );
        assert_eq!(
            remote_address(false, "2001:db8:1:2:3:4:5:6", None),
            some("2001:db8:1:2::")
        );
        let forged = Some("198.51.100.9, 192.0.2.1");
        assert_eq!(remote_address(true, "127.0.0.1", forged), some("192.0.2.1"));
        assert_eq!(
            remote_address(true, "192.0.2.8", Some("unknown")),
            some("192.0.2.8")
        );
    }

    #[tokio::test]
    async fn the_rate_limit_of_an_address_is_enforced() {
        let access = Access {
            rate_per_address: 5,
            ..Access::default()
        };
        let auth = Authenticator::new(access, Arc::default());
        let mut refused = 0;
        for _ in 0..30 {
            let request = Request::from_parts(parts("192.0.2.7", None), Body::empty());
            refused += u32::from(auth.check_request(request, true).await.is_err());
        }
        assert!((18..=20).contains(&refused), "{refused}");
        let other = Request::from_parts(parts("192.0.2.8", None), Body::empty());
        assert!(auth.check_request(other, true).await.is_ok());
    }
}
