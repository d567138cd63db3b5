"""Authlib as a provider: the device grant with a real slow_down, rotated refresh tokens, metadata of RFC 8414 alone, and
service accounts as Google has them (RFC 7523), with their scopes in the assertion.

Usage: authlib_server.py '{"interval": 5}'.
"""
import os
import time
from pathlib import Path

# It is on loopback.
os.environ['AUTHLIB_INSECURE_TRANSPORT'] = '1'

from authlib.oauth2.rfc6749 import (  # noqa: E402
    AuthorizationServer, ClientMixin, OAuth2Request, TokenMixin,
)
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant, RefreshTokenGrant  # noqa: E402
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload  # noqa: E402
from authlib.oauth2.rfc6750 import BearerTokenGenerator  # noqa: E402
from authlib.oauth2.rfc7009 import RevocationEndpoint  # noqa: E402
from authlib.oauth2.rfc7523 import JWTBearerGrant  # noqa: E402
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata  # noqa: E402
from authlib.oauth2.rfc8628 import (  # noqa: E402
    DeviceAuthorizationEndpoint, DeviceCodeGrant, DeviceCredentialDict,
)
from authlib.common.security import generate_token  # noqa: E402
from joserfc.jwk import import_key  # noqa: E402

from harness import Provider, Response, json_response, serve  # noqa: E402

import json  # noqa: E402

DEFAULTS = {
    'access_token_ttl': 60,
    'device_code_ttl': 600,
    # The least time between two polls; None leaves it out of the answer, and five seconds are then the rule.
    'interval': 5,
    # How many polls the server turns away because it is busy. From then on it holds the client to the longer interval.
    'busy_polls': 0,
    # The public keys of service accounts (PEM), by their address.
    'service_accounts': {},
}


MACHINE_KEY = Path(__file__).parent.parent / 'keys' / 'p256.pem'


class Client(ClientMixin):
    def __init__(self, client_id, secret=None, auth_method='none'):
        self.client_id, self.secret, self.auth_method = client_id, secret, auth_method

    def get_client_id(self):
        return self.client_id

    def get_default_redirect_uri(self):
        return None

    def get_allowed_scope(self, scope):
        return scope or ''

    def check_redirect_uri(self, redirect_uri):
        return False

    def check_client_secret(self, client_secret):
        return self.secret == client_secret

    def check_endpoint_auth_method(self, method, endpoint):
        return self.auth_method == method

    def check_response_type(self, response_type):
        return False

    def check_grant_type(self, grant_type):
        return True


class Token(TokenMixin):
    def __init__(self, answer, client_id, user):
        self.answer, self.client_id, self.user = answer, client_id, user
        self.expires_at = time.time() + answer['expires_in']
        self.access_revoked = self.refresh_revoked = False

    def check_client(self, client):
        return self.client_id == client.client_id

    def get_scope(self):
        return self.answer.get('scope', '')

    def get_expires_in(self):
        return self.answer['expires_in']

    def is_revoked(self):
        return self.access_revoked

    def is_expired(self):
        return time.time() >= self.expires_at


class AuthlibProvider(Provider, AuthorizationServer):
    def __init__(self, origin, settings):
        AuthorizationServer.__init__(self, scopes_supported=['profile', 'offline_access'])
        self.issuer = origin
        self.settings = settings
        self.clients = {
            client.client_id: client
            for client in (
                Client('device-public'),
                Client('device-post', 'a-secret-of-authlib', 'client_secret_post'),
                Client('machine'),
            )
        }
        self.files = {'device-post.secret': 'a-secret-of-authlib'}
        self.client_secrets = list(self.files.values())
        self.files['machine.pem'] = MACHINE_KEY.read_text()
        self.devices, self.decisions, self.polled, self.tokens = {}, {}, {}, []
        self.endpoints = {
            'token': '/token',
            'device_authorization': '/device_authorization',
            'revocation': '/revoke',
            'discovery': '/.well-known/oauth-authorization-server',
        }
        generator = BearerTokenGenerator(
            lambda **_: generate_token(40), lambda **_: generate_token(48),
            lambda client, grant_type: settings['access_token_ttl'],
        )
        self.register_token_generator('default', generator)
        self.clients |= {address: Client(address) for address in settings['service_accounts']}
        for grant in (Device, Refresh, ClientCredentialsGrant, Machine):
            self.register_grant(grant)
        self.register_endpoint(DeviceAuthorization)
        self.register_endpoint(Revocation)

    def respond(self, request):
        match request.path:
            case '/token':
                return self.create_token_response(request)
            case '/device_authorization':
                return self.create_endpoint_response('device_authorization', request)
            case '/revoke':
                return self.create_endpoint_response('revocation', request)
            case '/.well-known/oauth-authorization-server':
                return json_response(200, self.metadata())
        return json_response(404, {'error': 'not_found'})

    def metadata(self):
        methods = ['client_secret_post', 'client_secret_basic', 'none']
        metadata = AuthorizationServerMetadata({
            'issuer': self.issuer,
            'token_endpoint': self.issuer + '/token',
            'device_authorization_endpoint': self.issuer + '/device_authorization',
            'revocation_endpoint': self.issuer + '/revoke',
            'grant_types_supported': [Device.GRANT_TYPE, 'refresh_token', 'client_credentials'],
            'response_types_supported': ['none'],
            'token_endpoint_auth_methods_supported': methods,
            'scopes_supported': self.scopes_supported,
        })
        metadata.validate_token_endpoint_auth_methods_supported()
        return dict(metadata)

    def query_client(self, client_id):
        return self.clients.get(client_id)

    def save_token(self, token, request):
        self.tokens.append(Token(token, request.client.client_id, request.user or request.client.client_id))

    def create_oauth2_request(self, request):
        if isinstance(request, OAuth2Request):
            return request
        headers = {name.title(): value for name, value in request.headers.items()}
        created = FormRequest(request.method, self.issuer + request.path, headers=headers)
        created.sent = request.form
        created.payload = BasicOAuth2Payload(request.form)
        return created

    def handle_response(self, status, body, headers):
        return Response(status, dict(headers), json.dumps(body).encode())

    def send_signal(self, *_, **__):
        pass

    def approve(self, user_code, login):
        self.decide(user_code, (login, True))

    def deny(self, user_code):
        self.decide(user_code, (None, False))

    def decide(self, user_code, decision):
        if all(device['user_code'] != user_code for device in self.devices.values()):
            raise ValueError(f'no such code: {user_code}')
        self.decisions[user_code] = decision

    def end(self, login):
        for token in self.tokens:
            if token.user == login:
                token.access_revoked = token.refresh_revoked = True

    def owner(self, access_token):
        for token in self.tokens:
            if token.answer['access_token'] == access_token and not token.is_revoked() and not token.is_expired():
                return token.user
        return None


