//! The flags of a server that serves https.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use tokio_rustls::rustls::ServerConfig;

use crate::tls::server_config;

/// Flags about TLS.
#[derive(Args, Clone, Debug)]
pub(crate) struct TlsArgs {
    /// Certificate chain in PEM, the server's own certificate first; serves https
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the certificate in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
}

impl TlsArgs {
    /// Loads the TLS configuration; `None` without a certificate.
    pub(crate) fn load(&self) -> Result<Option<Arc<ServerConfig>>> {
        match (&self.tls_cert, &self.tls_key) {
            (Some(cert), Some(key)) => server_config(cert, key).map(Some),
            _ => Ok(None),
        }
    }
}
