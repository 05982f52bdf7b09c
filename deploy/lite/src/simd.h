// Four float lanes: NEON on a phone, SSE2 on a PC, plain code elsewhere. Only what the kernels here need.
#ifndef MOBILESEG_SRC_SIMD_H_
#define MOBILESEG_SRC_SIMD_H_

#include <cmath>
#include <cstdint>
#include <cstring>
#include <initializer_list>

#if defined(__ARM_NEON) && defined(__aarch64__) && !defined(MOBILESEG_NO_SIMD)
#define MOBILESEG_SIMD_NEON 1
#include <arm_neon.h>
#elif defined(__SSE2__) && !defined(MOBILESEG_NO_SIMD)
#define MOBILESEG_SIMD_SSE2 1
#include <emmintrin.h>
#endif

namespace mobileseg {
namespace simd {

#if defined(MOBILESEG_SIMD_NEON)

constexpr const char* kName = "NEON";

struct F4 {
  float32x4_t v;
};
inline F4 load(const float* p) {
  return {vld1q_f32(p)};
}
inline void store(float* p, F4 a) {
  vst1q_f32(p, a.v);
}
inline F4 splat(float x) {
  return {vdupq_n_f32(x)};
}
inline F4 operator+(F4 a, F4 b) {
  return {vaddq_f32(a.v, b.v)};
}
inline F4 operator-(F4 a, F4 b) {
  return {vsubq_f32(a.v, b.v)};
}
inline F4 operator*(F4 a, F4 b) {
  return {vmulq_f32(a.v, b.v)};
}
inline F4 operator/(F4 a, F4 b) {
  return {vdivq_f32(a.v, b.v)};
}
inline F4 min(F4 a, F4 b) {
  return {vminq_f32(a.v, b.v)};
}
inline F4 max(F4 a, F4 b) {
  return {vmaxq_f32(a.v, b.v)};
}
// Per lane, yes where a > b, else no.
inline F4 where_greater(F4 a, F4 b, F4 yes, F4 no) {
  return {vbslq_f32(vcgtq_f32(a.v, b.v), yes.v, no.v)};
}
// One bit per lane where a > b, the first lane lowest.
inline unsigned greater(F4 a, F4 b) {
  static const std::uint32_t kBits[4] = {1, 2, 4, 8};
  return vaddvq_u32(vandq_u32(vcgtq_f32(a.v, b.v), vld1q_u32(kBits)));
}
inline F4 round(F4 a) {
  return {vrndnq_f32(a.v)};
}
// 2^n for whole n from -126 to 127.
inline F4 power_of_two(F4 n) {
  return {vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(n.v), vdupq_n_s32(127)), 23))};
}
inline void transpose(F4* a, F4* b, F4* c, F4* d) {
  const float32x4x2_t ab = vtrnq_f32(a->v, b->v);
  const float32x4x2_t cd = vtrnq_f32(c->v, d->v);
  a->v = vcombine_f32(vget_low_f32(ab.val[0]), vget_low_f32(cd.val[0]));
  b->v = vcombine_f32(vget_low_f32(ab.val[1]), vget_low_f32(cd.val[1]));
  c->v = vcombine_f32(vget_high_f32(ab.val[0]), vget_high_f32(cd.val[0]));
  d->v = vcombine_f32(vget_high_f32(ab.val[1]), vget_high_f32(cd.val[1]));
}

#elif defined(MOBILESEG_SIMD_SSE2)

constexpr const char* kName = "SSE2";

struct F4 {
  __m128 v;
};
inline F4 load(const float* p) {
  return {_mm_loadu_ps(p)};
}
inline void store(float* p, F4 a) {
  _mm_storeu_ps(p, a.v);
}
inline F4 splat(float x) {
  return {_mm_set1_ps(x)};
}
inline F4 operator+(F4 a, F4 b) {
  return {_mm_add_ps(a.v, b.v)};
}
inline F4 operator-(F4 a, F4 b) {
  return {_mm_sub_ps(a.v, b.v)};
}
inline F4 operator*(F4 a, F4 b) {
  return {_mm_mul_ps(a.v, b.v)};
}
inline F4 operator/(F4 a, F4 b) {
  return {_mm_div_ps(a.v, b.v)};
}
inline F4 min(F4 a, F4 b) {
  return {_mm_min_ps(a.v, b.v)};
}
inline F4 max(F4 a, F4 b) {
  return {_mm_max_ps(a.v, b.v)};
}
inline F4 where_greater(F4 a, F4 b, F4 yes, F4 no) {
  const __m128 mask = _mm_cmpgt_ps(a.v, b.v);
  return {_mm_or_ps(_mm_and_ps(mask, yes.v), _mm_andnot_ps(mask, no.v))};
}
inline unsigned greater(F4 a, F4 b) {
  return static_cast<unsigned>(_mm_movemask_ps(_mm_cmpgt_ps(a.v, b.v)));
}
inline F4 round(F4 a) {
  return {_mm_cvtepi32_ps(_mm_cvtps_epi32(a.v))};
}
inline F4 power_of_two(F4 n) {
  return {_mm_castsi128_ps(_mm_slli_epi32(_mm_add_epi32(_mm_cvtps_epi32(n.v), _mm_set1_epi32(127)), 23))};
}
inline void transpose(F4* a, F4* b, F4* c, F4* d) {
  _MM_TRANSPOSE4_PS(a->v, b->v, c->v, d->v);
}

