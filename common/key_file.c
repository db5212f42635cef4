#include "common/key_file.h"

#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

enum { VALUE_SIZE = 80, FILE_TEXT_SIZE = 512 };

static const char *const role_names[KEY_N_ROLES] = {"none", "worker", "operator", "viewer"};

const char *key_role_name(enum key_role role)
{
    return (unsigned)role < KEY_N_ROLES ? role_names[role] : "none";
}

enum key_role key_role_parse(const char *name)
{
    for (enum key_role role = KEY_WORKER; role < KEY_N_ROLES; role++)
        if (strcmp(name, role_names[role]) == 0) return role;
    return KEY_NO_ROLE;
}

/* --- reading ------------------------------------------------------------------------------- */

static bool is_name(const char *text)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    const size_t n = strlen(text);
    return n > 0 && n < KEY_NAME_SIZE && strspn(text, allowed) == n && text[0] != '.' &&
           text[0] != '-';
}

static bool is_key_text(const char *text)
{
    unsigned char bytes[PUBLIC_KEY_BYTES];
    return strlen(text) == KEY_TEXT_SIZE - 1 && zmq_z85_decode(bytes, text) != NULL;
}

static status_t take_word(struct key *key, const char *word, const char *value, struct error *err)
{
    char *member = strcmp(word, "name") == 0     ? key->name
                   : strcmp(word, "public") == 0 ? key->public_text
                   : strcmp(word, "secret") == 0 ? key->secret_text
                                                 : NULL;
    const bool is_role = strcmp(word, "role") == 0;
    if (!member && !is_role)
        return error_set(err, ST_BAD_INPUT, "not one of name, role, public, secret");
    if (is_role ? key->role != KEY_NO_ROLE : member[0])
        return error_set(err, ST_BAD_INPUT, "\"%s\" for the second time", word);
    if (is_role) {
        key->role = key_role_parse(value);
        return key->role != KEY_NO_ROLE
                   ? ST_OK
                   : error_set(err, ST_BAD_INPUT, "role: one of worker, operator, viewer");
    }
    if (member == key->name ? !is_name(value) : !is_key_text(value))
        return error_set(err, ST_BAD_INPUT, "%s",
                         member == key->name
                             ? "name: at most 64 letters, digits and . _ - (first none of these)"
                             : "a key is 40 characters of Z85");
    memcpy(member, value, strlen(value) + 1);
    return ST_OK;
}

/* `line` [n] without its end. */
static status_t take_line(struct key *key, const char *line, size_t n, struct error *err)
{
    char text[VALUE_SIZE];
    while (n && (line[n - 1] == '\r' || line[n - 1] == ' ' || line[n - 1] == '\t')) n--;
    if (n == 0 || line[0] == '#') return ST_OK;
    if (n >= sizeof text || memchr(line, '\0', n))
        return error_set(err, ST_BAD_INPUT, "no line of a key file is like that");
    memcpy(text, line, n);
    text[n] = '\0';
    char *space = strchr(text, ' ');
    if (!space) return error_set(err, ST_BAD_INPUT, "a word, a space and a value are expected");
    *space = '\0';
    return take_word(key, text, space + 1, err);
}

status_t key_parse(const char *text, size_t n_bytes, struct key *out, struct error *err)
{
    struct key key = {.role = KEY_NO_ROLE};
    size_t n_lines = 0;
    while (n_bytes) {
        const char *end = memchr(text, '\n', n_bytes);
        const size_t n = end ? (size_t)(end - text) : n_bytes;
        n_lines++;
        if (take_line(&key, text, n, err) != ST_OK) return error_wrap(err, "line %zu", n_lines);
        text += n + (end != NULL);
        n_bytes -= n + (end != NULL);
    }
    if (!key.name[0] || !key.public_text[0])
        return error_set(err, ST_BAD_INPUT, "no key file: the line \"%s\" is missing",
                         key.name[0] ? "public" : "name");
    *out = key;
    return ST_OK;
}

static status_t load(const char *path, struct key *out, struct error *err)
{
    char *text = NULL;
    size_t n_bytes = 0;
    status_t status = file_read(path, KEY_FILE_MAX_BYTES, &text, &n_bytes, err);
    if (status != ST_OK) return status;
    status = key_parse(text, n_bytes, out, err);
    free(text);
    return status == ST_OK ? ST_OK : error_wrap(err, "%s", path);
}

