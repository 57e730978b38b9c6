//! Finds tools: programs, interpreters, and Python packages that run under one.

mod index_page;
mod package;
mod platform_tags;
mod program;
mod wheel;
mod wheel_name;

use wrun_core::tool::{ToolFound, ToolKind, ToolRequest};

use crate::error::ProvisionError;
use crate::host::TaskHost;

impl TaskHost {
    /// Finds the tool that a backend asks for.
    pub(crate) async fn tool(
        &self,
        request: &ToolRequest,
        found: &[ToolFound],
    ) -> Result<ToolFound, ProvisionError> {
        match &request.kind {
            ToolKind::Python { request: wanted } => self.find_python(&request.id, wanted.as_deref()).await,
            ToolKind::Program {
                names,
                folders,
                version_args,
                minimum,
                wheel,
            } => {
                let wanted = program::Wanted {
                    id: &request.id,
                    names,
                    folders,
                    version_args,
                    minimum: minimum.as_deref(),
                    wheel: wheel.as_deref(),
                };
                self.find_program(&wanted).await
            }
            ToolKind::PythonPackage {
                project,
                interpreter,
                minimum,
                preferred,
            } => {
                let interpreter = found.iter().find(|tool| tool.id == *interpreter).ok_or_else(|| {
                    ProvisionError::PlanInvalid {
                        reason: format!(
                            "the tool `{}` is to run under `{interpreter}`, which was not asked for before it",
                            request.id
                        ),
                    }
                })?;
                let oldest = package::Oldest {
                    minimum: minimum.as_deref(),
                    preferred: preferred.as_deref(),
                };
                self.find_package(&request.id, project, interpreter, oldest).await
            }
        }
    }
}
