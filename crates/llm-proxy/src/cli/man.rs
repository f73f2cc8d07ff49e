//! `man`: the manual pages, for those who make packages.

use std::path::Path;

use clap::CommandFactory as _;

use super::{Cli, Failed, Outcome, print};

pub(super) fn man(folder: Option<&Path>) -> Outcome {
    if let Some(folder) = folder {
        return std::fs::create_dir_all(folder)
            .and_then(|()| clap_mangen::generate_to(Cli::command(), folder))
            .map_err(|error| Failed::new(format!("{}: {error}", folder.display())));
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    print(&String::from_utf8_lossy(&page))
}
