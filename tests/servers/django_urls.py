"""Where django_server.py has its pages: the metadata of an issuer with a path is beside that path (RFC 8414 3.1)."""
from django.urls import include, path
from oauth2_provider import urls as provider

urlpatterns = [
    path('', include((provider.metadata_urlpatterns, 'root'))),
    path('o/', include((provider.base_urlpatterns, 'oauth2_provider'))),
]
