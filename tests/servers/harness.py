"""What a test needs around a provider in Python: the face that oidc.mjs has.

/test/approve, /test/deny   a user at the provider's own pages
/test/end                   an administrator who ends all that somebody has granted
/test/fault                 faults that no real server makes on demand
/test/log, /test/secrets    what was asked and answered, and every secret that was given out
/api/me                     an address that only a good access token opens

A server listens on loopback and prints one line of JSON when it is ready. Its provider runs on one thread; the waits of
its faults are on others.
"""
import base64
import hashlib
import json
import socket
import struct
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote_plus, urlsplit


@dataclass
class Request:
    method: str
    path: str
    query_string: str
    headers: dict  # by lower-case name
    body: bytes
    host: str

    @property
    def query(self):
        return dict(parse_qsl(self.query_string))

    @property
    def form(self):
        return dict(parse_qsl(self.body.decode()))

    @property
    def client_id(self):
        """In the body, or in the Authorization header (RFC 6749 2.3.1)."""
        scheme, _, value = self.headers.get('authorization', '').partition(' ')
        if scheme.lower() == 'basic':
            return unquote_plus(base64.b64decode(value).decode().partition(':')[0])
        return self.form.get('client_id')


@dataclass
class Response:
    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        try:
            value = json.loads(self.body)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


def json_response(status, value):
    return Response(status, {'Content-Type': 'application/json'}, json.dumps(value).encode())


class Provider:
    """One provider. `respond` gets every request that is no test's own; all is called on one thread."""

    # Names of endpoints, as a fault calls them, and where they are.
    endpoints: dict
    # Files that a client needs, such as the one with its secret, by name.
    files: dict = {}
    # Secrets of clients and passwords of users.
    client_secrets: list = []

    def respond(self, request):
        raise NotImplementedError

    def approve(self, user_code, login):
        raise NotImplementedError

    def deny(self, user_code):
        raise NotImplementedError

    def end(self, login):
        """Ends all that `login` has granted."""
        raise NotImplementedError

    def owner(self, access_token):
        """Whose a good access token is; None if it is not good."""
        raise NotImplementedError


def fingerprint(secret):
    """The first 12 hexadecimal digits of the SHA-256."""
    return hashlib.sha256(secret.encode()).hexdigest()[:12] if secret else None


class Journal:
    """What the token endpoint was asked and answered; see journal.mjs."""

    KINDS = ('device_code', 'access_token', 'refresh_token', 'id_token')

    def __init__(self, client_secrets):
        self.entries = []
        self.secrets = {'client': client_secrets, **{kind: [] for kind in self.KINDS}}

    def begin(self, **known):
        entry = {
            'received_at': time.time(), 'decided_at': None, 'answered_at': None, 'fault': None,
            'grant_type': None, 'client_id': None, 'user': None, 'status': None, 'error': None, 'detail': None,
            'rotated': False, 'presented': None, 'access_token': None, 'refresh_token': None, **known,
        }
        self.entries.append(entry)
        return entry

    def decide(self, entry, request, response, user):
        asked, answer = request.form, response.json
        presented = asked.get('refresh_token') or asked.get('device_code')
        entry.update({
            'decided_at': time.time(),
            'grant_type': asked.get('grant_type', '').split(':')[-1] or None,
            'client_id': request.client_id,
            'user': user,
            'status': response.status,
            'error': answer.get('error'),
            'detail': answer.get('error_description'),
            'rotated': asked.get('grant_type') == 'refresh_token' and bool(answer.get('refresh_token')),
            'presented': fingerprint(presented),
            'access_token': fingerprint(answer.get('access_token')),
            'refresh_token': fingerprint(answer.get('refresh_token')),
        })
        self.keep(answer)

    def keep(self, answer):
        for kind in self.KINDS:
            if answer.get(kind):
                self.secrets[kind].append(answer[kind])


class Faults:
    """Faults in front of the provider; see faults.mjs."""

    def __init__(self, endpoints):
        self.endpoints = endpoints
        self.waiting = []

    def add(self, fault):
        if fault['endpoint'] not in self.endpoints:
            raise ValueError(f"unknown endpoint {fault['endpoint']}")
        self.waiting = [other for other in self.waiting if other['endpoint'] != fault['endpoint']]
        self.waiting.append({'count': 1, **fault})

    def next(self, path):
        for fault in self.waiting:
            if self.endpoints[fault['endpoint']] == path and fault['count'] > 0:
                fault['count'] -= 1
                return fault
        return None


