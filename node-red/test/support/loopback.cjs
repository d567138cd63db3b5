// Has the servers of a program that would listen on every interface listen on loopback alone.
'use strict';
const net = require('node:net');

const { listen } = net.Server.prototype;
net.Server.prototype.listen = function onLoopback(port, ...more) {
  if (port !== null && typeof port === 'object') return listen.call(this, { ...port, host: '127.0.0.1' }, ...more);
  return listen.call(this, port, '127.0.0.1', ...more.filter((one) => typeof one === 'function'));
};
