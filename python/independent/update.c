/*
 * The update of docs/arithmetic.md, version 1: norm, clipping, SGD, and the cosine of the learning
 * rate, which is the algorithm of naschain-train/src/math.rs, to which the page refers.
 */
#include <float.h>
#include <math.h>

#if FLT_EVAL_METHOD != 0
#error "float and double expressions must be evaluated in their own precision"
#endif

/* One parameter's sum of squares: O output channels, C inputs, a kernel of K rows and L columns.
 * Linear layers have K = L = 1; vectors C = 1 too. The taps of a convolution of one row are passed
 * as rows. */
float sum_of_squares(int O, int C, int K, int L, const float gradient[O][C][K][L])
{
    float total = 0;
    for (int o = 0; o < O; o++) {
        float sum = 0;
        for (int i = 0; i < K; i++)
            for (int c = 0; c < C; c++)
                for (int j = 0; j < L; j++)
                    sum = fmaf(gradient[o][c][i][j], gradient[o][c][i][j], sum);
        total = total + sum;
    }
    return total;
}

/* Clipping: the factor, from the parameters' sums of squares. */
float clipping_factor(int parameters, const float sums[parameters], float clip)
{
    float total = 0;
    for (int i = 0; i < parameters; i++)
        total = total + sums[i];
    float norm = sqrtf(total);
    return norm > clip ? clip / norm : 1.0f;
}

/* SGD. */
void sgd(int numbers, const float gradient[numbers], float factor, float rate, float momentum,
         float weight_decay, int nesterov, float velocity[numbers], float parameter[numbers])
{
    for (int i = 0; i < numbers; i++) {
        float clipped = gradient[i] * factor;
        float d = fmaf(weight_decay, parameter[i], clipped);
        velocity[i] = fmaf(momentum, velocity[i], d);
        float step = nesterov ? fmaf(momentum, velocity[i], d) : velocity[i];
        parameter[i] = fmaf(-rate, step, parameter[i]);
    }
}

/* The learning rate's cosine: cos(pi x) for x in [0, 1]. */
double cos_pi(double x)
{
    double y = 0x1.921fb54442d18p+1 * (0.5 - x), square = y * y, sum = 0;
    for (int n = 12; n >= 1; n--) {
        double ratio = -square / (double)(2 * n * (2 * n + 1));
        sum = fma(ratio, sum, ratio);
    }
    return fma(y, sum, y);
}
