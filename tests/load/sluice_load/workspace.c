/* Files in a private directory.
 * Refuses to know what reads them. */
#include "sluice_load/workspace.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sluice_load/content.h"

#define CONTENT_PIECE (1u << 20)
#define TEMPLATE_MAX 65536

int workspace_create(struct workspace *workspace)
{
    const char *parent = getenv("TMPDIR");

    if (parent == NULL || parent[0] != '/' || strlen(parent) > sizeof(workspace->directory) - 32)
        parent = "/tmp";
    snprintf(workspace->directory, sizeof(workspace->directory), "%s/sluice-load.XXXXXX", parent);
    return mkdtemp(workspace->directory) != NULL ? 0 : -1;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    return remove(path);
}

void workspace_remove(struct workspace *workspace)
{
    if (workspace->directory[0] != '\0')
        nftw(workspace->directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    workspace->directory[0] = '\0';
}

char *workspace_path(const struct workspace *workspace, const char *name, char *path)
{
    snprintf(path, WORKSPACE_PATH, "%s/%s", workspace->directory, name);
    return path;
}

static int complain(const char *path)
{
    fprintf(stderr, "sluice-load: %s: %s\n", path, strerror(errno));
    return -1;
}

static FILE *create(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FILE *file = fd != -1 ? fdopen(fd, "w") : NULL;

    if (file == NULL) {
        complain(path);
        if (fd != -1)
            close(fd);
    }
    return file;
}

int workspace_write(const struct workspace *workspace, const char *name, const char *text)
{
    char path[WORKSPACE_PATH];
    FILE *file = create(workspace_path(workspace, name, path));

    if (file == NULL)
        return -1;
    fputs(text, file);
    return fclose(file) == 0 ? 0 : complain(path);
}

int workspace_write_content(const struct workspace *workspace, const char *name, uint64_t size)
{
    char path[WORKSPACE_PATH];
    struct content content;
    FILE *file = create(workspace_path(workspace, name, path));
    uint32_t piece = 0;
    int status;

    if (file == NULL)
        return -1;
    if (content_generate(&content, CONTENT_PIECE) == -1) {
        fclose(file);
        return complain(path);
    }
    /* Each piece begins with its number: a piece that is delivered twice is noticed. */
    for (uint64_t left = size; left > 0; piece++) {
        size_t n = left < content.size ? (size_t)left : (size_t)content.size;
        size_t mark = n < sizeof(piece) ? n : sizeof(piece);

        fwrite(&piece, 1, mark, file);
        fwrite(content.data + mark, 1, n - mark, file);
        left -= n;
    }
    /* Its write-back is not to fall into a measurement. */
    status = fflush(file) == 0 && fsync(fileno(file)) == 0 ? 0 : complain(path);
    fclose(file);
    content_close(&content);
    return status;
}

/* ---- the certificate ---- */

static int add_extension(X509 *certificate, int nid, const char *value)
{
    X509V3_CTX context;
    X509_EXTENSION *extension;
    int added;

    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    added = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return added ? 0 : -1;
}

static X509 *make_certificate(EVP_PKEY *key)
{
    X509 *certificate = X509_new();
    X509_NAME *name;

    if (certificate == NULL)
        return NULL;
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 48 * 3600);
    name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    if (X509_set_pubkey(certificate, key) == 1 &&
        add_extension(certificate, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1,IP:::1") == 0 &&
        add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE") == 0 &&
        X509_sign(certificate, key, EVP_sha256()) > 0)
        return certificate;
    X509_free(certificate);
    return NULL;
}

static int write_pem(const struct workspace *workspace, const char *name, X509 *certificate, EVP_PKEY *key)
{
    char path[WORKSPACE_PATH];
    FILE *file = create(workspace_path(workspace, name, path));
    int good = 1;

    if (file == NULL)
        return -1;
    if (key != NULL)
        good = PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
    if (certificate != NULL && good == 1)
        good = PEM_write_X509(file, certificate);
    return fclose(file) == 0 && good == 1 ? 0 : complain(path);
}

int workspace_write_certificate(const struct workspace *workspace)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = key != NULL ? make_certificate(key) : NULL;
    int status = -1;

    if (certificate == NULL)
        fputs("sluice-load: OpenSSL cannot make a certificate\n", stderr);
    else if (write_pem(workspace, "cert.pem", certificate, NULL) == 0 &&
             write_pem(workspace, "key.pem", NULL, key) == 0 &&
             write_pem(workspace, "pair.pem", certificate, key) == 0)
        status = 0;
    X509_free(certificate);
    EVP_PKEY_free(key);
    return status;
}

/* ---- templates ---- */

static const char *find_value(const char *name, size_t length, const struct workspace_value *values,
                              size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strlen(values[i].name) == length && strncmp(values[i].name, name, length) == 0)
            return values[i].value;
    }
    return NULL;
}

/* An @ that does not begin @NAME@, of capitals and underscores, is just an @. */
static size_t name_length(const char *at)
{
    size_t length = strspn(at + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");

    return length > 0 && at[1 + length] == '@' ? length : 0;
}

char *workspace_expand(const char *text, const struct workspace_value *values, size_t count, char unknown[24])
{
    char *expanded = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&expanded, &size);

    unknown[0] = '\0';
    if (out == NULL)
        return NULL;
    while (*text != '\0') {
        size_t plain = strcspn(text, "@"), length;

        fwrite(text, 1, plain, out);
        text += plain;
        if (*text == '\0')
            break;
        length = name_length(text);
        if (length == 0) {
            fputc(*text++, out);
            continue;
        }
        const char *value = find_value(text + 1, length, values, count);

        if (value == NULL) {
            snprintf(unknown, 24, "%.*s", (int)length, text + 1);
            break;
        }
        fputs(value, out);
        text += length + 2;
    }
    if (fclose(out) != 0 || unknown[0] != '\0') {
        free(expanded);
        return NULL;
    }
    return expanded;
}

int workspace_write_template(const struct workspace *workspace, const char *name, const char *template,
                             const struct workspace_value *values, size_t count)
{
    FILE *file = fopen(template, "re");
    char *text = calloc(1, TEMPLATE_MAX), *expanded = NULL, unknown[24];
    int status = -1;

    if (file == NULL || text == NULL) {
        complain(template);
    } else if (fread(text, 1, TEMPLATE_MAX - 1, file) == 0) {
        fprintf(stderr, "sluice-load: %s: nothing can be read from it\n", template);
    } else if ((expanded = workspace_expand(text, values, count, unknown)) == NULL) {
        fprintf(stderr, "sluice-load: %s: @%s@ is not a value that there is\n", template, unknown);
    } else {
        status = workspace_write(workspace, name, expanded);
    }
    free(expanded);
    free(text);
    if (file != NULL)
        fclose(file);
    return status;
}
