//! Ports for servers, and asking servers whether they answer.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::sockopt::set_socket_reuseaddr;
use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket};

use crate::Result;

/// How long a server may take to answer when asked whether it is ready.
const PATIENCE: Duration = Duration::from_secs(5);

/// A free loopback port that nothing but the server it is meant for takes.
///
/// A socket is bound to it that does not listen. The system gives the port to nobody who asks for
/// any port, while a server that names it, and allows addresses to be used again as database
/// servers do, may listen there.
pub(super) struct HeldPort {
    /// The port.
    pub(super) number: u16,
    _socket: OwnedFd,
}

impl HeldPort {
    /// Holds a port that is free.
    pub(super) fn find() -> Result<Self> {
        let find = || -> std::io::Result<Self> {
            let held = socket(AddressFamily::INET, SocketType::STREAM, None)?;
            fcntl_setfd(&held, FdFlags::CLOEXEC)?;
            set_socket_reuseaddr(&held, true)?;
            bind(&held, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
            let address = SocketAddr::try_from(getsockname(&held)?)?;
            Ok(Self {
                number: address.port(),
                _socket: held,
            })
        };
        find().map_err(|e| format!("could not find a free port: {e}"))
    }
}

/// Whether `GET path` is answered by a status of 200.
pub(super) fn answers_ok(url: &str, path: &str) -> bool {
    let address = url.trim_start_matches("http://");
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    exchange(address, request.as_bytes(), 16).is_ok_and(|head| {
        let head = String::from_utf8_lossy(&head);
        head.split_whitespace().nth(1) == Some("200")
    })
}

/// Connects, sends `request`, and reads the first `length` bytes of the answer.
pub(super) fn exchange(address: &str, request: &[u8], length: usize) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(request)?;
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn a_held_port_is_for_who_names_it() {
        let held: Vec<HeldPort> = (0..50).map(|_| HeldPort::find().unwrap()).collect();
        let numbers: BTreeSet<u16> = held.iter().map(|port| port.number).collect();
        assert_eq!(numbers.len(), held.len());
        // The standard library's listeners allow addresses to be used again.
        for port in &held {
            TcpListener::bind(("127.0.0.1", port.number)).unwrap();
        }
    }

    #[test]
    fn only_a_status_of_200_is_ready() {
        for (status, expected) in [("200 OK", true), ("503 Busy", false)] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let server = thread::spawn(move || {
                let mut stream = listener.accept().unwrap().0;
                let mut request = [0; 15];
                stream.read_exact(&mut request).unwrap();
                write!(stream, "HTTP/1.1 {status}\r\n\r\n").unwrap();
                request
            });
            assert_eq!(answers_ok(&format!("http://{address}"), "/a"), expected);
            assert_eq!(&server.join().unwrap(), b"GET /a HTTP/1.1");
            // Nobody listens there any more.
            assert!(!answers_ok(&format!("http://{address}"), "/a"));
        }
    }
}
