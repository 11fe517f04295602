//! Clients on raw sockets: large reads, and nothing done with the bytes.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

const BUFFER: usize = 256 << 10;

/// A request that is sent again and again.
#[derive(Clone)]
pub struct Target {
    pub name: String,
    pub address: SocketAddr,
    pub request: Vec<u8>,
    /// The processes that answer.
    pub pids: Vec<u32>,
}

impl Target {
    pub fn new(name: &str, address: SocketAddr, path: &str, headers: &str, pids: &[u32]) -> Self {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n").into_bytes();
        Self { name: name.to_owned(), address, request, pids: pids.to_vec() }
    }

    /// Processor time that its processes have used, in seconds.
    pub fn cpu(&self) -> f64 {
        self.pids.iter().map(|pid| cpu(*pid)).sum()
    }
}

/// User and system time of a process, with threads that have ended.
fn cpu(pid: u32) -> f64 {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return 0.0 };
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// The children of a process, and itself.
pub fn family(pid: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|pid| pid.parse().ok()).flat_map(family);
    std::iter::once(pid).chain(children.collect::<Vec<_>>()).collect()
}

/// What came of a load.
#[derive(Clone, Copy, Default, Debug)]
pub struct Sample {
    pub requests: f64,
    pub bytes: f64,
    pub seconds: f64,
    pub cpu: f64,
}

impl Sample {
    pub fn rate(&self) -> f64 {
        self.bytes / self.seconds
    }

    /// Of this and of another thread, at the same time.
    fn and(self, other: Self) -> Self {
        Self {
            bytes: self.bytes + other.bytes,
            requests: self.requests + other.requests,
            seconds: self.seconds.max(other.seconds),
            cpu: self.cpu + other.cpu,
        }
    }

    /// Seconds of the server's processors for a byte.
    pub fn cost(&self) -> f64 {
        self.cpu / self.bytes.max(1.0)
    }
}

struct Client {
    tcp: TcpStream,
    /// Bytes of the answer that are still to come; none before its head is here.
    left: Option<u64>,
    head: Vec<u8>,
}

impl Client {
    fn new(target: &Target) -> Self {
        let tcp = TcpStream::connect(target.address).expect("a server that listens");
        tcp.set_nodelay(true).expect("no delay");
        tcp.set_nonblocking(true).expect("nonblocking");
        let mut client = Self { tcp, left: None, head: Vec::new() };
        client.ask(target);
        client
    }

    fn ask(&mut self, target: &Target) {
        self.left = None;
        self.head.clear();
        // So little always fits.
        (&self.tcp).write_all(&target.request).expect("a request that is taken");
    }

    /// Reads once; how many bytes of bodies came, and whether the answer is complete.
    fn read(&mut self, buffer: &mut [u8]) -> (u64, bool) {
        let read = match (&self.tcp).read(buffer) {
            Ok(0) => panic!("a server hung up"),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return (0, false),
            Err(error) => panic!("{error}"),
        };
        let body = match self.left {
            Some(_) => read,
            None => {
                self.head.extend_from_slice(&buffer[..read]);
                let Some(end) = memchr::memmem::find(&self.head, b"\r\n\r\n") else { return (0, false) };
                let length = length(&self.head[..end]);
                self.left = Some(length);
                self.head.len() - end - 4
            }
        } as u64;
        let left = self.left.expect("a head was read") - body;
        self.left = Some(left);
        (body, left == 0)
    }
}

/// The length that a head announces; it must be that of a whole file.
pub fn length(head: &[u8]) -> u64 {
    let head = std::str::from_utf8(head).expect("a head is text");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    let (_, length) = fields.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length")).expect("a length");
    length.trim().parse().expect("a number")
}

/// Tells which clients have something to read, at a cost that does not depend on how many have not.
struct Ready {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

impl Ready {
    fn of(clients: &[Client]) -> Self {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("an epoll instance");
        for (at, client) in clients.iter().enumerate() {
            epoll::add(&epoll, &client.tcp, epoll::EventData::new_u64(at as u64), epoll::EventFlags::IN).expect("a socket");
        }
        Self { epoll, events: Vec::with_capacity(clients.len()) }
    }

    /// Waits for a second at most.
    fn wait(&mut self) -> impl Iterator<Item = usize> {
        self.events.clear();
        let limit = Timespec { tv_sec: 1, tv_nsec: 0 };
        epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&limit)).expect("epoll");
        self.events.iter().map(|event| event.data.u64() as usize)
    }

    fn forget(&self, client: &Client) {
        epoll::delete(&self.epoll, &client.tcp).expect("a socket");
    }
}

/// So many connections, each of which asks again when it has its answer, for so long: on as many threads as there are cores, since one alone
/// would be what limits a fast server.
pub fn load(target: &Target, connections: usize, time: Duration) -> Sample {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(connections);
    let before = target.cpu();
    let mut sample = std::thread::scope(|scope| {
        let share = |at: usize| connections / threads + usize::from(at < connections % threads);
        let running: Vec<_> = (0..threads).map(|at| scope.spawn(move || load_of_one(target, share(at), time))).collect();
        let samples = running.into_iter().map(|thread| thread.join().expect("a sample"));
        samples.reduce(Sample::and).expect("a thread")
    });
    sample.cpu = target.cpu() - before;
    sample
}

/// What one thread does of it.
fn load_of_one(target: &Target, connections: usize, time: Duration) -> Sample {
    let mut clients: Vec<Client> = (0..connections).map(|_| Client::new(target)).collect();
    let mut buffer = vec![0; BUFFER];
    let mut sample = Sample::default();
    let begun = Instant::now();
    let mut ready = Ready::of(&clients);
    while begun.elapsed() < time {
        for at in ready.wait() {
            let (bytes, complete) = clients[at].read(&mut buffer);
            sample.bytes += bytes as f64;
            if complete {
                sample.requests += 1.0;
                clients[at].ask(target);
            }
        }
    }
    sample.seconds = begun.elapsed().as_secs_f64();
    for client in clients {
        let _ = client.tcp.shutdown(Shutdown::Both);
    }
    sample
}

/// One answer to each of so many clients at once: seconds to the first byte of the body of each, and to the last of all.
pub fn once(target: &Target, clients: usize) -> (Vec<f64>, f64, u64) {
    let begun = Instant::now();
    let mut clients: Vec<Client> = (0..clients).map(|_| Client::new(target)).collect();
    let mut buffer = vec![0; BUFFER];
    let (mut first, mut open, mut bytes) = (vec![0.0; clients.len()], clients.len(), 0);
    let mut ready = Ready::of(&clients);
    while open > 0 {
        let now: Vec<usize> = ready.wait().collect();
        for at in now {
            let (body, complete) = clients[at].read(&mut buffer);
            bytes += body;
            if body > 0 && first[at] == 0.0 {
                first[at] = begun.elapsed().as_secs_f64();
            }
            if complete {
                ready.forget(&clients[at]);
                open -= 1;
            }
        }
    }
    first.sort_by(f64::total_cmp);
    (first, begun.elapsed().as_secs_f64(), bytes)
}
