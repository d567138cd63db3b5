'use strict';
/**
 * Tells the flows of a Dashboard 2 who is in front of it, in `msg._client.user`, and ends the sockets of a session that is over.
 *
 * The user is what the gate says of the reference that the proxy passed on in `Remote-Session`. A socket without one has no user, and
 * causes no request.
 */
const { Gate } = require('../lib/gate');

const TYPE = 'node-red-dashboard-2';
const ID = `${TYPE}-oauth2mqtt-gate`;
const ADDRESS = 'http://127.0.0.1:8630';
/** A control of the dashboard that is in no flow: by it a page is loaded again, which leads to the sign-in. */
const RELOAD = 'oauth2mqtt-gate-reload';

/** Takes the user out of what a browser sent, or out of what is left from somebody else. */
function withoutUser(values) {
  const left = [values];
  while (left.length > 0) {
    const value = left.pop();
    // When a message is copied, this key would become the prototype of the copy, with all that is in it.
    if (value && typeof value === 'object') delete value.__proto__;
    if (Array.isArray(value)) {
      for (const one of value) left.push(one);
    } else if (value?._client) {
      const client = { ...Object(value._client) };
      delete client.user;
      delete client.__proto__;
      value._client = client;
    }
  }
}

/** Whether a person does what a page sends, for the pages of one socket. Some of it a page sends by itself whenever it connects again. */
function personal() {
  let page;
  return ([event, , , about]) => {
    if (event !== 'ui-control') return event !== 'widget-load' && event !== 'ui-event';
    const before = page;
    page = about?.name;
    return before !== undefined && before !== page;
  };
}

module.exports = (RED) => {
  const address = RED.settings.oauth2mqtt?.gate || process.env.OAUTH2MQTT_GATE || ADDRESS;
  const gate = new Gate(address, RED.log);
  const servers = new WeakSet();
  const visitors = new WeakMap();
  let isInUse = false;

  function bases() {
    const nodes = [];
    RED.nodes.eachNode(({ type, id }) => type === 'ui-base' && nodes.push(RED.nodes.getNode(id)));
    return nodes.filter(Boolean);
  }

  function addReload() {
    for (const { id, ui } of bases()) {
      ui?.widgets?.set(RELOAD, {
        id: RELOAD, type: 'ui-control', props: { ui: id, events: 'none' }, layout: { width: 0, height: 0, order: 0 }, state: {}, hooks: {},
      });
    }
  }

  function end(socket, isSignedOut) {
    if (!socket.connected) return socket.conn.close();
    // While the gate is silent there is nothing to go to: the page connects again by itself when the gate is back.
    if (isSignedOut) socket.emit(`ui-control:${RELOAD}`, { payload: { page: '' } });
    return socket.disconnect(true);
  }

  /** Finds out whose socket it is: `visitor` is `null` for one that did not come through the gate. */
  function admit(socket) {
    const known = visitors.get(socket);
    if (known) return known;
    const reference = socket.handshake.headers['remote-session'];
    const entry = reference === undefined ? { visitor: null, asked: Promise.resolve() } : gate.enter(reference, (isSignedOut) => end(socket, isSignedOut));
    const { visitor } = entry;
    visitors.set(socket, entry);
    const isPersonal = personal();
    socket.use((packet, next) => {
      withoutUser(packet);
      if (isPersonal(packet)) visitor?.act();
      next();
    });
    if (visitor) {
      // The dashboard removes the listeners of the socket itself at each deploy.
      socket.conn.once('close', () => visitor.leave());
      if (socket.conn.readyState !== 'open') visitor.leave();
      if (!isInUse) addReload();
      isInUse = true;
    }
    return entry;
  }

  /** Has each socket of a server wait until it is known whose it is. */
  function guard(server) {
    if (servers.has(server)) return;
    servers.add(server);
    server.use(async (socket, next) => {
      const { visitor, asked } = admit(socket);
      await asked;
      if (!visitor?.isOver) next();
    });
    server.sockets.sockets.forEach(admit);
  }

  function guardAll() {
    const nodes = bases();
    nodes.forEach(({ uiShared }) => uiShared?.ioServer && guard(uiShared.ioServer));
    if (isInUse) addReload();
  }

  const visitorOf = (socket) => {
    guard(socket.server);
    return admit(socket).visitor;
  };

  /** Whether another plug-in of the dashboard says who somebody is. */
  const isAnotherThere = () => RED.plugins.getByType(TYPE).some(({ id, hooks }) => id !== ID && hooks?.onAddConnectionCredentials);

  RED.events.on('flows:started', guardAll);
  RED.plugins.registerPlugin(ID, {
    type: TYPE,
    hooks: {
      onSetup: () => { guardAll(); },
      onChange: (socket, id, msg) => {
        withoutUser([msg]);
        return msg;
      },
      onAddConnectionCredentials: (socket, msg) => {
        const visitor = visitorOf(socket);
        if (!visitor) return msg;
        withoutUser([msg]);
        const { user } = visitor;
        if (user) msg._client = { ...msg._client, user };
        return msg;
      },
      onIsValidConnection: (socket, msg) => {
        const user = msg?._client?.user;
        if (!user) return true;
        const visitor = visitorOf(socket);
        return visitor ? visitor.user?.userId === user.userId && user.userId !== undefined : isAnotherThere();
      },
      // What is meant for one person is not kept for the others.
      onCanSaveInStore: (msg) => !msg?._client?.user,
    },
  });
};
