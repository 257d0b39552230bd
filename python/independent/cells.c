/*
 * The operations of docs/arithmetic.md, version 1, under its heading "Networks of the micro space",
 * in the order of that section; batch norm is in operations.c. Implemented from the page, without
 * code of the crates.
 *
 * H and W are the sides of a layer's input, h and w those of its output. Arrays are
 * [image][channel][row][column], weights [out][in][tap].
 */
#include <float.h>
#include <math.h>
#include <stdint.h>

#include "operations.h"

#if FLT_EVAL_METHOD != 0
#error "float and double expressions must be evaluated in their own precision"
#endif

/* ---- Gradients with respect to a weight, of depthwise convolutions and those of a line ---- */

/* What a tap reads for an output: row stride_y * row + y, column stride_x * column + x. */
struct tap {
    int stride_y, stride_x, y, x;
};

/* Continues the chain `sum` with the terms of one image. */
static float tap_of_image(struct tap tap, int H, int W, int h, int w, const float input[H][W],
                          const float gradient[h][w], float sum)
{
    for (int row = 0; row < h; row++)
        for (int column = 0; column < w; column++) {
            int y = tap.stride_y * row + tap.y, x = tap.stride_x * column + tap.x;
            if (y >= 0 && y < H && x >= 0 && x < W)
                sum = fmaf(input[y][x], gradient[row][column], sum);
        }
    return sum;
}

/* One chain per chunk; chunks and blocks are folded. */
static float tap_of_channels(struct tap tap, int N, int C, int H, int W, int O, int h, int w,
                             const float input[N][C][H][W], int c,
                             const float gradient[N][O][h][w], int o)
{
    int chunk = chunk_images((long)h * w), chunks = (N + chunk - 1) / chunk;
    float sums[chunks];
    for (int k = 0; k < chunks; k++) {
        sums[k] = 0;
        for (int n = k * chunk; n < (k + 1) * chunk && n < N; n++)
            sums[k] = tap_of_image(tap, H, W, h, w, input[n][c], gradient[n][o], sums[k]);
    }
    return fold_blocks(chunks, sums, BLOCK / chunk);
}

/* ---- Depthwise convolution ---- */

/* Kernel row or column i reads the inputs at this distance from stride * row or column. */
static int distance(int K, int dilation, int i)
{
    return dilation * i - dilation * (K - 1) / 2;
}

/* One element of the output. */
static float depthwise_at(int H, int W, int K, int stride, int dilation, const float input[H][W],
                          const float weight[K][K], int row, int column)
{
    float sum = 0;
    for (int i = 0; i < K; i++)
        for (int j = 0; j < K; j++) {
            int y = stride * row + distance(K, dilation, i);
            int x = stride * column + distance(K, dilation, j);
            if (y >= 0 && y < H && x >= 0 && x < W)
                sum = fmaf(input[y][x], weight[i][j], sum);
        }
    return sum;
}

void depthwise(int N, int C, int H, int W, int h, int w, int K, int stride, int dilation,
               const float input[N][C][H][W], const float weight[C][K][K],
               float output[N][C][h][w])
{
    for (int n = 0; n < N; n++)
        for (int c = 0; c < C; c++)
            for (int y = 0; y < h; y++)
                for (int x = 0; x < w; x++)
                    output[n][c][y][x] =
                        depthwise_at(H, W, K, stride, dilation, input[n][c], weight[c], y, x);
}

/* The kernel row or column by which an output's row or column reads place `y`; -1 if none does. */
static int kernel_place(int K, int stride, int dilation, int row, int y)
{
    for (int i = 0; i < K; i++)
        if (stride * row + distance(K, dilation, i) == y)
            return i;
    return -1;
}

/* With respect to one input: over the outputs that read it. */
static float depthwise_by_input_at(int h, int w, int K, int stride, int dilation,
                                   const float gradient[h][w], const float weight[K][K], int y,
                                   int x)
{
    float sum = 0;
    for (int row = 0; row < h; row++) {
        int i = kernel_place(K, stride, dilation, row, y);
        for (int column = 0; i >= 0 && column < w; column++) {
            int j = kernel_place(K, stride, dilation, column, x);
            if (j >= 0)
                sum = fmaf(gradient[row][column], weight[i][j], sum);
        }
    }
    return sum;
}

