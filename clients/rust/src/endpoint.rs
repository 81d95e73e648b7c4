//! Where a server is: an address, plain or by TLS, and the token it wants. Opens websockets and HTTP requests to it.

use std::{path::Path, sync::Arc, time::Duration};

use http_body_util::{BodyExt, Empty};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};

use super::{Connection, Error};

/// How long a connection, the head of an answer, or its next bytes may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Certificates of the system, where Debian and its kin keep them.
const SYSTEM_CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// A byte stream of either kind.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// A connection that is open: plain TCP or TLS.
pub type Stream = Box<dyn Duplex>;

/// Where a server is, and who asks.
#[derive(Clone)]
pub struct Endpoint {
    /// `host:port`.
    authority: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    token: Option<String>,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Never the token.
        f.debug_struct("Endpoint")
            .field("authority", &self.authority)
            .field("tls", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}

impl Endpoint {
    /// `host:port`, `http://host:port` or `https://host:port`; with `https` the certificate is checked against the PEM
    /// file `trusted`, by default the system's.
    ///
    /// # Errors
    /// [`Error::Endpoint`] when the address or the certificates cannot be used.
    pub fn new(address: &str, trusted: Option<&Path>, token: Option<String>) -> Result<Self, Error> {
        let (secure, rest) = match address.split_once("://") {
            None => (false, address),
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            Some(_) => return Err(unusable(address)),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = authority.rsplit_once(':').ok_or_else(|| unusable(address))?;
        let plain = |c: char| c.is_ascii_graphic() && !"/?#@".contains(c);
        if host.is_empty() || port.parse::<u16>().is_err() || !host.chars().all(plain) {
            return Err(unusable(address));
        }
        let tls = match secure {
            false => None,
            true => {
                let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
                let name = ServerName::try_from(bare).map_err(|_| unusable(address))?;
                Some((connector(trusted)?, name))
            }
        };
        Ok(Self {
            authority: authority.to_owned(),
            tls,
            token,
        })
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// [`Error::Connect`] when nobody is there, or the certificate is not one that is trusted.
    pub async fn connect(&self) -> Result<Stream, Error> {
        let failed = |source| Error::Connect {
            address: self.authority.clone(),
            source,
        };
        let opened = async {
            let stream = TcpStream::connect(&self.authority).await?;
            stream.set_nodelay(true)?;
            Ok(match &self.tls {
                None => Box::new(stream) as Stream,
                Some((connector, name)) => Box::new(connector.connect(name.clone(), stream).await?),
            })
        };
        let late = || std::io::Error::from(std::io::ErrorKind::TimedOut);
        let opened = timeout(PATIENCE, opened).await.unwrap_or_else(|_| Err(late()));
        opened.map_err(failed)
    }

    /// Opens a websocket for questions, orders and subscriptions.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn open(&self) -> Result<Connection<Stream>, Error> {
        Connection::over(self.connect().await?, &self.authority, self.token.as_deref()).await
    }

    /// One GET of a path with its query, on a connection of its own. Whatever the status is, it is an answer.
    ///
    /// # Errors
    /// [`Error::Connect`], [`Error::Http`], [`Error::Silent`]; [`Error::Endpoint`] for a path or header that cannot be sent.
    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Result<Answer, Error> {
        let mut request = Request::get(path).header("host", &self.authority);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .body(Empty::<Bytes>::new())
            .map_err(|e| Error::Endpoint(format!("{path:?} cannot be asked for: {e}")))?;
        let io = TokioIo::new(self.connect().await?);
        let (mut sender, connection) = http1::handshake(io).await?;
        // Ends with the answer that is read, or with its reader.
        let connection = tokio::spawn(connection);
        let answer = timeout(PATIENCE, sender.send_request(request)).await;
        Ok(Answer {
            response: answer.map_err(|_| Error::Silent)??,
            connection,
        })
    }
}

fn unusable(address: &str) -> Error {
    Error::Endpoint(format!(
        "{address:?} is no address of a server: expected HOST:PORT, http://HOST:PORT or https://HOST:PORT"
    ))
}

fn connector(trusted: Option<&Path>) -> Result<TlsConnector, Error> {
    let path = trusted.unwrap_or(Path::new(SYSTEM_CERTIFICATES));
    let bad = |why: &dyn std::fmt::Display| {
        Error::Endpoint(format!(
            "{} does not hold PEM certificates to trust: {why}",
            path.display()
        ))
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|e| bad(&e))? {
        roots.add(certificate.map_err(|e| bad(&e))?).map_err(|e| bad(&e))?;
    }
    if roots.is_empty() {
        return Err(bad(&"there is none in it"));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| bad(&e))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The answer to a GET, its body not yet read.
#[derive(Debug)]
pub struct Answer {
    response: Response<Incoming>,
    connection: tokio::task::JoinHandle<Result<(), hyper::Error>>,
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Answer {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// A header, when it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// The next bytes of the body; none at its end.
    ///
    /// # Errors
    /// [`Error::Http`] when the connection ends before the body does, [`Error::Silent`] when nothing comes for half a minute.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let frame = timeout(PATIENCE, self.response.body_mut().frame()).await;
            match frame.map_err(|_| Error::Silent)? {
                None => return Ok(None),
                Some(frame) => {
                    // Trailers are not asked for.
                    if let Ok(data) = frame?.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// The whole body as text, as far as `limit` bytes of it: for messages of refusal.
    ///
    /// # Errors
    /// As [`Self::chunk`].
    pub async fn text(&mut self, limit: usize) -> Result<String, Error> {
        let mut all = Vec::new();
        while let Some(bytes) = self.chunk().await? {
            all.extend_from_slice(&bytes[..bytes.len().min(limit - all.len())]);
            if all.len() == limit {
                break;
            }
        }
        Ok(String::from_utf8_lossy(&all).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::Endpoint;

    #[test]
    fn addresses_have_a_host_and_a_port() {
        for (address, authority) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://box.local:80/", "box.local:80"),
            ("[::1]:8080", "[::1]:8080"),
        ] {
            assert_eq!(Endpoint::new(address, None, None).unwrap().authority, authority);
        }
        for bad in [
            "",
            "box",
            "box:",
            ":8080",
            "box:99999",
            "ftp://box:1",
            "a@b:1",
            "http://box:80/graphql",
            "b x:1",
        ] {
            assert!(Endpoint::new(bad, None, None).is_err(), "{bad}");
        }
        assert!(Endpoint::new("https://box:443", Some(std::path::Path::new("/none")), None).is_err());
        let token = Some("secret-token".to_owned());
        let shown = format!("{:?}", Endpoint::new("box:1", None, token).unwrap());
        assert!(!shown.contains("secret"), "{shown}");
    }
}
