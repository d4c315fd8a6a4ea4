//! A pooler that lends a server's process for each transaction.
//!
//! It hands each transaction to another connection, refuses parameters that such poolers do not
//! know, and rolls back where a client goes away.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock};

use sqlx_postgres::PgConnectOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};

/// How many connections to the server the pooler has at first, and at most: scans and transactions
/// of tests that run at once keep theirs.
const FIRST: usize = 4;
const MOST: usize = 60;

/// A message as it is sent: its kind, its length, what it says.
type Message = Vec<u8>;

/// What a client sends to ask whether TLS is spoken.
const ASKS_FOR_TLS: [u8; 4] = 80_877_103_i32.to_be_bytes();

/// A connection to the server, or to a client.
struct Side {
    messages: mpsc::Receiver<Message>,
    writer: OwnedWriteHalf,
}

impl Side {
    fn new(reader: OwnedReadHalf, writer: OwnedWriteHalf) -> Self {
        let (sender, messages) = mpsc::channel(64);
        tokio::spawn(read(reader, sender));
        Self { messages, writer }
    }
}

async fn read(mut reader: OwnedReadHalf, sender: mpsc::Sender<Message>) {
    loop {
        let mut message = vec![0; 5];
        if reader.read_exact(&mut message).await.is_err() {
            return;
        }
        let length: [u8; 4] = message[1..5].try_into().unwrap();
        let length = usize::try_from(i32::from_be_bytes(length)).unwrap();
        message.resize(length + 1, 0);
        if reader.read_exact(&mut message[5..]).await.is_err() {
            return;
        }
        if sender.send(message).await.is_err() {
            return;
        }
    }
}

fn message(kind: u8, says: &[u8]) -> Message {
    let length = i32::try_from(says.len() + 4).unwrap();
    [&[kind][..], &length.to_be_bytes(), says].concat()
}

/// A pooler.
pub struct Pooler {
    server: PgConnectOptions,
    idle: Mutex<VecDeque<Side>>,
    room: Semaphore,
    /// What the server says of itself at the beginning.
    greeting: OnceLock<Vec<Message>>,
}

impl Pooler {
    /// Starts to pool connections to the server of this URL, and tells its URL by way of the pooler.
    pub async fn start(url: &str) -> String {
        let server: PgConnectOptions = url.parse().unwrap();
        let (user, database) = (server.get_username(), server.get_database());
        let (user, database) = (user.to_owned(), database.unwrap_or("postgres").to_owned());
        let pooler = Arc::new(Self {
            server,
            idle: Mutex::default(),
            room: Semaphore::new(MOST),
            greeting: OnceLock::new(),
        });
        for _ in 0..FIRST {
            let server = pooler.connect().await;
            pooler.idle.lock().unwrap().push_back(server);
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pooler.clone().serve(client));
            }
        });
        format!("postgres://{user}@{address}/{database}")
    }

    async fn connect(&self) -> Side {
        let options = &self.server;
        let server = format!("{}:{}", options.get_host(), options.get_port());
        let server = TcpStream::connect(server).await.unwrap();
        server.set_nodelay(true).unwrap();
        let (reader, mut writer) = server.into_split();
        let database = options.get_database().unwrap_or("postgres");
        let user = options.get_username();
        let says = format!("\0\x03\0\0user\0{user}\0database\0{database}\0\0");
        let length = i32::try_from(says.len() + 4).unwrap().to_be_bytes();
        writer.write_all(&length).await.unwrap();
        writer.write_all(says.as_bytes()).await.unwrap();
        let mut side = Side::new(reader, writer);
        let mut greeting = Vec::new();
        loop {
            let message = side.messages.recv().await.unwrap();
            match message[0] {
                b'Z' => break,
                b'E' => panic!("{}", String::from_utf8_lossy(&message)),
                _ => greeting.push(message),
            }
        }
        let _known = self.greeting.set(greeting);
        side
    }

    async fn serve(self: Arc<Self>, client: TcpStream) {
        // Each message is sent for itself, and would wait for the word that the last one came.
        client.set_nodelay(true).unwrap();
        let (mut reader, mut writer) = client.into_split();
        loop {
            let Ok(length) = reader.read_u32().await else {
                return;
            };
            let mut says = vec![0; usize::try_from(length).unwrap() - 4];
            if reader.read_exact(&mut says).await.is_err() {
                return;
            }
            if says.starts_with(&ASKS_FOR_TLS) {
                writer.write_all(b"N").await.unwrap();
                continue;
            }
            let names = says[4..].split(|byte| *byte == 0).step_by(2);
            let unknown = [&b"options"[..], b"extra_float_digits"];
            if names.into_iter().any(|name| unknown.contains(&name)) {
                let says = b"SFATAL\0C08P01\0Munsupported startup parameter\0\0";
                let _gone = writer.write_all(&message(b'E', says)).await;
                return;
            }
            break;
        }
        for message in self.greeting.get().unwrap() {
            writer.write_all(message).await.unwrap();
        }
        writer.write_all(&message(b'Z', b"I")).await.unwrap();
        let mut client = Side::new(reader, writer);
        while let Some(first) = client.messages.recv().await {
            if first[0] == b'X' || self.lend(&mut client, first).await.is_none() {
                return;
            }
        }
    }

    /// Carries one transaction; `None` if the client or the server went away in it.
    async fn lend(&self, client: &mut Side, first: Message) -> Option<()> {
        let _room = self.room.acquire().await.unwrap();
        let idle = self.idle.lock().unwrap().pop_front();
        let mut server = match idle {
            Some(server) => server,
            None => self.connect().await,
        };
        // How many answers are to come before the server can be with another client.
        let mut awaited = usize::from(matches!(first[0], b'Q' | b'S'));
        server.writer.write_all(&first).await.ok()?;
        loop {
            tokio::select! {
                message = client.messages.recv() => {
                    let message = message.filter(|message| message[0] != b'X')?;
                    awaited += usize::from(matches!(message[0], b'Q' | b'S'));
                    server.writer.write_all(&message).await.ok()?;
                }
                message = server.messages.recv() => {
                    let message = message?;
                    client.writer.write_all(&message).await.ok()?;
                    awaited -= usize::from(message[0] == b'Z');
                    if message[0] == b'Z' && message[5] == b'I' && awaited == 0 {
                        self.idle.lock().unwrap().push_back(server);
                        return Some(());
                    }
                }
            }
        }
    }
}
