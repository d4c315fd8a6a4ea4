//! Starting servers, waiting for them, stopping them.

use std::fs::{self, File};
use std::io::PipeWriter;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

use super::catalogue::{self, Scale};
use super::network::HeldPort;
use super::place::Place;
use super::recipe::{Launch, Recipe};
use super::state::{self, Process, Run, Server};
use crate::Result;
use crate::child::Group;

/// How long a server may take to be ready: a cold machine with busy cores is slow.
const START_DEADLINE: Duration = Duration::from_secs(300);
/// How much of a server's log is shown when it does not start.
const LOG_LINES: usize = 30;

/// Servers that this process started; they are stopped when it is dropped.
pub(crate) struct Fleet {
    /// What is written down about them; none once they are left running.
    run: Option<Run>,
    members: Vec<Member>,
    /// The variables of servers that were there already.
    found: Vec<(String, String)>,
    reaper: Option<Reaper>,
}

struct Member {
    recipe: &'static dyn Recipe,
    folder: PathBuf,
    group: Group,
    /// Held until the server is stopped or left to itself.
    _ports: Vec<HeldPort>,
}

/// The servers that `up` started and that still run, of those written down in a folder.
pub(super) fn left_running(states: &Path) -> Vec<Server> {
    state::runs(states)
        .into_iter()
        .filter(Run::is_left_running)
        .flat_map(|run| run.servers)
        .filter(|server| server.process.is_running())
        .collect()
}

impl Fleet {
    /// Starts the servers that the tests need and that are not there yet.
    pub(crate) fn for_tests(target: &Path, scale: Scale) -> Result<Self> {
        Self::start(target, &state::folder(target), &catalogue::tested(scale))
    }

    /// Starts the servers that benchmarks with these arguments need and that are not there yet;
    /// `None` if they need none.
    pub(crate) fn for_benchmarks(target: &Path, arguments: &[String]) -> Result<Option<Self>> {
        let recipes = catalogue::measured(arguments);
        if recipes.is_empty() {
            return Ok(None);
        }
        Self::start(target, &state::folder(target), &recipes).map(Some)
    }

    /// Starts those of the servers that neither the environment names nor `up` started before,
    /// after stopping what an earlier run was killed too suddenly to stop. The earlier ones are
    /// those written down in `states`, where this one is, too.
    pub(super) fn start(
        target: &Path,
        states: &Path,
        recipes: &[&'static dyn Recipe],
    ) -> Result<Self> {
        for run in state::runs(states) {
            if run.is_orphaned() {
                run.stop()?;
            }
        }
        let running = left_running(states);
        let mut fleet = Self {
            run: None,
            members: Vec::new(),
            found: Vec::new(),
            reaper: None,
        };
        let mut missing: Vec<&'static dyn Recipe> = Vec::new();
        for recipe in recipes {
            if is_users(*recipe) {
                continue;
            }
            match running.iter().find(|s| s.variable == recipe.variable()) {
                Some(server) => fleet.found.extend(server.variables()),
                None => missing.push(*recipe),
            }
        }
        if missing.is_empty() {
            return Ok(fleet);
        }
        let place = Place::choose(target)?;
        let name = run_name();
        let mut run = Run::new(states, &name, place.make_run_folder(&name)?);
        run.write()?;
        fleet.reaper = Some(Reaper::spawn(run.file())?);
        for recipe in missing {
            let started = start_one(recipe, &place, &mut run);
            // The record comes first: whatever happens next, the server is known.
            let member = started.map_err(|message| explain(recipe, &message));
            match member {
                Ok(member) => fleet.members.push(member),
                Err(message) => {
                    fleet.run = Some(run);
                    return Err(message);
                }
            }
        }
        fleet.run = Some(run);
        Ok(fleet)
    }

    /// Waits until every server answers.
    pub(crate) fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_DEADLINE;
        let Some(run) = &mut self.run else {
            return Ok(());
        };
        for (member, server) in self.members.iter_mut().zip(&mut run.servers) {
            let url = member.wait_until_ready(deadline);
            server.url = url.map_err(|message| explain(member.recipe, &message))?;
        }
        run.write()
    }

