// cuRAND's calls on the standard library's generator.
#include <curand.h>

#include <random>

struct EmulatedGenerator {
  unsigned long long seed;
  std::mt19937_64 engine;
};

namespace {

// Uniform in (0, 1], as cuRAND's are.
double uniform(std::mt19937_64& engine) { return ((engine() >> 11) + 1) / 9007199254740992.0; }

template <typename T, typename Draw>
curandStatus_t fill(curandGenerator_t generator, T* values, size_t count, Draw draw) {
  if (!generator) return CURAND_STATUS_NOT_INITIALIZED;
  emulated::Access access("curandGenerate");
  access.values(values, count);
  for (size_t i = 0; i < count; ++i) values[i] = draw(generator->engine);
  return CURAND_STATUS_SUCCESS;
}

template <typename T>
curandStatus_t normal(curandGenerator_t generator, T* values, size_t count, T mean, T sd) {
  if (count % 2) return CURAND_STATUS_LENGTH_NOT_MULTIPLE;  // cuRAND makes them in pairs
  return fill(generator, values, count, [=](std::mt19937_64& engine) {
    const double radius = sqrt(-2 * log(uniform(engine)));
    return T(mean + sd * radius * cos(2 * M_PI * uniform(engine)));
  });
}

}  // namespace

curandStatus_t curandCreateGenerator(curandGenerator_t* generator, curandRngType_t) {
  *generator = new EmulatedGenerator{0, std::mt19937_64(0)};
  return CURAND_STATUS_SUCCESS;
}
curandStatus_t curandDestroyGenerator(curandGenerator_t generator) {
  delete generator;
  return CURAND_STATUS_SUCCESS;
}
curandStatus_t curandSetStream(curandGenerator_t, cudaStream_t) { return CURAND_STATUS_SUCCESS; }
curandStatus_t curandSetPseudoRandomGeneratorSeed(curandGenerator_t generator, unsigned long long seed) {
  *generator = {seed, std::mt19937_64(seed)};
  return CURAND_STATUS_SUCCESS;
}
curandStatus_t curandSetGeneratorOffset(curandGenerator_t generator, unsigned long long offset) {
  generator->engine.seed(generator->seed);
  generator->engine.discard(offset);
  return CURAND_STATUS_SUCCESS;
}
curandStatus_t curandGenerate(curandGenerator_t generator, unsigned int* values, size_t count) {
  return fill(generator, values, count, [](std::mt19937_64& engine) { return unsigned(engine() >> 32); });
}
curandStatus_t curandGenerateUniform(curandGenerator_t generator, float* values, size_t count) {
  return fill(generator, values, count, [](std::mt19937_64& engine) { return float(uniform(engine)); });
}
curandStatus_t curandGenerateUniformDouble(curandGenerator_t generator, double* values, size_t count) {
  return fill(generator, values, count, uniform);
}
curandStatus_t curandGenerateNormal(curandGenerator_t generator, float* values, size_t count, float mean, float sd) {
  return normal(generator, values, count, mean, sd);
}
curandStatus_t curandGenerateNormalDouble(curandGenerator_t generator, double* values, size_t count, double mean,
                                          double sd) {
  return normal(generator, values, count, mean, sd);
}
