/* See privileges.h. Refuses to know why capabilities are kept. */
#include "proxy/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

static bool find_user(const struct conf *conf, struct privileges *privileges, struct conf_problems *problems)
{
    const struct passwd *user;

    errno = 0;
    user = getpwnam(conf->user);
    if (user == NULL) {
        conf_problem_add(problems, conf->user_place, "user", "%s: %s", conf->user,
                         errno == 0 ? "there is no such user" : strerror(errno));
        return false;
    }
    privileges->uid = user->pw_uid;
    privileges->gid = user->pw_gid;
    return true;
}

static bool find_group(const struct conf *conf, struct privileges *privileges, struct conf_problems *problems)
{
    const struct group *group;

    errno = 0;
    group = getgrnam(conf->group);
    if (group == NULL) {
        conf_problem_add(problems, conf->group_place, "group", "%s: %s", conf->group,
                         errno == 0 ? "there is no such group" : strerror(errno));
        return false;
    }
    privileges->gid = group->gr_gid;
    return true;
}

bool privileges_resolve(const struct conf *conf, struct privileges *privileges,
                        struct conf_problems *problems)
{
    *privileges = (struct privileges){.uid = (uid_t)-1, .gid = getegid()};
    if (conf->user != NULL && !find_user(conf, privileges, problems))
        return false;
    if (conf->group != NULL && !find_group(conf, privileges, problems))
        return false;
    if (conf->user == NULL && conf->group == NULL)
        return true;
    if (conf->user == NULL)
        privileges->uid = geteuid();
    privileges->change = geteuid() == 0;
    return true;
}

bool privileges_permitted(const struct privileges *privileges, const struct conf *conf,
                          struct conf_problems *problems)
{
    const bool by_user = privileges->uid != geteuid();

    if (privileges->change || privileges->uid == (uid_t)-1 || (!by_user && privileges->gid == getegid()))
        return true;
    conf_problem_add(problems, by_user ? conf->user_place : conf->group_place, by_user ? "user" : "group",
                     "only root can become %s: start as root, or leave this key out",
                     by_user || conf->group == NULL ? conf->user : conf->group);
    return false;
}

/* Permitted and effective: the named ones. false: errno. */
static bool keep_capabilities(const struct conf *conf)
{
    cap_t wanted = cap_init();
    bool good = wanted != NULL;

    for (size_t i = 0; good && i < conf->capability_count; i++) {
        cap_value_t value;
        char name[64];

        snprintf(name, sizeof(name), "cap_%s", conf->capabilities[i]);
        good = cap_from_name(name, &value) == 0 &&
               cap_set_flag(wanted, CAP_PERMITTED, 1, &value, CAP_SET) == 0 &&
               cap_set_flag(wanted, CAP_EFFECTIVE, 1, &value, CAP_SET) == 0;
    }
    good = good && cap_set_proc(wanted) == 0;
    if (wanted != NULL)
        cap_free(wanted);
    return good;
}

/* What the kernel says we are now must be what was asked: a failed setuid() that nobody noticed is a classic.
 */
static const char *find_remainder(const struct privileges *privileges, const struct conf *conf)
{
    uid_t ruid, euid, suid;
    gid_t rgid, egid, sgid;
    cap_t now;
    int kept = 0;

    if (getresuid(&ruid, &euid, &suid) == -1 || getresgid(&rgid, &egid, &sgid) == -1)
        return "getresuid failed";
    if (ruid != privileges->uid || euid != privileges->uid || suid != privileges->uid)
        return "the user id is not the one asked for";
    if (rgid != privileges->gid || egid != privileges->gid || sgid != privileges->gid)
        return "the group id is not the one asked for";
    if (privileges->uid != 0 && setuid(0) != -1)
        return "root can be had again";
    now = cap_get_proc();
    if (now == NULL)
        return "capabilities can't be read";
    for (cap_value_t value = 0; value <= cap_max_bits(); value++) {
        cap_flag_value_t set = CAP_CLEAR;

        if (cap_get_flag(now, value, CAP_PERMITTED, &set) == 0 && set == CAP_SET)
            kept++;
    }
    cap_free(now);
    return kept == (int)conf->capability_count ? NULL : "the capabilities are not the ones asked for";
}

bool privileges_drop(const struct privileges *privileges, const struct conf *conf,
                     struct conf_problems *problems)
{
    const struct conf_place place = conf->user != NULL ? conf->user_place : conf->group_place;
    const char *key = conf->user != NULL ? "user" : "group", *remainder;
    const char *step;

    if (!privileges->change)
        return true;
    step = "keep capabilities over the change";
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == -1)
        goto failed;
    step = "set the groups";
    if ((conf->user != NULL ? initgroups(conf->user, privileges->gid) : setgroups(1, &privileges->gid)) == -1)
        goto failed;
    step = "set the group id";
    if (setresgid(privileges->gid, privileges->gid, privileges->gid) == -1)
        goto failed;
    step = "set the user id";
    if (setresuid(privileges->uid, privileges->uid, privileges->uid) == -1)
        goto failed;
    step = "keep the named capabilities";
    if (!keep_capabilities(conf) || prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) == -1)
        goto failed;
    step = "give up new privileges";
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
        goto failed;
    remainder = find_remainder(privileges, conf);
    if (remainder == NULL)
        return true;
    conf_problem_add(problems, place, key, "privileges were not dropped: %s", remainder);
    return false;

failed:
    conf_problem_add(problems, place, key, "can't %s: %s", step, strerror(errno));
    return false;
}
