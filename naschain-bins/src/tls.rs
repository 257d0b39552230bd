//! TLS by rustls, with certificates from PEM files.
//!
//! rustls uses ring, which needs only a C compiler; SQLite needs that anyway. Requests are signed
//! but responses are not, because btauth/1 signs requests only: TLS protects the responses.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Configuration of a server with a certificate chain and its private key.
pub(crate) fn server_config(cert: &Path, key: &Path) -> Result<Arc<ServerConfig>> {
    let context = || format!("cannot read certificates from {}", cert.display());
    let chain = CertificateDer::pem_file_iter(cert).with_context(context)?;
    let chain: Vec<_> = chain.collect::<Result<_, _>>().with_context(context)?;
    ensure!(
        !chain.is_empty(),
        "{} contains no certificate; it must be a PEM file with at least one",
        cert.display()
    );
    // rustls' parse errors do not quote the file, so they cannot reveal the key.
    let secret = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("cannot read a private key from {}", key.display()))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .with_context(|| {
            let (cert, key) = (cert.display(), key.display());
            format!("the certificate {cert} and the key {key} do not belong together")
        })?;
    // The server speaks only HTTP/1.1 (`listen.rs`).
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Certificates that a client trusts in addition to the public ones.
pub(crate) fn certificates(file: &Path) -> Result<Vec<reqwest::Certificate>> {
    let pem = std::fs::read(file);
    let pem = pem.with_context(|| format!("cannot read the certificates {}", file.display()))?;
    let found = reqwest::Certificate::from_pem_bundle(&pem).unwrap_or_default();
    if found.is_empty() {
        bail!(
            "{} contains no certificate; it must be a PEM file with at least one",
            file.display()
        );
    }
    Ok(found)
}

/// Advice on a client's TLS error whose text does not say what to do; empty for others.
pub(crate) fn hint(error: &str) -> &'static str {
    // The name of the error in rustls. Certificates that `openssl req -x509` creates cause it.
    if error.contains("CaUsedAsEndEntity") {
        "; the genomaster's certificate is that of a certificate authority (CA:TRUE), which clients \
             refuse for a server: let the authority sign one for the genomaster, use that for \
             --tls-cert, and give clients the authority's certificate with --ca-file; \
             docs/identity.md has the commands"
    } else {
        ""
    }
}
