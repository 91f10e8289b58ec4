//! Logs of and commands in a task's containers: passed on to the agent that runs it.

use super::Call;
use super::respond::ApiResponse;
use crate::status::ApiError;

pub(super) async fn log(_call: &Call<'_>) -> Result<ApiResponse, ApiError> {
    Err(ApiError::unavailable("logs are not there yet"))
}

pub(super) async fn exec(_call: &Call<'_>, _parts: &http::request::Parts) -> Result<ApiResponse, ApiError> {
    Err(ApiError::unavailable("exec is not there yet"))
}
