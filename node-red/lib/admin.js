'use strict';
/**
 * What the editor asks: the accounts of an agent, and the buttons. Each answer is put together here, from what is meant
 * to be seen; no token is ever in one. Reading and pressing need permissions of their own.
 */
const { VERBS, isAccount } = require('./topics');

/** What the editor is told of an agent. */
function seen(agent) {
  return {
    connected: agent.isConnected,
    online: agent.isOnline,
    version: agent.isOnline ? agent.version : null,
    accounts: agent.accounts().map(({ name, provider = null, grant = null, scopes = [], status, sign_in: signIn }) => ({
      name, provider, grant, scopes, status, sign_in: signIn,
    })),
  };
}

function serve(RED) {
  const may = (permission) => RED.auth.needsPermission(`oauth2mqtt-agent.${permission}`);
  const find = (request, response, next) => {
    const node = RED.nodes.getNode(request.params.agent);
    if (node?.type !== 'oauth2mqtt-agent' || !node.agent) return response.status(404).json({ code: 'not_deployed' });
    response.set('cache-control', 'no-store');
    request.agent = node.agent;
    return next();
  };

  RED.httpAdmin.get('/oauth2mqtt/:agent/accounts', may('read'), find, (request, response) => {
    response.json(seen(request.agent));
  });

  RED.httpAdmin.post('/oauth2mqtt/:agent/accounts/:account/:verb', may('write'), find, async (request, response) => {
    const { account, verb } = request.params;
    // A page of somebody else's cannot send JSON here without being asked for leave first.
    if (!request.is('application/json')) return response.status(415).json({ code: 'not_json' });
    if (!VERBS.includes(verb) || !isAccount(account)) return response.status(400).json({ code: 'invalid_request' });
    const redirected = request.body?.redirected_to;
    const isComplete = verb === 'complete';
    if (isComplete && (typeof redirected !== 'string' || redirected.length > 8192)) return response.status(400).json({ code: 'invalid_request' });
    try {
      await request.agent.request(verb, isComplete ? { account, redirected_to: redirected.trim() } : { account });
      return response.json(seen(request.agent));
    } catch ({ code, message }) {
      return response.status(409).json({ code, message });
    }
  });
}

module.exports = { serve };
