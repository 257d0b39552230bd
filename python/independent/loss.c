/*
 * The loss of docs/arithmetic.md, version 1, in double precision. exp and ln are the algorithms of
 * naschain-train/src/math.rs, to which the page refers.
 */
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#if FLT_EVAL_METHOD != 0
#error "float and double expressions must be evaluated in their own precision"
#endif

/* ln 2 in two parts. */
static const double LN2_HIGH = 0x1.62e42feep-1, LN2_LOW = 0x1.a39ef35793c76p-33;

static double exp_taylor(double x)
{
    x = x < -700 ? -700 : x > 700 ? 700 : x;
    double k = round(x * 0x1.71547652b82fep+0); /* 1 / ln 2 */
    double r = fma(-k, LN2_LOW, fma(-k, LN2_HIGH, x));
    double factorial[14] = {1}, sum = 0;
    for (int i = 1; i <= 13; i++)
        factorial[i] = factorial[i - 1] * i;
    for (int i = 13; i >= 0; i--)
        sum = fma(r, sum, 1.0 / factorial[i]);
    uint64_t bits = (uint64_t)((int64_t)k + 1023) << 52;
    double power;
    memcpy(&power, &bits, sizeof power);
    return sum * power;
}

static double ln_artanh(double x)
{
    uint64_t bits, low = ((uint64_t)1 << 52) - 1;
    memcpy(&bits, &x, sizeof bits);
    int64_t exponent = (int64_t)(bits >> 52) - 1023;
    bits = (bits & low) | (uint64_t)1023 << 52;
    double mantissa;
    memcpy(&mantissa, &bits, sizeof mantissa);
    if (mantissa > 0x1.6a09e667f3bcdp+0) { /* the root of 2 */
        mantissa *= 0.5;
        exponent += 1;
    }
    double z = (mantissa - 1) / (mantissa + 1), square = z * z, sum = 0;
    for (int odd = 21; odd >= 1; odd -= 2)
        sum = fma(square, sum, 1.0 / odd);
    double k = (double)exponent;
    return fma(k, LN2_HIGH, fma(2 * z, sum, k * LN2_LOW));
}

static double largest_of(int K, const float logit[K])
{
    float largest = logit[0];
    for (int k = 1; k < K; k++)
        if (logit[k] > largest)
            largest = logit[k];
    return largest;
}

/* Loss of a batch of N images with K classes, and its gradient with respect to the logits. */
double softmax_cross_entropy(int N, int K, const float logit[N][K], const int32_t label[N],
                             double smoothing, float gradient[N][K])
{
    double t = 1.0 - smoothing, share = smoothing / K, loss = 0;
    for (int n = 0; n < N; n++) {
        double power[K], largest = largest_of(K, logit[n]), total = 0, all = 0;
        for (int k = 0; k < K; k++) {
            power[k] = exp_taylor(logit[n][k] - largest);
            total = total + power[k];
            all = all + (logit[n][k] - largest);
        }
        double own = logit[n][label[n]] - largest;
        loss = loss + (ln_artanh(total) - fma(share, all, t * own));
        for (int k = 0; k < K; k++) {
            double hit = k == label[n] ? t : 0;
            gradient[n][k] = (float)(((power[k] / total) - (hit + share)) / N);
        }
    }
    return loss;
}
