/*
 * The operations of docs/arithmetic.md, version 1, under the headings and in the order of that
 * page; Networks of the micro space are in cells.c, those of the mobile space in stages.c, Loss in
 * loss.c and Update in update.c. Implemented from the page, without code of the crates. It is slow
 * by design: one plain loop per sum.
 *
 *     cc -std=c99 -O2 -ffp-contract=off -shared -fPIC *.c -lm -o /tmp/operations.so
 *
 * The five files use only fmaf, fma, sqrtf and round of libm, whose results are exactly specified.
 * Arrays are [image][channel][row][column] or [image][channel][pixel], weights
 * [out][in][row][column].
 */
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "operations.h"

#if FLT_EVAL_METHOD != 0
#error "float and double expressions must be evaluated in their own precision"
#endif

/* ---- Batches ---- */

/* Folds the terms within each block, then the blocks' results. */
float fold_blocks(int count, const float terms[count], int block)
{
    float all = 0;
    for (int start = 0; start < count; start += block) {
        float sum = terms[start];
        for (int i = start + 1; i < start + block && i < count; i++)
            sum = sum + terms[i];
        all = start == 0 ? sum : all + sum;
    }
    return all;
}

static float fold_images(int images, const float terms[images])
{
    return fold_blocks(images, terms, BLOCK);
}

/* G, the number of images per chunk. */
int chunk_images(long pixels)
{
    int chunk = 1;
    while (chunk < BLOCK && chunk * pixels < 512)
        chunk *= 2;
    return chunk;
}

/* ---- Forward ---- */

/* 3x3 convolution: one element of the output. */
static float conv3x3_at(int C, int H, int W, const float input[C][H][W],
                        const float weight[C][3][3], int row, int column, int padding)
{
    float sum = 0;
    for (int i = 0; i < 3; i++)
        for (int c = 0; c < C; c++)
            for (int j = 0; j < 3; j++) {
                int y = row + i - padding, x = column + j - padding;
                if (y >= 0 && y < H && x >= 0 && x < W)
                    sum = fmaf(input[c][y][x], weight[c][i][j], sum);
            }
    return sum;
}

/* 3x3 convolution of N images of C channels to O channels. */
void conv3x3(int N, int C, int H, int W, int O, int padding, const float input[N][C][H][W],
             const float weight[O][C][3][3],
             float output[N][O][H + 2 * padding - 2][W + 2 * padding - 2])
{
    for (int n = 0; n < N; n++)
        for (int o = 0; o < O; o++)
            for (int y = 0; y < H + 2 * padding - 2; y++)
                for (int x = 0; x < W + 2 * padding - 2; x++)
                    output[n][o][y][x] =
                        conv3x3_at(C, H, W, input[n], weight[o], y, x, padding);
}

/* 1x1 convolution; several maps are passed concatenated along channels. */
void conv1x1(int N, int C, int P, int O, const float input[N][C][P], const float weight[O][C],
             float output[N][O][P])
{
    for (int n = 0; n < N; n++)
        for (int o = 0; o < O; o++)
            for (int p = 0; p < P; p++) {
                float sum = 0;
                for (int c = 0; c < C; c++)
                    sum = fmaf(input[n][c][p], weight[o][c], sum);
                output[n][o][p] = sum;
            }
}

float add_stripes(const float stripes[4])
{
    return (stripes[0] + stripes[1]) + (stripes[2] + stripes[3]);
}

/* Mean of a map's pixels: stripes of + z, divided by P. */
static float pixel_mean(int P, const float z[P])
{
    float stripes[4] = {0, 0, 0, 0};
    for (int p = 0; p < P; p++)
        stripes[p % 4] = stripes[p % 4] + z[p];
    return add_stripes(stripes) / (float)P;
}

/* q' of an image: its squares about the mean of all images. */
static float squares(int P, const float z[P], float image_mean, float mean)
{
    float stripes[4] = {0, 0, 0, 0};
    for (int p = 0; p < P; p++) {
        float e = z[p] - image_mean;
        stripes[p % 4] = fmaf(e, e, stripes[p % 4]);
    }
    float d = image_mean - mean;
    return fmaf((float)P * d, d, add_stripes(stripes));
}

