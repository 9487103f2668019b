/* What rows say about a board, apart from what they say about their models. A row's error is the sum of three: of the board, which every model
 * there shares; of its model family, which no other family shares; its own. The second is why fifty rows of one network tell hardly more than
 * one: it is in all of them. Both board and families are off by a level of everything, of memory against the rest, and of the host.
 *
 * All spreads are known (data/runtimes.toml [calibrate]), so families integrate out exactly, and the board's levels have a normal posterior under
 * each prior. There are two priors for each level, boards that are as their makers say and odd ones; the result is the mean over their mixture. */
#include "bench/calibrate.h"

enum { N = CALIBRATE_LEVELS, PRIORS = 1 << N, PASSES = 5 };

/* From so many standard deviations on, a row's pull grows no more. */
static const double FAR = 1.5;

/* The spreads that ship count for so many rows beside the scatter of the board's own. */
static const double SURE = 10;

/* The Cholesky factor of a symmetric positive matrix; returns the logarithm of its determinant. */
static double factorise(double l[N][N], double a[N][N])
{
    double logdet = 0;
    for (int i = 0; i < N; i++) {
        for (int j = 0; j <= i; j++) {
            double sum = a[i][j];
            for (int k = 0; k < j; k++) sum -= l[i][k] * l[j][k];
            l[i][j] = i == j ? sqrt(sum) : sum / l[j][j];
        }
        logdet += 2 * log(l[i][i]);
    }
    return logdet;
}

static void solve(double *x, double l[N][N], const double *b)
{
    for (int i = 0; i < N; i++) {
        x[i] = b[i];
        for (int k = 0; k < i; k++) x[i] -= l[i][k] * x[k];
        x[i] /= l[i][i];
    }
    for (int i = N; i-- > 0;) {
        for (int k = i + 1; k < N; k++) x[i] -= l[k][i] * x[k];
        x[i] /= l[i][i];
    }
}

static double dot(const double *a, const double *b)
{
    double sum = 0;
    for (int k = 0; k < N; k++) sum += a[k] * b[k];
    return sum;
}

/* Adds a row of weight w: what it says about the sum of the board's and its family's levels. */
static void add_row(level_sums *s, const level_row *r, double w)
{
    for (int i = 0; i < N; i++) {
        s->b[i] += w * r->slope[i] * r->off;
        for (int j = 0; j < N; j++) s->a[i][j] += w * r->slope[i] * r->slope[j];
    }
    s->square += w * r->off * r->off;
}

/* Factor of the precision of a family's levels, given the board's; returns its log determinant relative to that without rows. */
static double factorise_family(double l[N][N], const level_sums *s, const calibrate_constants *c)
{
    double precise[N][N], prior = 0;
    memcpy(precise, s->a, sizeof precise);
    for (int k = 0; k < N; k++) {
        precise[k][k] += 1 / (c->family[k] * c->family[k]);
        prior += 2 * log(c->family[k]);
    }
    return factorise(l, precise) + prior;
}

/* What a family says about the board alone is added to `to`. */
static void add_family(level_sums *to, const level_sums *s, const calibrate_constants *c)
{
    double l[N][N], x[N];
    to->logdet += factorise_family(l, s, c);
    solve(x, l, s->b);
    to->square += s->square - dot(s->b, x);
    for (int i = 0; i < N; i++) to->b[i] += s->b[i] - dot(s->a[i], x);
    for (int j = 0; j < N; j++) {
        solve(x, l, s->a[j]);
        for (int i = 0; i < N; i++) to->a[i][j] += s->a[i][j] - dot(s->a[i], x);
    }
}

/* The board's levels under one of the priors; returns the logarithm of how likely the rows are under it, times its own probability. */
static double under_prior(double *level, const level_sums *board, unsigned odd, const calibrate_constants *c)
{
    double precise[N][N], l[N][N], likely = 0;
    memcpy(precise, board->a, sizeof precise);
    for (int k = 0; k < N; k++) {
        bool is_odd = odd >> k & 1;
        double spread = is_odd ? c->odd : c->board[k];
        precise[k][k] += 1 / (spread * spread);
        likely += log(is_odd ? c->odd_share : 1 - c->odd_share) - log(spread);
    }
    likely -= factorise(l, precise) / 2;
    solve(level, l, board->b);
    return likely + dot(board->b, level) / 2;
}

