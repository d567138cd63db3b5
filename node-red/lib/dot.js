'use strict';
/** The status dot of a node: one colour for each thing that a user has to know. */

/** Hours and minutes; a date for what is further away than a day. */
function moment(seconds) {
  const date = new Date(seconds * 1000);
  const two = (number) => String(number).padStart(2, '0');
  if (Math.abs(date - Date.now()) < 86_400_000) return `${two(date.getHours())}:${two(date.getMinutes())}`;
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/**
 * @param {import('./agent').Agent | undefined} agent
 * @param {string} account
 * @param {(key: string, values?: object) => string} words
 */
function dot(agent, account, words) {
  const shown = (fill, shape, key, values) => ({ fill, shape, text: words(`dots.${key}`, values) });
  if (!agent?.isOnline) return shown('grey', 'ring', 'no_agent');
  if (!agent.isKnown(account)) return shown('red', 'ring', 'no_account', { account });
  const { status, sign_in: signIn } = agent.view(account);
  if (!status) return shown('grey', 'ring', 'no_status');
  const end = agent.token(account)?.expires_at ?? status.expires_at;
  if (status.state === 'active' && (end === null || end > Date.now() / 1000)) {
    return end === null ? shown('green', 'dot', 'signed_in') : shown('green', 'dot', 'until', { time: moment(end) });
  }
  if (signIn?.pending || status.state === 'awaiting_user') return shown('yellow', 'ring', 'scan');
  if (status.needs_user || status.state === 'signed_out') return shown('red', 'ring', 'needs_somebody');
  return shown('red', 'ring', 'expired');
}

module.exports = { dot };
