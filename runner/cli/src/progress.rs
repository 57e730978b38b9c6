//! Progress of one run: bars on a terminal, plain lines elsewhere.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use wrun::core::text::harmless;
use wrun::{Capability, Event, Outcome, Phase, SandboxReport, State, Tier};

use crate::denied::{self, Place};
use crate::speak::Speaker;

/// Shows the progress of one run.
pub(crate) struct Progress<'a> {
    speaker: &'a Speaker,
    task: String,
    /// Several runs speak at once, so each line says which.
    named: bool,
    place: Place,
    bars: MultiProgress,
    steps: BTreeMap<(u8, usize), (String, ProgressBar)>,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(speaker: &'a Speaker, task: &str, named: bool, place: Place) -> Self {
        let target = if speaker.bars {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        Self {
            speaker,
            task: task.to_owned(),
            named,
            place,
            bars: MultiProgress::with_draw_target(target),
            steps: BTreeMap::new(),
        }
    }

    /// Shows an event.
    pub(crate) fn show(&mut self, event: &Event) {
        if self.speaker.is_json() {
            self.speaker.event(&self.task, event);
            return;
        }
        match event {
            Event::StepStarted {
                phase,
                step,
                of: _,
                label,
            } => self.start(*phase, *step, label),
            Event::StepProgress {
                phase,
                step,
                done,
                total,
            } => {
                if let Some((_, bar)) = self.steps.get(&(rank(*phase), *step)) {
                    if let Some(total) = total {
                        bar.set_length(*total);
                    }
                    bar.set_position(*done);
                }
            }
            Event::StepRetried { attempt, reason, .. } => {
                self.line("retry", &format!("attempt {attempt}: {reason}"));
            }
            Event::StepFinished {
                phase,
                step,
                milliseconds,
            } => self.finish(*phase, *step, *milliseconds),
            Event::Waiting { phase, holder } => {
                self.line("waiting", &format!("{} is {} the same", holder, doing(*phase)));
            }
            Event::StillWaiting {
                what,
                hosts,
                milliseconds,
            } => {
                let time = time(*milliseconds);
                self.line(
                    "waiting",
                    &format!("still waiting for {} after {time}: {what}", hosts.join(", ")),
                );
            }
            Event::EnvironmentReady {
                env_id,
                built: true,
                milliseconds,
            } => {
                self.line(
                    "ready",
                    &format!("environment {env_id} built in {}", time(*milliseconds)),
                );
            }
            Event::EnvironmentReady {
                env_id, built: false, ..
            } if self.speaker.verbose => {
                self.line("ready", &format!("environment {env_id} from the store"));
            }
            Event::Notice { message, .. } => self.line("note", message),
            Event::ConnectionRefused(denial) => self.line("net", &denied::refusal(denial, self.place)),
            Event::Denied(observation) => {
                for text in denied::lines(observation, self.place) {
                    self.line("denied", &text);
                }
            }
            Event::Sandbox(report) => self.sandbox(report),
            Event::Finished {
                outcome,
                attempts,
                milliseconds,
                ..
            } if self.speaker.verbose => self.done(outcome, *attempts, *milliseconds),
            Event::Retrying {
                outcome,
                attempt,
                of,
                delay_milliseconds,
            } => self.line(
                "retry",
                &format!(
                    "the task {outcome}; attempt {attempt} of {of} in {}",
                    time(*delay_milliseconds)
                ),
            ),
            _ => {}
        }
    }

    fn sandbox(&self, report: &SandboxReport) {
        if self.speaker.verbose && report.tier == Tier::Full {
            self.line("sandbox", "tier `full`");
        }
        for text in weaknesses(report) {
            self.line("sandbox", &text);
        }
    }

    fn done(&self, outcome: &Outcome, attempts: u32, milliseconds: u64) {
        let tries = if attempts > 1 {
            format!(" in attempt {attempts}")
        } else {
            String::new()
        };
        let time = time(milliseconds);
        self.line("done", &format!("the task {outcome} after {time}{tries}"));
    }

    fn start(&mut self, phase: Phase, step: usize, label: &str) {
        let bar = if self.speaker.bars {
            let bar = self.bars.add(ProgressBar::new_spinner());
            let style = ProgressStyle::with_template("{spinner:.cyan} {msg} {elapsed:.dim}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.set_message(format!("{}: {}", phase_name(phase), harmless(label)));
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        } else {
            self.line(phase_name(phase), label);
            ProgressBar::hidden()
        };
        self.steps.insert((rank(phase), step), (label.to_owned(), bar));
    }

    fn finish(&mut self, phase: Phase, step: usize, milliseconds: u64) {
        let Some((label, bar)) = self.steps.remove(&(rank(phase), step)) else {
            return;
        };
        bar.finish_and_clear();
        if self.speaker.bars || self.speaker.verbose {
            self.line(phase_name(phase), &format!("{label} ({})", time(milliseconds)));
        }
    }

    fn line(&self, mark: &str, text: &str) {
        let text = if self.named {
            format!("{}: {text}", self.task)
        } else {
            text.to_owned()
        };
        self.bars.suspend(|| self.speaker.line(mark, &text));
    }

    /// Takes away what is drawn, so that the task has the terminal.
    pub(crate) fn clear(&mut self) {
        for (_, (_, bar)) in std::mem::take(&mut self.steps) {
            bar.finish_and_clear();
        }
    }
}

/// What a person should know of a sandbox that is not all that it could be.
fn weaknesses(report: &SandboxReport) -> Vec<String> {
    let reason = report
        .reason
        .as_deref()
        .map(|reason| format!(": {reason}"))
        .unwrap_or_default();
    let mut texts = Vec::new();
    match report.tier {
        Tier::Full => {
            if let Some(State::Partial { gap, .. }) = report.capabilities.get(&Capability::Write) {
                texts.push(gap.clone());
            }
        }
        Tier::Restricted => texts.push(format!(
            "tier `restricted`, by Landlock and seccomp alone{reason}"
        )),
        Tier::None => texts.push(format!(
            "the task is not sandboxed: it has a clean environment and the rights of your user{reason}"
        )),
    }
    for (capability, state) in &report.capabilities {
        if !capability.is_limit() {
            continue;
        }
        match state {
            State::Enforced { .. } => {}
            State::Partial { gap, .. } => {
                texts.push(format!("`limits.{capability}` is not wholly held: {gap}"));
            }
            State::NotEnforced { gap } => texts.push(format!("`limits.{capability}` is not held: {gap}")),
        }
    }
    texts
}

const fn rank(phase: Phase) -> u8 {
    phase as u8
}

const fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Tools => "tools",
        Phase::Solve => "solve",
        Phase::Build => "build",
        Phase::Compile => "compile",
    }
}

const fn doing(phase: Phase) -> &'static str {
    match phase {
        Phase::Tools => "fetching",
        Phase::Solve => "solving",
        Phase::Build => "building",
        Phase::Compile => "compiling",
    }
}

fn time(milliseconds: u64) -> String {
    humantime::format_duration(Duration::from_millis(milliseconds)).to_string()
}