class FormRequest(OAuth2Request):
    sent: dict

    @property
    def form(self):
        return self.sent

    @property
    def args(self):
        return {}


class Machine(JWTBearerGrant):
    """What signs for itself: Google's service accounts, which the settings name, and the client `machine`."""

    def get_audiences(self):
        # Google's is the token endpoint, as the account's file names it.
        return [self.server.issuer, self.server.issuer + '/token']

    def resolve_issuer_client(self, issuer):
        return self.server.query_client(issuer)

    def resolve_client_public_key(self, client):
        account = self.server.settings['service_accounts'].get(client.client_id)
        return import_key(account, 'RSA') if account else MACHINE_KEY.read_text()

    def authenticate_user(self, subject):
        return subject

    def has_granted_permission(self, client, user):
        return True

    def validate_requested_scope(self):
        """Which scopes there are is the matter of the APIs."""

    def process_assertion_claims(self, assertion):
        claims = super().process_assertion_claims(assertion)
        if 'scope' in claims:
            self.request.payload.data['scope'] = claims['scope']
        return claims


class DeviceAuthorization(DeviceAuthorizationEndpoint):
    def create_endpoint_response(self, request):
        settings = self.server.settings
        self.EXPIRES_IN, self.INTERVAL = settings['device_code_ttl'], settings['interval']
        status, answer, headers = super().create_endpoint_response(request)
        return status, {name: value for name, value in answer.items() if value is not None}, headers

    def get_verification_uri(self):
        return self.server.issuer + '/device'

    def save_device_credential(self, client_id, scope, data):
        expires_at = time.time() + data['expires_in']
        credential = DeviceCredentialDict(data, client_id=client_id, scope=scope, expires_at=expires_at)
        self.server.devices[data['device_code']] = credential


class Device(DeviceCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ['none', 'client_secret_basic', 'client_secret_post']

    def create_token_response(self):
        self.server.devices.pop(self.request.credential['device_code'])
        return super().create_token_response()

    def query_device_credential(self, device_code):
        return self.server.devices.get(device_code)

    def query_user_grant(self, user_code):
        return self.server.decisions.get(user_code)

    def should_slow_down(self, credential):
        """A poll that comes too soon makes the interval five seconds longer, for good (RFC 8628 3.5)."""
        now = time.time()
        fresh = (None, credential.get('interval') or 5, self.server.settings['busy_polls'])
        last, interval, busy = self.server.polled.get(credential['device_code'], fresh)
        turned_away = busy > 0 or (last is not None and now - last < interval)
        self.server.polled[credential['device_code']] = (now, interval + 5 * turned_away, max(busy - 1, 0))
        return turned_away


class Refresh(RefreshTokenGrant):
    INCLUDE_NEW_REFRESH_TOKEN = True
    TOKEN_ENDPOINT_AUTH_METHODS = ['none', 'client_secret_basic', 'client_secret_post']

    def authenticate_refresh_token(self, refresh_token):
        for token in self.server.tokens:
            if token.answer.get('refresh_token') == refresh_token and not token.refresh_revoked:
                return token
        return None

    def authenticate_user(self, refresh_token):
        return refresh_token.user

    def revoke_old_credential(self, refresh_token):
        refresh_token.refresh_revoked = True


class Revocation(RevocationEndpoint):
    CLIENT_AUTH_METHODS = ['none', 'client_secret_basic', 'client_secret_post']

    def query_token(self, token_string, token_type_hint):
        for token in self.server.tokens:
            if token_string in (token.answer['access_token'], token.answer.get('refresh_token')):
                return token
        return None

    def revoke_token(self, token, request):
        token.access_revoked = token.refresh_revoked = True


if __name__ == '__main__':
    serve(AuthlibProvider, DEFAULTS)
