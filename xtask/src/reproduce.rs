//! `reproduce` and `plan`: measure, render, show.
//!
//! For each paper in turn: its program measures, then `report` renders and prints. A paper that
//! ends incomplete, with inputs missing, or with a failed control is rendered all the same, and
//! the next paper still gets its turn.

use std::path::{Path, PathBuf};
use std::process::Command;

use eval::{Error, Result, exit};
use serde::Serialize;
use serde_json::Value;

use crate::cli::{Format, ReproduceArgs, Selection};
use crate::launcher::Launcher;
use crate::output;
use crate::programs::{self, Programs};
use crate::request::Request;

/// The format version of the JSON documents of `reproduce` and `plan`.
const FORMAT: u32 = 1;

/// What to do after a paper was measured and rendered.
struct Afterwards {
    gate: bool,
    save_baseline: bool,
}

/// One paper of the JSON document.
#[derive(Serialize)]
struct Reproduced {
    paper: String,
    exit_code: u8,
    run: Option<PathBuf>,
    report: Option<PathBuf>,
    summary: Option<Value>,
}

/// `reproduce`: returns the exit code of the paper to mend first.
///
/// # Errors
/// The arguments make no sense, the build failed, or a program cannot be started.
pub fn reproduce(launcher: &Launcher, args: &ReproduceArgs) -> Result<u8> {
    let request = Request::resolve(launcher.workspace(), &args.selection)?;
    if args.plan {
        return print_plans(launcher, &request);
    }
    let afterwards = Afterwards {
        gate: args.gate,
        save_baseline: args.save_baseline,
    };
    check_baseline_options(launcher, &request, &afterwards)?;
    let programs = build(launcher, &request)?;
    let mut reproduced = Vec::new();
    for paper in &request.papers {
        let one = one_paper(launcher, &programs, &request, &afterwards, paper)?;
        reproduced.push(one);
        if launcher.interrupted() {
            break;
        }
    }
    let codes: Vec<u8> = reproduced.iter().map(|one| one.exit_code).collect();
    if request.format() == Format::Json {
        output::json(&serde_json::json!({ "format": FORMAT, "papers": reproduced }))?;
    }
    Ok(exit::most_severe(&codes))
}

/// `plan`: the same as `reproduce --plan`.
///
/// # Errors
/// As [`reproduce`].
pub fn plan(launcher: &Launcher, selection: &Selection) -> Result<u8> {
    print_plans(
        launcher,
        &Request::resolve(launcher.workspace(), selection)?,
    )
}

fn print_plans(launcher: &Launcher, request: &Request) -> Result<u8> {
    let programs = build(launcher, request)?;
    let mut codes = Vec::new();
    let mut plans = Vec::new();
    for paper in &request.papers {
        let mut command = paper_command(launcher, &programs, request, paper)?;
        command
            .arg("--plan")
            .args(["--format", request.format().as_str()]);
        let (code, text) = launcher.capture(&mut command)?;
        codes.push(code);
        match request.format() {
            Format::Table => output::data(&text)?,
            Format::Json => plans.push(serde_json::json!({
                "paper": paper,
                "exit_code": code,
                "plan": serde_json::from_str::<Value>(&text).ok(),
            })),
        }
    }
    if request.format() == Format::Json {
        output::json(&serde_json::json!({ "format": FORMAT, "papers": plans }))?;
    }
    Ok(exit::most_severe(&codes))
}

/// Whether the baseline can be compared with, or made.
fn check_baseline_options(
    launcher: &Launcher,
    request: &Request,
    afterwards: &Afterwards,
) -> Result<()> {
    if afterwards.save_baseline {
        return request.check_makes_baseline();
    }
    let results = launcher.workspace().results();
    let without = |paper: &&String| !results.join(paper).join("baseline.json").is_file();
    match request.papers.iter().find(without) {
        Some(paper) if afterwards.gate => Err(Error::usage(format!(
            "`{paper}` has no baseline to compare with"
        ))
        .hint(format!("cargo xtask reproduce {paper} --save-baseline"))),
        _ => Ok(()),
    }
}

fn build(launcher: &Launcher, request: &Request) -> Result<Programs> {
    let mut names: Vec<&str> = request.papers.iter().map(String::as_str).collect();
    names.extend(["data", "report"]);
    programs::build(launcher, &names)
}

/// `<paper> run` with everything but the output options.
fn paper_command(
    launcher: &Launcher,
    programs: &Programs,
    request: &Request,
    paper: &str,
) -> Result<Command> {
    let mut command = programs.command(paper)?;
    command.env(eval::env::DATA_PROGRAM, programs.path("data")?);
    command
        .arg("run")
        .arg("--root")
        .arg(launcher.workspace().root());
    request.add_options(&mut command);
    Ok(command)
}

