"""Makes `expected.json`: the assertions of google-auth and msal, with which those of this program are compared.

Needs the packages google-auth and msal. Signatures are not compared, and the key that makes them is not kept.
"""

import base64
import datetime
import json
import sys

import google.auth
import msal
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.oauth2 import service_account
from msal.oauth2cli.assertion import JwtAssertionCreator

TOKEN_URI = "https://provider.example/token"
# google-auth has this audience whatever the file of the service account says.
GOOGLES_TOKEN_URI = "https://oauth2.googleapis.com/token"
SCOPES = ["https://api.example/read", "https://api.example/write"]


def parts(assertion):
    """The header and the claims; times as the lifetime, and what is different each time as its length."""
    text = assertion.decode() if isinstance(assertion, bytes) else assertion
    header, claims = (
        json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in text.split(".")[:2]
    )
    claims["exp"] -= claims["iat"]
    del claims["iat"]
    if "jti" in claims:
        claims["jti"] = None
    return {"header": header, "claims": claims}


def certificate_of(key):
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gateway")])
    start = datetime.datetime(2026, 1, 1)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(start).not_valid_after(start.replace(year=2036))
    return builder.sign(key, hashes.SHA256())


def main():
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    certificate = certificate_of(key)
    file = {
        "type": "service_account",
        "private_key_id": "k1",
        "private_key": pem,
        "client_email": "meter@plant.example",
        "token_uri": GOOGLES_TOKEN_URI,
    }
    credentials = service_account.Credentials.from_service_account_info(file, scopes=SCOPES)
    microsoft = {}
    for name, algorithm, hash_of, argument in [
        ("x5t", "RS256", hashes.SHA1(), "sha1_thumbprint"),
        ("x5t#S256", "PS256", hashes.SHA256(), "sha256_thumbprint"),
    ]:
        creator = JwtAssertionCreator(pem, algorithm=algorithm, **{argument: certificate.fingerprint(hash_of).hex()})
        assertion = creator.create_normal_assertion(audience=TOKEN_URI, issuer="the-client", subject="the-client")
        microsoft[name] = parts(assertion)
    json.dump(
        {
            "made_with": {"google-auth": google.auth.__version__, "msal": msal.__version__},
            "service_account_file": {name: value for name, value in file.items() if name != "private_key"},
            "certificate": certificate.public_bytes(serialization.Encoding.PEM).decode(),
            "scopes": SCOPES,
            "google": parts(credentials._make_authorization_grant_assertion()),
            "google_with_subject": parts(
                credentials.with_subject("ann@plant.example")._make_authorization_grant_assertion()
            ),
            "microsoft": microsoft,
        },
        sys.stdout,
        indent=2,
    )
    print()


main()
