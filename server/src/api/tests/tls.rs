//! TLS with certificates made for the test, and changed while the server runs.

use std::{path::PathBuf, time::Duration};

use tapline_client::Connection;
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, client::Resumption, crypto::ring, pki_types::ServerName},
};

use super::*;

/// A certificate for `localhost` that signs itself.
struct Pair {
    chain: String,
    key: String,
    trust: TlsConnector,
}

impl Pair {
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        // A session that goes on shows no certificate.
        config.resumption = Resumption::disabled();
        Self {
            chain: made.cert.pem(),
            key: made.signing_key.serialize_pem(),
            trust: TlsConnector::from(Arc::new(config)),
        }
    }

    fn write(&self, [certificate, key]: &[PathBuf; 2]) {
        std::fs::write(certificate, &self.chain).unwrap();
        std::fs::write(key, &self.key).unwrap();
    }

    /// Asks over TLS; why not, when the certificate is not the one that is trusted.
    async fn ask(&self, address: SocketAddr) -> Result<Value, String> {
        let socket = tokio::net::TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let socket = self.trust.connect(name, socket).await.map_err(|e| e.to_string())?;
        let mut connection = Connection::over(socket, "localhost", None)
            .await
            .map_err(|e| e.to_string())?;
        connection
            .ask("{ server { ready } }", json!({}))
            .await
            .map_err(|e| e.to_string())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_spoken_and_a_new_certificate_is_taken_up() {
    let directory = tempfile::tempdir().unwrap();
    let files = ["chain.pem", "key.pem"].map(|name| directory.path().join(name));
    let (first, second) = (Pair::new(), Pair::new());
    first.write(&files);
    let bench = Bench::new();
    let security = Security {
        tls: Some(files.clone().into()),
        ..Security::local()
    };
    let limits = Limits {
        certificate_look: Duration::from_millis(50),
        init: Duration::from_millis(500),
        ..Limits::default()
    };
    let (address, _stop) = bench.serve_for(security, limits);
    assert_eq!(first.ask(address).await, Ok(json!({ "server": { "ready": false } })));
    assert!(second.ask(address).await.is_err(), "this one is not trusted yet");

    // Without TLS nothing is answered.
    let mut plain = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut said = Vec::new();
    tokio::io::AsyncWriteExt::write_all(&mut plain, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut plain, &mut said);
    let _ = tokio::time::timeout(Duration::from_secs(10), read)
        .await
        .expect("it is closed");
    assert!(!String::from_utf8_lossy(&said).contains("HTTP/1.1"), "{said:?}");

    // A pair that does not belong together is not used; what was in use stays.
    std::fs::write(&files[0], &second.chain).unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(first.ask(address).await.is_ok(), "half a change changes nothing");
    second.write(&files);
    for _ in 0..100 {
        if second.ask(address).await.is_ok() {
            assert!(first.ask(address).await.is_err(), "the old one is no longer shown");
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the new certificate is not taken up");
}
