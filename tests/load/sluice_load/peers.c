/* Starts the participants and gives each its turn, A B A B, contest by contest.
 * Refuses to know how the work is done and how the results are shown. */
#include "sluice_load/peers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sluice_load/clock.h"
#include "sluice_load/report.h"

enum verdict peers_verdict(const struct contest_result *row, const struct metric_goal *goal, double *ratio,
                           struct spread *ratios)
{
    const struct spread *ours = &row->ours.figures[goal->metric],
                        *theirs = &row->theirs.figures[goal->metric];
    double value;

    *ratio = spread_median(theirs) > 0 ? spread_median(ours) / spread_median(theirs) : 0;
    spread_ratios(ours, theirs, ratios);
    if (row->unavailable[0] != '\0' || ours->count == 0 ||
        (theirs->count == 0 && goal->metric != METRIC_MEMORY))
        return VERDICT_NONE;
    if (goal->target == 0)
        return VERDICT_OPEN;
    value = goal->metric == METRIC_MEMORY ? spread_median(ours) : *ratio;
    return (goal->more ? value >= goal->target : value <= goal->target) ? VERDICT_MET : VERDICT_MISSED;
}

/* ---- one contest ---- */

struct match {
    const struct bench *bench;
    const struct peers_options *options;
    struct peer *peers; /* by id; pid 0: not started */
    struct contest_result *row;
};

/* Against ourselves the other side is Sluice on another port. */
static struct contest contest_of_side(const struct contest *contest, bool ours)
{
    struct contest side = *contest;

    if (!ours && contest->peer == PEER_SLUICE)
        side.ours = contest->theirs;
    return side;
}

static int ensure_started(struct match *match, enum peer_id id)
{
    if (match->peers[id].server.pid != 0)
        return 0;
    return peer_start(&match->peers[id], id, match->bench, match->options);
}

/* Memory that a process has once had it keeps, and uses again: only a new one shows what connections need. */
static int start_anew(struct match *match, enum peer_id id)
{
    peer_stop(&match->peers[id]);
    return ensure_started(match, id);
}

/* What went another way than the contest is about is no result of it. */
static int check_paths(struct contest_result *row)
{
    const struct path *stray = paths_stray(&row->paths, &row->contest->expected);
    char reasons[128];

    if (stray == NULL)
        return 0;
    snprintf(row->unavailable, sizeof(row->unavailable), "sluice took another path: %s, %s to %s: %.100s",
             stray->mode, stray->source_crypto, stray->sink_crypto, path_reasons_text(stray, reasons));
    memset(&row->ours, 0, sizeof(row->ours));
    memset(&row->theirs, 0, sizeof(row->theirs));
    return -1;
}

static int take_turn(struct match *match, bool ours, bool count, const char **syscalls_why)
{
    struct contest contest = contest_of_side(match->row->contest, ours);
    struct peer *peer = &match->peers[ours ? PEER_SLUICE : contest.peer];
    struct contest_side *side = ours ? &match->row->ours : &match->row->theirs;
    struct paths before;
    int status;

    if (contest.work == WORK_IDLE && start_anew(match, peer->id) == -1)
        return -1;
    if (ours && bench_account(peer->admin, peer_listener(contest.ours), &before) == -1) {
        snprintf(match->row->unavailable, sizeof(match->row->unavailable), "no account of sluice");
        return -1;
    }
    if (count)
        status = peers_count_turn(match->bench, match->options, &contest, peer, side, syscalls_why,
                                  match->row->unavailable);
    else
        status = peers_turn(match->bench, match->options, &contest, peer, side, match->row->unavailable);
    if (status == 0 && ours &&
        bench_account(peer->admin, peer_listener(contest.ours), &match->row->paths) == 0) {
        paths_subtract(&match->row->paths, &before);
        status = check_paths(match->row);
    }
    return status;
}

/* Strangers used much of the processors in a side's last turn. */
static bool was_disturbed(const struct contest_side *side)
{
    const struct spread *others = &side->others;

    return others->count > 0 && others->values[others->count - 1] > REPORT_DISTURBED;
}

/* A pair of turns that strangers disturb is made again, so often for a contest: on a machine that is never
 * quiet the figures are told in the end, with how much it was disturbed. */
#define DISTURBED_TURNS 10

