//! The machine: which cores, how much CPU time, how much memory. It reads `/proc`, so it works on
//! Linux only.

use std::fs;
use std::io;

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::Failure;

/// The cores of the server and those of the client, both empty if there are too few to divide.
#[derive(Debug, Clone, Default)]
pub struct Cores {
    pub server: Vec<usize>,
    pub client: Vec<usize>,
}

/// Divides the cores that this process may use between the two.
pub fn halves() -> Cores {
    let Ok(set) = sched_getaffinity(None::<Pid>) else { return Cores::default() };
    let mut server: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect();
    if server.len() < 2 {
        return Cores::default();
    }
    let client = server.split_off(server.len() / 2);
    Cores { server, client }
}

/// Keeps this thread, and those that it will start, on these cores.
pub fn pin(cores: &[usize]) {
    let mut set = CpuSet::new();
    cores.iter().for_each(|core| set.set(*core));
    if !cores.is_empty()
        && let Err(error) = sched_setaffinity(None::<Pid>, &set)
    {
        eprintln!("steadfast-bench: not pinned to cores {cores:?}: {error}");
    }
}

pub fn runtime(workers: usize) -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()
}

/// CPU time that the threads of a process have used, in nanoseconds.
pub fn cpu_ns(pid: u32) -> Result<u64, Failure> {
    let mut total = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let schedstat = fs::read_to_string(task?.path().join("schedstat"))?;
        let ran = schedstat.split_whitespace().next().and_then(|field| field.parse::<u64>().ok());
        total += ran.ok_or("this kernel counts no CPU time per thread (CONFIG_SCHED_INFO)")?;
    }
    Ok(total)
}

/// Resident memory of a process, in KiB.
pub fn resident_kib(pid: u32) -> Result<u64, Failure> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    kib.ok_or_else(|| "no VmRSS in /proc/<pid>/status".into())
}

/// One line about where this ran.
pub fn description() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    format!(
        "{} × {}, Linux {}, congestion control {}",
        std::thread::available_parallelism().map_or(0, usize::from),
        model.map_or("unknown CPU", |(_, model)| model),
        read("/proc/sys/kernel/osrelease").trim(),
        read("/proc/sys/net/ipv4/tcp_congestion_control").trim(),
    )
}