@dataclass
class Server:
    provider: Provider
    journal: Journal
    faults: Faults
    # The provider's one thread.
    worker: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(max_workers=1))

    def on_worker(self, work, *arguments):
        return self.worker.submit(work, *arguments).result()

    def provide(self, request):
        """The provider's own answer, written down if it is one of its token endpoint."""
        return self.on_worker(self._provide, request)

    def _provide(self, request):
        is_token = request.path == self.provider.endpoints['token']
        entry = self.journal.begin() if is_token else None
        response = self.provider.respond(request)
        if entry is not None:
            user = self.provider.owner(response.json.get('access_token'))
            self.journal.decide(entry, request, response, user)
            entry['answered_at'] = time.time()
        else:
            self.journal.keep(response.json)
        return response

    def me(self, request):
        scheme, _, token = request.headers.get('authorization', '').partition(' ')
        owner = self.on_worker(self.provider.owner, token) if scheme.lower() == 'bearer' else None
        return json_response(200, {'sub': owner}) if owner else json_response(401, {'error': 'invalid_token'})

    def control(self, request):
        query = request.query
        match f'{request.method} {request.path}':
            case 'POST /test/approve':
                user_code = query.get('user_code') or dict(parse_qsl(urlsplit(query['uri']).query))['user_code']
                login = query.get('login', 'somebody')
                self.on_worker(self.provider.approve, user_code, login)
                return json_response(200, {'login': login})
            case 'POST /test/deny':
                self.on_worker(self.provider.deny, query['user_code'])
                return json_response(200, {})
            case 'POST /test/end':
                self.on_worker(self.provider.end, query['login'])
                return json_response(200, {})
            case 'POST /test/fault':
                self.faults.add(json.loads(request.body))
                return json_response(200, {})
            case 'GET /test/log':
                return json_response(200, self.journal.entries)
            case 'GET /test/secrets':
                return json_response(200, self.journal.secrets)
        return json_response(404, {'error': 'not_found'})


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    timeout = 60

    def handle_request(self):
        path, _, query = self.path.partition('?')
        body = self.rfile.read(int(self.headers.get('content-length') or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, path, query, headers, body, headers.get('host', ''))
        server = self.server.around
        if path == '/api/me':
            return self.send(server.me(request))
        if path.startswith('/test/'):
            return self.send(server.control(request))
        fault = server.faults.next(path)
        if fault is None:
            return self.send(server.provide(request))
        if path == server.provider.endpoints['token']:
            server.journal.begin(fault=fault['mode'], answered_at=time.time())
        return self.inflict(fault, request, server)

    do_GET = do_POST = handle_request

    def inflict(self, fault, request, server):
        match fault['mode']:
            case 'status':
                self.send(Response(fault.get('status', 503), {'Content-Type': 'text/html'}, b'<h1>Not now</h1>'))
            case 'json':
                self.send(json_response(fault.get('status', 400), fault['body']))
            case 'reset':
                self.reset()
            case 'hang':
                threading.Event().wait()
            case 'lost':
                # The provider does its part, and the answer never arrives.
                server.provide(request)
                self.reset()
            case mode:
                raise ValueError(f'unknown mode {mode}')

    def send(self, response):
        self.send_response(response.status)
        for name, value in response.headers.items():
            if name.lower() != 'content-length':
                self.send_header(name, value)
        self.send_header('Content-Length', str(len(response.body)))
        self.end_headers()
        self.wfile.write(response.body)

    def reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self.connection.close()
        self.close_connection = True
        # Nothing is left to flush into.
        self.wfile = self.rfile = open('/dev/null', 'r+b', buffering=0)

    def log_message(self, *_):
        pass


def serve(build, defaults):
    """Runs the provider that `build(origin, settings)` makes, until the process is ended."""
    settings = {'port': 0, **defaults, **json.loads(sys.argv[1] if len(sys.argv) > 1 else '{}')}
    http = ThreadingHTTPServer(('127.0.0.1', settings['port']), Handler)
    http.daemon_threads = True
    port = http.server_address[1]
    worker = ThreadPoolExecutor(max_workers=1)
    provider = worker.submit(build, f'http://127.0.0.1:{port}', settings).result()
    http.around = Server(provider, Journal(provider.client_secrets), Faults(provider.endpoints), worker)
    print(json.dumps({'port': port, 'issuer': provider.issuer, 'files': provider.files}), flush=True)
    http.serve_forever()