static int play(struct match *match, const char **syscalls_why)
{
    struct contest_result *row = match->row;
    int status = ensure_started(match, PEER_SLUICE);

    if (status == 0)
        status = ensure_started(match, row->contest->peer);
    if (status == -1) {
        snprintf(row->unavailable, sizeof(row->unavailable), "%s could not be started",
                 match->peers[PEER_SLUICE].server.pid == 0 ? "sluice" : peer_name(row->contest->peer));
        return -1;
    }
    /* Counting system calls disturbs: in turns of their own, which warm both up. */
    status =
        take_turn(match, true, true, syscalls_why) == 0 ? take_turn(match, false, true, syscalls_why) : -1;
    for (unsigned turn = 0, again = 0; status == 0 && turn < match->bench->options.repeat;) {
        const struct contest_side ours = row->ours, theirs = row->theirs;

        status = take_turn(match, true, false, syscalls_why);
        if (status == 0)
            status = take_turn(match, false, false, syscalls_why);
        if (status == 0 && again < DISTURBED_TURNS &&
            (was_disturbed(&row->ours) || was_disturbed(&row->theirs))) {
            row->ours = ours;
            row->theirs = theirs;
            again++;
        } else {
            turn++;
        }
        row->again = again;
    }
    return status;
}

/* ---- all of them ---- */

/* Files that are read from the disk are a hundred times as large as those that are many. */
#define COLD_SHARE 50

/* Those directories that one of the rows is about. */
static int write_site(struct site *site, const struct bench *bench, const struct peers_options *options,
                      const struct peers_result *result)
{
    const uint64_t sizes[] = {SITE_SMALL, SITE_MEDIUM, options->bulk_size};
    const size_t counts[SITE_DIRECTORIES] = {
        [SITE_MANY] = options->files, [SITE_COLD] = 1 + options->files / COLD_SHARE};

    if (site_create(site, &bench->workspace, sizes, sizeof(sizes) / sizeof(sizes[0])) == -1)
        return -1;
    for (size_t i = 0; i < result->count; i++) {
        enum site_directory directory = result->rows[i].contest->directory;

        if (directory != SITE_NONE && site->directories[directory].count == 0 &&
            site_add(site, directory, counts[directory]) == -1)
            return -1;
    }
    return 0;
}

static bool kernel_has_ktls(const struct bench *bench)
{
    const char *argv[] = {bench->sluice, "probe", "--json", NULL};
    json_t *probe = server_run_json(&bench->workspace, argv);
    bool has = json_is_true(json_object_get(
        json_object_get(json_object_get(json_object_get(probe, "ktls"), "TLSv1.3"), "AES-128-GCM"), "tx"));

    json_decref(probe);
    return has;
}

/* One that has died is started anew for the next contest. */
static void tell_who_ended(struct match *match)
{
    enum peer_id sides[] = {PEER_SLUICE, match->row->contest->peer};

    for (size_t i = 0; i < 2; i++) {
        struct peer *peer = &match->peers[sides[i]];

        if (peer->server.name[0] != '\0' && server_has_ended(&peer->server))
            snprintf(match->row->unavailable, sizeof(match->row->unavailable), "%s died",
                     peer_name(peer->id));
    }
}

static void play_row(struct match *match, struct peers_result *result, uint64_t began, unsigned done)
{
    struct contest_result *row = match->row;
    char what[256];

    if (row->contest->ktls && !match->options->ktls) {
        snprintf(row->unavailable, sizeof(row->unavailable), "this kernel has no kTLS");
        return;
    }
    snprintf(what, sizeof(what), "%s: %s, against %s", row->contest->name, row->contest->text,
             row->contest->against);
    bench_progress(match->bench, began, done, (unsigned)result->count, what);
    row->failed = play(match, &result->syscalls_why) == -1;
    if (row->failed)
        tell_who_ended(match);
    if (!row->failed)
        row->unavailable[0] = '\0';
}

int peers_run(struct bench *bench, struct peers_options *options, struct peers_result *result)
{
    struct peer peers[PEERS] = {0};
    uint64_t began = clock_ns();
    struct site site;

    memset(result, 0, sizeof(*result));
    result->rows = calloc(contests_count, sizeof(*result->rows));
    if (result->rows == NULL)
        return -1;
    for (size_t i = 0; i < contests_count; i++) {
        if (bench_is_listed(options->only, contests_all[i].name))
            result->rows[result->count++].contest = &contests_all[i];
    }
    if (write_site(&site, bench, options, result) == -1) {
        site_free(&site);
        return -1;
    }
    options->site = &site;
    options->ktls = kernel_has_ktls(bench);
    for (unsigned i = 0; i < result->count; i++) {
        struct match match = {bench, options, peers, &result->rows[i]};

        play_row(&match, result, began, i);
        if (load_interrupted()) {
            result->interrupted = true;
            result->count = i; /* what is complete */
        }
    }
    for (int i = PEERS - 1; i >= 0; i--)
        peer_stop(&peers[i]);
    options->site = NULL;
    site_free(&site);
    return 0;
}

void peers_result_free(struct peers_result *result)
{
    free(result->rows);
    memset(result, 0, sizeof(*result));
}
