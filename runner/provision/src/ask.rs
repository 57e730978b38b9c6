//! Answers the questions of backends.

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use wrun_core::backend::Request;
use wrun_core::event::Phase;
use wrun_core::plan::{Place, Run};
use wrun_core::question::{Answer, Question, Refusal};
use wrun_store::StoreError;

use crate::error::ProvisionError;
use crate::host::TaskHost;

use crate::places::{Places, WORK, below, plain};

/// The largest output of a tool that is read back, in bytes.
const OUTPUT_MAXIMUM: u64 = 64 * 1024 * 1024;

impl TaskHost {
    /// Answers questions side by side, in their order.
    pub(crate) async fn answers(
        &self,
        request: &Request,
        questions: &[Question],
    ) -> Result<Vec<Answer>, ProvisionError> {
        let answers = questions.iter().map(|question| self.answer(request, question));
        let answers: Vec<_> = answers.collect();
        stream::iter(answers)
            .buffered(self.settings.concurrency.max(1))
            .try_collect()
            .await
    }

    async fn answer(&self, request: &Request, question: &Question) -> Result<Answer, ProvisionError> {
        let answer = match question {
            Question::Http {
                url,
                headers,
                credential,
                maximum_bytes,
            } => {
                self.answer_http(url, headers, credential.as_ref(), *maximum_bytes)
                    .await
            }
            Question::Tool {
                label,
                run,
                files,
                outputs,
            } => self.answer_tool(request, label, run, files, outputs).await,
        };
        answer.or_else(|error| match error.refusal() {
            Some(refusal) => Ok(Answer::Refused {
                refusal,
                message: error.to_string(),
            }),
            None => Err(error),
        })
    }

    async fn answer_http(
        &self,
        url: &str,
        headers: &[(String, String)],
        credential: Option<&String>,
        maximum: u64,
    ) -> Result<Answer, ProvisionError> {
        let response = self.answered(url, headers, credential, maximum, false).await?;
        Ok(Answer::Http {
            status: response.status,
            body: response.body,
        })
    }

    async fn answer_tool(
        &self,
        request: &Request,
        label: &str,
        run: &Run,
        files: &[(String, String)],
        outputs: &[String],
    ) -> Result<Answer, ProvisionError> {
        let step = self.begin(Phase::Solve, label.to_owned());
        let places = Places::new(
            &self.store,
            label,
            None,
            &self.project,
            request,
            self.settings.timing.idle,
        )?;
        for (rel, content) in files {
            plain(&Place::scratch(rel.as_str()))?;
            places.note(content);
            places
                .scratch_tree()
                .write(&below(WORK, rel), content.as_bytes(), false)?;
        }
        let ran = self.run(label, run, &places, &self.cancel).await?;
        if ran.timed_out {
            let message = format!("{label}: not done after {} seconds", run.timeout.as_secs_f64());
            return Ok(Answer::Refused {
                refusal: Refusal::TimedOut,
                message,
            });
        }
        let mut brought = Vec::new();
        for rel in outputs {
            plain(&Place::scratch(rel.as_str()))?;
            let inside = below(WORK, rel);
            if !places.scratch_tree().exists(&inside)? {
                continue;
            }
            let content = match places.scratch_tree().read(&inside, OUTPUT_MAXIMUM) {
                Ok(content) => content,
                Err(error @ StoreError::TooLarge { .. }) => {
                    return Ok(Answer::Refused {
                        refusal: Refusal::TooLarge,
                        message: error.to_string(),
                    });
                }
                Err(error) => return Err(error.into()),
            };
            brought.push((
                rel.clone(),
                ran.redactor.clean(&String::from_utf8_lossy(&content)),
            ));
        }
        step.finish();
        Ok(Answer::Tool {
            exit: ran.exit,
            stdout: ran.stdout,
            stderr: ran.stderr,
            outputs: brought,
        })
    }
}