/* Batch norm and ReLU: the mean m of a channel, and q. */
static void channel_moments(int N, int C, int P, const float z[N][C][P], int c, float *mean,
                            float *q)
{
    float means[N], terms[N];
    for (int n = 0; n < N; n++)
        means[n] = pixel_mean(P, z[n][c]);
    *mean = fold_images(N, means) / (float)N;
    for (int n = 0; n < N; n++)
        terms[n] = squares(P, z[n][c], means[n], *mean);
    *q = fold_images(N, terms);
}

/* Batch norm, with ReLU or without: y and, for the backward pass, mean, inverse and scale of each
 * channel. */
void batch_norm(int N, int C, int P, int relu, const float z[N][C][P], const float weight[C],
                const float bias[C], float running_mean[C], float running_variance[C],
                float mean[C], float inverse[C], float scale[C], float y[N][C][P])
{
    long count = (long)N * P, divisor = count > 1 ? count - 1 : 1;
    for (int c = 0; c < C; c++) {
        float q;
        channel_moments(N, C, P, z, c, &mean[c], &q);
        float variance = q / (float)count, unbiased = q / (float)divisor;
        inverse[c] = 1.0f / sqrtf(variance + 1e-5f);
        scale[c] = weight[c] * inverse[c];
        running_mean[c] = fmaf(0.1f, mean[c] - running_mean[c], running_mean[c]);
        running_variance[c] = fmaf(0.1f, unbiased - running_variance[c], running_variance[c]);
        for (int n = 0; n < N; n++)
            for (int p = 0; p < P; p++) {
                float u = fmaf(z[n][c][p] - mean[c], scale[c], bias[c]);
                y[n][c][p] = !relu || u > 0 ? u : 0.0f;
            }
    }
}

/* 2x2 max pooling of M maps; place is each element's index in its input map. */
void max_pool(int M, int H, int W, const float input[M][H * W], float output[M][H / 2][W / 2],
              int32_t place[M][H / 2][W / 2])
{
    for (int m = 0; m < M; m++)
        for (int y = 0; y < H / 2; y++)
            for (int x = 0; x < W / 2; x++) {
                int best = 2 * y * W + 2 * x;
                const int others[3] = {best + 1, best + W, best + W + 1};
                for (int k = 0; k < 3; k++)
                    if (input[m][others[k]] > input[m][best])
                        best = others[k];
                output[m][y][x] = input[m][best];
                place[m][y][x] = best;
            }
}

/* Global average pooling of M maps. */
void average_pool(int M, int P, const float input[M][P], float output[M])
{
    for (int m = 0; m < M; m++)
        output[m] = pixel_mean(P, input[m]);
}

/* Linear layer: C features to K logits. */
void linear(int N, int C, int K, const float feature[N][C], const float weight[K][C],
            const float bias[K], float logit[N][K])
{
    for (int n = 0; n < N; n++)
        for (int k = 0; k < K; k++) {
            float sum = 0;
            for (int c = 0; c < C; c++)
                sum = fmaf(feature[n][c], weight[k][c], sum);
            logit[n][k] = sum + bias[k];
        }
}

/* Drop-path; also the gradient with respect to a scaled map, if it is the first of the fold. */
void drop_path(int N, int numbers, const float input[N][numbers], const float factor[N],
               float output[N][numbers])
{
    for (int n = 0; n < N; n++)
        for (int i = 0; i < numbers; i++)
            output[n][i] = factor[n] * input[n][i];
}

/* ---- Loss: loss.c ---- */

/* ---- Backward ---- */

/* Linear layer, gradient with respect to the bias. Its weights are those of a 1x1 convolution
 * with one pixel. */
void linear_by_bias(int N, int K, const float gradient[N][K], float by_bias[K])
{
    for (int k = 0; k < K; k++) {
        float terms[N];
        for (int n = 0; n < N; n++)
            terms[n] = gradient[n][k];
        by_bias[k] = fold_images(N, terms);
    }
}

