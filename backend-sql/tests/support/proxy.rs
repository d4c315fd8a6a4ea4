//! A way to a server on which a connection is cut now and then.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// When a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Before the server hears of what is sent.
    Before,
    /// After the server heard of it, before it answers.
    Between,
    /// After the server's answer, before the client hears of that.
    After,
    /// After the server heard of it, when the test says so; until then the client hears nothing.
    Late,
}

/// What a connection is cut at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The next commit.
    Commit,
    /// The next message but so many.
    Message(usize),
}

/// A way to the server on which a connection is cut now and then.
pub struct Proxy {
    url: String,
    armed: Armed,
    late: Arc<Notify>,
}

/// Host and port in a URL.
fn place(url: &str) -> &str {
    let (_, rest) = url.split_once("://").unwrap();
    let authority = rest.split(['/', '?']).next().unwrap();
    authority
        .rsplit_once('@')
        .map_or(authority, |(_, place)| place)
}

type Armed = Arc<Mutex<Option<(Cut, At)>>>;

impl Proxy {
    /// Starts to pass connections on to the server of this URL.
    pub async fn start(url: &str) -> Self {
        let server = place(url).to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let armed = Armed::default();
        let shared = armed.clone();
        let late = Arc::<Notify>::default();
        let released = late.clone();
        let to = server.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&to).await.unwrap();
                // Messages would wait for the word that the last one came.
                client.set_nodelay(true).unwrap();
                server.set_nodelay(true).unwrap();
                tokio::spawn(pass(client, server, shared.clone(), released.clone()));
            }
        });
        Self {
            url: url.replacen(&server, &address.to_string(), 1),
            armed,
            late,
        }
    }

    /// The server's URL by this way.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Cuts one connection.
    pub fn cut(&self, cut: Cut, at: At) {
        *self.armed.lock().unwrap() = Some((cut, at));
    }

    /// Cuts a connection that is to be cut late, now or as soon as it comes to that.
    pub fn cut_now(&self) {
        self.late.notify_one();
    }

    /// Cuts none any more, and tells whether one was cut.
    pub fn was_cut(&self) -> bool {
        self.armed.lock().unwrap().take().is_none()
    }
}

/// How to cut the connection that carries this message, if it is the one.
fn cut_here(armed: &Armed, message: &[u8]) -> Option<Cut> {
    let mut armed = armed.lock().unwrap();
    let (cut, at) = (*armed)?;
    let here = match at {
        At::Commit => {
            // A setting of MariaDB's has the word within another.
            let within = |word: &[u8]| word.starts_with(b"COMMIT") && !word.ends_with(b"T");
            message.ends_with(b"COMMIT") || message.windows(7).any(within)
        }
        At::Message(0) => true,
        At::Message(more) => {
            *armed = Some((cut, At::Message(more - 1)));
            false
        }
    };
    here.then(|| {
        *armed = None;
        cut
    })
}

async fn pass(mut client: TcpStream, mut server: TcpStream, armed: Armed, late: Arc<Notify>) {
    let (mut asked, mut answered) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    let mut last = false;
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(bytes @ 1..) = read else { return };
                let message = asked.get(..bytes).unwrap();
                let cut = cut_here(&armed, message);
                if cut == Some(Cut::Before) { return }
                if server.write_all(message).await.is_err() { return }
                if cut == Some(Cut::Between) { return }
                if cut == Some(Cut::Late) { return late.notified().await }
                last |= cut == Some(Cut::After);
            }
            read = server.read(&mut answered) => {
                let Ok(bytes @ 1..) = read else { return };
                if last { return }
                if client.write_all(answered.get(..bytes).unwrap()).await.is_err() { return }
            }
        }
    }
}
