//! Access tokens: asked for on a request's own thread, kept for as long as they are good, and one for all:
//! who comes while one is asked for waits for it, and shares what came of it.

use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use super::account::Account;
use super::endpoint::BaseUrl;
use super::failure::{Failure, NoToken};
use super::grant;
use super::http::Connection;
use super::secret::Secret;

/// Before its end a token is replaced: as early as Google's own libraries do it, or when a quarter of a short
/// life is left.
const EARLY: Duration = Duration::from_secs(225);

/// Who or what gives out tokens.
pub enum Source {
    Account(Account),
    /// Of the machine in Google Cloud that this is.
    Metadata(BaseUrl),
    /// A file that somebody else keeps up to date.
    File(String),
}

/// What is remembered of a source from one call to the next.
#[derive(Default)]
pub struct Cache(Mutex<State>);

#[derive(Default)]
struct State {
    token: Option<Token>,
    /// What the last attempt came to, and when it ended.
    failed: Option<(Instant, Failure)>,
    /// Seconds that the token endpoint's clock is ahead of this machine's.
    ahead: i64,
}

struct Token {
    secret: Secret,
    /// None where nobody knows them.
    replace_at: Option<Instant>,
    ends_at: Option<Instant>,
}

pub struct Access {
    source: Source,
    /// How the token endpoint is reached; its URL is the source's.
    connection: Connection,
    cache: Arc<Cache>,
}

impl Access {
    pub fn new(source: Source, connection: Connection, cache: Arc<Cache>) -> Access {
        Access {
            source,
            connection,
            cache,
        }
    }

    /// A token that is good for now.
    pub fn token(&self) -> Result<Secret, Failure> {
        self.cache.token(None, |ahead| self.ask(ahead))
    }

    /// A token in place of one that was refused: it may have been revoked.
    pub fn in_place_of(&self, refused: &Secret) -> Result<Secret, Failure> {
        self.cache.token(Some(refused), |ahead| self.ask(ahead))
    }

    fn ask(&self, ahead: &mut i64) -> Result<(Secret, Option<Duration>), NoToken> {
        match &self.source {
            Source::Account(account) => grant::to_account(account, &self.connection, ahead),
            Source::Metadata(url) => grant::to_machine(url, &self.connection),
            Source::File(path) => grant::in_file(path),
        }
    }
}

impl Cache {
    /// Whether a token is being asked for.
    pub fn is_asking(&self) -> bool {
        matches!(self.0.try_lock(), Err(TryLockError::WouldBlock))
    }

    fn token(
        &self,
        refused: Option<&Secret>,
        ask: impl FnOnce(&mut i64) -> Result<(Secret, Option<Duration>), NoToken>,
    ) -> Result<Secret, Failure> {
        let came = Instant::now();
        // Held while one is asked for, so that nobody else asks.
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Token {
            secret, replace_at, ..
        }) = &state.token
            && refused != Some(secret)
            && replace_at.is_none_or(|replace_at| came < replace_at)
        {
            return Ok(secret.clone());
        }
        if let Some((at, failure)) = &state.failed
            && came <= *at
        {
            return Err(failure.clone());
        }
        let old = state.token.take();
        match ask(&mut state.ahead) {
            Ok((secret, life)) => {
                state.token = Some(Token {
                    secret: secret.clone(),
                    replace_at: life.map(|life| came + life - EARLY.min(life / 4)),
                    ends_at: life.map(|life| came + life),
                });
                Ok(secret)
            }
            Err(no_token) => {
                let now = Instant::now();
                // There is time to try again, as long as the old one is good.
                if let Some(old) = old
                    && refused != Some(&old.secret)
                    && let Some(ends_at) = old.ends_at.filter(|ends_at| now < *ends_at)
                {
                    let secret = old.secret.clone();
                    state.token = Some(Token {
                        replace_at: Some(now + (ends_at - now) / 4),
                        ..old
                    });
                    return Ok(secret);
                }
                let failure = Failure::NoToken(no_token);
                state.failed = Some((now, failure.clone()));
                Err(failure)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    type Asked = Result<(Secret, Option<Duration>), NoToken>;

    fn token(number: usize, life: u64) -> Asked {
        let secret = Secret::new("Bearer ", format!("token-{number}").as_bytes());
        Ok((secret.unwrap(), Some(Duration::from_secs(life))))
    }

    /// How often one is asked for when many want one at the same time.
    fn asked(
        cache: &Cache,
        refused: Option<&Secret>,
        answer: impl Fn(usize) -> Asked + Sync,
    ) -> usize {
        let asked = AtomicUsize::new(0);
        let began = std::sync::Barrier::new(8);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    began.wait();
                    let _ = cache.token(refused, |_| {
                        // The others come meanwhile.
                        std::thread::sleep(Duration::from_millis(200));
                        answer(asked.fetch_add(1, Ordering::Relaxed))
                    });
                });
            }
        });
        asked.into_inner()
    }

    #[test]
    fn one_asks_for_all() {
        let cache = Cache::default();
        assert_eq!(asked(&cache, None, |number| token(number, 3600)), 1);
        assert_eq!(asked(&cache, None, |number| token(number, 3600)), 0);
        let first = token(0, 0).unwrap().0;
        assert_eq!(asked(&cache, Some(&first), |_| token(1, 3600)), 1);
        // Somebody has replaced it already.
        assert_eq!(asked(&cache, Some(&first), |_| token(2, 3600)), 0);
    }

    #[test]
    fn a_failure_is_shared_by_those_who_waited_for_it() {
        let cache = Cache::default();
        assert_eq!(asked(&cache, None, |_| Err(NoToken::PrivateKey)), 1);
        assert_eq!(asked(&cache, None, |number| token(number, 3600)), 1);
    }

    #[test]
    fn a_token_is_good_until_its_end_where_there_is_no_other() {
        let cache = Cache::default();
        let first = cache.token(None, |_| token(0, 3600)).unwrap();
        let mut state = cache.0.lock().unwrap();
        state.token.as_mut().unwrap().replace_at = Some(Instant::now());
        drop(state);
        assert_eq!(
            cache.token(None, |_| Err(NoToken::PrivateKey)),
            Ok(first.clone())
        );
        assert_eq!(asked(&cache, None, |_| Err(NoToken::PrivateKey)), 0);
        let refused = cache.token(Some(&first), |_| Err(NoToken::PrivateKey));
        assert_eq!(refused, Err(Failure::NoToken(NoToken::PrivateKey)));
    }

    #[test]
    fn a_token_is_replaced_before_its_end() {
        let cache = Cache::default();
        assert!(cache.token(None, |_| token(0, 0)).is_ok());
        assert_eq!(asked(&cache, None, |number| token(number, 3600)), 1);
    }
}