/* Linear layer, gradient with respect to the features. */
void linear_by_features(int N, int C, int K, const float gradient[N][K], const float weight[K][C],
                        float by_feature[N][C])
{
    for (int n = 0; n < N; n++)
        for (int c = 0; c < C; c++) {
            float sum = 0;
            for (int k = 0; k < K; k++)
                sum = fmaf(gradient[n][k], weight[k][c], sum);
            by_feature[n][c] = sum;
        }
}

/* Global average pooling. */
void average_pool_back(int M, int P, const float gradient[M], float by_input[M][P])
{
    for (int m = 0; m < M; m++)
        for (int p = 0; p < P; p++)
            by_input[m][p] = gradient[m] / (float)P;
}

/* Max pooling of M maps of P pixels to Q. */
void max_pool_back(int M, int P, int Q, const float gradient[M][Q], const int32_t place[M][Q],
                   float by_input[M][P])
{
    for (int m = 0; m < M; m++) {
        for (int p = 0; p < P; p++)
            by_input[m][p] = 0.0f;
        for (int q = 0; q < Q; q++)
            by_input[m][place[m][q]] = gradient[m][q];
    }
}

/* g, the gradient before ReLU, if there is one. */
static float behind_relu(int relu, float z, float mean, float scale, float bias, float gradient)
{
    return !relu || fmaf(z - mean, scale, bias) > 0 ? gradient : 0.0f;
}

/* Batch norm: G and H of channel c. */
static void channel_sums(int N, int C, int P, int relu, const float z[N][C][P],
                         const float gradient[N][C][P], int c, float mean, float scale, float bias,
                         float *sum_g, float *sum_h)
{
    float terms_g[N], terms_h[N];
    for (int n = 0; n < N; n++) {
        float stripes_g[4] = {0, 0, 0, 0}, stripes_h[4] = {0, 0, 0, 0};
        for (int p = 0; p < P; p++) {
            float g = behind_relu(relu, z[n][c][p], mean, scale, bias, gradient[n][c][p]);
            stripes_g[p % 4] = stripes_g[p % 4] + g;
            stripes_h[p % 4] = fmaf(g, z[n][c][p] - mean, stripes_h[p % 4]);
        }
        terms_g[n] = add_stripes(stripes_g);
        terms_h[n] = add_stripes(stripes_h);
    }
    *sum_g = fold_images(N, terms_g);
    *sum_h = fold_images(N, terms_h);
}

/* Batch norm, gradients with respect to weight, bias and z. */
void batch_norm_back(int N, int C, int P, int relu, const float z[N][C][P],
                     const float gradient[N][C][P], const float bias[C], const float mean[C],
                     const float inverse[C], const float scale[C], float by_weight[C],
                     float by_bias[C], float by_z[N][C][P])
{
    float count = (float)((long)N * P);
    for (int c = 0; c < C; c++) {
        float h;
        channel_sums(N, C, P, relu, z, gradient, c, mean[c], scale[c], bias[c], &by_bias[c], &h);
        by_weight[c] = h * inverse[c];
        float a = by_bias[c] / count, b = (by_weight[c] * inverse[c]) / count;
        for (int n = 0; n < N; n++)
            for (int p = 0; p < P; p++) {
                float from = gradient[n][c][p];
                float g = behind_relu(relu, z[n][c][p], mean[c], scale[c], bias[c], from);
                by_z[n][c][p] = fmaf(z[n][c][p] - mean[c], -b, g - a) * scale[c];
            }
    }
}

/* 3x3 convolution with padding 1, gradient with respect to the input. */
void conv3x3_by_input(int N, int C, int H, int W, int O, const float gradient[N][O][H][W],
                      const float weight[O][C][3][3], float by_input[N][C][H][W])
{
    float (*turned)[O][3][3] = malloc(sizeof(float[C][O][3][3]));
    for (int c = 0; c < C; c++)
        for (int o = 0; o < O; o++)
            for (int i = 0; i < 3; i++)
                for (int j = 0; j < 3; j++)
                    turned[c][o][i][j] = weight[o][c][2 - i][2 - j];
    conv3x3(N, O, H, W, C, 1, gradient, (const float (*)[O][3][3])turned, by_input);
    free(turned);
}

