//! Questions that a backend asks while it solves, and their answers.
//!
//! Solving is a replay: the backend is called with all answers so far and either knows the lock or asks more. So it
//! stays a pure function, and a transcript is a test fixture.

use serde::{Deserialize, Serialize};

use crate::credential::CredentialId;
use crate::plan::Run;

/// Rounds of questions that a backend may ask for one lock.
pub const MAXIMUM_ROUNDS: usize = 16;

/// What a backend wants to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// The answer to an HTTP GET.
    Http {
        /// The address; without credentials.
        url: String,
        /// Headers of the request.
        headers: Vec<(String, String)>,
        /// The credential to use, by name.
        credential: Option<CredentialId>,
        /// The largest answer that is taken, in bytes.
        maximum_bytes: u64,
    },
    /// What a tool says.
    Tool {
        /// What is being done, for people: `resolve 3 requirements`.
        label: String,
        /// The run. Its scratch folder is fresh.
        run: Run,
        /// Files put into the scratch folder first: path and content.
        files: Vec<(String, String)>,
        /// Files of the scratch folder to read back.
        outputs: Vec<String>,
    },
}

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// The server's answer, whatever its status.
    Http {
        /// The status code.
        status: u16,
        /// The body.
        body: Vec<u8>,
    },
    /// The tool ran.
    Tool {
        /// Its exit code; `None` if a signal ended it.
        exit: Option<i32>,
        /// Its standard output, secrets blotted out.
        stdout: String,
        /// The end of its standard error, secrets blotted out.
        stderr: String,
        /// The outputs that exist: path and content, secrets blotted out.
        outputs: Vec<(String, String)>,
    },
    /// The host did not do it.
    Refused {
        /// Why.
        refusal: Refusal,
        /// In words.
        message: String,
    },
}

/// Why a host did not do what a question or a step asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// It needs the network, and the run is offline.
    Offline,
    /// It took too long.
    TimedOut,
    /// The answer is too large.
    TooLarge,
    /// The host could not be reached.
    Unreachable,
    /// The user ended it.
    Cancelled,
}

/// A question with its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// The question.
    pub question: Question,
    /// The answer.
    pub answer: Answer,
}
