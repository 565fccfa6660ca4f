//! libgit2 and gitoxide as clients, on a command line.
//!
//! ```text
//! foreign (git2 | gix) VERSION clone URL DIR [DEPTH]      bare, all branches and tags
//! foreign (git2 | gix) VERSION fetch DIR URL              all branches and tags
//! foreign git2 VERSION push DIR URL REFSPEC…
//! ```

use std::env;
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

const SPECS: [&str; 2] = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];

type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["git2", _, "clone", url, dir, depth @ ..] => git2_clone(url, dir, depth.first()),
        ["git2", _, "fetch", dir, url] => git2_fetch(dir, url),
        ["git2", _, "push", dir, url, specs @ ..] => git2_push(dir, url, specs),
        ["gix", version, "clone", url, dir, depth @ ..] => gix_clone(version, url, dir, depth.first()),
        ["gix", version, "fetch", dir, url] => gix_fetch(version, dir, url),
        _ => Err("usage: see the source".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:?}");
            ExitCode::FAILURE
        }
    }
}

fn git2_clone(url: &str, dir: &str, depth: Option<&&str>) -> Result {
    let repository =
        git2::Repository::init_opts(dir, git2::RepositoryInitOptions::new().bare(true).initial_head("main"))?;
    let mut options = git2::FetchOptions::new();
    if let Some(depth) = depth {
        options.depth(depth.parse()?);
    }
    repository.remote_anonymous(url)?.fetch(&SPECS, Some(&mut options), None)?;
    Ok(())
}

fn git2_fetch(dir: &str, url: &str) -> Result {
    git2::Repository::open(dir)?.remote_anonymous(url)?.fetch(&SPECS, None, None)?;
    Ok(())
}

fn git2_push(dir: &str, url: &str, specs: &[&str]) -> Result {
    let mut refused = Vec::new();
    {
        let mut callbacks = git2::RemoteCallbacks::new();
        callbacks.push_update_reference(|name, status| {
            refused.extend(status.map(|status| format!("{name}: {status}")));
            Ok(())
        });
        let mut options = git2::PushOptions::new();
        options.remote_callbacks(callbacks);
        git2::Repository::open(dir)?.remote_anonymous(url)?.push(specs, Some(&mut options))?;
    }
    if refused.is_empty() { Ok(()) } else { Err(refused.join(", ").into()) }
}

fn gix_clone(version: &str, url: &str, dir: &str, depth: Option<&&str>) -> Result {
    let shallow = match depth {
        Some(depth) => gix::remote::fetch::Shallow::DepthAtRemote(depth.parse()?),
        None => gix::remote::fetch::Shallow::NoChange,
    };
    let mut clone = gix::prepare_clone_bare(url, Path::new(dir))?
        .with_in_memory_config_overrides([format!("protocol.version={version}")])
        .with_shallow(shallow)
        .configure_remote(|remote| Ok(remote.with_refspecs(SPECS, gix::remote::Direction::Fetch)?));
    clone.fetch_only(gix::progress::Discard, &AtomicBool::new(false))?;
    Ok(())
}

fn gix_fetch(version: &str, dir: &str, url: &str) -> Result {
    let options = gix::open::Options::isolated().config_overrides([
        format!("protocol.version={version}"),
        "committer.name=A".to_owned(),
        "committer.email=a@example.org".to_owned(),
    ]);
    let repository = gix::open_opts(dir, options)?;
    let remote = repository.remote_at(url)?.with_refspecs(SPECS, gix::remote::Direction::Fetch)?;
    let connection = remote.connect(gix::remote::Direction::Fetch)?;
    let fetch = connection.prepare_fetch(gix::progress::Discard, Default::default())?;
    fetch.receive(gix::progress::Discard, &AtomicBool::new(false))?;
    Ok(())
}
