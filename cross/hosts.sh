# Where releases are to be had. Names under .invalid are placeholders until the project has a host; RELEASING.md tells what to
# replace. The environment has its way, so that tests can serve a repository of their own.
# shellcheck shell=bash disable=SC2034

# The apt repository, with the installer and its key. Anything that serves files will do.
repository_url=${OAUTH2MQTT_REPOSITORY_URL:-https://packages.oauth2mqtt.invalid}
# The image, without a tag.
image_name=${OAUTH2MQTT_IMAGE_NAME:-registry.oauth2mqtt.invalid/oauth2mqtt}