/// Measures, renders, and shows one paper.
fn one_paper(
    launcher: &Launcher,
    programs: &Programs,
    request: &Request,
    afterwards: &Afterwards,
    paper: &str,
) -> Result<Reproduced> {
    output::note(&format!("{paper}: {}", request.describe()));
    let mut command = paper_command(launcher, programs, request, paper)?;
    let (code, text) = launcher.capture(&mut command)?;
    let mut done = Reproduced {
        paper: paper.to_owned(),
        exit_code: code,
        run: last_line(&text).map(PathBuf::from),
        report: None,
        summary: None,
    };
    let Some(run) = done.run.clone().filter(|_| has_results(code)) else {
        if code == exit::COMPLETE {
            return Err(Error::internal(format!(
                "`{paper} run` named no run folder"
            )));
        }
        output::note(&format!(
            "{paper}: no report, `{paper} run` ended with exit code {code}"
        ));
        return Ok(done);
    };
    let reporting = Reporting {
        launcher,
        programs,
        run: &run,
    };
    let mut codes = vec![code, reporting.render(&mut done, request.format())?];
    codes.extend(reporting.after(afterwards, code)?);
    done.exit_code = exit::most_severe(&codes);
    Ok(done)
}

/// What a program that prints one path has printed.
fn last_line(text: &str) -> Option<&str> {
    text.lines()
        .last()
        .map(str::trim)
        .filter(|line| !line.is_empty())
}

/// Whether a run that ended with this code has something to show.
fn has_results(code: u8) -> bool {
    matches!(
        code,
        exit::COMPLETE | exit::INCOMPLETE | exit::INPUTS | exit::CONTROL
    )
}

/// The calls of `report` for one run.
struct Reporting<'a> {
    launcher: &'a Launcher,
    programs: &'a Programs,
    run: &'a Path,
}

impl Reporting<'_> {
    fn command(&self, action: &str) -> Result<Command> {
        let mut command = self.programs.command("report")?;
        command
            .arg(action)
            .arg("--root")
            .arg(self.launcher.workspace().root());
        Ok(command)
    }

    /// Writes the report, and prints the table and the report's path.
    fn render(&self, done: &mut Reproduced, format: Format) -> Result<u8> {
        let (code, text) = self
            .launcher
            .capture(self.command("render")?.arg(self.run))?;
        if code == exit::COMPLETE {
            done.report = last_line(&text).map(PathBuf::from);
        }
        match format {
            Format::Json => {
                let summary = self.run.join("summary.json");
                if summary.is_file() {
                    done.summary = Some(eval::fs::read_json(&summary)?);
                }
                Ok(code)
            }
            Format::Table => {
                let table = self.launcher.run(self.command("table")?.arg(self.run))?;
                if let Some(page) = &done.report {
                    output::data(&format!("report: {}", page.display()))?;
                }
                Ok(exit::most_severe(&[code, table]))
            }
        }
    }

    /// Saves or compares the baseline.
    fn after(&self, afterwards: &Afterwards, run_code: u8) -> Result<Option<u8>> {
        if run_code != exit::COMPLETE && (afterwards.gate || afterwards.save_baseline) {
            output::note("the baseline is neither compared nor saved: the run is not complete");
            return Ok(None);
        }
        let mut codes = Vec::new();
        if afterwards.gate && self.has_baseline() {
            let mut command = self.command("compare")?;
            command
                .args(["--gate", "--only-diff"])
                .arg(self.run)
                .arg("baseline");
            codes.push(self.launcher.run_aside(&mut command)?);
        }
        if afterwards.save_baseline && exit::most_severe(&codes) == exit::COMPLETE {
            codes.push(
                self.launcher
                    .run_aside(self.command("baseline")?.arg(self.run))?,
            );
        }
        Ok(Some(exit::most_severe(&codes)))
    }

    fn has_baseline(&self) -> bool {
        self.run
            .parent()
            .is_some_and(|paper| paper.join("baseline.json").is_file())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_the_one_in_the_help() {
        use clap::CommandFactory;
        let command = crate::cli::Cli::command();
        let help = command
            .find_subcommand("reproduce")
            .and_then(|sub| sub.get_after_help())
            .map(ToString::to_string)
            .unwrap();
        let codes: Vec<String> = exit::SEVERITY.iter().map(u8::to_string).collect();
        let order = format!("{} before {}", codes[0], codes[1..].join(", "));
        assert!(help.contains(&order), "{order}\n{help}");
    }
}
