//! `errsift serve`: opens the stores, takes the shard, listens, and drains when told to stop.

use std::{
    io::Write,
    net::{SocketAddr, TcpListener},
    num::NonZeroUsize,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    thread,
    time::Duration,
};

use crossbeam_channel::RecvTimeoutError;
use errsift_ops::{
    batch::Batch,
    decode::Received,
    id::{Nonce, Shard},
};
use errsift_pipeline::{
    hold::Holding,
    intake,
    ports::clock::Clock,
    settings::Settings,
    start::{Pipeline, Running, start},
    stop::Stop,
};
use tokio::{
    runtime::Runtime,
    signal::unix::{Signal, SignalKind, signal},
};

use super::{
    admin::Admin,
    banner::banner,
    exit,
    output::fail,
    standby::{Ended, Standby},
    starting::Starting,
};
use crate::{
    clock::SystemClock,
    descriptors,
    http::{self, Limits, Untaken, Waiting},
    metered::Metered,
    metrics::{Counted, Metrics},
    operations::Process,
    place,
    schema::SchemaFault,
    settings::{HttpSettings, Serve, StoreSettings, Switch},
    stores::Backend,
};

/// How long draining may take before what is left is left to the journal.
const DRAIN_MAX: Duration = Duration::from_secs(25);

impl http::Intake for intake::Intake<Waiting> {
    fn offer(&self, received: Received<Waiting>) -> Result<(), Untaken> {
        intake::Intake::offer(self, received).map_err(|_full| Untaken::Full)
    }

    fn offer_batch(&self, batch: Batch<Waiting>) -> Result<(), Untaken> {
        self.batches().offer(batch).map_err(|_full| Untaken::Full)
    }

    fn refused(&self, events: u64) {
        self.batches().refused(events);
    }
}

/// The async runtime, or the exit code for its absence.
pub fn runtime() -> Result<Runtime, ExitCode> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|fault| {
        eprintln!("the async runtime cannot start: {fault}");
        ExitCode::from(exit::OS)
    })
}

/// The runtime and the stores on it, or the exit code for what is wrong with them. The runtime must
/// outlive the stores.
pub fn open(stores: &StoreSettings) -> Result<(Runtime, Backend), ExitCode> {
    let runtime = runtime()?;
    match Backend::new(stores, runtime.handle()) {
        Ok(backend) => Ok((runtime, backend)),
        Err(wrong) => Err(fail(exit::CONFIG, &wrong.to_string())),
    }
}

/// What a server is made of, once everything that can fail at start has not.
struct Server {
    listener: tokio::net::TcpListener,
    admin: Option<tokio::net::TcpListener>,
    http: (HttpSettings, Limits),
    pipeline: Pipeline<Waiting>,
    holding: Holding,
    process: Arc<Process>,
    metrics: Arc<Metrics>,
    signals: [Signal; 2],
}

/// Serves until SIGTERM or SIGINT, then drains. Exits 0 when everything is applied, 79 when told to
/// stop and the journal holds the rest, also while starting, 78 for wrong settings,
/// 69 if a store that is needed does not answer, 71 if the address is taken, and with the code of
/// [`Stop`] if it must not go on.
pub fn run(settings: &Serve) -> ExitCode {
    if Shard(settings.stores.shard) >= Shard::FIRST_RECORDED {
        let first = Shard::FIRST_RECORDED;
        let wrong = format!("--shard: shards from {first} on are recorded logs, not to be served");
        return fail(exit::CONFIG, &wrong);
    }
    let (runtime, backend) = match open(&settings.stores) {
        Ok((runtime, backend)) => (runtime, Arc::new(backend)),
        Err(code) => return code,
    };
    let server = {
        let _entered = runtime.enter();
        match assemble(settings, &backend, &runtime) {
            Ok(Some(server)) => server,
            Ok(None) => return ExitCode::SUCCESS,
            Err((code, reason)) => return fail(code, &reason),
        }
    };
    let code = serve(&runtime, server);
    backend.settle();
    crate::logging::finish();
    code
}

