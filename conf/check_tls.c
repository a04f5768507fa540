/* What the keys of TLS mean together: a version that can be spoken, suites that belong to one, no name twice.
 * Refuses to know certificates and trust (certs reads them, proxy tells what is wrong). */
#include <stdlib.h>
#include <string.h>

#include "conf/check.h"
#include "conf/memory.h"

static const char *const version_names[] = {"1.2", "1.3"};

enum conf_tls_version conf_tls_suite_version(const char *suite)
{
    return strncmp(suite, "TLS_", 4) == 0 ? CONF_TLS_1_3 : CONF_TLS_1_2;
}

bool conf_tls_speaks(const struct conf_tls_policy *policy, enum conf_tls_version version)
{
    bool suited = policy->suite_count == 0;
    for (size_t i = 0; i < policy->suite_count && !suited; i++) {
        suited = conf_tls_suite_version(policy->suites[i]) == version;
    }
    return suited && version >= policy->min_version && version <= policy->max_version;
}

/* `owner` is tls.main or its like. */
struct checked {
    const char *owner;
    struct conf_problems *problems;
};

static void check_twice(const struct checked *checked, const char *key, struct conf_place place,
                        char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (strcmp(names[i], names[j]) == 0) {
                char *path = memory_format("%s.%s[%zu]", checked->owner, key, i);
                conf_problem_add(checked->problems, place, path, "\"%s\" stands there twice: delete one",
                                 names[i]);
                free(path);
                break;
            }
        }
    }
}

static void check_suites(const struct checked *checked, const struct conf_tls_policy *policy)
{
    for (size_t i = 0; i < policy->suite_count; i++) {
        enum conf_tls_version version = conf_tls_suite_version(policy->suites[i]);
        bool low = version<policy->min_version, high = version> policy->max_version;
        if (low || high) {
            char *path = memory_format("%s.suites[%zu]", checked->owner, i);
            conf_problem_add(checked->problems, policy->suites_place, path,
                             "\"%s\" is of TLS %s, which %s = \"%s\" excludes: delete one of the two",
                             policy->suites[i], version_names[version], low ? "min_version" : "max_version",
                             version_names[low ? policy->min_version : policy->max_version]);
            free(path);
        }
    }
}

static void check_versions(const struct checked *checked, const struct conf_tls_policy *policy)
{
    char *min_path = memory_format("%s.min_version", checked->owner);
    char *max_path = memory_format("%s.max_version", checked->owner);
    if (policy->min_version > policy->max_version) {
        bool max_given = policy->max_version_place.line != 0;
        conf_problem_add(
            checked->problems, max_given ? policy->max_version_place : policy->min_version_place,
            max_given ? max_path : min_path,
            "min_version \"%s\" is above max_version \"%s\", so no version is left: raise the one "
            "or lower the other",
            version_names[policy->min_version], version_names[policy->max_version]);
    } else if (policy->min_version_place.line != 0 && !conf_tls_speaks(policy, policy->min_version)) {
        conf_problem_add(checked->problems, policy->min_version_place, min_path,
                         "\"%s\" has no suite in `suites`: add one of TLS %s there, or raise this",
                         version_names[policy->min_version], version_names[policy->min_version]);
    } else if (policy->max_version_place.line != 0 && !conf_tls_speaks(policy, policy->max_version)) {
        conf_problem_add(checked->problems, policy->max_version_place, max_path,
                         "\"%s\" has no suite in `suites`: add one of TLS %s there, or lower this",
                         version_names[policy->max_version], version_names[policy->max_version]);
    }
    free(min_path);
    free(max_path);
}

/* RFC 7301 3.1: a name has one byte for its length, and the whole list two. */
static void check_alpn(const struct checked *checked, const struct conf_tls_policy *policy)
{
    for (size_t i = 0; i < policy->alpn_count; i++) {
        if (strlen(policy->alpn[i]) > 255) {
            char *path = memory_format("%s.alpn[%zu]", checked->owner, i);
            conf_problem_add(checked->problems, policy->alpn_place, path,
                             "a protocol's name has at most 255 bytes: shorten it");
            free(path);
        }
    }
}

void check_tls_policy(const char *owner, const struct conf_tls_policy *policy, struct conf_problems *problems)
{
    const struct checked checked = {owner, problems};
    check_twice(&checked, "suites", policy->suites_place, policy->suites, policy->suite_count);
    check_twice(&checked, "groups", policy->groups_place, policy->groups, policy->group_count);
    check_twice(&checked, "alpn", policy->alpn_place, policy->alpn, policy->alpn_count);
    check_suites(&checked, policy);
    check_versions(&checked, policy);
    check_alpn(&checked, policy);
}

static void check_client(const struct conf_tls *tls, struct conf_problems *problems)
{
    const struct conf_tls_client *client = &tls->client;
    bool none = client->verify == CONF_VERIFY_NONE;
    if (!none && client->ca == NULL) {
        char *key = memory_format("tls.%s.client.ca", tls->name);
        conf_problem_add(problems, client->verify_place, key,
                         "missing: name the file with the certificates of the clients' CAs");
        free(key);
    } else if (problems->count == 0 && client->verify_place.line != 0 && none &&
               /* or it was misspelt */ (client->ca != NULL || client->crl != NULL)) {
        char *key = memory_format("tls.%s.client.verify", tls->name);
        conf_problem_add(
            problems, client->verify_place, key,
            "\"none\" leaves `%s` without use: delete that, or choose \"optional\" or \"required\"",
            client->ca != NULL ? "ca" : "crl");
        free(key);
    }
}

void check_tls(const struct conf_tls *tls, struct conf_problems *problems)
{
    char *owner = memory_format("tls.%s", tls->name);
    check_tls_policy(owner, &tls->policy, problems);
    free(owner);
    check_client(tls, problems);
}
