//! Work of a download: on a thread that gives way to everything else, and between cycles.

use tokio::sync::oneshot;

/// Above the niceness of the server: where two threads want a processor, this one gets a hundredth of it.
const GIVES_WAY: i32 = 19;

/// Runs this on a thread of its own. Its answer; none when it panicked or no thread could be started.
pub(super) fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> oneshot::Receiver<T> {
    let (done, answer) = oneshot::channel();
    let thread = std::thread::Builder::new().name("tapline-aside".to_owned());
    let started = thread.spawn(move || {
        // On Linux niceness is a thread's own. Where it cannot be raised, the work is done all the same.
        if let Err(error) = rustix::process::nice(GIVES_WAY) {
            tracing::debug!(%error, "a download's thread does not give way");
        }
        // Whoever asked may be gone.
        let _ = done.send(work());
    });
    if let Err(error) = started {
        tracing::warn!(%error, "no thread for a download");
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::aside;

    #[tokio::test]
    async fn only_the_thread_itself_gives_way() {
        let niceness = || rustix::process::getpriority_process(None).unwrap();
        let before = niceness();
        assert_eq!(aside(niceness).await.unwrap(), 19);
        assert_eq!(niceness(), before);
        let lost = aside(|| panic!("as written"));
        assert!(lost.await.is_err());
    }
}
