# Where releases are published. Names under .invalid are placeholders; RELEASING.md says what to replace. Tests override them
# with environment variables.
# shellcheck shell=bash disable=SC2034

# The apt repository, with the installer and the keys: static files.
repository_url=${OAUTH2MQTT_REPOSITORY_URL:-https://packages.oauth2mqtt.invalid}
# The image, without a tag.
image_name=${OAUTH2MQTT_IMAGE_NAME:-registry.oauth2mqtt.invalid/oauth2mqtt}
