//! The person with `--approve`: opens the link, compares the codes, and presses the button.

use std::time::Duration;

use url::Url;

use crate::failure::Failure;
use crate::http::Http;

/// The time in which a person has read the code and the page.
const TO_READ: Duration = Duration::from_secs(3);

/// Opens `link` and approves, exactly as the page would have it.
pub(crate) async fn approve(http: &Http, link: &str, code_on_device: &str) -> Result<(), Failure> {
    let unusable = || Failure::new(format!("the link {link} is no usable address"));
    let page = Url::parse(link).map_err(|_| unusable())?;
    let html = http.open(link).await.map_err(|error| Failure::new(format!("the page does not open: {error}")))?;
    let code = page.query_pairs().find_map(|(name, value)| (name == "user_code").then_some(value));
    let code = code.ok_or_else(unusable)?;
    if code != code_on_device || !html.contains(&*code) {
        return Err(Failure::new("the page, the link and the device do not show the same code"));
    }
    tokio::time::sleep(TO_READ).await;
    let mut action = page.clone();
    action.set_query(None);
    http.submit(action.as_str(), &[("user_code", &code), ("decision", "approve")])
        .await
        .map(drop)
        .map_err(|error| Failure::new(format!("the page does not take the approval: {error}")))
}