/// Two metrics of one name: a mistake in this binary.
fn twice(fault: &prometheus::Error) -> (u8, String) {
    (exit::OS, fault.to_string())
}

/// Does everything in the order in which it can fail without harm: the address before the shard,
/// so that a second start by mistake does not take the shard from the first. `None`: told to stop
/// while another process held the shard.
fn assemble(
    settings: &Serve,
    backend: &Arc<Backend>,
    runtime: &Runtime,
) -> Result<Option<Server>, (u8, String)> {
    let listener = bind("--listen", settings.http.listen)?;
    let admin = settings.http.admin_listen;
    let admin = admin.map(|address| bind("--admin-listen", address)).transpose()?;
    let address = listener.local_addr().map_err(os("--listen"))?;
    let signals = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
    let [terminate, interrupt] = signals;
    let signals = [terminate.map_err(os("SIGTERM"))?, interrupt.map_err(os("SIGINT"))?];
    let mut starting = Starting::watch(runtime, signals);

    let unavailable = |reason: String| (exit::UNAVAILABLE, reason);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let connections_max = descriptors::connections(Limits::default().connections_max);
    let limits = Limits { connections_max, ..Limits::default() };
    let metrics = Arc::new(Metrics::new(settings, &limits).map_err(|fault| twice(&fault))?);
    let metered = Metered::new(Arc::clone(backend), metrics.registry(), &clock)
        .map_err(|fault| twice(&fault))?;
    if !settings.take_over {
        let mut listeners = vec![(&listener, settings.http.policy(limits.clone()))];
        listeners.extend(admin.iter().map(|admin| (admin, settings.http.admin_policy())));
        let mut standby = Standby {
            runtime,
            listeners,
            backlog: metered.backlog(),
            shard: Shard(settings.stores.shard),
            metrics: Arc::clone(&metrics),
            clock: Arc::clone(&clock),
        };
        if let Some(holder) = standby.holder() {
            let mut signals = starting.done(runtime).map_err(os("signals"))?;
            if standby.wait(&holder, &mut signals).map_err(os("standby"))? == Ended::Told {
                tracing::info!("told to stop while standing by");
                return Ok(None);
            }
            starting = Starting::watch(runtime, signals);
        }
    }
    // not before: the holder may be of an earlier version
    backend.migrate().map_err(|fault| match fault {
        // a file that a frozen process has locked: it is free when that one has ended
        SchemaFault::Busy { .. } => unavailable(fault.to_string()),
        _ => (exit::CONFIG, fault.to_string()),
    })?;
    let stores = metered.open().map_err(|fault| unavailable(fault.to_string()))?;
    let nonce = getrandom::u64().map_err(|fault| (exit::OS, format!("randomness: {fault}")))?;
    let pipeline_settings = Settings {
        shard: Shard(settings.stores.shard),
        flush_interval: settings.flush_interval,
        trim_lag: settings.trim_lag,
        workers: settings.workers,
        operator_metrics: settings.operator_metrics == Switch::On,
        watchdog: settings.watchdog.0,
        ..Settings::default()
    };
    let pipeline = start(&pipeline_settings, stores, Arc::clone(&clock), Nonce(nonce))
        .map_err(|fault| unavailable(format!("{}: {fault}", backend.describe().0)))?;
    let holding = pipeline.hold(metered.backlog(), place::this());
    metrics.taken(&pipeline.claim).map_err(|fault| twice(&fault))?;
    let process = Process::new(
        Arc::new(metered),
        pipeline_settings.shard,
        Counted::from(&pipeline),
        Arc::clone(&metrics),
        clock,
    );
    process.watch();
    let signals = starting.done(runtime).map_err(os("signals"))?;
    // nobody may be listening any more; events still are
    let _ = writeln!(std::io::stdout(), "{}", banner(settings, backend, &pipeline.claim, address));
    let http = (settings.http.clone(), limits);
    let listener = asynchronous(listener).map_err(os("--listen"))?;
    let admin = admin.map(asynchronous).transpose().map_err(os("--admin-listen"))?;
    Ok(Some(Server { listener, admin, http, pipeline, holding, process, metrics, signals }))
}