#else

constexpr const char* kName = "none";

struct F4 {
  float v[4];
};
template <typename Operation>
inline F4 each(F4 a, F4 b, Operation operation) {
  F4 result;
  for (int i = 0; i < 4; ++i) result.v[i] = operation(a.v[i], b.v[i]);
  return result;
}
inline F4 load(const float* p) {
  return {{p[0], p[1], p[2], p[3]}};
}
inline void store(float* p, F4 a) {
  std::memcpy(p, a.v, sizeof a.v);
}
inline F4 splat(float x) {
  return {{x, x, x, x}};
}
inline F4 operator+(F4 a, F4 b) {
  return each(a, b, [](float x, float y) { return x + y; });
}
inline F4 operator-(F4 a, F4 b) {
  return each(a, b, [](float x, float y) { return x - y; });
}
inline F4 operator*(F4 a, F4 b) {
  return each(a, b, [](float x, float y) { return x * y; });
}
inline F4 operator/(F4 a, F4 b) {
  return each(a, b, [](float x, float y) { return x / y; });
}
inline F4 min(F4 a, F4 b) {
  return each(a, b, [](float x, float y) { return x < y ? x : y; });
}
inline F4 max(F4 a, F4 b) {
  return each(a, b, [](float x, float y) { return x > y ? x : y; });
}
inline F4 where_greater(F4 a, F4 b, F4 yes, F4 no) {
  F4 result;
  for (int i = 0; i < 4; ++i) result.v[i] = a.v[i] > b.v[i] ? yes.v[i] : no.v[i];
  return result;
}
inline unsigned greater(F4 a, F4 b) {
  unsigned bits = 0;
  for (unsigned i = 0; i < 4; ++i) bits |= static_cast<unsigned>(a.v[i] > b.v[i]) << i;
  return bits;
}
inline F4 round(F4 a) {
  return each(a, a, [](float x, float) { return std::nearbyint(x); });
}
inline F4 power_of_two(F4 n) {
  return each(n, n, [](float x, float) { return std::ldexp(1.0F, static_cast<int>(x)); });
}
inline void transpose(F4* a, F4* b, F4* c, F4* d) {
  const F4 rows[4] = {*a, *b, *c, *d};
  F4* columns[4] = {a, b, c, d};
  for (int i = 0; i < 4; ++i) {
    for (int j = 0; j < 4; ++j) columns[i]->v[j] = rows[j].v[i];
  }
}

#endif

// e^x within 2e-7 of its value for x in [-87, 87]; beyond, the value at the end of that range.
// x = n ln 2 + r with |r| <= ln 2 / 2; ln 2 is subtracted in two parts so that r keeps its bits, and e^r is
// its Taylor polynomial of degree 6 (the remainder is below 2e-7 of it there).
inline F4 exp(F4 x) {
  x = min(max(x, splat(-87.0F)), splat(87.0F));
  const F4 n = round(x * splat(1.44269504F));
  const F4 r = (x - n * splat(0.693359375F)) + n * splat(2.12194440e-4F);
  F4 sum = splat(1.0F / 720.0F);
  for (const float factor : {1.0F / 120.0F, 1.0F / 24.0F, 1.0F / 6.0F, 0.5F, 1.0F, 1.0F}) {
    sum = sum * r + splat(factor);
  }
  return sum * power_of_two(n);
}

inline F4 sigmoid(F4 x) {
  return splat(1.0F) / (splat(1.0F) + exp(splat(0.0F) - x));
}

}  // namespace simd
}  // namespace mobileseg

#endif  // MOBILESEG_SRC_SIMD_H_