void depthwise_by_input(int N, int C, int H, int W, int h, int w, int K, int stride, int dilation,
                        const float gradient[N][C][h][w], const float weight[C][K][K],
                        float by_input[N][C][H][W])
{
    for (int n = 0; n < N; n++)
        for (int c = 0; c < C; c++)
            for (int y = 0; y < H; y++)
                for (int x = 0; x < W; x++)
                    by_input[n][c][y][x] = depthwise_by_input_at(
                        h, w, K, stride, dilation, gradient[n][c], weight[c], y, x);
}

void depthwise_by_weight(int N, int C, int H, int W, int h, int w, int K, int stride, int dilation,
                         const float input[N][C][H][W], const float gradient[N][C][h][w],
                         float by_weight[C][K][K])
{
    for (int c = 0; c < C; c++)
        for (int i = 0; i < K; i++)
            for (int j = 0; j < K; j++) {
                int y = distance(K, dilation, i), x = distance(K, dilation, j);
                struct tap tap = {stride, stride, y, x};
                by_weight[c][i][j] =
                    tap_of_channels(tap, N, C, H, W, C, h, w, input, c, gradient, c);
            }
}

/* ---- Convolution of one row (across) or one column (down), of seven taps ---- */

enum { TAPS = 7, LINE_PADDING = 3 };

static struct tap line_tap(int down, int stride, int t)
{
    int place = t - LINE_PADDING;
    return down ? (struct tap){stride, 1, place, 0} : (struct tap){1, stride, 0, place};
}

/* One element of the output. */
static float line_at(int down, int stride, int C, int H, int W, const float input[C][H][W],
                     const float weight[C][TAPS], int row, int column)
{
    float sum = 0;
    for (int t = 0; t < TAPS; t++) {
        struct tap tap = line_tap(down, stride, t);
        int y = tap.stride_y * row + tap.y, x = tap.stride_x * column + tap.x;
        if (y < 0 || y >= H || x < 0 || x >= W)
            continue;
        for (int c = 0; c < C; c++)
            sum = fmaf(input[c][y][x], weight[c][t], sum);
    }
    return sum;
}

void line(int down, int stride, int N, int C, int H, int W, int O, int h, int w,
          const float input[N][C][H][W], const float weight[O][C][TAPS], float output[N][O][h][w])
{
    for (int n = 0; n < N; n++)
        for (int o = 0; o < O; o++)
            for (int y = 0; y < h; y++)
                for (int x = 0; x < w; x++)
                    output[n][o][y][x] =
                        line_at(down, stride, C, H, W, input[n], weight[o], y, x);
}

/* What tap t of output (row, column) adds to the gradient of an input of channel c. */
static float line_adds(int C, int O, int h, int w, const float gradient[O][h][w],
                       const float weight[O][C][TAPS], int c, int t, int row, int column)
{
    float sum = 0;
    for (int o = 0; o < O; o++)
        sum = fmaf(gradient[o][row][column], weight[o][c][t], sum);
    return sum;
}

/* With respect to one input of channel c: over the taps. */
static float line_by_input_at(int down, int stride, int C, int O, int h, int w,
                              const float gradient[O][h][w], const float weight[O][C][TAPS], int c,
                              int y, int x)
{
    float sum = 0;
    for (int t = 0; t < TAPS; t++) {
        struct tap tap = line_tap(down, stride, t);
        int row = (y - tap.y) / tap.stride_y, column = (x - tap.x) / tap.stride_x;
        if (tap.stride_y * row + tap.y != y || tap.stride_x * column + tap.x != x)
            continue;
        if (row >= 0 && row < h && column >= 0 && column < w)
            sum = sum + line_adds(C, O, h, w, gradient, weight, c, t, row, column);
    }
    return sum;
}

void line_by_input(int down, int stride, int N, int C, int H, int W, int O, int h, int w,
                   const float gradient[N][O][h][w], const float weight[O][C][TAPS],
                   float by_input[N][C][H][W])
{
    for (int n = 0; n < N; n++)
        for (int c = 0; c < C; c++)
            for (int y = 0; y < H; y++)
                for (int x = 0; x < W; x++)
                    by_input[n][c][y][x] = line_by_input_at(down, stride, C, O, h, w, gradient[n],
                                                            weight, c, y, x);
}

