"""django-oauth-toolkit as a provider: device, password and client credentials grants, refresh tokens that are replaced
at each use and end the grant if one is used again, a grace period for that, revocation.

Usage: django_server.py '{"grace_period": 0}'.
"""
import io

import django
from django.conf import settings as django_settings

from harness import Provider, Response, serve

DEFAULTS = {
    'access_token_ttl': 60,
    'interval': 1,
    # For how many seconds a refresh token that was used is good once more.
    'grace_period': 0,
    # Users by name, with their passwords.
    'users': {'ann': 'correct horse battery', 'ben': 'staple'},
}

SECRETS = {
    'device-post': 'a-secret-of-django',
    # Reserved characters, which Basic authentication must form-encode (RFC 6749 2.3.1).
    'machine': 'odd+secret/9w:%41',
    'legacy': 'another-secret-of-django',
}


def configure(origin, settings):
    django_settings.configure(
        ALLOWED_HOSTS=['127.0.0.1'],
        DATABASES={'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': ':memory:'}},
        DEFAULT_AUTO_FIELD='django.db.models.BigAutoField',
        INSTALLED_APPS=[
            'django.contrib.auth', 'django.contrib.contenttypes', 'django.contrib.sessions', 'oauth2_provider',
        ],
        LOGGING_CONFIG=None,
        MIDDLEWARE=[
            'django.contrib.sessions.middleware.SessionMiddleware',
            'django.middleware.csrf.CsrfViewMiddleware',
            'django.contrib.auth.middleware.AuthenticationMiddleware',
        ],
        # Tables are made from the models, which is much faster than by their history.
        MIGRATION_MODULES={'auth': None, 'contenttypes': None, 'sessions': None, 'oauth2_provider': None},
        OAUTH2_PROVIDER={
            'ACCESS_TOKEN_EXPIRE_SECONDS': settings['access_token_ttl'],
            'DEVICE_FLOW_INTERVAL': settings['interval'],
            'OAUTH_DEVICE_VERIFICATION_URI': f'{origin}/o/device/',
            'OAUTH_DEVICE_VERIFICATION_URI_COMPLETE': lambda user_code: f'{origin}/o/device/?user_code={user_code}',
            'REFRESH_TOKEN_GRACE_PERIOD_SECONDS': settings['grace_period'],
            'REFRESH_TOKEN_REUSE_PROTECTION': True,
            'ROTATE_REFRESH_TOKEN': True,
            'SCOPES': {'read': 'Read', 'write': 'Write'},
        },
        PASSWORD_HASHERS=['django.contrib.auth.hashers.MD5PasswordHasher'],
        ROOT_URLCONF='django_urls',
        SECRET_KEY='of no importance',
        TEMPLATES=[{
            'BACKEND': 'django.template.backends.django.DjangoTemplates', 'APP_DIRS': True,
            'OPTIONS': {'context_processors': ['django.template.context_processors.request']},
        }],
        USE_TZ=True,
    )
    django.setup()


class DjangoProvider(Provider):
    endpoints = {
        'token': '/o/token/',
        'device_authorization': '/o/device-authorization/',
        'revocation': '/o/revoke_token/',
        'discovery': '/.well-known/oauth-authorization-server/o',
    }

    def __init__(self, origin, settings):
        configure(origin, settings)
        from django.core.handlers.wsgi import WSGIHandler
        from django.core.management import call_command

        self.issuer = f'{origin}/o'
        self.port = origin.rpartition(':')[2]
        self.users = settings['users']
        self.files = {f'{client}.secret': secret for client, secret in SECRETS.items()}
        self.files |= {f'{user}.password': password for user, password in self.users.items()}
        self.client_secrets = list(self.files.values())
        call_command('migrate', run_syncdb=True, verbosity=0)
        self.register()
        self.handler = WSGIHandler()

    def register(self):
        from django.contrib.auth import get_user_model
        from oauth2_provider.models import Application

        for name, password in self.users.items():
            get_user_model().objects.create_user(name, password=password)
        device, password = Application.GRANT_DEVICE_CODE, Application.GRANT_PASSWORD
        for client_id, client_type, grant in (
            ('device-public', Application.CLIENT_PUBLIC, device),
            ('device-post', Application.CLIENT_CONFIDENTIAL, device),
            ('legacy', Application.CLIENT_CONFIDENTIAL, password),
            ('machine', Application.CLIENT_CONFIDENTIAL, Application.GRANT_CLIENT_CREDENTIALS),
        ):
            Application.objects.create(
                name=client_id, client_id=client_id, client_secret=SECRETS.get(client_id, ''), client_type=client_type,
                authorization_grant_type=grant, hash_client_secret=False,
            )

    def respond(self, request):
        environ = {
            'REQUEST_METHOD': request.method, 'PATH_INFO': request.path, 'QUERY_STRING': request.query_string,
            'SCRIPT_NAME': '', 'SERVER_NAME': '127.0.0.1', 'SERVER_PORT': self.port, 'SERVER_PROTOCOL': 'HTTP/1.1',
            'CONTENT_TYPE': request.headers.get('content-type', ''), 'CONTENT_LENGTH': str(len(request.body)),
            'wsgi.url_scheme': 'http', 'wsgi.input': io.BytesIO(request.body), 'wsgi.errors': io.StringIO(),
            'wsgi.version': (1, 0), 'wsgi.multithread': False, 'wsgi.multiprocess': False, 'wsgi.run_once': False,
        }
        environ |= {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in request.headers.items()}
        answer = {}

        def start_response(status, headers, _=None):
            answer.update(status=int(status.split()[0]), headers=dict(headers))

        body = self.handler(environ, start_response)
        content = b''.join(body)
        body.close()
        return Response(answer['status'], answer['headers'], content)

    def approve(self, user_code, login):
        self.decide(user_code, login, 'accept')

    def deny(self, user_code):
        self.decide(user_code, 'ann', 'deny')

    def decide(self, user_code, login, action):
        """A signed-in user at the provider's own pages."""
        from django.test import Client

        browser = Client(SERVER_NAME='127.0.0.1', SERVER_PORT=self.port)
        if not browser.login(username=login, password=self.users[login]):
            raise ValueError(f'no such user: {login}')
        confirm = browser.post('/o/device/', {'user_code': user_code})
        if confirm.status_code != 302:
            raise ValueError(f'the code was not taken: {confirm.content.decode()}')
        page = browser.get(confirm.headers['Location'])
        if page.status_code != 200:
            raise ValueError(f'no page to confirm on: {page.status_code}')
        done = browser.post(confirm.headers['Location'], {'action': action})
        if done.status_code != 302:
            raise ValueError(f'not confirmed: {done.content.decode()}')

    def end(self, login):
        from oauth2_provider.models import RefreshToken

        for token in RefreshToken.objects.filter(user__username=login, revoked__isnull=True):
            token.revoke()

    def owner(self, access_token):
        from oauth2_provider.models import AccessToken

        token = AccessToken.objects.filter(token=access_token or '').first()
        if token is None or token.is_expired():
            return None
        return token.user.username if token.user else token.application.client_id


if __name__ == '__main__':
    serve(DjangoProvider, DEFAULTS)