/* The mean over all priors; returns the logarithm of how likely the rows are. */
static double posterior(double *level, const level_sums *board, const calibrate_constants *c)
{
    double under[PRIORS][N], likely[PRIORS], most = 0, sum = 0;
    for (unsigned p = 0; p < PRIORS; p++) {
        likely[p] = under_prior(under[p], board, p, c);
        if (p == 0 || likely[p] > most) most = likely[p];
    }
    for (int k = 0; k < N; k++) level[k] = 0;
    for (unsigned p = 0; p < PRIORS; p++) sum += exp(likely[p] - most);
    for (unsigned p = 0; p < PRIORS; p++)
        for (int k = 0; k < N; k++) level[k] += under[p][k] * exp(likely[p] - most) / sum;
    return most + log(sum);
}

/* Sums of the rows by family, and what they say about the board. */
static level_sums gather(level_family *families, size_t family_count, const level_row *rows, size_t count,
                         const calibrate_constants *c)
{
    level_sums board = {.square = 0};
    for (size_t f = 0; f < family_count; f++) families[f] = (level_family){.sums.square = 0};
    for (size_t i = 0; i < count; i++)
        if (!rows[i].out) add_row(&families[rows[i].family].sums, &rows[i], rows[i].trust / (c->row * c->row));
    for (size_t f = 0; f < family_count; f++) add_family(&board, &families[f].sums, c);
    return board;
}

/* Each family's own levels, and from what then is left of each row how far it is trusted. */
static void judge(level_family *families, size_t family_count, level_row *rows, size_t count, const double *level,
                  const calibrate_constants *c)
{
    for (size_t f = 0; f < family_count; f++) {
        const level_sums *s = &families[f].sums;
        double l[N][N], left[N];
        factorise_family(l, s, c);
        for (int k = 0; k < N; k++) left[k] = s->b[k] - dot(s->a[k], level);
        solve(families[f].level, l, left);
    }
    for (size_t i = 0; i < count; i++) {
        level_row *r = &rows[i];
        double left = fabs(r->off - dot(r->slope, level) - dot(r->slope, families[r->family].level));
        r->trust = left > FAR * c->row ? FAR * c->row / left : 1;
    }
}

/* How much more than elsewhere these rows scatter around the levels, as a factor of variances. Rows that agree prove nothing: they may be
 * alike. */
static double scatter(const level_sums *board, const double *level, size_t rows)
{
    double left = board->square - 2 * dot(board->b, level);
    for (int k = 0; k < N; k++) left += level[k] * dot(board->a[k], level);
    double more = (SURE + left) / (SURE + (double)rows);
    return more > 1 ? more : 1;
}

/* What rows that scatter more say is less. */
static void divide(level_sums *s, double by)
{
    for (int i = 0; i < N; i++) {
        s->b[i] /= by;
        for (int j = 0; j < N; j++) s->a[i][j] /= by;
    }
}

void calibrate_levels(double *level, level_row *rows, size_t count, level_family *families, size_t family_count,
                      const calibrate_constants *c)
{
    double wider = 1;
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        rows[i].trust = 1;
        used += !rows[i].out;
    }
    for (int pass = 0; pass < PASSES; pass++) {
        level_sums board = gather(families, family_count, rows, count, c), weak = board;
        divide(&weak, wider);
        posterior(level, &weak, c);
        if (pass) wider = scatter(&board, level, used); /* not before wrong rows are known */
        judge(families, family_count, rows, count, level, c);
    }
}

double calibrate_likelihood(level_row *rows, size_t count, level_family *families, size_t family_count,
                            const calibrate_constants *c)
{
    double level[N];
    for (size_t i = 0; i < count; i++) rows[i].trust = 1;
    level_sums board = gather(families, family_count, rows, count, c);
    return posterior(level, &board, c) - (double)count * log(c->row) - (board.logdet + board.square) / 2;
}
