//! One plain request and its answer.

use httparse::{EMPTY_HEADER, Status};
use tokio::io::{AsyncBufRead, AsyncWrite, AsyncWriteExt, BufReader, sink, split};

use super::body::{BodyError, pass_on};
use super::fields::Fields;
use super::head::{self, FIELDS, HeadError};
use super::request::Plain;
use crate::activity::{Activity, Side};
use crate::client::Client;
use crate::failure::{Cause, Failure};
use crate::gate::Gate;
use crate::open::{self, Form};
use crate::relay::{BUFFER, copy};

/// Passes a request on, and its answer back. A failure is one that can still be answered.
pub(crate) async fn forward<S>(client: &mut BufReader<S>, request: &Plain, gate: &Gate) -> Result<(), Failure>
where
    S: Client,
{
    let activity = gate.traffic.note(&request.target);
    let (server, form) = open::request(gate, &request.target).await?;
    tracing::debug!(target = %request.target, "connected");
    let mut answered = false;
    let (from_client, mut to_client) = split(&mut *client);
    let mut from_client = BufReader::with_capacity(BUFFER, from_client);
    let (from_server, mut to_server) = split(server);
    let mut from_server = BufReader::with_capacity(BUFFER, from_server);
    let ask = async {
        let login = gate.logins.plain(&request.target, &request.method, &request.path);
        let asked = to_server.write_all(&request.render(&form, login)).await;
        let sent = match asked {
            Ok(()) => {
                pass_on(
                    &mut from_client,
                    &mut to_server,
                    request.framing,
                    activity.client(),
                )
                .await
            }
            Err(_) => Err(BodyError::Write),
        };
        match sent {
            Err(BodyError::Malformed(reason)) => Failure::Malformed(reason),
            Err(BodyError::Read) => Failure::Gone,
            // A server may answer and close before it has heard everything.
            Ok(()) | Err(BodyError::Write) => nothing_more(&mut from_client).await,
        }
    };
    let hear = hear(
        &mut from_server,
        &mut to_client,
        request,
        &form,
        activity.server(),
        &mut answered,
    );
    let too_slow = || Failure::Connect {
        target: request.target.clone(),
        cause: Cause::TimedOut,
    };
    let ended = tokio::select! {
        failure = ask => Err(failure),
        heard = hear => heard,
        () = activity.silence(gate.limits.idle) => Err(too_slow()),
        () = activity.drip(gate.limits.pace) => Err(too_slow()),
    };
    match ended {
        Ok(()) => Ok(()),
        Err(failure) if !answered => Err(failure),
        // Too late to say anything else.
        Err(_) => {
            client.get_ref().break_off();
            Ok(())
        }
    }
}

/// Reads on and drops it: a second request has to come by a second connection. Ends only if the client is gone; one
/// that merely has said everything waits for its answer.
async fn nothing_more<R: AsyncBufRead + Unpin>(client: &mut R) -> Failure {
    match copy(client, &mut sink(), None, Activity::new().client()).await {
        Ok(_) => std::future::pending().await,
        Err(_) => Failure::Gone,
    }
}

async fn hear<R, W>(
    server: &mut R,
    client: &mut W,
    request: &Plain,
    form: &Form,
    server_says: Side<'_>,
    answered: &mut bool,
) -> Result<(), Failure>
where
    R: AsyncBufRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let unusable = |problem| Failure::Answer {
        target: request.target.clone(),
        problem,
    };
    loop {
        let head = head::read(server).await.map_err(|error| match error {
            HeadError::Ended => Failure::BrokenOff {
                target: request.target.clone(),
            },
            HeadError::TooLarge => unusable("its head is too large"),
        })?;
        let answer = Answer::parse(&head).ok_or_else(|| unusable("it is not HTTP/1.1"))?;
        match (answer.status, form) {
            (101, _) => return Err(unusable("it changes the protocol")),
            // It would ask the client for a password that is not the client's to give.
            (407, Form::Absolute(_)) => {
                return Err(Failure::Upstream {
                    target: request.target.clone(),
                    problem: "wants other credentials (status 407)".to_owned(),
                });
            }
            _ => {}
        }
        let is_last = answer.status >= 200;
        *answered |= is_last;
        client
            .write_all(&answer.render())
            .await
            .map_err(|_| Failure::Gone)?;
        if is_last {
            let has_body = request.method != "HEAD" && !matches!(answer.status, 204 | 304);
            let framing = answer.fields.of_answer(has_body);
            pass_on(server, client, framing, server_says)
                .await
                .map_err(|_| unusable("it ended within its body"))?;
            let _gone = client.shutdown().await;
            return Ok(());
        }
    }
}

/// The head of an answer.
struct Answer {
    status: u16,
    reason: String,
    /// Of the version `1.`*minor*.
    minor: u8,
    fields: Fields,
}

impl Answer {
    fn parse(head: &[u8]) -> Option<Self> {
        let mut fields = [EMPTY_HEADER; FIELDS];
        let mut parsed = httparse::Response::new(&mut fields);
        match parsed.parse(head) {
            Ok(Status::Complete(_)) => {}
            Ok(Status::Partial) | Err(_) => return None,
        }
        Some(Self {
            status: parsed.code.filter(|code| *code >= 100)?,
            reason: parsed.reason.unwrap_or_default().to_owned(),
            minor: parsed.version?,
            fields: Fields::sort(parsed.headers).ok()?,
        })
    }

    fn render(&self) -> Vec<u8> {
        let start = format!("HTTP/1.{} {} {}\r\n", self.minor, self.status, self.reason);
        let mut head = start.into_bytes();
        self.fields.render(None, &mut head);
        head
    }
}
