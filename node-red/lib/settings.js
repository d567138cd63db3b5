'use strict';
/** Settings that the node `account` has fields for, and those that no text field may set. */
const OWN = ['client_secret', 'client_id', 'scopes', 'provider', 'issuer', 'sign_in'];

/** The further settings that a text names: an object, `{}` for none, or `null` if they are not valid. */
function further(text) {
  if (!String(text ?? '').trim()) return {};
  try {
    const value = JSON.parse(text);
    const isObject = value !== null && typeof value === 'object' && !Array.isArray(value);
    return isObject && !OWN.some((key) => Object.hasOwn(value, key)) ? value : null;
  } catch {
    return null;
  }
}

module.exports = { OWN, further };