status_t key_load_public(const char *path, struct key *out, struct error *err)
{
    struct key key;
    const status_t status = load(path, &key, err);
    if (status != ST_OK) return status;
    if (key.secret_text[0])
        return error_set(err, ST_BAD_INPUT, "%s holds a secret key: the .pub file belongs here",
                         path);
    *out = key;
    return ST_OK;
}

status_t key_load_secret(const char *path, struct key *out, struct error *err)
{
    struct stat info;
    struct key key;
    char public_text[KEY_TEXT_SIZE];
    const status_t status = load(path, &key, err);
    if (status != ST_OK) return status;
    if (!key.secret_text[0])
        return error_set(err, ST_BAD_INPUT, "%s holds no secret key: the .key file belongs here",
                         path);
    if (stat(path, &info) != 0) return error_set(err, ST_IO, "stat %s: %s", path, strerror(errno));
    if (info.st_mode & (S_IRWXG | S_IRWXO))
        return error_set(err, ST_BAD_INPUT,
                         "%s: others may read this secret key (mode %04o): chmod 600 it", path,
                         (unsigned)info.st_mode & 07777u);
    if (zmq_curve_public(public_text, key.secret_text) != 0)
        return error_set(err, ST_UNSUPPORTED, "%s: this libzmq has no CURVE", path);
    if (strcmp(public_text, key.public_text) != 0)
        return error_set(err, ST_BAD_INPUT,
                         "%s: its public and its secret key do not belong together", path);
    *out = key;
    return ST_OK;
}

/* --- writing ------------------------------------------------------------------------------- */

status_t key_generate(const char *name, enum key_role role, struct key *out, struct error *err)
{
    struct key key = {.role = role};
    if (!is_name(name))
        return error_set(
            err, ST_BAD_INPUT,
            "key name \"%s\": at most 64 letters, digits and . _ - (first none of these)", name);
    memcpy(key.name, name, strlen(name) + 1);
    if (zmq_curve_keypair(key.public_text, key.secret_text) != 0)
        return error_set(err, ST_UNSUPPORTED, "new key: %s", zmq_strerror(errno));
    *out = key;
    return ST_OK;
}

static status_t write_new(const char *path, mode_t mode, const char *text, struct error *err)
{
    const size_t n = strlen(text);
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return error_set(err, errno == EEXIST ? ST_CONFLICT : ST_IO, "create %s: %s", path,
                         strerror(errno));
    bool is_good = write(fd, text, n) == (ssize_t)n && fchmod(fd, mode) == 0 && fsync(fd) == 0;
    const int problem = errno;
    if (close(fd) != 0) is_good = false;
    if (is_good) return ST_OK;
    (void)unlink(path);
    return error_set(err, ST_IO, "write %s: %s", path, strerror(problem));
}

static char *path_of(const char *directory, const char *name, const char *ending)
{
    char file[KEY_NAME_SIZE + 8];
    (void)snprintf(file, sizeof file, "%s.%s", name, ending);
    return file_join(directory, file);
}

static status_t write_public(const struct key *key, const char *path, struct error *err)
{
    char text[FILE_TEXT_SIZE];
    (void)snprintf(text, sizeof text,
                   "# The public key of \"%s\". Where it is in an allow-list, the role says what "
                   "it may.\nname %s\n%s%s%spublic %s\n",
                   key->name, key->name, key->role ? "role " : "",
                   key->role ? key_role_name(key->role) : "", key->role ? "\n" : "",
                   key->public_text);
    return write_new(path, 0644, text, err);
}

static status_t write_secret(const struct key *key, const char *path, struct error *err)
{
    char text[FILE_TEXT_SIZE];
    (void)snprintf(text, sizeof text,
                   "# The secret key of \"%s\": whoever can read this file is %s.\n"
                   "name %s\npublic %s\nsecret %s\n",
                   key->name, key->name, key->name, key->public_text, key->secret_text);
    return write_new(path, 0600, text, err);
}

status_t key_write(const struct key *key, const char *directory, struct error *err)
{
    char *public_path = path_of(directory, key->name, "pub");
    char *secret_path = path_of(directory, key->name, "key");
    status_t status = public_path && secret_path ? ST_OK : error_set(err, ST_NO_MEMORY, "key path");
    if (status == ST_OK) status = write_secret(key, secret_path, err);
    if (status == ST_OK) {
        status = write_public(key, public_path, err);
        if (status != ST_OK) (void)unlink(secret_path);
    }
    free(public_path);
    free(secret_path);
    return status;
}
