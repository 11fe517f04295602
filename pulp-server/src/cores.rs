//! The threads that speak with clients, one for each core.
//!
//! Each has its own event loop, and the connections that were dealt to it: what is answered from memory goes out on the thread that
//! heard the question, and no thread sleeps while another has more than it can do. All that has to wait for something (a database, an
//! upstream, a disk) belongs to the [shared runtime](Cores::shared), so that nothing long stands in the way of other clients, and nothing
//! that outlives a connection depends on these threads.

use std::io;
use std::panic;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::thread;

use futures::future::poll_fn;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::task::AbortOnDropHandle;

/// Blocking threads of each: for parts of files that are not in memory.
const BLOCKING: usize = 16;

/// The threads; they end, with the connections that are left, when this is dropped.
#[derive(Debug)]
pub(crate) struct Cores {
    cores: Vec<Core>,
    shared: Handle,
    /// Told to end when it is dropped.
    _running: watch::Sender<()>,
}

#[derive(Debug)]
struct Core {
    handle: Handle,
    /// How many connections it has.
    open: Arc<AtomicUsize>,
}

impl Cores {
    /// As many threads as there are cores. Must be called within the runtime that is to be shared.
    ///
    /// # Errors
    /// If the system gives no thread or no event loop.
    pub(crate) fn start() -> io::Result<Self> {
        let count = thread::available_parallelism().map_or(1, usize::from);
        let running = watch::Sender::new(());
        let cores = (0..count).map(|at| Core::start(at, running.subscribe())).collect::<io::Result<_>>()?;
        Ok(Self { cores, shared: Handle::current(), _running: running })
    }

    /// Where all goes that has to wait.
    pub(crate) fn shared(&self) -> &Handle {
        &self.shared
    }

    /// Does something on the first of the threads.
    pub(crate) fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.cores[0].handle.spawn(work)
    }

    /// Deals a connection to the thread that has fewest, which does `speak` with it.
    pub(crate) fn deal<F>(&self, stream: TcpStream, speak: impl FnOnce(TcpStream) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let Some(core) = self.cores.iter().min_by_key(|core| core.open.load(Ordering::Relaxed)) else { return };
        let open = Open::new(&core.open);
        // From the event loop that has accepted it to the one that it belongs to.
        let stream = match stream.into_std() {
            Ok(stream) => stream,
            Err(error) => return tracing::warn!(%error, "a connection could not be dealt to a thread"),
        };
        core.handle.spawn(async move {
            let _open = open;
            match TcpStream::from_std(stream) {
                Ok(stream) => speak(stream).await,
                Err(error) => tracing::warn!(%error, "a connection could not be taken over"),
            }
        });
    }
}

impl Core {
    fn start(at: usize, mut running: watch::Receiver<()>) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(BLOCKING).build()?;
        let handle = runtime.handle().clone();
        thread::Builder::new().name(format!("clients-{at}")).spawn(move || {
            // Never told anything but the end.
            let _ = runtime.block_on(running.changed());
            runtime.shutdown_background();
        })?;
        Ok(Self { handle, open: Arc::default() })
    }
}

/// Counts a connection for as long as it lives.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The outcome of `work`: from here if it need not wait for anything, else from `shared`. Dropping this drops the work.
///
/// `None` if `shared` ends before.
pub(crate) async fn here_or_on<T: Send + 'static>(shared: &Handle, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
    let mut work = Box::pin(work);
    if let Poll::Ready(done) = poll_fn(|cx| Poll::Ready(poll_in(shared, work.as_mut(), cx))).await {
        return Some(done);
    }
    match AbortOnDropHandle::new(shared.spawn(work)).await {
        Ok(done) => Some(done),
        Err(error) => match error.try_into_panic() {
            Ok(reason) => panic::resume_unwind(reason),
            Err(_) => None,
        },
    }
}

/// Whatever it opens, starts or sets a timer for belongs to `runtime`.
fn poll_in<F: Future + ?Sized>(runtime: &Handle, work: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<F::Output> {
    let _within = runtime.enter();
    work.poll(cx)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::sync::oneshot;

    use super::*;

    fn name() -> String {
        thread::current().name().unwrap_or_default().to_owned()
    }

    /// A connection’s two ends.
    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (ours, listener.accept().await.unwrap().0)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn each_core_has_as_many_connections_as_the_others() {
        let cores = Cores::start().unwrap();
        let all = cores.cores.len() * 3;
        let mut clients = Vec::new();
        for _ in 0..all {
            let (client, served) = pair().await;
            cores.deal(served, |mut served| async move {
                served.write_all(name().as_bytes()).await.unwrap();
                // Until the client leaves.
                let _ = served.read_u8().await;
            });
            clients.push(client);
        }
        let counts = || cores.cores.iter().map(|core| core.open.load(Ordering::Relaxed)).collect::<Vec<_>>();
        assert_eq!(counts(), vec![3; cores.cores.len()]);
        let mut answer = [0; 8];
        clients[0].read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"clients-");
        drop(clients);
        while counts().iter().any(|count| *count > 0) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn what_waits_goes_on_elsewhere_and_what_does_not_stays() {
        let cores = Cores::start().unwrap();
        let shared = cores.shared().clone();
        let (_client, served) = pair().await;
        let (tell, told) = oneshot::channel();
        cores.deal(served, move |_| async move {
            let at_hand = here_or_on(&shared, async { name() }).await;
            let waited = here_or_on(&shared, async {
                tokio::time::sleep(Duration::from_millis(1)).await;
                name()
            });
            let _ = tell.send((at_hand, waited.await));
        });
        let (at_hand, waited) = told.await.unwrap();
        assert!(at_hand.unwrap().starts_with("clients-"));
        assert!(!waited.unwrap().starts_with("clients-"));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn what_an_answer_opens_outlives_the_threads() {
        let cores = Cores::start().unwrap();
        let shared = cores.shared().clone();
        let (_client, served) = pair().await;
        let (kept, keep) = oneshot::channel();
        let (answers, asked) = oneshot::channel::<()>();
        cores.deal(served, move |_| async move {
            let opened = here_or_on(&shared, async {
                // The first poll is here: without care the socket would be of this thread's event loop.
                let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
                listener.set_nonblocking(true).unwrap();
                TcpListener::from_std(listener).unwrap()
            });
            let _ = kept.send(opened.await);
            let _ = asked.await;
        });
        let listener = keep.await.unwrap().unwrap();
        drop((cores, answers));
        // Time for the thread to end.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, accepted) = tokio::join!(client, listener.accept());
        client.unwrap();
        accepted.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn work_that_nobody_waits_for_ends() {
        let (held, gone) = oneshot::channel::<()>();
        let shared = Handle::current();
        let work = here_or_on(&shared, async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        assert!(tokio::time::timeout(Duration::from_millis(50), work).await.is_err());
        assert!(tokio::time::timeout(Duration::from_secs(5), gone).await.unwrap().is_err(), "it holds the sender no more");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_panic_is_passed_on() {
        let shared = Handle::current();
        let work = tokio::spawn(async move {
            here_or_on(&shared, async {
                tokio::task::yield_now().await;
                panic!("planned");
            })
            .await
        });
        assert!(work.await.is_err_and(|error| error.is_panic()));
    }
}
