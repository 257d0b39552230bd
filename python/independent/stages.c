/*
 * The operations of docs/arithmetic.md, version 1, under its heading "Networks of the mobile space",
 * in the order of that section; the others of such networks are in operations.c and cells.c.
 * Implemented from the page, without code of the crates.
 */
#include <float.h>
#include <math.h>

#include "operations.h"

#if FLT_EVAL_METHOD != 0
#error "float and double expressions must be evaluated in their own precision"
#endif

/* ---- Resized image ---- */

/* The two inputs, rows or columns, between which an output lies, and how far from the first. */
struct neighbours {
    int first, second;
    float fraction;
};

static struct neighbours neighbours(int R, int r, int place)
{
    int n = (2 * place + 1) * R - r;
    if (n < 0)
        n = 0;
    int first = n / (2 * r), second = first + 1 < R - 1 ? first + 1 : R - 1;
    return (struct neighbours){first, second, (float)(n % (2 * r)) / (float)(2 * r)};
}

/* The value at this fraction of the way from one to another. The page says: without fma. */
static float on_the_way(float from, float to, float fraction)
{
    return fmaf(fraction, to - from, from);
}

static float across(struct neighbours columns, const float row[])
{
    return on_the_way(row[columns.first], row[columns.second], columns.fraction);
}

/* M maps of R x S values, resized to r x s. */
void resized(int M, int R, int S, int r, int s, const float input[M][R][S], float output[M][r][s])
{
    for (int m = 0; m < M; m++)
        for (int y = 0; y < r; y++)
            for (int x = 0; x < s; x++) {
                struct neighbours rows = neighbours(R, r, y), columns = neighbours(S, s, x);
                float upper = across(columns, input[m][rows.first]);
                float lower = across(columns, input[m][rows.second]);
                output[m][y][x] = on_the_way(upper, lower, rows.fraction);
            }
}

/* ---- h-swish and hard sigmoid ---- */

/* t, between 0 and 6. */
static float clamped(float x)
{
    float t = x + 3.0f;
    t = t > 0 ? t : 0.0f;
    return 6.0f > t ? t : 6.0f;
}

void h_swish(int numbers, const float x[numbers], float y[numbers])
{
    for (int i = 0; i < numbers; i++) {
        float product = x[i] * clamped(x[i]);
        y[i] = product / 6.0f;
    }
}

static float h_swish_back_at(float x, float gradient)
{
    if (!(x > -3.0f))
        return 0.0f;
    if (!(3.0f > x))
        return gradient;
    float slope = x / 3.0f + 0.5f;
    return gradient * slope;
}

void h_swish_back(int numbers, const float x[numbers], const float gradient[numbers],
                  float by_x[numbers])
{
    for (int i = 0; i < numbers; i++)
        by_x[i] = h_swish_back_at(x[i], gradient[i]);
}

void hard_sigmoid(int numbers, const float x[numbers], float y[numbers])
{
    for (int i = 0; i < numbers; i++)
        y[i] = clamped(x[i]) / 6.0f;
}

void hard_sigmoid_back(int numbers, const float x[numbers], const float gradient[numbers],
                       float by_x[numbers])
{
    for (int i = 0; i < numbers; i++)
        by_x[i] = x[i] > -3.0f && 3.0f > x[i] ? gradient[i] / 6.0f : 0.0f;
}

/* ---- Global average: operations.c. Bias of maps of one pixel ---- */

/* The gradient with respect to the bias is that of the linear layer's. */
void add_bias(int N, int C, const float x[N][C], const float bias[C], float y[N][C])
{
    for (int n = 0; n < N; n++)
        for (int c = 0; c < C; c++)
            y[n][c] = x[n][c] + bias[c];
}

/* ---- Scaled map: M maps of P pixels. Also the gradient with respect to x ---- */

void scaled(int M, int P, const float x[M][P], const float s[M], float y[M][P])
{
    for (int m = 0; m < M; m++)
        for (int p = 0; p < P; p++)
            y[m][p] = x[m][p] * s[m];
}

/* The gradient with respect to the numbers s. */
void scaled_by_s(int M, int P, const float gradient[M][P], const float x[M][P], float by_s[M])
{
    for (int m = 0; m < M; m++) {
        float stripes[4] = {0, 0, 0, 0};
        for (int p = 0; p < P; p++)
            stripes[p % 4] = fmaf(gradient[m][p], x[m][p], stripes[p % 4]);
        by_s[m] = add_stripes(stripes);
    }
}
