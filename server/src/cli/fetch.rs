//! `tapline bundle fetch`: a bundle from a running server into a file, however often the line breaks.
//!
//! The log grows every second, and a bundle ends with its newest checkpoint: the first answer names a head, and every
//! request after it asks for that one (`&checkpoint=SIZE`, `If-Range`). What is there so far lies in `FILE.part`, the
//! head beside it in `FILE.part.json`; FILE appears whole or not at all, and never over another.

use std::{
    fs::{self, File, OpenOptions},
    io::{Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::{Deserialize, Serialize};
use tapline_client::{Answer, Endpoint, Error};
use tapline_witness::bundle::MAX_BUNDLE_LEN;

use super::{
    output::{Failure, Outcome, Result, print, say},
    progress::Progress,
    remote::{Remote, converse},
};

/// Where the server has its bundles.
const PATH: &str = "/v1/witness/bundles";
/// Tries without a new byte before it gives up, and the wait between two.
const TRIES: u32 = 6;
const WAIT: Duration = Duration::from_millis(if cfg!(test) { 1 } else { 2_000 });
/// Bytes of a refusal that are read.
const REFUSAL: usize = 4 << 10;

/// Which range, and where to.
#[derive(Args)]
pub(super) struct Options {
    #[command(flatten)]
    remote: Remote,
    /// First leaf, or a time such as 2026-11-23T17:22:05Z
    #[arg(long, value_name = "N|TIME")]
    from: String,
    /// One past the last leaf, or a time
    #[arg(long, value_name = "N|TIME")]
    to: String,
    /// Raw input too: needs the scope admin, and leaves an AUDIT leaf
    #[arg(long)]
    inputs: bool,
    /// Carry the checkpoint of this size too, and the tiles that prove that the log continues it
    #[arg(long, value_name = "SIZE")]
    old: Option<u64>,
    /// File to write; one that exists is not overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// The head that a download is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    /// What was asked, without the checkpoint.
    query: String,
    etag: String,
    checkpoint: u64,
    length: u64,
    /// What became of the raw input.
    inputs: String,
}

/// A download that may be half done.
struct Download {
    file: File,
    part: PathBuf,
    note: PathBuf,
    head: Option<Head>,
    /// Bytes that are there.
    have: u64,
}

/// What a try came to.
enum Tried {
    Complete,
    /// The line broke.
    Broken(String),
}

pub(super) fn run(options: &Options) -> Result {
    for end in [&options.from, &options.to] {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-:.+".contains(&byte);
        if end.is_empty() || !end.bytes().all(plain) {
            return Err(Failure(format!(
                "found {end:?}; expected the number of a leaf, or a time such as 2026-11-23T17:22:05Z"
            )));
        }
    }
    let mut query = format!("from={}&to={}", options.from, options.to).replace('+', "%2B");
    if options.inputs {
        query += "&inputs=1";
    }
    if let Some(old) = options.old {
        query += &format!("&old={old}");
    }
    if options.out.exists() {
        return Err(occupied(&options.out));
    }
    let mut download = Download::open(&options.out, &query)?;
    let endpoint = options.remote.endpoint()?;
    let head = converse(download.finish(&endpoint, &query))?;
    download.deliver(&options.out)?;
    if head.inputs.starts_with("withheld") {
        say(&format!("raw input is {}", head.inputs));
    }
    print(&format!(
        "{} bytes in {}, of the log at size {}\nverify it: tapline verify {} --policy POLICY (the keys of the log, handed \
         over by another way than from {})",
        head.length,
        options.out.display(),
        head.checkpoint,
        options.out.display(),
        options.remote.address()
    ));
    Ok(Outcome::Yes)
}

fn occupied(out: &Path) -> Failure {
    Failure(format!(
        "{} exists and is not overwritten: name another file",
        out.display()
    ))
}

fn beside(out: &Path, end: &str) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(end);
    name.into()
}

impl Download {
    /// Takes up what an earlier try left, when it was of the same question.
    fn open(out: &Path, query: &str) -> std::result::Result<Self, Failure> {
        let (part, note) = (beside(out, ".part"), beside(out, ".part.json"));
        let failed = |e: std::io::Error| Failure(format!("cannot write {}: {e}", part.display()));
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&part)
            .map_err(failed)?;
        file.try_lock()
            .map_err(|_| Failure(format!("another download writes {}", part.display())))?;
        let head = fs::read(&note)
            .ok()
            .and_then(|text| serde_json::from_slice::<Head>(&text).ok())
            .filter(|head| head.query == query);
        let have = match &head {
            // More than the whole is not of this bundle.
            Some(head) => Some(file.metadata().map_err(failed)?.len()).filter(|have| *have <= head.length),
            None => None,
        };
        Ok(Self {
            file,
            part,
            note,
            head: head.filter(|_| have.is_some()),
            have: have.unwrap_or(0),
        })
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> Failure {
        Failure(format!("cannot write {}: {error}", self.part.display()))
    }

    /// Tries until all of it is there.
    async fn finish(&mut self, endpoint: &Endpoint, query: &str) -> std::result::Result<Head, Failure> {
        let mut left = TRIES;
        loop {
            let before = self.have;
            if let (Some(head), true) = (&self.head, self.head.as_ref().is_some_and(|h| h.length == self.have)) {
                return Ok(head.clone());
            }
            match self.attempt(endpoint, query).await? {
                Tried::Complete => {}
                Tried::Broken(why) => {
                    left = if self.have > before { TRIES } else { left - 1 };
                    if left == 0 {
                        return Err(Failure(format!(
                            "{why}. {} bytes are in {}: the same command goes on from there",
                            self.have,
                            self.part.display()
                        )));
                    }
                    say(&format!("{why}; going on from byte {}", self.have));
                    tokio::time::sleep(WAIT).await;
                }
            }
        }
    }

    async fn attempt(&mut self, endpoint: &Endpoint, query: &str) -> std::result::Result<Tried, Failure> {
        let (path, range);
        let mut headers = Vec::new();
        match &self.head {
            None => path = format!("{PATH}?{query}"),
            Some(head) => {
                path = format!("{PATH}?{query}&checkpoint={}", head.checkpoint);
                range = format!("bytes={}-", self.have);
                headers.extend([("range", range.as_str()), ("if-range", head.etag.as_str())]);
            }
        }
        let answer = endpoint.get(&path, &headers).await;
        let mut answer = match answer {
            Ok(answer) => answer,
            Err(error @ Error::Endpoint(_)) => return Err(Failure::of(error)),
            Err(error) => return Ok(Tried::Broken(error.to_string())),
        };
        match answer.status() {
            200 => self.begin(&answer, query)?,
            206 => self.go_on(&answer)?,
            // All of them are in use, or it is busy: another try may do.
            429 | 503 => return Ok(Tried::Broken(refusal(&mut answer).await)),
            _ => return Err(Failure(refusal(&mut answer).await)),
        }
        self.receive(&mut answer).await
    }

    /// The whole bundle comes, of the head that this answer names.
    fn begin(&mut self, answer: &Answer, query: &str) -> std::result::Result<(), Failure> {
        let missing = |name: &str| Failure(format!("the server's answer lacks the header {name}"));
        let text = |name: &str| answer.header(name).map(str::to_owned).ok_or_else(|| missing(name));
        let number =
            |name: &str| -> std::result::Result<u64, Failure> { text(name)?.parse().map_err(|_| missing(name)) };
        let head = Head {
            query: query.to_owned(),
            etag: text("etag")?,
            checkpoint: number("tapline-checkpoint")?,
            length: number("content-length")?,
            inputs: text("tapline-inputs")?,
        };
        if head.length > MAX_BUNDLE_LEN {
            return Err(Failure(format!(
                "the server announces {} bytes; a bundle has at most {MAX_BUNDLE_LEN}",
                head.length
            )));
        }
        if self.have > 0 {
            say("the server has that bundle no more as it was: the download begins anew");
        }
        self.file.set_len(0).map_err(|e| self.failed(&e))?;
        self.have = 0;
        // Under its name only when it is whole: half a note would make the rest of another bundle fit.
        let tmp = beside(&self.note, ".tmp");
        let noted = serde_json::to_vec(&head)
            .map_err(std::io::Error::from)
            .and_then(|text| fs::write(&tmp, text))
            .and_then(|()| fs::rename(&tmp, &self.note));
        noted.map_err(|e| self.failed(&e))?;
        self.head = Some(head);
        Ok(())
    }

    /// The rest comes: it has to be the rest of this very bundle.
    fn go_on(&self, answer: &Answer) -> std::result::Result<(), Failure> {
        let Some(head) = &self.head else {
            return Err(Failure("the server sends a part that nobody asked for".to_owned()));
        };
        let expected = format!("bytes {}-{}/{}", self.have, head.length.saturating_sub(1), head.length);
        let found = (answer.header("etag"), answer.header("content-range"));
        if found == (Some(&head.etag), Some(&expected)) {
            return Ok(());
        }
        Err(Failure(format!(
            "expected {expected} of {}, found {} of {}; remove {} to begin anew",
            head.etag,
            found.1.unwrap_or("no Content-Range"),
            found.0.unwrap_or("no ETag"),
            self.part.display()
        )))
    }

    async fn receive(&mut self, answer: &mut Answer) -> std::result::Result<Tried, Failure> {
        let length = self.head.as_ref().map_or(0, |head| head.length);
        self.file
            .seek(SeekFrom::Start(self.have))
            .map_err(|e| self.failed(&e))?;
        let bar = Progress::bytes(length);
        let ended = loop {
            bar.step(self.have);
            match answer.chunk().await {
                Ok(Some(bytes)) => {
                    let more = self.have + bytes.len() as u64;
                    if more > length {
                        return Err(Failure(format!(
                            "the server sends more than the {length} bytes it announced"
                        )));
                    }
                    self.file.write_all(&bytes).map_err(|e| self.failed(&e))?;
                    self.have = more;
                }
                Ok(None) if self.have == length => break Tried::Complete,
                Ok(None) => break Tried::Broken(format!("the answer ended at byte {} of {length}", self.have)),
                Err(error) => break Tried::Broken(error.to_string()),
            }
        };
        bar.done();
        Ok(ended)
    }

    /// Gives the whole file its name, unless somebody took that meanwhile.
    fn deliver(self, out: &Path) -> std::result::Result<(), Failure> {
        self.file.sync_all().map_err(|e| self.failed(&e))?;
        match renameat_with(CWD, &self.part, CWD, out, RenameFlags::NOREPLACE) {
            Ok(()) => {}
            Err(rustix::io::Errno::EXIST) => return Err(occupied(out)),
            Err(e) => return Err(Failure(format!("cannot name {}: {e}", out.display()))),
        }
        let _ = fs::remove_file(&self.note);
        Ok(())
    }
}

/// What the server says against it.
async fn refusal(answer: &mut Answer) -> String {
    let status = answer.status();
    let body = answer.text(REFUSAL).await.unwrap_or_default();
    let value: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
    let error = &value["error"];
    match (error["message"].as_str(), error["help"].as_str()) {
        (Some(message), Some(help)) => format!("the server says no (HTTP {status}): {message}. {help}"),
        _ => format!("the server says no: HTTP {status}"),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader},
        net::TcpListener,
        thread::JoinHandle,
    };

    use super::*;

    /// A server that gives these answers, one a connection, and tells what it was asked.
    fn scripted(answers: Vec<Vec<u8>>) -> (String, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let serve = move || {
            let mut asked = Vec::new();
            for answer in answers {
                let (mut socket, _) = listener.accept().unwrap();
                let mut request = String::new();
                for line in BufReader::new(&socket).lines() {
                    let line = line.unwrap();
                    if line.is_empty() {
                        break;
                    }
                    request += &format!("{line}\n");
                }
                asked.push(request);
                // The client may have seen enough and be gone.
                let _ = socket.write_all(&answer);
            }
            asked
        };
        (address, std::thread::spawn(serve))
    }

    fn answer(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
        let mut all = format!("HTTP/1.1 {status} x\r\n{headers}\r\n\r\n").into_bytes();
        all.extend_from_slice(body);
        all
    }

    fn head(tag: &str, size: u64, length: usize) -> String {
        format!(
            "etag: {tag}\r\ntapline-checkpoint: {size}\r\ntapline-inputs: not asked for\r\ncontent-length: {length}"
        )
    }

    fn rest(tag: &str, from: usize, of: usize) -> String {
        format!(
            "etag: {tag}\r\ncontent-range: bytes {from}-{}/{of}\r\ncontent-length: {}",
            of - 1,
            of - from
        )
    }

    struct Place(tempfile::TempDir);

    impl Place {
        fn out(&self) -> PathBuf {
            self.0.path().join("x.wbundle")
        }

        fn fetch(&self, address: &str) -> std::result::Result<Head, Failure> {
            let mut download = Download::open(&self.out(), "from=0&to=9")?;
            let endpoint = Endpoint::new(address, None, None).map_err(Failure::of)?;
            let head = converse(download.finish(&endpoint, "from=0&to=9"))?;
            download.deliver(&self.out())?;
            Ok(head)
        }
    }

    /// The line breaks, the program ends, the log grows: what is asked for next is the rest of the same head.
    #[test]
    fn a_download_goes_on_after_its_line_and_its_program_broke() {
        let whole: Vec<u8> = (0..=255).cycle().take(5_000).collect();
        let place = Place(tempfile::tempdir().unwrap());
        let mut answers = vec![
            answer(200, &head("\"a\"", 700, 5_000), &whole[..1_200]),
            answer(206, &rest("\"a\"", 1_200, 5_000), &whole[1_200..1_300]),
        ];
        // Then nothing, until it gives up.
        answers.extend(vec![answer(503, "content-length: 0", b""); TRIES as usize]);
        let (address, asked) = scripted(answers);
        let gave_up = place.fetch(&address).unwrap_err().to_string();
        assert!(gave_up.contains("1300 bytes are in"), "{gave_up}");
        assert!(!place.out().exists());
        let asked = asked.join().unwrap();
        assert!(
            asked[0].starts_with("GET /v1/witness/bundles?from=0&to=9 HTTP"),
            "{}",
            asked[0]
        );

        let (address, later) = scripted(vec![answer(206, &rest("\"a\"", 1_300, 5_000), &whole[1_300..])]);
        let head = place.fetch(&address).unwrap();
        assert_eq!((head.checkpoint, head.length), (700, 5_000));
        let later = later.join().unwrap();
        for wanted in [
            "from=0&to=9&checkpoint=700 ",
            "range: bytes=1300-\n",
            "if-range: \"a\"\n",
        ] {
            assert!(later[0].contains(wanted), "{wanted}: {}", later[0]);
        }
        assert_eq!(fs::read(place.out()).unwrap(), whole);
        assert_eq!(
            fs::read_dir(place.0.path()).unwrap().count(),
            1,
            "nothing is left beside it"
        );
    }

    /// Retention changed the bundle under the download: the server sends another one whole, and no byte of the first is in it.
    #[test]
    fn another_bundle_begins_anew() {
        let place = Place(tempfile::tempdir().unwrap());
        let (address, _) = scripted(vec![
            answer(200, &head("\"a\"", 700, 100), &[1; 60]),
            answer(200, &head("\"b\"", 700, 80), &[2; 80]),
        ]);
        assert_eq!(place.fetch(&address).unwrap().etag, "\"b\"");
        assert_eq!(fs::read(place.out()).unwrap(), [2; 80]);
    }

    #[test]
    fn answers_that_do_not_fit_are_refused() {
        let begun = |tag: &str| answer(200, &head(tag, 700, 100), &[1; 60]);
        let refused = br#"{"error":{"message":"leaf 3 is no longer kept","help":"Ask for something newer."}}"#;
        for (script, words) in [
            (
                vec![answer(410, &format!("content-length: {}", refused.len()), refused)],
                "no longer kept",
            ),
            (
                vec![answer(200, "content-length: 5", b"abcde")],
                "lacks the header etag",
            ),
            (
                vec![answer(200, &head("\"a\"", 1, (MAX_BUNDLE_LEN + 1) as usize), b"")],
                "a bundle has at most",
            ),
            (
                vec![answer(206, &rest("\"a\"", 0, 9), &[0; 9])],
                "a part that nobody asked for",
            ),
            (
                vec![begun("\"a\""), answer(206, &rest("\"b\"", 60, 100), &[1; 40])],
                "expected bytes 60-99/100 of \"a\"",
            ),
            (
                vec![begun("\"a\""), answer(206, &rest("\"a\"", 50, 100), &[1; 50])],
                "found bytes 50-99/100",
            ),
        ] {
            let place = Place(tempfile::tempdir().unwrap());
            let (address, _) = scripted(script);
            let error = place.fetch(&address).unwrap_err().to_string();
            assert!(error.contains(words), "{words}: {error}");
            assert!(!place.out().exists());
        }
    }

    #[test]
    fn what_exists_is_not_overwritten() {
        let place = Place(tempfile::tempdir().unwrap());
        let (address, _) = scripted(vec![answer(200, &head("\"a\"", 700, 3), b"new")]);
        let mut download = Download::open(&place.out(), "q").unwrap();
        let endpoint = Endpoint::new(&address, None, None).unwrap();
        converse(download.finish(&endpoint, "q")).unwrap();
        // Somebody else was faster.
        fs::write(place.out(), "old").unwrap();
        assert!(Download::open(&place.out(), "q").is_err(), "one download at a time");
        let error = download.deliver(&place.out()).unwrap_err().to_string();
        assert!(error.contains("is not overwritten"), "{error}");
        assert_eq!(fs::read(place.out()).unwrap(), b"old");
    }
}
