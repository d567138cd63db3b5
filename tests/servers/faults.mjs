// Faults in front of the provider: what networks, proxies and tired servers do, at the moment a test wants it.

const ENDPOINTS = {
  token: '/token',
  device_authorization: '/device/auth',
  revocation: '/token/revocation',
  discovery: '/.well-known/openid-configuration',
  userinfo: '/me',
};

export class Faults {
  #waiting = [];

  /**
   * @param {object} fault
   * @param {string} fault.endpoint one of ENDPOINTS
   * @param {string} fault.mode see `inflict`
   * @param {number} [fault.count] how many requests get it
   * @param {number} [fault.skip] how many requests are answered as usual before
   */
  add(fault) {
    if (!ENDPOINTS[fault.endpoint]) throw new Error(`unknown endpoint ${fault.endpoint}`);
    this.#waiting = this.#waiting.filter((other) => other.endpoint !== fault.endpoint);
    this.#waiting.push({ count: 1, skip: 0, ...fault });
  }

  /** The fault that the next request to this path gets. */
  next(path) {
    const fault = this.#waiting.find(({ endpoint, count }) => ENDPOINTS[endpoint] === path && count > 0);
    if (fault?.skip > 0) {
      fault.skip -= 1;
      return undefined;
    }
    if (fault) fault.count -= 1;
    return fault;
  }

  inflict(fault, request, response, provide) {
    request.resume();
    switch (fault.mode) {
      case 'status':
        response.writeHead(fault.status ?? 503, { 'content-type': 'text/html' });
        return response.end('<html><body><h1>Service Unavailable</h1></body></html>');
      case 'retry_after':
        response.writeHead(fault.status ?? 429, { 'retry-after': String(fault.seconds) });
        return response.end();
      case 'json':
        response.writeHead(fault.status ?? 400, { 'content-type': 'application/json' });
        return response.end(JSON.stringify(fault.body));
      case 'html':
        response.writeHead(200, { 'content-type': 'text/html' });
        return response.end('<html><body>Welcome to the hotel. Please sign in.</body></html>');
      case 'redirect':
        response.writeHead(302, { location: 'http://portal.invalid/login' });
        return response.end();
      case 'empty':
        response.writeHead(200);
        return response.end();
      case 'reset':
        return request.socket.resetAndDestroy();
      case 'hang':
        return undefined;
      case 'lost': {
        // The provider does its part, and the answer never arrives.
        response.write = () => true;
        response.end = () => request.socket.resetAndDestroy();
        return provide();
      }
      default:
        throw new Error(`unknown mode ${fault.mode}`);
    }
  }
}
