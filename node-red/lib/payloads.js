'use strict';
/**
 * Reads what comes over MQTT. Whoever may publish there may send anything: only known keys of the right type come through,
 * none longer than it can rightly be, and nothing that an editor or a dashboard would run.
 */
const { isAccount } = require('./topics');

/** As long as the agent's configuration may be: `bridge/info` repeats of each account what stands there. */
const LONGEST_MESSAGE = 1024 * 1024;
const LONGEST_TEXT = 2048;
const DEEPEST_MESSAGE = 32;
/** As long as the agent lets a member of a provider's answer be. */
const LONGEST_EXTRA = 4096;
const MOST_ACCOUNTS = 1024;
const STATES = ['signed_out', 'awaiting_user', 'active', 'expired'];

/** A JSON object, or `null`. */
function object(payload) {
  if (payload.length > LONGEST_MESSAGE) return null;
  try {
    const value = JSON.parse(payload.toString('utf8'));
    return value !== null && typeof value === 'object' && !Array.isArray(value) && isShallow(value) ? value : null;
  } catch {
    return null;
  }
}

/** Whether it is nested no deeper than the agent's messages. Copying one that is ends Node-RED, as its stack has an end. */
function isShallow(value) {
  let level = [value];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > DEEPEST_MESSAGE) return false;
    level = level.flatMap((item) => (item !== null && typeof item === 'object' ? Object.values(item) : []));
  }
  return true;
}

/** A text without control characters and marks that change the direction of writing. */
function text(value, longest = LONGEST_TEXT) {
  if (typeof value !== 'string' || value.length > longest) return null;
  return value.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ');
}

function time(value) {
  return Number.isSafeInteger(value) && value >= 0 ? value : null;
}

/** An address to open: `javascript:` and its like are none. */
function address(value) {
  const link = text(value);
  if (link === null || !URL.canParse(link)) return null;
  return ['http:', 'https:'].includes(new URL(link).protocol) ? link : null;
}

function image(value) {
  const isImage = typeof value === 'string' && value.length <= 65_536 && /^data:image\/svg\+xml;base64,[A-Za-z0-9+/]+=*$/.test(value);
  return isImage ? value : null;
}

/** `bridge/info`: the agent's version, and its accounts by name. */
function info(payload) {
  const value = object(payload);
  if (!value || !Array.isArray(value.accounts)) return null;
  const accounts = new Map();
  for (const account of value.accounts.slice(0, MOST_ACCOUNTS)) {
    if (!isAccount(account?.name)) continue;
    const scopes = Array.isArray(account.scopes) ? account.scopes.slice(0, 64) : [];
    accounts.set(account.name, {
      provider: text(account.provider),
      grant: text(account.grant),
      scopes: scopes.map((scope) => text(scope)).filter(Boolean),
    });
  }
  return { version: text(value.version, 64), accounts };
}

/** `bridge/state`: whether the agent is there. */
function isOnline(payload) {
  return object(payload)?.state === 'online';
}

function error(value) {
  if (value === null || typeof value !== 'object') return null;
  const code = typeof value.code === 'string' && /^[a-z0-9_]{1,64}$/.test(value.code) ? value.code : 'unknown';
  return { code, message: text(value.message) ?? '', since: time(value.since), retry_at: time(value.retry_at) };
}

function status(value) {
  return {
    state: STATES.includes(value.state) ? value.state : null,
    needs_user: value.needs_user === true,
    sign_in_needed: value.sign_in_needed === true,
    expires_at: time(value.expires_at),
    next_refresh_at: time(value.next_refresh_at),
    last_refresh_at: time(value.last_refresh_at),
    sign_in_ends_at: time(value.sign_in_ends_at),
    signed_in_at: time(value.signed_in_at),
    user: text(value.user, 320),
    user_changed_at: time(value.user_changed_at),
    scope: text(value.scope),
    grant: text(value.grant, 64),
    declared: text(value.declared, 16),
    error: error(value.error ?? null),
  };
}

function signIn(value) {
  const pending = value.pending === true;
  return {
    pending,
    verification_uri: pending ? address(value.verification_uri) : null,
    verification_uri_complete: pending ? address(value.verification_uri_complete) : null,
    user_code: pending ? text(value.user_code, 64) : null,
    redirect_uri: pending ? text(value.redirect_uri) : null,
    expires_at: pending ? time(value.expires_at) : null,
    qr: pending ? image(value.qr) : null,
  };
}

/** What an API needs beside the token, by the names in the agent's configuration. Each value is any JSON. */
function extra(value) {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return {};
  const isGood = ([name, member]) => name !== '__proto__' && name.length <= LONGEST_TEXT && JSON.stringify(member).length <= LONGEST_EXTRA;
  return Object.fromEntries(Object.entries(value).filter(isGood));
}

/** What a header can hold, and what goes with it; `null` for a token that was withdrawn. */
function token(value) {
  const isGood = (part) => typeof part === 'string' && part.length <= 65_536;
  if (!isGood(value.access_token) || !/^[\x21-\x7e]+$/.test(value.access_token)) return null;
  if (!isGood(value.authorization) || !/^[\x21-\x7e]+ [\x21-\x7e]+$/.test(value.authorization)) return null;
  return { access_token: value.access_token, authorization: value.authorization, expires_at: time(value.expires_at), extra: extra(value.extra) };
}

module.exports = { MOST_ACCOUNTS, error, info, isOnline, object, signIn, status, token };
