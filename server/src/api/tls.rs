//! TLS by rustls, its certificate read again when the files change.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        server::{ClientHello, ResolvesServerCert},
        sign::CertifiedKey,
    },
    server::TlsStream,
};

use super::listen::Plain;

/// Takes TLS connections.
#[derive(Clone)]
pub(super) struct Tls(TlsAcceptor);

/// The certificate in use.
#[derive(Debug)]
struct Current(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl Tls {
    /// Reads the files, and looks at them again every `look`. Call it inside a runtime.
    ///
    /// # Errors
    /// When they do not hold a certificate and its key.
    pub(super) fn new(certificate: PathBuf, key: PathBuf, look: Duration) -> io::Result<Self> {
        let current = Arc::new(Current(ArcSwap::from_pointee(read(&certificate, &key)?)));
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&current) as _);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        tokio::spawn(follow(Arc::downgrade(&current), certificate, key, look));
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    pub(super) async fn accept(&self, socket: Plain) -> io::Result<TlsStream<Plain>> {
        self.0.accept(socket).await
    }
}

async fn follow(current: std::sync::Weak<Current>, certificate: PathBuf, key: PathBuf, look: Duration) {
    let mut seen = times(&certificate, &key);
    loop {
        tokio::time::sleep(look).await;
        let Some(current) = current.upgrade() else { return };
        let now = times(&certificate, &key);
        if now == seen {
            continue;
        }
        match read(&certificate, &key) {
            Ok(pair) => {
                current.0.store(Arc::new(pair));
                tracing::info!("the certificate was read again");
                seen = now;
            }
            // Half-written: the next look will tell. The one in use stays.
            Err(error) => tracing::warn!(%error, "the changed certificate is not used"),
        }
    }
}

fn times(certificate: &Path, key: &Path) -> [Option<SystemTime>; 2] {
    [certificate, key].map(|path| std::fs::metadata(path).and_then(|m| m.modified()).ok())
}

fn read(certificate: &Path, key: &Path) -> io::Result<CertifiedKey> {
    let bad = |path: &Path, message: String| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{}: {message}", path.display()))
    };
    let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
        .and_then(|all| all.collect())
        .map_err(|e| bad(certificate, e.to_string()))?;
    if chain.is_empty() {
        return Err(bad(
            certificate,
            "expected a PEM certificate chain, found none".to_owned(),
        ));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|e| bad(key, e.to_string()))?;
    let signer = ring::sign::any_supported_type(&private).map_err(|e| bad(key, e.to_string()))?;
    let pair = CertifiedKey::new(chain, signer);
    pair.keys_match()
        .map_err(|e| bad(key, format!("it is not the certificate's key: {e}")))?;
    Ok(pair)
}