    /// What the tests are told through their environment.
    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        let started = self.run.iter().flat_map(|run| &run.servers);
        started
            .flat_map(Server::variables)
            .chain(self.found.iter().cloned())
            .collect()
    }

    /// Leaves the servers running after the end of this process.
    pub(crate) fn leave_running(mut self) -> Result<()> {
        if let Some(mut run) = self.run.take() {
            run.disown()?;
        }
        for member in self.members.drain(..) {
            member.group.leave_running();
        }
        Ok(())
    }

    /// Stops what was started.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.stop_all()
    }

    fn stop_all(&mut self) -> Result<()> {
        // All are asked to end at once, and none waits for another.
        let stopped = self.run.take().map_or(Ok(()), |run| run.stop());
        self.members.clear();
        stopped
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if let Err(message) = self.stop_all() {
            eprintln!("error: {message}");
        }
    }
}

/// Whether the user names a server of their own.
pub(super) fn is_users(recipe: &dyn Recipe) -> bool {
    std::env::var_os(recipe.variable()).is_some_and(|url| !url.is_empty())
}

fn explain(recipe: &dyn Recipe, message: &str) -> String {
    format!(
        "no {} to test with: {message}; or set {} to the URL of a server of your own",
        recipe.name(),
        recipe.variable()
    )
}

/// A name that no other run has.
fn run_name() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let millis = now.map_or(0, |time| time.as_millis());
    format!("{}-{millis}", std::process::id())
}

fn start_one(recipe: &'static dyn Recipe, place: &Place, run: &mut Run) -> Result<Member> {
    let program = recipe.install(place)?;
    let folder = run.folder.join(recipe.name());
    fs::create_dir(&folder).map_err(|e| format!("could not make {}: {e}", folder.display()))?;
    let Launch { mut command, ports } = recipe.launch(&program, &folder, place)?;
    let console = File::create(console(&folder))
        .and_then(|file| Ok((file.try_clone()?, file)))
        .map_err(|e| format!("could not make a log in {}: {e}", folder.display()))?;
    command.stdout(console.0).stderr(console.1);
    place.hand_over(&mut command, &folder)?;
    let group = Group::spawn(&mut command)?;
    run.servers.push(Server {
        name: recipe.name().to_owned(),
        version: recipe.version().to_owned(),
        since: Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default(),
        variable: recipe.variable().to_owned(),
        url: String::new(),
        particulars: recipe
            .particulars(&folder)
            .into_iter()
            .map(|(variable, value)| (variable.to_owned(), value))
            .collect(),
        process: Process::find(group.id()).ok_or("the server ended at once")?,
    });
    run.write()?;
    Ok(Member {
        recipe,
        folder,
        group,
        _ports: ports,
    })
}

/// The file that holds what a server prints.
pub(super) fn console(folder: &Path) -> PathBuf {
    folder.join("console.log")
}

impl Member {
    fn wait_until_ready(&mut self, deadline: Instant) -> Result<String> {
        loop {
            if let Some(url) = self.recipe.url(&self.folder)
                && self.recipe.is_ready(&url)
            {
                return Ok(url);
            }
            if let Some(status) = self.group.ended()? {
                return Err(format!("it ended with {status}{}", self.log()));
            }
            if Instant::now() > deadline {
                return Err(format!(
                    "it was not ready within {} s{}",
                    START_DEADLINE.as_secs(),
                    self.log()
                ));
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// The end of the server's log, for a message.
    fn log(&self) -> String {
        let log = fs::read(console(&self.folder)).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        let from = lines.len().saturating_sub(LOG_LINES);
        format!(
            "; the end of its log:\n{}\n",
            lines.get(from..).unwrap_or_default().join("\n")
        )
    }
}

/// A process that stops the servers if this one is killed before it can.
///
/// It waits for the end of a pipe of which this process holds the only other end. If the servers
/// were stopped or left running by then, it has nothing to do.
struct Reaper {
    child: Child,
    pipe: Option<PipeWriter>,
}

impl Reaper {
    fn spawn(state: &Path) -> Result<Self> {
        let spawn = || -> std::io::Result<Self> {
            let (reader, pipe) = std::io::pipe()?;
            let child = Command::new(std::env::current_exe()?)
                .args(["servers", "reap"])
                .arg(state)
                .stdin(reader)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .process_group(0)
                .spawn()?;
            Ok(Self {
                child,
                pipe: Some(pipe),
            })
        };
        spawn().map_err(|e| format!("could not start the process that cleans up: {e}"))
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        self.pipe = None;
        // It ends by itself, and nothing depends on how.
        let _ = self.child.wait();
    }
}