void line_by_weight(int down, int stride, int N, int C, int H, int W, int O, int h, int w,
                    const float input[N][C][H][W], const float gradient[N][O][h][w],
                    float by_weight[O][C][TAPS])
{
    for (int o = 0; o < O; o++)
        for (int c = 0; c < C; c++)
            for (int t = 0; t < TAPS; t++) {
                struct tap tap = line_tap(down, stride, t);
                by_weight[o][c][t] =
                    tap_of_channels(tap, N, C, H, W, O, h, w, input, c, gradient, o);
            }
}

/* ---- 3x3 pooling of M maps ---- */

/* Writes the places of the window's values that are inside the image; returns their number. */
static int window(int H, int W, int stride, int row, int column, int places[9])
{
    int count = 0;
    for (int i = -1; i <= 1; i++)
        for (int j = -1; j <= 1; j++) {
            int y = stride * row + i, x = stride * column + j;
            if (y >= 0 && y < H && x >= 0 && x < W)
                places[count++] = y * W + x;
        }
    return count;
}

/* Maximum; place is each element's index in its input map. */
void max_pool3(int M, int H, int W, int h, int w, int stride, const float input[M][H * W],
               float output[M][h][w], int32_t place[M][h][w])
{
    for (int m = 0; m < M; m++)
        for (int y = 0; y < h; y++)
            for (int x = 0; x < w; x++) {
                int places[9] = {0}, count = window(H, W, stride, y, x, places), best = places[0];
                for (int k = 1; k < count; k++)
                    if (input[m][places[k]] > input[m][best])
                        best = places[k];
                output[m][y][x] = input[m][best];
                place[m][y][x] = best;
            }
}

/* The gradient of P values from that of Q windows, whose order is that of the chains. */
void max_pool3_back(int M, int P, int Q, const float gradient[M][Q], const int32_t place[M][Q],
                    float by_input[M][P])
{
    for (int m = 0; m < M; m++) {
        for (int p = 0; p < P; p++)
            by_input[m][p] = 0.0f;
        for (int q = 0; q < Q; q++)
            by_input[m][place[m][q]] = by_input[m][place[m][q]] + gradient[m][q];
    }
}

/* Mean. */
void mean_pool3(int M, int H, int W, int h, int w, int stride, const float input[M][H * W],
                float output[M][h][w])
{
    for (int m = 0; m < M; m++)
        for (int y = 0; y < h; y++)
            for (int x = 0; x < w; x++) {
                int places[9], count = window(H, W, stride, y, x, places);
                float sum = 0;
                for (int k = 0; k < count; k++)
                    sum = sum + input[m][places[k]];
                output[m][y][x] = sum / (float)count;
            }
}

void mean_pool3_back(int M, int H, int W, int h, int w, int stride, const float gradient[M][h][w],
                     float by_input[M][H * W])
{
    for (int m = 0; m < M; m++) {
        for (int p = 0; p < H * W; p++)
            by_input[m][p] = 0.0f;
        for (int y = 0; y < h; y++)
            for (int x = 0; x < w; x++) {
                int places[9], count = window(H, W, stride, y, x, places);
                float share = gradient[m][y][x] / (float)count;
                for (int k = 0; k < count; k++)
                    by_input[m][places[k]] = by_input[m][places[k]] + share;
            }
    }
}

/* ---- ReLU ---- */

void relu(int numbers, const float x[numbers], float y[numbers])
{
    for (int i = 0; i < numbers; i++)
        y[i] = x[i] > 0 ? x[i] : 0.0f;
}

void relu_back(int numbers, const float x[numbers], const float gradient[numbers],
               float by_x[numbers])
{
    for (int i = 0; i < numbers; i++)
        by_x[i] = x[i] > 0 ? gradient[i] : 0.0f;
}

/* ---- Sum ---- */

/* Without factors. */
void sum(int numbers, const float a[numbers], const float b[numbers], float output[numbers])
{
    for (int i = 0; i < numbers; i++)
        output[i] = a[i] + b[i];
}

/* With drop-path's factors f of a and g of b. */
void sum_with_factors(int N, int numbers, const float a[N][numbers], const float f[N],
                      const float b[N][numbers], const float g[N], float output[N][numbers])
{
    for (int n = 0; n < N; n++)
        for (int i = 0; i < numbers; i++) {
            float first = f[n] * a[n][i];
            output[n][i] = fmaf(g[n], b[n][i], first);
        }
}
