//! The grant of machines that sign for themselves (RFC 7523 2.1).

use serde::Deserialize;
use url::Url;

use crate::domain::client_key::{ClientKey, InvalidKey};
use crate::domain::secret::Secret;

/// Who asks for a token, on whose behalf, and the key that shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct JwtBearer {
    /// The key that signs.
    pub key: ClientKey,
    /// The claim `iss`: whom the provider knows the key of.
    pub issuer: String,
    /// The claim `sub`: on whose behalf; the issuer itself where there is none, or none at all at Google.
    pub subject: Option<String>,
    /// True if the key is that of a Google service account, which has its scopes in the assertion and no subject of its
    /// own.
    pub is_service_account: bool,
}

/// The members of a Google service account's file that are used.
#[derive(Deserialize)]
struct ServiceAccountFile {
    r#type: String,
    client_email: String,
    private_key: Secret,
    private_key_id: Option<String>,
    token_uri: Url,
}

/// Why a file is not that of a service account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidServiceAccount {
    /// It has not the members of such a file.
    #[error("it is not the JSON file of a service account, with client_email, private_key and token_uri")]
    NotOne,
    /// Its key cannot be used.
    #[error("the private_key in it cannot be used: {0}")]
    Key(#[from] InvalidKey),
}

impl JwtBearer {
    /// Reads the JSON file of a service account as downloaded from Google, and returns its token endpoint too, which is
    /// the audience of its assertions.
    ///
    /// # Errors
    /// When it is no such file, or its key cannot be used.
    pub fn from_service_account(json: &Secret, subject: Option<String>) -> Result<(Self, Url), InvalidServiceAccount> {
        let file: ServiceAccountFile =
            serde_json::from_str(json.expose()).map_err(|_| InvalidServiceAccount::NotOne)?;
        if file.r#type != "service_account" || file.client_email.is_empty() {
            return Err(InvalidServiceAccount::NotOne);
        }
        let key = ClientKey::from_pem(&file.private_key, file.private_key_id)?;
        let bearer = Self { key, issuer: file.client_email, subject, is_service_account: true };
        Ok((bearer, file.token_uri))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::keys;

    fn read(json: &serde_json::Value) -> Result<(JwtBearer, Url), InvalidServiceAccount> {
        JwtBearer::from_service_account(&Secret::new(json.to_string()), None)
    }

    #[test]
    fn the_file_of_a_service_account_is_read_as_downloaded() {
        let mut file = serde_json::json!({
            "type": "service_account", "project_id": "plant", "private_key_id": "k1",
            "private_key": keys::rsa(2048), "client_email": "meter@plant.example", "client_id": "1",
            "auth_uri": "https://accounts.example/auth", "token_uri": "https://oauth2.example/token",
        });
        let (bearer, token_uri) = read(&file).unwrap();
        assert_eq!((bearer.issuer.as_str(), bearer.key.id.as_deref()), ("meter@plant.example", Some("k1")));
        assert_eq!(token_uri.as_str(), "https://oauth2.example/token");
        file["private_key"] = "hunter2".into();
        let error = read(&file).unwrap_err();
        assert!(matches!(error, InvalidServiceAccount::Key(_)) && !error.to_string().contains("hunter2"), "{error}");
        file["type"] = "authorized_user".into();
        assert_eq!(read(&file).unwrap_err(), InvalidServiceAccount::NotOne);
    }
}