/* 3x3 convolution, gradient with respect to the weight of kernel row i and column j: continues the
 * chain `sum` with the terms of one image. */
static float conv3x3_taps(int H, int W, int padding, const float input[H][W],
                          const float gradient[H + 2 * padding - 2][W + 2 * padding - 2], int i,
                          int j, float sum)
{
    for (int row = 0; row < H + 2 * padding - 2; row++)
        for (int column = 0; column < W + 2 * padding - 2; column++) {
            int y = row + i - padding, x = column + j - padding;
            if (y >= 0 && y < H && x >= 0 && x < W)
                sum = fmaf(input[y][x], gradient[row][column], sum);
        }
    return sum;
}

/* 3x3 convolution, gradient with respect to the weights: one chain per chunk, chunks and blocks
 * folded. */
void conv3x3_by_weight(int N, int C, int H, int W, int O, int padding,
                       const float input[N][C][H][W],
                       const float gradient[N][O][H + 2 * padding - 2][W + 2 * padding - 2],
                       float by_weight[O][C][3][3])
{
    int chunk = chunk_images((long)(H + 2 * padding - 2) * (W + 2 * padding - 2));
    int chunks = (N + chunk - 1) / chunk;
    for (int o = 0; o < O; o++)
        for (int c = 0; c < C; c++)
            for (int tap = 0; tap < 9; tap++) {
                float sums[chunks];
                for (int k = 0; k < chunks; k++) {
                    sums[k] = 0;
                    for (int n = k * chunk; n < (k + 1) * chunk && n < N; n++)
                        sums[k] = conv3x3_taps(H, W, padding, input[n][c], gradient[n][o],
                                               tap / 3, tap % 3, sums[k]);
                }
                by_weight[o][c][tap / 3][tap % 3] = fold_blocks(chunks, sums, BLOCK / chunk);
            }
}

/* 1x1 convolution, gradient with respect to the maps. */
void conv1x1_by_input(int N, int C, int P, int O, const float gradient[N][O][P],
                      const float weight[O][C], float by_input[N][C][P])
{
    for (int n = 0; n < N; n++)
        for (int c = 0; c < C; c++)
            for (int p = 0; p < P; p++) {
                float sum = 0;
                for (int o = 0; o < O; o++)
                    sum = fmaf(gradient[n][o][p], weight[o][c], sum);
                by_input[n][c][p] = sum;
            }
}

/* 1x1 convolution, gradient with respect to the weights. */
void conv1x1_by_weight(int N, int C, int P, int O, const float input[N][C][P],
                       const float gradient[N][O][P], float by_weight[O][C])
{
    int chunk = chunk_images(P), chunks = (N + chunk - 1) / chunk;
    for (int o = 0; o < O; o++)
        for (int c = 0; c < C; c++) {
            float sums[chunks];
            for (int k = 0; k < chunks; k++) {
                sums[k] = 0;
                for (int n = k * chunk; n < (k + 1) * chunk && n < N; n++)
                    for (int p = 0; p < P; p++)
                        sums[k] = fmaf(input[n][c][p], gradient[n][o][p], sums[k]);
            }
            by_weight[o][c] = fold_blocks(chunks, sums, BLOCK / chunk);
        }
}

/* The gradient with respect to a map that drop-path scaled, added to that from later readers. */
void drop_path_back(int N, int numbers, const float gradient[N][numbers], const float factor[N],
                    float sum[N][numbers])
{
    for (int n = 0; n < N; n++)
        for (int i = 0; i < numbers; i++)
            sum[n][i] = fmaf(factor[n], gradient[n][i], sum[n][i]);
}

/* ---- Update: update.c ---- */