/// What the operating system refuses is said with what was asked of it.
fn os(what: &str) -> impl FnOnce(std::io::Error) -> (u8, String) {
    move |fault| (exit::OS, format!("{what}: {fault}"))
}

fn bind(flag: &str, address: SocketAddr) -> Result<TcpListener, (u8, String)> {
    let os = |fault: std::io::Error| (exit::OS, format!("{flag}: {address}: {fault}"));
    let listener = TcpListener::bind(address).map_err(os)?;
    listener.set_nonblocking(true).map_err(os)?;
    Ok(listener)
}

fn asynchronous(listener: TcpListener) -> std::io::Result<tokio::net::TcpListener> {
    tokio::net::TcpListener::from_std(listener)
}

fn serve(runtime: &Runtime, server: Server) -> ExitCode {
    let Server { listener, admin, http, pipeline, holding, process, metrics, signals } = server;
    let (settings, limits) = http;
    let [mut terminate, mut interrupt] = signals;
    let Pipeline { intake, stops, running, .. } = pipeline;
    let told = Arc::new(tokio::sync::Notify::new());
    let code = Arc::new(AtomicU8::new(0));
    exit_on_stop(stops, Arc::clone(&told), Arc::clone(&code));
    let first = Arc::clone(&told);
    let stopping = Arc::clone(&process);
    runtime.spawn(async move {
        wait_for(&mut terminate, &mut interrupt).await;
        tracing::info!("told to stop, draining");
        stopping.stopping();
        first.notify_one();
        tokio::select! {
            () = wait_for(&mut terminate, &mut interrupt) => {
                tracing::warn!("told again, leaving at once; the journal holds the rest");
            }
            () = tokio::time::sleep(DRAIN_MAX) => {
                tracing::warn!("not drained in time; the journal holds the rest");
            }
        }
        crate::logging::finish();
        std::process::exit(i32::from(exit::UNDRAINED));
    });
    let admin = admin.map(|listener| {
        Admin::start(runtime, listener, settings.admin_policy(), &process, &metrics)
    });
    let shutdown = async move { told.notified().await };
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = match http::Threads::start(cores) {
        Ok(threads) => threads,
        Err(fault) => return fail(exit::OS, &format!("threads for connections: {fault}")),
    };
    let listening = runtime.block_on(http::serve(
        listener,
        threads,
        intake,
        process,
        metrics,
        settings.policy(limits),
        shutdown,
    ));
    if let Err(fault) = listening {
        return fail(exit::OS, &format!("--listen: {fault}"));
    }
    drain(running);
    holding.release();
    if let Some(admin) = admin {
        admin.end(runtime);
    }
    ExitCode::from(code.load(Ordering::Relaxed))
}

/// Waits until everything is applied. The way in was dropped with the front end.
fn drain(running: Running) {
    running.join();
    tracing::info!("drained");
}

/// Waits for either signal.
pub async fn wait_for(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Ends the process when the pipeline must not go on. Nothing that was acknowledged is lost by
/// that: a successor finds it in the journal, and what the journal has forgotten is applied from
/// memory first.
fn exit_on_stop(
    stops: crossbeam_channel::Receiver<Stop>,
    told: Arc<tokio::sync::Notify>,
    code: Arc<AtomicU8>,
) {
    let thread = thread::Builder::new().name("stop".to_owned()).spawn(move || {
        let Ok(stop) = stops.recv() else { return };
        let exit_code = stop.exit_code();
        tracing::error!(%stop, exit_code, "must not go on");
        if stop.wants_drain() {
            code.store(exit_code, Ordering::Relaxed);
            told.notify_one();
            // what is in memory is applied, unless that must not go on either
            match stops.recv_timeout(DRAIN_MAX) {
                Ok(stop) => tracing::error!(%stop, exit_code, "cannot drain"),
                Err(RecvTimeoutError::Timeout) => {}
                // drained: the process is about to end
                Err(RecvTimeoutError::Disconnected) => thread::sleep(DRAIN_MAX),
            }
        }
        crate::logging::finish();
        std::process::exit(i32::from(exit_code));
    });
    drop(thread.expect("the system has room for a thread at start"));
}
