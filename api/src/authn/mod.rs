//! Who is asking, and whom they act as.
//!
//! In this order: an identity that a caller in this process handed over; a front proxy that vouches for somebody; a
//! client certificate; a bearer token. The first that proves something decides. Who shows nothing is
//! `system:anonymous`; who shows something that proves nothing is refused, even where everybody may go.

mod accounts;
mod anonymous;
mod bearer;
mod cache;
mod certificate;
mod config;
mod follow;
mod impersonate;
mod login;
mod openid;
mod reviews;
pub(crate) mod signing;
mod state;
mod token_request;
mod tokens;
mod user;

pub use certificate::user_of_certificate;
pub use config::{IdentityConfig, IdentityError, RequestHeaders};
pub use tokens::{Tokens, TokensError};
pub use user::{
    GROUP_AUTHENTICATED, GROUP_CONTROLLERS, GROUP_MASTERS, GROUP_NODES, GROUP_UNAUTHENTICATED, NODE_USER_PREFIX,
    USER_ANONYMOUS, UserInfo,
};

pub(crate) use bearer::take_websocket_token;
pub(crate) use certificate::Peer;
pub(crate) use follow::follow;
pub(crate) use impersonate::impersonate;
pub(crate) use login::is_login;
pub(crate) use openid::serve as serve_openid;
pub(crate) use reviews::REVIEWS;
pub(crate) use state::Identity;
pub(crate) use token_request::token_request;

use crate::inner::Inner;
use crate::status::ApiError;

/// Who acts in a request.
#[derive(Debug)]
pub(crate) struct Acting {
    /// Whose rights count.
    pub user: UserInfo,
    /// Who is behind it, when it is another.
    pub impersonated_by: Option<UserInfo>,
}

/// Who a request comes from: anonymous when it says nothing.
///
/// # Errors
/// 401 when it says something that proves nothing.
pub(crate) async fn authenticate(server: &Inner, parts: &http::request::Parts) -> Result<UserInfo, ApiError> {
    if let Some(user) = parts.extensions.get::<UserInfo>() {
        return Ok(user.clone());
    }
    if let Some(peer) = parts.extensions.get::<Peer>() {
        if let Some(user) = server.identity.vouched_for(peer, &parts.headers) {
            return Ok(user);
        }
        if let Some(user) = &peer.user {
            return Ok(user.clone());
        }
    }
    match bearer::token_of(&parts.headers) {
        Some(token) => match bearer::believe(server, token, &[]).await {
            Ok(believed) => Ok(believed.user),
            Err(refusal) => {
                tracing::debug!(reason = %refusal, path = parts.uri.path(), "a bearer token is not believed");
                Err(ApiError::unauthorized())
            }
        },
        None if server.identity.anonymous.may_ask(parts.uri.path()) => Ok(UserInfo::anonymous()),
        None => Err(ApiError::unauthorized()),
    }
}
