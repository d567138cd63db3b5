//! Keeps the sign-in page current, and carries out what somebody presses there.

use tokio::sync::oneshot;

use super::Agent;
use super::request_limits::RequestClient;
use super::requests::{Asker, PendingRequest, sentence};
use crate::domain::account::AccountName;
use crate::domain::session::{Command, Event};
use crate::domain::settings::PageSettings;
use crate::page::{self, AccountView, ButtonPress, Page, PageCommand};
use crate::wire::Verb;

/// Takes the result of the press of a button.
type PressAnswer = oneshot::Sender<Result<(), String>>;

impl Agent {
    /// Serves the page, if it is wanted. Without it everything else still works, so a page that cannot be served ends
    /// nothing.
    pub(super) fn open_page(&self, settings: Option<&PageSettings>) -> Option<Page> {
        let settings = settings?;
        match page::serve(settings, self.events.clone()) {
            Ok(page) => {
                tracing::info!(address = %format_args!("http://{}", settings.listen), "serving the sign-in page");
                Some(page)
            }
            Err(error) => {
                tracing::error!(%error, address = %settings.listen, "the sign-in page cannot listen; going on without it");
                None
            }
        }
    }

    /// Shows on the page whether there is a broker.
    pub(super) fn show_broker(&self, connected: bool) {
        if let Some(page) = &self.page {
            page.content().show_broker(connected);
        }
    }

    /// Takes an account off the page.
    pub(super) fn take_off_page(&self, name: &AccountName) {
        if let Some(page) = &self.page {
            page.content().remove(name);
        }
    }

    /// Shows an account on the page as it is now.
    pub(super) fn show_on_page(&self, name: &AccountName) {
        let (Some(page), Some(account)) = (&self.page, self.accounts.get(name)) else { return };
        let view = AccountView {
            provider: account.settings.provider.clone(),
            grant: account.settings.grant.kind(),
            status: self.status_of(name, account),
            pending: account.session.pending(),
        };
        page.content().show(name, view);
    }

    /// Carries out the press of a button on the page.
    pub(super) fn pressed(&mut self, press: ButtonPress) {
        let ButtonPress { account, command, answer } = press;
        if let Err(error) = self.known(Some(&account)) {
            // Whoever has closed the page meanwhile needs no answer.
            let _ = answer.send(Err(error.message));
            return;
        }
        match command {
            PageCommand::Login => self.carry_out_press(&account, Verb::Login, Command::Login, answer),
            PageCommand::NewCode => {
                // Without a code that waits there is nothing to give up, and a sign-in brings one all the same.
                let (unheard, _) = oneshot::channel();
                self.carry_out_press(&account, Verb::Cancel, Command::Cancel, unheard);
                self.carry_out_press(&account, Verb::Login, Command::Login, answer);
            }
            PageCommand::Complete(address) => match self.find_redirection(Some(account.clone()), &address) {
                Ok((_, redirection)) => {
                    self.carry_out_press(&account, Verb::Complete, Command::Complete(redirection), answer);
                }
                // Whoever has closed the page meanwhile needs no answer.
                Err(reason) => drop(answer.send(Err(sentence(&reason)))),
            },
            PageCommand::Cancel => self.carry_out_press(&account, Verb::Cancel, Command::Cancel, answer),
            PageCommand::Logout => self.carry_out_press(&account, Verb::Logout, Command::Logout, answer),
        }
    }

    fn carry_out_press(&mut self, account: &AccountName, verb: Verb, command: Command, answer: PressAnswer) {
        if let Err(error) = self.admit(account, &command, RequestClient::Page) {
            // Whoever has closed the page meanwhile needs no answer.
            let _ = answer.send(Err(error.message));
            return;
        }
        // What is refused is not in the journal: anybody can bring that about without end.
        tracing::info!(account = account.as_str(), verb = verb.name(), "asked for on the page");
        let ticket = self.tickets.issue(account, PendingRequest { verb, asker: Asker::Browser(answer) });
        self.tell(account, Event::Command(command, ticket));
    }
}
