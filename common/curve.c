#include "common/curve.h"

#include "common/endpoint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

static const char *named_file(const char *option, const char *variable)
{
    const char *value = option ? option : getenv(variable);
    return value && *value ? value : NULL;
}

status_t curve_client_load(struct curve_client *out, bool *is_curve,
                           const struct curve_files *files, const char *endpoint, struct error *err)
{
    struct key server;
    *is_curve = false;
    if (endpoint_is_inside(endpoint)) return ST_OK;
    const char *own_path = named_file(files->key, "INTERP_KEY");
    const char *server_path = named_file(files->server_key, "INTERP_SERVER_KEY");
    if (!own_path && !server_path) return ST_OK;
    if (!own_path || !server_path)
        return error_set(err, ST_BAD_INPUT, "%s (or %s) is missing: both keys are needed",
                         own_path ? "--server-key FILE.pub" : "--key FILE.key",
                         own_path ? "INTERP_SERVER_KEY" : "INTERP_KEY");
    status_t status = key_load_secret(own_path, &out->own, err);
    if (status == ST_OK) status = key_load_public(server_path, &server, err);
    if (status != ST_OK) return status;
    memcpy(out->server_text, server.public_text, sizeof out->server_text);
    out->server_path = server_path;
    *is_curve = true;
    return ST_OK;
}

static bool set_key(void *socket, int option, const char *text)
{
    return zmq_setsockopt(socket, option, text, KEY_TEXT_SIZE) == 0;
}

status_t curve_connects_as(void *socket, const struct curve_client *client, struct error *err)
{
    if (set_key(socket, ZMQ_CURVE_SERVERKEY, client->server_text) &&
        set_key(socket, ZMQ_CURVE_PUBLICKEY, client->own.public_text) &&
        set_key(socket, ZMQ_CURVE_SECRETKEY, client->own.secret_text))
        return ST_OK;
    return error_set(err, ST_UNSUPPORTED, "CURVE: %s", zmq_strerror(errno));
}

status_t curve_binds_as(void *socket, const struct key *own, struct error *err)
{
    const int is_server = 1;
    if (zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &is_server, sizeof is_server) == 0 &&
        set_key(socket, ZMQ_CURVE_SECRETKEY, own->secret_text) &&
        zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, CURVE_ZAP_DOMAIN, strlen(CURVE_ZAP_DOMAIN)) == 0)
        return ST_OK;
    return error_set(err, ST_UNSUPPORTED, "CURVE: %s", zmq_strerror(errno));
}
